"""What the agency's writes after a certain one have done to its records: for whoever was told all up to that one.

A record is told as it is now, however often it was written meanwhile. It was written if an upload has created, changed,
withdrawn or restored it; and if an undo has put it back. One that an undo has deleted is told by what it was known by,
unless it came and went without being told at all.
"""

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

from sqlalchemy import Connection, Select, Table, exists, or_, select

from ingest import tables
from ingest.inbox.listing import COLUMNS, PARTIES, PARTY_COLUMNS, select_records
from ingest.tables import changes, uploads

ACTIVE, GONE, DELETED = "active", "withdrawn", "removed"
STATE = "record_state"
_OWN = ("id", STATE)

TOLD: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        kind: (*_OWN, *(name for name in columns if name != "id"))
        for kind, columns in {**COLUMNS, PARTIES: PARTY_COLUMNS}.items()
    }
)
"""The columns of each kind of record: its number, its state (active, withdrawn, removed), and those of `COLUMNS`."""

_TABLES: Mapping[str, Table] = MappingProxyType(
    {kind: tables.metadata.tables[kind] for kind in COLUMNS} | {PARTIES: tables.case_parties}
)
_KNOWN_BY = MappingProxyType({"contacts": "value", "cases": "number"})
"""The column of what a deleted record was known by, where that is not `reference`."""


def records_since(conn: Connection, kind: str, agency_id: str, after: int | None) -> Iterator[dict[str, Any]]:
    """What was done to the records of one kind after that write, deleted ones first, by their numbers; or,
    with None, all records in no certain order.

    One dict per record, with the keys of `TOLD[kind]`. Rows are fetched as they are consumed. The connection must see
    one moment of the database, so that this and `last_number` agree (`Database.reading`).
    """
    if after is not None:
        yield from deleted_since(conn, kind, agency_id, after, after)
    table = _TABLES[kind]
    query = select_records(kind, agency_id).add_columns(table.c.withdrawn_upload.label(STATE))
    query = query.order_by(None)  # to sort all of them takes memory for all of them
    if after is not None:
        query = query.where(table.c.id.in_(_written(table, agency_id, after))).order_by(table.c.id)
    for row in conn.execution_options(yield_per=1000).execute(query):
        told = dict(row._mapping)
        yield told | {STATE: ACTIVE if told[STATE] is None else GONE}


def _written(table: Table, agency_id: str, after: int) -> Select[Any]:
    of_agency = select(uploads.c.id).where(uploads.c.agency_id == agency_id)
    done, undone = of_agency.where(uploads.c.sequence > after), of_agency.where(uploads.c.undone_sequence > after)
    put_back = select(changes.c.record_id).where(changes.c.kind == table.name, changes.c.upload_id.in_(undone))
    c = table.c
    written = (c.created_upload.in_(done), c.updated_upload.in_(done), c.withdrawn_upload.in_(done))
    return select(c.id).where(c.agency_id == agency_id, or_(*written, c.id.in_(put_back)))


def deleted_since(conn: Connection, kind: str, agency_id: str, after: int, told: int) -> Iterator[dict[str, Any]]:
    """The records of one kind that were deleted after that write, of those that the writes up to `told` have made: what
    came later was told to nobody. As `records_since` gives them."""
    r, table = tables.removed.c, _TABLES[kind]
    known = exists().where(uploads.c.id == r.upload_id, or_(uploads.c.sequence.is_(None), uploads.c.sequence <= told))
    # SQLite gives the highest ids anew; one that is the agency's again is told as what it is now.
    again = exists().where(table.c.id == r.record_id, table.c.agency_id == agency_id)
    query = select(r.record_id, r.reference).where(r.agency_id == agency_id, r.sequence > after, r.kind == table.name)
    for row in conn.execute(query.where(known, ~again).order_by(r.record_id, r.id)).all():
        yield dict.fromkeys(TOLD[kind]) | _name(kind, row.reference) | {"id": row.record_id, STATE: DELETED}


def _name(kind: str, reference: str | None) -> dict[str, str | None]:
    return {_KNOWN_BY.get(kind, "reference"): reference} if kind != PARTIES else {}
