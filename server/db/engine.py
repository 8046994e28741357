"""How a connection to the database is made, and how a transaction begins.

SQLite's own driver would begin transactions by guessing from the statement, so it is told not to (`isolation_level`
None) and each transaction begins here: `BEGIN` for reading, `BEGIN IMMEDIATE` for writing. A reader never waits for a
writer (WAL), and a writer waits for another one up to `BUSY_SECONDS` instead of failing half-way.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.pool import QueuePool

from server.errors import AppError, Code

BUSY_SECONDS = 60
PRAGMAS = (
    "PRAGMA journal_mode=WAL",
    "PRAGMA synchronous=FULL",
    "PRAGMA foreign_keys=ON",
    "PRAGMA temp_store=MEMORY",
    "PRAGMA cache_size=-65536",
)


class Database:
    """Hands out connections whose transaction belongs to the caller."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A connection for queries; sees one moment of the database, locks nobody out."""
        with translated(), self.engine.connect() as conn:
            yield conn

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A connection in a write transaction, committed at the end of the block, rolled back by an exception."""
        options = {"sqlite_begin": "IMMEDIATE"}
        with translated(), self.engine.execution_options(**options).connect() as conn, conn.begin():
            yield conn

    def close(self) -> None:
        """Close all idle connections."""
        self.engine.dispose()


def open_database(url: str) -> Database:
    """Open the database at `url` without touching it yet."""
    engine = create_engine(url, poolclass=QueuePool, pool_size=4, **_options())
    event.listen(engine, "connect", _prepare)
    event.listen(engine, "begin", _begin)
    return Database(engine)


def _options() -> dict[str, Any]:
    # Parameters are cells of courts' files; they must not reach a log in the text of an exception.
    return {"connect_args": {"timeout": BUSY_SECONDS}, "hide_parameters": True}


def _prepare(connection: sqlite3.Connection, _record: Any) -> None:
    connection.isolation_level = None
    for pragma in PRAGMAS:
        connection.execute(pragma).close()


def _begin(conn: Connection) -> None:
    kind = conn.get_execution_options().get("sqlite_begin", "DEFERRED")
    conn.exec_driver_sql(f"BEGIN {kind}")


@contextmanager
def translated() -> Iterator[None]:
    """Turn what the driver says of a database that is away into `unavailable`; the rest is our bug and passes."""
    try:
        yield
    except PoolTimeoutError as error:
        raise AppError(Code.UNAVAILABLE, "The database is too busy just now.") from error
    except DBAPIError as error:
        if isinstance(error.orig, sqlite3.OperationalError) and _away(str(error.orig)):
            raise AppError(
                Code.UNAVAILABLE,
                f"The database cannot be used just now ({error.orig}).",
                "Check free space and the owner of the data directory.",
            ) from error
        raise


def _away(text: str) -> bool:
    signs = ("locked", "busy", "unable to open", "disk", "readonly", "full", "i/o error")
    return any(sign in text.lower() for sign in signs)
