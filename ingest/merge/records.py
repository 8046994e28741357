"""The merge itself: what is staged becomes clients, cases, parties, contacts and events, one statement for each."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection, exists, select, text

from ingest.answer import REST_TAKEN
from ingest.databases import Merge, backend_of
from ingest.index import forget
from ingest.merge import statements
from ingest.merge.custom import Custom
from ingest.merge.snapshot import Snapshot, Withdrawn
from ingest.merge.stage import Stage
from ingest.merge.withdrawal import count_live, has_withdrawn, restore, withdraw
from ingest.record import CASES, CLIENTS, EVENTS, PARTIES, PAYMENTS
from ingest.tables import uploads

SHARED = "*"


@dataclass(frozen=True)
class Merged:
    """How many records of one kind were created, updated, and brought back; the three share none."""

    created: int
    updated: int
    restored: int = 0


@dataclass(frozen=True)
class Outcome:
    """What became of the records: by table, and what a snapshot has withdrawn."""

    merged: Mapping[str, Merged]
    withdrawn: Withdrawn | None = None


@dataclass(frozen=True)
class _Run:
    stage: Stage
    names: dict[str, Any]
    whole: bool

    @property
    def conn(self) -> Connection:
        return self.stage.conn

    def execute(self, sql: str) -> int:
        return self.conn.execute(text(sql), dict(self.names)).rowcount

    def merge(self, merge: Merge) -> Merged:
        if not self.stage.holds(merge.table):
            return Merged(0, 0)
        merge = replace(merge, many=self.stage.holds_many(merge.table))
        return Merged(*backend_of(self.conn).merge(self.conn, merge, self.names))


def merge_records(
    stage: Stage, agency_id: str, template: str, upload_id: str, snapshot: Snapshot | None = None
) -> Outcome:
    """Merge what is staged, in the transaction of the stage's connection, which must be a writing one.

    Records that were withdrawn and are named again are restored. Those that a `snapshot`, of which every good row is
    staged, does not name are withdrawn. Drops the skip indexes of the agency's other templates that remember a record
    which is changed here.
    """
    names: dict[str, Any] = {"agency": agency_id, "template": template, "upload": upload_id}
    backend_of(stage.conn).reserve(stage.conn, statements.TABLES)
    for entity in (CLIENTS, CASES):
        names[f"last_{entity.prefix}"] = backend_of(stage.conn).newest(stage.conn, entity.table)
    run = _Run(stage, names, snapshot is not None)
    live = count_live(run.conn, snapshot, run.names) if snapshot else {}
    others, back = _has_others(stage.conn, agency_id, template), has_withdrawn(stage.conn, agency_id)
    if others or back or snapshot:
        backend_of(stage.conn).seek(stage.conn, [f"stage_{entity.table}" for entity in (CLIENTS, CASES)])
    merged = _merge_all(run)
    if not (others or back or snapshot):
        return Outcome(merged)
    contacts = ("contacts",) if stage.about or others or back or snapshot else ()  # else nobody can change them
    tables = (CLIENTS.table, CASES.table, PARTIES.table, *contacts, EVENTS.table, PAYMENTS.table)
    tables = tuple(table for table in tables if stage.holds(table))
    for sql in statements.find_children(tables):
        run.execute(sql)
    if back:
        merged = {table: _restored(run, table, counts) for table, counts in merged.items()}
    if others:
        _settle_ownership(run, agency_id, template, tables)
    return Outcome(merged, withdraw(run.conn, snapshot, live, run.names) if snapshot else None)


def _restored(run: _Run, table: str, counts: Merged) -> Merged:
    restored, changed = restore(run.conn, table, run.names)
    return replace(counts, updated=counts.updated - changed, restored=restored)


def _merge_all(run: _Run) -> dict[str, Merged]:
    """One statement for each table, parents first."""
    stage = run.stage
    backend, columns = backend_of(stage.conn), {table: list(names) for table, names in stage.columns.items()}
    custom = {table: Custom(table, own, run.whole) for table, own in stage.custom.items()}
    for each in custom.values():
        run.names.update(each.names)
    merged = {}
    manner = stage.manner(run.whole)
    for entity in (CLIENTS, CASES):
        table = entity.table
        merged[table] = run.merge(statements.merge_parents(backend, entity, columns[table], custom[table], manner))
    events, payments = EVENTS.table, PAYMENTS.table
    for merge in (
        statements.merge_parties(columns[PARTIES.table], manner),
        statements.merge_contacts(stage.about, manner),
        statements.merge_events(backend, columns[events], custom[events], manner),
        statements.merge_payments(backend, columns[payments], custom[payments], manner),
    ):
        merged[merge.table] = run.merge(merge)
    return merged


def keep_errors(stage: Stage, upload_id: str, nothing_taken: bool = False) -> None:
    """Keep the staged row errors with the upload, whose row must be there; with `nothing_taken` none of them says that
    the rest of its row was."""
    names = {"upload": upload_id, "taken": REST_TAKEN if nothing_taken else ""}
    stage.conn.execute(text(statements.keep_errors()), names)


def _has_others(conn: Connection, agency_id: str, template: str) -> bool:
    """Whether any other template has ever run for the agency; if not, there is nobody to tell."""
    query = select(exists().where(uploads.c.agency_id == agency_id, uploads.c.template != template))
    return bool(conn.execute(query).scalar())


def _settle_ownership(run: _Run, agency_id: str, template: str, tables: Sequence[str]) -> None:
    owners: set[str] = set()
    for table in tables:
        owners |= set(run.conn.execute(text(statements.foreign_owners(table)), dict(run.names)).scalars())
        run.execute(statements.hold_shared(table))
        run.execute(statements.share(table))
        if run.whole:
            run.execute(statements.hold_named(table))
    if SHARED in owners:
        forget(run.conn, agency_id, but=template)
    elif owners:
        forget(run.conn, agency_id, owners)
