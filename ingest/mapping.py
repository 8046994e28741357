"""Which column of this file holds which field of the template."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from ingest.answer import ANSWER_COLUMNS, as_sent
from ingest.errors import IngestError
from ingest.limits import Limits
from ingest.template import Template

_NAMES_SHOWN, _NAME_SHOWN = 30, 60
_WHEN = frozenset({"event.date", "event.time", "event.datetime"})


@dataclass(frozen=True)
class Plan:
    """`columns` gives the place (from 0) of each mapped field; `names` what people call each column of the file;
    `header` is the file's first row, or the row that would be; `notes` are sentences for the receipt. `answered` means
    that this is our error file sent again: its first two columns are ours, and nobody's field."""

    columns: Mapping[str, int]
    names: tuple[str, ...]
    header: tuple[str, ...]
    notes: tuple[str, ...]
    answered: bool = False

    @property
    def width(self) -> int:
        """How many columns each row must have."""
        return len(self.names)

    def name(self, field: str) -> str:
        """What the file calls the column of `field`."""
        return self.names[self.columns[field]] if field in self.columns else field


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
    width = len(first) - shift
    header = tuple(as_sent(cell.strip("\ufeff")) for cell in first[shift:]) if template.header else ()
    told = header or tuple(f"column {i}" for i in range(1, width + 1))
    names = tuple(name or f"column {i}" for i, name in enumerate(told, 1))
    found = {field: _find(spec, header, width) for field, spec in template.columns.items()}
    columns = {field: place for field, place in found.items() if place is not None}
    missing = [
        field for field in template.columns if field not in columns and _needed(field, template, columns, header)
    ]
    if missing:
        raise _mismatch(template, missing, header, width)
    ours = ANSWER_COLUMNS[:shift]
    places = {field: place + shift for field, place in columns.items()}
    return Plan(MappingProxyType(places), (*ours, *names), (*ours, *told), _notes(template, columns, header), answered)


def is_answered(first: Sequence[str]) -> bool:
    """Whether a file that begins with this row is our error file, sent again; a spreadsheet may have quoted it."""
    return tuple(cell.strip('"\ufeff') for cell in first[: len(ANSWER_COLUMNS)]) == ANSWER_COLUMNS


def _find(spec: int | tuple[str, ...], header: tuple[str, ...], width: int) -> int | None:
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


def _needed(field: str, template: Template, columns: Mapping[str, int], header: tuple[str, ...]) -> bool:
    """A missing column matters if it is not optional, if it is there under a slightly other name, or if a required
    field is left without any column."""
    if field == "event.date" and "event.datetime" in columns:
        return False
    if field == "event.datetime" and "event.date" in template.required and "event.date" not in template.columns:
        return True
    if field not in template.optional or _alike(template.columns[field], header):
        return True
    return field in template.required


def _alike(spec: int | tuple[str, ...], header: tuple[str, ...]) -> str | None:
    """A header that differs from a wanted one in case and spaces alone."""
    if isinstance(spec, int):
        return None
    wanted = {_squeezed(name) for name in spec}
    return next((name for name in header if name not in spec and _squeezed(name) in wanted), None)


def _squeezed(name: str) -> str:
    return "".join(character for character in name.casefold() if character.isalnum())


def _mismatch(template: Template, missing: list[str], header: tuple[str, ...], width: int) -> IngestError:
    names = [_described(template.columns[field]) for field in missing]
    near = {
        name: alike for name, f in zip(names, missing, strict=True) if (alike := _alike(template.columns[f], header))
    }
    hint = " ".join(
        f"Is {found!r} meant for {wanted}? Names must be exactly the same." for wanted, found in near.items()
    )
    wanted = [field for field in template.columns if field not in template.optional or field in missing]
    expected = ", ".join(_described(template.columns[field]) for field in wanted)
    return IngestError(
        "missing_column",
        f"The file lacks {'a column' if len(names) == 1 else 'columns'} that the template {template.name} reads: "
        f"{', '.join(names)}. Expected: {expected}. {_found(template, header, width)}",
        hint or "Export the file with these columns, or change the template.",
    )


def _found(template: Template, header: tuple[str, ...], width: int) -> str:
    """What there is instead; not a word of a first row that may be people's data."""
    columns = f"{width:,} {'column' if width == 1 else 'columns'}"
    if not template.header:
        return f"Found: {columns}."
    if not template.headers & set(header):
        return f"The first line does not look like a header ({columns})."
    return f"Found: {_listed(header)}."


def _listed(names: Sequence[str]) -> str:
    """Names as far as a sentence can bear them."""
    shown = [repr(name if len(name) <= _NAME_SHOWN else name[:_NAME_SHOWN] + "…") for name in names[:_NAMES_SHOWN]]
    more = [f"and {len(names) - _NAMES_SHOWN:,} more"] if len(names) > _NAMES_SHOWN else []
    return ", ".join(shown + more)


def _described(spec: int | tuple[str, ...]) -> str:
    return f"column {spec}" if isinstance(spec, int) else " or ".join(map(repr, spec))


def _notes(template: Template, columns: Mapping[str, int], header: tuple[str, ...]) -> tuple[str, ...]:
    extra = [name for place, name in enumerate(header) if place not in columns.values()] if template.headers else []
    notes = [f"Columns that the template does not read: {_listed(extra)}."] if extra else []
    dated = _WHEN if {"event.date", "event.datetime"} & set(columns) else frozenset[str]()
    absent = [
        _described(spec) for field, spec in template.columns.items() if field not in columns and field not in dated
    ]
    if absent:
        notes.append(f"Optional columns that the file does not have: {', '.join(absent)}.")
    return tuple(notes)
