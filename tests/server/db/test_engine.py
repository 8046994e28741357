"""The database that is away, shut, or not what it should be is told in a sentence, and its password never."""

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr
from sqlalchemy import text

from ingest.databases import postgresql
from server.db import JOBS, Database, open_database
from server.errors import AppError
from server.settings import Settings, environment
from server.state import State, open_state
from tests import postgres

SECRET = "p%2Fw%3Asecret"


def use(url: str) -> None:
    database = open_database(url)
    try:
        database.describe()
    finally:
        database.close()


def refused(url: str) -> AppError:
    with pytest.raises(AppError) as caught:
        use(url)
    assert "secret" not in f"{caught.value} {caught.value!r} {caught.value.__cause__}"
    assert caught.value.hint
    return caught.value


@pytest.fixture
def guarded(postgres_server: postgres.Server) -> Iterator[postgres.Server]:
    postgres_server.run("CREATE ROLE guarded LOGIN PASSWORD 'p/w:secret'")
    yield postgres_server
    postgres_server.run("DROP ROLE guarded")


@pytest.mark.parametrize(
    "url",
    [
        f"mysql://u:{SECRET}@127.0.0.1/x",
        "secret",
        "postgresql://u:secret@127.0.0.1:port/x",
        f"postgresql//u:{SECRET}@h/x",
        f"https://u:{SECRET}@127.0.0.1/",
    ],
)
def test_what_is_no_address_is_refused(url: str) -> None:
    assert "no address" in refused(url).message


def test_a_server_that_does_not_answer() -> None:
    error = refused(f"postgresql://dropslot:{SECRET}@127.0.0.1:{postgres.free_port()}/x")
    assert (error.code, error.message) == ("unavailable", "The database server does not answer.")


def test_a_wrong_password_and_the_right_one(guarded: postgres.Server) -> None:
    port = guarded.port
    error = refused(f"postgresql://guarded:secret@127.0.0.1:{port}/postgres")
    assert (error.code, error.message) == ("unavailable", "The database server refuses the user's password.")
    assert "wants a password" in refused(f"postgresql://guarded@127.0.0.1:{port}/postgres").message
    database = open_database(f"postgresql://guarded:{SECRET}@127.0.0.1:{port}/postgres")
    assert database.describe().startswith("PostgreSQL 1")
    assert "secret" not in repr(database.engine)
    database.close()


def test_a_database_or_a_user_that_is_not_there(postgres_server: postgres.Server) -> None:
    assert refused(postgres_server.url("nowhere")).message == "The database server has no such database."
    assert refused(postgres_server.url("postgres", "nobody")).message == "The database server has no such user."


def test_a_user_that_may_not_make_tables(guarded: postgres.Server, tmp_path: Path) -> None:
    name = guarded.create("template0")
    url = f"postgresql://guarded:{SECRET}@127.0.0.1:{guarded.port}/{name}"
    with (
        pytest.raises(AppError, match="may not do") as caught,
        open_state(Settings(data=tmp_path / "data", database=SecretStr(url))),
    ):
        pass
    assert "OWNER" in caught.value.hint
    guarded.drop(name)


def test_another_encoding_than_utf8(postgres_server: postgres.Server) -> None:
    postgres_server.run("CREATE DATABASE latin TEMPLATE template0 ENCODING LATIN1")
    postgres_server.run("CREATE DATABASE ascii TEMPLATE template0 ENCODING SQL_ASCII")
    for name, encoding in (("latin", "LATIN1"), ("ascii", "SQL_ASCII")):
        error = refused(postgres_server.url(name))
        assert (error.code, encoding in error.message, "createdb" in error.hint) == ("invalid", True, True)
        postgres_server.drop(name)


def test_a_server_that_is_too_old(postgres_server: postgres.Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgresql, "OLDEST", 99)
    assert "needs 99 or newer" in refused(postgres_server.url("postgres")).message


def test_the_password_is_in_no_setting_that_is_shown(tmp_path: Path) -> None:
    settings = Settings(data=tmp_path, database=SecretStr(f"postgresql://u:{SECRET}@h/x"))
    assert "secret" not in f"{settings} {settings!r} {settings.model_dump()}"
    assert environment(settings)["DROPSLOT_DATABASE"] == settings.database_url


def test_the_address_may_be_in_a_file(postgres_server: postgres.Server, tmp_path: Path) -> None:
    file = tmp_path / "address"
    settings = Settings(data=tmp_path / "data", database_file=str(file))
    with pytest.raises(AppError, match="cannot be read: no such file"), open_state(settings):
        pass
    name = postgres_server.create()
    file.write_text(postgres_server.url(name) + "\n")
    with open_state(settings) as state:
        assert state.database.describe().startswith("PostgreSQL")
    postgres_server.drop(name)


@pytest.fixture
def database(database_at: Callable[[Path], str], tmp_path: Path) -> Iterator[Database]:
    database = open_database(database_at(tmp_path))
    with database.writing() as conn:
        conn.execute(text("CREATE TABLE numbers (number INTEGER)"))
        conn.execute(text("INSERT INTO numbers VALUES (0)"))
    yield database
    database.close()


def test_a_reader_sees_one_moment(database: Database) -> None:
    count = text("SELECT sum(number) FROM numbers")
    with database.reading() as reader:
        before = reader.execute(count).scalar_one()
        with database.writing() as writer:
            writer.execute(text("INSERT INTO numbers VALUES (7)"))
        assert (before, reader.execute(count).scalar_one()) == (0, 0)
    with database.reading() as reader:
        assert reader.execute(count).scalar_one() == 7


def test_writers_read_what_stays_true(database: Database) -> None:
    def add() -> None:
        for _ in range(20):
            with database.writing() as conn:
                number = conn.execute(text("SELECT number FROM numbers")).scalar_one()
                time.sleep(0.001)
                conn.execute(text("UPDATE numbers SET number = :number"), {"number": number + 1})

    threads = [threading.Thread(target=add) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with database.reading() as conn:
        assert conn.execute(text("SELECT number FROM numbers")).scalar_one() == 80


def test_a_write_that_fails_leaves_nothing(database: Database) -> None:
    def fail() -> None:
        with database.writing() as conn:
            conn.execute(text("INSERT INTO numbers VALUES (7)"))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    with database.reading() as conn:
        assert conn.execute(text("SELECT count(*) FROM numbers")).scalar_one() == 1


def test_what_the_address_asks_of_the_connection_counts(postgres_server: postgres.Server) -> None:
    wanted = "?application_name=mine&options=-c%20work_mem%3D5MB&connect_timeout=7"
    database = open_database(postgres_server.url("postgres") + wanted)
    with database.reading() as conn:
        shown = [
            conn.execute(text(f"SHOW {name}")).scalar() for name in ("application_name", "work_mem", "lock_timeout")
        ]
    assert shown == ["mine", "5MB", "1min"]
    database.close()


def test_locks_of_other_names_do_not_wait(postgres_server: postgres.Server) -> None:
    name = postgres_server.create()
    database = open_database(postgres_server.url(name))
    with database.writing(), database.writing(JOBS), database.writing("records of a"), database.writing("records of b"):
        pass
    database.close()
    postgres_server.drop(name)


def test_a_server_that_was_started_again_is_used_again(tmp_path: Path) -> None:
    with postgres.running() as server:
        database = open_database(server.url("postgres"))
        database.describe()
        server.stop()
        with pytest.raises(AppError) as caught:
            database.describe()
        assert caught.value.code == "unavailable"
        server.start()
        assert database.describe().startswith("PostgreSQL")
        database.close()


def test_the_doctor_tells_the_database(state: State) -> None:
    from server.checkup import examine

    [finding] = [finding for finding in examine(state) if finding.subject == "database"]
    assert finding.good
    assert finding.sentence.startswith(("SQLite 3.", "PostgreSQL 1"))


def test_who_fails_while_rows_are_fetched_can_write_afterwards(state: State, settings: Settings) -> None:
    """The error holds the rows, the rows the moment they are of; and a moment that is past cannot be written to."""
    with state.database.writing() as conn:
        conn.execute(text("CREATE TABLE many (number INTEGER)"))
        conn.execute(text("INSERT INTO many VALUES (:number)"), [{"number": number} for number in range(300)])
    url = settings.database.get_secret_value() or f"sqlite:///{settings.data / 'dropslot.db'}"
    other = open_database(url)

    def fail() -> None:
        with state.database.reading() as conn:
            rows = iter(conn.execution_options(yield_per=10).execute(text("SELECT number FROM many")))
            next(rows)
            with other.writing() as another:
                another.execute(text("INSERT INTO many VALUES (300)"))
            raise ValueError(rows)

    try:
        fail()
    except ValueError:
        with state.database.writing() as conn:
            conn.execute(text("INSERT INTO many VALUES (301)"))
    finally:
        other.close()
    with state.database.reading() as conn:
        assert conn.execute(text("SELECT count(*) FROM many")).scalar_one() == 302


def test_a_new_file_and_its_log_are_their_owners_alone(tmp_path: Path) -> None:
    database = open_database(f"sqlite:///{tmp_path / 'dropslot.db'}")
    with database.writing() as conn:
        conn.execute(text("CREATE TABLE t (a INTEGER)"))
        modes = {file.name: file.stat().st_mode & 0o777 for file in tmp_path.iterdir()}
    database.close()
    assert modes == dict.fromkeys(("dropslot.db", "dropslot.db-wal", "dropslot.db-shm"), 0o600)
