"""A disk that is full: the court is told, nothing accepted is lost, and all goes on when there is space again."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.conftest import make_court
from tests.acceptance.court import Court, Dropslot, ecr, ecr_row, need, wait_for

SIZE = 160 * 1024 * 1024


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        [need("mount"), "-t", "tmpfs", "-o", f"size={SIZE}", "none", str(disk)], capture_output=True, check=False
    )
    if mounted.returncode != 0:
        pytest.skip("a small disk can be mounted by root only")
    yield disk
    subprocess.run([need("umount"), "-l", str(disk)], check=True)


def fill(disk: Path) -> Path:
    """Leave no byte free."""
    filler = disk / "filler"
    with filler.open("ab", buffering=0) as file:
        for size in (1024 * 1024, 4096, 1):
            try:
                while True:
                    file.write(b"x" * size)
            except OSError:
                continue
    return filler


def test_a_full_disk_refuses_and_recovers(small_disk: Path, tmp_path: Path) -> None:
    dropslot = Dropslot(small_disk / "data")
    court = make_court(dropslot, tmp_path / "court", "gwinnett")
    dropslot.start()
    try:
        court.push("before.txt", ecr(ecr_row(1)))
        court.settled()
        _refuse_and_recover(court, small_disk)
    finally:
        if dropslot.process is not None:
            dropslot.kill()


def _refuse_and_recover(court: Court, disk: Path) -> None:
    filler = fill(disk)
    file = court.write("ecr.txt", ecr(*(ecr_row(number) for number in range(2000))))
    refused = court.sftp(f'put "{file}" /upload/ecr.txt', check=False)
    assert refused.returncode != 0
    assert "full" in (refused.stdout + refused.stderr).lower() or "space" in (refused.stdout + refused.stderr).lower()
    assert court.dropslot.process is not None
    assert court.dropslot.process.poll() is None, "it lives"
    os.unlink(filler)
    court.sftp(f'put "{file}" /upload/ecr.txt')
    [newest, _] = court.settled(2)
    assert newest["rows"] == 2000
    assert [arrival["state"] for arrival in court.arrivals()][-1] == "processed"
    assert not court.arrivals(state="failed")


def test_a_disk_that_fills_up_after_the_file_was_accepted(small_disk: Path, tmp_path: Path) -> None:
    dropslot = Dropslot(small_disk / "data")
    court = make_court(dropslot, tmp_path / "court", "gwinnett")
    file = court.write("ecr.txt", ecr(*(ecr_row(number) for number in range(20_000))))
    dropslot.start()
    try:
        for worker in dropslot.children("worker"):
            worker.suspend()
        court.sftp(f'put "{file}" /upload/ecr.txt')
        wait_for(lambda: court.arrivals(state="received"), "the file to be registered")
        filler = fill(small_disk)
        for worker in dropslot.children("worker"):
            worker.resume()
        signs = ("job put off", "worker waits")
        wait_for(lambda: any(sign in dropslot.log() for sign in signs), "the worker to find no space")
        os.unlink(filler)
        [upload] = court.settled(seconds=90)
        assert upload["rows"] == 20_000
        assert upload["status"] == "processed"
    finally:
        if dropslot.process is not None:
            dropslot.kill()
