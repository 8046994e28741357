"""The parent's side: start the process that reads the workbook, and believe nothing but its report."""

import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from typing import Any, BinaryIO

from ingest.errors import IngestError
from ingest.limits import Limits
from ingest.workbook.parts import READY, damaged

_ALLOWANCE = 60  # seconds that a process may wait for the disk and for others beyond its processor time
_STOPPED = (-signal.SIGTERM, -signal.SIGINT, -signal.SIGHUP)
_START = "from ingest.workbook.writer import main; main()"


@dataclass(frozen=True)
class Sheet:
    """What is known of the sheet that was read: its name, the names of all, its width, its merged ranges near the top
    (first and last row and column of each, from 0) and all that reach over several rows (first row, column, last row),
    how many of its cells hold a formula's error, how many rows at its end held nothing else and are read as empty, how
    many formulas give 0, whether the days that its numbers may be are counted from 1904 on, and how many of its cells
    were given the value of the one above that they are merged with."""

    name: str
    sheets: tuple[str, ...]
    columns: int
    merged: tuple[tuple[int, int, int, int], ...]
    down: tuple[tuple[int, int, int], ...]
    errors: int
    spent: int = 0
    zeros: int = 0
    from_1904: bool = False
    filled: int = 0


def read_workbook(source: BinaryIO, out: BinaryIO, sheet: str | int | None, limits: Limits) -> Sheet:
    """Write the rows of a sheet to `out`, one record for each row of the sheet from the first on.

    Fields are separated by U+001F and records end with U+001E. Texts are as they are; numbers are without exponents
    and without `.0`; dates, times and both are `2026-03-16`, `09:00:00` and `2026-03-16 09:00:00`. Both files must be
    real ones. A process that is killed from outside, as the kernel does when memory is short, gets a second try.
    Raises IngestError; OSError if it is worth another try later.
    """
    order = json.dumps({"sheet": sheet, "limits": vars(limits), "parent": os.getpid()})
    done = _run(source, out, order, limits)
    if done.returncode == -signal.SIGKILL:
        done = _run(source, out, order, limits)
    report = _report(done.stderr)
    if "error" in report:
        raise IngestError(*report["error"])
    if done.returncode == -signal.SIGKILL:
        raise _killed()
    if READY not in done.stderr:
        raise RuntimeError(f"the reader of workbooks does not start: status {done.returncode}")
    if done.returncode in _STOPPED or b"No space left" in done.stderr:
        raise OSError("the reader of workbooks was stopped, or the disk is full")
    if done.returncode or not report:
        raise _too_large(limits) if done.returncode < 0 else damaged()
    out.seek(0)
    lists = {name: tuple(map(tuple, report.pop(name))) for name in ("merged", "down")}
    return Sheet(**report | lists | {"sheets": tuple(report["sheets"])})


def _run(source: BinaryIO, out: BinaryIO, order: str, limits: Limits) -> "subprocess.CompletedProcess[bytes]":
    """Let a process read the workbook into `out`, which is emptied first."""
    source.seek(0)
    out.seek(0)
    out.truncate()
    try:
        return subprocess.run(
            [sys.executable, "-P", "-c", _START, order],
            stdin=source,
            stdout=out,
            stderr=subprocess.PIPE,
            env={"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "PYTHONUTF8": "1"},  # and no secret of ours
            timeout=limits.sheet_seconds + _ALLOWANCE,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise _too_large(limits) from error


def _report(said: bytes) -> dict[str, Any]:
    """The last line of what the process said, if it is a report."""
    try:
        report = json.loads(said.strip().rpartition(b"\n")[2] or b"{}")
    except ValueError:
        return {}
    return report if isinstance(report, dict) else {}


def _too_large(limits: Limits) -> IngestError:
    return IngestError(
        "sheet_too_large",
        f"To read the sheet takes too long, or more than {limits.sheet_memory:,} bytes of memory.",
        "Delete cells far below or to the right of the table, or send it as CSV.",
    )


def _killed() -> IngestError:
    return IngestError(
        "sheet_killed",
        "Reading the sheet was stopped twice from outside: this server is short of memory.",
        "Send the file again later, or send it as CSV, which takes little memory.",
    )
