"""How one file lies on disk: its dialect, its records, and which column of it is which field."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from importlib import metadata
from pathlib import Path
from typing import BinaryIO

import numpy as np
import phonenumbers

from ingest.check import Batch, Rules, check
from ingest.errors import IngestError
from ingest.format import FileFormat
from ingest.heading import Top, without_trailer
from ingest.limits import Limits
from ingest.mapping import is_answered, map_columns
from ingest.parse import Dialect, Records, read_cells, scan, sheet_dialect, tell_dialect, tell_quoting
from ingest.parse.records import Ints
from ingest.skip import stamp
from ingest.source import Source, open_source
from ingest.template import Template
from ingest.workbook import Sheet

SAMPLE = 100
"""Records by which the width of a file without a header is told."""

SHEET_DATE, SHEET_TIME = "%Y-%m-%d", "%H:%M:%S"
"""How real dates and times of a workbook are written down; they are read so whatever formats the template has."""

_ABOUT_CONTENT = ("empty_file", "header_only", "missing_column", "missing_trailer")


@dataclass(frozen=True)
class Layout:
    """A file, split. `rows` are the places of its rows, under the header, among `records`; `blank` more were empty.

    `meaning` is one text for all that decides what a row of this file means, whatever the other rows are. `notes` are
    sentences for the receipt.
    """

    file: BinaryIO
    dialect: Dialect
    records: Records
    rules: Rules
    rows: Ints
    blank: int
    meaning: str
    notes: tuple[str, ...] = ()

    def batches(self, rows: Ints) -> Iterator[Batch]:
        """These rows, read and checked, a chunk at a time."""
        rules = self.rules
        wanted = set(rules.plan.columns.values())
        for part in self._chunks(rows):
            cells = read_cells(self.file, self.records, part, self.dialect, rules.plan.width, wanted)
            yield check(cells, self.records, rules)

    def _chunks(self, rows: Ints) -> Iterator[Ints]:
        """The rows, as many at a time as the limits allow, and at least one."""
        limits = self.rules.limits
        sizes = np.concatenate([[0], np.cumsum(self.records.end[rows] - self.records.start[rows])])
        begin = 0
        while begin < len(rows):
            fitting = int(np.searchsorted(sizes, sizes[begin] + limits.chunk_bytes, side="right")) - 1
            end = max(begin + 1, min(begin + limits.chunk, fitting))
            yield rows[begin:end]
            begin = end


@contextmanager
def lay_out(path: Path, template: Template, zone: str, region: str, limits: Limits) -> Iterator[Layout]:
    """Tell how the file at `path` is written, split it, and find the template's columns; it stays open meanwhile.

    Raises IngestError for a file that cannot be used as a whole.
    """
    with open_source(path, template.file, limits) as source:
        try:
            layout = _lay_out(source, template, zone, region, limits)
        except IngestError as error:
            raise _with_sheets(error, source.sheet) from error
        yield layout


def _lay_out(source: Source, template: Template, zone: str, region: str, limits: Limits) -> Layout:
    dialect, form = _tell(source, template, limits)
    records = scan(source.file, dialect, form.encoding, limits)
    top = Top(source.file, records, dialect, form, source.sheet)
    header = top.find_header(template.headers)
    names = header.names
    if not template.header and not is_answered(names):
        names = ("",) * (len(form.widths) or top.usual_width(SAMPLE, len(names)))
    plan = map_columns(template, names, limits)
    rows = np.arange(header.place + (template.header or plan.answered), len(records))
    rows = without_trailer(rows, top, form.trailer)
    if template.header and not len(rows):
        raise IngestError(
            "header_only", "The file has a header and no rows.", "Look at the export: it found nothing to send."
        )
    beginning = names if template.header or plan.answered else plan.width
    alike = replace(dialect, begin=0, line=1, columns=0)
    meaning = stamp(alike, records.encoding, beginning, zone, _zones(), region, phonenumbers.__version__)
    rules = Rules(_reading_sheets(template) if source.sheet else template, plan, zone, region, limits)
    blank = records.blank - top.blank_before(header.place)
    return Layout(source.file, dialect, records, rules, rows, blank, meaning, _notes(source.sheet))


def _tell(source: Source, template: Template, limits: Limits) -> tuple[Dialect, FileFormat]:
    """The dialect of the file, and what the template says of a file like this one."""
    form = source.form
    if source.sheet:
        return sheet_dialect(source.sheet.columns), replace(form, widths=())
    source.file.seek(0)
    head = source.file.read(limits.record + 1)
    positions = [spec for spec in template.columns.values() if isinstance(spec, int)]
    width = max([*positions, min(len(template.columns), 2)])
    dialect = tell_dialect(head, form, template.headers, width, limits)
    if dialect.answered:
        form = FileFormat(encoding=form.encoding, quoting=dialect.quoting, header=form.header)
    elif form.kind == "xlsx":
        raise IngestError(
            "wrong_kind",
            "The file is text, and the template reads Excel workbooks.",
            'Send a workbook (XLSX), or set kind = "auto" in the template.',
        )
    if source.form.quoting is None and not dialect.widths:
        dialect = replace(dialect, quoting=tell_quoting(source.file, dialect))
    return dialect, form


def _reading_sheets(template: Template) -> Template:
    """The template, which reads the dates and times of a workbook as well, and before any format that reads them as
    something else."""
    dates, times = template.date_formats, template.time_formats
    if any(_otherwise(form) for form in dates):
        return replace(template, date_formats=(SHEET_DATE, *dates), time_formats=(*times, SHEET_TIME))
    return replace(template, date_formats=(*dates, SHEET_DATE), time_formats=(*times, SHEET_TIME))


def _otherwise(form: str) -> bool:
    try:
        return datetime.strptime("2026-03-04", form).month != 3
    except ValueError:
        return False


def _notes(sheet: Sheet | None) -> tuple[str, ...]:
    if sheet is None or not sheet.errors:
        return ()
    cells = "One cell holds" if sheet.errors == 1 else f"{sheet.errors:,} cells hold"
    return (f"{cells} a formula's error (such as #N/A) and no value: read as empty.",)


def _with_sheets(error: IngestError, sheet: Sheet | None) -> IngestError:
    """With the names of a workbook's sheets, where another one may have been meant."""
    if sheet is None or len(sheet.sheets) < 2 or error.code not in _ABOUT_CONTENT:
        return error
    names = ", ".join(map(repr, sheet.sheets[:20]))
    hint = f"The sheet {sheet.name!r} was read, of {names}; the template can name another."
    return IngestError(error.code, error.message, f"{hint} {error.hint}".strip())


def _zones() -> str:
    """The version of the time zones that we bring along; another one may move a hearing by an hour."""
    try:
        return metadata.version("tzdata")
    except metadata.PackageNotFoundError:
        return ""
