"""The first rows of a file as the records that a template makes of them, to be looked at; nothing is written.

FIELD              COLUMN       ROW 2        ROW 3
client.reference   Party ID     1001         1002
event.date         Event Date   2026-03-16   2026-03-17
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ingest.check import Batch
from ingest.layout import Layout, lay_out
from ingest.limits import Limits
from ingest.parse import Column, read_cells
from ingest.record import CONTACTS, MONEY_FIELDS
from ingest.template import Template, slot_owner, split_party

_KINDS = ("client", "contact", "case", "event", "payment")
_PARTS = ("client.middle_name", "client.suffix")
_HIDDEN = "event.starts_at"


@dataclass(frozen=True)
class Line:
    """One field: of whom (`who` is "" for the row's own person), from which columns, and what each row has in it."""

    who: str
    field: str
    source: str
    values: tuple[str, ...]


@dataclass(frozen=True)
class Preview:
    """How a file is written, in the words of `[file]`, and its first rows.

    `rows` are the numbers of their lines in the file, `fates` what becomes of each: taken, not taken, or left out.
    """

    written: dict[str, str]
    rows: tuple[int, ...]
    fates: tuple[str, ...]
    lines: tuple[Line, ...]


def preview(path: Path, template: Template, zone: str, region: str, limits: Limits, rows: int) -> Preview:
    """The first `rows` rows of the file at `path` as the template reads them.

    Raises IngestError for a file that cannot be used as a whole.
    """
    with lay_out(path, template, zone, region, limits) as layout:
        chosen = layout.rows[:rows]
        batches = [next(layout.batches(chosen[i : i + 1])) for i in range(len(chosen))]
        numbers = tuple(int(line) for line in layout.records.line[chosen])
        return Preview(_written(layout), numbers, tuple(map(_fate, batches)), tuple(_lines(layout, template, batches)))


def _written(layout: Layout) -> dict[str, str]:
    dialect, plan = layout.dialect, layout.rules.plan
    told = {"header": "yes" if layout.rules.template.header else "no", "columns": str(plan.width)}
    if dialect.widths:
        told |= {"kind": "fixed width"}
    elif dialect.shown is not dialect:
        return told | {"kind": "workbook"}
    else:
        told |= {"kind": "delimited", "delimiter": dialect.delimiter, "quoting": "yes" if dialect.quoting else "no"}
    return told | {"encoding": layout.records.encoding}


def _fate(batch: Batch) -> str:
    return "left out" if len(batch.left) else "taken" if len(batch) else "not taken"


def _lines(layout: Layout, template: Template, batches: Sequence[Batch]) -> list[Line]:
    """A line for each field that the template fills, in the order of people and kinds of records."""
    told: dict[tuple[str, str], list[str]] = {}
    for name in sorted({*template.fields, *template.constants}, key=_order):
        party, field = split_party(name)
        told.setdefault((_who(template, party), _shown_as(field)), [""] * len(batches))
    for number, batch in enumerate(batches):
        for (who, field), text in _texts(batch, _people(layout, template, batch)).items():
            told.setdefault((who, field), [""] * len(batches))[number] = text
    lines = [
        Line(who, field, _source(layout, template, who, field), tuple(values)) for (who, field), values in told.items()
    ]
    people = [_who(template, number) for number in range(len(template.parties) + 1)]
    lines.sort(key=lambda line: (people.index(line.who), _KINDS.index(line.field.partition(".")[0])))
    return [line for line in lines if any(line.values) or not line.field.endswith(_PARTS)]


def _people(layout: Layout, template: Template, batch: Batch) -> list[str]:
    """The names of the people in a batch of one row: its own person, and the further ones that its cells name."""
    plan = layout.rules.plan
    wanted = set(plan.columns.values())
    cells = read_cells(layout.file, layout.records, batch.index, layout.dialect, plan.width, wanted, plan.answered)
    people = [""]
    for party in template.parties:
        own = [place for slot, place in plan.columns.items() if split_party(slot)[0] == party.number]
        if any(cells.columns[place].filled.any() for place in own):
            people.append(_who(template, party.number))
    return people


def _order(name: str) -> tuple[int, int, str]:
    party, field = split_party(name)
    return party, _KINDS.index(field.partition(".")[0]), field


def _who(template: Template, party: int) -> str:
    """The name of a party, with its number where another one has the same; "" for the row's own person."""
    if not party:
        return ""
    name = template.parties[party - 1].name
    return f"{name} ({party})" if sum(each.name == name for each in template.parties) > 1 else name


def _shown_as(field: str) -> str:
    """Phones and what is said of them are one field here, and so are addresses; so is a date with a time."""
    contact = next((name for name in sorted(CONTACTS, key=len, reverse=True) if field.startswith(name)), None)
    if contact:
        return f"contact.{CONTACTS[contact]}"
    return "event.date" if field == "event.datetime" else field


def _shown_in(field: str) -> tuple[str, ...]:
    """The fields here that show something of one of the template's: a column of date and time, two."""
    return ("event.date", "event.time") if field == "event.datetime" else (_shown_as(field),)


def _texts(batch: Batch, people: Sequence[str]) -> dict[tuple[str, str], str]:
    """What a batch of one row says, by person and field. Of people that nothing but a contact is told of, nothing."""
    said, texts = batch.said, dict[tuple[str, str], str]()
    if not len(said.client):
        return texts
    for entry, who in enumerate(people[: len(said.client)] if len(people) == len(said.client) else people[:1]):
        for name, column in said.values.items():
            text = _text(column, entry)
            if text and name != _HIDDEN and not name.startswith("contact.") and (not entry or _is_theirs(name)):
                texts[who, name] = _amount(text) if name in MONEY_FIELDS else text
        for kind, contacts in said.contacts.items():
            own = [i for i in range(len(contacts.client)) if contacts.client[i] == said.client[entry]]
            shown = list(dict.fromkeys(_contact(contacts.value, contacts.about, i) for i in own))
            if shown:
                texts[who, f"contact.{kind}"] = ", ".join(shown)
    return texts


def _is_theirs(name: str) -> bool:
    """Whether a further person has this field of their own."""
    return name.startswith("client.") or name == "case.role"


def _contact(value: Column, about: Mapping[str, Column], place: int) -> str:
    said = [text for column in about.values() if (text := _text(column, place))]
    return f"{_text(value, place)} ({', '.join(said)})" if said else _text(value, place)


def _text(column: Column, place: int) -> str:
    code = int(column.codes[place])
    return column.values[code] if code >= 0 else ""


def _amount(cents: str) -> str:
    return f"{int(cents) / 100:,.2f}"


def _source(layout: Layout, template: Template, who: str, field: str) -> str:
    """The names of the columns that a field is made of."""
    numbers = (p.number for p in template.parties if _who(template, p.number) == who)
    plan, party = layout.rules.plan, next(numbers, 0)
    names = [name for name in template.fields if split_party(name)[0] == party]
    names = [name for name in names if field in _shown_in(split_party(name)[1])]
    slots = [slot for name in names for slot in (template.rules[name].slots if name in template.rules else (name,))]
    found = [plan.names[plan.columns[slot]] for slot in dict.fromkeys(slots) if slot in plan.columns]
    if found:
        return " + ".join(dict.fromkeys(found))
    missing = [slot for slot in slots if slot_owner(slot)]
    return "(not in the file)" if missing else "(constant)"
