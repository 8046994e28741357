"""What all sessions of one process share."""

import asyncio
import os
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

from server.logs import Log
from server.settings import Settings
from server.sftp.announcer import Announcer
from server.sftp.gate import Gate
from server.sftp.reception import Reception
from server.sftp.upload import Upload
from server.sftp.writeback import EVERY, start_writeback

P = ParamSpec("P")
R = TypeVar("R")

CHECKS_AT_ONCE = 2
SLOW_WRITE = 0.02
SLOW_SPELL = 1.0


class Desk:
    """Settings and services, the thread pool for what blocks, and who is connected.

    `connected` counts connections by agency, `strangers` by address those that have not authenticated (yet). Whoever
    computes checksums, which keeps a thread and a core busy, holds `checking`.
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
        self.checking = asyncio.Semaphore(CHECKS_AT_ONCE)
        self._pool = pool
        self._slow_until = 0.0

    async def run(self, call: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Run a call that blocks in a thread, so that the other sessions go on."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, lambda: call(*args, **kwargs))

    def write_back(self, upload: Upload) -> None:
        """Now and then, send what was written to the disk, in a thread that nobody waits for."""
        if upload.received - upload.sent_to_disk >= EVERY and self.settings.durability == "fsync":
            upload.sent_to_disk = upload.received
            self._pool.submit(start_writeback, os.dup(upload.fd))

    @property
    def disk_is_slow(self) -> bool:
        """Whether writes should go to a thread for now.

        Mostly a write only copies into the page cache, in less time than a thread takes to wake. When the kernel
        throttles writers, one can take seconds; after a slow one the loop is spared for a while.
        """
        return self._slow_until > time.monotonic()

    def note_write(self, seconds: float) -> None:
        """A write took that long."""
        if seconds > SLOW_WRITE:
            self._slow_until = time.monotonic() + SLOW_SPELL
