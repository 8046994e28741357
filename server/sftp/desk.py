"""What all sessions of one process share."""

import asyncio
import os
import resource
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, ParamSpec, TypeVar

from server.intake.journal import BusyError
from server.logs import Log
from server.settings import Settings
from server.sftp.announcer import Announcer
from server.sftp.gate import Gate
from server.sftp.reception import Reception
from server.sftp.upload import Upload
from server.sftp.writeback import EVERY, start_writeback

P = ParamSpec("P")
R = TypeVar("R")

SLOW_WRITE = 0.02
SLOW_SPELL = 1.0


class Desk:
    """Settings and services, the thread pool for what blocks, and who is connected.

    `connected` counts connections by agency, `strangers` by address those that have not authenticated (yet).
    """

    def __init__(
        self,
        settings: Settings,
        gate: Gate,
        reception: Reception,
        announcer: Announcer,
        pool: ThreadPoolExecutor,
        log: Log,
    ) -> None:
        self.settings = settings
        self.gate = gate
        self.reception = reception
        self.announcer = announcer
        self.log = log
        self.draining = False
        self.connected: Counter[str] = Counter()
        self.strangers: Counter[str] = Counter()
        self._pool = pool
        self._slow_until = 0.0

    async def run(self, call: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Run a call that blocks in a thread, so that the other sessions go on."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, lambda: call(*args, **kwargs))

    async def hurry(self, call: Callable[..., R], *args: Any) -> R:
        """Run a call that is quick as long as the disk is: at once, or in a thread where that could hold others up.

        `call` takes `hurry`, with which it raises `BusyError` if it cannot be quick (see `Reception`).
        """
        if self.settings.durability == "flush" and not self.disk_is_slow:
            began, waits = time.monotonic(), _waits()
            try:
                return call(*args, hurry=True)
            except BusyError:
                pass
            finally:
                if _waits() != waits:  # if not, and it took long, the processor was busy and not the disk
                    self.note_write(time.monotonic() - began)
        return await self.run(call, *args, hurry=False)

    def write_back(self, upload: Upload) -> None:
        """Now and then, send what was written to the disk, in a thread that nobody waits for."""
        if upload.received - upload.sent_to_disk >= EVERY and self.settings.durability == "fsync":
            upload.sent_to_disk = upload.received
            self._pool.submit(start_writeback, os.dup(upload.fd))

    @property
    def disk_is_slow(self) -> bool:
        """Whether writes, and what else is quick, should go to a thread for now.

        Mostly a write only copies into the page cache, in less time than a thread takes to wake. When the kernel
        throttles writers, one can take seconds; after a slow one the loop is spared for a while.
        """
        return self._slow_until > time.monotonic()

    def note_write(self, seconds: float) -> None:
        """A write, or what else is quick, took that long."""
        if seconds > SLOW_WRITE:
            self._slow_until = time.monotonic() + SLOW_SPELL


def _waits() -> int:
    """How often this thread has waited for anything so far (getrusage(2), voluntary context switches)."""
    return resource.getrusage(resource.RUSAGE_THREAD).ru_nvcsw
