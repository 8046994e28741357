"""Which log-ins are kept, and for how long."""

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
from server.services import annals, logins, uses
from server.services.annals import Times
from server.services.credential import KeyProof, PasswordProof
from server.services.fetches import Fetch, Sent, fetches
from server.services.logins import Login, keep_logins
from server.services.provision import create_agency
from server.services.uses import Uses
from server.state import State

AT = datetime(2026, 3, 2, 12, tzinfo=UTC)


@pytest.fixture
def agency(state: State) -> Agency:
    with state.database.writing() as conn:
        return create_agency(conn, state.settings.agencies, "gwinnett", "G", "America/New_York", staging=False)


def kept(state: State, agency: Agency) -> list[tuple[int, str, str, str]]:
    c = logins.logins.c
    query = select(c.times, c.address, c.client, c.proof).where(c.agency_id == agency.id).order_by(c.id)
    with state.database.reading() as conn:
        return [tuple(row) for row in conn.execute(query)]  # type: ignore[misc]


def keep(state: State, address: str, at: datetime) -> None:
    with state.database.writing() as conn:
        keep_logins(conn, {Login("gwinnett", address, "client", "SHA256:x"): Times(1, at)})


def test_log_ins_that_are_alike_are_one_row(state: State, agency: Agency) -> None:
    async def scene() -> None:
        gate = Gatekeeper(state, open_log("error", io.StringIO()))
        for _ in range(500):
            gate.used("gwinnett", KeyProof("SHA256:x"), "192.0.2.7", "SSH-2.0-WinSCP")
        gate.used("gwinnett", PasswordProof("1"), "192.0.2.7", "SSH-2.0-WinSCP")
        gate.used("stranger", PasswordProof("1"), "192.0.2.7", "SSH-2.0-WinSCP")
        assert kept(state, agency) == [], "nobody waits for a write"
        await gate.finish()

    asyncio.run(scene())
    assert sorted(kept(state, agency)) == [
        (1, "192.0.2.7", "SSH-2.0-WinSCP", "password"),
        (500, "192.0.2.7", "SSH-2.0-WinSCP", "SHA256:x"),
    ]


def test_two_processes_write_beside_each_other(state: State, agency: Agency) -> None:
    for number in range(2):
        keep(state, "192.0.2.7", AT + timedelta(seconds=number))
    assert [row[0] for row in kept(state, agency)] == [1, 1]


def test_only_the_newest_are_kept(state: State, agency: Agency, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(annals, "KEPT", 3)
    for number in range(6):
        keep(state, f"192.0.2.{number}", AT + timedelta(minutes=number))
    assert [row[1] for row in kept(state, agency)] == ["192.0.2.3", "192.0.2.4", "192.0.2.5"]


def test_what_is_older_than_ninety_days_goes(state: State, agency: Agency) -> None:
    keep(state, "192.0.2.1", AT)
    keep(state, "192.0.2.2", AT + timedelta(days=89))
    keep(state, "192.0.2.3", AT + timedelta(days=91))
    assert [row[1] for row in kept(state, agency)] == ["192.0.2.2", "192.0.2.3"]


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
        for number in range(4):
            ledger.note_login(Login("gwinnett", f"192.0.2.{number}", "c", "p"), AT)
        ledger.note_login(Login("gwinnett", "192.0.2.1", "c", "p"), AT + timedelta(seconds=1))
        for number in (0, 1, 2, 1):
            ledger.note_fetch(Fetch("gwinnett", f"/{number}", "s", "c"), Sent(Times(1, AT), 3))
        while len(tries) < 2:
            await asyncio.sleep(0.01)
        await ledger.finish()

    with patch.object(Database, "writing", failing):
        asyncio.run(scene())
    assert [(row[1], row[0]) for row in kept(state, agency)] == [("192.0.2.0", 1), ("192.0.2.1", 2)]
    c = fetches.c
    with state.database.reading() as conn:
        fetched = conn.execute(select(c.path, c.times, c.size).order_by(c.path)).all()
    assert [tuple(row) for row in fetched] == [("/0", 1, 3), ("/1", 2, 6)]
