"""How a file is written, told from its beginning: what it is at all, line ends, delimiter, header."""

from collections.abc import Collection
from dataclasses import dataclass

from ingest.errors import IngestError
from ingest.limits import Limits
from ingest.parse.fields import record_end, split_record

BOM = b"\xef\xbb\xbf"
CANDIDATES = ("|", ",", "\t", ";", "^")
_MAGIC = (
    (
        b"PK\x03\x04",
        "zip",
        "an Excel workbook or a zip archive",
        "Save it as CSV or pipe-delimited text and send that.",
    ),
    (b"\xd0\xcf\x11\xe0", "xls", "an old Excel workbook", "Save it as CSV or pipe-delimited text and send that."),
    (b"%PDF", "pdf", "a PDF document", "Export the report as CSV or pipe-delimited text and send that."),
    (b"\x1f\x8b", "gzip", "a gzip archive", "Send the file inside it."),
    (b"{\\rtf", "rtf", "a Word document", "Save it as plain text and send that."),
    (b"\xff\xfe", "utf16", "text in UTF-16 (Excel's 'Unicode Text')", "Save it as 'CSV UTF-8' and send that."),
    (b"\xfe\xff", "utf16", "text in UTF-16 (Excel's 'Unicode Text')", "Save it as 'CSV UTF-8' and send that."),
)
_BLANKS = b" \t\r\n\x1a"
_TEXT_CONTROLS = frozenset(b"\t\n\r\f\x1a\0")


@dataclass(frozen=True)
class Dialect:
    """How the records of one file are written. `begin` is the offset of the first record: behind a byte order mark;
    `columns` is how many that record has, or 0 if nobody has counted."""

    delimiter: str
    newline: bytes
    quoting: bool
    begin: int
    columns: int = 0

    @property
    def separator(self) -> bytes:
        """The delimiter as it stands in the file."""
        return self.delimiter.encode()


def tell_dialect(
    head: bytes, delimiter: str | None, quoting: bool, headers: Collection[str], width: int, limits: Limits
) -> Dialect:
    """How a file that begins with `head` (at least `limits.record` bytes, or all of it) is written.

    A `delimiter` of None is told from the first line: the one that yields most of the wanted `headers`, then the one
    that yields most columns; it must yield at least `width`. Raises IngestError for what is no delimited text.
    """
    _refuse_foreign(head)
    begin = len(BOM) if head.startswith(BOM) else 0
    newline = b"\n" if b"\n" in head or b"\r" not in head else b"\r"
    if not head[begin:].strip(_BLANKS):
        raise IngestError("empty_file", "The file is empty.", "Look at the export that should have filled it.")
    line = _first_line(head, begin, newline, limits)
    delimiter = delimiter or _tell_delimiter(line, quoting, headers, width, newline)
    columns = len(_first_cells(line, delimiter.encode(), quoting, newline))
    return Dialect(delimiter, newline, quoting, begin, columns)


def _refuse_foreign(head: bytes) -> None:
    for magic, code, what, hint in _MAGIC:
        if head.startswith(magic):
            workbook = code == "zip" and b"xl/" in head
            raise IngestError(
                "xlsx" if workbook else code, f"The file is {'an Excel workbook' if workbook else what}.", hint
            )
    sample = head[: 64 * 1024]
    strange = sum(sample.count(code) for code in range(32) if code not in _TEXT_CONTROLS)
    if (strange + sample.count(0)) * 20 > len(sample) > 0 and (strange > 2 or sample.count(0) > 2):
        raise IngestError("binary", "The file is not text.", "Export it as CSV or pipe-delimited text and send that.")


def _first_line(head: bytes, begin: int, newline: bytes, limits: Limits) -> bytes:
    """The first line that holds anything; the whole rest of `head`, for a quote in it may span lines."""
    filled = len(head) - len(head[begin:].lstrip(_BLANKS))
    begin = max(begin, head.rfind(newline, 0, filled) + 1)
    if newline not in head[begin:] and len(head) - begin >= limits.record:
        raise IngestError(
            "line_too_long",
            f"The first line is longer than {limits.record:,} bytes.",
            "Each row must be on a line of its own.",
        )
    return head[begin:]


def _first_cells(text: bytes, separator: bytes, quoting: bool, newline: bytes) -> list[bytes]:
    end = record_end(text, 0, separator, newline)[0] if quoting else text.find(newline)
    return split_record(text[:end] if end >= 0 else text.split(newline, 1)[0], separator, quoting)


def _tell_delimiter(text: bytes, quoting: bool, headers: Collection[str], width: int, newline: bytes) -> str:
    found = {}
    for candidate in CANDIDATES:
        split = _first_cells(text, candidate.encode(), quoting, newline)
        cells = [cell.decode("utf-8", "replace").strip("\r") for cell in split]
        found[candidate] = (len(set(cells) & set(headers)), len(cells))
    best = max(CANDIDATES, key=lambda candidate: found[candidate])
    if found[best][1] < min(width, 2):
        raise IngestError(
            "unknown_delimiter",
            "The first line holds no delimiter: neither pipe, comma, tab, semicolon nor caret.",
            "Export the file with a pipe or a comma between the columns.",
        )
    return best
