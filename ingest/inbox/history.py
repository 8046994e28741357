"""The history of a record: which upload has set which of its fields, when, and from what to what.

What `ingest.undo` has put back is told as well. A record that an undo has removed has no history any more.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from operator import attrgetter
from types import MappingProxyType
from typing import Any

from sqlalchemy import Connection, Row, select

from ingest import tables
from ingest.errors import IngestError
from ingest.record import CUSTOM, KINDS
from ingest.tables import case_parties, changes, clients, uploads

_SHOWN = MappingProxyType({"group_name": "group", "local_date": "date", "local_time": "time"})
"""Columns that people know by another name."""
_OWN = ("updated_upload", "starts_at", "template")
"""Columns that say nothing of their own: an event's instant is that of its date, time and zone, and whoever restores a
record has it for itself."""
_WITHDRAWN = "withdrawn_upload"


@dataclass(frozen=True)
class Change:
    """One thing that happened to a record at `at`, by `upload`, which read `file`.

    `action` is created, set, withdrawn, restored, or undone: the upload was, and the field has its old value again.
    `field` is empty where it is the whole record; `old` and `new` are what the field held and holds since.
    """

    at: datetime
    action: str
    field: str
    old: str | int | None
    new: str | int | None
    upload: str
    file: str


def record_history(conn: Connection, kind: str, record_id: int) -> list[Change]:
    """All that happened to the record, in order; with a case, to its parties too.

    Raises IngestError `not_found`, `invalid` for an unknown kind.
    """
    if kind not in KINDS:
        raise IngestError("invalid", f"There are no records named {kind}.", f"Choose one of {', '.join(KINDS)}.")
    table = tables.metadata.tables[kind]
    record = conn.execute(select(table).where(table.c.id == record_id)).first()
    if record is None:
        raise IngestError(
            "not_found",
            f"There is no record {record_id} among the {kind}; the undo of an upload may have removed it.",
            f"Its number is the last column of: dropslot record list {kind} --agency A",
        )
    told = [*_whole(conn, record.created_upload, "created", ""), *_changed(conn, kind, record, "")]
    if kind == "cases":
        told += [change for party, name in _parties(conn, record_id) for change in _party(conn, record, party, name)]
    return sorted(told, key=attrgetter("at"))


def _parties(conn: Connection, case_id: int) -> Iterator[tuple[Row[Any], str]]:
    """The parties of a case, each with how its person is called."""
    query = select(
        case_parties, clients.c.last_name, clients.c.first_name, clients.c.business_name, clients.c.reference
    )
    query = query.join(clients, clients.c.id == case_parties.c.client_id).where(case_parties.c.case_id == case_id)
    for party in conn.execute(query.order_by(case_parties.c.id)).all():
        names = ", ".join(name for name in (party.last_name, party.first_name) if name)
        yield party, names or party.business_name or party.reference or f"client {party.client_id}"


def _party(conn: Connection, case: Row[Any], party: Row[Any], name: str) -> Iterator[Change]:
    if party.created_upload != case.created_upload:
        yield from _whole(conn, party.created_upload, "created", name)
    yield from _changed(conn, "case_parties", party, name)


def _whole(conn: Connection, upload_id: str, action: str, party: str) -> Iterator[Change]:
    """What an upload did to the record as a whole."""
    for upload in conn.execute(select(uploads).where(uploads.c.id == upload_id)):
        yield Change(upload.finished_at, action, party and f"party {party}", None, None, upload.id, upload.file)


def _changed(conn: Connection, kind: str, record: Row[Any], party: str) -> Iterator[Change]:
    columns = (uploads.c.id, uploads.c.file, uploads.c.finished_at, uploads.c.undone_at)
    query = select(*columns, changes.c.before, changes.c.after).join(changes, changes.c.upload_id == uploads.c.id)
    query = query.where(changes.c.kind == kind, changes.c.record_id == record.id).order_by(changes.c.id)
    withdrawn = record.withdrawn_upload
    for row in conn.execute(query).all():
        before, after = json.loads(row.before), json.loads(row.after)
        if withdrawn and after.get(_WITHDRAWN) == withdrawn:
            withdrawn = None
        for field, old, new in _fields(before, after):
            yield from _change(row, field, old, new, party)
    if withdrawn:
        yield from _whole(conn, withdrawn, "withdrawn", party)


def _change(row: Any, field: str, old: Any, new: Any, party: str) -> Iterator[Change]:
    """That an upload set a field, and that it was undone, if it was."""
    action, name = "set", f"{field} of {party}" if party else field
    if field == _WITHDRAWN:
        action, name = "withdrawn" if new else "restored", party and f"party {party}"
        old, new = None, None
    yield Change(row.finished_at, action, name, old, new, row.id, row.file)
    if row.undone_at is not None:
        yield Change(row.undone_at, "undone", name, new, old, row.id, row.file)


def _fields(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    """The fields that differ, each with both values; custom fields one by one."""
    for column in before:
        if column == CUSTOM:
            old, new = json.loads(before[CUSTOM] or "{}"), json.loads(after[CUSTOM] or "{}")
            names = (name for name in {**old, **new} if old.get(name) != new.get(name))
            yield from ((name, old.get(name), new.get(name)) for name in names)
        elif column not in _OWN:
            yield _SHOWN.get(column, column), before[column], after[column]
