"""What a door knows that begins while the database is away."""

import asyncio
import io
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from keys.cipher import Cipher
from keys.secret import Secret
from keys.store import Term, edit_key, ensure_host_keys, revoke_key
from server.agencies import Agency, set_password
from server.clock import new_id, now
from server.gatekeeper import Gatekeeper
from server.logs import open_log
from server.services.credential import CertificateProof, KeyProof, PasswordProof
from server.services.keyring import KeyRing
from server.services.provision import create_agency, make_key
from server.services.standby import Known, Standby
from server.services.trust import Trust, Trusted
from server.state import State
from tests.server.services.test_keyring import database_away

AGENCY = Agency("1", "gwinnett", "Gwinnett", "America/New_York", False, True, now(), "10.0.0.0/8", 1000, 10, "argon2")
ENTRIES = (
    ("gwinnett", "SHA256:one", Trust(AGENCY, now() + timedelta(hours=1))),
    ("gwinnett", "authority SHA256:two", Trust(AGENCY, revoked=frozenset({7, 8}))),
)


@pytest.fixture
def standby(tmp_path: Path) -> Standby:
    return Standby(tmp_path / "standby", lambda: Cipher(Secret(bytes(32))))


def known(at: timedelta = timedelta(0)) -> Known:
    return Known((b"first key", b"second key"), Trusted(now() + at, ENTRIES))


def test_what_is_kept_is_recalled_but_for_passwords(standby: Standby, tmp_path: Path) -> None:
    assert standby.recall() is None
    standby.keep(known(-timedelta(hours=1)))
    first = known()
    standby.keep(first)
    bare = replace(AGENCY, password_hash=None)
    own = tuple((name, source, replace(trust, agency=bare)) for name, source, trust in ENTRIES)
    assert standby.recall() == Known(first.host_keys, Trusted(first.trusted.at, own))
    assert [file.name for file in tmp_path.iterdir()] == ["standby"]
    assert (tmp_path / "standby").stat().st_mode & 0o777 == 0o600
    written = (tmp_path / "standby").read_bytes()
    assert not any(word in written for word in (b"gwinnett", b"first key", b"argon2"))


@pytest.mark.parametrize("age", [timedelta(days=-1), timedelta(days=-400)])
def test_what_is_older_than_a_day_counts_no_more(standby: Standby, age: timedelta) -> None:
    standby.keep(known(age))
    assert standby.recall() is None


@pytest.mark.parametrize("content", [b"", b"not sealed", bytes(200)])
def test_a_damaged_file_is_none(standby: Standby, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "standby").write_bytes(content)
    assert standby.recall() is None


def test_another_master_key_opens_nothing(standby: Standby, tmp_path: Path) -> None:
    standby.keep(known())
    other = Standby(tmp_path / "standby", lambda: Cipher(Secret(bytes(31) + b"1")))
    assert other.recall() is None
    other.forget()
    other.forget()
    assert standby.recall() is None


def test_what_cannot_be_written_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "standby").mkdir()
    with pytest.raises(OSError, match="standby"):
        Standby(tmp_path / "standby", lambda: Cipher(Secret(bytes(32)))).keep(known())
    assert [file.name for file in tmp_path.iterdir()] == ["standby"]


def test_a_door_that_begins_lets_in_whom_another_one_knew(state: State) -> None:
    with state.database.writing() as conn:
        create_agency(conn, state.settings.agencies, "gwinnett", "Gwinnett", "America/New_York", staging=False)
        keys = [make_key(conn, "gwinnett", label)[1] for label in ("good", "expired", "revoked")]
        set_password(conn, "gwinnett", "a hash")
    good, expired, revoked = (KeyProof(key.fingerprint) for key in keys)
    ring = KeyRing(state.database)
    asyncio.run(ring.stamp())
    with state.database.writing() as conn:
        revoke_key(conn, keys[2].agency_id, revoked.fingerprint, now())
        edit_key(conn, keys[1], "", Term(expires_at=now() + timedelta(seconds=0.2)), now())
    asyncio.run(ring.stamp())
    assert ring.learnt
    later = KeyRing(state.database)
    later.restore(ring.learnt)
    asyncio.run(asyncio.sleep(0.3))
    with database_away(state):
        found = [asyncio.run(later.admit("gwinnett", proof)) for proof in (good, expired, revoked, PasswordProof("1"))]
        assert [one is not None for one in found] == [True, False, False, False]
        assert asyncio.run(later.admit("fulton", good)) is None
    stale = KeyRing(state.database)
    stale.restore(replace(ring.learnt, at=now() - timedelta(hours=25)))
    with database_away(state):
        assert asyncio.run(stale.admit("gwinnett", good)) is None


def test_a_revoked_serial_stays_revoked(state: State) -> None:
    ring = KeyRing(state.database)
    ring.restore(Trusted(now(), ENTRIES))
    until = now() + timedelta(hours=1)
    with database_away(state):
        proofs = [CertificateProof("SHA256:two", "SHA256:key", serial, "", until) for serial in (6, 7)]
        found = [asyncio.run(ring.admit("gwinnett", proof)) for proof in proofs]
    assert [one is not None for one in found] == [True, False]


def test_only_a_database_that_may_be_away_has_one(state: State) -> None:
    with state.database.writing() as conn:
        keys = [key.private.reveal() for key in ensure_host_keys(conn, state.cipher(), now(), new_id)]

    async def play() -> None:
        gate = Gatekeeper(state, open_log("error", io.StringIO()))
        await gate.stamp()
        await gate.finish()

    asyncio.run(play())
    recalled = state.standby.recall()
    assert (recalled and list(recalled.host_keys)) == (None if state.database.is_embedded else keys)
