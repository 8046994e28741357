"""How the records of a file are written, told from its beginning as far as the template does not say it."""

import re
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from typing import BinaryIO

from ingest.errors import IngestError
from ingest.format import FileFormat
from ingest.limits import Limits
from ingest.parse.fields import enclosed_cells, record_end, split_record
from ingest.parse.foreign import refuse_foreign

BOM = b"\xef\xbb\xbf"
CANDIDATES = ("|", ",", "\t", ";", "^")
UNIT, RECORD = "\x1f", b"\x1e"
"""ASCII's own separators of fields and of records, by which a sheet is written down; no cell can hold them."""

LOOKED_AT = 50
"""Records in which a header is looked for, and by which delimiter and width are told."""

_SAMPLE = 256 * 1024
_UNCLOSED = 3  # quotes that are never closed, after which the sample is as good as it gets
_BLANKS = b" \t\r\n\x1a"
_ANSWERED = re.compile(
    rb'(?:\xef\xbb\xbf)?"*row number"*(?![\w"\r\n])([\x01-\x7f])"*reasons(?: \(workbook(?: 1904)?\))?(?:"|\1|\r|\n|\Z)'
)


@dataclass(frozen=True)
class Dialect:
    """How the records of one file are written.

    `begin` is the offset of the first record, behind a byte order mark and skipped lines, and `line` the number of the
    line there. `columns` is how many the header has, or 0 if nobody has counted. `widths` (characters) are those of a
    fixed-width file, which has no delimiter. `marked` means that a byte order mark says UTF-8; `answered` that this is
    our error file, sent again. `sheet` is what an upload has in place of its delimiter (`ingest.answer`).
    """

    delimiter: str
    newline: bytes
    quoting: bool
    begin: int
    columns: int = 0
    line: int = 1
    widths: tuple[int, ...] = ()
    marked: bool = False
    answered: bool = False
    sheet: str = ""

    @property
    def separator(self) -> bytes:
        """The delimiter as it stands in the file."""
        return self.delimiter.encode()

    @property
    def shown(self) -> "Dialect":
        """How rows of this file are shown to people: as they came if they were delimited text, else as CSV."""
        if not (self.widths or self.delimiter == UNIT):
            return self
        return replace(self, delimiter=self.sheet or ",", quoting=True, widths=())


def sheet_dialect(columns: int) -> Dialect:
    """How a sheet is written down for `scan`: one record for each of its rows."""
    return Dialect(UNIT, RECORD, False, 0, columns)


def tell_dialect(head: bytes, form: FileFormat, headers: Collection[str], width: int, limits: Limits) -> Dialect:
    """How a text that begins with `head` (at least `limits.record` bytes, or all of it) is written.

    A delimiter that the template does not say is the one that yields most of the wanted `headers` in one of the first
    lines, then the one that yields most columns; it must yield at least `width`. Where quoting is to be told, it is
    taken to be on: `tell_quoting` has the last word. Raises IngestError for what is no text, or not delimited so.
    """
    refuse_foreign(head)
    marked = head.startswith(BOM)
    begin = len(BOM) if marked else 0
    newline = _tell_newline(head)
    if not head[begin:].strip(_BLANKS):
        raise IngestError("empty_file", "The file is empty.", "Look at the export that should have filled it.")
    answered = answered_by(head)
    if answered:
        form = FileFormat(delimiter=answered, header=form.header)
    begin, line = _skip(head, begin, newline, form)
    dialect = Dialect("", newline, form.quoting is not False, begin, line=line, marked=marked, answered=bool(answered))
    _refuse_long(head, begin, newline, limits)
    if form.widths:
        return replace(dialect, quoting=False, widths=form.widths, columns=len(form.widths))
    return _tell_delimiter(head[: begin + _SAMPLE], dialect, form, headers, width)


def answered_by(head: bytes) -> str | None:
    """The delimiter of a file that begins with `head` if it is our error file, sent again."""
    match = _ANSWERED.match(head)
    return match[1].decode("ascii", "replace") if match else None


def _tell_newline(head: bytes) -> bytes:
    """LF, also behind CR; CR where more of them stand alone than there are LF."""
    return b"\r" if head.count(b"\r") - head.count(b"\r\n") > head.count(b"\n") else b"\n"


def _skip(head: bytes, begin: int, newline: bytes, form: FileFormat) -> tuple[int, int]:
    """Where the first line stands that counts, and its number."""
    lines = max(form.skip_lines, (form.header_row or 1) - 1)
    for _ in range(lines):
        end = head.find(newline, begin)
        if end < 0:
            raise IngestError(
                "header_only",
                f"The file has not more than the {lines:,} lines that the template skips.",
                "Look at the export: it found nothing to send.",
            )
        begin = end + 1
    return begin, lines + 1


def _refuse_long(head: bytes, begin: int, newline: bytes, limits: Limits) -> None:
    filled = len(head) - len(head[begin:].lstrip(_BLANKS))
    begin = max(begin, head.rfind(newline, 0, filled) + 1)
    if newline not in head[begin:] and len(head) - begin >= limits.record:
        raise IngestError(
            "line_too_long",
            f"The first line is longer than {limits.record:,} bytes.",
            "Each row must be on a line of its own.",
        )


@dataclass(frozen=True)
class _Guess:
    """What a delimiter makes of the first records: most wanted headers found in one, its columns, columns of most."""

    found: int
    columns: int
    usual: int


def _tell_delimiter(head: bytes, dialect: Dialect, form: FileFormat, headers: Collection[str], width: int) -> Dialect:
    guesses = {each: _guess(head, replace(dialect, delimiter=each), headers) for each in CANDIDATES}
    best = max(CANDIDATES, key=lambda each: (guesses[each].found, guesses[each].usual, guesses[each].columns))
    if form.delimiter is None:
        if max(guesses[best].columns, guesses[best].usual) < min(width, 2):
            raise IngestError(
                "unknown_delimiter",
                "The first line holds no delimiter: neither pipe, comma, tab, semicolon nor caret.",
                "Export the file with a pipe or a comma between the columns.",
            )
        return replace(dialect, delimiter=best, columns=guesses[best].columns)
    said = _guess(head, replace(dialect, delimiter=form.delimiter), headers)
    other = guesses[best]
    if (
        said.usual == 1
        and width > 1
        and said.found < 2
        and other.usual >= width
        and other.found >= min(2, len(headers))
    ):
        raise IngestError(
            "wrong_delimiter",
            f"The template says that {_named(form.delimiter)} stands between columns, but here it is {_named(best)}.",
            'Change the template, or set delimiter = "auto" there.',
        )
    return replace(dialect, delimiter=form.delimiter, columns=said.columns)


def _named(delimiter: str) -> str:
    names = {",": "a comma", "|": "a pipe", "\t": "a tab", ";": "a semicolon", "^": "a caret"}
    return names.get(delimiter, repr(delimiter))


def _guess(head: bytes, dialect: Dialect, headers: Collection[str]) -> _Guess:
    wanted, best, widths = set(headers), (0, 0), Counter[int]()
    for cells in _first_records(head, dialect):
        widths[len(cells)] += 1
        found = len(wanted & {_decoded(cell) for cell in cells}) if wanted else 0
        if found > best[0] or not best[1]:
            best = found, len(cells)
    usual = max(widths, key=lambda count: (widths[count], -count)) if widths else 0
    return _Guess(*best, usual)


def _first_records(head: bytes, dialect: Dialect) -> Iterator[list[bytes]]:
    """The cells of the first records that hold anything."""
    position, seen, unclosed, newline = dialect.begin, 0, 0, dialect.newline
    while position < len(head) and seen < LOOKED_AT and unclosed < _UNCLOSED:
        end = -1
        if dialect.quoting:
            end, _ = record_end(head, position, dialect.separator, newline)
            unclosed += end < 0
        if end < 0:
            end = head.find(newline, position)
            end = len(head) if end < 0 else end
        record = head[position:end]
        position = end + 1
        if record.strip(_BLANKS):
            seen += 1
            record = record.removesuffix(b"\r") if newline == b"\n" else record
            yield split_record(record, dialect.separator, dialect.quoting)


def _decoded(cell: bytes) -> str:
    try:
        return cell.decode("utf-8")
    except UnicodeDecodeError:
        return cell.decode("cp1252", "replace")


def tell_quoting(file: BinaryIO, dialect: Dialect) -> bool:
    """Whether quotes in the file enclose cells, told from the first lines that hold any.

    They do if at least as many cells are enclosed as RFC 4180 wants as there are quotes that stand elsewhere.
    """
    text = _quoted_lines(file, dialect)
    rest, cells = enclosed_cells(dialect.separator, dialect.newline).subn(b"", text)
    return cells >= rest.count(b'"')


def _quoted_lines(file: BinaryIO, dialect: Dialect) -> bytes:
    """Lines in which quotes stand, as many as a sample takes."""
    lines, size, carried = [], 0, b""
    file.seek(dialect.begin)
    while size < _SAMPLE and (text := file.read(1 << 20)):
        text, carried = carried + text, b""
        if b'"' not in text:
            continue
        *whole, carried = text.split(dialect.newline)
        if len(carried) > _SAMPLE:
            carried = b""
        found = [line for line in whole if b'"' in line]
        lines += found
        size += sum(map(len, found))
    return dialect.newline.join([*lines, carried if b'"' in carried else b""])[: 2 * _SAMPLE]
