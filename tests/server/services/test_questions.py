"""Questions to a database that hangs."""

import asyncio
import threading
from collections.abc import Iterator

import pytest

from server.errors import AppError, Code
from server.services.questions import AT_ONCE, Questions


@pytest.fixture
def stuck() -> Iterator[threading.Event]:
    """Who waits for it hangs until the end of the test, or until it is set."""
    event = threading.Event()
    yield event
    event.set()


def unavailable(code: Code = Code.UNAVAILABLE) -> None:
    raise AppError(code, "No.")


def test_an_answer_is_given() -> None:
    async def play() -> None:
        questions = Questions()
        assert await questions.ask(lambda a, b: a + b, 1, 2) == 3
        assert await questions.watch(lambda: 4) == 4
        with pytest.raises(AppError, match="No"):
            await questions.ask(unavailable, Code.INVALID)
        assert await questions.ask(lambda: 5) == 5, "what is no fault of the database stops nobody"
        questions.close()

    asyncio.run(play())


def test_once_one_hangs_nobody_else_waits_until_the_watch_is_answered(stuck: threading.Event) -> None:
    asked: list[int] = []

    async def play() -> None:
        questions = Questions(0.1)
        with pytest.raises(AppError, match="does not answer"):
            await questions.ask(stuck.wait)
        for number in range(AT_ONCE):
            with pytest.raises(AppError, match="does not answer"):
                await questions.ask(asked.append, number)
        assert asked == [], "they were refused, not asked"
        assert await questions.watch(lambda: "there") == "there"
        await questions.ask(asked.append, 7)
        assert asked == [7]
        questions.close()

    asyncio.run(play())


def test_a_database_that_says_it_is_away_is_asked_by_the_watch_alone() -> None:
    async def play() -> None:
        questions = Questions()
        with pytest.raises(AppError):
            await questions.watch(unavailable)
        with pytest.raises(AppError, match="does not answer"):
            await questions.ask(lambda: 1)
        await questions.watch(lambda: None)
        assert await questions.ask(lambda: 1) == 1
        questions.close()

    asyncio.run(play())


def test_a_watch_that_hangs_is_asked_once(stuck: threading.Event) -> None:
    asked: list[int] = []

    def hang() -> str:
        asked.append(1)
        stuck.wait()
        return "there"

    async def play() -> None:
        questions = Questions(0.1)
        for _ in range(3):
            with pytest.raises(AppError, match="does not answer"):
                await questions.watch(hang)
        assert asked == [1]
        stuck.set()
        assert await questions.watch(hang) == "there"
        questions.close()

    asyncio.run(play())
