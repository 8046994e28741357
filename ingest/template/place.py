"""Complaints about a template, and the line of its text that they are about."""

import re
from collections.abc import Iterable, Sequence
from difflib import get_close_matches

from ingest.errors import IngestError

_HEADER = re.compile(r"^\s*(\[\[?)\s*(.+?)\s*\]\]?\s*(?:#.*)?$")
_KEY = re.compile(r"""\s*((?:"[^"]*"|'[^']*'|[A-Za-z0-9_-]+)(?:\s*\.\s*(?:"[^"]*"|'[^']*'|[A-Za-z0-9_-]+))*)\s*=""")
_PIECE = re.compile(r""""[^"]*"|'[^']*'|[A-Za-z0-9_-]+""")

Path = tuple[str | int, ...]
"""The way to a value: names of tables and keys; the number of the table, from 0, in an array of tables."""


class TemplateError(IngestError):
    """What is wrong with a template, and where in it."""

    def __init__(self, code: str, message: str, hint: str = "", path: Path = ()) -> None:
        super().__init__(code, message, hint)
        self.path = path


def near(word: str, known: Iterable[str]) -> str:
    """A hint: the known word that was meant, or all of them."""
    options = list(known)
    found = get_close_matches(word, options, n=1, cutoff=0.5)
    shown = options if len(options) <= 12 else [*options[:12], "..."]
    return f"Did you mean {found[0]}?" if found else f"Known: {', '.join(shown)}."


def find_line(text: str, path: Path) -> int | None:
    """The number, from 1, of the line where the value at `path` is written, or as much of the way as there is."""
    best, line = 0, None
    table: Path = ()
    counts: dict[Path, int] = {}
    inside = ""
    for number, content in enumerate(text.splitlines(), 1):
        if inside or content.count("'''") % 2 or content.count('"""') % 2:
            inside, opening = _after(content, inside), inside
            if opening:
                continue
        header, key = _HEADER.match(content), _KEY.match(content)
        if header and not key:
            table = _table(header[1], _pieces(header[2]), counts)
            found: Path = table
        elif key:
            found = (*table, *_pieces(key[1]))
        else:
            continue
        common = _common(found, path)
        if common > best:
            best, line = common, number
    return line


def _after(content: str, inside: str) -> str:
    """Which long quote is open behind this line."""
    for mark in ("'''", '"""'):
        if content.count(mark) % 2 and inside in ("", mark):
            return "" if inside else mark
    return inside


def _pieces(dotted: str) -> tuple[str, ...]:
    return tuple(piece.strip("\"'") for piece in _PIECE.findall(dotted))


def _table(brackets: str, names: Sequence[str], counts: dict[Path, int]) -> Path:
    """The full way of a table's header; those of arrays are counted."""
    if brackets == "[[":
        key = tuple(names)
        counts[key] = counts.get(key, -1) + 1
        return (*key, counts[key])
    path: Path = ()
    for length, name in enumerate(names, 1):
        path = (*path, name)
        if tuple(names[:length]) in counts:
            path = (*path, counts[tuple(names[:length])])
    return path


def _common(found: Path, path: Path) -> int:
    """How long the way is that both go; nothing if `found` leads elsewhere."""
    shorter = min(len(found), len(path))
    return shorter if found[:shorter] == path[:shorter] else 0
