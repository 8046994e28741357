"""A new file has its name whole and locked, or leaves nothing."""

import errno
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from server.sftp.staging import Staged, Stock, settle, staged, try_lock


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "receiving"
    root.mkdir()
    return root


@pytest.fixture
def upload(tmp_path: Path) -> Iterator[int]:
    place = tmp_path / "upload"
    place.mkdir()
    fd = os.open(place, os.O_PATH | os.O_DIRECTORY)
    yield fd
    os.close(fd)


@pytest.fixture(params=[False, True], ids=["nameless files", "none on this file system"])
def old(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Whether the file system knows no files without a name."""
    there = os.open

    def refuse(path: Any, flags: int, *args: Any, **kwargs: Any) -> int:
        if flags & os.O_TMPFILE == os.O_TMPFILE:
            raise OSError(errno.EOPNOTSUPP, "as NFS does")
        return there(path, flags, *args, **kwargs)

    if request.param:
        monkeypatch.setattr(os, "open", refuse)
    return bool(request.param)


def test_it_gets_its_name_when_it_is_settled(root: Path, upload: int, tmp_path: Path, old: bool) -> None:
    with staged(root, replacing=False) as new:
        assert [name.name for name in root.iterdir()] == ([new.name] if old else [])
        assert bool(new.name) == old
        os.write(new.fd, b"12345")
        settle(root, new, upload, "ecr.csv", replace=True)
    file = tmp_path / "upload" / "ecr.csv"
    assert file.read_bytes() == b"12345"
    assert file.stat().st_nlink == 1
    assert list(root.iterdir()) == []
    with file.open("rb") as other:
        assert not try_lock(other.fileno()), "its session holds it"
    os.close(new.fd)
    with file.open("rb") as other:
        assert try_lock(other.fileno())


def test_a_name_that_is_taken_stays_another_files(root: Path, upload: int, tmp_path: Path, old: bool) -> None:
    file = tmp_path / "upload" / "ecr.csv"
    file.write_bytes(b"older")
    made: list[Staged] = []

    def send() -> None:
        with staged(root, replacing=False) as new:
            made.append(new)
            settle(root, new, upload, "ecr.csv", replace=False)

    with pytest.raises(FileExistsError):
        send()
    assert file.read_bytes() == b"older"
    assert list(root.iterdir()) == []
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(made[0].fd)


def test_one_that_replaces_another_takes_its_name(root: Path, upload: int, tmp_path: Path, old: bool) -> None:
    file = tmp_path / "upload" / "ecr.csv"
    file.write_bytes(b"older")
    with staged(root, replacing=True) as new:
        os.write(new.fd, b"newer")
        assert file.read_bytes() == b"older"
        settle(root, new, upload, "ecr.csv", replace=True)
    os.close(new.fd)
    assert file.read_bytes() == b"newer"
    assert list(root.iterdir()) == []


def test_what_else_the_disk_refuses_is_said(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_args: Any, **_kwargs: Any) -> int:
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(os, "open", full)
    with pytest.raises(OSError, match="full"), staged(root, replacing=False):
        pass


def test_one_that_was_made_ahead_is_as_if_made_now(root: Path, upload: int, tmp_path: Path, old: bool) -> None:
    stock = Stock(root)
    assert stock.prepare(2) == (not old)
    assert stock.ready == (0 if old else 2)
    assert list(root.iterdir()) == []
    before = time.time_ns() - 1_000_000_000
    with staged(root, replacing=False, stock=stock) as new:
        settle(root, new, upload, "ecr.csv", replace=False)
    file = tmp_path / "upload" / "ecr.csv"
    assert file.stat().st_mtime_ns > before
    with file.open("rb") as other:
        assert not try_lock(other.fileno()), "its session holds it"
    os.close(new.fd)
    assert stock.ready == (0 if old else 1)
    stock.drop()
    assert stock.ready == 0
