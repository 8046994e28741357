"""Tells the rest of the house what came in, in threads and when it is time, so that no session waits for a database."""

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from typing import TypeVar

from server.clock import now
from server.intake.journal import Entry
from server.intake.spool import Manifest
from server.logs import Log
from server.sftp.gate import Intake

Told = TypeVar("Told", Manifest, Entry)


class Announcer:
    """Belongs to one event loop. What it has not told when the process dies is found again in the spool and journal."""

    def __init__(self, intake: Intake, pool: Executor, log: Log) -> None:
        self._intake = intake
        self._pool = pool
        self._log = log
        self._settling: dict[tuple[str, str], tuple[Manifest, asyncio.TimerHandle]] = {}
        self._telling: set[asyncio.Future[None]] = set()

    def received(self, manifest: Manifest) -> None:
        """Tell of an accepted file once its settle time is over; until then it can be withdrawn."""
        wait = (manifest.not_before - now()).total_seconds()
        key = manifest.agency, manifest.path
        self._release(key)
        if wait <= 0:
            self._tell(self._intake.received, manifest)
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
        """Tell of a torn upload."""
        self._tell(self._intake.torn, entry)

    def removed(self, entry: Entry) -> None:
        """Tell that a torn upload was deleted by its sender."""
        self._tell(self._intake.removed, entry)

    async def finish(self) -> None:
        """Tell at once of all that is settling (nobody is left who could remove it), and wait until it is told."""
        for key in list(self._settling):
            self._release(key)
        while self._telling:
            await asyncio.wait(self._telling)

    def _release(self, key: tuple[str, str]) -> None:
        manifest, timer = self._settling.pop(key, (None, None))
        if timer:
            timer.cancel()
        if manifest:
            self._tell(self._intake.received, manifest)

    def _tell(self, call: Callable[[Told], None], what: Told) -> None:
        future = asyncio.get_running_loop().run_in_executor(self._pool, self._told, call, what)
        self._telling.add(future)
        future.add_done_callback(self._telling.discard)

    def _told(self, call: Callable[[Told], None], what: Told) -> None:
        try:
            call(what)
        except Exception:
            self._log.exception("ERROR", operation="register")
