"""Lookup files: what a template only names is written into its text, so that each version holds all that it needs.

[lookups]
courts = "locations.csv"        becomes     courts.csv = ''' ... '''

[lookups.courts]
file = "locations.csv"          becomes     csv = ''' ... '''
code = "crt_loc_cd"
"""

import re
import tomllib
from collections.abc import Callable, Mapping
from pathlib import PurePath
from typing import Any

from ingest.errors import IngestError
from ingest.template.place import Path, find_line

_NAMING = re.compile(r"""^(\s*[^=#]*?[\w"'-])\s*=\s*(?:"[^"]*"|'[^']*')\s*(?:\#.*)?$""")


def lookup_file(table: Any) -> str | None:
    """The file that a lookup of a template names, if it does. (`file` may be a code as well, of some text.)"""
    if isinstance(table, str):
        return table
    named = table.get("file") if isinstance(table, Mapping) else None
    return named if isinstance(named, str) and named.lower().endswith(".csv") else None


def with_files(text: str, read: Callable[[str], str]) -> str:
    """The template's `text` with the content of each lookup file that it names, as `read` gives it by its name.

    Raises IngestError `template_lookup` for a file that does not lie beside the template or cannot be written down, and
    whatever `read` raises. What is no template is left as it is, for `load_template` to tell.
    """
    for name, table in _lookups(text).items():
        file = lookup_file(table)
        if file is not None:
            path = ("lookups", name) if isinstance(table, str) else ("lookups", name, "file")
            text = _with_file(text, path, _literal(name, read(_beside(name, file))))
    return text


def with_lookup(text: str, name: str, content: str) -> str:
    """The template's `text` with the CSV `content` of a lookup file as [lookups.name], so that each version of it
    holds all that it needs. Raises IngestError if it has one already, or if nobody can write it down."""
    head = f"[lookups.{name}]"
    if not name.isascii() or not name.replace("_", "").replace("-", "").isalnum():
        raise _unwritable(name)
    if head in text:
        raise IngestError("template_lookup", f"The template holds a lookup {name} already.", f"Take out {head}.")
    return f"{text.rstrip()}\n\n{head}\ncsv = {_literal(name, content)}\n"


def _lookups(text: str) -> Mapping[str, Any]:
    try:
        found = tomllib.loads(text).get("lookups")
    except (tomllib.TOMLDecodeError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _beside(name: str, file: str) -> str:
    if not file or PurePath(file).name != file:
        raise IngestError(
            "template_lookup",
            f"The lookup {name} names no file beside the template.",
            'Put the file into the same folder and name it alone, for example: "locations.csv"',
        )
    return file


def _with_file(text: str, path: Path, literal: str) -> str:
    """The text with `literal` where the value at `path` names a file."""
    name, lines = str(path[1]), text.splitlines()
    number = find_line(text, path)
    match = _NAMING.match(lines[number - 1]) if number else None
    if number and match:
        key = match[1].removesuffix("file") + "csv" if path[2:] else f"{match[1]}.csv"
        lines[number - 1] = f"{key} = {literal}"
        written = "\n".join(lines) + "\n"
        table = _lookups(written).get(name)
        if isinstance(table, dict) and "csv" in table and lookup_file(table) is None:
            return written
    raise IngestError(
        "template_lookup",
        f"The lookup {name} names its file where it cannot be replaced by what is in it.",
        f'Write it on a line of its own below [lookups]: {name} = "locations.csv"',
    )


def _literal(name: str, content: str) -> str:
    """CSV as a literal string of TOML, which knows no escapes."""
    body = content.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n").strip()
    if "'''" in body or any(c < " " and c not in "\t\n" for c in body):
        raise _unwritable(name)
    return f"'''\n{body}\n'''"


def _unwritable(name: str) -> IngestError:
    return IngestError(
        "template_lookup",
        f"The lookup {name} cannot be written into the template.",
        "Its name has letters, digits, - and _ alone; its file has neither ''' nor control characters.",
    )
