"""The merge itself: what is staged becomes clients, cases, parties, contacts and events, one statement for each."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, exists, func, select, text

from ingest.merge import statements
from ingest.merge.custom import Custom
from ingest.merge.stage import Stage
from ingest.record import CASES, CLIENTS, EVENTS, PARTIES, PAYMENTS
from ingest.skip import forget
from ingest.tables import metadata, uploads

SHARED = "*"


@dataclass(frozen=True)
class Merged:
    """How many records of one kind were created and updated."""

    created: int
    updated: int


@dataclass(frozen=True)
class _Run:
    conn: Connection
    names: dict[str, str]

    def execute(self, sql: str) -> int:
        return self.conn.execute(text(sql), dict(self.names)).rowcount

    def merge(self, table: str, sql: str) -> Merged:
        """Execute a merge into `table`. New rows have ids above those of before: we are the only writer."""
        ids = metadata.tables[table].c.id
        before = self.conn.execute(select(func.coalesce(func.max(ids), 0))).scalar_one()
        touched = self.execute(sql)
        created = self.conn.execute(select(func.count()).where(ids > before)).scalar_one()
        return Merged(created, touched - created)


def merge_records(stage: Stage, agency_id: str, template: str, upload_id: str) -> dict[str, Merged]:
    """Merge what is staged, in the transaction of the stage's connection, which must be a writing one.

    Drops the skip indexes of the agency's other templates that remember a record which is changed here.
    """
    run = _Run(stage.conn, {"agency": agency_id, "template": template, "upload": upload_id})
    columns = {table: list(names) for table, names in stage.columns.items()}
    custom = {table: Custom(table, own, stage.conn.dialect.name) for table, own in stage.custom.items()}
    for each in custom.values():
        run.names.update(each.names)
    merged = {}
    for entity in (CLIENTS, CASES):
        sql = statements.merge_parents(entity, columns[entity.table], custom[entity.table])
        merged[entity.table] = run.merge(entity.table, sql)
        run.execute(statements.find_parents(entity))
    merged[PARTIES.table] = run.merge(PARTIES.table, statements.merge_parties(columns[PARTIES.table]))
    merged["contacts"] = run.merge("contacts", statements.merge_contacts(stage.about))
    for table, sql in (
        (EVENTS.table, statements.merge_events(columns[EVENTS.table], custom[EVENTS.table])),
        (PAYMENTS.table, statements.merge_payments(columns[PAYMENTS.table], custom[PAYMENTS.table])),
    ):
        merged[table] = run.merge(table, sql)
    if _has_others(stage.conn, agency_id, template):
        contacts = ("contacts",) if stage.about else ()  # without more said of them, nobody can change them
        tables = (CLIENTS.table, CASES.table, PARTIES.table, *contacts, EVENTS.table, PAYMENTS.table)
        _settle_ownership(run, agency_id, template, tables)
    return merged


def keep_errors(stage: Stage, upload_id: str) -> None:
    """Keep the staged row errors with the upload, whose row must be there."""
    stage.conn.execute(text(statements.keep_errors()), {"upload": upload_id})


def _has_others(conn: Connection, agency_id: str, template: str) -> bool:
    """Whether any other template has ever run for the agency; if not, there is nobody to tell."""
    query = select(exists().where(uploads.c.agency_id == agency_id, uploads.c.template != template))
    return bool(conn.execute(query).scalar())


def _settle_ownership(run: _Run, agency_id: str, template: str, tables: Sequence[str]) -> None:
    for sql in statements.find_children(tables):
        run.execute(sql)
    owners: set[str] = set()
    for table in tables:
        owners |= set(run.conn.execute(text(statements.foreign_owners(table)), dict(run.names)).scalars())
        run.execute(statements.share(table))
    if SHARED in owners:
        forget(run.conn, agency_id, but=template)
    elif owners:
        forget(run.conn, agency_id, owners)
