"""Threads are shared so that there is always one for who has none."""

import asyncio
import threading
from collections.abc import Awaitable, Callable

from server.sftp.threads import Threads

COUNT = 8


class Hall:
    """Calls that hold their thread until they are let go; who has begun, in order."""

    def __init__(self) -> None:
        self.threads = Threads(COUNT)
        self.begun: list[str] = []
        self.ends: dict[str, threading.Semaphore] = {}

    async def fill(self, agency: str, times: int) -> list["asyncio.Task[None]"]:
        """Have so many calls of that agency wait for their turn or run."""
        end = self.ends.setdefault(agency, threading.Semaphore(0))

        def call() -> None:
            self.begun.append(agency)
            assert end.acquire(timeout=10)

        tasks = [asyncio.ensure_future(self.threads.run(agency, call)) for _ in range(times)]
        await settle()
        return tasks

    async def let_go(self, agency: str, times: int) -> None:
        """End so many of its calls."""
        for _ in range(times):
            self.ends[agency].release()
        await settle()


async def settle() -> None:
    """Long enough for threads to begin; what must not begin does not, however long one waits."""
    for _ in range(20):
        await asyncio.sleep(0.005)


def run(what: Callable[[Hall], Awaitable[None]]) -> None:
    async def all_of_it() -> None:
        await what(Hall())

    asyncio.run(all_of_it())


def test_nobody_holds_more_threads_than_are_free_for_the_others() -> None:
    async def crowd(hall: Hall) -> None:
        for agency, has in (("a", 4), ("b", 2), ("c", 1), ("d", 1), ("e", 0)):
            await hall.fill(agency, 20)
            assert hall.begun.count(agency) == has
        await hall.let_go("a", 1)
        assert hall.begun.count("e") == 1, "whoever has none comes first"
        for agency in "abcde":
            await hall.let_go(agency, 20)
        assert [hall.begun.count(agency) for agency in "abcde"] == [20] * 5
        hall.threads.shutdown()

    run(crowd)


def test_who_is_cancelled_while_waiting_holds_no_thread() -> None:
    async def leave(hall: Hall) -> None:
        tasks = await hall.fill("a", 6)
        for task in tasks[4:]:
            task.cancel()
        await hall.let_go("a", 4)
        await ended(hall, tasks)

    run(leave)


def test_who_is_cancelled_when_called_holds_no_thread() -> None:
    async def leave(hall: Hall) -> None:
        tasks = await hall.fill("a", 6)
        let_in = hall.threads._let_in

        def call_and_cancel(agency: str) -> None:
            let_in(agency)
            tasks[4].cancel()

        hall.threads._let_in = call_and_cancel  # type: ignore[method-assign]
        await hall.let_go("a", 5)
        await ended(hall, tasks)
        assert tasks[4].cancelled()
        assert not tasks[5].cancelled()

    run(leave)


async def ended(hall: Hall, tasks: list["asyncio.Task[None]"]) -> None:
    """All are done, and all threads are free."""
    await asyncio.gather(*tasks, return_exceptions=True)
    assert (hall.threads._free, hall.threads._held, hall.threads._waiting) == (COUNT, {}, {})
    hall.threads.shutdown()
