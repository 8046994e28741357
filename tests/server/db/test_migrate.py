"""The migrations lead to exactly the tables that the code defines."""

from pathlib import Path

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import text

import ingest.tables
import keys.tables
import server.agencies
import server.db
import server.intake.taken
import server.queue.local
from server.db import migrate, open_database
from server.db.metadata import metadata
from server.db.migrate import HEAD
from server.state import State

SCRIPTS = Path(server.db.__file__).parent / "migrations"


def test_the_migrations_make_the_tables_of_the_code(state: State) -> None:
    with state.database.reading() as conn:
        context = MigrationContext.configure(conn, opts={"compare_type": True, "compare_server_default": True})
        assert compare_metadata(context, [metadata, ingest.tables.metadata, keys.tables.metadata]) == []


def test_the_head_named_in_the_code_is_the_newest_revision() -> None:
    assert ScriptDirectory(str(SCRIPTS)).get_current_head() == HEAD


def test_migrating_again_does_nothing(tmp_path: Path) -> None:
    database = open_database(f"sqlite:///{tmp_path / 'x.db'}")
    assert migrate(database, tmp_path / "lock")
    assert not migrate(database, tmp_path / "lock")
    with database.reading() as conn:
        assert conn.execute(text("PRAGMA journal_mode")).scalar() == "wal"
        assert conn.execute(text("PRAGMA foreign_keys")).scalar() == 1
    database.close()


def test_the_migrations_make_the_same_indexes(state: State, tmp_path: Path) -> None:
    # An index on an expression is invisible to the comparison above.
    plain = open_database(f"sqlite:///{tmp_path / 'plain.db'}")
    for tables in (metadata, ingest.tables.metadata, keys.tables.metadata):
        tables.create_all(plain.engine)
    query = text("SELECT name FROM sqlite_master WHERE type = 'index' AND name NOT LIKE 'sqlite_autoindex%' ORDER BY 1")
    with plain.reading() as expected, state.database.reading() as found:
        assert found.execute(query).scalars().all() == expected.execute(query).scalars().all()
    plain.close()


def test_cases_of_before_keep_their_number_as_their_identity(tmp_path: Path) -> None:
    config = Config()
    config.set_main_option("script_location", str(SCRIPTS))
    database = open_database(f"sqlite:///{tmp_path / 'x.db'}")
    with database.writing() as conn:
        config.attributes["connection"] = conn
        command.upgrade(config, "0003")
        conn.execute(text("INSERT INTO cases VALUES (1, 'a', 'CR-1', NULL, NULL, NULL, NULL, NULL, 't', 'u', 'u')"))
        own = "agency_id, identity, template, created_upload, updated_upload"
        conn.execute(text(f"INSERT INTO clients ({own}) VALUES ('a', '#1', 't', 'u', 'u')"))
        conn.execute(text("INSERT INTO case_parties VALUES (1, 'a', 1, 1, NULL, 't', 'u', 'u')"))
    with database.writing() as conn:
        config.attributes["connection"] = conn
        command.upgrade(config, "head")
        joined = "SELECT k.identity, k.number FROM case_parties p JOIN cases k ON k.id = p.case_id"
        assert tuple(conn.execute(text(joined)).one()) == ("CR-1", "CR-1")
        assert conn.execute(text("PRAGMA foreign_key_check")).all() == []
    database.close()
