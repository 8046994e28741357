"""Real stores in a fresh data directory."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr

from server.settings import Settings
from server.state import State, open_state


@pytest.fixture
def settings(tmp_path: Path, database_at: Callable[[Path], str]) -> Settings:
    url = database_at(tmp_path / "data")
    database = "" if url.startswith("sqlite") else url
    return Settings(data=tmp_path / "data", database=SecretStr(database), quiet_time=0, durability="flush")


@pytest.fixture
def state(settings: Settings) -> Iterator[State]:
    with open_state(settings) as opened:
        yield opened
