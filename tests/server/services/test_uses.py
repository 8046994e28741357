"""When a key was last used: told to the database now and then, by nobody who waits."""

import asyncio
import io
import json
from collections.abc import Awaitable, Callable
from datetime import timedelta
from unittest.mock import patch

import pytest

from keys.store import StoredKey, Use, add_authority, list_authorities, list_keys
from server.clock import now
from server.logs import open_log
from server.services import uses
from server.services.provision import create_agency, make_key
from server.services.uses import Uses
from server.state import State


@pytest.fixture
def key(state: State) -> StoredKey:
    with state.database.writing() as conn:
        create_agency(conn, state.settings.agencies, "gwinnett", "Gwinnett", "America/New_York", staging=False)
        return make_key(conn, "gwinnett", "first")[1]


def stored(state: State, key: StoredKey) -> Use | None:
    with state.database.reading() as conn:
        return list_keys(conn, key.agency_id)[0].last_use


def play(state: State, scene: Callable[[Uses], Awaitable[None]]) -> None:
    async def run() -> None:
        ledger = Uses(state.database, open_log("error", io.StringIO()))
        await scene(ledger)
        await ledger.finish()

    asyncio.run(run())


def test_a_storm_of_logins_is_one_write(state: State, key: StoredKey) -> None:
    last = Use(now() + timedelta(seconds=1), "192.0.2.7", "SSH-2.0-WinSCP")

    async def scene(ledger: Uses) -> None:
        for number in range(500):
            ledger.note(key.fingerprint, Use(now(), f"192.0.2.{number % 256}", "other"))
        ledger.note(key.fingerprint, last)
        assert stored(state, key) is None, "nobody waits for a write"

    with patch.object(uses, "note_uses", wraps=uses.note_uses) as written:
        play(state, scene)
    assert stored(state, key) == last
    assert written.call_count == 1


def test_what_cannot_be_written_now_is_written_later(
    state: State, key: StoredKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uses, "WRITE_EVERY", 0.05)
    use = Use(now(), "2001:db8::7", "SSH-2.0-OpenSSH")
    away = state.database.engine.dialect.loaded_dbapi.OperationalError("unable to open database file")

    async def scene(ledger: Uses) -> None:
        with patch.object(state.database.engine.dialect, "do_execute", side_effect=away) as tried:
            ledger.note(key.fingerprint, use)
            while not tried.called:
                await asyncio.sleep(0.01)
        while stored(state, key) is None:
            await asyncio.sleep(0.01)

    play(state, scene)
    assert stored(state, key) == use


def test_a_database_in_trouble_is_a_warning_in_a_sentence(
    state: State, key: StoredKey, capsys: pytest.CaptureFixture[str]
) -> None:
    trouble = state.database.engine.dialect.loaded_dbapi.OperationalError("database or disk is full")

    async def scene() -> None:
        ledger = Uses(state.database, open_log("warning"))
        ledger.note(key.fingerprint, Use(now(), "192.0.2.7", "A"))
        with patch.object(state.database.engine.dialect, "do_execute", side_effect=trouble):
            await ledger.finish()

    asyncio.run(scene())
    [line] = map(json.loads, capsys.readouterr().err.splitlines())
    assert (line["event"], line["level"], line["code"]) == ("uses of keys put off", "warning", "unavailable")
    assert line["reason"].endswith(".")
    assert "trace" not in line


def test_a_key_and_an_authority_of_one_fingerprint_are_two(state: State, key: StoredKey) -> None:
    with state.database.writing() as conn:
        add_authority(conn, "ca", None, key.public, "", now())
    by_key, by_certificate = Use(now(), "192.0.2.7", "A"), Use(now(), "192.0.2.8", "B", 1001)

    async def scene(ledger: Uses) -> None:
        ledger.note(key.fingerprint, by_key)
        ledger.note(key.fingerprint, by_certificate)

    play(state, scene)
    assert stored(state, key) == by_key
    with state.database.reading() as conn:
        assert list_authorities(conn)[0].last_use == by_certificate
