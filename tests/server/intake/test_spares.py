"""Notes that are written anew: never two at once, never one that still counts, never half of one."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from server.clock import now
from server.intake import spares as spares_module
from server.intake.entry import Entry, new_entry
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
@pytest.mark.parametrize("step", ["_fill", "os.rename"])
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
