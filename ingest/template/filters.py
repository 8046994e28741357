"""A template's Exclude Settings, what its records are known by, and its lookup tables, as TOML says them."""

import csv
import io
from collections.abc import Collection, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from ingest.errors import IngestError
from ingest.pattern import refuse_unusable
from ingest.record import CASES, CLIENTS, EVENTS, PAYMENTS, WHEN_FIELDS
from ingest.template.columns import Mapped, known_field, place
from ingest.template.lookup import lookup_file
from ingest.template.model import Exclude, Match, slot, tidied
from ingest.template.place import Path, TemplateError, near

_TESTS = ("is", "is_not", "blank", "matches", "past")
_KEYS = ("field", "column", "name", *_TESTS)
_MATCHED: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "client": frozenset({*(f.partition(".")[2] for f in CLIENTS.fields), "name", "case"}),
        "case": frozenset(f.partition(".")[2] for f in CASES.fields),
        "event": frozenset({*(f.partition(".")[2] for f in EVENTS.fields), "date", "time"}),
        "payment": frozenset(f.partition(".")[2] for f in PAYMENTS.fields),
    }
)


def read_excludes(value: Any, mapped: Mapped) -> tuple[Exclude, ...]:
    """The filters of [[exclude]], with a slot in `mapped` for each column that is no field's. Raises TemplateError."""
    if not isinstance(value, list) or not all(isinstance(each, Mapping) for each in value):
        raise TemplateError(
            "template_exclude", "exclude must be an array of tables.", "Write it as [[exclude]].", ("exclude",)
        )
    return tuple(_exclude(number, each, mapped) for number, each in enumerate(value, 1))


def _exclude(number: int, table: Mapping[str, Any], mapped: Mapped) -> Exclude:
    path: Path = ("exclude", number - 1)
    for key in table:
        if key not in _KEYS:
            raise TemplateError("template_key", f"exclude has an unknown key: {key}.", near(key, _KEYS), (*path, key))
    tests = [test for test in _TESTS if test in table]
    if len(tests) != 1 or ("field" in table) == ("column" in table):
        raise TemplateError(
            "template_exclude",
            "A filter needs a field or a column, and exactly one test.",
            'For example: field = "event.status" and is = ["Vacated"]. Tests are is, is_not, blank, matches and past.',
            path,
        )
    [test] = tests
    name, told = _subject(number, table, mapped, path)
    if test == "past" and name not in ("event.date", "event.datetime"):
        raise TemplateError("template_exclude", "Only event.date can be past.", 'Write field = "event.date".', path)
    reason = table.get("name", _REASONS[test].format(told=told))
    if not isinstance(reason, str) or not reason.strip():
        raise TemplateError("template_exclude", "The name of a filter must be a text.", path=(*path, "name"))
    return Exclude(name, test, tidied(reason), **_argument(test, table[test], (*path, test)))


_REASONS = MappingProxyType(
    {
        "is": "{told} is one of those that are left out",
        "is_not": "{told} is none of those that are taken",
        "blank": "{told} is empty",
        "matches": "{told} matches a pattern that is left out",
        "past": "{told} is past",
    }
)


def _subject(number: int, table: Mapping[str, Any], mapped: Mapped, path: Path) -> tuple[str, str]:
    """What the filter looks at, and what people call it."""
    if "column" in table:
        name = slot("exclude", number)
        mapped.columns[name] = found = place("exclude", table["column"], (*path, "column"))
        return name, f"column {found}" if isinstance(found, int) else found[0]
    name = table["field"]
    if not isinstance(name, str):
        raise TemplateError("template_exclude", "field must be the name of a field.", path=(*path, "field"))
    known_field(name, (*path, "field"))
    when = "past" in table and set(WHEN_FIELDS) & mapped.fields
    if name not in mapped.fields and not when:
        raise TemplateError(
            "template_exclude", f"A filter looks at {name}, but no column is mapped to it.", path=(*path, "field")
        )
    return name, name


def _argument(test: str, value: Any, path: Path) -> dict[str, Any]:
    if test in ("is", "is_not"):
        values = [value] if isinstance(value, str) else value
        if isinstance(values, list) and values and all(isinstance(each, str) and each.strip() for each in values):
            return {"values": frozenset(tidied(each).casefold() for each in values)}
        raise TemplateError(
            "template_exclude", f"{test} must be a list of texts.", f'For example: {test} = ["Vacated"]', path
        )
    if test == "matches":
        return {"pattern": _pattern(value, path)}
    if test == "past" and isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 36500:
        return {"days": value}
    if value is not True:
        hint = "past = 7 leaves out what is more than seven days ago." if test == "past" else ""
        raise TemplateError("template_exclude", f"{test} can only be true.", hint, path)
    return {}


def _pattern(value: Any, path: Path) -> str:
    """A regular expression of RE2's, which takes time in proportion to the text, whatever the pattern."""
    try:
        refuse_unusable(value if isinstance(value, str) else "")
    except IngestError as error:
        raise TemplateError(error.code, error.message, error.hint, path) from error
    return str(value)


def read_match(table: Mapping[str, Any]) -> Match:
    """What records are known by. Raises TemplateError."""
    for kind in table:
        if kind not in _MATCHED:
            raise TemplateError(
                "template_match", f"match has an unknown kind of record: {kind}.", near(kind, _MATCHED), ("match", kind)
            )
    usual = Match()
    case = _combination(table["case"], "case") if "case" in table else usual.case
    if "number" not in case:
        raise TemplateError("template_match", "A case is always known by its number.", "", ("match", "case"))
    return Match(
        client=_combinations(table, "client", usual.client),
        case=case,
        event=_combinations(table, "event", usual.event),
        payment=_combinations(table, "payment", usual.payment),
    )


def _combinations(
    table: Mapping[str, Any], kind: str, usual: tuple[tuple[str, ...], ...]
) -> tuple[tuple[str, ...], ...]:
    if kind not in table:
        return usual
    value = table[kind]
    listed = value if isinstance(value, list) else [value]
    if not listed:
        raise TemplateError("template_match", f"match.{kind} is empty.", path=("match", kind))
    return tuple(_combination(each, kind) for each in listed)


def _combination(value: Any, kind: str) -> tuple[str, ...]:
    names = tuple(name.strip() for name in value.split("+")) if isinstance(value, str) else ()
    for name in names or ("",):
        if name not in _MATCHED[kind] or names.count(name) > 1:
            raise TemplateError(
                "template_match",
                f"match.{kind} cannot be by {name or 'this'}.",
                near(name, sorted(_MATCHED[kind])),
                ("match", kind),
            )
    return names


def read_lookups(tables: Mapping[str, Any]) -> Mapping[str, Mapping[str, str]]:
    """Code to text, by the name of the table: pairs, or `csv` with a header and the names of two of its columns."""
    found = {}
    for name, table in tables.items():
        path: Path = ("lookups", name)
        if lookup_file(table) is not None:
            raise TemplateError(
                "template_lookup",
                f"The lookup {name} names a file, which a template by itself cannot read.",
                "Add it with: dropslot template add AGENCY FILE.toml, beside which the file lies.",
                path,
            )
        if not isinstance(table, Mapping):
            raise TemplateError("template_lookup", f"The lookup {name} must be a table.", path=path)
        found[name] = _csv(name, table, path) if "csv" in table else _pairs(name, table, path)
    return MappingProxyType(found)


def _pairs(name: str, table: Mapping[str, Any], path: Path) -> Mapping[str, str]:
    if not table or not all(isinstance(text, str) for text in table.values()):
        raise TemplateError(
            "template_lookup",
            f"The lookup {name} must hold texts by their codes.",
            '"1873D" = "Littleroot Town", or csv, code and text',
            path,
        )
    return MappingProxyType({tidied(code): tidied(text) for code, text in table.items()})


def _csv(name: str, table: Mapping[str, Any], path: Path) -> Mapping[str, str]:
    if set(table) - {"csv", "code", "text"} or not all(isinstance(each, str) for each in table.values()):
        raise TemplateError(
            "template_lookup", f"The lookup {name} has csv, code and text, and nothing else.", path=path
        )
    try:
        rows = list(_numbered(table["csv"].strip()))
    except csv.Error as error:
        raise TemplateError("template_lookup", f"The CSV of the lookup {name} cannot be read.", path=path) from error
    header = rows[0][1] if rows else []
    columns = [table.get("code", header[0] if header else ""), table.get("text", header[1] if len(header) > 1 else "")]
    for column in columns:
        if header.count(column) != 1:
            raise TemplateError(
                "template_lookup",
                f"The CSV of the lookup {name} has no single column {column!r}.",
                "Name two of its columns with code and text.",
                path,
            )
    code, text = header.index(columns[0]), header.index(columns[1])
    found: dict[str, str] = {}
    for line, row in rows[1:]:
        if any(map(str.strip, row)):
            _keep(found, [tidied(row[i]) if i < len(row) else "" for i in (code, text)], name, line, path)
    if not found:
        raise TemplateError("template_lookup", f"The CSV of the lookup {name} has a header and no codes.", path=path)
    return MappingProxyType(found)


def _numbered(text: str) -> Iterator[tuple[int, list[str]]]:
    """The rows of a CSV, each with the number of the line that it begins on."""
    reader, line = csv.reader(io.StringIO(text), strict=True), 1
    for row in reader:
        yield line, row
        line = reader.line_num + 1


def _keep(found: dict[str, str], pair: Sequence[str], name: str, line: int, path: Path) -> None:
    """Add a code and its text; each has the other, and no code has two."""
    code, text = pair
    if not code or not text:
        one = f"the code {code!r} and no text" if code else f"the text {text!r} and no code" if text else "neither"
        raise TemplateError(
            "template_lookup",
            f"A line has code and text, but line {line} of the CSV of the lookup {name} has {one}.",
            "Fill it in, or take the line out.",
            path,
        )
    if found.setdefault(code, text) != text:
        raise TemplateError(
            "template_lookup",
            f"Line {line} of the CSV of the lookup {name} has the code {code!r} again, with another text.",
            "Keep the line that counts.",
            path,
        )


def refuse_unknown_lookups(rules: Mapping[str, Any], lookups: Collection[str]) -> None:
    """Every lookup that a rule uses must be there."""
    for name, rule in rules.items():
        if rule.lookup and rule.lookup not in lookups:
            raise TemplateError(
                "template_lookup",
                f"{name} uses the lookup {rule.lookup}, which the template does not hold.",
                f"Write it as [lookups.{rule.lookup}], or add the template with --lookup {rule.lookup}=FILE.csv",
                ("columns", *name.rpartition(":")[2].split(".")),
            )
