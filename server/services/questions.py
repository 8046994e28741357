"""Questions to the database that the door asks while somebody waits for the answer.

A database that is away says so at once; one that hangs (its disk, or its machine) says nothing, and the thread that
asks it may wait for ever. So each question has its own short time, and once one was not answered in time, all others
are refused at once, until the one that is asked again and again is answered.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from server.errors import AppError, Code

AT_ONCE = 8
PATIENCE = 3.0
"""Seconds for an answer. Three questions are asked for a login, and WinSCP gives up after fifteen."""

Answer = TypeVar("Answer")


class Questions:
    """Belongs to one event loop; waits `patience` seconds for an answer."""

    def __init__(self, patience: float = PATIENCE) -> None:
        self._patience = patience
        self._threads = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="questions")
        self._watcher = ThreadPoolExecutor(1, thread_name_prefix="watch")
        self._watching: asyncio.Future[Any] | None = None
        self._away = False

    async def ask(self, question: Callable[..., Answer], *about: object) -> Answer:
        """The answer, from a thread. Raises `AppError` unavailable while the database is away, or hangs."""
        if self._away:
            raise _no_answer()
        asked = asyncio.get_running_loop().run_in_executor(self._threads, question, *about)
        return await self._await(asked)

    async def watch(self, question: Callable[[], Answer]) -> Answer:
        """As `ask`, but it is asked in any case, and its answer tells that the database is there again.

        While it has no answer it is not asked a second time.
        """
        if self._watching is None or self._watching.done():
            self._watching = asyncio.get_running_loop().run_in_executor(self._watcher, question)
            self._watching.add_done_callback(lambda done: done.cancelled() or done.exception())  # it may come too late
        answer: Answer = await self._await(asyncio.shield(self._watching))
        self._away = False
        return answer

    async def _await(self, asked: asyncio.Future[Answer]) -> Answer:
        try:
            async with asyncio.timeout(self._patience):
                return await asked
        except TimeoutError:
            self._away = True
            raise _no_answer() from None
        except AppError as error:
            self._away = self._away or error.code is Code.UNAVAILABLE
            raise

    def close(self) -> None:
        """Ask nothing more; who still waits for an answer is left alone."""
        for threads in (self._threads, self._watcher):
            threads.shutdown(wait=False, cancel_futures=True)


def _no_answer() -> AppError:
    return AppError(Code.UNAVAILABLE, "The database does not answer.", "Look at its machine, and at its log.")
