"""The files in /exports: looked after until the next run, deleted when they are old, never the agency's own."""

import os
import shutil
from pathlib import Path

import pytest

from server.outbound.exports import place
from server.outbound.exports.place import DEPTH, Known, Sight, _walk, parts_of, put, remove, search
from server.outbound.exports.plan import Shape, When, cancel_export, change_export
from server.outbound.exports.run import Task, run_export
from server.schedule.slots import Slot
from tests.ingest.court import ecr, row
from tests.server.outbound.exports.conftest import Office

pytestmark = pytest.mark.sqlite_only


@pytest.fixture
def delivered(office: Office) -> Path:
    """The file of the first run."""
    office.push(ecr(row("1")))
    office.export()
    office.go(days=1)
    office.go(seconds=5)
    return office.folder / office.files()[0]


def test_a_file_that_is_gone_is_put_back_after_ten_minutes(office: Office, delivered: Path) -> None:
    content = delivered.read_bytes()
    delivered.unlink()
    office.go(minutes=9)
    assert office.files() == []
    office.go(minutes=1)
    assert delivered.read_bytes() == content
    office.restart()
    shutil.rmtree(office.folder)
    office.go(minutes=10)
    assert delivered.read_bytes() == content


def test_a_file_that_was_moved_is_not_put_back(office: Office, delivered: Path) -> None:
    deep = office.folder / "done" / "2026" / "march"
    deep.mkdir(parents=True)
    delivered.rename(deep / delivered.name)
    for _ in range(3):
        office.go(minutes=10)
    office.restart()
    office.go(minutes=10)
    assert office.files() == [f"done/2026/march/{delivered.name}"]
    (deep / delivered.name).rename(office.folder / "done" / delivered.name)
    office.go(minutes=10)
    assert office.files() == [f"done/{delivered.name}"]
    (office.folder / "done" / delivered.name).unlink()
    office.go(minutes=10)
    assert office.files() == [delivered.name]


def test_another_content_under_its_name_elsewhere_is_not_it(office: Office, delivered: Path) -> None:
    content = delivered.read_bytes()
    (office.folder / "done").mkdir()
    delivered.rename(office.folder / "done" / delivered.name)
    (office.folder / "done" / delivered.name).write_bytes(content.replace(b"Alder", b"Other"))
    office.go(minutes=10)
    assert delivered.read_bytes() == content
    assert b"Other" in (office.folder / "done" / delivered.name).read_bytes()


def test_a_file_that_the_agency_has_changed_is_its_own(office: Office, delivered: Path) -> None:
    delivered.write_bytes(b"mine")
    office.go(minutes=10)
    assert delivered.read_bytes() == b"mine"
    office.go(days=91)
    assert delivered.read_bytes() == b"mine"


def test_it_is_looked_for_until_the_next_run_only(office: Office, delivered: Path) -> None:
    office.go(days=1)
    delivered.unlink()
    office.go(minutes=10)
    assert not delivered.exists()
    assert len(office.files()) == 1


def test_old_files_are_deleted_wherever_they_are_and_nothing_else_is(office: Office, delivered: Path) -> None:
    deep = office.folder / "done" / "2026"
    deep.mkdir(parents=True)
    (deep / "mine.csv").write_bytes(b"mine")
    (office.folder / f"{delivered.name}.bak").write_bytes(delivered.read_bytes())
    shutil.copy(delivered, deep)
    delivered.rename(office.folder / "done" / delivered.name)
    office.go(days=89)
    assert len(office.files()) == 5
    office.go(days=1, hours=1)
    left = [name for name in office.files() if delivered.name in name or "mine" in name]
    assert left == ["done/2026/mine.csv", f"{delivered.name}.bak"]
    export = office.runs(office.again(office.export(name="unused")))
    assert export == []


def test_a_file_of_a_paused_or_cancelled_export_is_deleted_too(office: Office, delivered: Path) -> None:
    with office.state.database.writing() as conn:
        cancel_export(conn, office.agency, "clients")
    office.go(minutes=10)
    assert delivered.exists()
    office.go(days=90, hours=1)
    assert office.files() == []
    office.go(hours=1)
    assert list(office.state.settings.staging.iterdir()) == []


def test_staged_copies_are_kept_until_the_next_run(office: Office, delivered: Path) -> None:
    staging = office.state.settings.staging
    (staging / "rubbish").write_bytes(b"")
    os.utime(staging / "rubbish", (0, 0))
    office.go(days=1)
    office.go(hours=2)
    assert len(list(staging.iterdir())) == 1
    delivered.unlink()
    office.go(hours=2)
    assert len(office.files()) == 1


def test_what_has_the_name_already_stays(office: Office, delivered: Path) -> None:
    export = office.export("cases")
    name = "gwinnett_cases_2026-03-04T110005Z.csv"
    (office.folder / name).write_bytes(b"mine")
    office.go(days=1)
    assert "has another file named" in str(office.again(export).error)
    (office.folder / name).rename(office.folder / "mine.csv")
    office.go(minutes=2)
    assert office.again(export).error is None
    assert office.rows(name)[0]["number"] == "CR-1"


def test_a_home_that_cannot_be_read_is_told_until_it_can(office: Office, delivered: Path) -> None:
    export = office.again(office.export("cases"))
    clients = next(each for each in office.exports() if each.name == "clients")
    delivered.unlink()
    office.folder.rmdir()
    office.folder.write_text("in the way")
    office.go(minutes=10)
    assert "is not a folder" in str(office.again(clients).error)
    assert office.again(export).error is None
    office.folder.unlink()
    office.go(minutes=10)
    assert office.again(clients).error is None
    assert delivered.exists()


def test_a_file_that_is_lost_before_it_is_delivered(office: Office, delivered: Path) -> None:
    export = next(each for each in office.exports() if each.name == "clients")
    (office.folder / "civil").write_text("in the way")
    with office.state.database.writing() as conn:
        change_export(conn, office.agency, "clients", When(), Shape(directory="/exports/civil"), office.at)
    office.push(ecr(row("1"), row("2", "CR-2")))
    office.go(days=1)
    (office.state.settings.staging / office.runs(export)[-1].id).unlink()
    (office.folder / "civil").unlink()
    office.go(minutes=2)
    assert "was lost before it was delivered" in str(office.again(export).error)
    whole = Slot(office.at, "by hand")
    assert run_export(office.state, export.id, Task(whole, "operator", office.at, whole=True))
    office.go(minutes=30)
    assert office.again(export).error is None
    (name,) = os.listdir(office.folder / "civil")
    assert [each["reference"] for each in office.rows(f"civil/{name}")] == ["1", "2"]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "home").mkdir()
    return tmp_path / "home"


@pytest.fixture
def source(tmp_path: Path) -> Path:
    file = tmp_path / "staged"
    file.write_bytes(b"id\r\n1\r\n")
    return file


def known(source: Path) -> Known:
    import hashlib

    return Known("x.csv", source.stat().st_size, hashlib.sha256(source.read_bytes()).hexdigest())


def test_no_link_is_followed(home: Path, source: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    shutil.copy(source, outside / "x.csv")
    (home / "exports").symlink_to(outside)
    with pytest.raises(Exception, match="is not a folder"):
        put(home, ("exports",), known(source), source)
    assert search(home, known(source)) is None
    assert remove(home, {"x.csv": known(source)}) == []
    (home / "exports").unlink()
    (home / "exports").mkdir()
    (home / "exports" / "sub").symlink_to(outside)
    (home / "exports" / "x.csv").symlink_to(outside / "x.csv")
    assert search(home, known(source)) is None
    assert remove(home, {"x.csv": known(source)}) == []
    assert put(home, ("exports",), known(source), source) == Sight.ALTERED
    assert (outside / "x.csv").exists()


@pytest.mark.parametrize(("content", "seen"), [(b"the same", Sight.THERE), (b"another!", Sight.ALTERED)])
def test_what_somebody_else_puts_there_meanwhile_is_looked_at(
    home: Path, source: Path, monkeypatch: pytest.MonkeyPatch, content: bytes, seen: Sight
) -> None:
    source.write_bytes(b"the same")
    begin = place._begin

    def begin_late(directory: int) -> tuple[str, int]:
        (home / "exports" / "x.csv").write_bytes(content)
        return begin(directory)

    monkeypatch.setattr(place, "_begin", begin_late)
    assert put(home, ("exports",), known(source), source) == seen
    assert (home / "exports" / "x.csv").read_bytes() == content


def test_where_files_cannot_be_without_a_name(home: Path, source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """NFS, say."""
    monkeypatch.setattr(os, "O_TMPFILE", os.O_DIRECTORY | os.O_WRONLY)
    assert put(home, ("exports", "civil"), known(source), source) == Sight.THERE
    assert os.listdir(home / "exports" / "civil") == ["x.csv"]
    assert put(home, ("exports", "civil"), known(source), source) == Sight.THERE
    assert search(home, known(source)) == ("exports", "civil")


def test_folders_without_end_do_not_keep_anybody_busy(home: Path, source: Path) -> None:
    put(home, ("exports",), known(source), source)
    folder = os.open(home / "exports", os.O_RDONLY)
    for depth in range(3 * DEPTH):
        if depth == 30:
            os.rename(home / "exports" / "x.csv", "x.csv", dst_dir_fd=folder)
        os.mkdir("d", dir_fd=folder)
        deeper = os.open("d", os.O_RDONLY, dir_fd=folder)
        os.close(folder)
        folder = deeper
    os.close(folder)
    found = search(home, known(source))
    assert found is not None
    assert len(found) == 31
    assert len(remove(home, {"x.csv": known(source)})) == 1
    assert len(list(_walk(home))) == DEPTH


@pytest.mark.parametrize("directory", ["/exports", "exports/civil/", "/exports//a/b"])
def test_directories(directory: str) -> None:
    assert parts_of(directory)[0] == place.AREA
