"""How a connection to the database is made, and how a transaction begins; see `ingest.databases` for what differs."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from ingest.databases import UnfitDatabaseError, backend_of, open_engine, trouble, writing
from server.errors import AppError, Code

CONTROL = "control"
"""The lock of everything that has no other: agencies, keys, profiles, arrivals."""
JOBS = "jobs"
SCHEMA = "schema"


class Database:
    """Hands out connections whose transaction belongs to the caller.

    Each is shown to `vet` first, until that has said yes; it raises `AppError` if nobody may use this database.
    """

    def __init__(self, engine: Engine, vet: Callable[[Connection], bool] | None = None) -> None:
        self.engine = engine
        self._vet = vet

    @property
    def is_vetted(self) -> bool:
        """Whether there is nothing to ask about this database, or not any more."""
        return self._vet is None

    def _show(self, conn: Connection) -> Connection:
        if self._vet and self._vet(conn):
            self._vet = None
        return conn

    @property
    def is_embedded(self) -> bool:
        """Whether it is part of this program. Another may be away, and come back by itself."""
        return backend_of(self.engine).is_embedded

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A connection for queries; sees one moment of the database, locks nobody out."""
        with translated(), self.engine.connect() as conn:
            try:
                yield self._show(conn.execution_options(**backend_of(conn).reading))
            except BaseException:
                # The error may hold rows that were being fetched, and these the moment that they are of, which SQLite
                # does not let go of at a rollback: whoever got the connection next could not write with it.
                conn.invalidate()
                raise

    @contextmanager
    def streaming(self) -> Iterator[Connection]:
        """As `reading`, for a query with more rows than should be in memory: what is sorted goes to the disk."""
        with translated(), self.engine.connect() as conn:
            backend = backend_of(conn)
            conn = conn.execution_options(**backend.reading)
            raw = conn.connection.dbapi_connection
            conn.detach()  # nobody gets it afterwards
            try:
                backend.prepare_stage(conn, ())
                conn.commit()
                yield self._show(conn)
            finally:
                conn.close()
                if raw:
                    raw.close()  # SQLAlchemy forgets a detached connection that was interrupted

    @contextmanager
    def writing(self, lock: str = CONTROL) -> Iterator[Connection]:
        """A connection in a write transaction, committed at the end of the block, rolled back by an exception.

        No other of the same `lock` runs at the same time, so what it reads stays true.
        """
        with translated(), self.engine.connect() as conn, writing(conn, lock):
            yield self._show(conn)

    def describe(self) -> str:
        """The database's name and version."""
        with self.reading() as conn:
            return backend_of(conn).describe(conn)

    def close(self) -> None:
        """Close all idle connections."""
        self.engine.dispose()


def open_database(url: str, vet: Callable[[Connection], bool] | None = None) -> Database:
    """Open the database at `url` without touching it yet. Raises `AppError` invalid for what is no such address."""
    try:
        return Database(open_engine(url), vet)
    except (ArgumentError, ValueError) as error:  # their texts may quote the address, which may hold a password
        raise AppError(
            Code.INVALID,
            "DROPSLOT_DATABASE is no address of a PostgreSQL database.",
            "Write it as postgresql://USER:PASSWORD@HOST:5432/NAME, odd characters of the password as %XX.",
        ) from error


@contextmanager
def translated() -> Iterator[None]:
    """Turn what the driver says of a database that is away into `unavailable`; the rest is our bug and passes."""
    try:
        yield
    except UnfitDatabaseError as error:
        raise AppError(Code.INVALID, error.message, error.hint) from error
    except PoolTimeoutError as error:
        raise AppError(Code.UNAVAILABLE, "The database is too busy just now.") from error
    except DBAPIError as error:
        found = trouble(error)
        if found is None:
            raise
        raise AppError(Code.UNAVAILABLE, *found) from error
