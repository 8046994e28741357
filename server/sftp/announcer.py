"""Tells the rest of the house what came in, when it is time and in a thread of its own.

No session ever waits for a database: neither for the answer to what it did, nor for a thread that such an answer holds
up. One thread is enough, and keeps what is told in order. The first thing is told at once; what comes in meanwhile, and
for a moment after, is told together, since that costs little more than telling of one file. While one file comes after
the other it is put off until they pause, for some seconds at most: to tell of them, and what the workers then do with
them, takes time from whoever sends.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from itertools import takewhile
from typing import cast

from server.clock import now
from server.intake.entry import Entry
from server.intake.spool import Manifest, Spool
from server.intake.taken import Footprint
from server.logs import Log
from server.sftp.gate import Intake

AT_ONCE = 256
MOMENT = 0.1
LULL = 0.5
PATIENCE = 3.0
MANY = 16  # so many files that came within a lull, or settle, are not the last ones

Notice = Manifest | Callable[[], None]


class Announcer:
    """Belongs to one event loop. What it has not told when the process dies is found again: in the spool, the journal
    and, by the sweep, in the homes."""

    def __init__(self, intake: Intake, spool: Spool, log: Log) -> None:
        self._intake = intake
        self._spool = spool
        self._log = log
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="announcer")
        self._settling: dict[tuple[str, str], Manifest] = {}
        self._timer: asyncio.Handle | None = None
        self._due = 0.0
        self._notices: deque[Notice] = deque()
        self._telling: asyncio.Task[None] | None = None
        self._finishing = asyncio.Event()
        self._came = 0

    def received(self, manifest: Manifest) -> None:
        """Tell of an accepted file once its settle time is over; until then it can be withdrawn."""
        key = manifest.agency, manifest.path
        self._came += 1
        self._release(key)
        if (wait := _wait(manifest)) <= 0:
            self._tell(manifest)
            return
        self._settling[key] = manifest
        self._wake_in(wait)

    def withdraw(self, agency: str, path: str) -> Manifest | None:
        """Not tell of the file at `path` after all; its manifest, or None if nothing is settling there."""
        return self._settling.pop((agency, path), None)

    def torn(self, entry: Entry) -> None:
        """Tell of a torn or held upload."""
        self._tell(partial(self._intake.torn, entry))

    def removed(self, entry: Entry) -> None:
        """Tell that an unfinished upload was deleted, or replaced, by its sender."""
        self._tell(partial(self._intake.removed, entry))

    def renamed(self, agency: str, files: Mapping[str, Footprint]) -> None:
        """Tell that files which were taken already have other final names, their new paths."""
        self._tell(partial(self._intake.renamed, agency, files))

    async def finish(self) -> None:
        """Tell at once of all that is settling (nobody is left who could remove it), and wait until it is told."""
        for key in list(self._settling):
            self._release(key)
        if self._timer:
            self._timer.cancel()
        self._finishing.set()
        if self._telling:
            await self._telling
        self._thread.shutdown()

    def _release(self, key: tuple[str, str]) -> None:
        if manifest := self._settling.pop(key, None):
            self._tell(manifest)

    def _release_settled(self) -> None:
        """One timer for all that settle: who sends a thousand files is not woken for each of them again."""
        settled = [key for key, manifest in self._settling.items() if _wait(manifest) <= 0]
        for key in settled:
            self._release(key)
        self._timer = None
        if self._settling:
            self._wake_in(max(min(map(_wait, self._settling.values())), MOMENT if settled else 0))

    def _wake_in(self, wait: float) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time() + wait  # of less than a millisecond, a handle of uvloop's does not know it itself
        if self._timer and self._due > due:
            self._timer.cancel()
            self._timer = None
        if self._timer is None:
            self._timer, self._due = loop.call_later(wait, self._release_settled), due

    def _tell(self, notice: Notice) -> None:
        self._notices.append(notice)
        if self._telling is None:
            self._telling = asyncio.get_running_loop().create_task(self._tell_all())

    async def _tell_all(self) -> None:
        loop = asyncio.get_running_loop()
        while self._notices:
            batch = [self._notices.popleft() for _ in range(min(len(self._notices), AT_ONCE))]
            is_many = len(batch) + len(self._settling) >= MANY
            await loop.run_in_executor(self._thread, self._told, batch)
            if len(self._notices) < AT_ONCE:
                await self._pause(is_many)
        self._telling = None

    async def _pause(self, is_many: bool) -> None:
        """Wait for a moment; if there are many, until no more come or it has been long enough."""
        loop = asyncio.get_running_loop()
        until = loop.time() + (PATIENCE if is_many else 0)
        while True:
            came = self._came
            with suppress(TimeoutError):
                await asyncio.wait_for(self._finishing.wait(), LULL if is_many else MOMENT)
            if self._came == came or self._finishing.is_set() or loop.time() >= until:
                return

    def _told(self, batch: list[Notice]) -> None:
        while batch:
            received = list(takewhile(lambda notice: isinstance(notice, Manifest), batch))
            call = partial(self._arrived, cast(list[Manifest], received)) if received else batch[0]
            del batch[: len(received) or 1]
            try:
                cast(Callable[[], None], call)()
            except Exception:
                self._log.exception("ERROR", operation="register")

    def _arrived(self, manifests: list[Manifest]) -> None:
        # Another process may have taken one back or renamed it, or it has been registered and dealt with already.
        stamps = {manifest.id: self._spool.stamp(manifest.id) for manifest in manifests}
        current = [found for manifest in manifests if (found := self._spool.find(manifest.id))]
        if current:
            self._intake.received(current)
            # And another process may have renamed one between our looking and our telling.
            for told in current:
                if self._spool.stamp(told.id) == stamps[told.id]:
                    continue
                later = self._spool.find(told.id)
                if later and later.path != told.path and later.footprint:
                    self._intake.renamed(later.agency, {later.path: later.footprint})


def _wait(manifest: Manifest) -> float:
    """How many seconds it may still be taken back; 0 or less if it may not."""
    return (manifest.not_before - now()).total_seconds()
