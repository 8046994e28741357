"""The lines of a file that are no rows: what stands above the header, the header itself, and the trailer."""

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import BinaryIO

import numpy as np

from ingest.errors import IngestError
from ingest.format import FileFormat
from ingest.mapping import is_answered
from ingest.parse import LOOKED_AT, Dialect, Kind, Records, cells_of, decode_record
from ingest.pattern import match_beginning
from ingest.workbook import Sheet

_LONGEST_TRAILER = 1000
_BLANKS = b" \t\r\n\x1a"


@dataclass(frozen=True)
class Heading:
    """The names of the columns, and the place among the records of the last row that they stand in."""

    place: int
    names: tuple[str, ...]


class Top:
    """The first records of a file; `answered` means that they are our error file, sent again."""

    def __init__(
        self, file: BinaryIO, records: Records, dialect: Dialect, form: FileFormat, sheet: Sheet | None
    ) -> None:
        self._file, self.records, self.dialect, self._form, self._sheet = file, records, dialect, form, sheet
        self.answered = bool(len(records)) and is_answered(self._cells(0))
        skipped = 0 if self.answered else max(form.skip_lines, (form.header_row or 1) - 1)
        self._begin = int(np.searchsorted(records.line, skipped + 1))

    def find_header(self, wanted: Collection[str]) -> Heading:
        """The first of the first rows that holds most of the `wanted` names; the very first if none holds any, or if
        the template has said where the header is. Raises IngestError for an empty file, and where rows stand above a
        header that nobody has told the place of."""
        places = list(islice(self._filled(), LOOKED_AT))
        if not places:
            raise IngestError("empty_file", "The file is empty.", "Look at the export that should have filled it.")
        if self.records.kind[places[0]] == Kind.NUL:
            raise IngestError("binary", "The first line holds NUL bytes: the file is not text.", "Export it as CSV.")
        first = self._cells(places[0])
        depth = self._form.header_rows
        if not self._form.header or self.answered:
            return Heading(places[0], tuple(first))
        if self._form.header_row or not wanted:
            return self._heading(places[:depth])
        headings = [self._heading(places[i : i + depth]) for i in range(max(1, len(places) - depth + 1))]
        found = max(range(len(headings)), key=lambda i: len(set(wanted) & set(headings[i].names)))
        self._refuse_rows(places[:found], headings[found])
        return headings[found]

    def _refuse_rows(self, above: Sequence[int], header: Heading) -> None:
        """A title above the header is no row; but whoever sorts a sheet may sort its header in among the rows."""
        width = sum(1 for name in header.names if name.strip())
        rows = [place for place in above if _is_row(self._cells(place), width)]
        if not rows:
            return
        lines, line = self.records.line[rows].tolist(), int(self.records.line[header.place])
        what = "line looks like a row" if len(rows) == 1 else "lines look like rows"
        raise IngestError(
            "rows_above_header",
            f"The header stands in line {line:,}, and above it {len(rows):,} {what} (line {lines[0]:,} is the first).",
            "Put the header above all rows and send the file again. If those lines are none, the template can say "
            f"where the header is (header = {line}).",
        )

    def _heading(self, places: Sequence[int]) -> Heading:
        if len(places) == 1:
            return Heading(places[0], tuple(self._with_merged(places[0])))
        rows = [*(self._spread(place) for place in places[:-1]), self._cells(places[-1])]
        names = []
        for column in range(len(rows[-1])):
            words = [row[column].strip() for row in rows if column < len(row)]
            names.append(" ".join(dict.fromkeys(word for word in words if word)))
        return Heading(places[-1], tuple(names))

    def _with_merged(self, place: int) -> list[str]:
        """A row of names; a cell that is merged with those above it has its name there."""
        cells = self._cells(place)
        row = int(self.records.line[place]) - 1
        for top, left, bottom, _ in self._merged():
            if top < row <= bottom and left < len(cells) and not cells[left]:
                above = np.flatnonzero(self.records.line == top + 1)
                cells[left] = self._cells(int(above[0]))[left] if len(above) else ""
        return cells

    def _spread(self, place: int) -> list[str]:
        """A row of headings over others: each stands over all the columns it is merged over, or, where nothing is
        known of merging, over the empty cells to its right."""
        cells = self._cells(place)
        row = int(self.records.line[place]) - 1
        for top, left, bottom, right in self._merged():
            if top <= row <= bottom and left < len(cells):
                cells[left : right + 1] = [cells[left]] * len(cells[left : right + 1])
        if self._sheet is None:
            for column in range(1, len(cells)):
                cells[column] = cells[column] or cells[column - 1]
        return cells

    def _merged(self) -> tuple[tuple[int, int, int, int], ...]:
        return self._sheet.merged if self._sheet else ()

    def usual_width(self, sample: int, first: int) -> int:
        """How many columns most of the first records have: the very first may be the one that is torn."""
        whole = (place for place in self._filled() if self.records.kind[place] <= Kind.ODD)
        widths = Counter(len(self._cells(place)) for place in islice(whole, sample))
        return widths.most_common(1)[0][0] if widths else first

    def rows(self, places: range) -> list[list[str]]:
        """The cells of these records, of those that hold anything."""
        return [cells for cells in map(self._cells, places) if any(map(str.strip, cells))]

    def blank_before(self, place: int) -> int:
        """How many empty lines stand before this record."""
        records = self.records
        taken = sum(1 + self._bytes(i).count(self.dialect.newline) for i in range(place))
        return int(records.line[place]) - self.dialect.line - taken

    def text(self, place: int) -> str:
        """A record as a line of text; the cells of a sheet are put together with pipes."""
        if self._sheet:
            return "|".join(self._cells(place)).rstrip("|")
        return decode_record(self._bytes(place), self.records)

    def is_blank(self, place: int) -> bool:
        """Whether a record holds nothing but spaces and the like."""
        return not self._bytes(place).strip(_BLANKS)

    def _filled(self) -> Iterator[int]:
        return (place for place in range(self._begin, len(self.records)) if not self.is_blank(place))

    def _cells(self, place: int) -> list[str]:
        return cells_of(decode_record(self._bytes(place), self.records), self.dialect)

    def _bytes(self, place: int) -> bytes:
        self._file.seek(int(self.records.start[place]))
        return self._file.read(int(self.records.end[place] - self.records.start[place]))


def _is_row(cells: Sequence[str], width: int) -> bool:
    """Whether a line is about as full as one of `width` cells, and holds numbers, dates or times, unlike a heading."""
    filled = [cell for cell in cells if cell.strip()]
    numbered = sum(1 for cell in filled if any(map(str.isdigit, cell)))
    return len(filled) * 4 >= width * 3 and numbered >= min(2, width)


def without_trailer(rows: range, top: Top, pattern: str | None) -> range:
    """The rows without the trailer that `pattern` wants at the end of the file.

    Raises IngestError if there is none, so that the file is cut off, or if it counts other rows than there are.
    """
    if pattern is None or top.answered:
        return rows
    while len(rows) and top.is_blank(rows[-1]):
        rows = rows[:-1]
    last = top.text(rows[-1])[:_LONGEST_TRAILER] if len(rows) else None
    found, counted = (False, None) if last is None else match_beginning(pattern, last)
    if not found:
        raise IngestError(
            "missing_trailer",
            "The last line is not the trailer that the template expects: the file is cut off.",
            "Send the whole file again.",
        )
    rows = rows[:-1]
    if counted is not None and _number(counted) != len(rows):
        raise IngestError(
            "wrong_count",
            f"The trailer counts {_shown(counted)} rows, and the file has {len(rows):,}.",
            "Send the whole file again.",
        )
    return rows


def refuse_cut_off(records: Records, dialect: Dialect, size: int) -> None:
    """Raise IngestError for a fixed-width file of `size` bytes of which only the last line, without a line end, is
    shorter than all others, which are equally long."""
    lengths = records.end - records.start
    if not dialect.widths or len(lengths) < 3 or int(records.end[-1]) < size:
        return
    if (lengths[:-1] == lengths[0]).all() and lengths[-1] < lengths[0]:
        raise IngestError(
            "truncated",
            "The last line is shorter than all others and has no end: the file is cut off.",
            "Send the whole file again.",
        )


def _number(text: str) -> int:
    digits = text.strip().replace(",", "")
    return int(digits) if digits.isascii() and digits.isdigit() else -1


def _shown(text: str) -> str:
    return f"{_number(text):,}" if _number(text) >= 0 else "no"
