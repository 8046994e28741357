"""The SQL of staging and merging; all that differs between databases has its place here.

Absent texts are NULL, never '', so `excluded.c <> coalesce(t.c, '')` reads: there is a value, and it is another one.
A joined UPDATE ... FROM makes SQLite scan the big table for each staged row; INSERT ... SELECT ... ON CONFLICT does
not, and also tells new rows from old ones by itself. LEFT JOINs keep SQLite from turning the loops around. Rows are
inserted in the order of the index that they go into: with a million rows that is worth a third of the time.

Only names of our own tables and columns are put into the text; values are bound.
"""
# ruff: noqa: S608

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection

from ingest.merge.custom import NO_CUSTOM, Custom
from ingest.record import CASES, CLIENTS, EVENTS, PARTIES, PAYMENTS, Entity

NATURAL = {CLIENTS.table: "identity", CASES.table: "identity"}
STAGE_MEMORY = 64 * 1024
"""KiB."""
_KEY = "key INTEGER PRIMARY KEY"  # on SQLite the row's own id, hence the cheapest of all indexes
_MOVED = ("starts_at", "local_date", "local_time", "zone")
_ERROR_COLUMNS = ("position", "row_number", "column_name", "value", "code", "message", "severity", "raw")


def prepare(conn: Connection) -> None:
    """Make a fresh connection keep temporary tables within bounded memory, and in files beyond. Before any statement.

    Otherwise a file of a million rows would hold all that it says in memory.
    """
    if conn.dialect.name == "sqlite":
        raw: Any = conn.connection.dbapi_connection  # beside SQLAlchemy, which would begin a transaction
        raw.execute("PRAGMA temp_store = FILE").close()
        raw.execute(f"PRAGMA temp.cache_size = -{STAGE_MEMORY}").close()


def create_stage(columns: Mapping[str, Sequence[str]]) -> list[str]:
    """Temporary tables with the columns that the file fills; they live as long as the connection."""
    bodies = {
        "clients": ["dirty INTEGER", "identity TEXT", "id INTEGER"],
        "cases": ["dirty INTEGER", "identity TEXT", "id INTEGER"],
        "case_parties": ["client INTEGER", "kase INTEGER", "id INTEGER"],
        "contacts": ["dirty INTEGER", "client INTEGER", "id INTEGER", "kind TEXT", "value TEXT"],
        "events": ["client INTEGER", "kase INTEGER", "id INTEGER", "slot TEXT", *(f"{name} TEXT" for name in _MOVED)],
        "payments": ["client INTEGER", "kase INTEGER", "id INTEGER", "slot TEXT"],
    }
    full = {table: [_KEY, *body, *(f"{c} TEXT" for c in columns.get(table, ()))] for table, body in bodies.items()}
    tables = [f"CREATE TEMPORARY TABLE stage_{table} ({', '.join(body)})" for table, body in full.items()]
    errors = ["position INTEGER PRIMARY KEY", "row_number INTEGER", *(f"{name} TEXT" for name in _ERROR_COLUMNS[2:])]
    return [*tables, f"CREATE TEMPORARY TABLE stage_errors ({', '.join(errors)})"]


def _stage(table: str, columns: Sequence[str], kept: Sequence[str], replaced: Sequence[str] = ()) -> str:
    """Insert by key; a later chunk's values are laid over those of an earlier one."""
    marks = ", ".join("?" * len(columns))
    changes = [f"{c} = coalesce(excluded.{c}, {c})" for c in kept] + [f"{c} = excluded.{c}" for c in replaced]
    then = f"UPDATE SET {', '.join(changes)}" if changes else "NOTHING"
    return f"INSERT INTO stage_{table} ({', '.join(columns)}) VALUES ({marks}) ON CONFLICT (key) DO {then}"


def stage_parent(entity: Entity, columns: Sequence[str]) -> str:
    """A client or a case: key, dirty, natural key, columns."""
    return _stage(entity.table, ["key", "dirty", NATURAL[entity.table], *columns], columns)


def stage_party(columns: Sequence[str]) -> str:
    """A party: key, keys of client and case, columns."""
    return _stage("case_parties", ["key", "client", "kase", *columns], columns)


def stage_contact(columns: Sequence[str]) -> str:
    """A contact: key, dirty, key of the client, kind, value, columns."""
    return _stage("contacts", ["key", "dirty", "client", "kind", "value", *columns], columns)


def stage_payment(columns: Sequence[str]) -> str:
    """A payment: key, keys of client and case, slot, columns."""
    return _stage("payments", ["key", "client", "kase", "slot", *columns], columns)


def stage_event(columns: Sequence[str]) -> str:
    """An event: key, keys of client and case, slot, instant, local date and time, zone, columns."""
    return _stage("events", ["key", "client", "kase", "slot", *_MOVED, *columns], columns, _MOVED)


def insert_errors() -> str:
    """A row error, as it will be kept."""
    return f"INSERT INTO stage_errors ({', '.join(_ERROR_COLUMNS)}) VALUES ({', '.join('?' * len(_ERROR_COLUMNS))})"


def merge_parents(entity: Entity, columns: Sequence[str], custom: Custom) -> str:
    """Clients or cases that are dirty; :agency, :template, :upload, names of custom fields."""
    natural = NATURAL[entity.table]
    source = (
        f"SELECT :agency, {natural}, {_list(columns)}{custom.packed()}:template, :upload, :upload "
        f"FROM stage_{entity.table} WHERE dirty = 1 ORDER BY {natural}"
    )
    return _merge(entity.table, [natural], columns, source, f"agency_id, {natural}", custom=custom)


def find_parents(entity: Entity) -> str:
    """Give every staged client or case the id of its record; :agency."""
    natural = NATURAL[entity.table]
    stage = f"stage_{entity.table}"
    found = f"SELECT t.id FROM {entity.table} t WHERE t.agency_id = :agency AND t.{natural} = {stage}.{natural}"
    return f"UPDATE {stage} SET id = ({found})"


def merge_parties(columns: Sequence[str]) -> str:
    """Parties, all of them dirty."""
    source = (
        f"SELECT :agency, k.id, c.id, {_list(columns, 's.')}:template, :upload, :upload FROM stage_case_parties s "
        "LEFT JOIN stage_clients c ON c.key = s.client LEFT JOIN stage_cases k ON k.key = s.kase "
        "WHERE true ORDER BY k.id"
    )
    return _merge("case_parties", ["case_id", "client_id"], columns, source, "case_id, client_id")


def merge_contacts(columns: Sequence[str]) -> str:
    """Contacts; those that are not dirty are only there if they are new. Without columns nothing in them changes."""
    source = (
        f"SELECT :agency, c.id, s.kind, s.value, {_list(columns, 's.')}:template, :upload, :upload "
        "FROM stage_contacts s LEFT JOIN stage_clients c ON c.key = s.client "
        f"WHERE {'s.dirty = 1' if columns else 'true'} ORDER BY c.id"
    )
    return _merge("contacts", ["client_id", "kind", "value"], columns, source, "client_id, kind, value")


def merge_events(columns: Sequence[str], custom: Custom) -> str:
    """Events, all of them dirty. Date, time, instant and zone go together."""
    source = (
        f"SELECT :agency, c.id, k.id, s.slot, {_list(_MOVED, 's.')}{_list(columns, 's.')}{custom.packed('s.')}"
        ":template, :upload, :upload "
        "FROM stage_events s LEFT JOIN stage_clients c ON c.key = s.client LEFT JOIN stage_cases k ON k.key = s.kase "
        "WHERE true ORDER BY c.id, k.id"
    )
    return _merge("events", ["client_id", "case_id", "slot"], columns, source, _SLOT, _MOVED, custom)


def merge_payments(columns: Sequence[str], custom: Custom) -> str:
    """Payments, all of them dirty."""
    staged = "".join(f"CAST(s.{c} AS BIGINT), " if c in _NUMBERS else f"s.{c}, " for c in columns)
    source = (
        f"SELECT :agency, c.id, k.id, s.slot, {staged}{custom.packed('s.')}:template, :upload, :upload "
        "FROM stage_payments s LEFT JOIN stage_clients c ON c.key = s.client LEFT JOIN stage_cases k ON k.key = s.kase "
        "WHERE true ORDER BY c.id, k.id"
    )
    return _merge("payments", ["client_id", "case_id", "slot"], columns, source, _SLOT, custom=custom)


_SLOT = "coalesce(client_id, 0), coalesce(case_id, 0), slot"
_NUMBERS = frozenset({"amount"})


def _merge(
    table: str,
    own: Sequence[str],
    columns: Sequence[str],
    source: str,
    conflict: str,
    moved: Sequence[str] = (),
    custom: Custom = NO_CUSTOM,
) -> str:
    into = ["agency_id", *own, *moved, *columns, *custom.column, "template", "created_upload", "updated_upload"]
    changes = [f"{c} = coalesce(excluded.{c}, {table}.{c})" for c in columns] + [f"{c} = excluded.{c}" for c in moved]
    changes += custom.change(table)
    differs = [_differs(table, c) for c in columns]
    differs += [f"coalesce(excluded.{c}, '') <> coalesce({table}.{c}, '')" for c in moved]
    differs += custom.differs(table)
    then = (
        f"UPDATE SET {', '.join(changes)}, updated_upload = excluded.updated_upload WHERE {' OR '.join(differs)}"
        if changes
        else "NOTHING"
    )
    return f"INSERT INTO {table} ({', '.join(into)}) {source} ON CONFLICT ({conflict}) DO {then}"


def _differs(table: str, column: str) -> str:
    if column in _NUMBERS:
        return (
            f"(excluded.{column} IS NOT NULL AND ({table}.{column} IS NULL OR excluded.{column} <> {table}.{column}))"
        )
    return f"excluded.{column} <> coalesce({table}.{column}, '')"


def _list(columns: Iterable[str], prefix: str = "") -> str:
    return "".join(f"{prefix}{column}, " for column in columns)


def find_children(tables: Iterable[str]) -> list[str]:
    """Give staged parties, contacts, events and payments the ids of their records."""
    client = "(SELECT id FROM stage_clients WHERE key = {s}.client)"
    case = "(SELECT id FROM stage_cases WHERE key = {s}.kase)"
    party = f"SELECT t.id FROM case_parties t WHERE t.case_id = {case} AND t.client_id = {client}"
    slotted = (
        f"SELECT t.id FROM {{table}} t WHERE coalesce(t.client_id, 0) = coalesce({client}, 0) "
        f"AND coalesce(t.case_id, 0) = coalesce({case}, 0) AND t.slot = {{s}}.slot"
    )
    contact = (
        f"SELECT t.id FROM contacts t WHERE t.client_id = {client} AND t.kind = {{s}}.kind AND t.value = {{s}}.value"
    )
    found = {PARTIES.table: party, "contacts": contact, EVENTS.table: slotted, PAYMENTS.table: slotted}
    return [
        f"UPDATE stage_{table} SET id = ({found[table].format(s=f'stage_{table}', table=table)})"
        for table in tables
        if table in found
    ]


def foreign_owners(table: str) -> str:
    """Whose records, not ours alone, this upload has changed; :template, :upload."""
    return (
        f"SELECT DISTINCT t.template FROM stage_{table} s JOIN {table} t ON t.id = s.id "
        f"WHERE t.updated_upload = :upload AND t.template <> :template"
    )


def share(table: str) -> str:
    """Mark the records that this file speaks of and that another template's file spoke of before; :template."""
    dirty = " WHERE dirty = 1" if table in (*NATURAL, "contacts") else ""
    return (
        f"UPDATE {table} SET template = '*' WHERE id IN (SELECT id FROM stage_{table}{dirty}) "
        "AND template NOT IN (:template, '*')"
    )


def keep_errors() -> str:
    """Row errors; :upload."""
    columns = ", ".join(_ERROR_COLUMNS)
    return (
        f"INSERT INTO row_errors (upload_id, {columns}) SELECT :upload, {columns} FROM stage_errors ORDER BY position"
    )
