"""What all sessions of one process share."""

import asyncio
import os
import resource
import time
from collections import Counter, deque
from collections.abc import Callable, Coroutine
from contextlib import suppress
from functools import partial
from typing import Any, ParamSpec, TypeVar

from server.intake.locks import BusyError
from server.logs import Log
from server.mismatches import LAST, Mismatch, Mismatches
from server.services.banner import load_banner
from server.settings import Settings
from server.sftp.announcer import Announcer
from server.sftp.gate import Gate
from server.sftp.guard import Guard
from server.sftp.reception import Reception
from server.sftp.slots import Slots
from server.sftp.threads import Threads
from server.sftp.upload import Upload
from server.sftp.writeback import EVERY, start_writeback

P = ParamSpec("P")
R = TypeVar("R")

CHECKS_AT_ONCE = 2
SLOW_WRITE = 0.02
SLOW_SPELL = 1.0


class Desk:
    """Settings and services, the threads for what blocks, and the slots that all processes share.

    `strangers` counts this process's connections that have not authenticated (yet), `received` and `sent` the bytes of
    closed files by session, and `banner` is what clients show before login. Whoever computes checksums, which keeps a
    thread and a core busy, holds `checking`.
    """

    def __init__(
        self,
        settings: Settings,
        gate: Gate,
        reception: Reception,
        announcer: Announcer,
        threads: Threads,
        guard: Guard,
        slots: Slots,
        log: Log,
    ) -> None:
        self.settings = settings
        self.gate = gate
        self.reception = reception
        self.announcer = announcer
        self.guard = guard
        self.slots = slots
        self.log = log
        self.draining = False
        self.strangers = 0
        self.received: Counter[str] = Counter()
        self.sent: Counter[str] = Counter()
        self.banner = load_banner(settings.banner)
        self.checking = asyncio.Semaphore(CHECKS_AT_ONCE)
        self._threads = threads
        self._mismatches: deque[Mismatch] = deque(maxlen=LAST)
        self._slow_until = 0.0
        self._chores: set[asyncio.Task[None]] = set()
        self._restocks = False

    def see_to(self, work: Coroutine[Any, Any, None]) -> None:
        """Have something done that nobody waits for. It must not raise."""
        task = asyncio.get_running_loop().create_task(work)
        self._chores.add(task)
        task.add_done_callback(self._chores.discard)

    async def run(self, agency: str, call: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Run a call of that agency's that blocks in a thread, so that the other sessions go on."""
        return await self._threads.run(agency, partial(call, *args, **kwargs))

    def note_mismatch(self, mismatch: Mismatch) -> None:
        """Keep it for the operator, in a thread; many at a time are written together, and only the last of them."""
        self._mismatches.append(mismatch)
        if len(self._mismatches) == 1:
            self._threads.submit(self._keep_mismatches)

    def _keep_mismatches(self) -> None:
        fresh = []
        while self._mismatches:
            fresh.append(self._mismatches.popleft())
        try:
            Mismatches(self.settings.data).keep(fresh)
        except OSError as error:
            self.log.error("ERROR", operation="mismatches", reason=error.strerror)

    async def hurry(self, agency: str, call: Callable[..., R], *args: Any) -> R:
        """Run a call that is quick as long as the disk is: at once, or in a thread where that could hold others up.

        `call` takes `hurry`, with which it raises `BusyError` if it cannot be quick (see `Reception`).
        """
        if self.settings.durability == "flush" and not self.disk_is_slow:
            watch = self.watch()
            try:
                return call(*args, hurry=True)
            except BusyError:
                pass
            finally:
                self.note(watch)
        return await self.run(agency, call, *args, hurry=False)

    async def glance(self, agency: str, call: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Run a call that only looks something up: at once as long as the disk is quick, else in a thread.

        What is looked up is mostly known to the kernel, and a thread waits longer for its turn than the answer takes.
        """
        if self.disk_is_slow:
            return await self.run(agency, call, *args, **kwargs)
        watch = self.watch()
        try:
            return call(*args, **kwargs)
        finally:
            self.note(watch)

    def restock(self) -> None:
        """Have made ahead, in a thread that nobody waits for, what new files need, if it runs short."""
        if self.reception.is_short and not self._restocks:
            self._restocks = True
            self._threads.submit(self._make_ahead)

    def _make_ahead(self) -> None:
        able = True
        with suppress(OSError):  # whoever sends is told so as well
            able = self.reception.prepare()
        self._restocks = not able  # where such files do not exist nobody asks for them again

    def write_back(self, upload: Upload) -> None:
        """Now and then, send what was written to the disk, in a thread that nobody waits for."""
        if upload.received - upload.sent_to_disk >= EVERY and self.settings.durability == "fsync":
            upload.sent_to_disk = upload.received
            with suppress(OSError):  # no descriptor is left for it: then CLOSE takes longer, and that is all
                self._threads.submit(start_writeback, os.dup(upload.fd))

    @property
    def disk_is_slow(self) -> bool:
        """Whether writes, and what else is quick, should go to a thread for now.

        Mostly a write only copies into the page cache, in less time than a thread takes to wake. When the kernel
        throttles writers, one can take seconds; after a slow one the loop is spared for a while.
        """
        return self._slow_until > time.monotonic()

    def watch(self) -> tuple[float, int]:
        """Something begins that may have to wait for the disk; give what this returns to `note` when it has ended."""
        return time.monotonic(), _waits()

    def note(self, watch: tuple[float, int]) -> None:
        """It has ended. If it took long and did not wait for anything, the processor was busy and not the disk."""
        began, waits = watch
        if time.monotonic() - began > SLOW_WRITE and _waits() != waits:
            self._slow_until = time.monotonic() + SLOW_SPELL


def _waits() -> int:
    """How often this thread has waited for anything so far (getrusage(2), voluntary context switches)."""
    return resource.getrusage(resource.RUSAGE_THREAD).ru_nvcsw
