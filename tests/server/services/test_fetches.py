"""Which fetched files are kept; for how long, `test_logins` tells."""

import asyncio
import io

import pytest
from sqlalchemy import select

from server.agencies import Agency
from server.gatekeeper import Gatekeeper
from server.logs import open_log
from server.services import fetches
from server.services.provision import create_agency
from server.state import State


@pytest.fixture
def agency(state: State) -> Agency:
    with state.database.writing() as conn:
        return create_agency(conn, state.settings.agencies, "gwinnett", "G", "America/New_York", staging=False)


def kept(state: State, agency: Agency) -> list[tuple[str, int, int]]:
    c = fetches.fetches.c
    query = select(c.path, c.times, c.size).where(c.agency_id == agency.id).order_by(c.id)
    with state.database.reading() as conn:
        return [tuple(row) for row in conn.execute(query)]  # type: ignore[misc]


def test_fetches_of_one_file_are_one_row_and_nobody_waits(state: State, agency: Agency) -> None:
    async def scene() -> None:
        gate = Gatekeeper(state, open_log("error", io.StringIO()))
        for _ in range(3):
            gate.fetched("gwinnett", "s", "SSH-2.0-WinSCP", "/exports/a.csv", 10)
        gate.fetched("gwinnett", "s", "SSH-2.0-WinSCP", "/exports/\udcff.csv", 1)
        gate.fetched("stranger", "s", "SSH-2.0-WinSCP", "/exports/a.csv", 10)
        assert kept(state, agency) == []
        await gate.finish()

    asyncio.run(scene())
    assert sorted(kept(state, agency)) == [("/exports/?.csv", 1, 1), ("/exports/a.csv", 3, 30)]
