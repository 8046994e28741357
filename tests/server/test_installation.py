"""A database and a data directory that are of two installations are not used together; what is of one is."""

import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pydantic import SecretStr
from sqlalchemy import text

from server.agencies import Agency, add_agency
from server.db import open_database, revision
from server.db.migrate import HEAD
from server.errors import AppError, Code
from server.installation import FILE
from server.settings import Settings
from server.state import State, bring_up_to_date, open_state, open_stores
from tests import postgres

OTHER = "0199c0de-0000-7000-8000-000000000001"
AT = datetime(2026, 3, 16, tzinfo=UTC)


def begin(settings: Settings, *slugs: str) -> str:
    """An installation with these agencies; its id."""
    with open_state(settings) as state:
        with state.database.writing() as conn:
            for slug in slugs:
                add_agency(conn, Agency(f"id-{slug}", slug, slug, "America/New_York", False, True, AT))
                settings.home(slug).mkdir()
        return id_of(state)


def id_of(state: State) -> str:
    with state.database.reading() as conn:
        return str(conn.execute(text("SELECT id FROM installation")).scalar_one())


def id_file(settings: Settings) -> Path:
    return settings.data / FILE


def change(settings: Settings, sql: str) -> None:
    database = open_database(settings.database_url)
    with database.writing() as conn:
        conn.execute(text(sql))
    database.close()


def make_old(settings: Settings) -> None:
    """As an installation was before there were ids."""
    change(settings, "DROP TABLE installation")
    change(settings, "UPDATE alembic_version SET version_num = '0017'")
    id_file(settings).unlink()


def refused(settings: Settings, words: str) -> AppError:
    with pytest.raises(AppError, match=words) as caught, open_state(settings):
        pass
    assert caught.value.code is Code.CONFLICT
    return caught.value


@dataclass
class Elsewhere:
    """Other data directories for the same database: named as it is, or by a copy of its file."""

    settings: Settings

    def __call__(self, name: str) -> Settings:
        data = self.settings.data.with_name(name)
        there = self.settings.data / "dropslot.db"
        if there.exists():
            data.mkdir()
            shutil.copy(there, data)
        return self.settings.model_copy(update={"data": data})


@pytest.fixture
def elsewhere(settings: Settings) -> Elsewhere:
    return Elsewhere(settings)


def test_both_have_the_same_id_from_the_beginning(settings: Settings) -> None:
    first = begin(settings)
    assert id_file(settings).read_text() == f"{first}\n"
    assert (len(first), first[14]) == (36, "7")
    assert id_file(settings).stat().st_mode & 0o777 == 0o600
    assert begin(settings) == first
    with open_state(settings) as state:
        assert state.database.is_vetted
    assert [path.name for path in settings.data.glob(".*")] == []


@pytest.mark.parametrize("slugs", [(), ("gwinnett",), ("fulton", "gwinnett")])
def test_another_directory_is_refused(settings: Settings, elsewhere: Elsewhere, slugs: tuple[str, ...]) -> None:
    begin(settings, *slugs)
    other = elsewhere("other")
    for _ in range(2):
        error = refused(other, "belongs to another data directory than .*other")
        assert "--data" in error.hint
        assert "docs/backup.md" in error.hint
    assert not id_file(other).exists()
    begin(settings)


def test_the_directory_of_another_installation_is_refused(settings: Settings) -> None:
    begin(settings, "gwinnett")
    change(settings, f"UPDATE installation SET id = '{OTHER}'")
    refused(settings, "belong to two installations")
    change(settings, "DELETE FROM installation")
    begin(settings)


def test_an_installation_of_before_gets_its_id(settings: Settings) -> None:
    begin(settings, "gwinnett", "fulton")
    make_old(settings)
    settings.home("fulton").rmdir()  # a person has tidied up
    known = begin(settings)
    assert id_file(settings).read_text() == f"{known}\n"


def test_a_database_of_before_takes_no_other_directory_and_is_left_as_it_was(
    settings: Settings, elsewhere: Elsewhere
) -> None:
    begin(settings, "gwinnett")
    make_old(settings)
    other = elsewhere("other")
    refused(other, "holds the files of none of its agencies")
    database = open_database(other.database_url)
    with database.reading() as conn:
        assert revision(conn) == "0017" != HEAD
    database.close()
    begin(settings)


def test_a_directory_of_before_is_taken_with_all_homes_alone(settings: Settings) -> None:
    """Who used one database with two directories has a home or two in the other one."""
    known = begin(settings, "gwinnett", "fulton")
    id_file(settings).unlink()
    settings.home("fulton").rename(settings.data / "away")
    refused(settings, "belongs to another")
    (settings.data / "away").rename(settings.home("fulton"))
    assert begin(settings) == known
    assert id_file(settings).read_text().strip() == known


def test_a_database_of_before_takes_the_id_of_its_directory(settings: Settings) -> None:
    known = begin(settings, "gwinnett")
    change(settings, "DELETE FROM installation")  # or a crash came between the file and the row
    assert begin(settings) == known


def test_a_new_database_takes_the_id_of_a_directory_without_agencies(settings: Settings) -> None:
    begin(settings)
    change(settings, "DELETE FROM installation")
    id_file(settings).write_text(f"{OTHER}\n")
    assert begin(settings) == OTHER


def test_the_id_of_a_directory_that_is_lost_can_be_written_by_hand(settings: Settings, elsewhere: Elsewhere) -> None:
    known = begin(settings, "gwinnett")
    other = elsewhere("other")
    refused(other, "belongs to another")
    id_file(other).write_text(f"{known}\n")
    assert begin(other) == known


def test_a_file_that_holds_no_id_is_told(settings: Settings) -> None:
    begin(settings)
    for content in (b"", b"\xff\x00\n"):
        id_file(settings).write_bytes(content)
        assert "backup" in refused(settings, "does not hold the id").hint


def test_several_nodes_share_a_directory(settings: Settings, tmp_path: Path) -> None:
    known = begin(settings, "gwinnett")
    (tmp_path / "mount").symlink_to(settings.data)
    node = settings.model_copy(update={"data": tmp_path / "mount"})
    assert begin(node) == known


BEGIN = """
import sys
from pathlib import Path
from pydantic import SecretStr
from server.settings import Settings
from server.state import open_state
print("ready", flush=True)
sys.stdin.readline()
with open_state(Settings(data=Path(sys.argv[1]), database=SecretStr(sys.argv[2]))) as state:
    print(state.database.is_vetted)
"""


def test_processes_that_begin_together_agree(settings: Settings, request: pytest.FixtureRequest) -> None:
    address = settings.database.get_secret_value()
    if address:
        server: postgres.Server = request.getfixturevalue("postgres_server")
        address = server.url(server.create("template0"))
    command = [sys.executable, "-c", BEGIN, str(settings.data), address]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    started = [subprocess.Popen(command, text=True, **pipes) for _ in range(3)]  # type: ignore[call-overload]
    for process in started:
        assert process.stdout.readline() == "ready\n"
    for process in started:
        process.stdin.write("\n")
        process.stdin.flush()
    assert [process.communicate(timeout=60)[1] for process in started] == [""] * 3
    begin(settings.model_copy(update={"database": SecretStr(address)}))


@pytest.mark.sqlite_only
def test_a_directory_that_takes_no_file_is_told(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied", str(id_file(settings)))

    monkeypatch.setattr("server.installation.replace_closed", refuse)
    with pytest.raises(AppError, match="cannot be used: permission denied") as caught, open_state(settings):
        pass
    assert (caught.value.code, "chown" in caught.value.hint) == (Code.UNAVAILABLE, True)


def test_stores_that_were_opened_without_the_database_compare_once_it_answers(settings: Settings) -> None:
    begin(settings, "gwinnett")
    change(settings, f"UPDATE installation SET id = '{OTHER}'")
    with open_stores(settings) as state:
        for look in (state.database.reading, state.database.writing, state.database.streaming):
            with pytest.raises(AppError, match="two installations"), look():
                pass
        with pytest.raises(AppError, match="two installations"):
            bring_up_to_date(state)


def test_a_database_that_was_chosen_too_late_is_told(
    settings: Settings, database_at: Callable[[Path], str], request: pytest.FixtureRequest
) -> None:
    alone = settings.model_copy(update={"database": SecretStr("")})
    begin(alone, "gwinnett", "fulton")
    if database_at(settings.data).startswith("sqlite"):
        address = f"sqlite:///{settings.data.parent / 'other.db'}"
    else:
        server: postgres.Server = request.getfixturevalue("postgres_server")
        address = server.url(server.create("template0"))
    late = settings.model_copy(update={"database": SecretStr(address)})
    error = refused(late, r"are in .*dropslot\.db \(SQLite\)")
    assert "Unset DROPSLOT_DATABASE" in error.hint
    begin(alone)
    (settings.data / "dropslot.db").unlink()
    refused(late, "files of 2 agencies: it is lost")


def test_a_database_that_is_no_longer_named_is_told(settings: Settings) -> None:
    begin(settings, "gwinnett")
    (settings.data / "dropslot.db").unlink(missing_ok=True)
    for _ in range(2):
        refused(settings.model_copy(update={"database": SecretStr("")}), "look at DROPSLOT_DATABASE")
