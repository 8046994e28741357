"""How one file lies on disk: its dialect, its records, and which column of it is which field."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import numpy as np
import phonenumbers

from ingest.check import Batch, Rules, check
from ingest.errors import IngestError
from ingest.limits import Limits
from ingest.mapping import is_answered, map_columns
from ingest.parse import Dialect, Kind, Records, decode, read_cells, scan, split_record, tell_dialect
from ingest.parse.records import Ints
from ingest.skip import stamp
from ingest.template import Template

SAMPLE = 100
"""Records by which the width of a file without a header is told."""


@dataclass(frozen=True)
class Layout:
    """A file, split. `rows` are the places of its rows, under the header, among `records`; `blank` more were empty.

    `meaning` is one text for all that decides what a row of this file means, whatever the other rows are.
    """

    source: Path
    dialect: Dialect
    records: Records
    rules: Rules
    rows: Ints
    blank: int
    meaning: str

    def batches(self, rows: Ints) -> Iterator[Batch]:
        """These rows, read and checked, a chunk at a time."""
        rules = self.rules
        wanted = set(rules.plan.columns.values())
        with self.source.open("rb") as file:
            for part in self._chunks(rows):
                cells = read_cells(file, self.records, part, self.dialect, rules.plan.width, wanted)
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


def lay_out(source: Path, template: Template, zone: str, region: str, limits: Limits) -> Layout:
    """Tell how the file at `source` is written, split it, and find the template's columns.

    Raises IngestError for a file that cannot be used as a whole.
    """
    with source.open("rb") as file:
        head = file.read(limits.record + 1)
    positions = [spec for spec in template.columns.values() if isinstance(spec, int)]
    width = max([*positions, min(len(template.columns), 2)])
    dialect = tell_dialect(head, template.delimiter, template.quoting, template.headers, width, limits)
    records = scan(source, dialect, template.encoding, limits)
    place, first = _first(source, records)
    if records.kind[place] == Kind.NUL:
        raise IngestError("binary", "The first line holds NUL bytes: the file is not text.", "Export it as CSV.")
    names = _cells(first, dialect)
    if not template.header and not is_answered(names):
        names = [""] * _commonest_width(source, records, dialect, len(names))
    plan = map_columns(template, names, limits)
    rows = np.arange(place + (template.header or plan.answered), len(records))
    blank = records.blank - (int(records.line[place]) - 1 - place)
    if template.header and not len(rows):
        raise IngestError(
            "header_only", "The file has a header and no rows.", "Look at the export: it found nothing to send."
        )
    beginning = first if template.header or plan.answered else plan.width
    meaning = stamp(dialect, records.encoding, beginning, zone, _zones(), region, phonenumbers.__version__)
    return Layout(source, dialect, records, Rules(template, plan, zone, region, limits), rows, blank, meaning)


def _zones() -> str:
    """The version of the time zones that we bring along; another one may move a hearing by an hour."""
    try:
        return metadata.version("tzdata")
    except metadata.PackageNotFoundError:
        return ""


def _cells(record: str, dialect: Dialect) -> list[str]:
    return [cell.decode() for cell in split_record(record.encode(), dialect.separator, dialect.quoting)]


def _commonest_width(source: Path, records: Records, dialect: Dialect, first: int) -> int:
    """How many columns most of the first records have: the very first may be the one that is torn."""
    widths: Counter[int] = Counter()
    with source.open("rb") as file:
        for place in np.flatnonzero(records.kind[:SAMPLE] <= Kind.ODD).tolist():
            file.seek(int(records.start[place]))
            text = file.read(int(records.end[place] - records.start[place]))
            if text.strip():
                widths[len(_cells(decode(text, records.encoding), dialect))] += 1
    return widths.most_common(1)[0][0] if widths else first


def _first(source: Path, records: Records) -> tuple[int, str]:
    """The first record that holds anything."""
    with source.open("rb") as file:
        for place in range(len(records)):
            file.seek(int(records.start[place]))
            text = file.read(int(records.end[place] - records.start[place]))
            if text.strip():
                return place, decode(text, records.encoding)
    raise IngestError("empty_file", "The file is empty.", "Look at the export that should have filled it.")
