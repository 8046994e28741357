"""Brings the database to the schema this program expects; run by every process at start, done by one of them."""

import fcntl
from pathlib import Path

from sqlalchemy import Connection, inspect, text

from ingest.databases import backend_of
from server.db.engine import SCHEMA, Database
from server.errors import AppError, Code

# The newest revision in `migrations/versions`; a test holds the two together. Comparing it first spares every start
# of every command the import of Alembic.
HEAD = "0018"


def migrate(database: Database, lock_file: Path) -> bool:
    """Run what migrations are missing; True if there were any.

    `lock_file` keeps other processes of this machine out, the lock of the transaction those of others. Raises
    `AppError` conflict for a database that a newer dropslot has changed already.
    """
    with database.reading() as conn:
        if revision(conn) == HEAD:
            return False
    with lock_file.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with database.writing(SCHEMA) as conn:
            found = revision(conn)
            if found == HEAD:
                return False
            _refuse_newer(found)
            backend_of(conn).settle_in(conn)
            _upgrade(conn)
    return True


def is_empty(database: Database) -> bool:
    """Whether no migration has ever run there."""
    with database.reading() as conn:
        return revision(conn) is None


def is_behind(database: Database) -> bool:
    """Whether its tables are those of an older dropslot."""
    with database.reading() as conn:
        found = revision(conn)
    return found is not None and found < HEAD


def revision(conn: Connection) -> str | None:
    if not inspect(conn).has_table("alembic_version"):
        return None
    found = conn.execute(text("SELECT version_num FROM alembic_version")).scalar()
    return None if found is None else str(found)


def _refuse_newer(revision: str | None) -> None:
    if revision is not None and revision > HEAD:
        raise AppError(
            Code.CONFLICT,
            f"The database belongs to a newer dropslot (schema {revision}, this one knows {HEAD}).",
            "Upgrade this one.",
        )


def _upgrade(conn: Connection) -> None:
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["connection"] = conn
    command.upgrade(config, "head")
