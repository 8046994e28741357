"""Directories that are moved: how deep they may come, and what becomes of the files in them."""

import os
import time
from contextlib import suppress

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


def opened() -> int:
    """How many descriptors this process has, but for files without a name, which are made ahead."""
    links = []
    for number in os.listdir("/proc/self/fd"):
        with suppress(FileNotFoundError):
            links.append(os.readlink(f"/proc/self/fd/{number}"))
    return sum(not link.endswith(" (deleted)") for link in links)


def test_looking_leaves_nothing_open_and_follows_no_link(door: RunningDoor) -> None:
    with door.raw() as client:
        last = make_chain(client, "/upload/a", DEPTH)
        client.mkdir("/upload/b")
        before = opened()
        for _ in range(20):
            with pytest.raises(Refused, match="nested"):
                client.rename("/upload/a", "/upload/b/a")
        assert opened() < before + 20
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


def test_what_settles_in_a_directory_that_another_process_moves_arrives_under_its_new_path(
    two_doors: tuple[RunningDoor, RunningDoor],
) -> None:
    door, other = two_doors
    with door.raw() as client, other.raw() as elsewhere:
        for name in ("/upload/a", "/upload/a/x", "/upload/ab"):
            client.mkdir(name)
        for name in ("/upload/a/1.csv", "/upload/a/x/2.csv", "/upload/ab/3.csv"):
            client.put(name, b"12345")
        elsewhere.rename("/upload/a", "/upload/b")
        elsewhere.rename("/upload/b", "/upload/ab/c")
        moved = {"/upload/ab/c/1.csv", "/upload/ab/c/x/2.csv", "/upload/ab/3.csv"}
        assert {manifest.path for manifest in door.spool.all()} == moved, "before RENAME is answered"
        door.arrival(3)
    assert {manifest.path for manifest in door.intake.arrived} == moved
    other.drain()
    assert other.intake.arrived == []


def test_what_settles_in_a_directory_that_moves_arrives_under_its_new_path_and_can_be_taken_back(
    two_doors: tuple[RunningDoor, RunningDoor],
) -> None:
    door, _ = two_doors
    with door.raw() as client:
        client.mkdir("/upload/a")
        client.put("/upload/a/1.csv", b"12345")
        client.put("/upload/a/2.csv", b"12345")
        client.put("/upload/a/3.csv", b"12345")
        client.rename("/upload/a", "/upload/b")
        client.remove("/upload/b/2.csv")
        client.rename("/upload/b/3.csv", "/upload/3.csv")
        door.arrival(2)
    door.drain()
    assert {manifest.path for manifest in door.intake.arrived} == {"/upload/b/1.csv", "/upload/3.csv"}


def test_what_replaced_a_settling_file_is_not_taken_for_it(two_doors: tuple[RunningDoor, RunningDoor]) -> None:
    door, other = two_doors
    with door.raw() as client, other.raw() as elsewhere:
        client.mkdir("/upload/a")
        client.put("/upload/a/1.csv", b"12345")
        elsewhere.put("/upload/a/1.csv", b"1234567")
        elsewhere.rename("/upload/a", "/upload/b")
        first, second = sorted(door.spool.all(), key=lambda manifest: manifest.size)
    assert (first.path, second.path) == ("/upload/a/1.csv", "/upload/b/1.csv")
