"""Brings the database to the schema this program expects; run by every process at start, done by one of them."""

import fcntl
from pathlib import Path

from sqlalchemy import inspect, text

from server.db.engine import Database

# The newest revision in `migrations/versions`; a test holds the two together. Comparing it first spares every start
# of every command the import of Alembic.
HEAD = "0004"


def migrate(database: Database, lock_file: Path) -> bool:
    """Run what migrations are missing; True if there were any. `lock_file` keeps other processes out."""
    if _revision(database) == HEAD:
        return False
    with lock_file.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if _revision(database) == HEAD:
            return False
        _upgrade(database)
    return True


def _revision(database: Database) -> str | None:
    with database.reading() as conn:
        if not inspect(conn).has_table("alembic_version"):
            return None
        found = conn.execute(text("SELECT version_num FROM alembic_version")).scalar()
    return None if found is None else str(found)


def _upgrade(database: Database) -> None:
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    with database.writing() as conn:
        config.attributes["connection"] = conn
        command.upgrade(config, "head")
