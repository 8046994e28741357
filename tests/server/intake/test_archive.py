"""The archive holds what was taken, whatever becomes of the file in the agency's home."""

import hashlib
import os
from pathlib import Path

import pytest

from server.intake import archive as archiving
from server.intake.archive import Archive
from tests.server.dying import die, killed_in

OLD, NEW = b"as it came", b"written over it by somebody"
SHA256 = hashlib.sha256(OLD).hexdigest()


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    (tmp_path / "archive").mkdir()
    return Archive(tmp_path / "archive")


@pytest.fixture
def spooled(tmp_path: Path) -> Path:
    file = tmp_path / "spooled"
    file.write_bytes(OLD)
    return file


@pytest.fixture
def home(tmp_path: Path, spooled: Path) -> Path:
    """The same file in the agency's home."""
    file = tmp_path / "home"
    os.link(spooled, file)
    return file


def files(archive: Archive) -> list[Path]:
    return [path for path in archive.path(SHA256).parents[1].rglob("*") if path.is_file()]


@pytest.mark.parametrize("shares", [True, False])
def test_writing_over_a_file_that_was_taken_leaves_its_original(
    archive: Archive, spooled: Path, home: Path, shares: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not shares:
        monkeypatch.setattr(archiving, "_share", _refuse)
    assert archive.keep(spooled, SHA256) == SHA256
    home.write_bytes(NEW)
    assert archive.path(SHA256).read_bytes() == OLD
    assert files(archive) == [archive.path(SHA256)]


def _refuse(old: int, new: int) -> int:
    raise archiving._NoSharingError


def test_a_file_that_has_no_other_name_is_moved(archive: Archive, spooled: Path) -> None:
    assert archive.keep(spooled, None) == SHA256
    assert archive.path(SHA256).samefile(spooled)
    assert archive.keep(spooled, SHA256) == SHA256, "a crash came in between"
    spooled.unlink()
    assert archive.keep(spooled, SHA256) == SHA256
    assert archive.keep(spooled, None) is None
    assert files(archive) == [archive.path(SHA256)]


def test_one_that_was_written_over_before_it_was_kept_is_not_kept_under_a_wrong_name(
    archive: Archive, spooled: Path, home: Path
) -> None:
    home.write_bytes(NEW)
    assert archive.keep(spooled, SHA256) is None
    assert files(archive) == []


@pytest.mark.parametrize("harm", [lambda kept: kept.write_bytes(NEW), lambda kept: os.link(kept, f"{kept}.elsewhere")])
def test_the_same_content_heals_what_was_kept(archive: Archive, spooled: Path, home: Path, harm: object) -> None:
    archive.keep(spooled, SHA256)
    harm(archive.path(SHA256))  # type: ignore[operator]
    assert archive.keep(spooled, SHA256) == SHA256
    assert archive.path(SHA256).read_bytes() == OLD
    assert archive.path(SHA256).stat().st_nlink == 1


def test_a_copy_that_a_crash_left_is_swept_once_it_is_old(archive: Archive, spooled: Path, home: Path) -> None:
    def work() -> None:
        archiving.hash_file = die
        archive.keep(spooled, None)

    assert killed_in(work)
    archive.keep(spooled, None)
    assert len(files(archive)) == 2
    assert archive.sweep_rubbish() == 0, "it may be at work"
    assert archive.sweep_rubbish(age=-1) == 1
    assert files(archive) == [archive.path(SHA256)]


def test_all_names_that_lead_to_a_kept_file_are_on_the_disk(
    archive: Archive, spooled: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flushed: list[Path] = []
    monkeypatch.setattr(archiving, "sync_directory", flushed.append)
    archive.keep(spooled, None)
    folder = archive.path(SHA256).parent
    assert flushed == [folder.parent, folder]
    archive.path(SHA256).unlink()
    archive.keep(spooled, None)
    assert flushed[2:] == [folder], "which has its name for long"
