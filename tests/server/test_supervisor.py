"""The supervisor and real children: started, started again, stopped."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from server.app import listen
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


DOOR = """#!{python}
import os, socket, sys, time
while not os.path.exists(__file__ + ".may-begin"):
    time.sleep(0.01)
told, door = (int(sys.argv[sys.argv.index(name) + 1]) for name in ("--ready-fd", "--socket-fd"))
door = socket.socket(fileno=door)
door.listen()
os.write(told, b".")
while True:
    client, _ = door.accept()
    client.sendall(str(os.getpid()).encode())
    client.close()
"""


def who_greets(port: int) -> int:
    with socket.create_connection(("127.0.0.1", port), timeout=5) as client:
        return int(client.recv(20))


def test_while_a_door_is_dead_another_takes_all_connections(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "door"
    program.write_text(DOOR.format(python=sys.executable))
    program.chmod(0o700)
    (may_begin := tmp_path / "door.may-begin").touch()
    monkeypatch.setattr("server.supervisor.sys.executable", str(program))
    doors, dead = listen("127.0.0.1", 0, 2), []
    port = doors[0].getsockname()[1]

    def role(door: socket.socket) -> Role:
        return Role("sftp", ["--socket-fd", str(door.fileno())], door, lambda: dead.append(door))

    async def greeters() -> set[int]:
        return {await asyncio.to_thread(who_greets, port) for _ in range(30)}

    async def play() -> None:
        supervisor = Supervisor(open_log("error"), os.environ)
        await asyncio.gather(*(supervisor.start(role(door)) for door in doors))
        everybody = await greeters()
        for _ in range(2):
            may_begin.unlink()
            killed, left = everybody
            os.kill(killed, signal.SIGKILL)
            async with asyncio.timeout(10):
                while not dead:
                    await asyncio.sleep(0.001)
                assert await greeters() == {left}
                may_begin.touch()
                while len(everybody := await greeters()) < 2:  # it is started again, and takes its part
                    await asyncio.sleep(0.01)
            assert dead.pop() in doors
        await supervisor.stop("sftp")

    try:
        asyncio.run(play())
    finally:
        for door in doors:
            door.close()


def test_a_door_is_never_away_for_long() -> None:
    """Clients give up after 15 seconds; of nobody else's absence anybody takes notice."""
    with socket.socket() as door:
        assert Role("sftp", [], door).longest_pause <= 2
    assert WORKER.longest_pause > 2


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
