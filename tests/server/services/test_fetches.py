"""Which fetched files are kept, and for how long."""

import asyncio
import io
from datetime import UTC, datetime, timedelta
from unittest.mock import patch

import pytest
from sqlalchemy import select

from server.agencies import Agency
from server.db.engine import Database
from server.errors import AppError, Code
from server.gatekeeper import Gatekeeper
from server.logs import open_log
from server.services import fetches, uses
from server.services.fetches import Fetch, Sent, keep_fetches
from server.services.logins import Times
from server.services.provision import create_agency
from server.services.uses import Uses
from server.state import State

AT = datetime(2026, 3, 2, 12, tzinfo=UTC)


@pytest.fixture
def agency(state: State) -> Agency:
    with state.database.writing() as conn:
        return create_agency(conn, state.settings.agencies, "gwinnett", "G", "America/New_York", staging=False)


def kept(state: State, agency: Agency) -> list[tuple[str, int, int]]:
    c = fetches.fetches.c
    query = select(c.path, c.times, c.size).where(c.agency_id == agency.id).order_by(c.id)
    with state.database.reading() as conn:
        return [tuple(row) for row in conn.execute(query)]  # type: ignore[misc]


def keep(state: State, path: str, at: datetime) -> None:
    with state.database.writing() as conn:
        keep_fetches(conn, {Fetch("gwinnett", path, "s", "c"): Sent(Times(1, at), 3)})


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


def test_only_the_newest_of_ninety_days_are_kept(state: State, agency: Agency, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetches, "KEPT", 3)
    for number in range(6):
        keep(state, f"/{number}", AT + timedelta(minutes=number))
    assert [row[0] for row in kept(state, agency)] == ["/3", "/4", "/5"]
    keep(state, "/new", AT + timedelta(days=90, minutes=4, seconds=30))
    assert [row[0] for row in kept(state, agency)] == ["/5", "/new"]


def test_what_cannot_be_written_is_written_later_and_memory_is_bounded(
    state: State, agency: Agency, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uses, "WRITE_EVERY", 0.02)
    monkeypatch.setattr(uses, "MOST", 2)
    writing, tries = Database.writing, []

    def failing(self: Database, lock: str = "control") -> object:
        tries.append(1)
        if len(tries) == 1:
            raise AppError(Code.UNAVAILABLE, "away")
        return writing(self, lock)

    async def scene() -> None:
        ledger = Uses(state.database, open_log("critical", io.StringIO()))
        for number in (0, 1, 2, 1):
            ledger.note_fetch(Fetch("gwinnett", f"/{number}", "s", "c"), Sent(Times(1, AT), 3))
        while len(tries) < 2:
            await asyncio.sleep(0.01)
        await ledger.finish()

    with patch.object(Database, "writing", failing):
        asyncio.run(scene())
    assert sorted(kept(state, agency)) == [("/0", 1, 3), ("/1", 2, 6)]
