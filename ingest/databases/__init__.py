"""The databases that dropslot runs on, SQLite and PostgreSQL: all that differs between them has its place here.

Everybody else writes what both understand: SQLAlchemy's expressions, or SQL without what only one of them has.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Engine, Table, make_url
from sqlalchemy.exc import DBAPIError

from ingest.databases.port import Backend, Fill, Merge, Rehearsal, UnfitDatabaseError
from ingest.databases.taking import Laying, Taking

__all__ = [
    "Backend",
    "Fill",
    "Laying",
    "Merge",
    "Rehearsal",
    "Taking",
    "UnfitDatabaseError",
    "backend_of",
    "insert_missing",
    "open_engine",
    "trouble",
    "writing",
]


def backend_of(place: Connection | Engine) -> Backend:
    """What is special to the database of this connection or engine."""
    return _named(place.dialect.name)


def _named(name: str) -> Backend:
    if name == "sqlite":
        from ingest.databases.sqlite import SQLite  # not above: every command would load what is not used

        return SQLite()
    if name in ("postgresql", "postgres"):
        from ingest.databases.postgresql import PostgreSQL

        return PostgreSQL()
    raise ValueError("there is no backend for this kind of database")


def open_engine(url: str) -> Engine:
    """An engine for the database at `url` (`sqlite:///FILE`, `postgresql://...`), which is not touched yet.

    Raises ArgumentError (SQLAlchemy's) or ValueError for what is no such address; their texts may quote it.
    """
    address = make_url(url)
    return _named(address.get_backend_name()).engine(address)


@contextmanager
def writing(conn: Connection, lock: str) -> Iterator[None]:
    """A transaction that keeps every other one of the same `lock` out from its beginning, so what it reads stays true.

    On SQLite there is one lock, whatever its name. Committed at the end of the block, rolled back by an exception, and
    in a `Rehearsal` rolled back in any case.
    """
    backend = backend_of(conn)
    conn.execution_options(**backend.writing)
    rehearsal: Rehearsal | None = conn.get_execution_options().get("rehearsal")
    with conn.begin() as transaction:
        backend.hold(conn, lock)
        if rehearsal is None:
            yield
            return
        rehearsal.before(conn)
        yield
        rehearsal.after(conn)
        transaction.rollback()


def insert_missing(conn: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert these rows but for those whose place (a unique constraint) is taken."""
    conn.execute(backend_of(conn).insert(table), list(rows))


def trouble(error: DBAPIError) -> tuple[str, str] | None:
    """A sentence and a hint for an operator if the database is away or full; None if the fault is the caller's."""
    if error.orig is None:
        return None
    name = "sqlite" if type(error.orig).__module__.startswith("sqlite3") else "postgresql"
    return _named(name).trouble(error.orig)
