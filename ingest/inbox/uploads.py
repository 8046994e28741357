"""Uploads and their row errors, and which of them the agency has not been told of yet."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, ScalarSelect, Select, func, insert, select, update

from ingest import tables
from ingest.answer import RECEIPT_MOVED, Counts, Moved, RowError, Upload
from ingest.arrival import SUCCEEDED, Arrival, ArrivalState
from ingest.errors import IngestError
from ingest.inbox.sequence import draw_number
from ingest.tables import arrivals, cases, events, moved_events, uploads

_PLAIN = ("id", "arrival_id", "agency_id", "file", "size", "sha256", "status", "template", "template_version")
_NUMBERS = (
    "rows",
    "skipped",
    "error_rows",
    "warning_rows",
    "excluded",
    "method",
    "delimiter",
    "quoting",
    "started_at",
    "finished_at",
)


def record_upload(conn: Connection, upload: Upload) -> Upload:
    """Keep an upload; it has not been answered yet. The transaction holds the lock of the agency's records.

    Gives the upload as it is kept: it may name the one that a person has confirmed, which names it as well and is to be
    answered anew.
    """
    upload = _linked(conn, upload)
    values = {name: getattr(upload, name) for name in (*_PLAIN, *_NUMBERS)}
    values["counts"] = json.dumps({kind: vars(counts) for kind, counts in upload.counts.items()})
    values["header"], values["notes"] = json.dumps(upload.header), json.dumps(upload.notes)
    values["expected"] = json.dumps(upload.expected) if upload.expected else None
    if upload.error is not None:
        values |= {f"error_{name}": getattr(upload.error, name) for name in ("code", "message", "hint")}
    changed = select(func.count()).where(tables.changes.c.upload_id == upload.id).scalar_subquery()
    number = draw_number(conn, upload.agency_id)
    conn.execute(insert(uploads).values(values | {"changed": changed, "sequence": number}))
    return upload


def _linked(conn: Connection, upload: Upload) -> Upload:
    query = select(uploads.c.id, uploads.c.notes).where(uploads.c.arrival_id == upload.arrival_id)
    confirmed = query.where(uploads.c.status == "confirmed").order_by(uploads.c.id.desc()).limit(1)
    before = conn.execute(confirmed).first()
    if before is None:
        return upload
    notes = [*json.loads(before.notes), f"It was run again as upload {upload.id}."]
    renewed = update(uploads).where(uploads.c.id == before.id)
    conn.execute(renewed.values(notes=json.dumps(notes), answered_at=None))
    return replace(
        upload, notes=(*upload.notes, f"A person has confirmed the file; it had waited as upload {before.id}.")
    )


def find_upload(conn: Connection, upload_id: str) -> Upload | None:
    """The upload, or None."""
    row = conn.execute(select(uploads).where(uploads.c.id == upload_id)).first()
    return _upload(row) if row else None


def file_before(conn: Connection, arrival: Arrival, upload: Upload) -> tuple[tuple[str, ...], int] | None:
    """The first row of the last file of the same profile that was taken by the same template, and the version of that;
    not of what was run again by a version that somebody named, which need not be that of the next file."""
    joined = select(uploads.c.header, uploads.c.template_version).join(arrivals, arrivals.c.id == uploads.c.arrival_id)
    query = joined.where(
        uploads.c.agency_id == upload.agency_id,
        uploads.c.template == upload.template,
        uploads.c.status.in_(SUCCEEDED),
        arrivals.c.profile_id == arrival.profile_id,
        arrivals.c.template_version.is_(None),
    )
    row = conn.execute(query.order_by(uploads.c.id.desc()).limit(1)).first()
    return (tuple(json.loads(row.header)), row.template_version) if row else None


def list_uploads(conn: Connection, agency_id: str | None = None, limit: int | None = 100) -> list[Upload]:
    """Uploads, the newest first."""
    query = select(uploads).order_by(uploads.c.id.desc()).limit(limit)
    if agency_id is not None:
        query = query.where(uploads.c.agency_id == agency_id)
    return [_upload(row) for row in conn.execute(query)]


def unanswered(conn: Connection, arrival_id: str | None = None) -> list[Upload]:
    """Uploads (of this arrival) whose receipt was not delivered yet, the oldest first."""
    query = select(uploads).where(uploads.c.answered_at.is_(None)).order_by(uploads.c.id)
    if arrival_id is not None:
        query = query.where(uploads.c.arrival_id == arrival_id)
    return [_upload(row) for row in conn.execute(query)]


def in_vain_since(conn: Connection, arrival: Arrival) -> datetime | None:
    """Since when nothing of what the file says counts by its profile: all uploads of it have failed or are undone.

    None while one counts, or may still. Duplicates say nothing of their own.
    """
    query = select(arrivals.c.state, uploads.c.finished_at, uploads.c.undone_at).where(
        arrivals.c.agency_id == arrival.agency_id,
        arrivals.c.profile_id == arrival.profile_id,
        arrivals.c.sha256 == arrival.sha256,
        arrivals.c.state != ArrivalState.DUPLICATE,
    )
    rows = conn.execute(query.join(uploads, uploads.c.id == arrivals.c.upload_id, isouter=True)).all()
    if any(row.state not in (ArrivalState.FAILED, ArrivalState.UNDONE) for row in rows):
        return None
    return max((row.undone_at or row.finished_at for row in rows if row.finished_at), default=None)


def mark_answered(conn: Connection, upload: Upload, at: datetime) -> bool:
    """The receipt of the upload, as it was read, was delivered.

    False if it has been rejected, confirmed or undone meanwhile: it is to be answered anew, even if somebody has, since
    theirs may have been written over.
    """
    mine = update(uploads).where(uploads.c.id == upload.id)
    same = (uploads.c.status == upload.status, uploads.c.undone_at.is_not_distinct_from(upload.undone_at))
    if conn.execute(mine.where(*same).values(answered_at=at)).rowcount:
        return True
    conn.execute(mine.values(answered_at=None))
    return False


def mark_undone(conn: Connection, upload: Upload, number: int) -> None:
    """Keep that the upload was undone, by the agency's write of that number; the agency is to be told so."""
    values = {name: getattr(upload, name) for name in ("status", "undone_at", "answered_at")}
    values["notes"] = json.dumps(upload.notes)
    conn.execute(update(uploads).where(uploads.c.id == upload.id).values(values | {"undone_sequence": number}))


def uploads_since(conn: Connection, upload: Upload) -> list[Upload]:
    """Those of its agency that were taken after it and still count, the newest first."""
    query = select(uploads).where(
        uploads.c.agency_id == upload.agency_id,
        uploads.c.finished_at > upload.finished_at,
        uploads.c.status.in_(SUCCEEDED),
    )
    return [_upload(row) for row in conn.execute(query.order_by(uploads.c.finished_at.desc()))]


def row_errors(conn: Connection, upload_id: str, limit: int | None = None) -> list[RowError]:
    """The upload's row errors in the order of the file."""
    return list(map(_row_error, conn.execute(_row_errors(upload_id).limit(limit))))


def each_row_error(conn: Connection, upload_id: str) -> Iterator[RowError]:
    """The same for a file that may have a million; they are fetched as they are consumed."""
    return map(_row_error, conn.execution_options(yield_per=100).execute(_row_errors(upload_id)))


def _row_errors(upload_id: str) -> Select[Any]:
    table = tables.row_errors
    return select(table).where(table.c.upload_id == upload_id).order_by(table.c.position)


def _row_error(row: Row[Any]) -> RowError:
    return RowError(row.row_number, row.column_name, row.value, row.code, row.message, row.severity, row.raw)


def moved_hearings(conn: Connection, upload_id: str, limit: int | None = RECEIPT_MOVED) -> list[Moved]:
    """The hearings to which the upload gave another date, by the old one: those that came instead of one that was
    withdrawn, and those that are known by their reference."""
    return [*_replaced(conn, upload_id, limit), *_rescheduled(conn, upload_id, limit)][:limit]


def count_rescheduled(conn: Connection, upload_id: str) -> int:
    """How many hearings, the same ones as before, the upload gave another date or time."""
    query = select(func.count()).select_from(tables.changes).where(*_has_rescheduled(upload_id))
    return int(conn.execute(query).scalar_one())


def _has_rescheduled(upload_id: str) -> tuple[ColumnElement[bool], ...]:
    """A time that was not known before is no other one."""
    change = tables.changes.c
    unknown = change.before.like('%"local_time":null%') | change.before.like('%"local_time": null%')
    other = change.before.like('%"local_date"%') | (change.before.like('%"local_time"%') & ~unknown)
    return change.upload_id == upload_id, change.kind == "events", other


def _rescheduled(conn: Connection, upload_id: str, limit: int | None) -> list[Moved]:
    """What the upload has left as it was, a later one may have changed since: then it is told as that one found it."""
    change = tables.changes.c
    held = (_found_later("local_date").label("day_then"), _found_later("local_time").label("time_then"))
    query = (
        select(cases.c.number, change.before, change.after, events.c.local_date, events.c.local_time, *held)
        .select_from(tables.changes.join(events, change.record_id == events.c.id))
        .join(uploads, uploads.c.id == change.upload_id)
        .join(cases, events.c.case_id == cases.c.id, isouter=True)
        .where(uploads.c.undone_at.is_(None), *_has_rescheduled(upload_id))
        .order_by(change.id)
        .limit(limit)
    )
    moved = []
    for number, before, after, day, time, *later in conn.execute(query):
        found = [json.loads(text or "{}") for text in later]
        then = {"local_date": found[0].get("local_date", day), "local_time": found[1].get("local_time", time)}
        new = then | json.loads(after)
        moved.append(Moved(number or "", _when(new | json.loads(before)), _when(new)))
    return moved


def _found_later(column: str) -> ScalarSelect[Any]:
    """What the first later change of the record, of those that changed this column, has found there."""
    this, later = tables.changes.c, tables.changes.alias()
    same = (later.c.kind == this.kind, later.c.record_id == this.record_id, later.c.id > this.id)
    query = select(later.c.before).where(*same, later.c.before.like(f'%"{column}"%'))
    return query.order_by(later.c.id).limit(1).correlate(tables.changes).scalar_subquery()


def _when(values: Mapping[str, Any]) -> str:
    return f"{values['local_date']} {values['local_time'] or ''}".strip()


def _replaced(conn: Connection, upload_id: str, limit: int | None) -> list[Moved]:
    old, new = events.alias("old"), events.alias("new")
    query = (
        select(cases.c.number, old.c.local_date, old.c.local_time, new.c.local_date, new.c.local_time)
        .select_from(moved_events.join(old, moved_events.c.old_event == old.c.id))
        .join(new, moved_events.c.new_event == new.c.id)
        .join(cases, old.c.case_id == cases.c.id, isouter=True)
        .where(moved_events.c.upload_id == upload_id)
        .order_by(old.c.starts_at, old.c.id)
        .limit(limit)
    )
    return [
        Moved(number or "", f"{day} {time or ''}".strip(), f"{new_day} {new_time or ''}".strip())
        for number, day, time, new_day, new_time in conn.execute(query)
    ]


def _upload(row: Row[Any]) -> Upload:
    failed = row.error_code is not None
    return Upload(
        **{name: getattr(row, name) for name in (*_PLAIN, *_NUMBERS)},
        answered_at=row.answered_at,
        undone_at=row.undone_at,
        counts={kind: Counts(**counts) for kind, counts in json.loads(row.counts).items()},
        header=tuple(json.loads(row.header)),
        notes=tuple(json.loads(row.notes)),
        expected=tuple(json.loads(row.expected or "[]")),
        error=IngestError(row.error_code, row.error_message, row.error_hint) if failed else None,
    )
