"""Writes a table that may be long into one file: CSV, text with pipes, or a workbook.

Text is UTF-8 with CRLF at the end of each line. CSV begins with a byte order mark, so that spreadsheets show names
rightly, TXT does not: it is for programs. In both, a value that holds the separator, a double quote or a line break
stands in double quotes, and quotes in it are doubled (RFC 4180), so that nothing of it is lost; a text that a
spreadsheet would execute begins with an apostrophe (`ingest.guard.neutral`). In a workbook a text is a text whatever
it looks like, dates, times and numbers are real ones, and the table goes on in another sheet where one is full.
"""

import csv
import hashlib
import os
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import Any, BinaryIO
from xml.sax.saxutils import escape

from ingest.guard import neutral
from server.errors import AppError, Code

SHEET_ROWS = 1_048_576
"""Rows of a sheet, that of the header among them (Excel specifications and limits)."""
CELL_TEXT = 32_767
"""UTF-16 units of text in a cell of a workbook (the same); what is longer ends with an ellipsis."""
NARROWEST, WIDEST = 8, 60
_MEASURED = 1000  # rows that tell how wide a column is
_CLIPPED = CELL_TEXT // 2  # characters, each of two units at most
_OLDEST = date(1900, 3, 1)  # before it Excel counts a day that there never was
_NO_XML = str.maketrans(dict.fromkeys("\0\ufffe\uffff", "\ufffd"))
_MADE = datetime(2000, 1, 1)  # a workbook says when it was made, and the same rows are to be the same bytes

Cell = str | int | Decimal | date | time | datetime | None
"""None is empty, a truth is yes or no, an amount a `Decimal`; a naive datetime is local to the agency, an aware one is
told in UTC."""


class Form(StrEnum):
    """The kinds of file; each is the ending of its name too."""

    CSV = "csv"
    TXT = "txt"
    XLSX = "xlsx"


@dataclass(frozen=True)
class Written:
    """What was written: the rows without the header, and a hash of all that they say in this form.

    `content` is the same for the same table, whenever and by whatever version of a library it is written.
    """

    rows: int
    content: str


def write_table(target: Path, form: Form, columns: Sequence[str], rows: Iterable[Sequence[Cell]]) -> Written:
    """Write the header and the rows to `target`, durable when this returns; an older file of that name is replaced.

    Rows are written as they come, so memory does not grow with them. Nothing is left of a table that fails half-way.
    Raises `AppError` unavailable if the disk does not take it.
    """
    content = _Content(form)
    write = _write_workbook if form == Form.XLSX else _write_text
    try:
        with target.open("wb") as file:
            count = write(file, form, columns, rows, content)
            file.flush()
            os.fsync(file.fileno())
    except BaseException as error:
        target.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise _unwritten(error) from error
        raise
    return Written(count, content.digest())


def _unwritten(error: OSError) -> AppError:
    why = (error.strerror or "unknown").lower()
    return AppError(Code.UNAVAILABLE, f"The table cannot be written: {why}.", "Check free space in the data directory.")


class _Content:
    """The hash of a table, and where its text goes on to."""

    def __init__(self, form: Form, file: BinaryIO | None = None) -> None:
        self._hash = hashlib.sha256(form.encode() + b"\n")
        self.file = file

    def write(self, text: str) -> None:
        data = text.encode("utf-8", "replace")
        self._hash.update(data)
        if self.file:
            self.file.write(data)

    def digest(self) -> str:
        return self._hash.hexdigest()


def _write_text(
    file: BinaryIO, form: Form, columns: Sequence[str], rows: Iterable[Sequence[Cell]], content: _Content
) -> int:
    """Write CSV or TXT; how many rows there were."""
    if form == Form.CSV:
        file.write(b"\xef\xbb\xbf")
    content.file = file
    lines = _lines(content, "," if form == Form.CSV else "|")
    lines.writerow(columns)
    count = 0
    for count, row in enumerate(rows, 1):  # noqa: B007 - the last one is returned
        lines.writerow([neutral(cell.replace("\0", "\ufffd")) if type(cell) is str else as_text(cell) for cell in row])
    return count


def _lines(content: _Content, delimiter: str) -> Any:
    return csv.writer(content, delimiter=delimiter, lineterminator="\r\n")


def as_text(cell: Cell) -> str:
    """A cell as text, in one form whatever the machine's language is."""
    if type(cell) is str:
        return cell
    if cell is None:
        return ""
    if isinstance(cell, bool):
        return "yes" if cell else "no"
    if isinstance(cell, datetime):
        if cell.tzinfo is not None:
            return f"{cell.astimezone(UTC).replace(tzinfo=None).isoformat(timespec='seconds')}Z"
        return cell.isoformat(" ", "seconds")
    if isinstance(cell, time):
        return cell.isoformat("seconds" if cell.second else "minutes")
    return cell.isoformat() if isinstance(cell, date) else str(cell)


def _write_workbook(
    file: BinaryIO, _form: Form, columns: Sequence[str], rows: Iterable[Sequence[Cell]], content: _Content
) -> int:
    """Write XLSX; how many rows there were."""
    from xlsxwriter import Workbook  # not above: few tables are workbooks
    from xlsxwriter.exceptions import FileCreateError

    parts = Path(f"{file.name}.parts")
    shutil.rmtree(parts, ignore_errors=True)
    parts.mkdir(mode=0o700)
    try:
        book = Workbook(file, {"constant_memory": True, "tmpdir": str(parts), "use_zip64": True})
        book.set_properties({"created": _MADE})
        count = _fill(_Book(book, columns), rows, content)
        book.close()
    except FileCreateError as error:
        raise error.args[0] from error
    finally:
        shutil.rmtree(parts, ignore_errors=True)
    return count


def _fill(book: "_Book", rows: Iterable[Sequence[Cell]], content: _Content) -> int:
    lines = _lines(content, ",")
    lines.writerow(book.columns)
    count = 0
    for count, row in enumerate(rows, 1):
        cells = [_fit(cell) if type(cell) is str else cell for cell in row]
        lines.writerow(map(as_text, cells))
        book.write(count - 1, cells)
    book.settle(count)
    return count


def _fit(text: str) -> str:
    """What a cell can hold of a text, and what XML can say at all; a line ends there as Excel ends it."""
    clean = text.replace("\r\n", "\n").replace("\r", "\n").translate(_NO_XML).encode("utf-8", "replace").decode()
    return clean if len(clean) <= _CLIPPED else clean[: _CLIPPED - 1] + "…"


def _plainly(text: str) -> str:
    """A text in such a form that it is written as it is. What begins and ends like a run of rich text xlsxwriter takes
    for XML of its own, and writes it without escaping it: so it becomes one run that says the same."""
    if not (text.startswith("<r>") and text.endswith("</r>")):
        return text
    run = f'<r><t xml:space="preserve">{escape(text)}</t></r>'
    return run if len(run) <= _CLIPPED else f"{text[: _CLIPPED - 1]}…"


class _Book:
    """The sheets of a table, one after the other."""

    def __init__(self, book: Any, columns: Sequence[str]) -> None:
        self._book = book
        self.columns = columns
        self._widths = [max(len(column), NARROWEST) for column in columns]
        self._sheets: list[Any] = []
        self._bold = book.add_format({"bold": True})
        self._formats: dict[type, Any] = {
            kind: book.add_format({"num_format": picture})
            for kind, picture in (
                (date, "yyyy-mm-dd"),
                (datetime, "yyyy-mm-dd hh:mm:ss"),
                (time, "hh:mm"),
                (Decimal, "0.00"),
            )
        }

    def write(self, index: int, cells: Sequence[Cell]) -> None:
        """Write the row of that index, from 0, to where it belongs."""
        sheet, row = divmod(index, SHEET_ROWS - 1)
        while len(self._sheets) <= sheet:
            self._begin()
        for column, cell in enumerate(cells):
            self._put(self._sheets[sheet], row + 1, column, cell)
        if index < _MEASURED:
            self._widths = [max(w, len(as_text(cell))) for w, cell in zip(self._widths, cells, strict=True)]

    def settle(self, count: int) -> None:
        """All rows were written; an empty table has a header all the same."""
        if not count:
            self._begin()
        for sheet in self._sheets:
            for column, width in enumerate(self._widths):
                sheet.set_column(column, column, min(width + 1, WIDEST))

    def _begin(self) -> None:
        number = len(self._sheets) + 1
        sheet = self._book.add_worksheet("Rows" if number == 1 else f"Rows {number}")
        sheet.freeze_panes(1, 0)
        for column, name in enumerate(self.columns):
            sheet.write_string(0, column, _plainly(name), self._bold)
        self._sheets.append(sheet)

    def _put(self, sheet: Any, row: int, column: int, cell: Cell) -> None:
        if cell is None or cell == "":
            return
        if isinstance(cell, str):
            sheet.write_string(row, column, _plainly(cell))
        elif isinstance(cell, bool):
            sheet.write_string(row, column, as_text(cell))
        elif isinstance(cell, time) or (isinstance(cell, date) and _day(cell) >= _OLDEST):
            sheet.write_datetime(row, column, _plain(cell), self._formats[type(cell)])
        elif isinstance(cell, date):
            sheet.write_string(row, column, as_text(cell))
        else:
            sheet.write_number(row, column, cell, self._formats.get(type(cell)))


def _day(cell: date) -> date:
    return cell.date() if isinstance(cell, datetime) else cell


def _plain(cell: Any) -> Any:
    """A datetime as a workbook has it, which knows no zones."""
    return cell.astimezone(UTC).replace(tzinfo=None) if isinstance(cell, datetime) and cell.tzinfo else cell
