"""What an operator is told about keys, and when not."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from keys.sshkey import PublicKey, generate, parse_public
from keys.store import Term, Use, add_authority, add_key, note_uses, revoke_key
from server.agencies import Agency, list_agencies, set_enabled
from server.clock import new_id
from server.services.audit import audit
from server.services.provision import create_agency
from server.state import State

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
DAY = timedelta(days=1)


@pytest.fixture
def agency(state: State) -> Agency:
    with state.database.writing() as conn:
        return create_agency(conn, state.settings.agencies, "gwinnett", "G", "America/New_York", staging=False)


def enrol(
    state: State,
    agency: Agency,
    label: str = "nightly",
    *,
    public: PublicKey | None = None,
    age: timedelta = timedelta(),
    used: timedelta | None = None,
    ends: timedelta | None = None,
) -> None:
    """Enrol a key that is so old, was used so long ago and ends so far from now."""
    public = replace(public or generate()[1], comment=label)
    term = Term(expires_at=None if ends is None else NOW + ends)
    with state.database.writing() as conn:
        add_key(conn, new_id(), agency.id, public, label, NOW - age, term)
        if used is not None:
            note_uses(conn, [(public.fingerprint, Use(NOW - used, "192.0.2.1", "client"))])


def codes(state: State) -> list[str]:
    with state.database.reading() as conn:
        return [finding.code for finding in audit(conn, list_agencies(conn), NOW, 90 * DAY)]


def weak_key() -> PublicKey:
    private = generate_private_key(65537, 2048)
    return parse_public(private.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH))


@pytest.mark.parametrize(
    ("life", "found"),
    [
        ({}, []),
        ({"age": 400 * DAY, "used": DAY}, []),
        ({"age": 400 * DAY, "used": 91 * DAY}, ["unused"]),
        ({"age": 8 * DAY}, ["never-used"]),
        ({"ends": 31 * DAY}, []),
        ({"ends": 29 * DAY}, ["expiring"]),
        ({"age": 2 * DAY, "ends": -DAY}, ["expired", "no-key"]),
    ],
)
def test_what_is_found_follows_from_a_keys_life(
    state: State, agency: Agency, life: dict[str, timedelta], found: list[str]
) -> None:
    enrol(state, agency, **life)  # type: ignore[arg-type]
    assert codes(state) == found


def test_short_rsa_keys_are_weak_and_other_keys_are_not(state: State, agency: Agency) -> None:
    enrol(state, agency, "ecdsa", public=generate("ecdsa-nistp256")[1])
    enrol(state, agency, "rsa", public=generate("rsa-3072")[1])
    assert codes(state) == []
    enrol(state, agency, "old", public=weak_key())
    assert codes(state) == ["weak"]


def test_keys_of_one_label_are_told_apart(state: State, agency: Agency) -> None:
    enrol(state, agency, "same")
    enrol(state, agency, "other")
    enrol(state, agency, "same")
    assert codes(state) == ["shared-label", "shared-label"]


def test_an_agency_without_a_way_in_is_found_unless_it_is_disabled(state: State, agency: Agency) -> None:
    assert codes(state) == ["no-key"]
    enrol(state, agency, "first")
    assert codes(state) == []
    with state.database.writing() as conn:
        revoke_key(conn, agency.id, "first", NOW)
    assert codes(state) == ["no-key"]
    with state.database.writing() as conn:
        set_enabled(conn, "gwinnett", False)
    assert codes(state) == []


def test_an_authority_is_a_way_in_and_may_be_weak(state: State, agency: Agency) -> None:
    with state.database.writing() as conn:
        add_authority(conn, new_id(), None, weak_key(), "old", NOW)
    assert codes(state) == ["weak"]


@pytest.mark.parametrize(
    ("age", "used", "found"),
    [(6, None, []), (8, None, ["never-used"]), (400, 1, []), (400, 91, ["unused"])],
    ids=["new", "never used", "in use", "unused"],
)
def test_an_authority_whose_certificates_nobody_uses_is_found(
    state: State, agency: Agency, age: int, used: int | None, found: list[str]
) -> None:
    public = generate()[1]
    with state.database.writing() as conn:
        add_authority(conn, new_id(), agency.id, public, "court-ca", NOW - age * DAY)
        if used is not None:
            note_uses(conn, [(public.fingerprint, Use(NOW - used * DAY, "192.0.2.1", "client", 7))])
    assert codes(state) == found
