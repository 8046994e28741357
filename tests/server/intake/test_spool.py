"""The spool: whole or not at all, whatever is going on beside."""

import errno
import json
import os
import threading
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from server.clock import new_id, now
from server.errors import AppError
from server.intake import spool as spool_module
from server.intake.durable import DirectorySync
from server.intake.spool import Manifest, Spool


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    return Spool(tmp_path / "spool")


def manifest(file: Path) -> Manifest:
    status, at = file.stat(), now()
    return Manifest(
        id=new_id(),
        agency="court",
        path=f"/upload/{file.name}",
        size=status.st_size,
        source="sftp",
        session="session",
        client="client",
        opened_at=at,
        closed_at=at,
        not_before=at,
        declared_size=5,
        dev=status.st_dev,
        ino=status.st_ino,
        mtime_ns=status.st_mtime_ns,
    )


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "ecr.csv"
    file.write_bytes(b"12345")
    return file


def link(spool: Spool, file: Path) -> Manifest:
    made = manifest(file)
    with file.open("rb") as stream:
        spool.accept_link(made, stream.fileno())
    return made


@pytest.mark.parametrize("durable", [True, False])
def test_an_accepted_file_is_linked_and_described(tmp_path: Path, file: Path, durable: bool) -> None:
    spool = Spool(tmp_path / "spool", durable=durable)
    made = link(spool, file)
    assert spool.data_path(made.id).samefile(file)
    assert list(Spool(tmp_path / "spool").all()) == [made]
    assert spool.find(made.id) == made
    assert made.name == "ecr.csv"
    assert made.footprint
    assert made.footprint.ino == file.stat().st_ino
    assert spool.broken() == []


def test_the_open_file_is_linked_whatever_has_its_name(spool: Spool, file: Path) -> None:
    made = manifest(file)
    with file.open("rb") as stream:
        file.unlink()
        file.write_bytes(b"another")
        with pytest.raises(FileNotFoundError):  # no name is left of it: nobody could tell what was accepted
            spool.accept_link(made, stream.fileno())
    assert list(spool.all()) == []
    assert list(spool.root.glob("*.data")) == []


def test_a_note_becomes_the_manifest(spool: Spool, file: Path, tmp_path: Path) -> None:
    made, note = manifest(file), tmp_path / "note"
    note.write_text('{"what": "was noted before"}\n' + json.dumps(made.to_json()) + "\n")
    with file.open("rb") as stream:
        spool.accept_link(made, stream.fileno(), str(note))
    assert list(spool.all()) == [made]
    assert not note.exists()
    assert spool.broken() == []


def test_a_note_that_cannot_be_had_accepts_nothing(spool: Spool, file: Path, tmp_path: Path) -> None:
    made = manifest(file)
    with file.open("rb") as stream, pytest.raises(FileNotFoundError):
        spool.accept_link(made, stream.fileno(), str(tmp_path / "note"))
    assert list(spool.root.iterdir()) == []


def test_what_a_crash_left_of_an_acceptance_is_replaced(spool: Spool, file: Path) -> None:
    made = manifest(file)
    spool.data_path(made.id).write_bytes(b"an older version, never accepted")
    with file.open("rb") as stream:
        spool.accept_link(made, stream.fileno())
    assert spool.data_path(made.id).samefile(file)
    assert list(spool.all()) == [made]


def test_accepting_again_renews_the_manifest(spool: Spool, file: Path) -> None:
    made = link(spool, file)
    renewed = replace(made, path="/upload/b.csv")
    with file.open("rb") as stream:
        spool.accept_link(renewed, stream.fileno())
    assert list(spool.all()) == [renewed]


def test_what_was_taken_back_is_not_renewed(spool: Spool, file: Path) -> None:
    made = link(spool, file)
    spool.retract(made.id)
    spool.renew(replace(made, path="/upload/b.csv"))
    assert list(spool.root.iterdir()) == []


def test_a_renewal_that_comes_while_its_file_goes_leaves_nothing(
    spool: Spool, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The two are as close as they can be: the renewal has looked, and then the file is taken back."""
    made, write = link(spool, file), spool_module.write_json

    def late(*arguments: Any) -> None:
        spool.retract(made.id)
        write(*arguments)

    monkeypatch.setattr(spool_module, "write_json", late)
    spool.renew(replace(made, path="/upload/b.csv"))
    assert list(spool.root.iterdir()) == []


def test_an_id_is_never_used_for_another_file(spool: Spool, file: Path, tmp_path: Path) -> None:
    made = link(spool, file)
    other = tmp_path / "other.csv"
    other.write_bytes(b"other")
    with other.open("rb") as stream, pytest.raises(FileExistsError):
        spool.accept_link(replace(manifest(other), id=made.id), stream.fileno())
    assert spool.data_path(made.id).read_bytes() == b"12345"


def test_a_copy_does_not_change_with_its_source(spool: Spool, file: Path) -> None:
    made = manifest(file)
    spool.accept_copy(made, file)
    file.write_bytes(b"changed")
    assert spool.data_path(made.id).read_bytes() == b"12345"
    assert list(spool.all()) == [made]


def test_a_copy_is_of_a_plain_file(spool: Spool, file: Path, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to(file)
    for name in ("pipe", "link", "missing", "."):
        with pytest.raises((AppError, OSError)):
            spool.accept_copy(manifest(file), tmp_path / name)
    assert list(spool.root.iterdir()) == []


def test_what_may_still_be_taken_back_is_not_pending(spool: Spool, file: Path) -> None:
    made = replace(manifest(file), not_before=now() + timedelta(seconds=60))
    with file.open("rb") as stream:
        spool.accept_link(made, stream.fileno())
    assert list(spool.pending(now())) == []
    assert list(spool.pending(now() + timedelta(seconds=61))) == [made]
    assert list(spool.pending(now() - timedelta(days=365))) == [made], "by a clock that has been set back"
    spool.retract(made.id)
    spool.retract(made.id)
    assert list(spool.root.iterdir()) == []
    assert file.exists()


def test_the_oldest_comes_first(spool: Spool, file: Path) -> None:
    made = [link(spool, file) for _ in range(3)]
    assert {found.id for found in spool.all()} == {one.id for one in made}
    assert [found.id for found in spool.all()] == sorted(one.id for one in made)


def test_broken_manifests_are_skipped_and_shown(spool: Spool, file: Path) -> None:
    made = link(spool, file)
    broken = spool.root / f"{new_id()}.json"
    for content in (b"", b"[]", b"{}", b"\xff"):
        broken.write_bytes(content)
        assert list(spool.all()) == [made]
        assert spool.broken() == [broken]


def test_a_manifest_without_data_is_broken(spool: Spool, file: Path) -> None:
    made = link(spool, file)
    spool.data_path(made.id).unlink()
    assert [path.stem for path in spool.broken()] == [made.id]


def test_what_a_crash_left_half_made_is_swept(spool: Spool, file: Path) -> None:
    made = link(spool, file)
    for name in ("a.data", "b.copy", "c.json.12.tmp"):
        (spool.root / name).write_bytes(b"x")
    assert spool.sweep_rubbish() == 0
    assert spool.sweep_rubbish(age=-1) == 3
    assert list(spool.all()) == [made]
    assert spool.data_path(made.id).exists()


def test_what_is_accepted_stays_while_its_manifest_cannot_be_looked_at(
    spool: Spool, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = link(spool, file)
    real, note = os.lstat, spool.root / f"{made.id}.json"

    def lstat(path: Any, **named: Any) -> os.stat_result:
        if os.fspath(path) == str(note):
            raise OSError(errno.EIO, "Input/output error")
        return real(path, **named)

    monkeypatch.setattr(os, "lstat", lstat)
    other = file.with_name("other.csv")
    other.write_bytes(b"other")
    with other.open("rb") as stream, pytest.raises(OSError, match="Input/output"):
        spool.accept_link(made, stream.fileno())
    assert spool.sweep_rubbish(age=-1) == 0
    assert spool.data_path(made.id).read_bytes() == b"12345"
    assert list(spool.all()) == [made]


def test_a_disk_that_refuses_leaves_nothing(spool: Spool, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("server.intake.spool.write_json", refuse)
    with pytest.raises(OSError, match="No space"):
        link(spool, file)
    assert list(spool.root.iterdir()) == []


def test_those_who_wait_for_the_disk_share_one_flush(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    began, go, flushes = threading.Event(), threading.Event(), []

    def flush(directory: Path) -> None:
        flushes.append(directory)
        began.set()
        go.wait(5)

    monkeypatch.setattr("server.intake.durable.sync_directory", flush)
    sync = DirectorySync(tmp_path)
    threads = [threading.Thread(target=sync.flush) for _ in range(10)]
    threads[0].start()
    began.wait(5)
    for thread in threads[1:]:
        thread.start()
    while sync._asked < 10:
        pass
    go.set()
    for thread in threads:
        thread.join()
    assert len(flushes) == 2
