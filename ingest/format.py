"""How a template says its files are written: the `[file]` table.

    [file]
    kind = "auto"               # "delimited", "fixed", "xlsx", or told from the file
    header = true               # false: columns by position only; 4: the header is in line (or sheet row) 4
    header_rows = 1             # a heading of several rows, as with merged headings: its words are put together
    delimiter = "auto"          # any single character, or "tab", or told from the file
    encoding = "auto"           # "utf-8", "utf-16", "cp1252", "latin-1", or told from the file
    quoting = true              # false: quotes are data; "auto": told from the file
    widths = [10, 20, 8]        # fixed width: how many characters each column has
    sheet = "Hearings"          # a sheet of a workbook by its name, or by its number from 1 on
    skip_lines = 2              # lines before the header, or before the first row, that are neither
    trailer = 'TRL\\|(\\d+)'      # a pattern for the last line, which is no row; what it captures is the number of rows

`.zip` and `.gz` need not be said: what holds the file is always told from its content, and so is a byte order mark.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from ingest.errors import IngestError
from ingest.pattern import count_groups, refuse_unusable

KEYS = (
    *("kind", "header", "header_rows", "delimiter", "encoding", "quoting"),
    *("widths", "sheet", "skip_lines", "trailer"),
)
KINDS = ("auto", "delimited", "fixed", "xlsx")
ENCODINGS = MappingProxyType(
    {
        "auto": None,
        "utf-8": "utf-8",
        "utf-8-sig": "utf-8",
        "utf-16": "utf-16",
        "cp1252": "cp1252",
        "windows-1252": "cp1252",
        "latin-1": "latin-1",
        "iso-8859-1": "latin-1",
    }
)
_NAMED_DELIMITERS = MappingProxyType({"auto": None, "tab": "\t", "\\t": "\t", "comma": ",", "pipe": "|"})
_MOST_LINES = 1000
_MOST_HEADER_ROWS = 5


@dataclass(frozen=True)
class FileFormat:
    """How files are written, as far as a template says so; None is told from each file.

    `header_row` is the line of the header if it is said; else it is looked for below `skip_lines`. `widths` are
    characters, one for each column of a fixed-width file. `sheet` is a name or a number from 1 on.
    """

    kind: str = "auto"
    header: bool = True
    header_row: int | None = None
    header_rows: int = 1
    delimiter: str | None = None
    encoding: str | None = None
    quoting: bool | None = True
    widths: tuple[int, ...] = ()
    sheet: str | int | None = None
    skip_lines: int = 0
    trailer: str | None = None


def read_format(table: Mapping[str, Any]) -> FileFormat:
    """The `[file]` table of a template, whose keys are known to be among `KEYS`.

    Raises IngestError `template_value`, `template_widths` or `template_trailer`.
    """
    header = table.get("header", True)
    row = None if isinstance(header, bool) else _number("header", header, 1, _MOST_LINES, "true or false, or the line")
    widths = _widths(table.get("widths", []))
    kind = _one_of("kind", table.get("kind", "auto"), KINDS)
    if (kind == "fixed") != bool(widths) and kind in ("fixed", "delimited"):
        raise IngestError(
            "template_widths",
            "A fixed-width file needs its widths." if kind == "fixed" else "A delimited file has no widths.",
            "Set kind and widths together, for example: widths = [10, 20, 8]",
        )
    return FileFormat(
        kind="fixed" if widths and kind == "auto" else kind,
        header=header is not False,
        header_row=row,
        header_rows=_number("header_rows", table.get("header_rows", 1), 1, _MOST_HEADER_ROWS),
        delimiter=_delimiter(table.get("delimiter", "auto")),
        encoding=ENCODINGS[_one_of("encoding", table.get("encoding", "auto"), ENCODINGS)],
        quoting=_quoting(table.get("quoting", True)),
        widths=widths,
        sheet=_sheet(table.get("sheet")),
        skip_lines=_number("skip_lines", table.get("skip_lines", 0), 0, _MOST_LINES),
        trailer=_trailer(table.get("trailer")),
    )


def _one_of(key: str, value: Any, known: Iterable[str]) -> str:
    options = list(known)
    if not isinstance(value, str) or value.lower() not in options:
        raise IngestError("template_value", f"{key} is none of {', '.join(map(_quoted, options))}.")
    return value.lower()


def _quoted(word: str) -> str:
    return f'"{word}"'


def _number(key: str, value: Any, least: int, most: int, what: str = "a number") -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise IngestError("template_value", f"{key} must be {what}, from {least} to {most:,}.")
    return value


def _delimiter(value: Any) -> str | None:
    """Letters and digits are refused: no file is delimited by them, and a word is a mistake."""
    if isinstance(value, str) and value.lower() in _NAMED_DELIMITERS:
        return _NAMED_DELIMITERS[value.lower()]
    plain = isinstance(value, str) and len(value) == 1 and not value.isalnum() and value not in '"\r\n\0\ufeff\x1e'
    if not plain:
        raise IngestError(
            "template_value",
            'delimiter is neither a single character, nor "tab", nor "auto".',
            "Letters, digits, quotes and line breaks cannot be delimiters.",
        )
    return str(value)


def _quoting(value: Any) -> bool | None:
    if value == "auto":
        return None
    if not isinstance(value, bool):
        raise IngestError("template_value", 'quoting must be true or false, or "auto".')
    return value


def _widths(value: Any) -> tuple[int, ...]:
    fitting = isinstance(value, list) and all(
        isinstance(width, int) and not isinstance(width, bool) and 0 < width <= 100_000 for width in value
    )
    if not fitting or len(value) > 1000:
        raise IngestError(
            "template_widths",
            "widths must be a list of numbers, one for each column, from 1 on.",
            "For example: widths = [10, 20, 8]",
        )
    return tuple(value)


def _sheet(value: Any) -> str | int | None:
    if value is None or (isinstance(value, str) and value):
        return value
    if isinstance(value, int) and not isinstance(value, bool) and value > 0:
        return value
    raise IngestError("template_value", "sheet must be the name of a sheet, or its number from 1 on.")


def _trailer(value: Any) -> str | None:
    if value is None:
        return None
    try:
        refuse_unusable(value if isinstance(value, str) else "")
    except IngestError as error:
        raise _no_trailer(f"{error.message} {error.hint}") from error
    if count_groups(value) > 1:
        raise _no_trailer("")
    return str(value)


def _no_trailer(why: str) -> IngestError:
    return IngestError(
        "template_trailer",
        "trailer must be a pattern for the last line, in which at most the number of rows is captured.",
        rf"{why} For example: trailer = 'TRAILER\|(\d+)'".strip(),
    )
