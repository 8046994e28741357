"""How one file lies on disk: its dialect, its records, and which column of it is which field."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from importlib import metadata
from pathlib import Path
from types import MappingProxyType
from typing import BinaryIO

import numpy as np
import phonenumbers

from ingest.answer import SHEET, SHEET_1904, sheet_of
from ingest.check import Batch, Rules, check
from ingest.errors import IngestError
from ingest.limits import Limits
from ingest.mapping import map_columns
from ingest.outline import Outline, open_outline
from ingest.parse import Dialect, Records, read_cells
from ingest.parse.records import Ints, places
from ingest.record import EXCEL, EXCEL_1904
from ingest.skip import stamp
from ingest.template import Template
from ingest.workbook import Sheet

SHEET_DATE, SHEET_TIME = "%Y-%m-%d", "%H:%M:%S"
"""How real dates and times of a workbook are written down; they are read so whatever formats the template has."""


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
    rows: range
    blank: int
    meaning: str
    notes: tuple[str, ...] = ()

    def batches(self, rows: Ints | range) -> Iterator[Batch]:
        """These rows, read and checked, a chunk at a time."""
        rules = self.rules
        wanted = set(rules.plan.columns.values())
        for part in self._chunks(rows):
            width, loose = rules.plan.width, rules.plan.answered
            cells = read_cells(self.file, self.records, part, self.dialect, width, wanted, loose)
            yield check(cells, self.records, rules)

    def is_chunk(self, rows: Ints) -> bool:
        """Whether these rows are read in one go."""
        return not len(rows) or len(next(self._chunks(rows))) == len(rows)

    def _chunks(self, rows: Ints | range) -> Iterator[Ints]:
        """The rows, as many at a time as the limits allow, and at least one."""
        limits, records, begin = self.rules.limits, self.records, 0
        while begin < len(rows):
            some = rows[begin : begin + limits.chunk]
            part = places(some) if isinstance(some, range) else some
            sizes = np.cumsum(records.end[part] - records.start[part])
            fitting = int(np.searchsorted(sizes, limits.chunk_bytes, side="right"))
            yield part[: max(1, fitting)]
            begin += max(1, fitting)


@contextmanager
def lay_out(path: Path, template: Template, zone: str, region: str, limits: Limits) -> Iterator[Layout]:
    """Tell how the file at `path` is written, split it, and find the template's columns; it stays open meanwhile.

    Raises IngestError for a file that cannot be used as a whole.
    """
    positions = [spec for spec in template.columns.values() if isinstance(spec, int)]
    width = max([*positions, min(len(template.columns), 2)])
    with open_outline(path, template.file, template.headers, width, limits) as outline:
        yield _laid_out(outline, template, zone, region, limits)


def _laid_out(outline: Outline, template: Template, zone: str, region: str, limits: Limits) -> Layout:
    plan = map_columns(template, outline.names, limits)
    if template.header and not len(outline.rows) and not template.processing.replaces:
        raise IngestError(
            "header_only", "The file has a header and no rows.", "Look at the export: it found nothing to send."
        )
    if plan.answered and template.processing.replaces:
        raise IngestError(
            "corrections_alone",
            "The file holds corrected rows alone, and the template takes the whole of what there is.",
            "Correct the rows where they come from and send the whole file.",
        )
    beginning = outline.names if template.header or plan.answered else plan.width
    if template.header:
        plan = replace(plan, line=int(outline.records.line[outline.rows.start - 1]))
    alike = replace(outline.dialect, begin=0, line=1, columns=0)
    encoding = outline.records.encoding
    dialect = replace(outline.dialect, sheet=_told(outline.sheet))
    sheet = sheet_of(plan.header, dialect.sheet)
    meaning = stamp(alike, encoding, beginning, zone, _zones(), region, phonenumbers.__version__, sheet)
    if sheet:
        template = _reading_sheets(template, sheet == SHEET_1904)
    rules = Rules(template, plan, zone, region, limits)
    return Layout(
        outline.file,
        dialect,
        outline.records,
        rules,
        outline.rows,
        outline.blank,
        meaning,
        outline.notes,
    )


def _told(sheet: Sheet | None) -> str:
    """What stands in place of a delimiter."""
    return "" if sheet is None else SHEET_1904 if sheet.from_1904 else SHEET


def _reading_sheets(template: Template, from_1904: bool) -> Template:
    """The template, which reads the dates and times of a workbook as well, and before any format that reads them as
    something else."""
    rules = {
        name: replace(
            rule,
            dates=rule.dates and _sheet_dates(rule.dates, from_1904),
            times=rule.times and _sheet_times(rule.times),
        )
        for name, rule in template.rules.items()
    }
    return replace(
        template,
        date_formats=_sheet_dates(template.date_formats, from_1904),
        time_formats=_sheet_times(template.time_formats),
        rules=MappingProxyType(rules),
    )


def _sheet_dates(formats: tuple[str, ...], from_1904: bool) -> tuple[str, ...]:
    if from_1904:
        formats = tuple(EXCEL_1904 if form == EXCEL else form for form in formats)
    return (SHEET_DATE, *formats) if any(_otherwise(form) for form in formats) else (*formats, SHEET_DATE)


def _sheet_times(formats: tuple[str, ...]) -> tuple[str, ...]:
    return (*formats, SHEET_TIME)


def _otherwise(form: str) -> bool:
    try:
        return datetime.strptime("2026-03-04", form).month != 3
    except ValueError:
        return False


def _zones() -> str:
    """The version of the time zones that we bring along; another one may move a hearing by an hour."""
    try:
        return metadata.version("tzdata")
    except metadata.PackageNotFoundError:
        return ""
