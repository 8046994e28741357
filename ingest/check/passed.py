"""Rows that are passed over, and that are no errors: blank ones, and the header where it stands a second time."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ingest.errors import IngestError
from ingest.mapping import Plan
from ingest.parse import Cells, Column, Records
from ingest.parse.records import Ints

_AROUND = " \t\ufeff"


@dataclass(frozen=True)
class Passed:
    """How many rows were passed over, and the line of the first of them."""

    count: int = 0
    first: int = 0

    def __add__(self, other: "Passed") -> "Passed":
        return Passed(self.count + other.count, self.first or other.first)


NONE_PASSED = Passed()


def passed(index: Ints, records: Records) -> Passed:
    """Of the records at these places, in file order."""
    return Passed(len(index), int(records.line[index[0]])) if len(index) else NONE_PASSED


def without_headers(cells: Cells, records: Records, plan: Plan) -> tuple[Cells, Passed]:
    """The rows but for those that are the header again, as where two exports were put together.

    Raises IngestError where such a header has its columns in another order, or has others: what stands below it would
    be read as something else. A row is a header if more than half of its cells hold names of the file's columns.
    """
    names = frozenset(map(_bare, plan.header)) - {""}
    columns = sorted(cells.columns.items(), key=lambda column: len(column[1].values))
    most = len(columns) // 2 + 1
    wanted = names | {f"\ufeff{name}" for name in names}
    # one of any so many columns has a name, if more than half have: those are looked at that have the fewest texts
    if len(columns) < 2 or all(wanted.isdisjoint(column.values) for _, column in columns[: len(columns) - most + 1]):
        return cells, NONE_PASSED
    headers = np.sum([_holding(column, names) for _, column in columns], axis=0) >= most
    same = [_holding(column, frozenset({_bare(plan.header[place])})) for place, column in columns]
    others = cells.index[headers & ~np.logical_and.reduce(same)]
    if len(others):
        raise _second_header(int(records.line[others[0]]), plan)
    kept = {place: Column(column.codes[~headers], column.values) for place, column in columns}
    return Cells(cells.index[~headers], kept, cells.refused, cells.raw), passed(cells.index[headers], records)


def _bare(cell: str) -> str:
    return cell.strip(_AROUND)


def _holding(column: Column, names: frozenset[str]) -> NDArray[np.bool_]:
    """The rows that hold one of the names."""
    return np.array([_bare(value) in names for value in column.values] + [False], dtype=bool)[column.codes]


def _second_header(line: int, plan: Plan) -> IngestError:
    return IngestError(
        "second_header",
        f"A second header stands in line {line:,}, and its columns are not those of line {plan.line:,} in their order.",
        "Two exports were put together: send them as two files.",
    )


def find_blank(cells: Cells) -> NDArray[np.bool_]:
    """Rows of which every mapped cell holds nothing but spaces."""
    blank = np.ones(len(cells.index), dtype=bool)
    for column in sorted(cells.columns.values(), key=lambda column: len(column.values)):
        if not blank.any():
            break
        empty = np.array([not value.strip() for value in column.values] + [True], dtype=bool)
        blank &= empty[column.codes]
    return blank


def find_unread(cells: Cells, blank: NDArray[np.bool_], records: Records, plan: Plan) -> Passed:
    """The blank rows that hold something (but zeros) where no column is read. Of our error file, the reasons do."""
    index = cells.index[blank]
    if plan.answered or not len(index):
        return NONE_PASSED
    longer = index[records.end[index] - records.start[index] >= plan.width]  # than the delimiters alone
    return passed(np.array([i for i in longer.tolist() if _says_something(cells.raw(i))], dtype=np.int64), records)


def _says_something(raw: str) -> bool:
    return any(character.isalnum() and character != "0" for character in raw)
