"""Remote SFTP servers that are slow, broken or lie: nothing of it hangs us, fools us, or gets out of its directory."""

import asyncio
import os
import stat
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import asyncssh
import pytest
from asyncssh import SFTPAttrs, SFTPName

from server.clock import new_id, now
from server.errors import AppError
from server.remotes import places
from server.remotes.port import Remote
from server.remotes.reach import open_remote
from server.remotes.server import Kind, Server
from tests import peers
from tests.server.remotes.conftest import Harbour, fetching, sftp_server

pytestmark = pytest.mark.sqlite_only

HOST_KEY = asyncssh.generate_private_key("ssh-ed25519")
REGULAR = stat.S_IFREG | 0o644


@dataclass
class Trick:
    """How a server misbehaves; each field is one way."""

    names: list[bytes] = field(default_factory=lambda: [b"a.csv"])
    endless: bool = False
    content: bytes = b"abc"
    told_size: int | None = None
    bare: bool = False
    no_posix_rename: bool = False
    renaming: Literal["", "answered never", "refused, and the draft is gone"] = ""
    silent_after: float | None = None
    shorter: bool = False
    locked: bytes | None = None
    opened: list[bytes] = field(default_factory=list)
    written: dict[bytes, bytes] = field(default_factory=dict)
    removed: list[bytes] = field(default_factory=list)


class Files(asyncssh.SFTPServer):
    """A file system that exists in a `Trick` only."""

    def __init__(self, chan: Any, trick: Trick) -> None:
        super().__init__(chan)
        self._trick = trick

    def _attrs(self) -> SFTPAttrs:
        size = len(self._trick.content) if self._trick.told_size is None else self._trick.told_size
        return SFTPAttrs(size=size, permissions=REGULAR, atime=1, mtime=2**32 - 1)

    async def scandir(self, path: bytes) -> AsyncIterator[SFTPName]:
        bare = SFTPAttrs()
        number = 0
        while True:
            for name in self._trick.names:
                shown = b"%d-%s" % (number, name) if self._trick.endless else name
                yield SFTPName(shown, b"", bare if self._trick.bare else self._attrs())
            number += 1
            if not self._trick.endless:
                return

    async def lstat(self, path: bytes) -> SFTPAttrs:
        if path in self._trick.written:
            return SFTPAttrs(size=len(self._trick.written[path]), permissions=REGULAR, mtime=1, atime=1)
        if self._trick.renaming:
            raise asyncssh.SFTPNoSuchFile("it is not there")
        if self._trick.silent_after is not None:
            await asyncio.sleep(60)
        return self._attrs()

    async def stat(self, path: bytes) -> SFTPAttrs:
        return SFTPAttrs(permissions=stat.S_IFDIR | 0o755)

    async def open(self, path: bytes, pflags: int, attrs: SFTPAttrs) -> object:
        self._trick.opened.append(path)
        if self._trick.locked is not None and path.endswith(self._trick.locked):
            raise asyncssh.SFTPFailure("the process cannot access the file")
        if pflags & 2:
            self._trick.written[path] = b""
        return path

    async def read(self, handle: object, offset: int, size: int) -> bytes:
        if self._trick.shorter:
            size = max(1, size // 3)
        return self._trick.content[offset : offset + size]

    async def write(self, handle: object, offset: int, data: bytes) -> int:
        assert isinstance(handle, bytes)
        old = self._trick.written[handle]
        self._trick.written[handle] = old[:offset].ljust(offset, b"\0") + data + old[offset + len(data) :]
        return len(data)

    async def close(self, handle: object) -> None:
        pass

    async def rename(self, old: bytes, new: bytes) -> None:
        if new in self._trick.written:
            raise asyncssh.SFTPFailure("there is one")
        content = self._trick.written.pop(old)
        if self._trick.renaming.startswith("refused"):
            raise asyncssh.SFTPNoSuchFile("moved on by a program of ours")
        self._trick.written[new] = content
        if self._trick.renaming:
            await asyncio.Event().wait()

    async def posix_rename(self, old: bytes, new: bytes) -> None:
        if self._trick.no_posix_rename:
            raise asyncssh.SFTPOpUnsupported("no")
        self._trick.written[new] = self._trick.written.pop(old)

    async def remove(self, path: bytes) -> None:
        self._trick.removed.append(path)
        self._trick.written.pop(path, None)


class Open(asyncssh.SSHServer):
    """Lets everybody in."""

    def begin_auth(self, _username: str) -> bool:
        return False


def against(harbour: Harbour, trick: Trick, work: Callable[[Remote], Awaitable[Any]], **values: Any) -> Any:
    """Do `work` with such a server."""

    async def run() -> Any:
        listener = await asyncssh.listen(
            "127.0.0.1",
            0,
            server_factory=Open,
            server_host_keys=[HOST_KEY],
            sftp_factory=lambda chan: Files(chan, trick),
        )
        public = HOST_KEY.convert_to_public().export_public_key().decode().split()
        server = harbour.add(bare_server(listener.get_port(), host_key=" ".join(public[:2]), **values), password="x")
        try:
            state = harbour.state
            async with open_remote(state.database, state.cipher, harbour.log, server.id, harbour.home) as remote:
                return await work(remote)
        finally:
            listener.close()

    return asyncio.run(run())


def bare_server(port: int, **values: Any) -> Server:
    given = {"host": "127.0.0.1", "port": port, "username": "court", "timeout": 20.0, "directory": "/", **values}
    return Server(new_id(), new_id(), Kind.SFTP, now(), **given)


ODD = [b"../../etc/passwd", b"..", b".", b"a/b", b"\xff\xfe.csv", b"line\nbreak.csv", b"nul\0.csv", b"", b"x" * 300]
ODD.append(b"\x1b[2J.csv")


def test_odd_names_are_left_out_and_counted(harbour: Harbour) -> None:
    trick = Trick(names=[*ODD, b"good.csv", "gut ü.csv".encode()])
    found = against(harbour, trick, lambda remote: remote.list("/in"))
    assert [file.path for file in found] == ["/in/good.csv", "/in/gut ü.csv"]
    ((event, fields),) = harbour.said
    assert (event, fields["names"]) == ("names left out that cannot be used", 8)


def test_a_listing_without_an_end_is_given_up(harbour: Harbour, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("server.remotes.sftp.remote.MOST_FILES", 1000)
    monkeypatch.setattr(places, "MOST_FILES", 1000)
    with pytest.raises(AppError, match="more than 1000 entries") as refused:
        against(harbour, Trick(endless=True), lambda remote: remote.list("/in"))
    assert refused.value.code == "invalid"


def test_a_server_that_tells_nothing_in_its_listing_is_asked_for_each_file(harbour: Harbour) -> None:
    found = against(harbour, Trick(bare=True), lambda remote: remote.list("/in"))
    assert [(file.path, file.size) for file in found] == [("/in/a.csv", 3)]


async def fetch(remote: Remote, target: Path) -> None:
    await remote.fetch(await remote.look("/in/a.csv"), target, lambda _: None)


@pytest.mark.parametrize("told", [0, 2, 4, 5_000_000, 2**64 - 1])
def test_a_lie_about_the_size_is_never_a_whole_file(harbour: Harbour, tmp_path: Path, told: int) -> None:
    target = tmp_path / "target"
    trick = Trick(told_size=told)
    if told in (0, 2):  # what it tells is what there is for us: it is not asked for more, and cannot fill the disk
        against(harbour, trick, lambda remote: fetch(remote, target))
        assert target.read_bytes() == b"abc"[:told]
        return
    with pytest.raises(AppError, match="changed") as refused:
        against(harbour, trick, lambda remote: fetch(remote, target))
    assert refused.value.code == "conflict"
    assert target.stat().st_size <= 3


def test_short_answers_are_put_together(harbour: Harbour, tmp_path: Path) -> None:
    content = os.urandom(900_000)
    against(harbour, Trick(content=content, shorter=True), lambda remote: fetch(remote, tmp_path / "target"))
    assert (tmp_path / "target").read_bytes() == content


async def fetch_locked(remote: Remote, here: Path) -> None:
    await remote.fetch(await remote.look("/locked.csv"), here / "target", lambda _: None)


async def place_locked(remote: Remote, here: Path) -> None:
    await remote.place(here / "report.csv", "/", "locked.csv")


TRIES = {"read": fetch_locked, "write": place_locked}


@pytest.mark.parametrize("what", ["read", "write"])
def test_a_file_that_is_locked_is_no_server_that_is_away(harbour: Harbour, tmp_path: Path, what: str) -> None:
    (tmp_path / "report.csv").write_bytes(b"rows")

    async def work(remote: Remote) -> str:
        with pytest.raises(AppError) as refused:
            await TRIES[what](remote, tmp_path)
        assert refused.value.code == "invalid"
        await remote.fetch(await remote.look("/a.csv"), tmp_path / "other", lambda _: None)
        return str(refused.value)

    locked = b"locked.csv" if what == "read" else b"locked.csv.part"
    said = against(harbour, Trick(locked=locked), work)
    assert "locked.csv" in said
    assert "cannot access the file" in said
    assert (tmp_path / "other").read_bytes() == b"abc"


def test_without_posix_rename_a_file_is_still_replaced(harbour: Harbour, tmp_path: Path) -> None:
    (tmp_path / "source").write_bytes(b"new")
    trick = Trick(no_posix_rename=True, written={b"/out/report.csv": b"old"})
    against(harbour, trick, lambda remote: remote.place(tmp_path / "source", "/out", "report.csv"))
    assert trick.written == {b"/out/report.csv": b"new"}
    assert trick.opened == [b"/out/.report.csv.part"]


def test_what_a_rename_has_brought_is_not_deleted_for_want_of_an_answer(harbour: Harbour, tmp_path: Path) -> None:
    (tmp_path / "source").write_bytes(b"new")
    trick = Trick(no_posix_rename=True, renaming="answered never")
    with pytest.raises(AppError, match="fell silent") as late:
        against(harbour, trick, lambda remote: remote.place(tmp_path / "source", "/out", "report.csv"), timeout=4.0)
    assert late.value.code == "unavailable"
    assert trick.written == {b"/out/report.csv": b"new"}


def test_nothing_is_deleted_for_a_draft_that_is_gone(harbour: Harbour, tmp_path: Path) -> None:
    (tmp_path / "source").write_bytes(b"new")
    trick = Trick(no_posix_rename=True, renaming="refused, and the draft is gone")
    with pytest.raises(AppError) as refused:
        against(harbour, trick, lambda remote: remote.place(tmp_path / "source", "/out", "report.csv"))
    assert refused.value.code == "not_found"
    assert b"/out/report.csv" not in trick.removed


def test_a_server_that_falls_silent_is_given_up_in_time(harbour: Harbour) -> None:
    begun = time.monotonic()
    with pytest.raises(AppError, match="fell silent for more than 4 s") as refused:
        against(harbour, Trick(silent_after=0), lambda remote: remote.look("/in/a.csv"), timeout=4.0)
    assert refused.value.code == "unavailable"
    assert time.monotonic() - begun < 20


async def mute(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(-1)


async def chatter(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Lines without an end before the version (RFC 4253 section 4.2 allows some)."""
    try:
        while True:
            writer.write(b"welcome to this server\r\n" * 500)
            await writer.drain()
    except OSError:
        pass


async def flood(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """One line without an end."""
    try:
        while True:
            writer.write(b"w" * 65536)
            await writer.drain()
    except OSError:
        pass


async def web(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
    writer.close()


async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.close()


@pytest.mark.parametrize("behaviour", [mute, chatter, flood, web, hang_up], ids=lambda one: one.__name__)
def test_what_is_no_ssh_server_is_told_in_time(harbour: Harbour, behaviour: Any) -> None:
    async def run() -> None:
        listener = await asyncio.start_server(behaviour, "127.0.0.1", 0)
        port = listener.sockets[0].getsockname()[1]
        server = harbour.add(bare_server(port, host_key="ssh-ed25519 AAAA", timeout=2.0), password="x")
        state = harbour.state
        async with open_remote(state.database, state.cipher, harbour.log, server.id, harbour.home):
            raise AssertionError("there is nobody")

    begun = time.monotonic()
    with pytest.raises(AppError) as refused:
        asyncio.run(run())
    assert refused.value.code in ("unavailable", "invalid")
    assert refused.value.hint
    assert time.monotonic() - begun < 20


def test_nothing_listens_and_no_name(harbour: Harbour) -> None:
    async def run(server: Server) -> None:
        state = harbour.state
        async with open_remote(state.database, state.cipher, harbour.log, server.id, harbour.home):
            raise AssertionError("there is nobody")

    (port,) = peers.free_ports(1)
    for host, said in (("127.0.0.1", "refused the connection"), ("no-such-host.invalid", "no address")):
        server = harbour.add(bare_server(port, host_key="ssh-ed25519 AAAA", host=host), password="x")
        with pytest.raises(AppError, match=said) as refused:
            asyncio.run(run(server))
        assert refused.value.code == "unavailable"


def test_a_password_is_never_sent_to_a_server_with_another_host_key(harbour: Harbour) -> None:
    seen: list[str] = []

    class Thief(asyncssh.SSHServer):
        def begin_auth(self, username: str) -> bool:
            seen.append(username)
            return True

        def password_auth_supported(self) -> bool:
            return True

        def validate_password(self, username: str, password: str) -> bool:
            seen.append(password)
            return True

    async def run() -> None:
        listener = await asyncssh.listen(
            "127.0.0.1", 0, server_factory=Thief, server_host_keys=[asyncssh.generate_private_key("ssh-ed25519")]
        )
        trusted = " ".join(HOST_KEY.convert_to_public().export_public_key().decode().split()[:2])
        server = harbour.add(bare_server(listener.get_port(), host_key=trusted), password="the secret")
        state = harbour.state
        try:
            for _ in range(2):  # the second time it is known, and not even connected to
                with pytest.raises(AppError, match="HOST KEY CHANGED") as refused:
                    async with open_remote(state.database, state.cipher, harbour.log, server.id, harbour.home):
                        raise AssertionError("it was trusted")
                assert "the secret" not in str(refused.value)
        finally:
            listener.close()
        assert harbour.reload(server).host_key_state == "changed"

    asyncio.run(run())
    assert seen == []


@pytest.fixture(scope="module")
def large() -> bytes:
    return os.urandom(6_000_000)


def test_a_download_that_is_cut_goes_on_where_it_was(
    harbour: Harbour, sshd: peers.Sshd, tmp_path: Path, large: bytes
) -> None:
    (sshd.root / "large.csv").write_bytes(large)
    target = tmp_path / "target"
    starts: list[int] = []
    work = fetching("/large.csv", target, starts)

    with peers.wire(sshd.port) as wire:
        server = harbour.add(sftp_server(sshd, port=wire.port, timeout=3.0), private_key=sshd.key.read_text())
        for _ in range(2):
            wire.reset()
            wire.cut_after = 2_500_000
            with pytest.raises(AppError) as refused:
                harbour.use(server, work)
            assert refused.value.code == "unavailable"
        wire.reset()
        harbour.use(server, work)
    assert target.read_bytes() == large
    assert starts[0] == 0
    assert starts[1] > 1_000_000
    assert starts[2] > starts[1] + 1_000_000


def test_a_slow_wire_is_no_dead_one(harbour: Harbour, sshd: peers.Sshd, tmp_path: Path) -> None:
    (sshd.root / "slow.csv").write_bytes(b"x" * 200_000)

    async def work(remote: Remote) -> None:
        await remote.fetch(await remote.look("/slow.csv"), tmp_path / "target", lambda _: None)

    with peers.wire(sshd.port) as wire:
        server = harbour.add(sftp_server(sshd, port=wire.port, timeout=2.0), private_key=sshd.key.read_text())
        wire.delay = 0.2  # all in all longer than the timeout, each step shorter
        begun = time.monotonic()
        harbour.use(server, work)
    assert time.monotonic() - begun > 2.2
    assert (tmp_path / "target").stat().st_size == 200_000


def test_a_wire_that_goes_dead_is_given_up(harbour: Harbour, sshd: peers.Sshd, tmp_path: Path, large: bytes) -> None:
    (sshd.root / "dead.csv").write_bytes(large)

    with peers.wire(sshd.port) as wire:
        server = harbour.add(sftp_server(sshd, port=wire.port, timeout=2.0), private_key=sshd.key.read_text())

        def step(_: int) -> None:
            wire.silent = True

        async def work(remote: Remote) -> None:
            await remote.fetch(await remote.look("/dead.csv"), tmp_path / "target", step)

        begun = time.monotonic()
        with pytest.raises(AppError, match="silent") as refused:
            harbour.use(server, work)
    assert refused.value.code == "unavailable"
    assert time.monotonic() - begun < 20
