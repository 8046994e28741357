"""Two agencies with real uploads behind them, and one that never sent anything, on either database."""

from collections.abc import Iterator

import pytest
from pydantic import SecretStr

from server.settings import Settings
from server.state import open_state
from tests import postgres
from tests.server.outbound.house import House


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def house(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """One for all tests of a module: they only read."""
    data = tmp_path_factory.mktemp("house") / "data"
    if request.param == "sqlite":
        with open_state(Settings(data=data, durability="flush")) as state:
            yield House(state)
        return
    server: postgres.Server = request.getfixturevalue("postgres_server")
    database = server.create()
    with open_state(Settings(data=data, durability="flush", database=SecretStr(server.url(database)))) as state:
        yield House(state)
    server.drop(database)
