"""The threads for what blocks, shared so that no agency's slow disk work keeps all others waiting.

Nobody holds more of them than are free for everybody else. So whoever is alone has half of them; whoever holds threads
that hang, since a file is copied or a lock is held, leaves half of the rest to the next one, and so on.
"""

import asyncio
from collections import Counter, deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

R = TypeVar("R")


class Threads:
    """So many threads. Belongs to one event loop, but for `submit`."""

    def __init__(self, count: int) -> None:
        self._pool = ThreadPoolExecutor(count, thread_name_prefix="sftp")
        self._free = count
        self._held: Counter[str] = Counter()
        self._waiting: dict[str, deque[asyncio.Future[None]]] = {}

    async def run(self, agency: str, call: Callable[[], R]) -> R:
        """Have a call done that blocks, as soon as it is the agency's turn. Raises what it raises."""
        if agency in self._waiting or not self._may(agency):
            await self._turn(agency)
        else:
            self._take(agency)
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, call)
        finally:
            self._give_back(agency)

    def submit(self, call: Callable[..., object], *args: object) -> None:
        """Have something done that is short, and that nobody waits for."""
        self._pool.submit(call, *args)

    def shutdown(self) -> None:
        """Wait until all is done, and end the threads."""
        self._pool.shutdown()

    def _may(self, agency: str) -> bool:
        return self._held[agency] < self._free

    def _take(self, agency: str) -> None:
        self._held[agency] += 1
        self._free -= 1

    async def _turn(self, agency: str) -> None:
        """Wait until it has a thread; whoever is cancelled meanwhile holds none."""
        turn = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(agency, deque()).append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if not turn.cancelled():
                self._give_back(agency)
            raise

    def _give_back(self, agency: str) -> None:
        self._free += 1
        self._held[agency] -= 1
        if not self._held[agency]:
            del self._held[agency]
        for waiting in sorted(self._waiting, key=lambda name: self._held[name]):
            self._let_in(waiting)

    def _let_in(self, agency: str) -> None:
        turns = self._waiting[agency]
        while turns and self._may(agency):
            if not (turn := turns.popleft()).done():
                self._take(agency)
                turn.set_result(None)
        if not turns:
            del self._waiting[agency]
