"""Cells that are merged with the one above them: only that one holds a value, and people read it in every row."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import BinaryIO

from ingest.errors import IngestError
from ingest.limits import Limits

UNIT, RECORD = "\x1f", "\x1e"
"""What stands between the cells of a record and behind it."""

MOST_RANGES = 100_000
_MOST_CELLS = 1_000_000
_BLOCK = 1 << 20


def fill_down(source: BinaryIO, out: BinaryIO, ranges: Iterable[tuple[int, int, int]], limits: Limits) -> int:
    """Write the records of `source` to `out`, with the value of each range (first row, column, last row, all from 0)
    in all its rows that hold anything; how many cells were filled. Raises IngestError for very many."""
    begins = defaultdict(list)
    for top, column, bottom in ranges:
        begins[top].append((column, bottom))
    filled = size = 0
    open_ranges: dict[int, tuple[int, bytes]] = {}  # by column: its last row, and the value
    for number, record in enumerate(_records(source)):
        if record and (open_ranges or number in begins):
            cells = record.split(UNIT.encode())
            open_ranges = {column: each for column, each in open_ranges.items() if each[0] >= number}
            for column, (_, value) in open_ranges.items():
                if column < len(cells) and not cells[column]:
                    cells[column], filled, size = value, filled + 1, size + len(value)
            for column, bottom in begins[number]:
                if column < len(cells) and cells[column].strip():
                    open_ranges[column] = bottom, cells[column]
            if filled > _MOST_CELLS or size > limits.unpacked_freely:
                raise too_many()
            record = UNIT.encode().join(cells)
        out.write(record + RECORD.encode())
    out.seek(0)
    return filled


def _records(source: BinaryIO) -> Iterator[bytes]:
    source.seek(0)
    tail = b""
    while block := source.read(_BLOCK):
        *whole, tail = (tail + block).split(RECORD.encode())
        yield from whole


def too_many() -> IngestError:
    """What a sheet with very many merged cells gets."""
    return IngestError(
        "too_many_merged",
        "Very many cells of the sheet are merged with those above them.",
        "Unmerge them (Home, Merge & Center), write the value in every row, and send that.",
    )
