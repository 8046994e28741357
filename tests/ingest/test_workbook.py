"""The process that reads a workbook: what becomes of it when it, or the one that waits for it, is killed."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ingest.errors import IngestError
from ingest.format import FileFormat
from ingest.workbook.writer import as_text
from tests.ingest.tables import as_xlsx, read

READER = b"ingest.workbook.writer"
WAITING = """
import pathlib, sys
from ingest.limits import Limits
from ingest.workbook import reader
reader._START = "import time, ingest.workbook.writer as writer; writer.write_sheet = lambda *_: time.sleep(300); " \
    "print(flush=True); writer.main()"
with open(sys.argv[1], "rb") as source, open(sys.argv[2], "w+b") as out:
    reader.read_workbook(source, out, None, Limits())
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    as_xlsx(tmp_path / "file", {"ECR": [["Party ID", "Name"], ["1", "x"]]})
    return tmp_path / "file"


def readers(parent: int) -> list[int]:
    """The processes that read a workbook for `parent`."""
    children = [child for task in Path(f"/proc/{parent}/task").iterdir() for child in _text(task / "children").split()]
    return [int(child) for child in children if READER in _text(Path(f"/proc/{int(child)}/cmdline"))]


def _text(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:  # it has ended
        return b""


@contextmanager
def killed(times: int) -> Iterator[list[int]]:
    """The first so many readers of this process are killed as soon as they are there; those that were."""
    seen: list[int] = []
    done = threading.Event()

    def kill() -> None:
        while len(seen) < times and not done.wait(0.002):
            for child in set(readers(os.getpid())) - set(seen):
                os.kill(child, signal.SIGKILL)
                seen.append(child)

    killer = threading.Thread(target=kill)
    killer.start()
    try:
        yield seen
    finally:
        done.set()
        killer.join()


def test_a_reader_that_is_killed_gets_a_second_try(file: Path) -> None:
    with killed(1) as seen:
        assert read(file, FileFormat(), ["Party ID"]).rows == [(2, ["1", "x"])]
    assert len(seen) == 1


def test_a_reader_that_is_killed_twice_is_told(file: Path) -> None:
    with killed(2) as seen, pytest.raises(IngestError) as caught:
        read(file, FileFormat(), ["Party ID"])
    assert (len(seen), caught.value.code) == (2, "sheet_killed")
    assert "short of memory" in caught.value.message


def test_a_reader_dies_with_the_process_that_waits_for_it(file: Path) -> None:
    command = [sys.executable, "-c", WAITING, str(file), str(file.with_name("out"))]
    waiting = subprocess.Popen(command, env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))})
    try:
        until(lambda: file.with_name("out").exists() and file.with_name("out").stat().st_size > 0)
        [reader] = readers(waiting.pid)
    finally:
        waiting.kill()
        waiting.wait()
    try:
        until(lambda: READER not in _text(Path(f"/proc/{reader}/cmdline")))
    finally:
        if READER in _text(Path(f"/proc/{reader}/cmdline")):
            os.kill(reader, signal.SIGKILL)


def until(happened: object, seconds: float = 20) -> None:
    assert callable(happened)
    end = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < end
        time.sleep(0.01)


@pytest.mark.parametrize(
    ("cell", "text"),
    [
        (33.3 * 3, "99.9"),
        (19.99 * 3, "59.97"),
        (0.1 + 0.2, "0.3"),
        (1e-05, "0.00001"),
        (1234567.0, "1234567"),
        (99999999999.99, "99999999999.99"),
        (123456789012345.0, "123456789012345"),
        (1e15, "1.00000000000000E+15"),
        (202601000012345671.0, "2.02601000012346E+17"),
    ],
)
def test_a_number_has_as_many_digits_as_in_excel(cell: float, text: str) -> None:
    assert as_text(cell) == text
