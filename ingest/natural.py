"""What makes a record the one it is: by which of its fields rows are told to speak of the same client, case, event or
payment, as a key to compare by (`ingest.keys`) and as the text that is kept.

A template may match by combinations of its own (`template.Match`); of several, the first that a row has all fields of
counts. The usual ones are those of `ingest.keys`.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ingest.keys import combine, hash_column
from ingest.parse import Column
from ingest.record import LOOSE

LONGEST_KEY = 500
"""Characters; an entry of PostgreSQL's index has at most 2704 bytes."""

Hashes = NDArray[np.uint64]
Combination = tuple[str, ...]

NUMBER: Combination = ("number",)
"""What cases are matched by, if nothing else is said."""

_UNIT, _MARK = "\x1f", "\x1e"  # no tidied text holds them, so no two natural keys are written alike
EXACT = frozenset({"client.reference", "case.number", "case.reference", "event.reference", "payment.reference"})
_NAME = ("client.last_name", "client.first_name", "client.middle_name", "client.suffix")
_SLOT = ("date", "time", "type")


@dataclass(frozen=True)
class _Piece:
    """A field of a combination; `fold` makes capitals and small letters the same."""

    field: str
    fold: bool
    needed: bool


def natural_keys(
    kind: str,
    seed: int,
    combinations: Sequence[Combination],
    values: Mapping[str, Column],
    rows: int,
    case: Combination = NUMBER,
) -> Hashes:
    """For each row the key of its record of `kind`, or 0 where it has none of the combinations.

    `case` is what cases are matched by: all of it stands for the case that a client's name is good for.
    """
    keys = np.zeros(rows, dtype=np.uint64)
    for number, names in enumerate(combinations):
        pieces = _pieces(kind, names, case)
        hashes = [hash_column(values.get(piece.field), rows, piece.fold) for piece in pieces]
        present = np.ones(rows, dtype=bool)
        for piece, hashed in zip(pieces, hashes, strict=True):
            present &= (hashed != 0) | (not piece.needed)
        if "name" in names:
            present &= (hashes[pieces.index(_NAME_PIECES[0])] != 0) | (hashes[pieces.index(_NAME_PIECES[1])] != 0)
        keys = np.where((keys == 0) & present, combine(seed * 16 + number, *hashes), keys)
    return keys


def natural_fields(kind: str, combinations: Sequence[Combination], case: Combination = NUMBER) -> list[str]:
    """Every field that the combinations are made of."""
    return list(dict.fromkeys(piece.field for names in combinations for piece in _pieces(kind, names, case)))


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
        columns = [texts.get(piece.field, nothing) for piece in _pieces(kind, names, case)]
        if len(left) < count:
            columns = [[column[place] for place in left] for column in columns]
        for place, text in zip(left, _written(kind, names, columns, case), strict=True):
            told[place] = text
        left = [place for place in left if told[place] is None]
    return [_bounded(text or "") for text in told]


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
        return [
            f"{day}{f'T{time}' if time else ''}{f'|{what}' if what else ''}" if day else None
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
    pieces = _pieces(kind, names, case)
    head = f"{_MARK}{'+'.join(names)}{_UNIT}"
    place = pieces.index(_NAME_PIECES[0]) if "name" in names else -1
    told: list[str | None] = []
    for parts in zip(*columns, strict=True):
        lacking = any(piece.needed and not part for piece, part in zip(pieces, parts, strict=True))
        if lacking or (place >= 0 and not parts[place] and not parts[place + 1]):
            told.append(None)
            continue
        folded = (
            (part or "").casefold() if piece.fold else part or "" for piece, part in zip(pieces, parts, strict=True)
        )
        told.append(head + _UNIT.join(folded))
    return told


def _pieces(kind: str, names: Combination, case: Combination) -> list[_Piece]:
    pieces: list[_Piece] = []
    for name in names:
        if (kind, name) == ("client", "name"):
            pieces += _NAME_PIECES
        elif (kind, name) == ("client", "case"):
            pieces += _pieces("case", case, case)
        else:
            field = f"{kind}.{name}"
            loose = field in LOOSE or (kind == "case" and name != "number")
            pieces.append(_Piece(field, field not in EXACT and field not in LOOSE, not loose))
    return pieces


_NAME_PIECES = [_Piece(field, True, False) for field in _NAME]


def _named(last: str | None, first: str | None, middle: str | None, suffix: str | None) -> str:
    parts = (last, first, middle, suffix) if middle or suffix else (last, first)
    return _UNIT.join((part or "").casefold() for part in parts)
