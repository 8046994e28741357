"""Who may come in, asked afresh each time, and remembered while the database is away."""

import asyncio
import sqlite3
from unittest.mock import patch

import pytest

from keys.store import StoredKey, revoke_key
from server.agencies import set_enabled
from server.clock import now
from server.services.credential import KeyProof
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
    found = asyncio.run(ring.admit(username, KeyProof(fingerprint)))
    return found and found.agency.slug


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
