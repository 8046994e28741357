"""Directories that are moved: how deep they may come, and what becomes of the files in them."""

import os
import time

import pytest

from server.sftp import depth
from server.sftp.paths import DEPTH
from tests.server.sftp.conftest import RunningDoor
from tests.server.sftp.rawclient import MKDIR, RawClient, Refused, attributes, text


def make_chain(client: RawClient, top: str, deepest: int) -> str:
    """Make directories in each other, the last of them so deep below `/`; the last."""
    path = top
    client.mkdir(path)
    while path.count("/") < deepest:
        path += "/x"
        client.mkdir(path)
    return path


def test_a_directory_is_moved_only_so_deep_that_all_in_it_could_have_been_made_there(door: RunningDoor) -> None:
    with door.raw() as client:
        last = make_chain(client, "/upload/a", DEPTH - 1)
        client.put(f"{last}/ecr.csv", b"12345")
        client.mkdir("/upload/b")
        for posix in (False, True):
            with pytest.raises(Refused, match=f"nested {DEPTH} deep"):
                client.rename("/upload/a", "/upload/b/a", posix)
        client.remove(f"{last}/ecr.csv")
        client.rename("/upload/a", "/upload/b/a")
        assert client.names("/upload/b/a" + last.removeprefix("/upload/a")) == []


def test_what_is_too_deep_already_may_be_moved_up_and_aside(door: RunningDoor) -> None:
    with door.raw() as client:
        client.mkdir("/upload/a")
        client.mkdir("/upload/a/b")
        door.uploaded("a/b/" + "x/" * DEPTH).mkdir(parents=True)
        client.rename("/upload/a/b", "/upload/a/c")
        client.rename("/upload/a/c", "/upload/d")


def test_how_much_is_looked_at_is_bounded(door: RunningDoor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(depth, "MOST_LOOKED_AT", 10)
    with door.raw() as client:
        for name in ("small", "large", "b"):
            client.mkdir(f"/upload/{name}")
        for number in range(11):
            door.uploaded(f"large/{number}").touch()
        for number in range(10):
            door.uploaded(f"small/{number}").touch()
        with pytest.raises(Refused, match="in parts"):
            client.rename("/upload/large", "/upload/b/large")
        client.rename("/upload/small", "/upload/b/small")
        client.rename("/upload/large", "/upload/larger")


def test_looking_leaves_nothing_open_and_follows_no_link(door: RunningDoor) -> None:
    with door.raw() as client:
        last = make_chain(client, "/upload/a", DEPTH)
        client.mkdir("/upload/b")
        before = len(os.listdir("/proc/self/fd"))
        for _ in range(20):
            with pytest.raises(Refused, match="nested"):
                client.rename("/upload/a", "/upload/b/a")
        assert len(os.listdir("/proc/self/fd")) < before + 20
        client.rmdir(last)
        (door.uploaded("a") / "out").symlink_to("/")
        client.rename("/upload/a", "/upload/b/a")


def test_no_directory_is_made_while_one_above_it_is_moved(door: RunningDoor) -> None:
    with door.raw() as client:
        client.mkdir("/upload/a")
        with door.journal.locked("court", "/upload/a", "/upload/b", tree=True):
            request = client.send(MKDIR, text("/upload/a/x") + attributes())
            time.sleep(0.3)
            assert not door.uploaded("a/x").exists()
        client.ok(request)
        assert door.uploaded("a/x").is_dir()
