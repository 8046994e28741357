"""The child's side: check the workbook, read one sheet of it with calamine, and write its rows down.

Runs as a process of its own, with the workbook as its standard input, the records as its standard output, and one line
of JSON at the end of its standard error.
"""

import ctypes
import json
import os
import resource
import signal
import sys
from collections.abc import Iterable, Iterator, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from io import TextIOWrapper
from typing import Any, BinaryIO

import python_calamine as calamine

from ingest.errors import IngestError
from ingest.limits import Limits
from ingest.workbook.formulas import ErrorCells, Formulas
from ingest.workbook.merged import MOST_RANGES, RECORD, UNIT, too_many
from ingest.workbook.parts import READY, damaged, encrypted, inspect

_FOREIGN = str.maketrans({UNIT: "\ufffd", RECORD: "\ufffd"})
_PDEATHSIG = 1
_GRACE = 5  # seconds
_HEADING = 100  # rows in which merged headings are looked for
_LONG = 10**15  # from here on a number has more digits than Excel keeps
_SLACK = timedelta(milliseconds=1)  # by which a time of day is off when it is kept as a fraction
_SECOND = timedelta(seconds=1)


def main() -> None:
    """Read what the parent wants read, and report."""
    order = json.loads(sys.argv[1])
    die_with(order["parent"])
    limits = Limits(**order["limits"])
    resource.setrlimit(resource.RLIMIT_AS, (limits.sheet_memory, limits.sheet_memory))
    # Beyond the first the process is told (SIGXCPU), so that SIGKILL means somebody else; the second is for the deaf.
    resource.setrlimit(resource.RLIMIT_CPU, (limits.sheet_seconds, limits.sheet_seconds + _GRACE))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    sys.stderr.write(READY.decode())
    sys.stderr.flush()
    try:
        report: dict[str, Any] = write_sheet(sys.stdin.buffer, sys.stdout.buffer, order["sheet"], limits)
    except IngestError as error:
        report = {"error": (error.code, error.message, error.hint)}
    except MemoryError:
        os.abort()  # as calamine does
    sys.stderr.write("\n" + json.dumps(report))


def die_with(parent: int) -> None:
    """Let the kernel kill this process as soon as the thread of `parent` that started it ends (prctl(2),
    PR_SET_PDEATHSIG), and end at once if it has ended already."""
    ctypes.CDLL(None).prctl(_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def write_sheet(source: BinaryIO, out: BinaryIO, wanted: str | int | None, limits: Limits) -> dict[str, Any]:
    """Write a sheet's rows to `out`; what `reader.Sheet` holds, as plain values. Raises IngestError."""
    about = inspect(source, wanted, limits)
    source.seek(0)
    try:
        with calamine.CalamineWorkbook.from_filelike(source) as book:
            sheet = book.get_sheet_by_name(about.name)
            merged = [(*first, *last) for first, last in sheet.merged_cell_ranges or ()]
            columns, spent = _write(sheet, about.formulas, out, limits)
            down = _merged_down(merged, sheet, columns)
    except calamine.PasswordError as error:
        raise encrypted() from error
    except (calamine.CalamineError, calamine.XmlError, calamine.ZipError, calamine.WorksheetNotFound) as error:
        raise damaged() from error
    return {
        "name": about.name,
        "sheets": about.sheets,
        "columns": columns,
        "merged": [each for each in merged if each[0] < _HEADING][:_HEADING],
        "down": down,
        "errors": len(about.formulas.errors),
        "spent": spent,
        "zeros": about.formulas.zeros,
        "from_1904": about.from_1904,
    }


def _merged_down(merged: Sequence[tuple[int, int, int, int]], sheet: Any, columns: int) -> list[tuple[int, int, int]]:
    """First row, first column and last row of the ranges that reach over more than one row of the table."""
    last = sheet.end[0] if sheet.end else -1
    down = [(top, left, min(bottom, last)) for top, left, bottom, _ in merged if left < columns and top < bottom]
    down = [each for each in down if each[0] < last]
    if len(down) > MOST_RANGES:
        raise too_many()
    return down


def _write(sheet: Any, formulas: Formulas, out: BinaryIO, limits: Limits) -> tuple[int, int]:
    """Write all rows; how many columns they have, and how many at the end hold a formula's error and nothing else. Rows
    before the first cell and columns left of it are empty."""
    start = sheet.start
    if start is None:
        return 0, 0
    if start[1] + int(sheet.width) > limits.columns:
        raise IngestError(
            "too_many_columns",
            f"The sheet reaches to column {start[1] + int(sheet.width):,}; {limits.columns:,} are taken.",
            "Delete what stands far to the right, or look whether this is the right sheet.",
        )
    left, errors = [""] * start[1], ErrorCells(formulas.errors, start[1])
    rows = errors.put_in(sheet.iter_rows()) if formulas.errors else sheet.iter_rows()
    text = TextIOWrapper(out, encoding="utf-8", newline="", write_through=False)
    for record in _records(rows, UNIT * len(left)):
        text.write(record)
    text.flush()
    text.detach()
    return len(left) + int(sheet.width), errors.spent


def _records(rows: Iterable[list[Any]], left: str) -> Iterator[str]:
    known: dict[tuple[type, Any], str] = {}
    for row in rows:
        texts = [cell if type(cell) is str else _text(cell, known) for cell in row]
        record = UNIT.join(texts)
        if record.count(UNIT) >= len(row) or RECORD in record:
            record = UNIT.join(text.translate(_FOREIGN) for text in texts)
        yield left + record + RECORD if any(texts) else RECORD


def _text(cell: Any, known: dict[tuple[type, Any], str]) -> str:
    """What a cell that holds no text is written as; the same is written once."""
    key = (type(cell), cell)
    text = known.get(key)
    if text is None:
        text = as_text(cell)
        if len(known) < 100_000:
            known[key] = text
    return text


def as_text(cell: Any) -> str:
    """A number, date, time, duration or truth as text, in one form whatever the cell looks like in Excel."""
    if isinstance(cell, bool):
        return "TRUE" if cell else "FALSE"
    if isinstance(cell, float):
        return _number(cell)
    if isinstance(cell, datetime):
        return _rounded(cell).isoformat(" ")
    if isinstance(cell, time):
        return _rounded(datetime.combine(date.min, cell)).time().isoformat()
    if isinstance(cell, timedelta):
        return _duration(cell)
    return cell.isoformat() if isinstance(cell, date) else str(cell)


def _number(number: float) -> str:
    """With the 15 digits that Excel has, where there are more: 33.30 x 3 is kept as 99.89999999999999.

    One of more than 15 before the point is written as a spreadsheet cuts it, 2.02601000012345E+17: nobody can tell its
    last digits.
    """
    if abs(number) >= _LONG:
        return format(number, ".14E")
    return str(int(number)) if number.is_integer() else format(Decimal(format(number, ".15g")), "f")


def _rounded(moment: datetime) -> datetime:
    """Without the error of a fraction of a day, where it is one."""
    beyond = timedelta(microseconds=moment.microsecond)
    if beyond <= _SLACK:
        return moment - beyond
    return moment - beyond + _SECOND if _SECOND - beyond <= _SLACK else moment


def _duration(span: timedelta) -> str:
    seconds = round(span.total_seconds())
    sign, seconds = "-" if seconds < 0 else "", abs(seconds)
    return f"{sign}{seconds // 3600}:{seconds // 60 % 60:02}:{seconds % 60:02}"
