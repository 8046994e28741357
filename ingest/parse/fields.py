"""One record at a time, for the few that the columnar path cannot take: stray quotes, line breaks inside cells.

A field that begins with a quote runs to the next single quote; `""` inside it is a quote; what follows up to the
delimiter is appended as it is. A quote anywhere else is data. So does Python's csv module.
"""

import re
from collections.abc import Sequence

QUOTE = b'"'
PADDING = " \x1a"
"""What may stand beyond the last column of a fixed-width line: spaces, and the end of a file under DOS."""


def split_record(record: bytes, delimiter: bytes, quoting: bool) -> list[bytes]:
    """The cells of exactly one record, given without its line end."""
    if not quoting or QUOTE not in record:
        return record.split(delimiter)
    cells, position = [], 0
    while True:
        cell, position = _field(record, position, delimiter)
        cells.append(cell)
        if position > len(record):
            return cells


def split_alone(line: bytes, delimiter: bytes) -> list[bytes]:
    """The cells of a line that may be a record by itself, or nothing where its quotes show that it is a part of one."""
    if QUOTE not in line:
        return line.split(delimiter)
    line = line.removesuffix(b"\r")
    cells = split_record(line, delimiter, True)
    bare = enclosed_cells(delimiter, b"\n").sub(b"", line)
    return [] if QUOTE in bare else cells


def split_widths(record: str, widths: Sequence[int]) -> list[str]:
    """The cells of a fixed-width record, without the spaces that pad them.

    Spaces at the end of a line may be missing. Whatever stands beyond the last column is one cell more.
    """
    cells, start = [], 0
    for width in widths:
        cells.append(record[start : start + width].strip(" "))
        start += width
    beyond = record[start:].strip(PADDING)
    return [*cells, beyond] if beyond else cells


def enclosed_cells(delimiter: bytes, newline: bytes) -> re.Pattern[bytes]:
    """What RFC 4180 takes for an enclosed cell, from quote to quote, between delimiters or line ends."""
    separator, end = re.escape(delimiter), re.escape(newline)
    begins = b"(?:^|(?<=" + separator + b")|(?<=" + end + b"))"
    return re.compile(begins + b'"(?:[^"]|"")*+"(?=' + separator + b"|\r?" + end + b"|\r?$)")


def _field(record: bytes, start: int, delimiter: bytes) -> tuple[bytes, int]:
    """The field at `start` and where the next one begins, which is beyond the end after the last one."""
    head, position = b"", start
    if record.startswith(QUOTE, start):
        closing = closing_quote(record, start)
        closing = len(record) if closing < 0 else closing
        head, position = record[start + 1 : closing].replace(b'""', b'"'), closing + 1
    end = record.find(delimiter, position)
    end = len(record) if end < 0 else end
    return head + record[position:end], end + 1


def closing_quote(text: bytes, opening: int) -> int:
    """Where the quote opened at `opening` closes, or -1."""
    position = text.find(QUOTE, opening + 1)
    while position >= 0 and text.startswith(QUOTE, position + 1):
        position = text.find(QUOTE, position + 2)
    return position


def record_end(text: bytes, start: int, delimiter: bytes, newline: bytes) -> tuple[int, int]:
    """Where the record at `start` ends (the place of its line end, or the end of `text`), and -1.

    If a quote is never closed: -1 and where it was opened. A quoted field that spans lines must close in front of a
    delimiter or a line end; if it does not, its quote was a stray one that swallowed other rows: -1 likewise.
    """
    position, line = start, text.find(newline, start)
    line = len(text) if line < 0 else line
    if text.find(QUOTE, start, line) < 0:
        return line, -1
    while True:
        if text.startswith(QUOTE, position):
            opening, closing = position, closing_quote(text, position)
            if closing < 0 or (newline in text[opening:closing] and not _closes(text, closing + 1, delimiter, newline)):
                return -1, opening
            position = closing + 1
        line = text.find(newline, position)
        line = len(text) if line < 0 else line
        after = text.find(delimiter, position, line)
        if after < 0:
            return line, -1
        position = after + 1


def _closes(text: bytes, position: int, delimiter: bytes, newline: bytes) -> bool:
    return position >= len(text) or text.startswith((delimiter, newline, b"\r\n"), position)
