"""The supervisor and real children: started, started again, stopped."""

import asyncio
import os
import signal
import subprocess
import sys
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


def test_a_child_that_hangs_is_killed(state: State) -> None:
    async def play() -> None:
        supervisor = Supervisor(open_log("error"), environment(state.settings), 0.5)
        await supervisor.start(WORKER)
        [child] = children()
        os.kill(child.pid, signal.SIGSTOP)  # hears nothing any more
        async with asyncio.timeout(10):
            await supervisor.stop("worker")
        assert not child.is_running()

    asyncio.run(play())


SCHEDULER = """
import asyncio, sys, threading, time
from server import app
from server.settings import Settings

def hang(*_):
    threading.Timer(0.5, lambda: app.signal.raise_signal(15)).start()
    async def walk():
        stuck = asyncio.create_task(asyncio.to_thread(time.sleep, 60))
        await asyncio.sleep(0.1)
        stuck.cancel()
        await asyncio.gather(stuck, return_exceptions=True)
    asyncio.run(walk())

def die(*_):
    raise MemoryError

app.GRACE = 0.3
app._sync = {"hang": hang, "die": die}[sys.argv[1]]
app.run_scheduler(Settings(), app.Child())
"""


@pytest.mark.parametrize(("what", "status", "said"), [("hang", 0, "without waiting"), ("die", 1, "part of the")])
def test_a_scheduler_with_a_thread_that_hangs_or_dies_ends(state: State, what: str, status: int, said: str) -> None:
    command = [sys.executable, "-c", SCHEDULER, what]
    done = subprocess.run(command, env=environment(state.settings), capture_output=True, text=True, timeout=30)
    assert done.returncode == status, done.stderr
    assert said in done.stderr


def test_a_child_that_cannot_start_is_told(state: State) -> None:
    async def play() -> None:
        with _supervisor(state.settings) as supervisor:
            with pytest.raises(AppError, match="worker process does not start"):
                await supervisor.start(Role("worker", ["serve", "--role", "juggler"]))
            await supervisor.stop("worker")

    asyncio.run(play())
