"""Keeps the processes of one machine running: starts each, starts it again when it dies, stops them in order.

A child tells by one byte on a pipe that it is ready. It holds the reading end of a second pipe, the lifeline, whose
writing end only the supervisor has: should the supervisor be killed, the children read its end and stop by themselves,
as on SIGTERM. A new supervisor may meet them while they do: sessions that end, a file that is being finished.

Children of one name may share a port, each with a socket of its own that the supervisor made and keeps. The kernel goes
on giving such a socket its part of all connections while its child is dead, and they would wait in vain: so it stops
listening as long as another child does, and the new child listens on it again when it can work.
"""

import asyncio
import os
import socket
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from server.errors import AppError, Code
from server.logs import Log

FIRST_PAUSE = 0.2
LONGEST_PAUSE = 30.0
LONGEST_ABSENCE = 2.0  # of a child that listens: clients wait meanwhile, and give up after 15 s
PATIENCE = 60.0
STEADY = 30.0  # a child that has run this long has recovered: its next restart is quick again


@dataclass(frozen=True)
class Role:
    """One child: its name in the log, the arguments of its command, and the socket that it is to listen on.

    `after_death` is called whenever it has ended by itself.
    """

    name: str
    arguments: Sequence[str]
    door: socket.socket | None = None
    after_death: Callable[[], None] = lambda: None

    @property
    def longest_pause(self) -> float:
        """Seconds until it is started again, at most."""
        return LONGEST_ABSENCE if self.door else LONGEST_PAUSE


@dataclass
class _Child:
    role: Role
    process: asyncio.subprocess.Process | None = None
    keeper: asyncio.Task[None] | None = None
    ready: asyncio.Event = field(default_factory=asyncio.Event)
    works: bool = False

    def is_ready(self) -> None:
        self.works = True
        self.ready.set()


class Supervisor:
    """Owns the children; `environment` is what each of them is started with.

    A child that is asked to stop has `patience` seconds for it, then it is killed.
    """

    def __init__(self, log: Log, environment: Mapping[str, str], patience: float = PATIENCE) -> None:
        self._log = log
        self._patience = patience
        self._environment = dict(environment)
        self._children: list[_Child] = []
        self._lifeline, self._held = os.pipe()
        self._stopping = asyncio.Event()

    async def start(self, role: Role) -> None:
        """Start a child, and return when it is ready. Raises `AppError` unavailable if it dies before it ever is."""
        child = _Child(role)
        self._children.append(child)
        child.keeper = asyncio.create_task(self._keep(child))
        ready = asyncio.create_task(child.ready.wait())
        await asyncio.wait((ready, child.keeper), return_when=asyncio.FIRST_COMPLETED)
        ready.cancel()
        if not child.ready.is_set():
            raise AppError(Code.UNAVAILABLE, f"The {role.name} process does not start.", "The log above says why.")

    async def stop(self, name: str) -> None:
        """Ask the children of that name to stop, and wait for their end. No child is started again from now on.

        Who hangs (on a disk that is away, say) is killed: whatever it did can be done again.
        """
        chosen = [child for child in self._children if child.role.name == name]
        self._stopping.set()
        for child in chosen:
            if child.process is not None and child.process.returncode is None:
                child.process.terminate()
        keepers = [child.keeper for child in chosen if child.keeper is not None]
        if keepers:
            await asyncio.wait(keepers, timeout=self._patience)
        for child in chosen:
            if child.process is not None and child.process.returncode is None:
                self._log.warning("process killed", role=name, pid=child.process.pid, after=self._patience)
                child.process.kill()
        await asyncio.gather(*keepers)

    async def _keep(self, child: _Child) -> None:
        pause, loop = FIRST_PAUSE, asyncio.get_running_loop()
        while not self._stopping.is_set():
            began = loop.time()
            try:
                status = await self._run(child)
            except OSError as error:  # no memory, no descriptors, no program: it may pass
                self._log.error("process not started", role=child.role.name, reason=error.strerror)
                status = -1
            if self._stopping.is_set() or not child.ready.is_set():
                return
            self._log.error("process ended", role=child.role.name, status=status, restart_in=pause)
            self._leave_to_others(child)
            child.role.after_death()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), pause)
            pause = FIRST_PAUSE if loop.time() - began > STEADY else min(pause * 2, child.role.longest_pause)

    def _leave_to_others(self, dead: _Child) -> None:
        """Have the kernel give all connections to those that work; if there are none, they wait for who comes first."""
        working = any(child.works and child.role.name == dead.role.name for child in self._children)
        if dead.role.door and working:
            with suppress(OSError):  # not every system can
                dead.role.door.shutdown(socket.SHUT_RD)

    async def _run(self, child: _Child) -> int:
        heard, told = os.pipe()
        doors = [child.role.door.fileno()] if child.role.door else []
        flags = ["--ready-fd", str(told), "--lifeline-fd", str(self._lifeline)]
        try:
            child.process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-P", "-m", "server.cli", *child.role.arguments, *flags),
                pass_fds=[*doors, told, self._lifeline],
                env=self._environment,
                stdin=asyncio.subprocess.DEVNULL,
                # Its own group: Ctrl-C in a terminal reaches the supervisor alone, which stops the rest in order.
                start_new_session=True,
            )
        except OSError:
            os.close(heard)
            raise
        finally:
            os.close(told)
        self._log.info("process started", role=child.role.name, pid=child.process.pid)
        listening = asyncio.create_task(_hear(heard, child))
        try:
            return await child.process.wait()
        finally:
            await listening
            child.works = False


async def _hear(heard: int, child: _Child) -> None:
    """Wait for the byte that says ready, or for the end of a child that never said it."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[None] = loop.create_future()
    loop.add_reader(heard, _settle, done)
    try:
        await done
        if os.read(heard, 1):
            child.is_ready()
    finally:
        loop.remove_reader(heard)
        os.close(heard)


def _settle(done: asyncio.Future[None]) -> None:
    if not done.done():
        done.set_result(None)


def tell_ready(descriptor: int | None) -> None:
    """Called by a child that can work."""
    if descriptor is not None:
        os.write(descriptor, b".")
        os.close(descriptor)
