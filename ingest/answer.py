"""What the agency is told: the upload, its row errors, and their renderings as receipt and error file.

Everything here is pure. A row has `error`s (nothing of it was taken) or `warning`s (all of it was taken but the cell
named: a hearing must not be lost because of a mistyped phone number). Both are listed in the error file.
"""

import csv
import io
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import groupby
from types import MappingProxyType
from typing import Any

from ingest.errors import IngestError

RECEIPT_ERRORS = 100
NAME_BYTES = 255
ANSWER_COLUMNS = ("row number", "reasons")
"""What the error file adds behind the court's own columns; ignored when the file is sent again."""

FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
"""A cell that begins so is executed by spreadsheets (OWASP, "CSV Injection")."""


@dataclass(frozen=True)
class RowError:
    """One thing wrong with one row.

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
    """What became of the distinct records of one kind that a file names."""

    created: int = 0
    updated: int = 0
    unchanged: int = 0


@dataclass(frozen=True)
class Upload:
    """One processing run of one arrival through one template.

    `status` is processed, partially_processed, failed or duplicate. `rows` counts the rows under the header, blank
    ones too; `skipped` those that were blank or the same as in the file before; `error_rows` and `warning_rows` are
    disjoint. `counts` is by kind: clients, contacts, cases, events. `header` and `delimiter` are the file's own.
    `error` is set when nothing at all was taken. `answered_at` is when its receipt was delivered.
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
    counts: Mapping[str, Counts] = field(default_factory=lambda: MappingProxyType({}))
    header: tuple[str, ...] = ()
    delimiter: str = ""
    notes: tuple[str, ...] = ()
    error: IngestError | None = None
    answered_at: datetime | None = None

    @property
    def error_file(self) -> str | None:
        """The name of the error file, or None when every row was good."""
        return answer_name(self.file, self.id, "errors.csv") if self.error_rows or self.warning_rows else None

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


def receipt(upload: Upload, errors: Sequence[RowError]) -> dict[str, Any]:
    """The answer for machines; JSON able. `errors` may hold more than the first 100, which are all that is shown."""
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
        "counts": {kind: dict(vars(counts)) for kind, counts in upload.counts.items()},
        "notes": list(upload.notes),
        "error": error and {"code": error.code, "message": error.message, "hint": error.hint},
        "errors": [_row(each) for each in errors[:RECEIPT_ERRORS]],
        "error_file": upload.error_file,
    }


def _row(error: RowError) -> dict[str, Any]:
    shown = ("row", "column", "value", "code", "message", "severity")
    return {name: getattr(error, name) for name in shown}


def receipt_text(upload: Upload, errors: Sequence[RowError]) -> str:
    """The answer for people: what was taken, what was not, and what to do."""
    lines = [
        f"File:      {upload.file} ({upload.size:,} bytes)",
        f"Received:  {upload.started_at:%Y-%m-%d %H:%M:%S} UTC",
    ]
    lines += [f"Result:    {_result(upload)}", ""]
    lines += _failure(upload.error) if upload.error else _taken(upload)
    if errors:
        lines += ["", "Rows to look at:"]
        lines += [f"  row {e.row}{f', {e.column}' if e.column else ''}: {e.message}" for e in errors[:RECEIPT_ERRORS]]
    if upload.error_file:
        lines += ["", f"All of them are in {upload.error_file}; correct the rows there and send that file."]
    lines += [
        "",
        f"Upload {upload.id}, template {upload.template}, version {upload.template_version}.",
        f"SHA-256 {upload.sha256}",
    ]
    return "\n".join(lines) + "\n"


def _result(upload: Upload) -> str:
    bad = upload.error_rows + upload.warning_rows
    return {
        "processed": "Thank you, every row was taken.",
        "partially_processed": f"The good rows were taken; {bad:,} of {upload.rows:,} rows need a look.",
        "duplicate": "The same file was processed before; nothing was changed.",
    }.get(upload.status, "The file could not be taken; nothing was changed.")


def _failure(error: IngestError) -> list[str]:
    return [error.message, *([error.hint] if error.hint else [])]


def _taken(upload: Upload) -> list[str]:
    lines = [f"Rows:      {upload.rows:,}, of which {upload.skipped:,} blank or the same as last time"]
    if upload.error_rows or upload.warning_rows:
        lines.append(f"           {upload.error_rows:,} not taken, {upload.warning_rows:,} taken but for a cell")
    for kind, counts in upload.counts.items():
        numbers = f"{counts.created:,} new, {counts.updated:,} changed, {counts.unchanged:,} as before"
        lines.append(f"{kind.capitalize() + ':':<11}{numbers}")
    return lines + [f"Note:      {note}" for note in upload.notes]


def error_file(upload: Upload, errors: Iterable[RowError]) -> bytes:
    """The failing rows as they came, to be corrected and sent again as they are.

    UTF-8 with a byte order mark (so that spreadsheets show names rightly), the court's own delimiter and columns, then
    `row number` and `reasons`, which the engine ignores. A short row stays short, so that it cannot pass by accident.
    Cells that a spreadsheet would execute begin with an apostrophe, which the engine takes off again. `errors` must
    be all of the upload's, in row order.
    """
    out = io.StringIO()
    delimiter = upload.delimiter or ","
    writer = csv.writer(out, delimiter=delimiter, lineterminator="\r\n")
    if upload.header:
        writer.writerow([neutral(name) for name in upload.header if name not in ANSWER_COLUMNS] + [*ANSWER_COLUMNS])
    for row, group in groupby(errors, key=lambda error: error.row):
        told = list(group)
        cells = _own_cells(told[0].raw, delimiter, upload.header)
        reasons = "; ".join(dict.fromkeys(f"{e.column}: {e.message}" if e.column else e.message for e in told))
        writer.writerow([*map(neutral, cells), row, neutral(reasons)])
    return b"\xef\xbb\xbf" + out.getvalue().encode("utf-8", "replace")


def _own_cells(raw: str, delimiter: str, header: Sequence[str]) -> list[str]:
    """The cells of a row without the answer's own columns, which a file sent again brings along."""
    try:
        cells = next(csv.reader(io.StringIO(raw.replace("\0", ""), newline=""), delimiter=delimiter), [])
    except csv.Error:
        return [raw]
    mine = {index for index, name in enumerate(header) if name in ANSWER_COLUMNS}
    return [cell for index, cell in enumerate(cells) if index not in mine]


def neutral(cell: str) -> str:
    """`cell`, with an apostrophe in front if a spreadsheet would execute it."""
    return f"'{cell}" if cell.startswith(FORMULA_STARTS) else cell


def as_sent(cell: str) -> str:
    """What `neutral` was given."""
    return cell[1:] if cell[:1] == "'" and cell[1:].startswith(FORMULA_STARTS) else cell


def common_codes(errors: Iterable[RowError], limit: int = 3) -> list[tuple[str, int]]:
    """The most frequent codes, for a sentence about a file of which no row was good."""
    return Counter(error.code for error in errors).most_common(limit)
