"""The merge itself: what is staged becomes clients, cases, parties, contacts and events, one statement for each."""

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, exists, select, text

from ingest.databases import Merge, backend_of
from ingest.merge import statements
from ingest.merge.stage import Stage
from ingest.record import CASES, CLIENTS, EVENTS, PARTIES
from ingest.skip import forget
from ingest.tables import uploads

SHARED = "*"


@dataclass(frozen=True)
class Merged:
    """How many records of one kind were created and updated."""

    created: int
    updated: int


@dataclass(frozen=True)
class _Run:
    conn: Connection
    names: Mapping[str, str]

    def execute(self, sql: str) -> int:
        return self.conn.execute(text(sql), dict(self.names)).rowcount

    def merge(self, merge: Merge) -> Merged:
        return Merged(*backend_of(self.conn).merge(self.conn, merge, self.names))

    def find(self, table: str) -> None:
        """Give every staged client or case the id of its record."""
        backend, stage = backend_of(self.conn), f"stage_{table}"
        self.execute(backend.find(stage, table, statements.NATURAL[table]))
        backend.survey(self.conn, [stage])


def merge_records(stage: Stage, agency_id: str, template: str, upload_id: str) -> dict[str, Merged]:
    """Merge what is staged, in the transaction of the stage's connection, which must be a writing one.

    Drops the skip indexes of the agency's other templates that remember a record which is changed here.
    """
    run = _Run(stage.conn, {"agency": agency_id, "template": template, "upload": upload_id})
    columns = {table: list(names) for table, names in stage.columns.items()}
    merged = {}
    for entity in (CLIENTS, CASES):
        merged[entity.table] = run.merge(statements.merge_parents(entity, columns[entity.table]))
        run.find(entity.table)
    merged[PARTIES.table] = run.merge(statements.merge_parties(columns[PARTIES.table]))
    merged["contacts"] = run.merge(statements.merge_contacts())
    merged[EVENTS.table] = run.merge(statements.merge_events(columns[EVENTS.table]))
    if _has_others(stage.conn, agency_id, template):
        _settle_ownership(run, agency_id, template)
    return merged


def keep_errors(stage: Stage, upload_id: str) -> None:
    """Keep the staged row errors with the upload, whose row must be there."""
    stage.conn.execute(text(statements.keep_errors()), {"upload": upload_id})


def _has_others(conn: Connection, agency_id: str, template: str) -> bool:
    """Whether any other template has ever run for the agency; if not, there is nobody to tell."""
    query = select(exists().where(uploads.c.agency_id == agency_id, uploads.c.template != template))
    return bool(conn.execute(query).scalar())


def _settle_ownership(run: _Run, agency_id: str, template: str) -> None:
    for sql in statements.find_children():
        run.execute(sql)
    owners: set[str] = set()
    for entity in (CLIENTS, CASES, PARTIES, EVENTS):
        owners |= set(run.conn.execute(text(statements.foreign_owners(entity.table)), dict(run.names)).scalars())
        run.execute(statements.share(entity.table))
    if SHARED in owners:
        forget(run.conn, agency_id, but=template)
    elif owners:
        forget(run.conn, agency_id, owners)
