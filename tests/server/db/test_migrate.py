"""The migrations lead to exactly the tables that the code defines."""

import hashlib
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
import server.installation
import server.intake.taken
import server.outbound.deliveries
import server.outbound.exports.store
import server.queue.local
import server.remotes.server
import server.schedule.claims
import server.services.fetches
import server.services.logins
import server.sync.tables
from ingest.natural import natural_texts
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


def test_keys_of_before_are_those_of_now(empty: Database) -> None:
    long = "Trial " * 90
    slots = {
        "2026-03-16T09:00|Jury Trial": ("event", ("date", "time", "type"), {"type": "Jury Trial"}),
        f"2026-03-16T09:00|{long.strip()}": ("event", ("date", "time", "type"), {"type": long.strip()}),
        "\x1edate+type+room\x1f2026-03-16\x1fTRIAL\x1f7 a": (
            "event",
            ("date", "type", "room"),
            {"type": "TRIAL", "room": "7 A"},
        ),
        "2026-03-17": ("event", ("date", "time", "type"), {"date": "2026-03-17"}),
        "#R|1": ("event", ("reference",), {"reference": "R|1"}),
    }
    config = Config()
    config.set_main_option("script_location", str(SCRIPTS))
    own = "agency_id, template, created_upload, updated_upload"
    with empty.writing() as conn:
        config.attributes["connection"] = conn
        command.upgrade(config, "0005")
        conn.execute(text(f"INSERT INTO cases ({own}, identity) VALUES ('a', 't', 'u', 'u', '1')"))
        new = text(
            f"INSERT INTO events ({own}, case_id, slot, starts_at, local_date, local_time, zone, type, room) "
            "VALUES ('a', 't', 'u', 'u', 1, :slot, '', '2026-03-16', '09:00', '', :type, :room)"
        )
        for slot, (_, _, fields) in slots.items():
            conn.execute(new, {"slot": _bounded(slot), "type": None, "room": None} | fields)
        for slot in ("2026-03-18|Trial", "2026-03-18|TRIAL", "2026-03-19|Trial", "2026-03-19|trial"):
            conn.execute(new, {"slot": slot, "type": slot[11:], "room": None})
        due = "\x1edue_date+description\x1f2026-04-01\x1f"
        for description in ("Court Fine", "Fine " * 100):
            values = {"slot": _bounded(f"{due}{description.strip()}"), "what": description.strip()}
            columns = f"{own}, case_id, slot, due_date, description"
            conn.execute(
                text(f"INSERT INTO payments ({columns}) VALUES ('a', 't', 'u', 'u', 1, :slot, '2026-04-01', :what)"),
                values,
            )
    with empty.writing() as conn:
        config.attributes["connection"] = conn
        command.upgrade(config, "head")
        found = [*conn.execute(text("SELECT slot FROM events ORDER BY id")).scalars()]
        paid = [*conn.execute(text("SELECT slot FROM payments ORDER BY id")).scalars()]
    usual = {"date": "2026-03-16", "time": "09:00"}
    told = [_natural(kind, names, usual | fields) for kind, names, fields in slots.values()]
    told[3] = "2026-03-17"
    assert found[: len(slots)] == told
    assert found[len(slots) :] == ["2026-03-18|Trial", "2026-03-18|trial", "2026-03-19|Trial", "2026-03-19|trial"]
    owed = [{"due_date": "2026-04-01", "description": what} for what in ("court  FINE", "FINE " * 100)]
    assert paid == [_natural("payment", ("due_date", "description"), each) for each in owed]


def _natural(kind: str, names: tuple[str, ...], fields: dict[str, str]) -> str:
    """The key as the engine writes it."""
    return natural_texts(kind, [names], {f"{kind}.{name}": [value] for name, value in fields.items()}, 1)[0]


def _bounded(key: str) -> str:
    """As keys of more than 500 characters were kept."""
    return key if len(key) <= 500 else f"{key[:435]}\x1f{hashlib.sha256(key.encode()).hexdigest()}"


def test_people_known_by_their_case_are_known_by_its_county_too(empty: Database) -> None:
    config = Config()
    config.set_main_option("script_location", str(SCRIPTS))
    own = "agency_id, template, created_upload, updated_upload, identity"
    clients = [
        "pine\x1fbo\x1fC1",
        "pine\x1fbo\x1fq\x1fjr\x1fC1",
        "pine\x1fbo\x1fC2",
        "#1",
        "\x1ename+dob+case\x1foak\x1f\x1f\x1f\x1f1990-01-01\x1fC1",
    ]
    with empty.writing() as conn:
        config.attributes["connection"] = conn
        command.upgrade(config, "0005")
        for identity in ("\x1enumber+location\x1fC1\x1fadams", "\x1enumber+location\x1fC1\x1fbaker", "C2"):
            conn.execute(text(f"INSERT INTO cases ({own}) VALUES ('a', 't', 'u', 'u', :one)"), {"one": identity})
        for identity in clients:
            conn.execute(text(f"INSERT INTO clients ({own}) VALUES ('a', 't', 'u', 'u', :one)"), {"one": identity})
        for case, client in ((1, 1), (2, 1), (2, 2), (3, 3), (1, 4), (1, 5)):
            party = "agency_id, template, created_upload, updated_upload, case_id, client_id"
            conn.execute(text(f"INSERT INTO case_parties ({party}) VALUES ('a', 't', 'u', 'u', {case}, {client})"))
    with empty.writing() as conn:
        config.attributes["connection"] = conn
        command.upgrade(config, "head")
        found = [*conn.execute(text("SELECT identity FROM clients ORDER BY id")).scalars()]
    assert found == [
        "\x1ename+case\x1fpine\x1fbo\x1f\x1f\x1fC1\x1fadams",
        "\x1ename+case\x1fpine\x1fbo\x1fq\x1fjr\x1fC1\x1fbaker",
        "pine\x1fbo\x1fC2",
        "#1",
        "\x1ename+dob+case\x1foak\x1f\x1f\x1f\x1f1990-01-01\x1fC1\x1fadams",
    ]


def test_who_held_a_record_before_holds_it_still(empty: Database) -> None:
    config = Config()
    config.set_main_option("script_location", str(SCRIPTS))
    with empty.writing() as conn:
        config.attributes["connection"] = conn
        command.upgrade(config, "0009")
        for template in ("list", "docket"):
            conn.execute(text(f"INSERT INTO holders VALUES ('events', 7, '{template}')"))
    with empty.writing() as conn:
        config.attributes["connection"] = conn
        command.upgrade(config, "head")
        held = conn.execute(text("SELECT * FROM holders ORDER BY template")).all()
        # A template may let go of a record and name it again.
        conn.execute(text("INSERT INTO holders VALUES ('events', 7, 'list', 'upload', NULL)"))
    assert [tuple(each) for each in held] == [("events", 7, "docket", "", None), ("events", 7, "list", "", None)]
