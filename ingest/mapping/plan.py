"""Which column of this file holds which field of the template."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

from ingest.answer import ANSWER_COLUMNS, ANSWERS
from ingest.errors import IngestError
from ingest.guard import as_sent, unguarded
from ingest.limits import Limits
from ingest.template import Exclude, Place, Template, slot_owner, split_party

_NAMES_SHOWN, _NAME_SHOWN = 30, 60
_WHEN = frozenset({"event.date", "event.time", "event.datetime"})
UNLIKE = "The first line does not look like a header"
NO_HEADER = "Send the file with its header, the names of the columns, in the first line."
"""What to do about a file of which no column is found."""


@dataclass(frozen=True)
class Plan:
    """`columns` gives the place (from 0) of each slot of the template (`ingest.template.model`); `names` what people
    call each column of the file; `header` is the file's first row, or the row that would be, and `line` the number of
    its line; `notes` are sentences for the receipt. `answered` means that this is our error file sent again: its first
    two columns are ours, and nobody's field."""

    columns: Mapping[str, int]
    names: tuple[str, ...]
    header: tuple[str, ...]
    notes: tuple[str, ...]
    answered: bool = False
    shown: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    """For a field that is made of several columns, or of a part of one: the place of the first of them."""
    line: int = 1

    @property
    def width(self) -> int:
        """How many columns each row must have."""
        return len(self.names)

    def name(self, field: str) -> str:
        """What the file calls the column of `field`, or the first of its columns."""
        place = self.columns.get(field, self.shown.get(field))
        return split_party(field)[1] if place is None else self.names[place]


def map_columns(template: Template, first: Sequence[str], limits: Limits) -> Plan:
    """Find the template's columns in a file whose first row is `first`, or has as many cells if there is no header.

    Raises IngestError: a column that is missing (with what was expected beside what was found), or is there twice.
    """
    if len(first) > limits.columns:
        raise IngestError(
            "too_many_columns", f"The file has {len(first):,} columns.", f"At most {limits.columns:,} are read."
        )
    answered = is_answered(first)
    shift = len(ANSWER_COLUMNS) if answered else 0
    if answered:
        first = _of_spreadsheet(first)
    width = len(first) - shift
    header = tuple(as_sent(cell.strip("\ufeff")) for cell in first[shift:]) if template.header else ()
    told = header or tuple(f"column {i}" for i in range(1, width + 1))
    names = tuple(name or f"column {i}" for i, name in enumerate(told, 1))
    found = {slot: _find(spec, header, width) for slot, spec in template.columns.items()}
    columns = {slot: place for slot, place in found.items() if place is not None}
    missing = [slot for slot in template.columns if slot not in columns and _needed(slot, template, columns, header)]
    if missing:
        raise _mismatch(template, missing, header, width)
    ours = _beginning(first) if answered else ()
    places = {slot: place + shift for slot, place in columns.items()}
    notes = _notes(template, columns, header)
    return Plan(MappingProxyType(places), (*ours, *names), (*ours, *told), notes, answered, _shown(template, places))


def filled_by(template: Template, plan: Plan) -> frozenset[str]:
    """The fields that this file may fill, further parties' with their number: not those of which it has no column."""
    told = {*template.constants}
    for name in template.fields:
        if is_told(name, template, plan.columns):
            told.add(name)
    return frozenset(told)


def is_told(name: str, template: Template, slots: Collection[str]) -> bool:
    """Whether a file with these slots says anything for the field, if only that there is nothing. Half of what is
    joined is not the field: it would stand in the place of the whole."""
    rule = template.rules.get(name)
    if rule is None:
        return name in slots
    there = [slot in slots for slot in rule.slots]
    return all(there) if rule.way == "join" else any(there)


def _shown(template: Template, places: Mapping[str, int]) -> Mapping[str, int]:
    found = {name: [places[slot] for slot in rule.slots if slot in places] for name, rule in template.rules.items()}
    return MappingProxyType({name: there[0] for name, there in found.items() if there})


def is_answered(first: Sequence[str]) -> bool:
    """Whether a file that begins with this row is our error file, sent again; a spreadsheet may have quoted it."""
    return _beginning(first) in ANSWERS


def _beginning(first: Sequence[str]) -> tuple[str, ...]:
    return tuple(cell.strip('"\ufeff') for cell in first[: len(ANSWER_COLUMNS)])


def _of_spreadsheet(first: Sequence[str]) -> list[str]:
    """The header of our error file as it went out: without the columns without a name, of which a spreadsheet adds as
    many as its widest row wants."""
    width = max(place for place, cell in enumerate(first, 1) if cell.strip())
    return [unguarded(cell) for cell in first[:width]]


def _find(spec: Place, header: tuple[str, ...], width: int) -> int | None:
    if isinstance(spec, int):
        return spec - 1 if spec <= width else None
    present = next((name for name in spec if name in header), None)
    if present is None:
        return None
    if header.count(present) > 1:
        raise IngestError(
            "ambiguous_column",
            f"The header names the column {present!r} twice.",
            "Map it by its position in the template.",
        )
    return header.index(present)


def _needed(slot: str, template: Template, columns: Mapping[str, int], header: tuple[str, ...]) -> bool:
    """A missing column matters if it is not optional, if it is there under a slightly other name, or if nothing can be
    read for a required field without it."""
    owner = split_party(slot_owner(slot))[1]
    if owner == "event.date" and "event.datetime" in {slot_owner(other) for other in columns}:
        return False
    if owner == "event.datetime" and "event.date" in template.required and "event.date" not in template.fields:
        return True
    if (owner not in template.optional and slot not in template.spared) or _alike(template.columns[slot], header):
        return True
    return any(not is_told(name, template, columns) for name in made_of(slot, template) & template.required)


def made_of(slot: str, template: Template) -> frozenset[str]:
    """The fields that are made of this column."""
    ruled = (name for name, rule in template.rules.items() if slot in rule.slots)
    return frozenset({slot, *ruled}) & template.fields


def _alike(spec: Place, header: tuple[str, ...]) -> str | None:
    """A header that differs from a wanted one in case and spaces alone."""
    if isinstance(spec, int):
        return None
    wanted = {_squeezed(name) for name in spec}
    return next((name for name in header if name not in spec and _squeezed(name) in wanted), None)


def _squeezed(name: str) -> str:
    return "".join(character for character in name.casefold() if character.isalnum())


def _mismatch(template: Template, missing: list[str], header: tuple[str, ...], width: int) -> IngestError:
    names = list(dict.fromkeys(described(template.columns[slot]) for slot in missing))
    near = {
        described(template.columns[slot]): alike
        for slot in missing
        if (alike := _alike(template.columns[slot], header))
    }
    hint = " ".join(
        f"Is {found!r} meant for {wanted}? Names must be exactly the same." for wanted, found in near.items()
    )
    loose = template.spared | {slot for slot in template.columns if slot_owner(slot) in template.optional}
    wanted = [slot for slot in template.columns if slot not in loose or slot in missing]
    expected = ", ".join(dict.fromkeys(described(template.columns[slot]) for slot in wanted))
    return IngestError(
        "missing_column",
        f"The file lacks {'a column' if len(names) == 1 else 'columns'} that the template {template.name} reads: "
        f"{', '.join(names)}. Expected: {expected}. {_found(template, header, width)}",
        hint or _advice(template, header),
        tuple(dict.fromkeys(_first(template.columns[slot]) for slot in wanted)),
        _shown_header(template, header, width),
    )


def _advice(template: Template, header: tuple[str, ...]) -> str:
    if template.header and not _is_header(template, header):
        return NO_HEADER
    return "Export the file with these columns, or change the template."


def _is_header(template: Template, header: tuple[str, ...]) -> bool:
    """Whether a first row holds a name that the template reads, or two that differ from one in case and spaces alone:
    one may be a word among people's data."""
    wanted = {_squeezed(name) for name in template.headers}
    return bool(template.headers & set(header)) or len(wanted & set(map(_squeezed, header)) - {""}) > 1


def _shown_header(template: Template, header: tuple[str, ...], width: int) -> tuple[str, ...]:
    """The columns that there are, for people; nothing of a first row that may be people's data."""
    if not template.header or not _is_header(template, header):
        return tuple(f"column {number}" for number in range(1, width + 1))
    return header


def _found(template: Template, header: tuple[str, ...], width: int) -> str:
    """What there is instead; not a word of a first row that may be people's data."""
    columns = f"{width:,} {'column' if width == 1 else 'columns'}"
    near = [spec for spec in template.columns.values() if _alike(spec, header)]
    if not template.header or (near and not _is_header(template, header)):
        return f"Found: {columns}."
    if not _is_header(template, header):
        return f"{UNLIKE} ({columns})."
    return f"Found: {_listed(header)}."


def _judged(exclude: Exclude, template: Template, columns: Mapping[str, int]) -> bool:
    """Whether the file has what the filter looks at."""
    names = ("event.date", "event.datetime") if exclude.test == "past" else (exclude.name,)
    return any(is_told(name, template, columns) for name in names)


def _listed(names: Sequence[str]) -> str:
    """Names as far as a sentence can bear them."""
    shown = [repr(name if len(name) <= _NAME_SHOWN else name[:_NAME_SHOWN] + "…") for name in names[:_NAMES_SHOWN]]
    more = [f"and {len(names) - _NAMES_SHOWN:,} more"] if len(names) > _NAMES_SHOWN else []
    return ", ".join(shown + more)


def described(spec: Place) -> str:
    """What people call a column of the template."""
    return f"column {spec}" if isinstance(spec, int) else " or ".join(map(repr, spec))


def _first(spec: Place) -> str:
    return f"column {spec}" if isinstance(spec, int) else spec[0]


def _notes(template: Template, columns: Mapping[str, int], header: tuple[str, ...]) -> tuple[str, ...]:
    names = enumerate(header if template.headers else ())
    extra = [name for place, name in names if name.strip() and place not in columns.values()]
    notes = [f"Columns that the template does not read: {_listed(extra)}."] if extra else []
    there = {slot_owner(slot) for slot in columns}
    notes += [
        f"No row was left out as {exclude.reason!r}: the file does not have its column."
        for exclude in template.excludes
        if not _judged(exclude, template, columns)
    ]
    dated = _WHEN if {"event.date", "event.datetime"} & there else frozenset[str]()
    absent = dict.fromkeys(
        described(spec)
        for slot, spec in template.columns.items()
        if slot not in columns and slot_owner(slot) not in dated
    )
    if absent:
        notes.append(f"Optional columns that the file does not have: {', '.join(absent)}.")
    joined = (rule.slots for name, rule in template.rules.items() if not is_told(name, template, columns))
    halves = {split_party(slot_owner(slots[0]))[1] for slots in joined if any(slot in columns for slot in slots)}
    if halves:
        notes.append(f"Not put together, since a column of it is missing: {', '.join(sorted(halves))}.")
    return tuple(notes)
