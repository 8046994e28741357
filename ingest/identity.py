"""By which of its fields a record is known: the combinations of a template (`template.Match`), spelt out.

Nothing here reads a file, so it is light: whatever lists or edits templates can have it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from ingest.record import LOOSE
from ingest.template import Template, of_party

Combination = tuple[str, ...]

NUMBER: Combination = ("number",)
"""What cases are matched by, if nothing else is said."""

EXACT = frozenset({"client.reference", "case.number", "case.reference", "event.reference", "payment.reference"})
_NAME = ("client.last_name", "client.first_name", "client.middle_name", "client.suffix")


@dataclass(frozen=True)
class Piece:
    """A field of a combination; with `fold`, capitals and spaces tell nothing apart."""

    field: str
    fold: bool
    needed: bool


NAME_PIECES = [Piece(field, True, False) for field in _NAME]


def natural_fields(kind: str, combinations: Sequence[Combination], case: Combination = NUMBER) -> list[str]:
    """Every field that the combinations are made of."""
    return list(dict.fromkeys(piece.field for names in combinations for piece in pieces_of(kind, names, case)))


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


def pieces_of(kind: str, names: Combination, case: Combination) -> list[Piece]:
    """The fields that a combination is made of, in their order."""
    pieces: list[Piece] = []
    for name in names:
        if (kind, name) == ("client", "name"):
            pieces += NAME_PIECES
        elif (kind, name) == ("client", "case"):
            pieces += pieces_of("case", case, case)
        else:
            field = f"{kind}.{name}"
            loose = field in LOOSE or (kind == "case" and name != "number")
            pieces.append(Piece(field, field not in EXACT, not loose))
    return pieces
