"""Files that commands write where an operator says: what a full disk leaves of them, and who may read them."""

import os
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from server.cli.written import closed_file, new_files
from server.errors import AppError, Code
from tests.acceptance.court import Dropslot, need


@pytest.fixture
def full_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk that takes further names, and no byte."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        [need("mount"), "-t", "tmpfs", "-o", "size=4096", "none", str(disk)], capture_output=True, check=False
    )
    if mounted.returncode != 0:
        pytest.skip("a small disk can be mounted by root only")
    (disk / "filler").write_bytes(b"x" * 4096)
    yield disk
    subprocess.run([need("umount"), "-l", str(disk)], check=True)


@pytest.fixture
def dropslot(tmp_path: Path) -> Dropslot:
    installation = Dropslot(tmp_path / "data")
    installation.run("agency", "add", "gwinnett", "--name", "G", "--timezone", "America/New_York")
    return installation


@pytest.fixture(autouse=True)
def usual_mask() -> Iterator[None]:
    """That of most accounts, with which everybody may read what is made."""
    before = os.umask(0o022)
    yield
    os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_a_full_disk_leaves_no_half_of_a_key(dropslot: Dropslot, full_disk: Path) -> None:
    out = full_disk / "k"
    done = dropslot.run("key", "generate", "gwinnett", "--out", out, check=False)
    assert done.stderr == f"{out} cannot be written (No space left on device). Free some space."
    assert names(full_disk) == {"filler"}
    assert dropslot.json("key", "list", "gwinnett") == []
    (full_disk / "filler").unlink()
    done = dropslot.run("key", "generate", "gwinnett", "--out", out, check=False)
    assert f"{out}.pub cannot be written" in done.stderr, "there is room for one of both"
    assert names(full_disk) == set()
    assert dropslot.json("key", "list", "gwinnett") == []


def test_a_full_disk_leaves_no_half_of_a_connect_kit(dropslot: Dropslot, full_disk: Path) -> None:
    flags = ("--host", "sftp.example.gov", "--with-new-key", "--out", full_disk / "kit")
    (full_disk / "filler").unlink()
    done = dropslot.run("agency", "connect-kit", "gwinnett", *flags, check=False)
    assert "(No space left on device). Free some space." in done.stderr
    assert names(full_disk / "kit") == set()
    assert dropslot.json("key", "list", "gwinnett") == []


def test_where_a_key_cannot_be_another_name_may_help(dropslot: Dropslot, tmp_path: Path) -> None:
    done = dropslot.run("key", "generate", "gwinnett", "--out", tmp_path / "none" / "k", check=False)
    assert done.stderr.endswith("(No such file or directory). Name another file with --out.")


def test_new_files_go_with_what_they_were_for(tmp_path: Path) -> None:
    with new_files({tmp_path / "a": (b"a", 0o600)}, ""):
        assert names(tmp_path) == {"a"}
    with pytest.raises(ZeroDivisionError), new_files({tmp_path / "b": (b"b", 0o600)}, ""):
        raise ZeroDivisionError
    assert names(tmp_path) == {"a"}


def test_a_file_that_was_there_stays(tmp_path: Path) -> None:
    (tmp_path / "b").write_text("there")
    with pytest.raises(AppError), new_files({tmp_path / "a": (b"a", 0o600), tmp_path / "b": (b"b", 0o600)}, ""):
        pass
    assert names(tmp_path) == {"b"}
    assert (tmp_path / "b").read_text() == "there"


@pytest.mark.parametrize("there", [None, 0o644])
def test_a_report_is_for_its_owner_alone(dropslot: Dropslot, tmp_path: Path, there: int | None) -> None:
    out = tmp_path / "people.csv"
    if there:
        out.touch(there)
    dropslot.run("report", "run", "gwinnett", "upcoming-events", "--output", out)
    assert mode(out) == 0o600
    assert out.stat().st_size
    assert names(tmp_path) == {"data", "people.csv"}


def test_an_error_file_is_for_its_owner_alone(dropslot: Dropslot, tmp_path: Path) -> None:
    sample, errors = tmp_path / "ecr.txt", tmp_path / "errors.csv"
    sample.write_text("Party ID|Last Name|Case Number\n1|Alder|\n")
    template = tmp_path / "t.toml"
    template.write_text('name = "t"\n[columns]\nclient.last_name = "Last Name"\ncase.number = "Case Number"\n')
    dropslot.run("template", "check", template, sample, "--errors", errors, check=False)
    assert mode(errors) == 0o600
    assert names(tmp_path) == {"data", "ecr.txt", "t.toml", "errors.csv"}


def test_a_link_is_followed_and_stays(tmp_path: Path) -> None:
    real, link = tmp_path / "real.csv", tmp_path / "link.csv"
    real.write_text("old")
    link.symlink_to(real)
    with closed_file(link) as file:
        file.write(b"new")
    assert link.is_symlink()
    assert (real.read_text(), mode(real)) == ("new", 0o600)


def test_a_device_stays_what_it_is() -> None:
    with closed_file(Path("/dev/null")) as file:
        file.write(b"x")
    assert stat.S_ISCHR(Path("/dev/null").stat().st_mode)
    with pytest.raises(AppError, match="Free some space") as caught, closed_file(Path("/dev/full")) as file:
        file.write(b"x")
    assert caught.value.code == Code.UNAVAILABLE


def test_a_file_that_fails_leaves_the_one_before(tmp_path: Path, full_disk: Path) -> None:
    out = full_disk / "filler"
    with pytest.raises(AppError, match="Free some space"), closed_file(out) as file:
        file.write(b"x" * 100)
    assert names(full_disk) == {"filler"}
    assert out.stat().st_size == 4096
