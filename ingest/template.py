"""An Upload Template: how a file is read and which of its columns become which fields.

Written in TOML:

    name = "county-daily"
    required = ["case.number"]              # a row without a value is answered
    optional = ["contact.email"]            # the file may come without the column
    [file]                                  # how files are written: ingest.format
    header = true
    delimiter = "|"
    [formats]
    date = ["%m/%d/%Y"]                     # strptime directives, tried in order
    time = ["%I:%M %p", "%H:%M"]
    [columns]
    client.reference = "Party ID"           # exact header, case-sensitive
    case.number = 13                        # or position, the first column is 1
    event.date = ["Event Date", "Hearing Date"]     # or the first of these that the file has
    [constants]
    client.group = "Court"
"""

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from difflib import get_close_matches
from importlib import resources
from types import MappingProxyType
from typing import Any

from ingest.errors import IngestError
from ingest.format import KEYS, FileFormat, read_format
from ingest.record import FIELDS

DATE_FORMATS = ("%m/%d/%Y", "%Y-%m-%d")
TIME_FORMATS = ("%I:%M %p", "%H:%M", "%H:%M:%S", "%I:%M%p")
_DIRECTIVES = MappingProxyType(
    {
        "MM/DD/YYYY": "%m/%d/%Y",
        "M/D/YYYY": "%m/%d/%Y",
        "MM-DD-YYYY": "%m-%d-%Y",
        "DD/MM/YYYY": "%d/%m/%Y",
        "YYYY-MM-DD": "%Y-%m-%d",
        "YYYYMMDD": "%Y%m%d",
        "MM/DD/YY": "%m/%d/%y",
        "HH:MM": "%H:%M",
        "HH:MM:SS": "%H:%M:%S",
        "HH:MM AM": "%I:%M %p",
        "HH:MM AM/PM": "%I:%M %p",
    }
)
"""What people write who have not met strptime."""
_TABLES = MappingProxyType(
    {
        "": ("name", "description", "required", "optional", "file", "formats", "columns", "constants"),
        "file": KEYS,
        "formats": ("date", "time"),
    }
)
_NAMING = ("client.reference", "case.number", "event.reference")
_COMPUTED = ("event.date", "event.time", "event.datetime", "contact.phone", "contact.email")


@dataclass(frozen=True)
class Template:
    """A template as the engine uses it. A column is a 1-based position, or headers of which the first found counts."""

    name: str
    file: FileFormat
    date_formats: tuple[str, ...]
    time_formats: tuple[str, ...]
    columns: Mapping[str, int | tuple[str, ...]]
    constants: Mapping[str, str]
    required: frozenset[str]
    optional: frozenset[str]

    @property
    def header(self) -> bool:
        """Whether a row of headers stands above the rows."""
        return self.file.header

    @property
    def maps_client(self) -> bool:
        """Whether rows speak of a person at all."""
        return any(field.startswith("client.") for field in self.columns)

    @property
    def headers(self) -> frozenset[str]:
        """Every header that some field would take."""
        named = (names for names in self.columns.values() if not isinstance(names, int))
        return frozenset(header for names in named for header in names)


@dataclass(frozen=True)
class TemplateVersion:
    """One text of a template, kept for ever. Built-in ones have version 0 and no agency."""

    id: str
    agency_id: str | None
    name: str
    version: int
    text: str
    created_at: datetime | None


def builtin_templates() -> dict[str, str]:
    """The templates that come with the program: name to TOML text."""
    files = resources.files("ingest").joinpath("builtin").iterdir()
    named = {file.name.removesuffix(".toml"): file for file in files if file.name.endswith(".toml")}
    return {name: named[name].read_text(encoding="utf-8") for name in sorted(named)}


def load_template(text: str) -> Template:
    """Read a template's TOML.

    Raises IngestError with a code `template_...`, a sentence and, where there is one, the nearest right word.
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
    _refuse_unknown(document, "")
    name = document.get("name")
    if not isinstance(name, str) or not name.strip():
        raise IngestError("template_name", "The template has no name.", 'Begin it with: name = "my-template"')
    return _build(name.strip(), document)


def _build(name: str, document: Mapping[str, Any]) -> Template:
    formats = _table(document, "formats")
    columns = {field: _column(field, spec) for field, spec in _fields(_table(document, "columns"), "columns")}
    constants = {field: _constant(field, value) for field, value in _fields(_table(document, "constants"), "constants")}
    template = Template(
        name=name,
        file=read_format(_table(document, "file")),
        date_formats=_formats(formats, "date", DATE_FORMATS),
        time_formats=_formats(formats, "time", TIME_FORMATS),
        columns=MappingProxyType(columns),
        constants=MappingProxyType(constants),
        required=_listed(document, "required"),
        optional=_listed(document, "optional"),
    )
    _refuse_senseless(template)
    return template


def _refuse_unknown(table: Mapping[str, Any], where: str) -> None:
    for key, value in table.items():
        if key not in _TABLES[where]:
            place = f" in [{where}]" if where else ""
            raise IngestError(
                "template_key", f"The template has an unknown key{place}: {key}.", _near(key, _TABLES[where])
            )
        if key in _TABLES and isinstance(value, dict):
            _refuse_unknown(value, key)


def _near(word: str, known: Iterable[str]) -> str:
    options = list(known)
    near = get_close_matches(word, options, n=1, cutoff=0.5)
    return f"Did you mean {near[0]}?" if near else f"Known: {', '.join(options)}."


def _table(document: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    table = document.get(name, {})
    if not isinstance(table, dict):
        raise IngestError("template_key", f"{name} must be a table of the template.", f"Write it as [{name}].")
    return table


def _fields(table: Mapping[str, Any], where: str) -> list[tuple[str, Any]]:
    pairs: list[tuple[str, Any]] = []
    for kind, inner in table.items():
        entries = inner.items() if isinstance(inner, dict) else [("", inner)]
        pairs += [(_field(f"{kind}.{name}" if name else kind, where), spec) for name, spec in entries]
    return pairs


def _field(field: str, where: str) -> str:
    if field not in FIELDS:
        raise IngestError("template_field", f"{where} names an unknown field: {field}.", _near(field, FIELDS))
    return field


def _column(field: str, spec: Any) -> int | tuple[str, ...]:
    if isinstance(spec, int) and not isinstance(spec, bool) and 0 < spec <= 1000:
        return spec
    names = (spec,) if isinstance(spec, str) else spec
    if isinstance(names, tuple | list) and names and all(isinstance(name, str) and name for name in names):
        return tuple(names)
    raise IngestError(
        "template_column",
        f"The column of {field} is neither a header, nor a list of headers, nor a position from 1 on.",
        f'For example: {field} = "Header", or {field} = 3',
    )


def _constant(field: str, value: Any) -> str:
    if field in _COMPUTED or field in _NAMING or not isinstance(value, str) or not value.strip():
        raise IngestError(
            "template_constant",
            f"{field} cannot be this constant.",
            "A constant is a text that is not empty, and no number, date or contact by which rows are told apart.",
        )
    return " ".join(value.split())


def _formats(table: Mapping[str, Any], key: str, default: tuple[str, ...]) -> tuple[str, ...]:
    formats = table.get(key, list(default))
    formats = [formats] if isinstance(formats, str) else formats
    if not isinstance(formats, list) or not formats:
        raise IngestError(
            "template_format", f"formats.{key} must be a list of formats.", f'For example: ["{default[0]}"]'
        )
    probe = datetime(2026, 11, 23, 13, 45, 59)
    for form in formats:
        if isinstance(form, str) and "%" not in form:
            raise IngestError(
                "template_format",
                f"formats.{key} holds a format without directives: {form}.",
                f"Write {_DIRECTIVES.get(form.upper(), default[0])}",
            )
        try:
            read = datetime.strptime(probe.strftime(form), form)
        except (ValueError, TypeError, re.error) as error:
            raise IngestError("template_format", f"formats.{key} holds a format that cannot be read back.") from error
        if (read.date() != probe.date()) if key == "date" else (read.hour != 13):
            hint = "A date needs year, month and day." if key == "date" else "A 12-hour clock (%I) needs %p."
            raise IngestError("template_format", f"formats.{key} holds an incomplete format: {form}.", hint)
    return tuple(formats)


def _listed(document: Mapping[str, Any], key: str) -> frozenset[str]:
    names = document.get(key, [])
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise IngestError("template_value", f"{key} must be a list of fields.", f'For example: {key} = ["case.number"]')
    return frozenset(_field(name, key) for name in names)


def _refuse_senseless(template: Template) -> None:
    columns = template.columns
    if not columns:
        raise IngestError("template_empty", "The template maps no column.", "Add a [columns] table.")
    if not template.header and template.headers:
        raise IngestError(
            "template_header",
            "The template says header = false but maps columns by header.",
            "Use positions, from 1 on.",
        )
    if not {"client.reference", "case.number"} & set(columns):
        raise IngestError(
            "template_identity",
            "The template can tell no record from another.",
            "Map client.reference, or case.number, or both.",
        )
    if any(field.startswith("contact.") for field in columns) and not template.maps_client:
        raise IngestError("template_identity", "The template maps a contact but no client.", "Map client.reference.")
    both = sorted(set(template.constants) & set(columns))
    if both:
        raise IngestError(
            "template_constant", f"{both[0]} is both a constant and a column.", "Keep one of them: which should count?"
        )
    _refuse_clashing(template)
    if "event.time" in columns and not {"event.date", "event.datetime"} & set(columns):
        raise IngestError("template_date", "The template maps event.time without event.date.", "Map event.date.")
    for field in sorted(template.required):
        if not {field, *(("event.datetime",) if field == "event.date" else ())} & set(columns):
            raise IngestError(
                "template_required", f"{field} is required but no column is mapped to it.", "Map it in [columns]."
            )


def _refuse_clashing(template: Template) -> None:
    """A combined column is read by a date's and a time's format in one, so they must not say the same thing twice."""
    if "event.datetime" not in template.columns:
        return
    for date in template.date_formats:
        for time in template.time_formats:
            try:
                datetime.strptime("", f"{date} {time}")
            except re.error as error:
                raise IngestError(
                    "template_format",
                    f"event.datetime is read as a date and a time, but {date} and {time} overlap.",
                    "Give formats.date year, month and day alone, and formats.time the hour.",
                ) from error
            except ValueError:
                continue  # of course: there is nothing to read
