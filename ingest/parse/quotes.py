"""What the quotes of a file are: such as RFC 4180 wants them, or stray ones, of which two may swallow rows."""

import numpy as np
from numpy.typing import NDArray

from ingest.parse.dialect import Dialect
from ingest.parse.fields import enclosed_cells, split_alone

Ints = NDArray[np.int64]
_TELLING = 4
"""Columns from which on a line inside a cell is told from a row by having as many delimiters; in fewer, prose does."""


def swallows(text: bytes, starts: Ints, ends: Ints, index: int, last: int, dialect: Dialect) -> bool:
    """Whether a quote that opens on line `index` and closes on line `last` looks like two stray ones, each in its row.

    Such a pair is as good as any other to RFC 4180, and would hide the rows between. But then most lines between have
    all the delimiters of a row (a line of prose may, now and then), or there are none and both ends have. Both ends are
    refused, and the others are read.
    """
    lines = [text[starts[line] : ends[line]] for line in range(index, last + 1)]
    bare = [_delimiters(lines[end], dialect) for end in (0, -1)]
    between = [line for line in lines[1:-1] if line.strip()]
    if dialect.columns < _TELLING:
        return dialect.columns > 1 and _swallows_few(lines, bare, between, dialect)
    if not between:
        return min(bare) >= dialect.columns - 1
    return 2 * sum(len(split_alone(line, dialect.separator)) >= dialect.columns for line in between) > len(between)


def _delimiters(line: bytes, dialect: Dialect) -> int:
    """How many stand outside of enclosed cells."""
    return enclosed_cells(dialect.separator, dialect.newline).sub(b"", line).count(dialect.separator)


def _swallows_few(lines: list[bytes], bare: list[int], between: list[bytes], dialect: Dialect) -> bool:
    """The same where rows have but two or three columns: all lines have exactly the delimiters of a row, and they are
    not the commas of prose, behind each of which is a space."""
    width = max(dialect.columns, bare[0] + 1)  # every row may end with a delimiter more
    if not between:
        return bare == [width - 1] * 2 and not _is_prose(lines[-1], dialect)
    fitting = all(len(split_alone(line, dialect.separator)) == width for line in between)
    return fitting and not all(_is_prose(line, dialect) for line in between)


def _is_prose(line: bytes, dialect: Dialect) -> bool:
    return dialect.delimiter == "," and line.count(b",") == line.count(b", ")


def quoted_lines(codes: NDArray[np.uint8], starts: Ints, ends: Ints, dialect: Dialect) -> tuple[Ints, Ints]:
    """Lines whose quotes pair up as RFC 4180 wants them, and lines with any other quote."""
    quotes = np.flatnonzero(codes == ord('"'))
    if not len(ends):
        return quotes[:0], quotes[:0]
    quotes = quotes[quotes < ends[-1]]
    lines = np.searchsorted(ends, quotes)
    counts = np.bincount(lines, minlength=len(ends))
    before = np.cumsum(counts) - counts
    closes = (np.arange(len(quotes)) - before[lines]) % 2 == 1
    previous = codes[np.maximum(quotes - 1, 0)]
    following = codes[np.minimum(quotes + 1, len(codes) - 1)]
    separator = ord(dialect.delimiter)
    opens_well = (quotes == starts[lines]) | (previous == separator) | (previous == ord('"'))
    at_end = (quotes + 1 >= ends[lines]) | ((following == 13) & (quotes + 2 >= ends[lines]))
    closes_well = at_end | (following == separator) | (following == ord('"'))
    bad = np.bincount(lines, weights=~np.where(closes, closes_well, opens_well), minlength=len(ends)) > 0
    odd = bad | (counts % 2 == 1)
    return np.flatnonzero((counts > 0) & ~odd), np.flatnonzero(odd)
