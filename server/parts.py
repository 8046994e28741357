"""The threads of one process that run side by side until it is told to stop."""

import logging
import os
import sys
import threading
import time
from collections.abc import Callable, Sequence

from server.logs import Log, trace

LAST_MOMENT = 1.0  # seconds for threads of pools that have nothing to do any more


class Parts:
    """The threads of the scheduler. One that ends before `stopping` is set ends all: half a scheduler helps nobody."""

    def __init__(self, log: Log, stopping: threading.Event) -> None:
        self._log = log
        self._stopping = stopping
        self._threads: list[threading.Thread] = []
        self._broken = False

    def start(self, name: str, work: Callable[[], None]) -> None:
        """Have `work` done in a thread of that name."""
        thread = threading.Thread(target=self._run, args=(name, work), name=name, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _run(self, name: str, work: Callable[[], None]) -> None:
        facts = {}
        try:
            work()
        except BaseException as error:  # whatever it is, it must not end a thread unseen
            facts = {"trace": trace(error)}
        if not self._stopping.is_set():
            self._broken = True
            self._log.error("part of the scheduler ended", part=name, **facts)
            self._stopping.set()

    def join(self, seconds: float) -> None:
        """Wait for all of them together."""
        join(self._threads, seconds)

    def leave(self) -> None:
        """Called when everything is closed; does not return if a thread was broken, or is still there."""
        leave(self._log, self._threads, self._broken)


def join(threads: Sequence[threading.Thread], seconds: float) -> None:
    """Wait for the end of all of them, so many seconds at most."""
    until = time.monotonic() + seconds
    for thread in threads:
        thread.join(max(0.0, until - time.monotonic()))


def leave(log: Log, threads: Sequence[threading.Thread] = (), broken: bool = False) -> None:
    """End the process, with status 1 if it is `broken`, if one of these threads, or of a pool's, is still there.

    Python would wait at its end for threads of pools, and one that looks at a dead disk, or asks a dead name server or
    database, may never end.
    """
    pools = [one for one in threading.enumerate() if not one.daemon and one is not threading.main_thread()]
    join(pools, LAST_MOMENT)
    hanging = sorted(one.name for one in [*threads, *pools] if one.is_alive())
    if hanging:
        log.warning("stopped without waiting", threads=hanging)
    if hanging or broken:
        logging.shutdown()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(1 if broken else 0)
