"""SQLite: one file, one writer at a time.

Its own driver would begin transactions by guessing from the statement, so it is told not to (`isolation_level` None)
and each transaction begins here: `BEGIN` for reading, `BEGIN IMMEDIATE` for writing. A reader never waits for a writer
(WAL), and a writer waits for another one up to `BUSY_SECONDS` instead of failing half-way.

A joined UPDATE ... FROM makes SQLite scan the big table for each staged row; INSERT ... SELECT ... ON CONFLICT does
not, and also tells new rows from old ones by itself. Rows are inserted in the order of the index that they go into:
with a million rows that is worth a third of the time.
"""
# ruff: noqa: S608

import os
import sqlite3
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import closing, suppress
from types import MappingProxyType
from typing import Any

from sqlalchemy import URL, Connection, Engine, Executable, Table, create_engine, event, text
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import QueuePool

from ingest.databases.port import NO_OPTIONS, Fill, Merge
from ingest.databases.taking import Laying

BUSY_SECONDS = 60
PAGE = 8192
"""Bytes of a page of a new database; twice the usual, for a merge writes most pages of what it touches."""
PRAGMAS = (
    "PRAGMA synchronous=FULL",
    "PRAGMA foreign_keys=ON",
    "PRAGMA temp_store=MEMORY",
    "PRAGMA cache_size=-65536",
)
STAGE_MEMORY = 64 * 1024
"""KiB."""
MANY = 20_000
"""Rows written, staged ones too, beyond which a run brings its write-ahead log into the file itself."""
LOOK_AGAIN = 0.02
_CHECKPOINT = "checkpoint of"
_DAMAGED = ("malformed", "not a database")
_AWAY = ("locked", "busy", "unable to open", "disk", "readonly", "full", "i/o error")


class SQLite:
    """`Backend` for the embedded database."""

    is_embedded = True
    key = "INTEGER PRIMARY KEY"  # the row's own id, hence the cheapest of all indexes
    reading: Mapping[str, Any] = NO_OPTIONS
    writing: Mapping[str, Any] = MappingProxyType({"sqlite_begin": "IMMEDIATE"})

    def engine(self, url: URL) -> Engine:
        """See `Backend`."""
        # Parameters are cells of courts' files; they must not reach a log in the text of an exception.
        options: dict[str, Any] = {"connect_args": {"timeout": BUSY_SECONDS}, "hide_parameters": True}
        engine = create_engine(url, poolclass=QueuePool, pool_size=4, **options)
        event.listen(engine, "do_connect", _begin_file)
        event.listen(engine, "connect", _prepare)
        event.listen(engine, "begin", _begin)
        event.listen(engine, "engine_disposed", _await_checkpoints)
        return engine

    def hold(self, conn: Connection, lock: str) -> None:
        """BEGIN IMMEDIATE holds the only lock there is."""

    def settle_in(self, conn: Connection) -> None:
        """Nothing bounds a transaction's time."""

    def describe(self, conn: Connection) -> str:
        """See `Backend`."""
        return f"SQLite {conn.execute(text('SELECT sqlite_version()')).scalar_one()}"

    def trouble(self, error: BaseException) -> tuple[str, str] | None:
        """See `Backend`."""
        said = str(error).lower()
        if isinstance(error, sqlite3.DatabaseError) and any(sign in said for sign in _DAMAGED):
            return (
                f"The database is damaged ({error}).",
                "Stop the server, and put dropslot.db back from a backup. What was received meanwhile is kept.",
            )
        if not isinstance(error, sqlite3.OperationalError) or not any(sign in said for sign in _AWAY):
            return None
        return (
            f"The database cannot be used just now ({error}).",
            "Check free space and the owner of the data directory.",
        )

    def insert(self, table: Table) -> Executable:
        """See `Backend`."""
        return insert(table).on_conflict_do_nothing()

    def prepare_stage(self, conn: Connection, tables: Sequence[str]) -> None:
        """See `Backend`. Otherwise a file of a million rows would hold all that it says in memory.

        Foreign keys are not looked up for each row: the merge has just found them, under the lock of its transaction,
        and with a million rows that is worth a quarter of the time.
        """
        raw: Any = conn.connection.dbapi_connection  # beside SQLAlchemy, which would begin a transaction
        raw.execute("PRAGMA temp_store = FILE").close()
        raw.execute(f"PRAGMA temp.cache_size = -{STAGE_MEMORY}").close()
        raw.execute("PRAGMA foreign_keys = OFF").close()
        raw.execute("PRAGMA wal_autocheckpoint = 0").close()
        for table in tables:
            conn.exec_driver_sql(table)

    def end_stage(self, conn: Connection, raw: Any) -> None:
        """See `Backend`. A long write-ahead log goes into the file beside the caller, whose rows are safe in the log.

        Others would do it within their next commit, and need not while it is being done. A short log is left to them.
        """
        file = conn.engine.url.database
        own = _beside(file, raw)
        conn.close()
        raw.close()  # SQLAlchemy forgets a detached connection that was interrupted, and its lock would stay
        if own:
            threading.Thread(target=_checkpoint, args=(own,), name=f"{_CHECKPOINT} {file}").start()

    def fill(self, conn: Connection, fill: Fill, data: Sequence[Sequence[object]], *, first: bool) -> None:
        """See `Backend`."""
        sql = f"INSERT INTO {fill.table} ({', '.join(fill.columns)}) VALUES ({', '.join('?' * len(fill.columns))})"
        if fill.key:
            changes = ", ".join(fill.changes)
            sql += f" ON CONFLICT ({fill.key}) DO " + (f"UPDATE SET {changes}" if changes else "NOTHING")
        raw: Any = conn.connection.dbapi_connection  # beside SQLAlchemy, which would want a list of all rows first
        try:
            raw.executemany(sql, zip(*data, strict=True)).close()
        except sqlite3.Error as error:
            raise DBAPIError.instance(sql, None, error, sqlite3.Error, hide_parameters=True) from error

    def seek(self, conn: Connection, tables: Sequence[str]) -> None:
        """The key is the row's own id."""

    def survey(self, conn: Connection, tables: Sequence[str]) -> None:
        """The statements are written so that it has no choice."""

    def pack(self, pairs: str) -> str:
        """See `Backend`. `json_patch` is RFC 7396, which takes out what is null."""
        return f"nullif(json_patch('{{}}', json_object({pairs})), '{{}}')"

    def reserve(self, conn: Connection, tables: Sequence[str]) -> None:
        """We are the only writer."""

    def newest(self, conn: Connection, table: str) -> int:
        """See `Backend`. We are the only writer."""
        return int(conn.execute(text(f"SELECT coalesce(max(id), 0) FROM {table}")).scalar_one())

    def merge(self, conn: Connection, merge: Merge, names: Mapping[str, Any]) -> tuple[int, int]:
        """See `Backend`. It has to look for the record in any case."""
        table, before = merge.table, self.newest(conn, merge.table)
        conn.exec_driver_sql(_watch(merge))
        touched = conn.execute(text(_upsert(merge)), dict(names)).rowcount
        conn.exec_driver_sql(f"DROP TRIGGER temp.watch_{table}")
        count = text(f"SELECT count(*) FROM {table} WHERE id > :before")
        created = conn.execute(count, {"before": before}).scalar_one()
        if created and (unmark := _unmark(merge)):
            conn.execute(text(unmark), {"before": before})
        if merge.found:
            conn.execute(text(self.find(merge.found, table, merge.match[1])), dict(names))
        return created, touched - created

    def find(self, stage: str, table: str, natural: str) -> str:
        """See `Backend`."""
        found = f"SELECT t.id FROM {table} t WHERE t.agency_id = :agency AND t.{natural} = {stage}.{natural}"
        return f"UPDATE {stage} SET id = ({found})"


def _beside(file: Any, raw: sqlite3.Connection) -> sqlite3.Connection | None:
    """If much was written, another connection, in use already: the last one to be closed would bring in the log."""
    with suppress(sqlite3.Error):  # the first is closed if it was interrupted
        if raw.total_changes >= MANY:
            own = sqlite3.connect(file, check_same_thread=False)
            own.execute("PRAGMA user_version").fetchone()
            return own
    return None


def _checkpoint(raw: sqlite3.Connection) -> None:
    with closing(raw), suppress(sqlite3.Error):  # else it is done with a later commit
        raw.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()


def _await_checkpoints(engine: Engine) -> None:
    """Whoever has closed a database may take its files away."""
    for thread in threading.enumerate():
        if thread.name == f"{_CHECKPOINT} {engine.url.database}":
            thread.join()


def _unmark(merge: Merge) -> str:
    """New records took over what was staged as it was; empty if that is what they hold."""
    values = {column.name: column.begins() for column in merge.columns if not column.is_plain}
    values |= {laid.name: _without(laid, laid.name) for laid in merge.laid if not laid.is_plain}
    changes = ", ".join(f"{name} = {value}" for name, value in values.items())
    differs = " OR ".join(f"{value} IS NOT {name}" for name, value in values.items())
    return f"UPDATE {merge.table} SET {changes} WHERE id > :before AND ({differs})" if values else ""


def _watch(merge: Merge) -> str:
    """A trigger of this connection alone: it sees what an update has really changed, and costs nothing else."""
    each = [f"SELECT '{c}' AS name, OLD.{c} AS old, NEW.{c} AS new WHERE OLD.{c} IS NOT NEW.{c}" for c in merge.watched]
    return (
        f"CREATE TEMPORARY TRIGGER watch_{merge.table} AFTER UPDATE OF updated_upload ON main.{merge.table} BEGIN "
        "INSERT INTO changes (upload_id, kind, record_id, before, after) SELECT "
        f"NEW.updated_upload, '{merge.table}', NEW.id, json_group_object(name, old), json_group_object(name, new) "
        f"FROM ({' UNION ALL '.join(each)}); END"
    )


def _upsert(merge: Merge) -> str:
    table = merge.table
    values = {column.name: column.becomes("excluded", table) for column in merge.columns}
    values |= {laid.name: _laid_over(laid, f"excluded.{laid.name}", f"{table}.{laid.name}") for laid in merge.laid}
    changes = ", ".join(f"{name} = {value}" for name, value in values.items())
    differs = " OR ".join(f"{value} IS NOT {table}.{name}" for name, value in values.items())
    then = f"UPDATE SET {changes}, updated_upload = excluded.updated_upload WHERE {differs}" if values else "NOTHING"
    return (
        f"INSERT INTO {table} ({', '.join(merge.into)}) {merge.source} ORDER BY {merge.order} "
        f"ON CONFLICT ({', '.join(merge.match)}) DO {then}"
    )


def _laid_over(laid: Laying, new: str, old: str) -> str:
    new, there = f"coalesce({new}, '{{}}')", f"coalesce({old}, '{{}}')"
    said = _with_old(laid, new, there) if laid.leaves else new
    said = f"json_patch(:{laid.taken_out}, {said})" if laid.taken_out else said  # a key stays where it is, or goes
    both = f"json_patch({there}, {said})"
    return _without(laid, both) if laid.empties else f"nullif({both}, '{{}}')"


def _with_old(laid: Laying, fields: str, old: str) -> str:
    """The JSON object, but with the old texts (null, if there are none) where nothing is said."""
    there = f"SELECT o.value FROM json_each({old}) o WHERE o.key = n.key"
    each = f"CASE WHEN n.value = {laid.leaves} THEN ({there}) ELSE n.value END"
    return f"(SELECT json_group_object(n.key, {each}) FROM json_each({fields}) n)"


def _without(laid: Laying, fields: str) -> str:
    """The JSON object without the texts that stand for something else; NULL if it is empty."""
    marks = ", ".join(filter(None, (laid.empties, laid.leaves)))
    left = f"SELECT json_group_object(key, value) FROM json_each({fields}) WHERE value NOT IN ({marks})"
    return f"nullif(({left}), '{{}}')"


def _begin_file(_dialect: Any, _record: Any, arguments: Any, _options: Any) -> None:
    """A new database is its owner's alone to read, wherever it is copied to; its log takes over its permissions."""
    with suppress(OSError):  # it is there, or SQLite says what is wrong
        os.close(os.open(arguments[0], os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))


def _prepare(connection: sqlite3.Connection, _record: Any) -> None:
    connection.isolation_level = None
    connection.execute(f"PRAGMA page_size={PAGE}").close()
    _keep_wal(connection)
    for pragma in PRAGMAS:
        connection.execute(pragma).close()


def _keep_wal(connection: sqlite3.Connection) -> None:
    """Have the file keep a write-ahead log, as it does from its first connection on.

    For that change SQLite does not wait for others, who may be making it just now.
    """
    patience = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL").close()
            return
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > patience:
                raise
        time.sleep(LOOK_AGAIN)


def _begin(conn: Connection) -> None:
    kind = conn.get_execution_options().get("sqlite_begin", "DEFERRED")
    conn.exec_driver_sql(f"BEGIN {kind}")
