"""How one file lies on disk: its dialect, its records, and which column of it is which field."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import phonenumbers

from ingest.check import Batch, Rules, check
from ingest.errors import IngestError
from ingest.limits import Limits
from ingest.mapping import map_columns
from ingest.parse import Dialect, Kind, Records, decode, read_cells, scan, split_record, tell_dialect
from ingest.parse.records import Ints
from ingest.skip import stamp
from ingest.template import Template


@dataclass(frozen=True)
class Layout:
    """A file, split. `rows` are the places of its rows, under the header and blank ones too, among `records`.

    `meaning` is one text for all that decides what a row of this file means, whatever the other rows are.
    """

    source: Path
    dialect: Dialect
    records: Records
    rules: Rules
    rows: Ints
    meaning: str

    @property
    def filled(self) -> Ints:
        """The rows that are not empty lines."""
        return np.asarray(self.rows[self.records.kind[self.rows] != Kind.BLANK])

    def batches(self, rows: Ints) -> Iterator[Batch]:
        """These rows, read and checked, a chunk at a time."""
        rules, chunk = self.rules, self.rules.limits.chunk
        wanted = set(rules.plan.columns.values())
        with self.source.open("rb") as file:
            for begin in range(0, len(rows), chunk):
                part = rows[begin : begin + chunk]
                cells = read_cells(file, self.records, part, self.dialect, rules.plan.width, wanted)
                yield check(cells, self.records, rules)


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
    names = [cell.decode() for cell in split_record(first.encode(), dialect.separator, dialect.quoting)]
    plan = map_columns(template, names, limits)
    rows = np.arange(place + template.header, len(records))
    if template.header and bool((records.kind[rows] == Kind.BLANK).all()):
        raise IngestError(
            "header_only", "The file has a header and no rows.", "Look at the export: it found nothing to send."
        )
    meaning = stamp(
        dialect, records.encoding, first if template.header else plan.width, zone, region, phonenumbers.__version__
    )
    return Layout(source, dialect, records, Rules(template, plan, zone, region, limits), rows, meaning)


def _first(source: Path, records: Records) -> tuple[int, str]:
    """The first record that holds anything."""
    with source.open("rb") as file:
        for place in range(len(records)):
            file.seek(int(records.start[place]))
            text = file.read(int(records.end[place] - records.start[place]))
            if text.strip():
                return place, decode(text, records.encoding)
    raise IngestError("empty_file", "The file is empty.", "Look at the export that should have filled it.")
