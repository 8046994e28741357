"""Who may come in, asked afresh each time, and remembered while the database is away."""

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from unittest.mock import patch

import pytest
from sqlalchemy import Connection

from keys.password import hash_password
from keys.secret import Secret
from keys.sshkey import generate
from keys.store import Authority, StoredKey, Term, add_authority, edit_key, revoke_key, revoke_serials
from server.agencies import set_enabled, set_networks, set_password, set_quota
from server.clock import new_id, now
from server.services import passwords as module
from server.services.credential import CertificateProof, Credential, KeyProof
from server.services.keyring import Admission, KeyRing
from server.services.passwords import Passwords
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
    away = state.database.engine.dialect.loaded_dbapi.OperationalError("unable to open database file")
    with patch.object(state.database.engine.dialect, "do_execute", side_effect=away):
        assert ask(ring, "gwinnett", key.fingerprint) == "gwinnett"
        assert ask(ring, "fulton", key.fingerprint) is None


def test_what_another_process_let_in_opens_here_while_the_database_is_away_and_what_was_revoked_does_not(
    state: State, key: StoredKey
) -> None:
    ring = KeyRing(state.database)
    asyncio.run(ring.stamp())
    with database_away(state):
        assert ask(ring, "gwinnett", key.fingerprint) == "gwinnett"
        assert ask(ring, "fulton", key.fingerprint) is None
    with state.database.writing() as conn:
        revoke_key(conn, key.agency_id, key.fingerprint, now())
    asyncio.run(ring.stamp())
    with database_away(state):
        assert ask(ring, "gwinnett", key.fingerprint) is None


# --- certificates and passwords -----------------------------------------------


@pytest.fixture
def authority(state: State, key: StoredKey) -> Authority:
    with state.database.writing() as conn:
        return add_authority(conn, new_id(), key.agency_id, generate()[1], "", now())


def certificate(authority: Authority, serial: int = 1, expires_at: datetime | None = None) -> CertificateProof:
    return CertificateProof(authority.public.fingerprint, "SHA256:key", serial, "clerk", expires_at)


def admit(ring: KeyRing, credential: Credential, username: str = "gwinnett") -> Admission | None:
    return asyncio.run(ring.admit(username, credential))


@contextmanager
def database_away(state: State) -> Iterator[None]:
    away = state.database.engine.dialect.loaded_dbapi.OperationalError("unable to open database file")
    with patch.object(state.database.engine.dialect, "do_execute", side_effect=away):
        yield


def test_a_certificate_opens_the_agency_of_its_authority_until_it_expires(state: State, authority: Authority) -> None:
    ring, later = KeyRing(state.database), now() + timedelta(minutes=1)
    admitted = admit(ring, certificate(authority, expires_at=later))
    assert admitted is not None
    assert (admitted.agency.slug, admitted.until) == ("gwinnett", later)
    assert admit(ring, certificate(authority), "fulton") is None
    assert admit(ring, certificate(authority, expires_at=now())) is None
    assert admit(ring, CertificateProof("SHA256:another", "SHA256:key", 1, "clerk", None)) is None


def test_new_certificates_of_a_known_authority_are_good_while_the_database_is_away_and_revoked_ones_are_not(
    state: State, authority: Authority
) -> None:
    ring = KeyRing(state.database)
    with state.database.writing() as conn:
        revoke_serials(conn, authority, [66], now(), new_id)
    asyncio.run(ring.stamp())
    with database_away(state):
        assert admit(ring, certificate(authority, 2))
        assert admit(ring, certificate(authority, 66)) is None
        assert admit(ring, certificate(authority, 3, now())) is None
        assert admit(ring, certificate(authority, 2), "fulton") is None


def test_a_revoked_key_opens_nothing_by_a_certificate(state: State, key: StoredKey, authority: Authority) -> None:
    ring = KeyRing(state.database)
    certified = replace(certificate(authority), key=key.fingerprint)
    assert admit(ring, certified)
    with state.database.writing() as conn:
        revoke_key(conn, key.agency_id, key.fingerprint, now())
    assert admit(ring, certified) is None
    assert admit(ring, certificate(authority)), "another key of the same authority"
    for learnt in (False, True):
        if learnt:
            asyncio.run(ring.stamp())
        with database_away(state):
            assert admit(ring, certified) is None
            assert admit(ring, certificate(authority))


def test_a_key_that_expires_while_the_database_is_away_opens_nothing_any_more(state: State, key: StoredKey) -> None:
    ring = KeyRing(state.database)
    with state.database.writing() as conn:
        edit_key(conn, key, "", Term(expires_at=now() + timedelta(seconds=3)), now())
    assert ask(ring, "gwinnett", key.fingerprint) == "gwinnett"
    time.sleep(3.1)
    with database_away(state):
        assert ask(ring, "gwinnett", key.fingerprint) is None


def test_a_password_proves_its_agency_and_is_not_remembered(state: State, key: StoredKey) -> None:
    ring, passwords = KeyRing(state.database), Passwords(state.database)
    with state.database.writing() as conn:
        set_password(conn, "gwinnett", hash_password(Secret(b"a passphrase of the court")))
    proof = asyncio.run(passwords.prove("gwinnett", Secret(b"a passphrase of the court")))
    assert proof is not None
    assert asyncio.run(passwords.prove("gwinnett", Secret(b"another"))) is None
    assert asyncio.run(passwords.prove("fulton", Secret(b"a passphrase of the court"))) is None
    assert asyncio.run(passwords.prove("nobody", Secret(b"a passphrase of the court"))) is None
    assert admit(ring, proof)
    assert admit(ring, proof, "fulton") is None
    with database_away(state):
        assert admit(ring, proof) is None
    with state.database.writing() as conn:
        set_password(conn, "gwinnett", hash_password(Secret(b"a passphrase of the court")))
    assert admit(ring, proof) is None
    passwords.close()


def test_an_unknown_name_costs_as_many_hashes_as_a_known_one(state: State, key: StoredKey) -> None:
    passwords = Passwords(state.database)
    with patch.object(module, "is_password", wraps=module.is_password) as hashed:
        for name in ("gwinnett", "nobody"):
            assert asyncio.run(passwords.prove(name, Secret(b"a guess"))) is None
    assert hashed.call_count == 2
    passwords.close()


def test_the_stamp_is_another_one_after_each_change(state: State, key: StoredKey, authority: Authority) -> None:
    ring = KeyRing(state.database)
    stamps = [asyncio.run(ring.stamp())]
    changes: list[Callable[[Connection], object]] = [
        lambda conn: set_enabled(conn, "fulton", False),
        lambda conn: set_networks(conn, "gwinnett", ["10.0.0.0/8"]),
        lambda conn: set_quota(conn, "gwinnett", 1000, None),
        lambda conn: set_quota(conn, "gwinnett", 1000, 5),
        lambda conn: set_password(conn, "gwinnett", "$argon2id$"),
        lambda conn: revoke_serials(conn, authority, [5], now(), new_id),
        lambda conn: edit_key(conn, key, "", Term(expires_at=now() + timedelta(days=1)), now()),
        lambda conn: revoke_key(conn, key.agency_id, key.id, now()),
    ]
    assert not ring.takes_password("gwinnett")
    for change in changes:
        with state.database.writing() as conn:
            change(conn)
        stamps.append(asyncio.run(ring.stamp()))
        assert stamps[-1] != stamps[-2]
        assert asyncio.run(ring.stamp()) == stamps[-1]
    assert ring.takes_password("gwinnett")
    assert not ring.takes_password("fulton")


def test_it_is_known_who_exists_enabled_or_not(state: State, key: StoredKey) -> None:
    ring = KeyRing(state.database)
    with state.database.writing() as conn:
        set_enabled(conn, "fulton", False)
    assert [asyncio.run(ring.knows(name)) for name in ("gwinnett", "fulton", "nobody")] == [True, True, False]
