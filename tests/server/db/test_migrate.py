"""The migrations lead to exactly the tables that the code defines."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
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
from server.db import Database, migrate, open_database
from server.db.metadata import metadata
from server.db.migrate import HEAD
from server.errors import AppError
from server.state import State
from tests import postgres


@pytest.fixture
def empty_address(request: pytest.FixtureRequest, database_at: Callable[[Path], str], tmp_path: Path) -> str:
    """A database without any table."""
    if database_at(tmp_path).startswith("sqlite"):
        return f"sqlite:///{tmp_path / 'empty.db'}"
    server: postgres.Server = request.getfixturevalue("postgres_server")
    return server.url(server.create("template0"))


@pytest.fixture
def empty(empty_address: str) -> Iterator[Database]:
    database = open_database(empty_address)
    yield database
    database.close()


SCRIPTS = Path(server.db.__file__).parent / "migrations"


def test_the_migrations_make_the_tables_of_the_code(state: State) -> None:
    with state.database.reading() as conn:
        context = MigrationContext.configure(conn, opts={"compare_type": True, "compare_server_default": True})
        assert compare_metadata(context, [metadata, ingest.tables.metadata, keys.tables.metadata]) == []


def test_the_head_named_in_the_code_is_the_newest_revision() -> None:
    assert ScriptDirectory(str(SCRIPTS)).get_current_head() == HEAD


def test_migrating_again_does_nothing(empty: Database, tmp_path: Path) -> None:
    assert migrate(empty, tmp_path / "lock")
    assert not migrate(empty, tmp_path / "lock")


@pytest.mark.sqlite_only
def test_sqlite_is_set_up_as_it_must_be(state: State) -> None:
    with state.database.reading() as conn:
        assert conn.execute(text("PRAGMA journal_mode")).scalar() == "wal"
        assert conn.execute(text("PRAGMA foreign_keys")).scalar() == 1


INDEXES = {
    "sqlite": "SELECT name FROM sqlite_master WHERE type = 'index' AND name NOT LIKE 'sqlite_autoindex%' ORDER BY 1",
    "postgresql": "SELECT indexname FROM pg_indexes WHERE schemaname = 'public' "
    "AND tablename <> 'alembic_version' ORDER BY 1",
}


def test_the_migrations_make_the_same_indexes(state: State, empty: Database) -> None:
    # An index on an expression is invisible to the comparison above.
    for tables in (metadata, ingest.tables.metadata, keys.tables.metadata):
        tables.create_all(empty.engine)
    query = text(INDEXES[empty.engine.dialect.name])
    with empty.reading() as expected, state.database.reading() as found:
        assert [row[0] for row in found.execute(query)] == [row[0] for row in expected.execute(query)]


MIGRATE = """
import sys
from pathlib import Path
from server.db import migrate, open_database
database = open_database(sys.argv[1])
print("ready", flush=True)
sys.stdin.readline()
print(migrate(database, Path(sys.argv[2])))
"""


def test_of_processes_that_start_together_one_migrates(empty_address: str, tmp_path: Path) -> None:
    commands = [[sys.executable, "-c", MIGRATE, empty_address, str(tmp_path / f"lock-{i % 2}")] for i in range(4)]
    if empty_address.startswith("sqlite"):  # a file is on one machine, so its processes share the lock file
        commands = [[*command[:-1], str(tmp_path / "lock")] for command in commands]
    started = [subprocess.Popen(one, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for one in commands]
    assert [process.stdout and process.stdout.readline() for process in started] == ["ready\n"] * 4
    for process in started:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    assert sorted(process.communicate(timeout=60)[0] for process in started) == ["False\n"] * 3 + ["True\n"]


def test_a_database_of_a_newer_dropslot_is_left_alone(state: State, tmp_path: Path) -> None:
    with state.database.writing() as conn:
        conn.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(AppError, match="newer dropslot") as refused:
        migrate(state.database, tmp_path / "lock")
    assert refused.value.code == "conflict"


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
