"""The process dies between any two steps of receiving a file: it is accepted whole, or torn, and never lost."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from server.intake import journal as journals
from server.intake import spares
from server.intake import spool as spools
from server.intake.entry import Entry, State
from server.intake.journal import Journal
from server.intake.spool import Spool
from server.sftp import reception as receptions
from server.sftp.jail import Jail
from server.sftp.paths import read_path
from server.sftp.reception import Reception, Sender
from server.sftp.upload import Upload, Verdict

PATH = "/upload/ecr.csv"
PART = f"{PATH}.part"
SENDER = Sender("court", "session", "client")


@dataclass(frozen=True)
class House:
    """Journal and spool as another process finds them, and a reception to send to."""

    homes: Path
    journal: Journal
    spool: Spool
    hurry: bool
    ahead: bool = False

    def send(self, content: bytes) -> Verdict:
        reception, jail = Reception(self.journal, self.spool, 0, 60), Jail(self.homes / "court")
        assert not self.ahead or reception.prepare()
        upload = Upload(-1, read_path(PATH.encode()), declared=None, append=False, limit=1000)
        reception.begin_new(jail, SENDER, upload, replacing=True, hurry=self.hurry)
        upload.write(0, content)
        verdict = reception.close(jail, upload, hurry=self.hurry).judgement.verdict
        jail.close()
        return verdict

    def accepted(self) -> list[bytes]:
        return [self.spool.data_path(manifest.id).read_bytes() for manifest in self.spool.all()]


@pytest.fixture(params=[True, False], ids=["hurry", "fsync"])
def house(tmp_path: Path, request: pytest.FixtureRequest) -> House:
    spool, durable = tmp_path / "spool", not request.param
    return House(tmp_path / "agencies", Journal(spool / "receiving", durable), Spool(spool, durable), request.param)


@pytest.fixture
def stocked(tmp_path: Path) -> House:
    """One that has made ahead what a file needs."""
    spool = tmp_path / "spool"
    return House(tmp_path / "agencies", Journal(spool / "receiving", False), Spool(spool, False), True, ahead=True)


def die_at(monkeypatch: pytest.MonkeyPatch, place: Any, name: str, before: bool) -> None:
    """The process that calls it is gone, just before or just after it is done."""
    done: Callable[..., Any] = getattr(place, name)

    def dying(*args: Any, **kwargs: Any) -> None:
        if not before:
            done(*args, **kwargs)
        os._exit(9)

    monkeypatch.setattr(place, name, dying)


def send_and_die(house: House, monkeypatch: pytest.MonkeyPatch, place: Any, name: str, before: bool) -> None:
    child = os.fork()
    if child == 0:
        die_at(monkeypatch, place, name, before)
        house.send(b"first")
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9, "it came to that step"


BEGINNING = [(receptions, "new_entry"), (journals, "create_json")]
ENDING = [
    (receptions.Reception, "_accept"),
    (journals, "append_json"),
    (spools.Spool, "_link"),
    (spools.Spool, "_commit"),
]
STOCKED = [
    (spares, "_write"),
    (spares.Spares, "write"),
    (receptions.Reception, "_accept"),
    (spares.Note, "append"),
    (spools.Spool, "_link"),
    (spools.Spool, "_commit"),
]


def each_way(steps: list[tuple[Any, str]]) -> pytest.MarkDecorator:
    """Just before and just after each of the steps."""
    ways = [(place, name, before) for place, name in steps for before in (True, False)]
    names = [f"{'before' if before else 'after'} {name}" for _, name, before in ways]
    return pytest.mark.parametrize(("place", "name", "before"), ways, ids=names)


@each_way(BEGINNING + ENDING)
def test_a_crash_at_any_step(
    house: House, monkeypatch: pytest.MonkeyPatch, place: Any, name: str, before: bool
) -> None:
    crash_and_look(house, monkeypatch, place, name, before)


@each_way(STOCKED)
def test_a_crash_at_any_step_with_what_was_made_ahead(
    stocked: House, monkeypatch: pytest.MonkeyPatch, place: Any, name: str, before: bool
) -> None:
    crash_and_look(stocked, monkeypatch, place, name, before)


def crash_and_look(house: House, monkeypatch: pytest.MonkeyPatch, place: Any, name: str, before: bool) -> None:
    """What is there after the crash, and that the file can be sent again."""
    send_and_die(house, monkeypatch, place, name, before)
    file, torn = house.homes / "court" / "upload" / "ecr.csv", house.journal.torn(house.homes)
    begun = (place, name) not in [*BEGINNING, *STOCKED[:2]]
    whole = (name, before) in (("_commit", False), ("_accept", False))
    assert file.exists() == begun
    assert house.accepted() == ([b"first"] if whole else [])
    assert [entry.state for entry in torn] == ([State.TORN] if begun and not whole else [])
    if file.exists():
        assert house.journal.claims("court", PATH, file.stat()) != whole, "the sweep leaves what is torn alone"
    assert house.journal.broken() == []
    assert [*house.homes.rglob("new-*"), *house.journal.root.glob("new-*")] == []
    again = House(house.homes, house.journal, house.spool, hurry=False)
    assert again.send(b"second") is Verdict.COMPLETE
    assert sorted(house.accepted()) == ([b"first", b"second"] if whole else [b"second"])
    assert list(house.journal.entries()) == []
    assert file.read_bytes() == b"second"


@pytest.mark.parametrize("looked", [True, False], ids=["looked after", "at once"])
@pytest.mark.parametrize(("before", "replacing"), [(True, True), (True, False), (False, True)])
def test_a_crash_while_a_whole_file_takes_the_name_of_a_torn_one(
    house: House, monkeypatch: pytest.MonkeyPatch, before: bool, replacing: bool, looked: bool
) -> None:
    reception, jail = Reception(house.journal, house.spool, 0, 60), Jail(house.homes / "court")
    torn = receive(reception, jail, PATH, torn="lost")
    held = receive(reception, jail, PART)
    rename = partial(reception.rename, jail, SENDER, read_path(PART.encode()), read_path(PATH.encode()), replacing)
    child = os.fork()
    if child == 0:
        die_at(monkeypatch, Jail, "rename", before)
        rename()
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9, "it came to that step"
    file = house.homes / "court" / "upload" / "ecr.csv"
    assert file.read_bytes() == (b"half" if before else b"whole")
    assert not before or house.journal.claims("court", PATH, file.stat()), "nobody takes it for a whole one"
    waiting = {entry.path: (entry.id, entry.state) for entry in house.journal.torn(house.homes)} if looked else {}
    assert waiting == ({PATH: (torn.id, State.TORN), PART: (held.id, State.HELD)} if before and looked else {})
    if before:
        renamed = partial(rename.func, *rename.args[:-1], True)()
        assert renamed.outcome
        assert renamed.outcome.manifest
        assert renamed.replaced
        assert (renamed.outcome.manifest.id, renamed.replaced.id) == (held.id, torn.id)
        assert house.accepted() == [b"whole"]
    jail.close()
    assert house.journal.torn(house.homes) == []
    assert list(house.journal.entries()) == []


def test_a_torn_file_whose_replacement_crashed_can_be_resumed_and_renamed_as_a_torn_one(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    reception, jail = Reception(house.journal, house.spool, 0, 60), Jail(house.homes / "court")
    torn = receive(reception, jail, PATH, torn="lost")
    receive(reception, jail, PART)
    child = os.fork()
    if child == 0:
        die_at(monkeypatch, Jail, "rename", before=True)
        reception.rename(jail, SENDER, read_path(PART.encode()), read_path(PATH.encode()), replacing=True)
        os._exit(0)
    os.waitpid(child, 0)
    status = (house.homes / "court" / "upload" / "ecr.csv").stat()
    resumed = house.journal.predecessor("court", PATH, status)
    assert resumed
    assert (resumed.id, resumed.state, resumed.covered) == (torn.id, State.TORN, ())
    for old, new in ((PATH, "/upload/again.csv.tmp"), ("/upload/again.csv.tmp", "/upload/again.csv")):
        renamed = reception.rename(jail, SENDER, read_path(old.encode()), read_path(new.encode()), replacing=False)
        assert renamed.outcome
        assert renamed.outcome.entry
        assert (renamed.outcome.entry.id, renamed.outcome.entry.state) == (torn.id, State.TORN)
    jail.close()
    assert house.accepted() == []


def receive(reception: Reception, jail: Jail, path: str, torn: str = "") -> Entry:
    """What is noted of an upload that is torn, or held."""
    upload = Upload(-1, read_path(path.encode()), declared=None, append=False, limit=1000)
    reception.begin_new(jail, SENDER, upload, replacing=False)
    upload.write(0, b"half" if torn else b"whole")
    upload.torn = torn
    entry = reception.close(jail, upload).entry
    assert entry
    return entry


@pytest.mark.parametrize("name", ["ecr.csv", "ecr.csv.part"])
def test_all_is_on_the_disk_before_it_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    spool = Spool(tmp_path / "spool")
    reception = Reception(Journal(spool.root / "receiving"), spool, 0, 60)
    jail, path = Jail(tmp_path / "agencies" / "court"), read_path(f"/upload/{name}".encode())
    upload = Upload(-1, path, declared=None, append=False, limit=1000)
    done: list[str] = []
    flush, link = os.fsync, spools.Spool._link

    def note_flush(fd: int) -> None:
        flush(fd)
        # The kernel knows a file that began without a name by its inode.
        name = Path(f"/proc/self/fd/{fd}").readlink().name
        done.append("CONTENT" if name.startswith(f"#{os.fstat(fd).st_ino} ") else name)

    def note_link(*args: Any) -> None:
        link(*args)
        done.append("LINK")

    monkeypatch.setattr(os, "fsync", note_flush)
    monkeypatch.setattr(spools.Spool, "_link", note_link)
    reception.begin_new(jail, SENDER, upload, replacing=False)
    [entry] = reception._journal.entries()
    note = Path(reception._journal._file("court", entry.path)).name
    assert done == [note, "receiving"], "the entry, and its name"
    done.clear()
    upload.write(0, b"12345")
    outcome = reception.close(jail, upload)
    if outcome.manifest is None:
        done.clear()
        note = Path(reception._journal._file("court", PATH)).name
        outcome = reception.rename(jail, SENDER, path, read_path(PATH.encode()), replacing=False).outcome or outcome
        del done[: done.index("receiving") + 1]  # the entry under its new name, before the file has it
    jail.close()
    assert outcome.manifest
    assert done in ([whole, note, "LINK", "spool"] for whole in ("CONTENT", "ecr.csv")), (
        "content and manifest, and only then their names"
    )
