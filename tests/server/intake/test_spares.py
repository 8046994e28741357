"""Notes that are written anew: never two at once, never one that still counts, never half of one."""

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from server.clock import now
from server.intake import spares as spares_module
from server.intake.entry import Entry, State, new_entry
from server.intake.journal import Journal
from server.intake.spares import Spares
from server.intake.spool import Manifest, Spool


class House:
    """A spool and journal that need not survive a power cut, and a file to take in again and again."""

    def __init__(self, folder: Path) -> None:
        self.spool = Spool(folder / "spool", durable=False)
        self.journal = Journal(self.spool.root / "receiving", durable=False)
        self.file = folder / "ecr.csv"
        self.file.write_bytes(b"12345")

    def begin(self, path: str) -> Entry:
        return self.journal.begin(new_entry("court", path, "owner", "session", "client", self.file.stat()))

    def accept(self, path: str) -> Manifest:
        entry, at, status = self.begin(path), now(), self.file.stat()
        made = Manifest(entry.id, "court", path, status.st_size, "sftp", "session", "client", at, at, at)
        with self.file.open("rb") as stream:
            self.spool.accept_link(made, stream.fileno(), self.journal.offer(entry, made.to_json()))
        return made

    def note(self, entry: Entry) -> Path:
        return Path(self.journal._file(entry.agency, entry.path))

    def manifest(self, id_: str) -> Path:
        return self.spool.root / f"{id_}.json"

    @property
    def waiting(self) -> list[Path]:
        return sorted((self.spool.root / "spare").iterdir())


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> House:
    monkeypatch.setattr(spares_module, "LOOK_EVERY", 0.0)
    return House(tmp_path)


def test_the_note_of_a_file_that_was_dealt_with_becomes_another_files(house: House) -> None:
    first = house.accept("/upload/a-rather-long-name-for-a-file.csv")
    inode = house.manifest(first.id).stat().st_ino
    house.spool.remove(first.id)
    assert house.spool.find(first.id) is None
    assert [spare.stat().st_ino for spare in house.waiting] == [inode]
    entry = house.begin("/upload/b.csv")
    assert house.note(entry).stat().st_ino == inode
    assert house.journal.find("court", "/upload/b.csv") == entry
    assert house.waiting == []
    assert list(house.journal.entries()) == [entry]


def test_it_replaces_an_older_entry_of_the_path(house: House) -> None:
    house.spool.remove(house.accept("/upload/a.csv").id)
    with_older = house.journal.begin(new_entry("court", "/upload/b.csv", "older", "s", "c", house.file.stat()))
    house.spool.remove(house.accept("/upload/a.csv").id)
    assert house.begin("/upload/b.csv") != with_older
    assert [entry.owner for entry in house.journal.entries()] == ["owner"]


def test_what_must_survive_a_power_cut_is_made_anew(house: House) -> None:
    house.spool.remove(house.accept("/upload/a.csv").id)
    [spare] = house.waiting
    durable = Journal(house.journal.root, durable=True)
    durable.begin(new_entry("court", "/upload/b.csv", "owner", "session", "client", house.file.stat()))
    assert house.waiting == [spare]
    again = house.accept("/upload/c.csv")
    Spool(house.spool.root, durable=True).remove(again.id)
    assert house.waiting == []


def test_a_note_that_is_still_in_the_spool_is_not_taken(house: House) -> None:
    accepted = house.accept("/upload/a.csv")
    kept = house.spool.root / "spare" / accepted.id[-3:]
    os.link(house.manifest(accepted.id), kept)  # the process died before it took the name in the spool away
    house.begin("/upload/b.csv")
    assert house.spool.find(accepted.id) == accepted
    house.spool.remove(accepted.id)
    assert house.spool.find(accepted.id) is None
    assert house.waiting == [kept]


def test_of_one_slot_a_single_note_is_kept(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Spares, "keep", lambda self, note, _id, keep=Spares.keep: keep(self, note, "one"))
    accepted = [house.accept(f"/upload/{number}.csv") for number in range(3)]
    for made in accepted:
        house.spool.remove(made.id)
    assert [spare.name for spare in house.waiting] == ["one"]
    assert list(house.spool.all()) == []


def test_without_their_directory_notes_are_made_anew(house: House) -> None:
    accepted = house.accept("/upload/a.csv")
    (house.spool.root / "spare").rmdir()
    house.spool.remove(accepted.id)
    assert list(house.spool.all()) == []
    entry = house.begin("/upload/b.csv")
    assert list(house.journal.entries()) == [entry]


def test_many_at_once_never_write_into_the_same_note(house: House) -> None:
    for number in range(20):
        house.spool.remove(house.accept(f"/upload/{number}.csv").id)
    journals = [Journal(house.journal.root, durable=False) for _ in range(4)]

    def begin(number: int) -> Entry:
        entry = new_entry("court", f"/upload/new-{number}.csv", f"owner {number}", "s", "c", house.file.stat())
        return journals[number % 4].begin(entry)

    with ThreadPoolExecutor(8) as pool:
        begun = list(pool.map(begin, range(200)))
    assert sorted(house.journal.entries(), key=lambda entry: entry.id) == sorted(begun, key=lambda entry: entry.id)


@pytest.mark.parametrize("before", [True, False], ids=["before", "after"])
@pytest.mark.parametrize("step", ["_write", "os.rename"])
def test_a_crash_in_the_middle_leaves_no_half_entry(
    house: House, monkeypatch: pytest.MonkeyPatch, step: str, before: bool
) -> None:
    house.spool.remove(house.accept("/upload/a.csv").id)
    child = os.fork()
    if child == 0:
        place: Any = os if step == "os.rename" else spares_module
        done = getattr(place, step.removeprefix("os."))

        def die(*args: Any) -> None:
            if not before:
                done(*args)
            os._exit(9)

        monkeypatch.setattr(place, step.removeprefix("os."), die)
        house.begin("/upload/b.csv")
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9, "it came to that step"
    begun = (step, before) == ("os.rename", False)
    assert [entry.path for entry in house.journal.entries()] == (["/upload/b.csv"] if begun else [])
    assert house.journal.broken() == []
    assert len(house.waiting) == (0 if begun else 1)
    entry = house.begin("/upload/c.csv")
    assert house.journal.find("court", "/upload/c.csv") == entry


def test_notes_that_are_made_ahead_have_no_name_until_they_are_written(house: House) -> None:
    assert house.journal.prepare(3)
    assert house.waiting == []
    begun = [house.begin(f"/upload/{number}.csv") for number in range(4)]
    assert sorted(house.journal.entries(), key=lambda entry: entry.path) == begun
    assert house.journal.broken() == []


def test_notes_that_have_served_are_taken_before_any_is_made(house: House) -> None:
    accepted = house.accept("/upload/a.csv")
    inode = house.manifest(accepted.id).stat().st_ino
    house.spool.remove(accepted.id)
    other = Journal(house.journal.root, durable=False)
    assert house.journal.prepare(2)
    assert other.prepare(2), "what one holds is no other's"
    entries = [house.begin("/upload/b.csv"), other.begin(replace(house.begin("/upload/d.csv"), path="/upload/c.csv"))]
    inodes = [house.note(entry).stat().st_ino for entry in entries]
    assert inodes[0] == inode
    assert inode not in inodes[1:]
    house.journal.finish()
    other.finish()
    assert house.waiting == []


def test_one_that_was_made_ahead_replaces_an_older_entry_of_the_path(house: House) -> None:
    older = house.begin("/upload/a.csv")
    assert house.journal.prepare(1)
    assert house.begin("/upload/a.csv") != older
    assert len(list(house.journal.entries())) == 1


def test_a_spare_note_that_is_gone_harms_nobody(house: House) -> None:
    house.spool.remove(house.accept("/upload/a.csv").id)
    assert house.journal.prepare(1)
    [spare] = house.waiting
    spare.unlink()
    entry = house.begin("/upload/b.csv")
    assert list(house.journal.entries()) == [entry]


def test_without_nameless_files_none_is_made_ahead(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spares_module, "open_nameless", lambda _folder: -1)
    assert not house.journal.prepare(1)
    entry = house.begin("/upload/b.csv")
    assert list(house.journal.entries()) == [entry]


def test_an_open_note_tells_whether_it_still_counts(house: House) -> None:
    entry = new_entry("court", "/upload/a.csv", "owner", "session", "client", house.file.stat())
    assert house.journal.prepare(1)
    note = house.journal.begin_note(entry)
    assert note is not None
    assert house.journal.says(entry, note)
    house.journal.tear(entry, 5, (), "lost")
    assert not house.journal.says(entry, note)
    house.journal.forget("court", "/upload/a.csv")
    assert not house.journal.says(entry, note)
    note.close()


@pytest.mark.parametrize("fits", [0, 3], ids=["nothing", "a part"])
def test_what_cannot_be_added_to_a_note_leaves_it_as_it_was(
    house: House, monkeypatch: pytest.MonkeyPatch, fits: int
) -> None:
    entry = new_entry("court", "/upload/a.csv", "owner", "session", "client", house.file.stat())
    assert house.journal.prepare(1)
    note = house.journal.begin_note(entry)
    assert note is not None
    write = os.pwrite
    monkeypatch.setattr(os, "pwrite", lambda fd, content, at: write(fd, content[:fits], at))
    with pytest.raises(OSError, match="full"):
        house.journal.offer(entry, {"size": 5}, note)
    monkeypatch.undo()
    assert house.journal.find("court", entry.path) == entry
    house.journal.offer(entry, {"size": 5}, note)
    offered = house.journal.find("court", entry.path)
    assert offered is not None
    assert (offered.state, offered.size) == (State.ACCEPTING, 5)
    note.close()
