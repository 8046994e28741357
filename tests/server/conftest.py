"""Real stores in a fresh data directory."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr

from server.db import migrate, open_database
from server.settings import Settings
from server.state import State, open_state


@pytest.fixture
def settings(tmp_path: Path, database_at: Callable[[Path], str]) -> Settings:
    url = database_at(tmp_path / "data")
    database = "" if url.startswith("sqlite") else url
    return Settings(data=tmp_path / "data", database=SecretStr(database), quiet_time=0, durability="flush")


@pytest.fixture(scope="session")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An SQLite database with all tables and nothing in them: making them takes longer than most tests."""
    folder = tmp_path_factory.mktemp("tables")
    database = open_database(f"sqlite:///{folder / 'dropslot.db'}")
    migrate(database, folder / "migrate.lock")
    database.close()
    return folder / "dropslot.db"


@pytest.fixture
def state(settings: Settings, tables: Path) -> Iterator[State]:
    if not settings.database.get_secret_value():
        settings.data.mkdir(mode=0o700, exist_ok=True)
        shutil.copyfile(tables, settings.data / tables.name)
    with open_state(settings) as opened:
        yield opened
