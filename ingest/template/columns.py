"""The columns of a template: from what stands behind a field in TOML to slots and rules."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

from ingest.record import CUSTOM_KINDS, DATE_FIELDS, FIELDS, WHEN_FIELDS, custom_field
from ingest.template.formats import DATE_FORMATS, TIME_FORMATS, read_formats
from ingest.template.model import Place, Rule, of_party, slot, tidied
from ingest.template.place import Path, TemplateError, near

WHOLE_NAME = "client.name"
"""Not a field of its own: it fills the four that a name has."""
_PARTS = MappingProxyType(
    {f"client.{part}_name": part for part in ("first", "middle", "last")} | {"client.suffix": "suffix"}
)
_MAX_POSITION = 1000
_KEYS = (
    *("column", "first", "join", "with", "part", "order", "split", "take", "lookup", "unknown"),
    *("values", "case", "default", "spaces", "formats", "times", "pivot"),
)
_CHOICES = MappingProxyType(
    {
        "part": ("first", "middle", "last", "suffix"),
        "order": ("first last", "last first"),
        "case": ("upper", "lower", "title"),
        "unknown": ("warn", "keep", "empty", "refuse"),
        "spaces": ("one", "keep"),
    }
)


@dataclass
class Mapped:
    """Slots, rules and constants, gathered while a template is read."""

    columns: dict[str, Place] = field(default_factory=dict)
    rules: dict[str, Rule] = field(default_factory=dict)
    constants: dict[str, str] = field(default_factory=dict)
    fields: set[str] = field(default_factory=set)


def read_columns(table: Mapping[str, Any], party: int, path: Path, mapped: Mapped) -> None:
    """Add what [columns] or [custom] of the row's own person or of a further one says. Raises TemplateError."""
    for name, spec, at in named_fields(table, path):
        owner = of_party(party, name)
        if name == WHOLE_NAME:
            places, rule = _spec(owner, spec, at, True)
            mapped.columns |= places
            for part_field, part in _PARTS.items():
                if of_party(party, part_field) not in mapped.fields and not _has(table, part_field):
                    mapped.rules[of_party(party, part_field)] = replace(rule or Rule((owner,)), part=part)
                    mapped.fields.add(of_party(party, part_field))
            continue
        places, rule = _spec(owner, spec, at, False)
        mapped.columns |= places
        mapped.fields.add(owner)
        if rule is not None:
            mapped.rules[owner] = rule


MOST_CUSTOM = 50
"""Of one kind of record: a function of PostgreSQL takes 100 arguments, and each is a name and a value."""


def read_custom(table: Mapping[str, Any], path: Path, mapped: Mapped) -> None:
    """Add the fields that the agency has invented."""
    for prefix, inner in table.items():
        if prefix not in CUSTOM_KINDS or not isinstance(inner, Mapping):
            raise TemplateError(
                "template_field",
                f"custom fields belong to {', '.join(CUSTOM_KINDS)}, not to {prefix}.",
                'For example: case."Bond Type" = "BOND_TYP"',
                (*path, prefix),
            )
        if len(inner) > MOST_CUSTOM:
            raise TemplateError(
                "template_field", f"A record has at most {MOST_CUSTOM} custom fields.", path=(*path, prefix)
            )
        for name, spec in inner.items():
            if not name.strip() or not name.isprintable() or len(name) > 100:
                raise TemplateError(
                    "template_field", "A custom field has no name that can be shown.", path=(*path, prefix, name)
                )
            owner = custom_field(prefix, name)
            places, rule = _spec(owner, spec, (*path, prefix, name), False)
            mapped.columns |= places
            mapped.fields.add(owner)
            if rule is not None:
                mapped.rules[owner] = rule


def named_fields(table: Mapping[str, Any], path: Path) -> list[tuple[str, Any, Path]]:
    """Field, what stands behind it, and where, of a table of fields. Raises TemplateError for a name nobody knows."""
    found: list[tuple[str, Any, Path]] = []
    for kind, inner in table.items():
        if not isinstance(inner, Mapping):
            known_field(kind, (*path, kind))
            raise TemplateError(
                "template_field",
                f"{path[0]} has the field {kind} in quotes.",
                f'Write it without: {kind} = "Header"',
                (*path, kind),
            )
        for name, spec in inner.items():
            found.append((known_field(f"{kind}.{name}", (*path, kind, name)), spec, (*path, kind, name)))
    return found


def known_field(name: str, path: Path) -> str:
    """`name`, if a template may use it."""
    if name not in FIELDS and name != WHOLE_NAME:
        raise TemplateError(
            "template_field", f"{path[0]} names an unknown field: {name}.", near(name, [*FIELDS, WHOLE_NAME]), path
        )
    return name


def _has(table: Mapping[str, Any], name: str) -> bool:
    kind, _, rest = name.partition(".")
    return rest in table.get(kind, {})


def _spec(owner: str, spec: Any, path: Path, whole_name: bool) -> tuple[dict[str, Place], Rule | None]:
    """The slots of a field and its rule, if it has one."""
    if not isinstance(spec, Mapping):
        return {owner: place(owner, spec, path)}, None
    for key in spec:
        if key not in _KEYS:
            raise TemplateError("template_key", f"{owner} has an unknown key: {key}.", near(key, _KEYS), (*path, key))
    places, way = _sources(owner, spec, path)
    rule = Rule(slots=tuple(places), way=way, **_options(owner, spec, path))
    if whole_name and rule.part:
        raise TemplateError("template_column", f"{owner} fills all parts of a name; leave part away.", path=path)
    return places, None if rule == Rule(slots=(owner,)) else rule


def _sources(owner: str, spec: Mapping[str, Any], path: Path) -> tuple[dict[str, Place], str]:
    ways = [way for way in ("column", "first", "join") if way in spec]
    if len(ways) != 1:
        raise TemplateError(
            "template_column",
            f"{owner} needs exactly one of column, first and join.",
            f'For example: {owner} = {{ column = "Header" }}',
            path,
        )
    [way] = ways
    if way == "column":
        return {owner: place(owner, spec[way], path)}, "one"
    listed = spec[way]
    if not isinstance(listed, list) or len(listed) < 2:
        raise TemplateError("template_column", f"{way} of {owner} must be a list of two columns or more.", path=path)
    return {slot(owner, number): place(owner, each, path) for number, each in enumerate(listed, 1)}, way


def place(owner: str, spec: Any, path: Path) -> Place:
    """One column: a position, a header, or several headers of which the first that is there counts."""
    if isinstance(spec, int) and not isinstance(spec, bool) and 0 < spec <= _MAX_POSITION:
        return spec
    names = (spec,) if isinstance(spec, str) else spec
    if isinstance(names, tuple | list) and names and all(isinstance(name, str) and name for name in names):
        return tuple(names)
    raise TemplateError(
        "template_column",
        f"The column of {owner} is neither a header, nor a list of headers, nor a position from 1 on.",
        f'For example: {owner} = "Header", or {owner} = 3',
        path,
    )


def _options(owner: str, spec: Mapping[str, Any], path: Path) -> dict[str, Any]:
    options: dict[str, Any] = {}
    for key, known in _CHOICES.items():
        if key in spec:
            options[key] = _chosen(owner, key, spec[key], known, path)
    if "spaces" in options:
        options["spaces"] = options["spaces"] == "keep"
    for key, name in (("with", "separator"), ("split", "split"), ("lookup", "lookup"), ("default", "default")):
        if key in spec:
            options[name] = _text(owner, key, spec[key], path)
    if "take" in spec:
        options["take"] = _number(owner, "take", spec["take"], path)
    if "pivot" in spec:
        options["pivot"] = pivot(spec["pivot"], (*path, "pivot"))
    if "values" in spec:
        options["values"] = _values(owner, spec["values"], (*path, "values"))
    return options | _own_formats(owner, spec, path)


def _own_formats(owner: str, spec: Mapping[str, Any], path: Path) -> dict[str, Any]:
    dated = owner.rpartition(":")[2] in (*DATE_FIELDS, *WHEN_FIELDS)
    if not dated and {"formats", "times", "pivot"} & set(spec):
        raise TemplateError("template_format", f"{owner} is no date; it has no formats.", path=path)
    options: dict[str, Any] = {}
    timed = owner == "event.time"
    if "formats" in spec:
        key, default = ("time", TIME_FORMATS) if timed else ("date", DATE_FORMATS)
        options["times" if timed else "dates"] = read_formats(spec["formats"], key, default, (*path, "formats"))
    if "times" in spec:
        options["times"] = read_formats(spec["times"], "time", TIME_FORMATS, (*path, "times"))
    return options


def pivot(value: Any, path: Path) -> int:
    """The last two-digit year that is one of this century."""
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= 99:
        raise TemplateError(
            "template_value",
            "pivot must be a number from 0 to 99.",
            "With pivot = 30, 30 is 2030 and 31 is 1931.",
            path,
        )
    return value


def _chosen(owner: str, key: str, value: Any, known: tuple[str, ...], path: Path) -> str:
    if value not in known:
        options = ", ".join(f'"{each}"' for each in known)
        raise TemplateError("template_value", f"{key} of {owner} is none of {options}.", path=(*path, key))
    return str(value)


def _text(owner: str, key: str, value: Any, path: Path) -> str:
    if not isinstance(value, str) or (not value and key != "with"):
        raise TemplateError("template_value", f"{key} of {owner} must be a text.", path=(*path, key))
    return value if key in ("with", "split") else tidied(value)


def _number(owner: str, key: str, value: Any, path: Path) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not value or abs(value) > _MAX_POSITION:
        raise TemplateError(
            "template_value",
            f"{key} of {owner} must be a number: 1 is the first piece, -1 the last.",
            path=(*path, key),
        )
    return value


def _values(owner: str, value: Any, path: Path) -> Mapping[str, str]:
    if not isinstance(value, Mapping) or not all(isinstance(each, str) for each in value.values()):
        raise TemplateError(
            "template_value",
            f"values of {owner} must be a table of texts.",
            'For example: values = { Cancelled = "canceled" }',
            path,
        )
    folded: dict[str, str] = {}
    for key, text in value.items():
        small = tidied(key).casefold()
        if not small or small in folded:
            why = "stands twice, in capitals and small letters" if small else "is empty: write default instead"
            raise TemplateError("template_value", f"A key in values of {owner} {why}.", path=(*path, key))
        folded[small] = tidied(text)
    return MappingProxyType(folded)
