"""The journal: what is noted of uploads, and what is found of them after a crash."""

import errno
import fcntl
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from server.errors import AppError, Code
from server.intake.entry import CRASHED, Entry, Moved, State, data_extents, new_entry
from server.intake.journal import HELD_BACK, Journal
from server.intake.locks import BusyError
from tests.server.dying import die, killed_in


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path / "spool" / "receiving")


@pytest.fixture
def homes(tmp_path: Path) -> Path:
    (tmp_path / "agencies" / "court" / "upload").mkdir(parents=True)
    return tmp_path / "agencies"


def received(homes: Path, name: str = "ecr.csv", content: bytes = b"12345") -> tuple[Path, Entry]:
    """A file in the court's home and an entry for it."""
    file = homes / "court" / "upload" / name
    file.write_bytes(content)
    return file, new_entry("court", f"/upload/{name}", "handle", "session", "client", file.stat())


def accept(journal: Journal, entry: Entry) -> Path:
    """A manifest in the spool, as for a file that was accepted."""
    manifest = journal.root.parent / f"{entry.id}.json"
    manifest.write_text("{}")
    return manifest


def copy(file: Path, content: bytes = b"12345", newer: float = 0) -> None:
    """Put another file in its place, as restoring a backup does. The old one is kept, or its inode might come back."""
    os.link(file, file.with_name(f"kept-{file.stat().st_ino}"))
    beside = file.with_name("beside")
    beside.write_bytes(content)
    at = file.stat().st_mtime + newer
    os.utime(beside, (at, at))
    beside.replace(file)


@contextmanager
def refusing(file: Path, code: int, patched: pytest.MonkeyPatch, call: str = "open") -> Iterator[None]:
    """The disk answers whoever opens (or locks) that file with an error."""
    module = fcntl if call == "flock" else os
    real, there = getattr(module, call), file.stat()

    def answer(given: Any, *more: Any, **named: Any) -> Any:
        if os.path.exists(given) and os.path.samestat(os.stat(given), there):
            raise OSError(code, os.strerror(code))
        return real(given, *more, **named)

    with patched.context() as patch:
        patch.setattr(module, call, answer)
        yield


@contextmanager
def locked(file: Path) -> Iterator[None]:
    """Hold the file as a session does."""
    with file.open("rb+") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield


def test_an_entry_is_found_by_agency_and_path(journal: Journal, homes: Path) -> None:
    _, entry = received(homes)
    journal.begin(entry)
    assert journal.find("court", "/upload/ecr.csv") == entry
    assert journal.find("other", "/upload/ecr.csv") is None
    assert journal.find("court", "/upload/ecr") is None
    assert list(Journal(journal.root).entries()) == [entry]
    journal.forget("court", "/upload/ecr.csv")
    journal.forget("court", "/upload/ecr.csv")
    assert list(journal.entries()) == []


def test_the_journal_says_what_was_begun_until_anything_changes(journal: Journal, homes: Path) -> None:
    _, entry = received(homes)
    assert not journal.says(entry)
    journal.begin(entry)
    assert journal.says(entry)
    journal.offer(entry, {"size": 5})
    assert not journal.says(entry)
    journal.begin(replace(entry, owner="another"))
    assert not journal.says(entry)


def test_an_entry_becomes_torn_or_held_and_keeps_its_facts(journal: Journal, homes: Path) -> None:
    _, entry = received(homes)
    torn = journal.tear(journal.begin(entry), 5, ((0, 3), (4, 5)), "lost")
    assert torn == replace(entry, state=State.TORN, size=5, covered=((0, 3), (4, 5)), reason="lost")
    assert journal.find("court", entry.path) == torn
    assert journal.hold(torn, 5, ((0, 5),)).state is State.HELD


def test_a_predecessor_is_of_the_same_file_and_not_accepted_yet(journal: Journal, homes: Path) -> None:
    file, entry = received(homes)
    torn = journal.tear(entry, 5, (), "lost")
    assert journal.predecessor("court", entry.path, file.stat()) == torn
    os.link(file, homes / "a backup of the operator's")
    assert journal.predecessor("court", entry.path, file.stat()) == torn
    manifest = accept(journal, entry)
    assert journal.predecessor("court", entry.path, file.stat()) is None
    manifest.unlink()
    journal.offer(torn, {"size": 5})
    assert journal.predecessor("court", entry.path, file.stat()) is None


def test_while_a_file_is_renamed_it_stands_under_both_names(journal: Journal, homes: Path) -> None:
    file, entry = received(homes)
    journal.tear(entry, 5, (), "lost")
    with journal.moving("court", "/upload/ecr.csv", "/upload/b.csv", file.stat(), None) as moved:
        assert moved.entry
        assert moved.entry.id == entry.id
        assert moved.replaced is None
        assert {found.path for found in journal.entries()} == {"/upload/ecr.csv", "/upload/b.csv"}
    assert [found.path for found in journal.entries()] == ["/upload/b.csv"]


def test_a_rename_that_fails_leaves_the_journal_as_it_was(journal: Journal, homes: Path) -> None:
    (file, first), (taken, second) = received(homes, "a.csv"), received(homes, "b.csv")
    journal.begin(first)
    journal.begin(second)
    moving = journal.moving("court", "/upload/a.csv", "/upload/b.csv", file.stat(), taken.stat())
    with pytest.raises(FileExistsError), moving:
        raise FileExistsError
    assert {journal.find("court", "/upload/a.csv"), journal.find("court", "/upload/b.csv")} == {first, second}


def test_replacing_a_torn_file_forgets_it(journal: Journal, homes: Path) -> None:
    file, torn = received(homes, "b.csv")
    journal.begin(torn)
    whole, _ = received(homes, "a.csv")
    with journal.moving("court", "/upload/a.csv", "/upload/b.csv", whole.stat(), file.stat()) as moved:
        assert moved == Moved(None, torn)
    assert list(journal.entries()) == []


def test_a_directory_takes_along_what_is_below_it(journal: Journal, homes: Path) -> None:
    _, entry = received(homes)
    for path in ("/upload/a/1", "/upload/a/b/2", "/upload/ab/3"):
        journal.begin(replace(entry, path=path))
    with journal.moving_tree("court", "/upload/a", "/upload/c"):
        pass
    assert {found.path for found in journal.entries()} == {"/upload/c/1", "/upload/c/b/2", "/upload/ab/3"}


def test_a_directory_that_was_not_renamed_leaves_the_journal_as_it_was(journal: Journal, homes: Path) -> None:
    _, entry = received(homes)
    before = {journal.begin(replace(entry, path=path, owner=path)) for path in ("/upload/a/1", "/upload/c/1")}
    with pytest.raises(OSError, match="not empty"), journal.moving_tree("court", "/upload/a", "/upload/c"):
        raise OSError("not empty")
    assert set(journal.entries()) == before


def test_a_directory_is_not_renamed_while_a_note_cannot_be_read(
    journal: Journal, homes: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, entry = received(homes)
    torn = journal.tear(replace(entry, path="/upload/a/1"), 5, (), "lost")
    [note] = journal.root.glob("*.json")
    moving = journal.moving_tree("court", "/upload/a", "/upload/c")
    with refusing(note, errno.EMFILE, monkeypatch), pytest.raises(OSError, match="Too many open files"), moving:
        pytest.fail("what lies below it would leave its note behind")
    assert list(journal.entries()) == [torn]


def test_a_crash_while_a_directory_is_to_take_anothers_name_leaves_torn_what_was_torn(
    journal: Journal, homes: Path
) -> None:
    for name in "ac":
        (homes / "court" / "upload" / name).mkdir()
    torn = {journal.tear(received(homes, f"{name}/ecr.csv")[1], 5, ((0, 5),), "lost") for name in "ac"}

    def rename() -> None:
        with journal.moving_tree("court", "/upload/a", "/upload/c"):
            die()

    assert killed_in(rename)
    assert {(found.id, found.path, found.state) for found in journal.torn(homes)} == {
        (entry.id, entry.path, State.TORN) for entry in torn
    }


@pytest.mark.parametrize("how", ["damaged", "copied", "not seen"])
def test_a_crash_while_a_file_takes_the_name_of_a_torn_one_that_is_hardly_known(
    journal: Journal, homes: Path, how: str
) -> None:
    whole, entry = received(homes, "ecr.csv.part", b"whole")
    held = journal.hold(entry, 5, ((0, 5),))
    file, entry = received(homes, "ecr.csv", b"1234")
    torn = journal.tear(entry, 4, ((0, 4),), "lost")
    if how == "damaged":
        [note] = [note for note in journal.root.glob("*.json") if torn.id in note.read_text()]
        note.write_bytes(b"{")
    elif how == "copied":
        copy(file, b"1234")
    present = file.stat() if how != "not seen" else None

    def rename() -> None:
        with journal.moving("court", held.path, torn.path, whole.stat(), present):
            die()

    assert killed_in(rename)
    found = {entry.path: entry for entry in journal.torn(homes)}
    assert found[held.path] == held
    assert found[torn.path].state is State.TORN
    assert (found[torn.path].id == torn.id) is (how != "damaged")
    assert found[torn.path].id != held.id
    assert found[torn.path].is_of(file.stat())


def test_what_a_torn_file_was_to_replace_is_forgotten_once_it_has_its_name(journal: Journal, homes: Path) -> None:
    file, entry = received(homes)
    torn = journal.tear(entry, 5, (), "lost")
    journal.begin(torn.over(7, "another"))
    assert journal.torn(homes) == [torn]
    assert list(journal.entries()) == [torn]
    assert file.exists()


def test_a_directory_waits_for_changes_of_the_files_below_it(journal: Journal) -> None:
    done = threading.Event()

    def rename_directory() -> None:
        with journal.locked("court", "/upload/a", "/upload/b", tree=True):
            done.set()

    thread = threading.Thread(target=rename_directory)
    with journal.locked("court", "/upload/a/1"):
        with journal.locked("court", "/upload/x/2"):
            thread.start()
        assert not done.wait(0.2)
    thread.join(5)
    assert done.is_set()


def test_an_upload_whose_process_died_is_torn(journal: Journal, homes: Path) -> None:
    file, entry = received(homes)
    journal.begin(entry)
    with locked(file):
        assert journal.torn(homes) == []
    (torn,) = journal.torn(homes)
    assert (torn.id, torn.state, torn.size, torn.covered, torn.reason) == (entry.id, State.TORN, 5, ((0, 5),), CRASHED)
    assert journal.torn(homes) == [torn]


def test_what_a_crash_left_is_settled(journal: Journal, homes: Path) -> None:
    _, entry = received(homes, "accepted.csv")
    accept(journal, journal.begin(entry))
    gone, entry = received(homes, "gone.csv")
    journal.begin(entry)
    gone.unlink()
    renamed, entry = received(homes, "renamed.csv")
    journal.hold(entry, 5, ((0, 5),))
    held, entry = received(homes, "held.csv.tmp")
    kept = journal.hold(entry, 5, ((0, 5),))
    journal.settle_crashed(homes)
    assert list(journal.entries()) == [kept]
    assert renamed.exists()
    assert held.exists()


def test_a_torn_file_stays_torn_if_its_replacement_died_before_it_took_the_name(journal: Journal, homes: Path) -> None:
    file, before = received(homes)
    fresh = homes / "fresh"
    fresh.touch()
    entry = new_entry("court", before.path, "handle", "session", "client", fresh.stat())
    journal.begin(replace(entry, id=before.id, replaces=file.stat().st_ino))
    (torn,) = journal.torn(homes)
    assert torn.is_of(file.stat())
    assert torn.id == before.id


def test_a_torn_file_stays_torn_when_it_was_copied(journal: Journal, homes: Path) -> None:
    file, entry = received(homes)
    torn = journal.tear(entry, 5, ((0, 5),), "lost")
    copy(file)
    assert not torn.is_of(file.stat())
    assert journal.claims("court", entry.path, file.stat())
    (kept,) = journal.torn(homes)
    assert kept == torn.adopting(file.stat())
    assert kept.is_of(file.stat())


def test_a_copied_file_can_be_resumed_before_anybody_looked(journal: Journal, homes: Path) -> None:
    file, entry = received(homes)
    torn = journal.tear(entry, 5, ((0, 5),), "lost")
    copy(file)
    assert journal.predecessor("court", entry.path, file.stat()) == torn.adopting(file.stat())


def test_a_file_that_was_being_received_is_torn_in_a_copy_whatever_its_size(journal: Journal, homes: Path) -> None:
    file, entry = received(homes)
    journal.begin(entry)
    copy(file, b"123", newer=100)
    assert journal.claims("court", entry.path, file.stat())
    (torn,) = journal.torn(homes)
    assert (torn.id, torn.size) == (entry.id, 3)
    assert torn.is_of(file.stat())


def test_a_torn_file_that_was_replaced_locally_is_forgotten(journal: Journal, homes: Path) -> None:
    file, entry = received(homes)
    journal.tear(entry, 5, (), "lost")
    copy(file, b"all of the file", newer=-100)
    assert journal.claims("court", entry.path, file.stat())
    copy(file, b"all of it", newer=1000)
    assert not journal.claims("court", entry.path, file.stat())
    assert journal.torn(homes) == []
    assert list(journal.entries()) == []


def test_an_entry_speaks_for_plain_files_only(journal: Journal, homes: Path) -> None:
    file, entry = received(homes)
    journal.begin(entry)
    file.unlink()
    file.symlink_to(homes)
    assert not journal.claims("court", entry.path, file.lstat())
    assert not journal.claims("court", "/upload/other.csv", file.lstat())
    assert journal.torn(homes) == []
    assert list(journal.entries()) == []


def test_a_rename_that_never_happened_tears_nothing_under_the_new_name(journal: Journal, homes: Path) -> None:
    torn = journal.tear(received(homes, "a.csv")[1], 5, (), "lost")
    received(homes, "b.csv")
    journal.begin(replace(torn, path="/upload/b.csv"))
    assert journal.torn(homes) == [torn]


def test_a_rename_stays_open_while_nobody_can_tell_whether_it_happened(
    journal: Journal, homes: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, entry = received(homes, "a.csv")
    torn = journal.tear(entry, 5, (), "lost")
    whole, _ = received(homes, "b.csv")
    moved = journal.begin(replace(torn, path="/upload/b.csv"))
    with refusing(file, errno.EIO, monkeypatch, "lstat"):
        journal.settle_crashed(homes)
    assert set(journal.entries()) == {torn, moved}, "nobody says that the whole file is what was torn"
    assert journal.torn(homes) == [torn]
    assert not journal.claims("court", "/upload/b.csv", whole.stat())


def test_held_uploads_wait_for_their_sender_too(journal: Journal, homes: Path) -> None:
    held = journal.hold(received(homes, "a.csv.part")[1], 5, ((0, 5),))
    assert held.reason == HELD_BACK
    assert journal.torn(homes) == [held]


@pytest.mark.parametrize("arrived", [True, False])
def test_an_offered_file_that_is_not_in_the_spool_is_torn_unless_it_arrived(
    journal: Journal, homes: Path, arrived: bool
) -> None:
    file, entry = received(homes)
    journal.offer(journal.begin(entry), {"size": 5})
    asked: list[str] = []

    def settled(id_: str) -> bool:
        asked.append(id_)
        return arrived

    torn = journal.torn(homes, settled)
    assert [(found.id, found.state) for found in torn] == ([] if arrived else [(entry.id, State.TORN)])
    assert asked == [entry.id]
    assert journal.claims("court", entry.path, file.stat()) is not arrived


def test_an_offered_file_whose_manifest_is_there_is_forgotten(journal: Journal, homes: Path) -> None:
    _, entry = received(homes)
    journal.offer(entry, {"size": 5})
    accept(journal, entry)
    assert journal.torn(homes) == []
    assert list(journal.entries()) == []


def test_a_torn_upload_is_never_taken_for_settled(journal: Journal, homes: Path) -> None:
    journal.begin(received(homes)[1])
    assert len(journal.torn(homes, lambda _: True)) == 1
    assert len(journal.torn(homes, lambda _: True)) == 1


def test_an_agency_whose_home_is_away_is_left_alone(journal: Journal, homes: Path) -> None:
    _, entry = received(homes)
    journal.begin(entry)
    (homes / "court").rename(homes / "elsewhere")
    journal.settle_crashed(homes)
    assert list(journal.entries()) == [entry]


@pytest.mark.parametrize(
    ("code", "call"),
    [(errno.EIO, "open"), (errno.ESTALE, "open"), (errno.EACCES, "open"), (errno.ESTALE, "flock")],
)
def test_a_torn_file_that_cannot_be_looked_at_just_now_stays_torn(
    journal: Journal, homes: Path, monkeypatch: pytest.MonkeyPatch, code: int, call: str
) -> None:
    file, entry = received(homes)
    torn = journal.tear(entry, 5, ((0, 5),), "lost")
    left: list[tuple[Entry, int | None]] = []
    with refusing(file, code, monkeypatch, call):
        waiting = journal.torn(homes, left=lambda entry, error: left.append((entry, getattr(error, "errno", None))))
    assert waiting == [torn]
    assert left == [(torn, code)]
    assert journal.claims("court", entry.path, file.stat())


def test_an_entry_that_cannot_be_settled_holds_up_no_other(
    journal: Journal, homes: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    odd, *others = (received(homes, f"{number}.csv") for number in range(9))
    for _, entry in (odd, *others):
        journal.begin(entry)
    with refusing(odd[0], errno.EIO, monkeypatch):
        journal.settle_crashed(homes)
    states = {entry.path: entry.state for entry in journal.entries()}
    assert states == {odd[1].path: State.RECEIVING} | {entry.path: State.TORN for _, entry in others}


def test_a_database_that_is_away_ends_settling(journal: Journal, homes: Path) -> None:
    _, entry = received(homes)
    journal.offer(journal.begin(entry), {"size": 5})

    def away(_: str) -> bool:
        raise AppError(Code.UNAVAILABLE, "The database server does not answer.")

    with pytest.raises(AppError, match="does not answer"):
        journal.torn(homes, away)


def test_an_entry_that_cannot_be_read_or_is_damaged_still_speaks_for_its_file(
    journal: Journal, homes: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, entry = received(homes)
    journal.tear(entry, 5, (), "lost")
    [note] = journal.root.glob("*.json")
    with refusing(note, errno.EIO, monkeypatch):
        assert journal.claims("court", entry.path, file.stat())
        assert not journal.claims("court", entry.path, homes.stat())
        assert journal.broken() == [note]
        with pytest.raises(OSError, match="Input/output"):
            journal.predecessor("court", entry.path, file.stat())
    assert journal.broken() == []
    note.write_bytes(b"\0" * 200)
    assert journal.claims("court", entry.path, file.stat())
    journal.begin(entry)
    assert journal.find("court", entry.path) == entry, "sent again, it is mended"


def test_an_entry_that_was_cut_off_before_it_was_written_is_no_entry(journal: Journal, homes: Path) -> None:
    _, entry = received(homes)
    place = Path(journal.offer(entry, {"size": 5}))
    place.write_bytes(b"")
    assert list(journal.entries()) == []
    assert journal.broken() == []
    assert journal.torn(homes) == []
    assert journal.find("court", journal.begin(entry).path) == entry


def test_a_note_that_was_cut_off_does_not_count(journal: Journal, homes: Path) -> None:
    _, entry = received(homes)
    note = Path(journal.offer(journal.begin(entry), {"size": 5}))
    assert journal.find("court", entry.path) == replace(entry, state=State.ACCEPTING, size=5)
    whole = note.read_bytes()
    for cut in range(1, len('{"size": 5}') + 1):
        note.write_bytes(whole[:-cut])
        assert journal.find("court", entry.path) == entry
    [torn] = journal.torn(homes)
    assert (torn.id, torn.state) == (entry.id, State.TORN)


def test_who_is_in_a_hurry_does_not_wait_for_a_lock(tmp_path: Path) -> None:
    root = tmp_path / "receiving"
    journal, other = Journal(root), Journal(root)
    with journal.locked("court", "/upload/a"):
        with pytest.raises(BusyError), other.locked("court", "/upload/a", wait=False):
            pass
        with pytest.raises(BusyError), other.locked("court", "/upload/b", tree=True, wait=False):
            pass
        with other.locked("other", "/upload/b", wait=False):
            pass
    with other.locked("court", "/upload/a", wait=False):
        pass


def test_a_broken_entry_is_shown_and_harms_nothing(journal: Journal, homes: Path) -> None:
    _, entry = received(homes)
    journal.begin(entry)
    broken = journal.root / f"{'0' * 64}.json"
    for content in (b"{", b"[]", b'{"id": 1}', b"\xff"):
        broken.write_bytes(content)
        assert list(journal.entries()) == [entry]
        assert journal.broken() == [broken]


def test_one_path_is_changed_by_one_at_a_time(journal: Journal) -> None:
    inside, most = 0, 0

    def change() -> None:
        nonlocal inside, most
        for _ in range(50):
            with journal.locked("court", "/upload/a", "/upload/b"):
                inside += 1
                most = max(most, inside)
                inside -= 1

    threads = [threading.Thread(target=change) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 1


def test_extents_show_holes(tmp_path: Path) -> None:
    file = tmp_path / "sparse"
    with file.open("wb") as stream:
        stream.write(b"x" * 4096)
        stream.seek(1024 * 1024)
        stream.write(b"x" * 4096)
        stream.truncate(2 * 1024 * 1024)
    with file.open("rb") as stream:
        extents = data_extents(stream.fileno())
    if len(extents) == 1:
        pytest.skip("this file system does not tell holes")
    assert extents[0] == (0, 4096)
    assert extents[-1][1] < 2 * 1024 * 1024
