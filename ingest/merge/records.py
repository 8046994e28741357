"""The merge itself: what is staged becomes clients, cases, parties, contacts and events, one statement for each."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from sqlalchemy import Connection, exists, select, text

from ingest.answer import REST_TAKEN
from ingest.databases import Merge, backend_of
from ingest.merge import statements
from ingest.merge.custom import Custom
from ingest.merge.stage import Stage
from ingest.record import CASES, CLEARED, CLEARED_NUMBER, CLIENTS, EVENTS, PARTIES, PAYMENTS
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
    names: dict[str, str]
    clears: bool

    def execute(self, sql: str) -> int:
        return self.conn.execute(text(sql), dict(self.names)).rowcount

    def merge(self, merge: Merge) -> Merged:
        if self.clears:
            merge = replace(merge, mark=CLEARED, number_mark=CLEARED_NUMBER)
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
    run = _Run(stage.conn, {"agency": agency_id, "template": template, "upload": upload_id}, stage.clears)
    backend, columns = backend_of(stage.conn), {table: list(names) for table, names in stage.columns.items()}
    custom = {table: Custom(table, own) for table, own in stage.custom.items()}
    for each in custom.values():
        run.names.update(each.names)
    merged = {}
    for entity in (CLIENTS, CASES):
        table = entity.table
        merged[table] = run.merge(statements.merge_parents(backend, entity, columns[table], custom[table]))
        run.find(table)
    merged[PARTIES.table] = run.merge(statements.merge_parties(columns[PARTIES.table]))
    merged["contacts"] = run.merge(statements.merge_contacts(stage.about))
    events, payments = EVENTS.table, PAYMENTS.table
    merged[events] = run.merge(statements.merge_events(backend, columns[events], custom[events]))
    merged[payments] = run.merge(statements.merge_payments(backend, columns[payments], custom[payments]))
    if _has_others(stage.conn, agency_id, template):
        contacts = ("contacts",) if stage.about else ()  # without more said of them, nobody can change them
        tables = (CLIENTS.table, CASES.table, PARTIES.table, *contacts, EVENTS.table, PAYMENTS.table)
        _settle_ownership(run, agency_id, template, tables)
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
