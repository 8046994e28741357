"""Many SFTP sessions in one client process, which `bench.apart.beside` runs: asyncssh's client, on the server's CPUs.

What the process says: `Opened`; when it is told to go on, `Uploaded`; when it is told again, that all have left.
"""

import asyncio
import os
import resource
import time
from collections.abc import Awaitable, Iterable, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection

import asyncssh

from bench.peers import LOOPBACK, Server

#: Logins at a time: a server counts who has not logged in yet.
AT_ONCE = 20
LOGIN_SECONDS = 120
MIB = 1024 * 1024


@dataclass(frozen=True)
class Crowd:
    """How many sessions do nothing, and how many send a file of 1 MiB each when told to."""

    idle: int
    uploading: int


@dataclass(frozen=True)
class Opened:
    """All sessions stand, except those that failed, each with its reason."""

    seconds: float
    failures: list[str]


@dataclass(frozen=True)
class Uploaded:
    """All have sent their file, and the idle ones were asked whether they are still there."""

    seconds: float
    failures: list[str]


@dataclass(frozen=True)
class Session:
    """One connection with one SFTP channel."""

    connection: asyncssh.SSHClientConnection
    sftp: asyncssh.SFTPClient


def hold(pipe: Connection, server: Server, crowd: Crowd) -> None:
    """Open the sessions; upload when told to; leave when told again."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    asyncio.run(_hold(pipe, server, crowd))


def file_name(number: int) -> str:
    """What the session of that number calls its file."""
    return f"crowd-{number:04}.bin"


async def enter(server: Server) -> Session:
    """Log in and open SFTP, with the algorithms that all servers have."""
    connection = await asyncssh.connect(
        LOOPBACK,
        server.port,
        username=server.user,
        client_keys=[str(server.key)],
        known_hosts=None,
        config=None,
        agent_path=None,
        kex_algs=["curve25519-sha256"],
        encryption_algs=["aes128-gcm@openssh.com"],
        login_timeout=LOGIN_SECONDS,
        connect_timeout=LOGIN_SECONDS,
    )
    return Session(connection, await connection.start_sftp_client())


async def _hold(pipe: Connection, server: Server, crowd: Crowd) -> None:
    begun = time.perf_counter()
    limit = asyncio.Semaphore(AT_ONCE)

    async def one() -> Session:
        async with limit:
            return await enter(server)

    opened = await asyncio.gather(*(one() for _ in range(crowd.idle + crowd.uploading)), return_exceptions=True)
    sessions = [session for session in opened if isinstance(session, Session)]
    pipe.send(Opened(time.perf_counter() - begun, _failures(opened)))
    await asyncio.to_thread(pipe.recv)
    pipe.send(await _upload(sessions[: crowd.uploading], sessions[crowd.uploading :]))
    await asyncio.to_thread(pipe.recv)
    for session in sessions:
        session.connection.close()
    await asyncio.gather(*(session.connection.wait_closed() for session in sessions), return_exceptions=True)
    pipe.send(None)


async def _upload(busy: Sequence[Session], idle: Sequence[Session]) -> Uploaded:
    data = os.urandom(MIB)
    begun = time.perf_counter()
    sendings = (_send(session, file_name(number), data) for number, session in enumerate(busy))
    sent = await _all(sendings)
    seconds = time.perf_counter() - begun
    asked = await _all(session.sftp.realpath(".") for session in idle)
    return Uploaded(seconds, [*_failures(sent), *_failures(asked)])


async def _send(session: Session, name: str, data: bytes) -> None:
    async with session.sftp.open(f"/upload/{name}", "wb") as file:
        await file.write(data)


async def _all(calls: Iterable[Awaitable[object]]) -> list[object]:
    return list(await asyncio.gather(*calls, return_exceptions=True))


def _failures(results: Sequence[object]) -> list[str]:
    return [f"{type(result).__name__}: {result}" for result in results if isinstance(result, BaseException)]
