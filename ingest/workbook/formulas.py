"""What the formulas of a sheet gave, told by its XML: calamine reads an error as an empty cell, and a formula that
nobody has computed as its placeholder, 0 or nothing."""

import re
from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from ingest.errors import IngestError

# No part of these patterns gives back what it has taken, so that text without an end costs no more than its length.
_F = rb"<(?:\w++:)?+f\b[^<>]*+>(?:(?<=/>)|([^<]*+)</(?:\w++:)?+f\s*+>)\s*+"
_V = rb"(<(?:\w++:)?+v\b[^<>]*+>(?:(?<=/>)|([^<]*+)</(?:\w++:)?+v\s*+>))\s*+"
_FORMULA = re.compile(rb"<(?:\w++:)?+c\b([^<>]*+)>\s*+" + _F + rb"(?:" + _V + rb")?+(?=</(?:\w++:)?+c\s*+>)")
_ERROR = re.compile(
    rb"<(?:\w++:)?+c\b(?=[^<>]*?\bt\s*+=\s*+[\"']e[\"'])([^<>]*+)>\s*+(?:" + _F + rb")?+(?:" + _V + rb")?+"
)
_KIND = re.compile(rb"\bt\s*+=\s*+[\"'](\w*+)[\"']")
_PLACE = re.compile(rb"\br\s*+=\s*+[\"']([A-Z]{1,3})([1-9]\d{0,6})[\"']")
_ZERO = re.compile(rb"-?0++(?:\.0*+)?")
_TOTAL = re.compile(rb"\s*+[A-Z]++\((?:\d++,)?+\$?([A-Z]++)\$?\d++:\$?\1\$?\d++\)\s*+")
_ERRORS = ("#VALUE!", "#N/A", "#REF!", "#NAME?", "#DIV/0!", "#NUM!", "#NULL!")
_LONGEST_TAG = 64 * 1024
_ROW, _COLUMN = 20, 4  # bits behind the row and the column of a place


@dataclass(frozen=True)
class Formulas:
    """Where a sheet holds errors, each as one number (its row, its column and which error); how many formulas give 0,
    how many of those are totals of a column, and how many formulas give anything else."""

    errors: Sequence[int]
    zeros: int
    totals: int
    others: int

    @property
    def all_zero(self) -> bool:
        """Whether there are formulas in rows, and every one gives 0."""
        return self.zeros > self.totals and not self.others


@dataclass
class _Found:
    errors: "array[int]" = field(default_factory=lambda: array("Q"))
    zeros: int = 0
    totals: int = 0
    others: int = 0


def find_formulas(blocks: Iterable[bytes]) -> Formulas:
    """What the formulas of a sheet gave. Raises IngestError for one without its result, or an error without a place."""
    found, carried = _Found(), b""
    for block in blocks:
        text = carried + block
        end = _end_of_cells(text)
        if not end and len(text) > 2 * _LONGEST_TAG:
            end = len(text) - _LONGEST_TAG
        whole, carried = text[:end], text[end:]
        if b"<f" in whole or b":f" in whole:
            _count(whole, found)
        if b'"e"' in whole or b"'e'" in whole:
            found.errors.extend(map(_error, _ERROR.finditer(whole)))
    in_order = all(a <= b for a, b in zip(found.errors, found.errors[1:], strict=False))
    return Formulas(found.errors if in_order else sorted(found.errors), found.zeros, found.totals, found.others)


def _end_of_cells(text: bytes) -> int:
    """The place behind the last cell that has an end; 0 if none has. Names of tags may have a prefix."""
    if (plain := text.rfind(b"</c>")) >= 0:
        return plain + len(b"</c>")
    prefixed = text.rfind(b":c>")
    begin = text.rfind(b"<", 0, max(prefixed, 0))
    return prefixed + len(b":c>") if begin >= 0 and text.startswith(b"</", begin) else 0


def _count(text: bytes, found: _Found) -> None:
    for cell in _FORMULA.finditer(text):
        kind = _KIND.search(cell[1])
        number = kind is None or kind[1] == b"n"
        result = (cell[4] or b"").strip()
        if not result and not (cell[3] and kind and kind[1] == b"str"):  # a text that is empty is a result
            raise uncomputed()
        zero = number and _ZERO.fullmatch(result) is not None
        found.zeros, found.others = found.zeros + zero, found.others + (not zero)
        found.totals += zero and _TOTAL.fullmatch(cell[2] or b"") is not None


def _error(cell: "re.Match[bytes]") -> int:
    place, text = _PLACE.search(cell[1]), (cell[4] or b"").strip().decode("ascii", "replace") or _ERRORS[0]
    if place is None or text not in _ERRORS:
        raise IngestError(
            "unread_error",
            "The sheet holds a formula's error that cannot be read.",
            "Open it in Excel, mend the formula or write a value in its place, save it and send that.",
        )
    column = 0
    for letter in place[1]:
        column = 26 * column + letter - ord("A") + 1
    return (int(place[2]) - 1) << _ROW | (column - 1) << _COLUMN | _ERRORS.index(text)


def uncomputed() -> IngestError:
    """What a workbook gets of which nobody has computed the formulas."""
    return IngestError(
        "uncomputed_formulas",
        "The workbook holds formulas whose results were never computed.",
        "Open it in Excel, save it and send that; or export values instead of formulas.",
    )


class ErrorCells:
    """Puts the errors of a sheet into its rows, as text. `spent` counts the rows at the end of the sheet that got none.

    Those hold nothing else, and errors in at most half of their columns: somebody has copied a formula further down
    than there are rows.
    """

    def __init__(self, errors: Sequence[int], first_column: int) -> None:
        self._errors, self._first, self._at, self.spent = errors, first_column, 0, 0

    def put_in(self, rows: Iterable[list[Any]]) -> Iterator[list[Any]]:
        """The rows of the sheet, from its first on, with their errors."""
        waiting: list[list[Any]] = []
        for number, row in enumerate(rows):
            cells = self._of(number)
            if not cells and not waiting:
                yield row
                continue
            alone = 2 * len(cells) <= len(row) and not any(cell != "" for cell in row)
            for column, text in cells:
                if 0 <= column < len(row):
                    row[column] = text
            if alone:
                waiting.append(row)
                continue
            yield from waiting
            waiting = []
            yield row
        self.spent = sum(map(any, waiting))
        yield from ([""] * len(row) for row in waiting)

    def _of(self, number: int) -> list[tuple[int, str]]:
        """The errors of a row: columns, and the texts for them."""
        cells = []
        while self._at < len(self._errors) and self._errors[self._at] >> _ROW <= number:
            place = self._errors[self._at]
            if place >> _ROW == number:
                column = (place >> _COLUMN & (1 << _ROW - _COLUMN) - 1) - self._first
                cells.append((column, _ERRORS[place & (1 << _COLUMN) - 1]))
            self._at += 1
        return cells
