"""The supervisor and real children: started, started again, stopped."""

import asyncio
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager

import psutil
import pytest

from server.errors import AppError
from server.logs import open_log
from server.settings import Settings, environment
from server.state import State
from server.supervisor import Role, Supervisor

WORKER = Role("worker", ["serve", "--role", "worker"])


@contextmanager
def _supervisor(settings: Settings) -> Iterator[Supervisor]:
    yield Supervisor(open_log("error"), environment(settings))


def children() -> list[psutil.Process]:
    return [child for child in psutil.Process().children() if _is_worker(child)]


def _is_worker(child: psutil.Process) -> bool:
    try:
        return "worker" in child.cmdline()
    except psutil.Error:  # it has just died
        return False


async def appear(other_than: set[int]) -> psutil.Process:
    for _ in range(400):
        fresh = [child for child in children() if child.pid not in other_than]
        if fresh:
            return fresh[0]
        await asyncio.sleep(0.05)
    raise AssertionError("no new child")


def test_a_child_that_dies_is_started_again_and_stop_ends_it(state: State) -> None:
    async def play() -> None:
        with _supervisor(state.settings) as supervisor:
            await supervisor.start(WORKER)
            [first] = children()
            os.kill(first.pid, signal.SIGKILL)
            second = await appear({first.pid})
            await asyncio.sleep(0.1)
            await supervisor.stop("worker")
            assert not second.is_running()
            assert children() == []

    asyncio.run(play())


def test_a_child_that_cannot_start_is_told(state: State) -> None:
    async def play() -> None:
        with _supervisor(state.settings) as supervisor:
            with pytest.raises(AppError, match="worker process does not start"):
                await supervisor.start(Role("worker", ["serve", "--role", "juggler"]))
            await supervisor.stop("worker")

    asyncio.run(play())
