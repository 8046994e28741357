"""What can be told of a file without knowing what its columns mean: how it is written, its records, header and rows."""

from collections import Counter
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

import numpy as np

from ingest.errors import IngestError
from ingest.format import FileFormat
from ingest.heading import Top, refuse_cut_off, without_trailer
from ingest.limits import Limits
from ingest.parse import Dialect, Records, scan, sheet_dialect, tell_dialect, tell_quoting
from ingest.source import Source, open_source
from ingest.workbook import Sheet

SAMPLE = 100
"""Records by which the width of a file without a header is told."""

_AT_ONCE = 2_000
_SHEETS = 10
_LONGEST_NAME = 40
_ABOUT_CONTENT = ("empty_file", "header_only", "missing_column", "missing_trailer")


@dataclass(frozen=True)
class Outline:
    """A file, open and split.

    `names` are those of its header, or as many empty ones as it has columns; `rows` are the places of its rows among
    the `records`, without header and trailer; `blank` more were empty. `answered` means that this is our error file,
    sent again. `sheet` is set for a workbook.
    """

    file: BinaryIO
    dialect: Dialect
    records: Records
    names: tuple[str, ...]
    rows: range
    blank: int
    answered: bool
    sheet: Sheet | None

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences for the receipt."""
        return _notes(self.sheet) if self.sheet else ()


def _notes(sheet: Sheet) -> tuple[str, ...]:
    notes = _about_cells(sheet)
    if others := [name for name in sheet.sheets if name != sheet.name]:
        more = f" and {len(others) - _SHEETS:,} more" if len(others) > _SHEETS else ""
        names = ", ".join(_named(name) for name in others[:_SHEETS])
        what = "another sheet, which was" if len(others) == 1 else f"{len(others):,} other sheets, which were"
        notes.append(f"Only the sheet {_named(sheet.name)} was read. The workbook has {what} not: {names}{more}.")
    return tuple(notes)


def _about_cells(sheet: Sheet) -> list[str]:
    notes = []
    if sheet.errors:
        cells = "One cell holds" if sheet.errors == 1 else f"{sheet.errors:,} cells hold"
        notes.append(f"{cells} a formula's error (such as #N/A) and no value; a row that needs it is answered.")
    if sheet.spent:
        rows = "The last row holds" if sheet.spent == 1 else f"The last {sheet.spent:,} rows hold"
        notes.append(f"{rows} a formula's error and nothing else: read as empty.")
    if sheet.zeros:
        formulas = "One formula gives" if sheet.zeros == 1 else f"{sheet.zeros:,} formulas give"
        notes.append(f"{formulas} 0. If it should not, open the workbook in Excel, save it and send it again.")
    if sheet.filled:
        cells = "One cell is" if sheet.filled == 1 else f"{sheet.filled:,} cells are"
        notes.append(f"{cells} merged with the one above: read as holding the same.")
    return notes


def _named(name: str) -> str:
    """A sheet's name as it can be shown, on one line; Excel's have up to 31 characters."""
    shown = "".join(character if character.isprintable() else "\ufffd" for character in name)
    return f'"{shown if len(shown) <= _LONGEST_NAME else shown[:_LONGEST_NAME] + "…"}"'


@contextmanager
def open_outline(
    path: Path, form: FileFormat, wanted: Collection[str], width: int, limits: Limits
) -> Iterator[Outline]:
    """Tell how the file at `path` is written, as far as `form` does not say it, and split it; it stays open meanwhile.

    A header is told by the names that are `wanted`, a delimiter by them or by yielding `width` columns. Raises
    IngestError for a file that cannot be used as a whole; one that is raised while it is open is told which sheets
    there are.
    """
    with open_source(path, form, limits) as source:
        try:
            yield _outline(source, wanted, width, limits)
        except IngestError as error:
            told = _with_sheets(error, source.sheet)
            if told is error:
                raise
            raise told from error


def _outline(source: Source, wanted: Collection[str], width: int, limits: Limits) -> Outline:
    dialect, form = _tell(source, wanted, width, limits)
    records = scan(source.file, dialect, form.encoding, limits)
    if form.trailer is None:  # else it is the trailer that tells
        refuse_cut_off(records, dialect, source.file.seek(0, 2))
    top = Top(source.file, records, dialect, form, source.sheet)
    header = top.find_header(wanted)
    names, answered = header.names, top.answered
    first = int(records.line[header.place]) + (form.header or answered)
    if (whole := source.filled(first, limits)) is not source:
        source, records = whole, scan(whole.file, dialect, form.encoding, limits)
        top = Top(source.file, records, dialect, form, source.sheet)
    if not form.header and not answered:
        names = ("",) * (len(form.widths) or top.usual_width(SAMPLE, len(names)))
    elif dialect.widths:
        names = names[: len(dialect.widths)]
    rows = without_trailer(range(header.place + (form.header or answered), len(records)), top, form.trailer)
    if form.header and not answered and source.sheet is None and not dialect.widths:
        names = _evened(names, rows, top, source.file)
    blank = records.blank - top.blank_before(header.place)
    return Outline(source.file, dialect, records, names, rows, blank, answered, source.sheet)


def _evened(names: tuple[str, ...], rows: range, top: Top, file: BinaryIO) -> tuple[str, ...]:
    """The names of the header, for rows that end with one delimiter more, all of them, or one less.

    Behind that delimiter nothing stands, and no row is as wide as the header. A comma before a space is rather a part
    of some cell than a delimiter.
    """
    cells, count = top.rows(rows[:SAMPLE]), len(names)
    widths = Counter(map(len, cells))
    usual = widths.most_common(1)[0][0] if widths and count not in widths else count
    if usual == count - 1 and not names[-1].strip():
        return names[:-1]
    if usual != count + 1 or (top.dialect.delimiter == "," and any(c.startswith(" ") for row in cells for c in row)):
        return names
    return (*names, "") if _all_end_with(top.dialect.separator, file, top.records, rows) else names


def _all_end_with(delimiter: bytes, file: BinaryIO, records: Records, rows: range) -> bool:
    for first in range(0, len(rows), _AT_ONCE):
        some = rows[first : first + _AT_ONCE]
        ends = records.end[some.start : some.stop].astype(np.int64) - int(records.start[some.start])
        text = np.frombuffer(_bytes(file, records, some), dtype=np.uint8)
        if (text[ends - 1] != delimiter[0]).any():
            return False
    return True


def _bytes(file: BinaryIO, records: Records, rows: range) -> bytes:
    """From the first of these rows to the end of the last."""
    begin = int(records.start[rows[0]])
    file.seek(begin)
    return file.read(int(records.end[rows[-1]]) - begin)


def _tell(source: Source, wanted: Collection[str], width: int, limits: Limits) -> tuple[Dialect, FileFormat]:
    """The dialect of the file, and what the template says of a file like this one."""
    form = source.form
    if source.sheet:
        return sheet_dialect(source.sheet.columns), replace(form, widths=())
    source.file.seek(0)
    head = source.file.read(limits.record + 1)
    dialect = tell_dialect(head, form, wanted, width, limits)
    if dialect.answered:
        form = FileFormat(encoding=form.encoding, quoting=dialect.quoting, header=form.header)
    elif form.kind == "xlsx":
        raise IngestError(
            "wrong_kind",
            "The file is text, and the template reads Excel workbooks.",
            'Send a workbook (XLSX), or set kind = "auto" in the template.',
        )
    if source.form.quoting is None and not dialect.widths and not dialect.answered:
        dialect = replace(dialect, quoting=tell_quoting(source.file, dialect))
    return dialect, form


def _with_sheets(error: IngestError, sheet: Sheet | None) -> IngestError:
    """With the names of a workbook's sheets, where another one may have been meant."""
    if sheet is None or len(sheet.sheets) < 2 or error.code not in _ABOUT_CONTENT:
        return error
    names = ", ".join(map(repr, sheet.sheets[:20]))
    hint = f"The sheet {sheet.name!r} was read, of {names}; the template can name another."
    return IngestError(error.code, error.message, f"{hint} {error.hint}".strip(), error.expected, error.found)
