"""What makes a record the one it is: by which of its fields rows are told to speak of the same client, case, event or
payment, as a key to compare by (`ingest.keys`) and as the text that is kept.

A template may match by combinations of its own (`template.Match`); of several, the first that a row has all fields of
counts. The usual ones are those of `ingest.keys`.
"""

import hashlib
from collections.abc import Mapping, Sequence
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from ingest.identity import NAME_PIECES, NUMBER, Combination, Piece, pieces_of
from ingest.keys import Seed, combine, folded, hash_column
from ingest.parse import Column

LONGEST_KEY = 500
"""Characters; an entry of PostgreSQL's index has at most 2704 bytes."""

Hashes = NDArray[np.uint64]
Unread = Mapping[str, NDArray[np.bool_]]
"""The rows of which this field's cell is filled and cannot be read, by field."""
NOTHING_UNREAD: Unread = MappingProxyType({})

_FILLED = np.uint64(1)
_SEEDS = MappingProxyType(
    {"client": Seed.CLIENT, "case": Seed.CASE, "event": Seed.EVENT_SLOT, "payment": Seed.PAYMENT_SLOT}
)
_MOST = 16  # combinations of a kind, so that each has a seed of its own
_UNIT, _MARK = "\x1f", "\x1e"  # no tidied text holds them, so no two natural keys are written alike
_SLOT = ("date", "time", "type")


def natural_keys(
    kind: str,
    combinations: Sequence[Combination],
    values: Mapping[str, Column],
    rows: int,
    case: Combination = NUMBER,
    unread: Unread = NOTHING_UNREAD,
) -> tuple[Hashes, Unread]:
    """For each row the key of its record of `kind`, or 0 where it has none of the combinations.

    `case` is what cases are matched by: all of it stands for the case that a client's name is good for. `unread` are
    the cells that are filled and cannot be read; told with the keys are those of them that would have to be read to
    know which record it is: what these rows' keys are has no meaning.
    """
    keys, spoiled = np.zeros(rows, dtype=np.uint64), dict[str, NDArray[np.bool_]]()
    for number, names in enumerate(combinations):
        pieces = pieces_of(kind, names, case)
        hashes = [_hashed(piece, values, rows, unread) for piece in pieces]
        present = np.ones(rows, dtype=bool)
        for piece, hashed in zip(pieces, hashes, strict=True):
            present &= (hashed != 0) | (not piece.needed)
        if "name" in names:
            present &= (hashes[pieces.index(NAME_PIECES[0])] != 0) | (hashes[pieces.index(NAME_PIECES[1])] != 0)
        present &= keys == 0
        for field in {piece.field for piece in pieces} & unread.keys():
            spoiled[field] = spoiled.get(field, False) | (present & unread[field])
        keys = np.where(present, combine(_SEEDS[kind] * _MOST + number, *hashes), keys)
    return keys, spoiled


def _hashed(piece: Piece, values: Mapping[str, Column], rows: int, unread: Unread) -> Hashes:
    """A cell that cannot be read is one that is filled."""
    hashed = hash_column(values.get(piece.field), rows, piece.fold)
    return np.where(unread[piece.field], _FILLED, hashed) if piece.field in unread else hashed


def natural_texts(
    kind: str,
    combinations: Sequence[Combination],
    texts: Mapping[str, Sequence[str | None]],
    count: int,
    case: Combination = NUMBER,
) -> list[str]:
    """The same as text, of `count` records: `texts` has a list of as many for each field that the file fills."""
    told: list[str | None] = [None] * count
    nothing: list[str | None] = [None] * count
    left = list(range(count))
    for names in combinations:
        columns = [texts.get(piece.field, nothing) for piece in pieces_of(kind, names, case)]
        if len(left) < count:
            columns = [[column[place] for place in left] for column in columns]
        for place, text in zip(left, _written(kind, names, columns, case), strict=True):
            told[place] = text
        left = [place for place in left if told[place] is None]
    keys = [text or "" for text in told]
    return keys if max(map(len, keys), default=0) <= LONGEST_KEY else list(map(_bounded, keys))


def _bounded(key: str) -> str:
    """The natural key itself; its beginning and its SHA-256 if it is longer than PostgreSQL's indexes may hold."""
    if len(key) <= LONGEST_KEY:
        return key
    digest = hashlib.sha256(key.encode()).hexdigest()
    return f"{key[: LONGEST_KEY - len(digest) - 1]}{_UNIT}{digest}"


def _written(
    kind: str, names: Combination, columns: Sequence[Sequence[str | None]], case: Combination
) -> list[str | None]:
    """The usual combinations have short forms of their own."""
    if names == ("reference",) and kind != "case":
        return [f"#{text}" if text else None for text in columns[0]]
    if (kind, names) == ("case", ("number",)):
        return list(columns[0])
    if kind == "event" and names == _SLOT[: len(names)]:
        days, times, types = (*columns, *[[None] * len(columns[0])] * 2)[:3]
        kinds = {what: f"|{folded(what)}" for what in set(types) if what}
        return [
            f"{day}{f'T{time}' if time else ''}{kinds[what] if what else ''}" if day else None
            for day, time, what in zip(days, times, types, strict=True)
        ]
    if names == ("name", "case") and case == NUMBER:
        return [
            f"{_named(*parts)}{_UNIT}{number}" if number and (parts[0] or parts[1]) else None
            for *parts, number in zip(*columns, strict=True)
        ]
    return _in_full(kind, names, columns, case)


def _in_full(
    kind: str, names: Combination, columns: Sequence[Sequence[str | None]], case: Combination
) -> list[str | None]:
    """The names of the fields and what they hold."""
    pieces = pieces_of(kind, names, case)
    head = f"{_MARK}{'+'.join(names)}{_UNIT}"
    place = pieces.index(NAME_PIECES[0]) if "name" in names else -1
    told: list[str | None] = []
    for parts in zip(*columns, strict=True):
        lacking = any(piece.needed and not part for piece, part in zip(pieces, parts, strict=True))
        if lacking or (place >= 0 and not parts[place] and not parts[place + 1]):
            told.append(None)
            continue
        written = (folded(part or "") if piece.fold else part or "" for piece, part in zip(pieces, parts, strict=True))
        told.append(head + _UNIT.join(written))
    return told


def _named(last: str | None, first: str | None, middle: str | None, suffix: str | None) -> str:
    parts = (last, first, middle, suffix) if middle or suffix else (last, first)
    return _UNIT.join(folded(part or "") for part in parts)
