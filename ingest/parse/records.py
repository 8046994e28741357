"""The records of a file: where each begins and ends, on which line, how it is to be read, and its fingerprint.

The file is read once, in blocks, and split with arrays: line ends are found, and only where quotes stand are they
looked at. A line whose quotes all pair up (RFC 4180) is a record by itself. Any other line with a quote is followed
record by record (`fields.record_end`), so that a cell may span lines. A stray quote inside a cell is data. One at the
beginning of a cell costs its own row if another one closes it, and refuses the file if none does: nobody can tell then
where the rows end.

The fingerprint is SipHash-2-4, 64 bits, over the record's bytes. That two different records of a 1M-row file and its
predecessor share one has odds of about 1 in 10 million (n*m / 2^64); then a changed row would be taken for unchanged.
"""

from collections.abc import Iterator
from dataclasses import dataclass, fields
from enum import IntEnum
from typing import Any, BinaryIO, cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ingest.errors import IngestError
from ingest.limits import Limits
from ingest.parse.dialect import BOM, Dialect
from ingest.parse.fields import record_end
from ingest.parse.quotes import quoted_lines, swallows
from ingest.parse.refusals import too_long, too_many, unclosed

Ints = NDArray[np.int64]
Offsets = NDArray[np.uint32] | NDArray[np.int64]
"""Places in a file; the narrower ones where they suffice, of which none can be taken from a smaller one."""
_HASH_KEY = "dropslot records"  # SipHash takes 16 bytes; changing it only makes every skip index stale


class Kind(IntEnum):
    """How a record can be read: columnar (PLAIN, QUOTED), one by one (ODD), not at all."""

    PLAIN = 0
    QUOTED = 1
    ODD = 2
    NUL = 3
    UNREADABLE = 4
    UNCLOSED = 5
    STRAY = 6


DOS_END = b"\x1a"
"""How DOS ends a file: also between files that were put together."""
_BEYOND = np.uint8(128)
"""Beside the kind of a record, until the encoding is told: it is UTF-8, and more than ASCII."""

_LINES = 500_000
"""Lines that a piece of a file has, about, at most."""


@dataclass
class Records:
    """All records of a file, one array element each: byte offsets [start, end) without the line end, the number of the
    line it begins on (from 1), the fingerprint and the `Kind`. `encoding` is utf-8 or cp1252, told from all bytes, or
    latin-1 if the template says so. Where cp1252 is a guess (`guessed`), a record that is UTF-8 is read as such: it was
    written by another program than the others. Empty lines are no records; there were `blank` of them.

    A record takes 25 bytes of memory, 33 in a file beyond 4 GiB.
    """

    start: Offsets
    end: Offsets
    line: NDArray[np.int32]
    hash: NDArray[np.uint64]
    kind: NDArray[np.uint8]
    encoding: str
    blank: int = 0
    guessed: bool = False

    def __len__(self) -> int:
        return len(self.start)

    def let_go(self) -> None:
        """Forget all of them, once nothing more is read: a file may have millions."""
        for name in ("start", "end", "line", "hash", "kind"):
            setattr(self, name, getattr(self, name)[:0].copy())


@dataclass(frozen=True)
class _Block:
    """The records of one block, offsets within the file, and how many were valid or invalid UTF-8 beyond ASCII."""

    start: Offsets
    end: Offsets
    line: NDArray[np.int32]
    hash: NDArray[np.uint64]
    kind: NDArray[np.uint8]
    readable: int
    unreadable: int
    blank: int


def places(rows: range) -> Ints:
    """The places of records that follow each other, as an array."""
    return np.arange(rows.start, rows.stop)


def scan(file: BinaryIO, dialect: Dialect, encoding: str | None, limits: Limits) -> Records:
    """Split the file into records.

    Raises IngestError: too many records, a quote never closed, a line too long, not text after all, bytes of no known
    encoding.
    """
    blocks: list[_Block] = []
    count = 0
    for block in _blocks(file, dialect, limits):
        count += len(block.start) + block.blank
        if count > limits.records:
            raise too_many(limits)
        blocks.append(block)
    told, blank = _encoding(blocks, dialect, encoding), sum(block.blank for block in blocks)
    parts = {f.name: [getattr(block, f.name) for block in blocks] for f in fields(_Block)[:5]}
    blocks.clear()  # so that never more than one array is there twice
    arrays = {name: np.concatenate(parts.pop(name)) for name in tuple(parts)}
    kind = cast(NDArray[np.uint8], arrays["kind"])
    guessed = told == "cp1252" and encoding is None
    if guessed:
        kind[(kind & _BEYOND) != 0] = Kind.ODD
    kind &= ~_BEYOND
    if told != "utf-8":
        kind[kind == Kind.UNREADABLE] = Kind.ODD
    nul = int((kind == Kind.NUL).sum())
    if nul > 1 and nul * 10 > len(kind):
        raise IngestError(
            "binary", "The file is not text: it is full of NUL bytes.", "Export it as CSV or pipe-delimited text."
        )
    return Records(**arrays, encoding=told, blank=blank, guessed=guessed)


def _encoding(blocks: list[_Block], dialect: Dialect, wanted: str | None) -> str:
    if dialect.marked or not any(block.unreadable for block in blocks):
        return "utf-8" if dialect.marked or wanted is None else wanted
    if wanted is None:
        readable, unreadable = sum(b.readable for b in blocks), sum(b.unreadable for b in blocks)
        return "utf-8" if readable > unreadable else "cp1252"
    if wanted == "utf-8" and sum(b.unreadable for b in blocks) * 10 > sum(len(b.start) for b in blocks):
        raise IngestError("undecodable", "The file is not UTF-8.", 'Set encoding = "auto" or "cp1252" in the template.')
    return wanted


def _blocks(file: BinaryIO, dialect: Dialect, limits: Limits) -> Iterator[_Block]:
    file.seek(dialect.begin)
    base, line, text = dialect.begin, dialect.line, b""
    for piece in _pieces(file, dialect.newline, limits):
        text += piece
        final = not piece
        text = text.rstrip(DOS_END) if final else text
        block, used, lines = _split(text, base, line, dialect, limits, final)
        yield block
        base, line, text = base + used, line + lines, text[used:]


def _pieces(file: BinaryIO, newline: bytes, limits: Limits) -> Iterator[bytes]:
    """The rest of the file, block by block, and an empty one at the end; blocks full of line ends in smaller pieces,
    since memory is taken for each line."""
    while block := file.read(limits.block):
        step = -(-len(block) // (1 + block.count(newline) // _LINES))
        for begin in range(0, len(block), step):
            yield block[begin : begin + step]
    yield b""


def _split(text: bytes, base: int, line: int, dialect: Dialect, limits: Limits, final: bool) -> tuple[_Block, int, int]:
    """The records that end within `text`, how many bytes and how many lines they take."""
    codes = np.frombuffer(text, dtype=np.uint8)
    ends = np.flatnonzero(codes == dialect.newline[0])
    if final and len(text) and (not len(ends) or ends[-1] != len(text) - 1):
        ends = np.append(ends, len(text))
    starts = np.concatenate([np.zeros(min(1, len(ends)), dtype=np.int64), ends[:-1] + 1])
    starts = _behind_end(text, codes, starts, ends)
    kind = np.zeros(len(ends), dtype=np.uint8)
    first = last = np.arange(len(ends))
    if dialect.quoting and b'"' in text:
        first, last, cut = _join(text, codes, starts, ends, kind, line, dialect, limits, final)
        starts, ends, kind = starts[first], ends[last], kind[first]
        used = cut
    else:
        used = int(ends[-1]) + 1 if len(ends) else 0
    lines = int(last[-1]) + 1 if len(last) else 0
    stop = ends  # where the line end stands; a CR before it is part of it
    if dialect.newline == b"\n":
        crlf = (ends > starts) & (codes[np.maximum(ends - 1, 0)] == 13)
        ends = ends - crlf
    filled = (ends > starts) & ~((ends - starts == len(BOM)) & _begins_with_mark(text, codes, starts))
    blank = len(filled) - int(filled.sum())
    if blank:  # at once: a file may hold millions of them
        starts, ends, stop, first, kind = (array[filled] for array in (starts, ends, stop, first, kind))
    _refuse_long(starts, ends, line + first, limits)
    if not final and len(text) - used > limits.record:
        raise too_long(line + lines, limits)
    readable, unreadable = _mark(text[:used], codes, starts, ends, stop, kind, dialect.newline)
    fingerprints = _fingerprints(text, starts, ends, stop, used, dialect.newline, lines)
    numbers = (line + first).astype(np.int32)
    begin, end = _offsets(starts + base), _offsets(ends + base)
    block = _Block(begin, end, numbers, fingerprints, kind, readable, unreadable, blank)
    return block, min(used, len(text)), lines


def _behind_end(text: bytes, codes: NDArray[np.uint8], starts: Ints, ends: Ints) -> Ints:
    """Where lines start that begin with the end of another file: DOS puts files together so."""
    if DOS_END not in text:
        return starts
    return np.asarray(starts + ((starts < ends) & (codes[np.minimum(starts, len(codes) - 1)] == DOS_END[0])))


def _offsets(places: Ints) -> Offsets:
    return places.astype(np.uint32) if not len(places) or places[-1] < 1 << 32 else places


def _join(
    text: bytes,
    codes: NDArray[np.uint8],
    starts: Ints,
    ends: Ints,
    kind: NDArray[np.uint8],
    line: int,
    dialect: Dialect,
    limits: Limits,
    final: bool,
) -> tuple[Ints, Ints, int]:
    """First and last line of each record, and where the last whole record ends; marks `kind` by line."""
    single = np.ones(len(ends), dtype=bool)  # lines that begin a record
    closing = np.arange(len(ends))
    quoted, odd = quoted_lines(codes, starts, ends, dialect)
    kind[quoted] = Kind.QUOTED
    consumed, whole = 0, len(ends)
    for index in odd.tolist():
        start = int(starts[index])
        if start < consumed or kind[index] == Kind.STRAY:
            continue
        end, opening = record_end(text, start, dialect.separator, dialect.newline)
        last = int(np.searchsorted(ends, end)) if end >= 0 else len(ends)
        if last >= len(ends) or ends[last] != end or last - index > limits.record_lines:
            if not final and len(text) - start < limits.record:
                whole = index  # what closes it may come with the next block
                break
            raise unclosed(line + text.count(dialect.newline, 0, max(opening, start)))
        if last > index and swallows(text, starts, ends, index, last, dialect):
            kind[index], kind[last] = Kind.UNCLOSED, Kind.STRAY
            consumed = int(ends[index]) + 1
            continue
        kind[index] = Kind.ODD
        single[index + 1 : last + 1] = False
        closing[index] = last
        consumed = end + 1
    first = np.flatnonzero(single[:whole])
    last_lines = closing[first]
    return first, last_lines, int(ends[last_lines[-1]]) + 1 if len(first) else 0


def _begins_with_mark(text: bytes, codes: NDArray[np.uint8], starts: Ints) -> NDArray[np.bool_]:
    """Records that begin with a byte order mark, as where files were put together; pyarrow drops it here and there."""
    if BOM[0] not in text or BOM not in text:  # of one byte alone a search is nearly free
        return np.zeros(len(starts), dtype=bool)
    marked = np.ones(len(starts), dtype=bool)
    for place, code in enumerate(BOM):
        at = starts + place
        marked &= (at < len(codes)) & (codes[np.minimum(at, len(codes) - 1)] == code)
    return marked


def _mark(
    text: bytes,
    codes: NDArray[np.uint8],
    starts: Ints,
    ends: Ints,
    stop: Ints,
    kind: NDArray[np.uint8],
    newline: bytes,
) -> tuple[int, int]:
    """Set the kinds that do not come from quotes; how many records beyond ASCII are, and are not, UTF-8."""
    codes = codes[: len(text)]
    stray, unclosed = kind == Kind.STRAY, kind == Kind.UNCLOSED
    for other in {b"\n", b"\r"} - {newline}:  # the columnar reader would end a record there
        if other in text:
            kind[_owners(np.flatnonzero(codes == other[0]), starts, ends, stop)] = Kind.ODD
    kind[_begins_with_mark(text, codes, starts)] = Kind.ODD
    if DOS_END in text:  # the columnar reader takes neighbours in one go
        kind[(starts > 0) & (codes[starts - 1] == DOS_END[0])] = Kind.ODD
    readable, unreadable = np.empty(0, dtype=np.int64), 0
    if not text.isascii():
        readable, unreadable = _mark_unreadable(text, codes, starts, ends, stop, kind)
    if b"\0" in text:
        kind[np.searchsorted(stop, np.flatnonzero(codes == 0))] = Kind.NUL
    for each, rows in ((Kind.UNCLOSED, unclosed), (Kind.STRAY, stray)):
        kind[rows & (kind != Kind.NUL)] = each
    kind[readable[kind[readable] <= Kind.ODD]] |= _BEYOND
    return len(readable), unreadable


def _owners(places: Ints, starts: Ints, ends: Ints, stop: Ints) -> Ints:
    """The records in which these bytes stand, without those in line ends and empty lines."""
    owner = np.searchsorted(stop, places)
    inside = owner < len(ends)
    owner, places = owner[inside], places[inside]
    return np.asarray(owner[(places >= starts[owner]) & (places < ends[owner])])


def _mark_unreadable(
    text: bytes, codes: NDArray[np.uint8], starts: Ints, ends: Ints, stop: Ints, kind: NDArray[np.uint8]
) -> tuple[Ints, int]:
    """Which records beyond ASCII are UTF-8, and how many are not."""
    rows = _owners(np.flatnonzero(codes >= 128), starts, ends, stop)
    if not len(rows):
        return rows, 0
    rows = rows[np.concatenate([[True], rows[1:] != rows[:-1]])]
    try:
        text.decode("utf-8")
    except UnicodeDecodeError:
        spans = zip(rows.tolist(), starts[rows].tolist(), ends[rows].tolist(), strict=True)
        bad = [row for row, start, end in spans if not _is_utf8(text[start:end])]
        kind[bad] = Kind.UNREADABLE
        return np.setdiff1d(rows, np.array(bad, dtype=np.int64), assume_unique=True), len(bad)
    return rows, 0


def _is_utf8(record: bytes) -> bool:
    try:
        record.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _fingerprints(
    text: bytes, starts: Ints, ends: Ints, stop: Ints, used: int, newline: bytes, lines: int
) -> NDArray[np.uint64]:
    """Of each record; there are `lines` up to `used`."""
    uniform = len(starts) > 0 and len(starts) == lines and _all_alike(stop - ends)
    if uniform and text[used - 1 : used] == newline and len(text) >= used:
        pieces = text[: int(ends[-1])].split(b"\r\n" if stop[0] - ends[0] else newline)
        uniform = len(pieces) == len(starts)
    else:
        uniform = False
    if not uniform:
        pieces = [text[start:end] for start, end in zip(starts.tolist(), ends.tolist(), strict=True)]
    column = np.empty(len(pieces), dtype=object)
    column[:] = pieces
    return cast(NDArray[np.uint64], _siphash(column))


def _all_alike(numbers: Ints) -> bool:
    return bool((numbers == numbers[0]).all())


def _siphash(column: NDArray[Any]) -> Any:
    return pd.util.hash_array(column, hash_key=_HASH_KEY, categorize=False)


def _refuse_long(starts: Ints, ends: Ints, lines: Ints, limits: Limits) -> None:
    long = np.flatnonzero(ends - starts > limits.record)
    if len(long):
        raise too_long(int(lines[long[0]]), limits)
