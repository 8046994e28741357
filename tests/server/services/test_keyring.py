"""Who may come in, asked afresh each time, and remembered while the database is away."""

import asyncio
import sqlite3
from unittest.mock import patch

import pytest

from keys.store import StoredKey, revoke_key
from server.agencies import set_enabled, set_networks
from server.clock import now
from server.services.keyring import KeyRing
from server.services.provision import create_agency, make_key
from server.state import State


@pytest.fixture
def key(state: State) -> StoredKey:
    with state.database.writing() as conn:
        create_agency(conn, state.settings.agencies, "gwinnett", "Gwinnett", "America/New_York", staging=False)
        create_agency(conn, state.settings.agencies, "fulton", "Fulton", "America/New_York", staging=False)
        return make_key(conn, "gwinnett", "first")[1]


def ask(ring: KeyRing, username: str, fingerprint: str) -> str | None:
    found = asyncio.run(ring.agency(username, fingerprint))
    return found and found.slug


def test_a_key_opens_its_own_agency_only(state: State, key: StoredKey) -> None:
    ring = KeyRing(state.database)
    assert ask(ring, "gwinnett", key.fingerprint) == "gwinnett"
    assert ask(ring, "fulton", key.fingerprint) is None
    assert ask(ring, "nobody", key.fingerprint) is None
    assert ask(ring, "gwinnett", "SHA256:another") is None


def test_a_revoked_key_and_a_disabled_agency_are_out_at_once(state: State, key: StoredKey) -> None:
    ring = KeyRing(state.database)
    assert ask(ring, "gwinnett", key.fingerprint) == "gwinnett"
    with state.database.writing() as conn:
        set_enabled(conn, "gwinnett", False)
    assert ask(ring, "gwinnett", key.fingerprint) is None
    with state.database.writing() as conn:
        set_enabled(conn, "gwinnett", True)
        revoke_key(conn, key.agency_id, key.fingerprint, now())
    assert ask(ring, "gwinnett", key.fingerprint) is None


def test_a_known_key_still_opens_while_the_database_is_away(state: State, key: StoredKey) -> None:
    ring = KeyRing(state.database)
    assert ask(ring, "gwinnett", key.fingerprint) == "gwinnett"
    away = sqlite3.OperationalError("unable to open database file")
    with patch.object(state.database.engine.dialect, "do_execute", side_effect=away):
        assert ask(ring, "gwinnett", key.fingerprint) == "gwinnett"
        assert ask(ring, "fulton", key.fingerprint) is None


def test_the_stamp_changes_with_whatever_may_end_a_session(state: State, key: StoredKey) -> None:
    ring, stamps = KeyRing(state.database), []
    stamps.append(asyncio.run(ring.stamp()))
    assert asyncio.run(ring.stamp()) == stamps[0]
    with state.database.writing() as conn:
        set_enabled(conn, "fulton", False)
    stamps.append(asyncio.run(ring.stamp()))
    with state.database.writing() as conn:
        set_networks(conn, "gwinnett", ["10.0.0.0/8"])
    stamps.append(asyncio.run(ring.stamp()))
    with state.database.writing() as conn:
        revoke_key(conn, key.agency_id, key.fingerprint, now())
    stamps.append(asyncio.run(ring.stamp()))
    assert len(set(stamps)) == 4


def test_it_is_known_who_exists_enabled_or_not(state: State, key: StoredKey) -> None:
    ring = KeyRing(state.database)
    with state.database.writing() as conn:
        set_enabled(conn, "fulton", False)
    assert [asyncio.run(ring.knows(name)) for name in ("gwinnett", "fulton", "nobody")] == [True, True, False]
