"""Whole files arrive, and only whole ones: the judgement of uploads by a client that says exactly what it means."""

import os
import shutil
import struct
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace

import pytest

from server.intake.entry import Entry, State, new_entry
from server.intake.journal import HELD_BACK
from server.intake.spool import Manifest, Spool
from server.sftp import tree
from tests.server.sftp.conftest import RunningDoor, wait_until
from tests.server.sftp.rawclient import (
    BAD_MESSAGE,
    CLOSE,
    F_APPEND,
    F_CREAT,
    F_EXCL,
    F_READ,
    F_WRITE,
    FAILURE,
    NEW,
    NO_SUCH_FILE,
    OPEN,
    RENAME,
    SETSTAT,
    WRITE,
    Refused,
    attributes,
    text,
)

RESUME = F_WRITE | F_CREAT


@pytest.mark.parametrize("durability", ["fsync", "flush"])
def test_a_closed_file_arrives_with_its_facts(open_door: Callable[..., RunningDoor], durability: str) -> None:
    door = open_door(durability=durability)
    with door.raw() as client:
        client.put("/upload/ecr.csv", b"a,b\n1,2\n")
        arrived = door.arrival()
    assert (arrived.agency, arrived.path, arrived.name) == ("court", "/upload/ecr.csv", "ecr.csv")
    assert (arrived.size, arrived.source, arrived.declared_size) == (8, "sftp", None)
    assert arrived.client
    assert arrived.client.startswith("SSH-2.0-paramiko") or "paramiko" in arrived.client
    assert door.content(arrived) == b"a,b\n1,2\n"
    assert door.uploaded("ecr.csv").read_bytes() == b"a,b\n1,2\n"
    assert list(door.journal.entries()) == []


def test_the_file_is_in_the_spool_before_close_is_answered(open_door: Callable[..., RunningDoor]) -> None:
    door = open_door(settle=30)
    with door.raw() as client:
        client.put("/upload/ecr.csv", b"x")
        (manifest,) = door.spool.all()
    assert manifest.path == "/upload/ecr.csv"
    assert (manifest.not_before - manifest.closed_at).total_seconds() == 30
    assert list(door.spool.pending(manifest.closed_at)) == []
    assert door.intake.arrived == []


def test_an_empty_file_arrives(door: RunningDoor) -> None:
    with door.raw() as client:
        client.close(client.open("/upload/empty.csv"))
        assert door.arrival().size == 0


def test_before_the_first_byte_the_journal_knows(door: RunningDoor) -> None:
    with door.raw() as client:
        client.open("/upload/ecr.csv", NEW, size=100)
        entry = door.journal.find("court", "/upload/ecr.csv")
        assert entry
        assert (entry.state, entry.declared_size) == (State.RECEIVING, 100)
        assert entry.is_of(door.uploaded("ecr.csv").stat())


def test_a_lost_connection_tears_the_upload(door: RunningDoor) -> None:
    client = door.raw()
    handle = client.open("/upload/ecr.csv")
    client.write(handle, 0, b"half")
    client.hang_up()
    torn = door.tear()
    assert (torn.path, torn.state, torn.size, torn.covered) == ("/upload/ecr.csv", State.TORN, 4, ((0, 4),))
    assert torn.reason == "the connection was lost"
    assert door.uploaded("ecr.csv").read_bytes() == b"half"
    assert door.events.named("PARTIAL_CLOSE")
    assert door.intake.arrived == []


def test_a_channel_that_ends_without_close_tears_the_upload(door: RunningDoor) -> None:
    with door.raw() as client:
        handle = client.open("/upload/ecr.csv")
        client.write(handle, 0, b"half")
        client.channel.close()
        assert door.tear().reason == "the session ended before the file was closed"
    assert door.intake.arrived == []


def test_a_close_without_all_declared_bytes_is_partial(door: RunningDoor) -> None:
    with door.raw() as client:
        handle = client.open("/upload/ecr.csv", NEW, size=10)
        client.write(handle, 0, b"12345")
        with pytest.raises(Refused, match="5 of 10 bytes arrived"):
            client.close(handle)
        assert door.tear().declared_size == 10
    assert door.intake.arrived == []


def test_a_declared_size_that_is_met_arrives_without_settling(open_door: Callable[..., RunningDoor]) -> None:
    door = open_door(settle=30)
    with door.raw() as client:
        client.put("/upload/ecr.csv", b"12345", size=5)
        assert door.arrival().declared_size == 5


def test_a_hole_is_partial(door: RunningDoor) -> None:
    with door.raw() as client:
        handle = client.open("/upload/ecr.csv")
        client.write(handle, 0, b"12345")
        client.write(handle, 10, b"12345")
        with pytest.raises(Refused, match="never written"):
            client.close(handle)
    assert door.tear().covered == ((0, 5), (10, 15))


def test_pieces_in_any_order_are_whole(door: RunningDoor) -> None:
    with door.raw() as client:
        handle = client.open("/upload/ecr.csv")
        for offset in (8, 0, 4):
            client.write(handle, offset, b"1234")
        client.close(handle)
        assert door.content(door.arrival()) == b"123412341234"


def test_rubbish_behind_the_data_of_a_write_is_ignored(door: RunningDoor) -> None:
    with door.raw() as client:
        handle = client.open("/upload/ecr.csv")
        client.write(handle, 0, b"12345", rubbish=b"\0" * 100)
        client.close(handle)
        assert door.content(door.arrival()) == b"12345"


@pytest.mark.parametrize("cut", [1, 6, 14])
def test_a_write_that_cannot_be_read_tears_the_upload(door: RunningDoor, cut: int) -> None:
    with door.raw() as client:
        handle = client.open("/upload/ecr.csv", size=3)
        whole = text(handle) + struct.pack(">Q", 3) + text(b"more")
        code, _ = client.status(client.send(WRITE, whole[:-cut]))
        assert code == BAD_MESSAGE
        with pytest.raises(Refused, match="could not be written"):
            client.write(handle, 0, b"1;2")
        with pytest.raises(Refused, match="cannot be read"):
            client.close(handle)
        entry = door.tear()
    assert (entry.state, entry.reason) == (State.TORN, "a part of it came in a request that cannot be read")
    assert door.intake.arrived == []


@pytest.mark.parametrize("torn", [True, False])
def test_what_changes_nothing_makes_no_arrival(door: RunningDoor, torn: bool) -> None:
    with door.raw() as client:
        if torn:
            send_half(door, "/upload/ecr.csv", b"12345")
        else:
            client.put("/upload/ecr.csv", b"12345")
            door.arrival()
        before = list(door.journal.entries())
        client.setstat("/upload/ecr.csv", mtime=None, size=5)
        for flags in (F_WRITE, F_WRITE | F_APPEND, RESUME):
            handle = client.open("/upload/ecr.csv", flags)
            client.write(handle, 5, b"")
            client.fsetstat(handle, size=5)
            client.close(handle)
        assert list(door.journal.entries()) == before
    door.drain()
    assert len(door.intake.arrived) == (0 if torn else 1)


def test_a_torn_file_that_is_cut_shorter_stays_torn(door: RunningDoor) -> None:
    torn = send_half(door, "/upload/ecr.csv", b"0123456789")
    with door.raw() as client:
        client.setstat("/upload/ecr.csv", mtime=None, size=7)
        handle = client.open("/upload/ecr.csv", F_WRITE)
        client.fsetstat(handle, size=5)
        client.write(handle, 5, b"")
        with pytest.raises(Refused, match=f"not whole: {torn.reason}"):
            client.close(handle)
        again = door.tear(3)
        assert (again.id, again.size, again.reason) == (torn.id, 5, torn.reason)
        assert door.intake.arrived == []
        client.put("/upload/ecr.csv", b"xyz", F_WRITE | F_APPEND)
        assert door.content(door.arrival()) == b"01234xyz"


def test_a_file_that_is_being_sent_and_cut_shorter_by_its_path_is_no_arrival(door: RunningDoor) -> None:
    with door.raw() as client:
        handle = client.open("/upload/ecr.csv")
        client.write(handle, 0, b"0123456789")
        client.setstat("/upload/ecr.csv", mtime=None, size=5)
        assert door.tear().size == 5
        with pytest.raises(Refused, match="another session replaced it"):
            client.close(handle)
    assert door.intake.arrived == []


def test_opening_and_closing_without_a_write_is_no_arrival(door: RunningDoor) -> None:
    with door.raw() as client:
        client.put("/upload/ecr.csv", b"12345")
        door.arrival()
        client.close(client.open("/upload/ecr.csv", RESUME))
        client.close(client.open("/upload/ecr.csv", F_READ | F_WRITE))
    assert len(door.intake.arrived) == 1
    assert len(list(door.spool.all())) == 1


# Taking back (how WinSCP does all this is in test_winscp)


def test_a_file_that_another_process_accepted_is_taken_back(two_doors: tuple[RunningDoor, RunningDoor]) -> None:
    door, other = two_doors
    with door.raw() as client, other.raw() as elsewhere:
        client.put("/upload/ecr.csv", b"half of it")
        elsewhere.remove("/upload/ecr.csv")
        assert list(door.spool.all()) == []
        assert other.events.named("DELETE")[0]["withdrawn"]
    other.drain()
    door.drain()
    assert door.intake.arrived == other.intake.arrived == []


def test_a_file_that_another_process_renames_in_its_settle_time_arrives_under_its_new_name(
    two_doors: tuple[RunningDoor, RunningDoor],
) -> None:
    door, other = two_doors
    with door.raw() as client, other.raw() as elsewhere:
        client.put("/upload/ecr.csv", b"12345")
        elsewhere.rename("/upload/ecr.csv", "/upload/nightly.csv")
        (manifest,) = door.spool.all()
        assert manifest.path == "/upload/nightly.csv", "before RENAME is answered"
        assert door.arrival() == manifest
    other.drain()
    assert other.intake.arrived == []


def test_a_file_whose_settle_time_ends_while_it_is_renamed_arrives_under_its_new_name(
    door: RunningDoor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Spool, "find_settling", lambda *_: None)  # it is over just as the rename looks
    with door.raw() as client:
        client.put("/upload/ecr.csv", b"12345")
        client.rename("/upload/ecr.csv", "/upload/nightly.csv")
        assert door.arrival().path == "/upload/nightly.csv"


def test_a_rename_while_its_arrival_is_told_is_told_too(door: RunningDoor) -> None:
    told = door.intake.received

    def tell(manifests: Sequence[Manifest]) -> None:
        told(manifests)
        door.spool.renew(replace(manifests[0], path="/upload/nightly.csv"))  # as another process does

    door.intake.received = tell  # type: ignore[method-assign]
    with door.raw() as client:
        client.put("/upload/ecr.csv", b"12345")
        arrived = door.arrival()
        assert arrived.path == "/upload/ecr.csv"
        wait_until(lambda: bool(door.intake.moves), "the rename to be told")
    assert door.intake.moves == [("court", {"/upload/nightly.csv": arrived.footprint})]


def test_a_file_of_which_a_newer_one_is_begun_and_deleted_arrives(open_door: Callable[..., RunningDoor]) -> None:
    door = open_door(settle=30)
    with door.raw() as client:
        client.put("/upload/ecr.csv", b"first")
        client.write(client.open("/upload/ecr.csv"), 0, b"sec")
        client.remove("/upload/ecr.csv")
        assert not door.events.named("DELETE")[0]["withdrawn"]
    door.drain()
    assert door.content(door.arrival()) == b"first"


def test_a_file_that_settles_does_not_follow_another_that_takes_its_name(open_door: Callable[..., RunningDoor]) -> None:
    door = open_door(settle=30)
    with door.raw() as client:
        client.put("/upload/cases.csv", b"CASES")
        door.uploaded("old.csv").write_bytes(b"OLD")
        client.rename("/upload/old.csv", "/upload/cases.csv", posix=True)
        client.rename("/upload/cases.csv", "/upload/hearings.csv")
    door.drain()
    arrived = door.arrival()
    assert (arrived.path, door.content(arrived)) == ("/upload/cases.csv", b"CASES")


def test_removing_a_file_after_its_settle_time_takes_nothing_back(door: RunningDoor) -> None:
    with door.raw() as client:
        client.put("/upload/ecr.csv", b"12345")
        arrived = door.arrival()
        client.remove("/upload/ecr.csv")
    assert door.content(arrived) == b"12345"


def test_renaming_a_torn_file_leaves_it_torn(door: RunningDoor) -> None:
    with door.raw() as client:
        handle = client.open("/upload/ecr.csv.filepart", NEW, size=10)
        client.write(handle, 0, b"01234")
        client.close(handle)
        first = door.tear(1)
        with pytest.raises(Refused, match="not whole: 5 of 10 bytes arrived"):
            client.rename("/upload/ecr.csv.filepart", "/upload/ecr.csv")
        moved = door.tear(2)
        client.rename("/upload/ecr.csv", "/upload/ecr.csv.part")
    assert (moved.id, moved.path, moved.state) == (first.id, "/upload/ecr.csv", State.TORN)
    assert door.uploaded("ecr.csv.part").read_bytes() == b"01234"
    assert [entry.path for entry in door.journal.entries()] == ["/upload/ecr.csv.part"]
    assert door.intake.arrived == []


@pytest.mark.parametrize("name", ["a.csv.FilePart", "a.part", "a.partial", "a.tmp", "~$a.xlsx", ".a.csv.Xy12"])
def test_a_temporary_name_is_held_until_it_is_renamed(door: RunningDoor, name: str) -> None:
    with door.raw() as client:
        client.put(f"/upload/{name}", b"12345")
        held = door.journal.find("court", f"/upload/{name}")
        assert held
        assert held.state is State.HELD
        assert list(door.spool.all()) == []
        client.rename(f"/upload/{name}", "/upload/a.csv", posix=True)
        assert door.arrival().path == "/upload/a.csv"


def test_a_held_file_is_told_of_with_what_it_waits_for(door: RunningDoor) -> None:
    with door.raw() as client:
        client.put("/upload/ecr.csv.part", b"12345")
        held = door.tear()
        assert (held.state, held.reason) == (State.HELD, HELD_BACK)
        assert door.journal.torn(door.settings.agencies) == [held]
        client.rename("/upload/ecr.csv.part", "/upload/.ecr.csv")
        assert (door.tear(2).id, door.tear(2).path) == (held.id, "/upload/.ecr.csv")
        client.rename("/upload/.ecr.csv", "/upload/ecr.csv")
        assert door.arrival().id == held.id
        client.put("/upload/other.csv.part", b"12345")
        client.remove("/upload/other.csv.part")
        wait_until(lambda: bool(door.intake.gone), "the removal to be told")


def test_another_final_name_is_told(open_door: Callable[..., RunningDoor]) -> None:
    door = open_door(settle=0)
    with door.raw() as client:
        client.put("/upload/a.csv", b"12345")
        known = door.arrival().footprint
        client.rename("/upload/a.csv", "/upload/b.csv")
        client.rename("/upload/b.csv", "/upload/b.csv.tmp")
        wait_until(lambda: bool(door.intake.moves), "the new name to be told")
    door.drain()
    assert door.intake.moves == [("court", {"/upload/b.csv": known})]


def test_the_new_names_of_the_files_in_a_directory_are_told(
    open_door: Callable[..., RunningDoor], monkeypatch: pytest.MonkeyPatch
) -> None:
    door = open_door(settle=0)
    with door.raw() as client:
        for name in ("/upload/a", "/upload/a/deep"):
            client.mkdir(name)
        for name in ("1.csv", "deep/2.csv", "3.csv.part"):
            client.put(f"/upload/a/{name}", b"12345")
        door.arrival(2)
        (door.uploaded("a") / "link.csv").symlink_to("1.csv")
        client.rename("/upload/a", "/upload/b")
        wait_until(lambda: bool(door.intake.moves), "the new names to be told")
        monkeypatch.setattr(tree, "MOST_TOLD", 1)
        client.rename("/upload/b", "/upload/c")
        wait_until(lambda: len(door.intake.moves) > 1, "the new name of one to be told")
    known = {f"/upload/b{one.path.removeprefix('/upload/a')}": one.footprint for one in door.intake.arrived}
    assert set(known) == {"/upload/b/1.csv", "/upload/b/deep/2.csv"}
    assert door.intake.moves[0] == ("court", known)
    assert len(door.intake.moves[1][1]) == 1, "the sweep finds the others"


def test_renames_that_complete_nothing_are_no_arrivals(door: RunningDoor) -> None:
    with door.raw() as client:
        client.put("/upload/a.csv", b"12345")
        door.arrival()
        client.rename("/upload/a.csv", "/upload/b.csv")
        client.rename("/upload/b.csv", "/upload/b.csv.tmp")
        client.rename("/upload/b.csv.tmp", "/upload/c.csv")
    door.drain()
    assert len(door.intake.arrived) == 1


def test_a_file_renamed_while_it_settles_arrives_under_its_new_name(open_door: Callable[..., RunningDoor]) -> None:
    door = open_door(settle=0.5)
    with door.raw() as client:
        client.put("/upload/a.csv", b"12345")
        client.rename("/upload/a.csv", "/upload/b.csv")
        assert door.arrival().path == "/upload/b.csv"


def test_an_unannounced_quiet_file_is_taken_when_it_gets_its_final_name(open_door: Callable[..., RunningDoor]) -> None:
    door = open_door(quiet_time=60)
    with door.raw() as client:
        client.mkdir("/upload/x")
        for name, age in (("quiet", 3600), ("busy", 0)):
            door.uploaded(f"{name}.tmp").write_bytes(b"12345")
            at = door.uploaded(f"{name}.tmp").stat().st_mtime - age
            os.utime(door.uploaded(f"{name}.tmp"), (at, at))
            client.rename(f"/upload/{name}.tmp", f"/upload/{name}.csv")
        assert door.arrival().path == "/upload/quiet.csv"


def test_an_unannounced_file_with_a_time_in_the_future_is_taken_as_well(open_door: Callable[..., RunningDoor]) -> None:
    door = open_door(quiet_time=60)
    with door.raw() as client:
        client.mkdir("/upload/x")
        door.uploaded("ahead.tmp").write_bytes(b"12345")
        os.utime(door.uploaded("ahead.tmp"), (2**32, 2**32))
        client.rename("/upload/ahead.tmp", "/upload/ahead.csv")
        assert door.arrival().path == "/upload/ahead.csv"


# Resuming and replacing


def send_half(door: RunningDoor, path: str, content: bytes = b"01234") -> Entry:
    """An upload that its sender loses the connection of."""
    client, count = door.raw(), len(door.intake.partial)
    client.write(client.open(path), 0, content)
    client.hang_up()
    return door.tear(count + 1)


@pytest.mark.parametrize("how", ["held", "arrived"])
def test_a_torn_upload_whose_name_another_file_takes_is_told_to_be_gone(door: RunningDoor, how: str) -> None:
    torn = send_half(door, "/upload/ecr.csv")
    name = "/upload/ecr.csv.part" if how == "held" else "/upload/new.csv"
    with door.raw() as client:
        client.put(name, b"all of it")
        with pytest.raises(Refused, match="taken already"):
            client.rename(name, "/upload/ecr.csv")
        assert door.intake.gone == []
        assert torn in list(door.journal.entries())
        client.rename(name, "/upload/ecr.csv", posix=True)
        arrived = door.arrival()
        wait_until(lambda: bool(door.intake.gone), "the removal to be told")
    assert [entry.id for entry in door.intake.gone] == [torn.id]
    assert arrived.id != torn.id
    assert list(door.journal.entries()) == []


def test_a_torn_upload_that_is_deleted_while_it_is_resumed_is_told_to_be_gone(door: RunningDoor) -> None:
    torn = send_half(door, "/upload/ecr.csv")
    with door.raw() as client:
        handle = client.open("/upload/ecr.csv", RESUME)
        client.write(handle, 5, b"56789")
        client.remove("/upload/ecr.csv")
        wait_until(lambda: bool(door.intake.gone), "the removal to be told")
    assert [entry.id for entry in door.intake.gone] == [torn.id]


def test_a_torn_upload_is_resumed_and_arrives_under_its_first_id(door: RunningDoor) -> None:
    client = door.raw()
    client.write(client.open("/upload/ecr.csv"), 0, b"01234")
    client.hang_up()
    torn = door.tear()
    with door.raw() as client:
        assert client.stat("/upload/ecr.csv")["size"] == 5
        handle = client.open("/upload/ecr.csv", RESUME)
        client.write(handle, 5, b"56789")
        client.close(handle)
        arrived = door.arrival()
    assert arrived.id == torn.id
    assert door.content(arrived) == b"0123456789"
    assert list(door.journal.entries()) == []


def test_appending_resumes_at_the_end(door: RunningDoor) -> None:
    client = door.raw()
    client.write(client.open("/upload/ecr.csv"), 0, b"01234")
    client.hang_up()
    door.tear()
    with door.raw() as client:
        handle = client.open("/upload/ecr.csv", F_WRITE | F_APPEND)
        client.write(handle, 0, b"56789")
        client.close(handle)
        assert door.content(door.arrival()) == b"0123456789"


def test_a_resume_that_stops_short_of_the_declared_size_stays_partial(door: RunningDoor) -> None:
    client = door.raw()
    client.write(client.open("/upload/ecr.csv", NEW, size=100), 0, b"01234")
    client.hang_up()
    door.tear()
    with door.raw() as client:
        handle = client.open("/upload/ecr.csv", RESUME)
        client.write(handle, 5, b"56789")
        with pytest.raises(Refused, match="10 of 100"):
            client.close(handle)


def test_a_resume_that_leaves_an_old_tail_is_partial(door: RunningDoor) -> None:
    client = door.raw()
    client.write(client.open("/upload/ecr.csv"), 0, b"0123456789")
    client.hang_up()
    door.tear()
    with door.raw() as client:
        handle = client.open("/upload/ecr.csv", RESUME)
        client.write(handle, 2, b"ab")
        with pytest.raises(Refused, match="never written"):
            client.close(handle)


def test_a_torn_upload_that_is_sent_anew_keeps_its_id(door: RunningDoor) -> None:
    client = door.raw()
    client.write(client.open("/upload/ecr.csv"), 0, b"01234")
    client.hang_up()
    torn = door.tear()
    with door.raw() as client:
        client.put("/upload/ecr.csv", b"all of it")
        assert door.arrival().id == torn.id


def test_a_torn_upload_that_is_deleted_is_forgotten(door: RunningDoor) -> None:
    client = door.raw()
    client.write(client.open("/upload/ecr.csv"), 0, b"01234")
    client.hang_up()
    torn = door.tear()
    with door.raw() as client:
        client.remove("/upload/ecr.csv")
        wait_until(lambda: bool(door.intake.gone), "the removal to be told")
    assert door.intake.gone == [torn]
    assert list(door.journal.entries()) == []


@pytest.mark.parametrize(
    ("flags", "result"),
    [
        (NEW, b"SECOND"),
        (RESUME, b"SECONDversion"),
        (F_WRITE | F_APPEND, b"first.versionSECOND"),
    ],
)
def test_overwriting_never_changes_what_was_spooled(door: RunningDoor, flags: int, result: bytes) -> None:
    with door.raw() as client:
        client.put("/upload/ecr.csv", b"first.version")
        first = door.arrival(1)
        client.put("/upload/ecr.csv", b"SECOND", flags)
        second = door.arrival(2)
    assert door.content(first) == b"first.version"
    assert door.content(second) == result
    assert first.id != second.id


def test_a_shorter_file_over_a_longer_one_as_scp_does_it(door: RunningDoor) -> None:
    with door.raw() as client:
        client.put("/upload/ecr.csv", b"first version")
        handle = client.open("/upload/ecr.csv", RESUME)
        client.write(handle, 0, b"2nd")
        client.fsetstat(handle, size=3)
        client.close(handle)
        assert door.content(door.arrival(2)) == b"2nd"


def test_what_is_sent_into_a_directory_that_is_not_there_is_no_file_of_its_name(door: RunningDoor) -> None:
    with door.raw() as client:
        with pytest.raises(Refused, match="make it first"):
            client.put("/upload/civil/", b"rows")
        assert client.names("/upload") == []
        client.mkdir("/upload/civil")
        with pytest.raises(Refused, match="name of a directory"):
            client.put("/upload/civil/", b"rows")


def test_an_overwrite_that_tears_does_not_count_the_old_version(door: RunningDoor) -> None:
    with door.raw() as client:
        client.put("/upload/ecr.csv", b"first version")
        door.arrival()
    client = door.raw()
    client.write(client.open("/upload/ecr.csv", RESUME), 0, b"2nd")
    client.hang_up()
    assert door.tear().covered == ((0, 3),)


def test_growing_a_file_without_writing_is_partial(door: RunningDoor) -> None:
    with door.raw() as client:
        handle = client.open("/upload/ecr.csv")
        client.write(handle, 0, b"12345")
        client.fsetstat(handle, size=10)
        with pytest.raises(Refused, match="never written"):
            client.close(handle)


def test_a_second_session_takes_the_file_over(door: RunningDoor) -> None:
    with door.raw() as first, door.raw() as second:
        old = first.open("/upload/ecr.csv")
        first.write(old, 0, b"old old old")
        new = second.open("/upload/ecr.csv")
        second.write(new, 0, b"new")
        with pytest.raises(Refused, match="another session replaced it"):
            first.write(old, 11, b"more")
        with pytest.raises(Refused, match="another session replaced it"):
            first.close(old)
        second.close(new)
        assert door.content(door.arrival()) == b"new"
    assert door.intake.partial == []


def test_a_second_session_resumes_what_a_silent_one_still_holds(door: RunningDoor) -> None:
    with door.raw() as first, door.raw() as second:
        old = first.open("/upload/ecr.csv")
        first.write(old, 0, b"01234")
        new = second.open("/upload/ecr.csv", RESUME)
        second.write(new, 5, b"56789")
        second.close(new)
        assert door.content(door.arrival()) == b"0123456789"
        with pytest.raises(Refused):
            first.close(old)


def test_the_older_handle_is_torn_silently_when_it_was_replaced(door: RunningDoor) -> None:
    first = door.raw()
    first.write(first.open("/upload/ecr.csv"), 0, b"01234")
    with door.raw() as second:
        handle = second.open("/upload/ecr.csv")
        first.hang_up()
        wait_until(lambda: bool(door.events.named("PARTIAL_CLOSE")), "the first session to end")
        second.write(handle, 0, b"new")
        second.close(handle)
        assert door.content(door.arrival()) == b"new"
    assert door.intake.partial == []


def test_deleting_a_file_that_is_being_sent_drops_it(door: RunningDoor) -> None:
    with door.raw() as client:
        handle = client.open("/upload/ecr.csv")
        client.write(handle, 0, b"01234")
        client.remove("/upload/ecr.csv")
        with pytest.raises(Refused, match="deleted"):
            client.write(handle, 5, b"5")
        with pytest.raises(Refused):
            client.close(handle)
    assert list(door.journal.entries()) == []


def test_a_file_renamed_while_it_is_sent_arrives_under_its_new_name(door: RunningDoor) -> None:
    with door.raw() as client:
        handle = client.open("/upload/ecr.csv.part")
        client.write(handle, 0, b"01234")
        client.rename("/upload/ecr.csv.part", "/upload/ecr.csv")
        client.write(handle, 5, b"56789")
        client.close(handle)
        arrived = door.arrival()
    assert (arrived.path, door.content(arrived)) == ("/upload/ecr.csv", b"0123456789")


@pytest.mark.parametrize(("size", "reason"), [(None, "never written"), (100, "5 of 100 bytes")])
def test_a_file_renamed_to_its_final_name_while_it_is_sent_must_be_whole_when_it_is_closed(
    door: RunningDoor, size: int | None, reason: str
) -> None:
    with door.raw() as client:
        handle = client.open("/upload/ecr.csv.tmp", NEW, size=size)
        client.write(handle, 0 if size else 3, b"01234")
        client.rename("/upload/ecr.csv.tmp", "/upload/ecr.csv")
        with pytest.raises(Refused, match=reason):
            client.close(handle)
    assert door.tear().path == "/upload/ecr.csv"
    assert door.events.named("PARTIAL_CLOSE")[0]["path"] == "/upload/ecr.csv"


def test_a_file_renamed_to_a_temporary_name_while_it_is_sent_is_held_under_that(door: RunningDoor) -> None:
    with door.raw() as client:
        handle = client.open("/upload/ecr.csv")
        client.write(handle, 0, b"01234")
        client.rename("/upload/ecr.csv", "/upload/ecr.csv.tmp")
        client.close(handle)
    [line] = door.events.named("CLOSE")
    assert (line["path"], line["verdict"]) == ("/upload/ecr.csv.tmp", "held")


def test_a_directory_takes_its_torn_files_along(door: RunningDoor) -> None:
    client = door.raw()
    client.mkdir("/upload/a")
    client.write(client.open("/upload/a/ecr.csv"), 0, b"01234")
    client.hang_up()
    torn = door.tear()
    with door.raw() as client:
        client.rename("/upload/a", "/upload/b")
        assert door.journal.find("court", "/upload/a/ecr.csv") is None
        handle = client.open("/upload/b/ecr.csv", RESUME)
        client.write(handle, 5, b"56789")
        client.close(handle)
        assert door.arrival().id == torn.id


def test_a_directory_renamed_during_an_upload_into_it(door: RunningDoor) -> None:
    with door.raw() as client:
        client.mkdir("/upload/a")
        handle = client.open("/upload/a/ecr.csv")
        client.write(handle, 0, b"01234")
        client.rename("/upload/a", "/upload/b")
        client.close(handle)
        assert door.arrival().path == "/upload/b/ecr.csv"


def test_a_directory_is_not_renamed_while_an_upload_below_it_begins(door: RunningDoor) -> None:
    with door.raw() as client:
        client.mkdir("/upload/a")
        with door.journal.locked("court", "/upload/a/ecr.csv"):
            request = client.send(RENAME, text("/upload/a") + text("/upload/b"))
            time.sleep(0.3)
            assert door.uploaded("a").is_dir()
        client.ok(request)
        assert door.uploaded("b").is_dir()


def test_directories_renamed_back_and_forth_lose_no_entry(door: RunningDoor) -> None:
    stop = threading.Event()

    def rename_for_ever() -> None:
        with door.raw() as client:
            while not stop.is_set():
                client.rename("/upload/a", "/upload/b")
                client.rename("/upload/b", "/upload/a")

    client = door.raw()
    client.mkdir("/upload/a")
    thread = threading.Thread(target=rename_for_ever)
    thread.start()
    begun = 0
    for number in range(100):
        with suppress(Refused):
            client.write(client.open(f"/upload/a/{number}.csv"), 0, b"half")
            begun += 1
    client.hang_up()
    stop.set()
    thread.join()
    wait_until(lambda: len(door.events.named("PARTIAL_CLOSE")) >= begun, "all uploads to be torn")
    present = {f"/upload/a/{file.name}" for file in door.uploaded("a").iterdir()}
    assert {entry.path for entry in door.journal.torn(door.settings.agencies)} == present


def test_renaming_a_torn_file_to_its_own_name_leaves_it_torn(door: RunningDoor) -> None:
    client = door.raw()
    client.write(client.open("/upload/ecr.csv"), 0, b"01234")
    client.hang_up()
    torn = door.tear()
    with door.raw() as client:
        client.rename("/upload/ecr.csv", "/upload/ecr.csv", posix=True)
    assert door.journal.find("court", "/upload/ecr.csv") == torn


@pytest.mark.parametrize("flags", [NEW, RESUME])
def test_an_id_that_was_used_is_never_used_again(door: RunningDoor, flags: int) -> None:
    with door.raw() as client:
        client.put("/upload/ecr.csv", b"first version")
        first = door.arrival(1)
        # The process died before it forgot the entry; meanwhile the file was dealt with, and no link to it is left.
        status = door.uploaded("ecr.csv").stat()
        entry = new_entry("court", "/upload/ecr.csv", "", "", "", status)
        door.journal.offer(replace(entry, id=first.id), status.st_size)
        door.spool.remove(first.id)
        client.put("/upload/ecr.csv", b"SECOND version", flags)
        second = door.arrival(2)
    assert second.id != first.id
    assert door.content(second) == b"SECOND version"


def test_a_torn_file_of_a_copied_home_is_resumed_as_a_torn_one(door: RunningDoor) -> None:
    client = door.raw()
    client.write(client.open("/upload/ecr.csv", NEW, size=10), 0, b"01234")
    client.hang_up()
    torn = door.tear()
    door.uploaded("ecr.csv").rename(door.home() / "kept")
    shutil.copy2(door.home() / "kept", door.uploaded("ecr.csv"))
    with door.raw() as client:
        handle = client.open("/upload/ecr.csv", RESUME)
        client.write(handle, 5, b"56789")
        client.close(handle)
        assert door.arrival().id == torn.id


def test_exclusive_creation_fails_if_the_file_exists(door: RunningDoor) -> None:
    with door.raw() as client:
        client.put("/upload/ecr.csv", b"1", F_WRITE | F_CREAT | F_EXCL)
        with pytest.raises(Refused, match="taken already") as refused:
            client.open("/upload/ecr.csv", F_WRITE | F_CREAT | F_EXCL)
        assert refused.value.code == FAILURE


def test_opening_what_is_not_there(door: RunningDoor) -> None:
    with door.raw() as client:
        for flags in (F_READ, F_WRITE, F_WRITE | F_APPEND):
            with pytest.raises(Refused) as refused:
                client.open("/upload/missing.csv", flags)
            assert refused.value.code == NO_SUCH_FILE


def test_a_file_larger_than_allowed_is_refused(open_door: Callable[..., RunningDoor]) -> None:
    door = open_door(file_limit=100)
    with door.raw() as client:
        handle = client.open("/upload/ecr.csv")
        client.write(handle, 0, b"x" * 100)
        for offset in (100, 2**62, 2**64 - 1):
            with pytest.raises(Refused, match=r"100 bytes|earlier part"):
                client.write(handle, offset, b"x")
        with pytest.raises(Refused):
            client.close(handle)
    assert door.intake.arrived == []


def test_setstat_is_always_answered_with_yes(door: RunningDoor) -> None:
    with door.raw() as client:
        client.put("/upload/ecr.csv", b"12345", size=5)
        door.arrival()
        door.uploaded("ecr.csv").unlink()
        client.setstat("/upload/ecr.csv")
        with pytest.raises(Refused) as refused:
            client.setstat("/upload/never.csv")
        assert refused.value.code == NO_SUCH_FILE
        client.ok(client.send(SETSTAT, text("/upload") + struct.pack(">III", 4, 0o777, 0)[:8]))
        client.setstat("/")


def test_setstat_can_shorten_a_file(door: RunningDoor) -> None:
    with door.raw() as client:
        client.put("/upload/ecr.csv", b"12345")
        client.setstat("/upload/ecr.csv", mtime=None, size=3)
        assert door.content(door.arrival(2)) == b"123"


def test_many_pipelined_uploads_on_one_channel(door: RunningDoor) -> None:
    with door.raw() as client:
        opens = [
            client.send(OPEN, text(f"/upload/{n}.csv") + struct.pack(">I", NEW) + attributes(3)) for n in range(50)
        ]
        handles = [client.answer(request)[1][4:] for request in opens]
        for handle in handles:
            client.send_write(handle, 0, b"abc")
        for request in [client.send(CLOSE, text(handle)) for handle in handles]:
            client.ok(request)
        door.arrival(50)
