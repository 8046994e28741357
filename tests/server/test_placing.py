"""A placed file is found whole, or not at all."""

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from server.placing import placed


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[int]:
    descriptor = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
    yield descriptor
    os.close(descriptor)


def test_it_has_its_name_when_all_is_written(folder: int, tmp_path: Path) -> None:
    (tmp_path / "answer.json").write_bytes(b"old")
    with placed(folder, ".draft", "answer.json") as file:
        file.write(b"new")
        assert (tmp_path / "answer.json").read_bytes() == b"old"
    assert [(each.name, each.read_bytes()) for each in tmp_path.iterdir()] == [("answer.json", b"new")]


@pytest.mark.parametrize("trouble", [OSError(errno.ENOSPC, "No space left on device"), KeyboardInterrupt()])
def test_nothing_is_left_of_one_that_failed(folder: int, tmp_path: Path, trouble: BaseException) -> None:
    def fail() -> None:
        with placed(folder, ".draft", "answer.json") as file:
            file.write(b"half")
            raise trouble

    with pytest.raises(type(trouble)):
        fail()
    assert list(tmp_path.iterdir()) == []


def test_a_draft_that_is_there_is_somebody_elses(folder: int, tmp_path: Path) -> None:
    (tmp_path / ".draft").symlink_to("elsewhere")
    with pytest.raises(FileExistsError), placed(folder, ".draft", "answer.json"):
        pass
    assert (tmp_path / ".draft").is_symlink()
