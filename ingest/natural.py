"""What makes a record the one it is: by which of its fields rows are told to speak of the same client, case, event or
payment, as a key to compare by (`ingest.keys`) and as the text that is kept.

A template may match by combinations of its own (`template.Match`); of several, the first that a row has all fields of
counts. The usual ones are those of `ingest.keys`.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from ingest.keys import combine, folded, hash_column
from ingest.parse import Column
from ingest.record import LOOSE
from ingest.template import Template, of_party

LONGEST_KEY = 500
"""Characters; an entry of PostgreSQL's index has at most 2704 bytes."""

Hashes = NDArray[np.uint64]
Combination = tuple[str, ...]
Unread = Mapping[str, NDArray[np.bool_]]
"""The rows of which this field's cell is filled and cannot be read, by field."""
NOTHING_UNREAD: Unread = MappingProxyType({})

NUMBER: Combination = ("number",)
"""What cases are matched by, if nothing else is said."""

_FILLED = np.uint64(1)
_UNIT, _MARK = "\x1f", "\x1e"  # no tidied text holds them, so no two natural keys are written alike
EXACT = frozenset({"client.reference", "case.number", "case.reference", "event.reference", "payment.reference"})
_NAME = ("client.last_name", "client.first_name", "client.middle_name", "client.suffix")
_SLOT = ("date", "time", "type")


@dataclass(frozen=True)
class _Piece:
    """A field of a combination; with `fold`, capitals and spaces tell nothing apart."""

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
    unread: Unread = NOTHING_UNREAD,
) -> tuple[Hashes, Unread]:
    """For each row the key of its record of `kind`, or 0 where it has none of the combinations.

    `case` is what cases are matched by: all of it stands for the case that a client's name is good for. `unread` are
    the cells that are filled and cannot be read; told with the keys are those of them that would have to be read to
    know which record it is: what these rows' keys are has no meaning.
    """
    keys, spoiled = np.zeros(rows, dtype=np.uint64), dict[str, NDArray[np.bool_]]()
    for number, names in enumerate(combinations):
        pieces = _pieces(kind, names, case)
        hashes = [_hashed(piece, values, rows, unread) for piece in pieces]
        present = np.ones(rows, dtype=bool)
        for piece, hashed in zip(pieces, hashes, strict=True):
            present &= (hashed != 0) | (not piece.needed)
        if "name" in names:
            present &= (hashes[pieces.index(_NAME_PIECES[0])] != 0) | (hashes[pieces.index(_NAME_PIECES[1])] != 0)
        present &= keys == 0
        for field in {piece.field for piece in pieces} & unread.keys():
            spoiled[field] = spoiled.get(field, False) | (present & unread[field])
        keys = np.where(present, combine(seed * 16 + number, *hashes), keys)
    return keys, spoiled


def _hashed(piece: "_Piece", values: Mapping[str, Column], rows: int, unread: Unread) -> Hashes:
    """A cell that cannot be read is one that is filled."""
    hashed = hash_column(values.get(piece.field), rows, piece.fold)
    return np.where(unread[piece.field], _FILLED, hashed) if piece.field in unread else hashed


def natural_fields(kind: str, combinations: Sequence[Combination], case: Combination = NUMBER) -> list[str]:
    """Every field that the combinations are made of."""
    return list(dict.fromkeys(piece.field for names in combinations for piece in _pieces(kind, names, case)))


def matched_fields(template: Template) -> frozenset[str]:
    """Every field of the template that some record is matched by, further parties' with their number."""
    match = template.match
    names = set(natural_fields("case", [match.case]))
    for kind, combinations in (("client", match.client), ("event", match.event), ("payment", match.payment)):
        names |= set(natural_fields(kind, _counting(kind, combinations, template), match.case))
    for party in template.parties:
        names |= {of_party(party.number, field) for field in natural_fields("client", match.client, match.case)}
    return template.fields & names


def known_by(template: Template) -> dict[str, list[list[str]]]:
    """For each kind of record that the template fills: the fields of which it can be matched by, by combination."""
    match, known = template.match, {*template.fields, *template.constants}
    if "event.datetime" in known:
        known |= {"event.date", "event.time"}
    every = {"client": match.client, "case": (match.case,), "event": match.event, "payment": match.payment}
    told = {}
    for kind, combinations in every.items():
        if any(field.startswith(f"{kind}.") for field in known):
            fields = ([f for f in natural_fields(kind, [names], match.case) if f in known] for names in combinations)
            told[kind] = [each for each in fields if each]
    return told


def _counting(kind: str, combinations: Sequence[Combination], template: Template) -> Sequence[Combination]:
    """Those that can ever count: none behind one that every row has."""
    for number, names in enumerate(combinations, 1):
        if all(f"{kind}.{name}" in template.required for name in names):
            return combinations[:number]
    return combinations


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
            f"{day}{f'T{time}' if time else ''}{f'|{folded(what)}' if what else ''}" if day else None
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
        written = (folded(part or "") if piece.fold else part or "" for piece, part in zip(pieces, parts, strict=True))
        told.append(head + _UNIT.join(written))
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
            pieces.append(_Piece(field, field not in EXACT, not loose))
    return pieces


_NAME_PIECES = [_Piece(field, True, False) for field in _NAME]


def _named(last: str | None, first: str | None, middle: str | None, suffix: str | None) -> str:
    parts = (last, first, middle, suffix) if middle or suffix else (last, first)
    return _UNIT.join(folded(part or "") for part in parts)
