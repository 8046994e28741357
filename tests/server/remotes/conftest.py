"""Servers of each kind with real peers behind them; one peer for all tests of a module."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

import pytest

from keys.cipher import Cipher
from keys.secret import Secret
from server.clock import new_id, now
from server.logs import Log, open_log
from server.remotes import store
from server.remotes.port import Remote
from server.remotes.reach import open_remote
from server.remotes.secrets import seal_secret
from server.remotes.server import Kind, SecretField, Server
from server.state import State
from tests import peers

T = TypeVar("T")


@dataclass
class Harbour:
    """A state to keep servers in, and a way to use one."""

    state: State
    log: Log
    home: Path
    said: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    @property
    def cipher(self) -> Cipher:
        return self.state.cipher()

    def add(self, server: Server, **secrets: str) -> Server:
        """Keep the server with those secrets."""
        sealed = {
            SecretField(name): seal_secret(self.cipher, server.id, SecretField(name), Secret(value.encode()))
            for name, value in secrets.items()
        }
        with self.state.database.writing() as conn:
            return store.add_server(conn, replace(server, sealed=sealed))

    def reload(self, server: Server) -> Server:
        with self.state.database.reading() as conn:
            return store.server_by_id(conn, server.id)

    def use(self, server: Server, work: Callable[[Remote], Awaitable[T]]) -> T:
        """Do `work` over a connection of its own."""

        async def run() -> T:
            database, cipher = self.state.database, self.state.cipher
            async with open_remote(database, cipher, self.log, server.id, self.home) as remote:
                return await work(remote)

        return asyncio.run(run())


class Ear:
    """A log that remembers what was said."""

    def __init__(self, said: list[tuple[str, dict[str, Any]]]) -> None:
        self._said = said

    def __getattr__(self, _level: str) -> Callable[..., None]:
        return lambda event, **fields: self._said.append((event, fields))


@pytest.fixture
def harbour(state: State, tmp_path: Path) -> Harbour:
    home = tmp_path / "home"
    for area in ("upload", "download"):
        (home / area).mkdir(parents=True)
    said: list[tuple[str, dict[str, Any]]] = []
    return Harbour(state, Ear(said), home, said)


@pytest.fixture(scope="module")
def sshd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[peers.Sshd]:
    with peers.sshd(tmp_path_factory.mktemp("sshd") / "peer") as peer:
        yield peer


@pytest.fixture(scope="module")
def weed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[peers.Bucket]:
    with peers.seaweedfs(tmp_path_factory.mktemp("weed")) as peer:
        yield peer


def sftp_server(peer: peers.Sshd, **values: Any) -> Server:
    """The row of an sshd, its host key trusted."""
    given = {"host": peer.host, "port": peer.port, "username": peer.user, "directory": str(peer.root), "timeout": 5.0}
    made = Server(new_id(), new_id(), Kind.SFTP, now(), host_key=peer.host_key)
    return replace(made, **{**given, **values})


def s3_server(peer: peers.Bucket, **values: Any) -> Server:
    """The row of a bucket."""
    given = {"host": peer.host, "port": peer.port, "bucket": peer.bucket, "region": peer.region, "timeout": 5.0}
    made = Server(new_id(), new_id(), Kind.S3, now(), path_style=True, plain_http=True)
    return replace(made, **{**given, **values})


__all__ = ["Harbour", "open_log", "s3_server", "sftp_server"]


def fetching(path: str, target: Path, starts: list[int]) -> Callable[[Remote], Awaitable[None]]:
    """Fetches a file, and notes with how many bytes of it that began."""

    async def work(remote: Remote) -> None:
        steps: list[int] = []
        file = await remote.look(path)
        try:
            await remote.fetch(file, target, steps.append)
        finally:
            starts.append(steps[0])

    return work
