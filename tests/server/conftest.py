"""Real stores in a fresh data directory."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from server.settings import Settings
from server.state import State, open_state


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data=tmp_path / "data", quiet_time=0, durability="flush")


@pytest.fixture
def state(settings: Settings) -> Iterator[State]:
    with open_state(settings) as opened:
        yield opened
