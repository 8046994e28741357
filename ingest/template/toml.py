"""From a template's TOML to a `Template`, and every complaint about it."""

import tomllib
from collections.abc import Iterable, Mapping
from importlib import resources
from types import MappingProxyType
from typing import Any

from ingest.errors import IngestError
from ingest.format import KEYS
from ingest.record import CONTACTS, DATE_FIELDS, LOOSE, MONEY_FIELDS, NO, WHEN_FIELDS, YES
from ingest.template.columns import WHOLE_NAME, Mapped, known_field, named_fields, pivot, read_columns, read_custom
from ingest.template.file import choice, flag, read_file, read_rows, read_size
from ingest.template.filters import read_excludes, read_lookups, read_match, refuse_unknown_lookups
from ingest.template.formats import DATE_FORMATS, TIME_FORMATS, read_formats, refuse_clashing
from ingest.template.model import Clock, Match, Party, Template, of_party, split_party, tidied
from ingest.template.place import Path, TemplateError, find_line, near
from ingest.template.processing import KEYS as PROCESSING_KEYS
from ingest.template.processing import read_processing

_TABLES = MappingProxyType(
    {
        "": (
            *(
                "name",
                "description",
                "required",
                "optional",
                "all_or_nothing",
                "empty",
                "file",
                "formats",
                "columns",
                "custom",
                "constants",
            ),
            *("party", "lookups", "match", "exclude", "limits", "clock", "processing"),
        ),
        "file": KEYS,
        "formats": ("date", "time", "pivot"),
        "limits": ("rows", "size"),
        "clock": ("twice", "never"),
        "processing": PROCESSING_KEYS,
    }
)
_PARTY_KEYS = ("name", "hearing", "columns", "constants")
_MOST_PARTIES = 20
_NAMING = ("client.reference", "case.number", "event.reference", "payment.reference")
_COMPUTED = (*WHEN_FIELDS, *CONTACTS, *DATE_FIELDS, *MONEY_FIELDS)
_OPT_INS = frozenset(f"{contact}_opt_in" for contact in CONTACTS)
_EMPTY = MappingProxyType({name: name for name in ("leave", "clear")})
_TWICE = MappingProxyType({name: name for name in ("first", "second", "refuse")})
_NEVER = MappingProxyType({name: name for name in ("later", "refuse")})


def builtin_templates() -> dict[str, str]:
    """The templates that come with the program: name to TOML text."""
    files = resources.files("ingest").joinpath("builtin").iterdir()
    named = {file.name.removesuffix(".toml"): file for file in files if file.name.endswith(".toml")}
    return {name: named[name].read_text(encoding="utf-8") for name in sorted(named)}


def load_template(text: str) -> Template:
    """Read a template's TOML.

    Raises IngestError with a code `template_...`, a sentence, and as a hint the line and, where there is one, the
    nearest right word.
    """
    try:
        document = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        twice = "overwrite" in str(error) or "twice" in str(error)
        raise IngestError(
            "template_syntax",
            f"The template is not valid TOML: {error}.",
            "A key or a table stands in it twice; keep one of them." if twice else "",
        ) from error
    try:
        _refuse_controls(document, ())
        return _read(document)
    except RecursionError as error:
        raise IngestError("template_syntax", "The template has tables in tables without end.") from error
    except TemplateError as error:
        line = find_line(text, error.path) if error.path else None
        where = f"See line {line} of the template." if line else ""
        raise IngestError(error.code, error.message, f"{error.hint} {where}".strip()) from error


def _refuse_controls(value: Any, path: Path) -> None:
    """What no cell may hold, no text of a template may put there (PostgreSQL takes no NUL)."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            _refuse_controls(key, (*path, key))
            _refuse_controls(inner, (*path, key))
    elif isinstance(value, list):
        for inner in value:
            _refuse_controls(inner, path)
    elif isinstance(value, str) and any(character < " " and character not in "\t\r\n" for character in value):
        raise TemplateError("template_value", "A text of the template holds a control character.", path=path)


def _read(document: Mapping[str, Any]) -> Template:
    _refuse_unknown(document, "")
    name = document.get("name")
    if not isinstance(name, str) or not name.strip():
        raise TemplateError(
            "template_name", "The template has no name.", 'Begin it with: name = "my-template"', ("name",)
        )
    if name.strip() == "*":  # marks the records that several templates have named
        raise TemplateError("template_name", "No template can be named *.", "Choose a word.", ("name",))
    template = _build(name.strip(), document)
    _refuse_senseless(template)
    return template


def _build(name: str, document: Mapping[str, Any]) -> Template:
    file, formats, limits = (_table(document, key) for key in ("file", "formats", "limits"))
    clock = _table(document, "clock")
    mapped = Mapped()
    read_columns(_table(document, "columns"), 0, ("columns",), mapped)
    read_custom(_table(document, "custom"), ("custom",), mapped)
    _read_constants(_table(document, "constants"), 0, ("constants",), mapped)
    parties = _parties(document.get("party", []), mapped)
    excludes = read_excludes(document.get("exclude", []), mapped)
    lookups = read_lookups(_table(document, "lookups"))
    refuse_unknown_lookups(mapped.rules, lookups)
    processing = read_processing(_table(document, "processing"))
    return Template(
        name=name,
        file=read_file(file),
        date_formats=read_formats(formats.get("date", DATE_FORMATS), "date", DATE_FORMATS, ("formats", "date")),
        time_formats=read_formats(formats.get("time", TIME_FORMATS), "time", TIME_FORMATS, ("formats", "time")),
        columns=MappingProxyType(mapped.columns),
        constants=MappingProxyType(mapped.constants),
        required=_listed(document, "required"),
        optional=_listed(document, "optional"),
        fields=frozenset(mapped.fields),
        rules=MappingProxyType(mapped.rules),
        parties=parties,
        lookups=lookups,
        match=read_match(_table(document, "match")),
        excludes=excludes,
        clock=Clock(str(choice(clock, "twice", _TWICE, ("clock",))), str(choice(clock, "never", _NEVER, ("clock",)))),
        pivot=pivot(formats["pivot"], ("formats", "pivot")) if "pivot" in formats else None,
        all_or_nothing=flag(document, "all_or_nothing", (), default=False),
        clears=choice(document, "empty", _EMPTY, ()) == "clear" and not processing.replaces,  # as snapshots do anyway
        rows=read_rows(limits),
        size=read_size(limits),
        processing=processing,
    )


def _refuse_unknown(table: Mapping[str, Any], where: str) -> None:
    for key, value in table.items():
        if key not in _TABLES[where]:
            place = f" in [{where}]" if where else ""
            raise TemplateError(
                "template_key",
                f"The template has an unknown key{place}: {key}.",
                near(key, _TABLES[where]),
                (where, key) if where else (key,),
            )
        if key in _TABLES and isinstance(value, dict):
            _refuse_unknown(value, key)


def _table(document: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    table = document.get(name, {})
    if not isinstance(table, dict):
        raise TemplateError(
            "template_key", f"{name} must be a table of the template.", f"Write it as [{name}].", (name,)
        )
    return table


def _read_constants(table: Mapping[str, Any], party: int, path: Path, mapped: Mapped) -> None:
    for name, value, at in named_fields(table, path):
        if name in (*_COMPUTED, *_NAMING, WHOLE_NAME) or not isinstance(value, str) or not value.strip():
            raise TemplateError(
                "template_constant",
                f"{name} cannot be this constant.",
                "A constant is a text that is not empty, and no number, date or contact by which rows are told apart.",
                at,
            )
        mapped.constants[of_party(party, name)] = _yes_no(name, value, at) if name in _OPT_INS else tidied(value)


def _yes_no(name: str, value: str, path: Path) -> str:
    """As it is read in a cell."""
    word = tidied(value).upper()
    if word not in YES | NO:
        raise TemplateError("template_constant", f"{name} says neither yes nor no.", 'For example: "yes"', path)
    return "yes" if word in YES else "no"


def _parties(value: Any, mapped: Mapped) -> tuple[Party, ...]:
    if not isinstance(value, list) or len(value) > _MOST_PARTIES or not all(isinstance(each, dict) for each in value):
        raise TemplateError(
            "template_party",
            f"party must be an array of at most {_MOST_PARTIES} tables.",
            "Write each as [[party]].",
            ("party",),
        )
    return tuple(_party(number, table, mapped) for number, table in enumerate(value, 1))


def _party(number: int, table: Mapping[str, Any], mapped: Mapped) -> Party:
    path: Path = ("party", number - 1)
    for key in table:
        if key not in _PARTY_KEYS:
            raise TemplateError(
                "template_key", f"party has an unknown key: {key}.", near(key, _PARTY_KEYS), (*path, key)
            )
    columns, constants = (_party_table(table, key, path) for key in ("columns", "constants"))
    read_columns(columns, number, (*path, "columns"), mapped)
    _read_constants(constants, number, (*path, "constants"), mapped)
    own = {field for party, field in map(split_party, (*mapped.fields, *mapped.constants)) if party == number}
    for field in sorted(own):
        if not field.startswith(("client.", "contact.")) and field != "case.role":
            raise TemplateError(
                "template_party",
                f"A further party cannot have {field}.",
                "It has client and contact fields, and case.role.",
                (*path, "columns" if of_party(number, field) in mapped.fields else "constants", *field.split(".")),
            )
    named = {field for field in own if of_party(number, field) in mapped.fields}
    if not named & {"client.reference", "client.last_name", "client.first_name"}:
        raise TemplateError(
            "template_party", "A further party is nobody.", "Map its client.reference, or client.name, or both.", path
        )
    name = table.get("name", f"party {number}")
    if not isinstance(name, str) or not name.strip():
        raise TemplateError("template_party", "The name of a party must be a text.", path=(*path, "name"))
    return Party(number, name.strip(), flag(table, "hearing", path, default=False))


def _party_table(table: Mapping[str, Any], key: str, path: Path) -> Mapping[str, Any]:
    found = table.get(key, {})
    if not isinstance(found, dict):
        raise TemplateError("template_key", f"{key} of a party must be a table.", path=(*path, key))
    return found


def _listed(document: Mapping[str, Any], key: str) -> frozenset[str]:
    names = document.get(key, [])
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise TemplateError(
            "template_value", f"{key} must be a list of fields.", f'For example: {key} = ["case.number"]', (key,)
        )
    known = {known_field(name, (key,)) for name in names}
    return frozenset("client.last_name" if name == WHOLE_NAME and key == "required" else name for name in known)


def _refuse_senseless(template: Template) -> None:
    fields = template.fields
    if not fields:
        raise TemplateError("template_empty", "The template maps no column.", "Add a [columns] table.", ("columns",))
    if not template.header and template.headers:
        raise TemplateError(
            "template_header",
            "The template says header = false but maps columns by header.",
            "Use positions, from 1 on.",
            ("file", "header"),
        )
    if not {"client.reference", "case.number"} & fields:
        raise TemplateError(
            "template_identity",
            "The template can tell no record from another.",
            "Map client.reference, or case.number, or both.",
            ("columns",),
        )
    _refuse_orphans(template)
    both = sorted(set(template.constants) & fields)
    if both:
        name = split_party(both[0])[1]
        raise TemplateError(
            "template_constant",
            f"{name} is both a constant and a column.",
            "Keep one of them: which should count?",
            ("constants", *name.split(".")),
        )
    _refuse_unmatched(template)
    if "event.datetime" in fields:
        dates, _ = template.dates_of("event.datetime")
        refuse_clashing(dates, template.times_of("event.datetime"), ("formats",))
    if "event.time" in fields and not {"event.date", "event.datetime"} & fields:
        raise TemplateError(
            "template_date",
            "The template maps event.time without event.date.",
            "Map event.date.",
            ("columns", "event", "time"),
        )
    for field in sorted(template.required):
        if not {field, *(("event.datetime",) if field == "event.date" else ())} & fields:
            raise TemplateError(
                "template_required",
                f"{field} is required but no column is mapped to it.",
                "Map it in [columns].",
                ("required",),
            )


def _refuse_orphans(template: Template) -> None:
    """What belongs to nothing else in the template."""
    fields = template.fields
    if any(name.startswith("contact.") for name in fields) and not template.maps_client:
        raise TemplateError(
            "template_identity",
            "The template maps a contact but no client.",
            "Map client.reference.",
            ("columns", "contact"),
        )
    if template.parties and "case.number" not in fields:
        raise TemplateError(
            "template_party", "Further parties need a case to be party of.", "Map case.number.", ("party",)
        )
    for name in sorted({*fields, *template.constants}):
        party, field = split_party(name)
        contact = next((c for c in sorted(CONTACTS, key=len, reverse=True) if field.startswith(f"{c}_")), None)
        if contact and field not in CONTACTS and of_party(party, contact) not in fields:
            raise TemplateError(
                "template_identity", f"{field} says something of a contact that is not mapped.", f"Map {contact}."
            )


def _refuse_unmatched(template: Template) -> None:
    """Nothing can be known by a field that is never filled."""
    known = {*template.fields, *template.constants, "client.name", "client.case"}
    for kind, combinations in _matches(template):
        if not any(all(_mapped(kind, name, known) for name in names) for names in combinations):
            raise TemplateError(
                "template_match",
                f"match.{kind} is by fields that the template does not map.",
                f"Map {' and '.join(f'{kind}.{name}' for name in combinations[0])}, or match by something else.",
                ("match", kind),
            )


def _matches(template: Template) -> Iterable[tuple[str, tuple[tuple[str, ...], ...]]]:
    """What a template that does not leave it at the usual way matches by."""
    match, usual = template.match, Match()
    every = (("client", match.client), ("case", (match.case,)), ("event", match.event), ("payment", match.payment))
    left = {usual.client, (usual.case,), usual.event, usual.payment}
    return [(kind, combinations) for kind, combinations in every if combinations not in left]


def _mapped(kind: str, name: str, known: set[str]) -> bool:
    when = f"{kind}.{name}" in WHEN_FIELDS and "event.datetime" in known
    return f"{kind}.{name}" in known or when or f"{kind}.{name}" in LOOSE or (kind == "case" and name != "number")
