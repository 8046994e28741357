"""How many files are brought at once. Who is slow gives its place to others and goes on beside them."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from server.errors import AppError, Code

TICK = 2.0
FAIR = 128 * 1024
"""Bytes a tick: who brings less does not keep others waiting."""
STALL = 60.0
"""Seconds without a byte that end it."""


class Slot:
    """A place in the queue's front; to be left once."""

    def __init__(self, gate: asyncio.Semaphore) -> None:
        self._gate: asyncio.Semaphore | None = gate

    def leave(self) -> None:
        """Let the next one come; nothing happens the second time."""
        if self._gate:
            self._gate.release()
            self._gate = None


class Slots:
    """At most `count` at once, not counting the slow ones; of those there is at most one for each place."""

    def __init__(self, count: int) -> None:
        self._gate = asyncio.Semaphore(count)

    @asynccontextmanager
    async def slot(self) -> AsyncIterator[Slot]:
        """A place, as soon as there is one."""
        await self._gate.acquire()
        slot = Slot(self._gate)
        try:
            yield slot
        finally:
            slot.leave()


async def watched(
    slot: Slot, bring: Callable[[Callable[[int], None]], Awaitable[None]], tell: Callable[[int], None]
) -> None:
    """Run `bring`, which tells how many bytes are there. Raises `AppError` unavailable if none come for `STALL`."""
    there = 0

    def progress(count: int) -> None:
        nonlocal there
        there = count
        tell(count)

    task = asyncio.ensure_future(bring(progress))
    try:
        before, silent = 0, 0.0
        while not (await asyncio.wait({task}, timeout=TICK))[0]:
            silent = silent + TICK if there == before else 0.0
            if there - before < FAIR:
                slot.leave()
            if silent >= STALL:
                raise AppError(Code.UNAVAILABLE, f"No byte came for {STALL:.0f} seconds.", "It is tried again.")
            before = there
        task.result()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
