"""The jail while everything in it moves: directories are renamed and swapped for links between looking and opening.

One client renames, somebody with access to the disk swaps in links that lead to a neighbour's home, and meanwhile the
other client does everything one can do with a path, ten thousand times. Not once may it reach the neighbour.
"""

import os
import shutil
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.server.sftp.conftest import RunningDoor
from tests.server.sftp.player import snapshot
from tests.server.sftp.rawclient import (
    CLOSE,
    DATA,
    EXTENDED,
    F_READ,
    F_WRITE,
    HANDLE,
    LSTAT,
    MKDIR,
    NEW,
    OK,
    OPEN,
    OPENDIR,
    READ,
    READDIR,
    REMOVE,
    RENAME,
    RMDIR,
    SETSTAT,
    STAT,
    STATUS,
    WRITE,
    RawClient,
    attributes,
    text,
)

SECRET = b"the-canary-sings"
SIZE = 7_654_321
TRIES = 10_000
BATCH = 60

Opener = Callable[..., RunningDoor]


@pytest.fixture
def moving(open_door: Opener, hot_path: bool) -> RunningDoor:
    """A door with a directory to fight about, and the neighbour's home that looks the same from inside."""
    door = open_door(hot_path=hot_path, settle=0)
    for home, content in ((door.home(), b"own"), (door.home("prey"), SECRET)):
        folder = home / "upload" / "p" / "d"
        folder.mkdir(parents=True)
        for name in ("secret.csv", "victim.csv"):
            (folder / name).write_bytes(content)
            if content == SECRET:
                os.truncate(folder / name, SIZE)
    return door


class Swapper(threading.Thread):
    """Somebody on the server's disk: swaps directories and a file for links to the neighbour's, and back.

    It must not walk into its own links, which the client moves about; so it goes by descriptors.
    """

    def __init__(self, door: RunningDoor) -> None:
        super().__init__(daemon=True)
        self.stopping = threading.Event()
        self.swaps = 0
        self._upload = door.home() / "upload"
        self._prey = door.home("prey") / "upload"

    def run(self) -> None:
        while not self.stopping.is_set():
            for parent, name in (((), "p"), (("p",), "d"), (("p", "d"), "secret.csv")):
                with suppress(OSError):
                    self._tidy()
                with suppress(OSError), descend(self._upload, *parent) as fd, descend(self._upload) as top:
                    self._swap(fd, name, top, str(self._prey.joinpath(*parent, name)))

    def _swap(self, fd: int, name: str, top: int, goal: str) -> None:
        os.rename(name, "aside", src_dir_fd=fd, dst_dir_fd=top)
        try:
            os.symlink(goal, name, dir_fd=fd)
            self.swaps += 1
            time.sleep(0.0005)
            os.unlink(name, dir_fd=fd)
        finally:
            os.rename("aside", name, src_dir_fd=top, dst_dir_fd=fd)

    def _tidy(self) -> None:
        """Bring back what the clients have deleted, moved away or blocked, so that the fight goes on."""
        for name in ("aside", "stolen.csv", *(("q", "d") if (self._upload / "p").exists() else ())):
            place = self._upload / name
            if place.is_dir() and not place.is_symlink():
                shutil.rmtree(place)
            else:
                place.unlink(missing_ok=True)
        with descend(self._upload) as top, suppress(FileExistsError):
            os.mkdir("p", dir_fd=top)
        with descend(self._upload, "p") as fd, suppress(FileExistsError):
            os.mkdir("d", dir_fd=fd)
        with descend(self._upload, "p", "d") as fd:
            for name in ("secret.csv", "victim.csv"):
                with suppress(FileExistsError):
                    made = os.open(name, os.O_CREAT | os.O_EXCL | os.O_WRONLY, dir_fd=fd)
                    os.write(made, b"own")
                    os.close(made)


@contextmanager
def descend(top: Path, *names: str) -> Iterator[int]:
    """A descriptor of a directory that is reached over no link."""
    fd = os.open(top, os.O_RDONLY | os.O_DIRECTORY)
    try:
        for name in names:
            deeper = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=fd)
            os.close(fd)
            fd = deeper
        yield fd
    finally:
        os.close(fd)


class Mover(threading.Thread):
    """The first client: renames the directory, its parent and the files in it, to and fro."""

    def __init__(self, client: RawClient) -> None:
        super().__init__(daemon=True)
        self.stopping = threading.Event()
        self.renamed: Counter[bool] = Counter()
        self._client = client

    def run(self) -> None:
        pairs = [("p/d", "p/e"), ("p", "q"), ("p/d/secret.csv", "p/d/x.csv"), ("p/d", "d")]
        while not self.stopping.is_set():
            asked = []
            for old, new in pairs:
                for one, other in ((old, new), (new, old)):
                    names = text(f"/upload/{one}") + text(f"/upload/{other}")
                    asked.append(self._client.send(RENAME, names))
                    posix = text("posix-rename@openssh.com")
                    asked.append(self._client.send(EXTENDED, posix + text(f"/upload/{other}") + text(f"/upload/{one}")))
            self.renamed.update(self._client.status(request)[0] == OK for request in asked)
            self.stopping.wait(0.01)


def wanted(number: int) -> Iterator[tuple[int, bytes]]:
    """What the second client tries with the paths that move; each is one try."""
    folder, name = "/upload/p/d", f"/upload/p/d/{('secret', 'victim')[number % 2]}.csv"
    yield OPEN, text(name) + struct.pack(">I", F_READ) + attributes()
    yield OPEN, text(name) + struct.pack(">I", F_READ) + attributes()
    if number % 4 == 0:  # they cost the most
        yield OPEN, text(f"{folder}/new{number}.csv") + struct.pack(">I", NEW) + attributes()
        yield OPEN, text(name) + struct.pack(">I", NEW if number % 8 else F_WRITE) + attributes()
        yield OPENDIR, text(folder)
    yield LSTAT, text(name)
    yield STAT, text(folder)
    yield STAT, text(name)
    yield SETSTAT, text(name) + attributes(size=1, mtime=1)
    yield MKDIR, text(f"{folder}/made{number % 4}") + attributes()
    yield RMDIR, text(f"{folder}/made{number % 4}")
    yield REMOVE, text(f"{folder}/new{number}.csv" if number % 5 else name)
    yield RENAME, text(name) + text("/upload/stolen.csv")
    yield REMOVE, text("/upload/stolen.csv")


def follow(client: RawClient, kind: int, handle: bytes) -> Iterator[int]:
    """What one does with a handle that was got."""
    if kind == OPENDIR:
        yield client.send(READDIR, text(handle))
    else:
        yield client.send(WRITE, text(handle) + struct.pack(">Q", 0) + text(b"overwritten"))
        yield client.send(READ, text(handle) + struct.pack(">QI", 0, 100))
    yield client.send(CLOSE, text(handle))


def fight(client: RawClient, tries: int) -> Counter[str]:
    """Try that many times, many at once; how often which answer came. Fails at the first word of the neighbour's."""
    seen: Counter[str] = Counter()
    number = 0
    while seen["tries"] < tries:
        asked = []
        while len(asked) < BATCH:
            number += 1
            asked += [(kind, client.send(kind, body)) for kind, body in wanted(number)]
        seen["tries"] += len(asked)
        later = []
        for kind, request in asked:
            answer, body = client.answer(request)
            _check(body)
            refused = answer == STATUS and body[:4] != b"\0\0\0\0"
            seen["refused" if refused else "done"] += 1
            if answer == HANDLE:
                later += follow(client, kind, body[4:])
        for request in later:
            answer, body = client.answer(request)
            _check(body)
            seen["read"] += answer == DATA
    return seen


def _check(body: bytes) -> None:
    assert SECRET not in body, "a file of the neighbour's was read"
    assert struct.pack(">Q", SIZE) not in body, "a file of the neighbour's was looked at"


def test_ten_thousand_tries_while_directories_and_links_swap_places(moving: RunningDoor) -> None:
    prey = moving.home("prey")
    before = snapshot(str(prey), [])
    mover, swapper = Mover(_quick(moving.raw())), Swapper(moving)
    client = _quick(moving.raw())
    for thread in (mover, swapper):
        thread.start()
    try:
        seen = fight(client, TRIES)
    finally:
        for thread in (mover, swapper):
            thread.stopping.set()
            thread.join(20)
    assert snapshot(str(prey), []) == before
    assert all(
        (prey / "upload" / "p" / "d" / name).read_bytes()[:16] == SECRET for name in ("secret.csv", "victim.csv")
    )
    assert swapper.swaps > 100, "the links were hardly ever there"
    assert mover.renamed[True] > 100, "the directories hardly ever moved"
    assert min(seen["done"], seen["refused"], seen["read"]) > 50, f"hardly a race: {seen}"
    for one in (client, mover._client):
        one.client.close()


def _quick(client: RawClient) -> RawClient:
    """Let the system send small packets at once."""
    transport = client.client.get_transport()
    assert transport
    transport.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return client
