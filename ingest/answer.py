"""What the agency is told: the upload, its row errors, and their renderings as receipt and error file.

Everything here is pure. A row has `error`s (nothing of it was taken) or `warning`s (all of it was taken but the cell
named: a hearing must not be lost because of a mistyped phone number). Both are listed in the error file.
"""

import csv
import io
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import groupby, islice
from types import MappingProxyType
from typing import Any

from ingest.errors import IngestError
from ingest.guard import guarded, unguarded
from ingest.moments import clock_time
from ingest.sides import VALUE_IN_TEXT, side_by_side

RECEIPT_ERRORS = 100
RECEIPT_MOVED = 100
EXCLUDED_LISTED = 1000
"""Rows left out by filters that are listed with an upload; all are counted. A feed may hold years of past hearings."""
RECEIPT_LISTED = RECEIPT_ERRORS + EXCLUDED_LISTED
"""Of the rows that are listed with an upload, the first that hold all a receipt says of those to be corrected."""
REST_TAKEN = "; the rest of the row was taken"
"""What the message of a warning ends with."""
ROWS_REFUSED = "rows_refused"
STRAY_QUOTE = "stray_quote"
UNREAD = "Nothing was taken of"
"""What the note on rows begins with that hold something, but nothing in the columns that are read."""
NAME_BYTES = 255
ANSWER_COLUMNS = ("row number", "reasons")
"""What the error file puts before the court's own columns, where rows of any length leave them in their place; ignored
when the file is sent again."""
SHEET, SHEET_1904 = "w", "m"
"""What an upload of a workbook has in place of a delimiter; the second where its days are counted from 1904 on."""
_ROW, _WHY = ANSWER_COLUMNS
ANSWERS: Mapping[tuple[str, ...], str] = MappingProxyType(
    {ANSWER_COLUMNS: "", (_ROW, f"{_WHY} (workbook)"): SHEET, (_ROW, f"{_WHY} (workbook 1904)"): SHEET_1904}
)
"""How error files begin, and what they are of: a workbook has its own way of writing dates and times."""

_GUARDED = "An apostrophe in front of a cell keeps a spreadsheet from changing it; leave it there."
_BLOCK = 100  # rows of an error file that are written at once; each may have a megabyte


@dataclass(frozen=True)
class RowError:
    """One thing wrong with one row.

    `severity` is error, warning, or excluded: the template's filters leave the row out, and nothing is wrong with it.
    `row` is the number of the line on which the row begins, the first line of the file being 1, as a text editor
    counts (a spreadsheet agrees unless cells hold line breaks). `raw` is the row as it came.
    """

    row: int
    column: str
    value: str
    code: str
    message: str
    severity: str = "error"
    raw: str = ""


@dataclass(frozen=True)
class Counts:
    """What became of the distinct records of one kind that a file names.

    A snapshot has `withdrawn` those that it no longer names; `restored` were withdrawn and came back; `moved` hearings
    are among both the created and the withdrawn ones, or, where one is known by its reference, among the updated ones.
    """

    created: int = 0
    updated: int = 0
    unchanged: int = 0
    restored: int = 0
    withdrawn: int = 0
    moved: int = 0


@dataclass(frozen=True)
class Moved:
    """A hearing that has another date: its case's number, and when it was and is, in the court's local time."""

    case: str
    old: str
    new: str


@dataclass(frozen=True)
class Upload:
    """One processing run of one arrival through one template.

    `status` is processed, partially_processed, failed, duplicate, undone, awaiting_confirmation (nothing is changed
    yet, `error` says why, and `counts` what the file would do) or confirmed (it was run again, as another upload).
    `method` is the template's (`template.Processing`). `rows` counts the rows under the header, blank ones too;
    `skipped` those that were blank or the same as in the file before; `error_rows` and `warning_rows` are disjoint;
    `excluded` rows were left out by the template's filters. `counts` is by kind: clients, contacts, cases, events,
    payments. `header`, `delimiter` and `quoting` are the file's own; a file without a header has `column 1`,
    `column 2` and so on, a workbook `SHEET` or `SHEET_1904` for its delimiter. `error` is set when nothing at all was
    taken. `answered_at` is when its receipt was delivered, `undone_at` when a person has put back what it had changed.
    `expected` are the columns that the file should have had, if it has others and was not taken for that.
    """

    id: str
    arrival_id: str
    agency_id: str
    file: str
    size: int
    sha256: str
    status: str
    template: str
    template_version: int
    started_at: datetime
    finished_at: datetime
    rows: int = 0
    skipped: int = 0
    error_rows: int = 0
    warning_rows: int = 0
    excluded: int = 0
    method: str = "update"
    counts: Mapping[str, Counts] = field(default_factory=lambda: MappingProxyType({}))
    header: tuple[str, ...] = ()
    delimiter: str = ""
    quoting: bool = True
    notes: tuple[str, ...] = ()
    error: IngestError | None = None
    answered_at: datetime | None = None
    undone_at: datetime | None = None
    expected: tuple[str, ...] = ()

    @property
    def error_file(self) -> str | None:
        """The name of the error file, or None when every row was good, or nothing of it counts any more."""
        told = (self.error_rows or self.warning_rows) and self.undone_at is None
        return answer_name(self.file, self.id, "errors.csv") if told else None

    @property
    def receipt_file(self) -> str:
        """The name of the receipt for machines."""
        return answer_name(self.file, self.id, "receipt.json")

    @property
    def receipt_text_file(self) -> str:
        """The name of the receipt for people."""
        return answer_name(self.file, self.id, "receipt.txt")


def answer_name(file: str, answer_id: str, ending: str) -> str:
    """`<file>.<id>.<ending>`; the file's name is shortened so that the whole has at most 255 bytes."""
    tail = f".{answer_id}.{ending}"
    return file.encode()[: NAME_BYTES - len(tail)].decode(errors="ignore") + tail


def receipt(upload: Upload, errors: Sequence[RowError], moved: Sequence[Moved] = ()) -> dict[str, Any]:
    """The answer for machines; JSON able. `errors` and `moved` may hold more than the first 100, which are all that is
    shown."""
    error = upload.error
    return {
        "upload": upload.id,
        "arrival": upload.arrival_id,
        "file": upload.file,
        "size": upload.size,
        "sha256": upload.sha256,
        "status": upload.status,
        "template": {"name": upload.template, "version": upload.template_version},
        "started_at": upload.started_at.isoformat(),
        "finished_at": upload.finished_at.isoformat(),
        "rows": upload.rows,
        "skipped": upload.skipped,
        "error_rows": upload.error_rows,
        "warning_rows": upload.warning_rows,
        "excluded_rows": upload.excluded,
        "method": upload.method,
        "counts": {kind: dict(vars(counts)) for kind, counts in upload.counts.items()},
        "moved": [dict(vars(each)) for each in moved[:RECEIPT_MOVED]],
        "notes": list(upload.notes),
        "error": error and {"code": error.code, "message": error.message, "hint": error.hint, **_columns(upload)},
        "errors": [_row(each) for each in wrong(errors)[:RECEIPT_ERRORS]],
        "excluded": [{"row": e.row, "message": e.message} for e in left_out(errors)[:RECEIPT_ERRORS]],
        "error_file": upload.error_file,
    }


def _columns(upload: Upload) -> dict[str, list[str]]:
    """The columns that were expected and those that were found, where a file was not taken for them."""
    return {"expected": list(upload.expected), "found": list(upload.header)} if upload.expected else {}


def wrong(errors: Sequence[RowError]) -> list[RowError]:
    """Those of the listed rows that are to be corrected."""
    return [error for error in errors if error.severity != "excluded"]


def left_out(errors: Sequence[RowError]) -> list[RowError]:
    """Those of the listed rows that the template's filters leave out."""
    return [error for error in errors if error.severity == "excluded"]


def _row(error: RowError) -> dict[str, Any]:
    shown = ("row", "column", "value", "code", "message", "severity")
    return {name: getattr(error, name) for name in shown}


def receipt_text(upload: Upload, errors: Sequence[RowError], moved: Sequence[Moved] = (), zone: str = "UTC") -> str:
    """The answer for people: what was taken, what was not, and what to do. `zone` is the agency's."""
    lines = [
        f"File:      {_on_one_line(upload.file)} ({upload.size:,} bytes)",
        f"Processed: {clock_time(upload.started_at, zone, seconds=True)}",
    ]
    lines += [f"Result:    {_result(upload)}", ""]
    lines += _failure(upload.error) if upload.error else _taken(upload)
    lines += _noted(upload)
    lines += side_by_side(upload.expected, upload.header) if upload.error else []
    if moved:
        lines += ["", "Hearings that have another date:"]
        lines += [f"  {each.case or 'without a case'}: {each.old} -> {each.new}" for each in moved[:RECEIPT_MOVED]]
    if wrong(errors):
        lines += ["", "Rows to look at:"]
        lines += [f"  row {e.row}{_place(e)}: {e.message}" for e in wrong(errors)[:RECEIPT_ERRORS]]
    if left_out(errors):
        lines += ["", "Rows that the template leaves out:"]
        lines += [f"  row {e.row}: {e.message}" for e in left_out(errors)[:RECEIPT_ERRORS]]
    if upload.error_file:
        lines += ["", f"All of them are in {_on_one_line(upload.error_file)}; {_correct(upload)}"]
    lines += [
        *([""] if lines[-1] else []),
        f"Upload {upload.id}, template {upload.template}, version {upload.template_version}.",
        f"SHA-256 {upload.sha256}",
    ]
    return "\n".join(lines) + "\n"


def _correct(upload: Upload) -> str:
    if upload.error and upload.error.code == ROWS_REFUSED:
        return "correct them in the file that you have sent."
    if upload.method == "update":
        return "correct the rows there and send that file. " + _GUARDED
    return "correct the rows where they come from and send the whole file again."


def _place(error: RowError) -> str:
    """The column and what stands in it, on one line whatever it holds."""
    value = _on_one_line(error.value)
    shown = value if len(value) <= VALUE_IN_TEXT else value[:VALUE_IN_TEXT] + "…"
    return (f", {error.column}" if error.column else "") + (f' "{shown}"' if shown else "")


def _on_one_line(text: str) -> str:
    return "".join(character if character.isprintable() else "\ufffd" for character in text)


def _result(upload: Upload) -> str:
    bad = upload.error_rows + upload.warning_rows
    need = f"{bad:,} of {upload.rows:,} rows {'needs' if bad == 1 else 'need'} a look"
    return {
        "processed": f"Thank you, every row was {_all(upload)}.",
        "partially_processed": f"The good rows were taken; {need}.",
        "duplicate": " ".join([*upload.notes, "Nothing was changed."]),
        "undone": "It was taken, and undone later: what it had changed was put back. The file may be sent again.",
        "awaiting_confirmation": "Nothing was changed yet: a person has to look at the file first.",
        "confirmed": "A person has confirmed the file, and it was run again.",
    }.get(upload.status, "The file could not be taken; nothing was changed.")


def _all(upload: Upload) -> str:
    """What was done with all rows of a file that was processed."""
    but = " but for what a note tells of" if any(note.startswith(UNREAD) for note in upload.notes) else ""
    if not upload.excluded:
        return f"taken{but}"
    return f"read{but}; the template's filters leave out {upload.excluded:,} of {upload.rows:,}"


def _failure(error: IngestError) -> list[str]:
    return [error.message, *([error.hint] if error.hint else [])]


def _taken(upload: Upload) -> list[str]:
    if upload.status == "duplicate":
        return []
    lines = [f"Rows:      {upload.rows:,}, of which {upload.skipped:,} blank or the same as last time"]
    if upload.error_rows or upload.warning_rows:
        lines.append(f"           {upload.error_rows:,} not taken, {upload.warning_rows:,} taken but for a cell")
    if upload.excluded:
        lines.append(f"           {upload.excluded:,} left out by the template's filters")
    for kind, counts in upload.counts.items():
        numbers = f"{counts.created:,} new, {counts.updated:,} changed, {counts.unchanged:,} as before"
        more = {"restored": "back again", "withdrawn": "withdrawn", "moved": "moved"}
        numbers += "".join(f", {getattr(counts, n):,} {word}" for n, word in more.items() if getattr(counts, n))
        lines.append(f"{kind.capitalize() + ':':<11}{numbers}")
    return lines


def _noted(upload: Upload) -> list[str]:
    """What is noted of a file that was taken, or of one that was run again; of others, the error says it all."""
    told = upload.status == "confirmed" or (upload.error is None and upload.status != "duplicate")
    return [f"Note:      {note}" for note in upload.notes] if told else []


def error_file(upload: Upload, errors: Iterable[RowError]) -> bytes:
    """The whole error file at once (`error_blocks`), where it is known to be small."""
    return b"".join(error_blocks(upload, errors))


def error_blocks(upload: Upload, errors: Iterable[RowError]) -> Iterator[bytes]:
    """The failing rows as they came, to be corrected and sent again as they are, some hundred at a time.

    CSV in UTF-8 with commas and a byte order mark, which every spreadsheet opens rightly: `row number` and `reasons`,
    which the engine ignores, then the court's own columns. Cells that a spreadsheet would execute or change begin with
    an apostrophe, which the engine takes off again (`ingest.guard`). What a short row lacks is U+FFFD, as is a NUL, and
    a quote that closes one of another row, so that none passes by accident. `errors` must be all of the upload's, in
    row order.
    """
    lines = _error_lines(upload, errors)
    mark = b"\xef\xbb\xbf"
    while block := list(islice(lines, _BLOCK)):
        yield mark + _written(block).encode("utf-8", "replace")
        mark = b""


def _error_lines(upload: Upload, errors: Iterable[RowError]) -> Iterator[list[str]]:
    """The header of the error file, and its rows."""
    own = len(ANSWER_COLUMNS) if upload.header[: len(ANSWER_COLUMNS)] in ANSWERS else 0
    sheet = sheet_of(upload.header, upload.delimiter)
    names = [name or f"column {number}" for number, name in enumerate(upload.header[own:], 1)]
    yield [*next(columns for columns, of in ANSWERS.items() if of == sheet), *map(guarded, names)]
    delimiter = "," if upload.delimiter in ("", SHEET, SHEET_1904) else upload.delimiter
    for row, group in groupby((error for error in errors if error.severity != "excluded"), key=lambda error: error.row):
        told = list(group)
        cells = cells_of(told[0].raw.replace("\0", "\ufffd"), delimiter, upload.quoting)[own:]
        cells = [unguarded(cell) for cell in cells] if own else cells
        if told[0].code == STRAY_QUOTE:
            cells = [cell.replace('"', "\ufffd") for cell in cells]
        cells += ["\ufffd"] * (len(names) - len(cells))
        reasons = "; ".join(dict.fromkeys(f"{e.column}: {e.message}" if e.column else e.message for e in told))
        yield [str(row), guarded(reasons), *map(guarded, cells)]


def sheet_of(header: Sequence[str], delimiter: str) -> str:
    """`SHEET` or `SHEET_1904` if a file was read as a workbook, or as the error file of one; else nothing."""
    return ANSWERS.get(tuple(header[:2]), "") or (delimiter if delimiter in (SHEET, SHEET_1904) else "")


def _written(lines: list[list[str]]) -> str:
    out = io.StringIO()
    csv.writer(out, lineterminator="\r\n").writerows(lines)
    return out.getvalue()


def cells_of(raw: str, delimiter: str, quoting: bool) -> list[str]:
    """The cells of one row. What `ingest.parse.split_record` gives for bytes, which has its place above this one."""
    if not quoting or '"' not in raw:
        return raw.split(delimiter)
    cells, position, field = [], 0, _field(delimiter)
    while position <= len(raw):
        match = field.match(raw, position)
        assert match is not None  # noqa: S101 - it matches the empty text too
        quoted, rest = match.groups()
        cells.append((quoted or "").replace('""', '"') + rest)
        position = match.end() + 1
    return cells


def _field(delimiter: str) -> re.Pattern[str]:
    """A field: perhaps a quoted part, up to a single quote or the end, then anything up to the delimiter."""
    return re.compile(rf'(?:"((?:[^"]|"")*+)(?:"|\Z))?([^{re.escape(delimiter)}]*)')
