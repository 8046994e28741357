"""Small things are done at once while the disk is quick, and in a thread where they could hold others up."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from server.intake.journal import Journal
from server.sftp import reception
from server.sftp.reception import Reception
from tests.server.sftp.conftest import RunningDoor, wait_until
from tests.server.sftp.rawclient import Refused

Ways = list[tuple[str, bool]]


@pytest.fixture
def ways(monkeypatch: pytest.MonkeyPatch) -> Ways:
    """Of each beginning and ending: what it is, and whether it was done on the event loop; "slow" takes its time."""
    seen: Ways = []
    for name in ("begin_new", "close"):
        monkeypatch.setattr(Reception, name, _watched(getattr(Reception, name), name, seen))
    return seen


def _watched(done: Callable[..., Any], name: str, seen: Ways) -> Callable[..., Any]:
    def watched(*args: Any, **kwargs: Any) -> Any:
        seen.append((name, not threading.current_thread().name.startswith("sftp")))
        if any("slow" in str(getattr(argument, "path", "")) for argument in args):
            time.sleep(0.1)
        return done(*args, **kwargs)

    return watched


@contextmanager
def busy(door: RunningDoor, path: str) -> Iterator[None]:
    """Another process changes that path just now."""
    with Journal(door.journal.root, durable=False).locked("court", path):
        yield


def test_small_files_need_no_thread(door: RunningDoor, ways: Ways) -> None:
    with door.raw() as client:
        client.put("/upload/a.csv", b"12345")
        assert door.arrival().path == "/upload/a.csv"
    assert ways == [("begin_new", True), ("close", True)]


def test_what_is_flushed_to_the_disk_is_left_to_a_thread(open_door: Callable[..., RunningDoor], ways: Ways) -> None:
    with open_door(durability="fsync").raw() as client:
        client.put("/upload/a.csv", b"12345")
    assert ways == [("begin_new", False), ("close", False)]


def test_replacing_a_file_is_left_to_a_thread(door: RunningDoor, ways: Ways) -> None:
    with door.raw() as client:
        client.put("/upload/a.csv", b"12345")
        client.put("/upload/a.csv", b"123")
        assert door.content(door.arrival(2)) == b"123"
    assert ways[2:4] == [("begin_new", True), ("begin_new", False)]


def test_after_something_slow_threads_do_it_for_a_while(door: RunningDoor, ways: Ways) -> None:
    with door.raw() as client:
        client.put("/upload/slow.csv", b"12345")
        client.put("/upload/a.csv", b"12345")
    assert ways[0] == ("begin_new", True)
    assert not any(at_once for _, at_once in ways[1:])


def test_a_path_that_another_process_changes_holds_up_nobody_else(door: RunningDoor, ways: Ways) -> None:
    sent = threading.Event()

    def send() -> None:
        with door.raw() as client:
            client.put("/upload/a.csv", b"12345")
            sent.set()

    with busy(door, "/upload/a.csv"):
        sender = threading.Thread(target=send)
        sender.start()
        wait_until(lambda: ("begin_new", False) in ways, "the sender to wait in a thread")
        with door.raw() as client:
            client.put("/upload/b.csv", b"123")
        assert not sent.is_set()
    sender.join(10)
    assert sent.is_set()
    wait_until(lambda: len(door.intake.arrived) == 2, "both files")


def test_a_close_that_has_to_wait_is_judged_all_the_same(door: RunningDoor, ways: Ways) -> None:
    with door.raw() as client:
        handle = client.open("/upload/a.csv")
        client.write(handle, 0, b"12345")
        with busy(door, "/upload/a.csv"):
            closer = threading.Thread(target=client.close, args=(handle,))
            closer.start()
            wait_until(lambda: ("close", False) in ways, "the close to wait in a thread")
        closer.join(10)
        assert door.content(door.arrival()) == b"12345"
    assert list(door.journal.entries()) == []


def test_a_file_that_was_renamed_meanwhile_is_closed_under_its_new_name(door: RunningDoor) -> None:
    with door.raw() as client:
        handle = client.open("/upload/a.csv")
        client.write(handle, 0, b"12345")
        client.rename("/upload/a.csv", "/upload/b.csv")
        client.close(handle)
        assert door.arrival().path == "/upload/b.csv"
    assert list(door.journal.entries()) == []


def test_two_processes_receive_the_same_names_at_once(tmp_path: Path, keys: Path) -> None:
    doors = [RunningDoor(tmp_path, keys, settle=0), RunningDoor(tmp_path, keys, settle=0)]
    acknowledged: list[bytes] = []
    try:
        for door in doors:
            door.admit("court", (keys / "id.fingerprint").read_text())
            door.start()
        senders = [threading.Thread(target=_send_often, args=(doors[n % 2], n, acknowledged)) for n in range(4)]
        for sender in senders:
            sender.start()
        for sender in senders:
            sender.join(60)
    finally:
        for door in doors:
            door.drain()
    spool, journal = doors[0].spool, doors[0].journal
    contents = [spool.data_path(manifest.id).read_bytes() for manifest in spool.all()]
    assert acknowledged
    assert sorted(contents) == sorted(acknowledged), "each that was acknowledged is there, once and whole; no other is"
    assert journal.torn(doors[0].settings.agencies) == []
    assert journal.broken() == []
    told = [manifest.id for door in doors for manifest in door.intake.arrived]
    assert sorted(told) == [manifest.id for manifest in spool.all()]


def _send_often(door: RunningDoor, number: int, acknowledged: list[bytes]) -> None:
    with door.raw() as client:
        for turn in range(20):
            content = f"sender {number} turn {turn}".encode()
            with suppress(Refused):  # another replaced it meanwhile
                client.put(f"/upload/{turn % 2}.csv", content)
                acknowledged.append(content)


def test_more_is_made_ahead_before_it_runs_out(door: RunningDoor) -> None:
    with door.raw() as client:
        for number in range(reception.AHEAD + 10):
            client.put(f"/upload/{number}.csv", b"12345")
    held = [link.readlink().name for link in Path("/proc/self/fd").iterdir() if link.is_symlink()]
    door.arrival(reception.AHEAD + 10)
    assert len({manifest.ino for manifest in door.intake.arrived}) == reception.AHEAD + 10
    assert [name for name in held if name.startswith("#")], "files without a name wait for the next"
    assert list(door.journal.entries()) == []
