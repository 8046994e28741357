"""Tells the rest of the house what came in, when it is time and in a thread of its own.

No session ever waits for a database: neither for the answer to what it did, nor for a thread that such an answer holds
up. One thread is enough, and keeps what is told of one file in order.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from server.clock import now
from server.intake.entry import Entry
from server.intake.spool import Manifest, Spool
from server.logs import Log
from server.sftp.gate import Intake

Told = TypeVar("Told", Manifest, Entry, None)


class Announcer:
    """Belongs to one event loop. What it has not told when the process dies is found again in the spool and journal."""

    def __init__(self, intake: Intake, spool: Spool, log: Log) -> None:
        self._intake = intake
        self._spool = spool
        self._log = log
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="announcer")
        self._settling: dict[tuple[str, str], tuple[Manifest, asyncio.TimerHandle]] = {}
        self._telling: set[asyncio.Future[None]] = set()

    def received(self, manifest: Manifest) -> None:
        """Tell of an accepted file once its settle time is over; until then it can be withdrawn."""
        wait = (manifest.not_before - now()).total_seconds()
        key = manifest.agency, manifest.path
        self._release(key)
        if wait <= 0:
            self._tell(self._arrived, manifest)
            return
        timer = asyncio.get_running_loop().call_later(wait, self._release, key)
        self._settling[key] = manifest, timer

    def withdraw(self, agency: str, path: str) -> Manifest | None:
        """Not tell of the file at `path` after all; its manifest, or None if nothing is settling there."""
        manifest, timer = self._settling.pop((agency, path), (None, None))
        if timer:
            timer.cancel()
        return manifest

    def torn(self, entry: Entry) -> None:
        """Tell of a torn or held upload."""
        self._tell(self._intake.torn, entry)

    def removed(self, entry: Entry) -> None:
        """Tell that a torn or held upload was deleted by its sender."""
        self._tell(self._intake.removed, entry)

    def renamed(self, agency: str, old: str, new: str) -> None:
        """Tell that a file which was taken already has another final name."""
        self._tell(lambda _: self._intake.renamed(agency, old, new), None)

    async def finish(self) -> None:
        """Tell at once of all that is settling (nobody is left who could remove it), and wait until it is told."""
        for key in list(self._settling):
            self._release(key)
        while self._telling:
            await asyncio.wait(self._telling)
        self._thread.shutdown()

    def _release(self, key: tuple[str, str]) -> None:
        manifest, timer = self._settling.pop(key, (None, None))
        if timer:
            timer.cancel()
        if manifest:
            self._tell(self._arrived, manifest)

    def _arrived(self, manifest: Manifest) -> None:
        # Another process may have taken it back or renamed it since, or it has been registered and dealt with already.
        if current := self._spool.find(manifest.id):
            self._intake.received(current)
            # And it may have renamed it between our looking and our telling.
            if (later := self._spool.find(manifest.id)) and later.path != current.path:
                self._intake.renamed(later.agency, current.path, later.path)

    def _tell(self, call: Callable[[Told], None], what: Told) -> None:
        future = asyncio.get_running_loop().run_in_executor(self._thread, self._told, call, what)
        self._telling.add(future)
        future.add_done_callback(self._telling.discard)

    def _told(self, call: Callable[[Told], None], what: Told) -> None:
        try:
            call(what)
        except Exception:
            self._log.exception("ERROR", operation="register")
