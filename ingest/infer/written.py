"""How a sample is written where nothing that is usual delimits it: the widths of its columns, told from the places at
which all rows are blank, or a rare delimiter, told from its standing equally often in each row."""

from collections import Counter
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

from ingest.errors import IngestError
from ingest.format import FileFormat
from ingest.limits import Limits
from ingest.parse import tell_dialect
from ingest.source import open_source

_LINES = 500
_FEWEST = 2
_NEARLY_ALL, _MOST = 0.9, 0.7


def tell_form(path: Path, limits: Limits) -> FileFormat:
    """How the file at `path` is written, as far as it must be said; header and quoting are left open.

    Raises IngestError for a file that cannot be opened.
    """
    usual = FileFormat(header=False, quoting=None)
    with open_source(path, FileFormat(header=False), limits) as source:
        if source.sheet is not None:
            return FileFormat(header=False)
        source.file.seek(0)
        head = source.file.read(limits.record + 1)
    lines = [line.rstrip("\r") for line in _text(head).split("\n")]
    lines = [line for line in lines[:-1] or lines if line.strip()][:_LINES]
    if len(lines) < _FEWEST + 1 or _is_delimited(head, lines, limits):
        return usual
    rare = _rare_delimiter(lines)
    if rare:
        return replace(usual, delimiter=rare)
    widths = _widths(lines[0], lines[1:])
    return FileFormat(kind="fixed", header=False, widths=widths) if widths else usual


def _rare_delimiter(lines: list[str]) -> str:
    """A sign, no letter and no digit, that stands equally often in nearly all lines, twice or more."""
    best, most = "", 1
    for sign in {c for c in lines[0] if not c.isalnum() and c not in " \"'.-_()@/&$,;:"}:
        count, alike = Counter(line.count(sign) for line in lines).most_common(1)[0]
        if count > most and alike >= _NEARLY_ALL * len(lines):
            best, most = sign, count
    return best


def _text(head: bytes) -> str:
    try:
        return head.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        cut = head[: error.start] if error.reason == "unexpected end of data" else None
        return cut.decode("utf-8-sig") if cut is not None else head.decode("cp1252", "replace")


def _is_delimited(head: bytes, lines: list[str], limits: Limits) -> bool:
    """A comma that stands once in each name does not delimit lines that are all equally long."""
    try:
        dialect = tell_dialect(head, FileFormat(header=False), (), 2, limits)
    except IngestError as error:
        return error.code != "unknown_delimiter"
    if sum(dialect.delimiter in line for line in lines) < _MOST * len(lines):
        return False
    padded = len({len(line) for line in lines}) == 1 and all("  " in line for line in lines)
    return not (padded and dialect.delimiter in ",;" and max(line.count(dialect.delimiter) for line in lines) <= 2)


def _widths(header: str, rows: list[str]) -> tuple[int, ...]:
    """A column begins where text begins behind a place at which every row is blank; if a header's words begin at some
    of these places, only there."""
    longest = max(map(len, rows))
    padded = [row.ljust(longest) for row in rows]
    blank = [all(row[place] == " " for row in padded) for place in range(longest)]
    begins = [place for place in range(1, longest) if blank[place - 1] and not blank[place]]
    headed = [
        place
        for place in begins
        if place < len(header) and header[place] != " " and (header[place - 1] == " " or header[place].isupper())
    ]
    if not any(character.isdigit() for character in header) and len(headed) >= _FEWEST:
        begins = headed
    if len(begins) < _FEWEST:
        return ()
    edges = [0, *begins, max(longest, len(header))]
    return tuple(after - before for before, after in pairwise(edges))
