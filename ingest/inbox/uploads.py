"""Uploads and their row errors, and which of them the agency has not been told of yet."""

import json
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, insert, select, update

from ingest import tables
from ingest.answer import Counts, RowError, Upload
from ingest.errors import IngestError
from ingest.tables import uploads

_PLAIN = ("id", "arrival_id", "agency_id", "file", "size", "sha256", "status", "template", "template_version")
_NUMBERS = (
    "rows",
    "skipped",
    "error_rows",
    "warning_rows",
    "excluded",
    "delimiter",
    "quoting",
    "started_at",
    "finished_at",
)


def record_upload(conn: Connection, upload: Upload) -> None:
    """Keep an upload; it has not been answered yet."""
    values = {name: getattr(upload, name) for name in (*_PLAIN, *_NUMBERS)}
    values["counts"] = json.dumps({kind: vars(counts) for kind, counts in upload.counts.items()})
    values["header"], values["notes"] = json.dumps(upload.header), json.dumps(upload.notes)
    values["expected"] = json.dumps(upload.expected) if upload.expected else None
    if upload.error is not None:
        values |= {f"error_{name}": getattr(upload.error, name) for name in ("code", "message", "hint")}
    conn.execute(insert(uploads).values(values))


def find_upload(conn: Connection, upload_id: str) -> Upload | None:
    """The upload, or None."""
    row = conn.execute(select(uploads).where(uploads.c.id == upload_id)).first()
    return _upload(row) if row else None


def list_uploads(conn: Connection, agency_id: str | None = None, limit: int | None = 100) -> list[Upload]:
    """Uploads, the newest first."""
    query = select(uploads).order_by(uploads.c.id.desc()).limit(limit)
    if agency_id is not None:
        query = query.where(uploads.c.agency_id == agency_id)
    return [_upload(row) for row in conn.execute(query)]


def unanswered(conn: Connection) -> list[Upload]:
    """Uploads whose receipt was not delivered yet, the oldest first."""
    query = select(uploads).where(uploads.c.answered_at.is_(None)).order_by(uploads.c.id)
    return [_upload(row) for row in conn.execute(query)]


def mark_answered(conn: Connection, upload_id: str, at: datetime) -> None:
    """The receipt was delivered."""
    conn.execute(update(uploads).where(uploads.c.id == upload_id).values(answered_at=at))


def row_errors(conn: Connection, upload_id: str, limit: int | None = None) -> list[RowError]:
    """The upload's row errors in the order of the file."""
    table = tables.row_errors
    query = select(table).where(table.c.upload_id == upload_id).order_by(table.c.position).limit(limit)
    return [
        RowError(row.row_number, row.column_name, row.value, row.code, row.message, row.severity, row.raw)
        for row in conn.execute(query)
    ]


def _upload(row: Row[Any]) -> Upload:
    failed = row.error_code is not None
    return Upload(
        **{name: getattr(row, name) for name in (*_PLAIN, *_NUMBERS)},
        answered_at=row.answered_at,
        counts={kind: Counts(**counts) for kind, counts in json.loads(row.counts).items()},
        header=tuple(json.loads(row.header)),
        notes=tuple(json.loads(row.notes)),
        expected=tuple(json.loads(row.expected or "[]")),
        error=IngestError(row.error_code, row.error_message, row.error_hint) if failed else None,
    )
