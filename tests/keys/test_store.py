"""The key store on real databases: who may log in with which key, and the server's own keys."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path

import pytest
from sqlalchemy import Connection, Engine, create_engine, select, text, update
from sqlalchemy.exc import IntegrityError

from keys.cipher import Cipher
from keys.errors import KeysError
from keys.secret import Secret
from keys.sshkey import KINDS, PublicKey, generate, parse_public
from keys.store import (
    StoredKey,
    Term,
    Use,
    add_authority,
    add_key,
    edit_key,
    ensure_host_keys,
    find_active,
    find_trusted,
    list_authorities,
    list_keys,
    list_terms,
    list_trust,
    note_uses,
    remove_authority,
    revoke_key,
    revoke_serials,
    revoked_serials,
    rotate_host_keys,
)
from keys.tables import host_keys, metadata
from tests.keys.programs import ssh_keygen

MARICOPA, PIMA = "agency-maricopa", "agency-pima"
NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
CIPHER = Cipher(Secret(bytes(range(32))))


@pytest.fixture
def engine(database_at: Callable[[Path], str], tmp_path: Path) -> Iterator[Engine]:
    engine = create_engine(database_at(tmp_path).replace("postgresql:", "postgresql+psycopg:"))
    metadata.create_all(engine)
    yield engine
    engine.dispose()


@pytest.fixture
def conn(engine: Engine) -> Iterator[Connection]:
    with engine.begin() as conn:
        yield conn


def new_key(comment: str = "") -> PublicKey:
    return generate("ed25519", comment)[1]


def add(conn: Connection, agency: str, public: PublicKey, label: str = "") -> StoredKey:
    return add_key(conn, public.fingerprint[-36:], agency, public, label, NOON)


# --- agencies' keys -----------------------------------------------------------


def test_a_key_that_was_added_is_found_and_listed(conn: Connection) -> None:
    public = new_key("clerk@court")
    added = add(conn, MARICOPA, public, "nightly export")
    assert find_active(conn, public.fingerprint, NOON) == added
    assert list_keys(conn, MARICOPA) == [added]
    assert list_keys(conn, PIMA) == []
    assert (added.label, added.created_at, added.revoked_at) == ("nightly export", NOON, None)
    assert added.public.blob == public.blob


def test_keys_are_listed_oldest_first_with_the_revoked_ones(conn: Connection) -> None:
    keys = [add_key(conn, f"k{n}", MARICOPA, new_key(), f"key {n}", NOON + timedelta(days=n)) for n in (2, 0, 1)]
    revoke_key(conn, MARICOPA, "key 1", NOON)
    assert [key.label for key in list_keys(conn, MARICOPA)] == ["key 0", "key 1", "key 2"]
    assert len(keys) == 3


def test_an_unknown_fingerprint_is_nobody(conn: Connection) -> None:
    assert find_active(conn, new_key().fingerprint, NOON) is None


@pytest.mark.parametrize(
    ("label", "comment", "kept"),
    [("", "clerk@court", "clerk@court"), ("", "", "ssh-ed25519"), ("  x ", "y", "x"), ("", "c" * 400, "c" * 100)],
)
def test_a_missing_label_is_made_up(conn: Connection, label: str, comment: str, kept: str) -> None:
    assert add(conn, MARICOPA, new_key(comment), label).label == kept


@pytest.mark.parametrize("label", ["x" * 101, "two\nlines", "\x1b[31mred"])
def test_a_label_that_cannot_be_shown_is_refused(conn: Connection, label: str) -> None:
    with pytest.raises(KeysError, match="label"):
        add(conn, MARICOPA, new_key(), label)


def test_the_same_key_again_is_a_conflict_that_says_where_it_is(conn: Connection) -> None:
    public = new_key()
    add(conn, MARICOPA, public, "first")
    refusal = conflict(conn, MARICOPA, public)
    assert "'first'" in refusal.message


def test_the_key_of_another_agency_is_a_conflict_that_does_not_name_it(conn: Connection) -> None:
    public = new_key()
    add(conn, MARICOPA, public, "maricopa's own")
    refusal = conflict(conn, PIMA, public)
    assert "maricopa" not in str(refusal).lower()
    revoke_key(conn, MARICOPA, "maricopa's own", NOON)
    assert str(conflict(conn, PIMA, public)) == str(refusal)
    assert list_keys(conn, PIMA) == []


def test_a_revoked_key_logs_nobody_in_and_cannot_come_back(conn: Connection) -> None:
    public = new_key()
    add(conn, MARICOPA, public)
    revoked = revoke_key(conn, MARICOPA, public.fingerprint, NOON)
    assert revoked.revoked_at == NOON
    assert find_active(conn, public.fingerprint, NOON) is None
    assert "revoked on 2026-03-02" in conflict(conn, MARICOPA, public).message


def test_a_refused_key_leaves_the_transaction_usable(engine: Engine) -> None:
    public, other = new_key(), new_key()
    with engine.begin() as conn:
        add(conn, MARICOPA, public)
        conflict(conn, PIMA, public)
        add(conn, PIMA, other)
    with engine.connect() as conn:
        assert find_active(conn, public.fingerprint, NOON)
        assert find_active(conn, other.fingerprint, NOON)


def test_an_id_that_is_taken_is_our_bug_not_a_conflict(conn: Connection) -> None:
    add_key(conn, "one", MARICOPA, new_key(), "", NOON)
    with pytest.raises(IntegrityError, match=r"(?i)unique") as caught:
        add_key(conn, "one", MARICOPA, new_key(), "", NOON)
    assert not isinstance(caught.value, KeysError)


@pytest.mark.parametrize("how", ["id", "label", "fingerprint", "prefix", "bare prefix"])
def test_a_key_is_revoked_by_any_of_its_names(conn: Connection, how: str) -> None:
    key = add(conn, MARICOPA, new_key(), "nightly")
    other = add(conn, MARICOPA, new_key(), "other")
    full = key.public.fingerprint
    names = {"id": key.id, "label": "nightly", "fingerprint": full, "prefix": full[:15], "bare prefix": full[7:15]}
    assert revoke_key(conn, MARICOPA, names[how], NOON).id == key.id
    assert {each.id: each.revoked_at for each in list_keys(conn, MARICOPA)} == {key.id: NOON, other.id: None}


@pytest.mark.parametrize("name", ["", " ", "S", "SHA256:", "SHA256:ab", "night", "%", "nobody"])
def test_a_name_that_fits_no_key_revokes_none(conn: Connection, name: str) -> None:
    add(conn, MARICOPA, new_key(), "nightly")
    with pytest.raises(KeysError) as caught:
        revoke_key(conn, MARICOPA, name, NOON)
    assert caught.value.code == "not_found"


def test_a_name_that_fits_two_keys_revokes_none(conn: Connection) -> None:
    keys = [add(conn, MARICOPA, new_key(), "nightly") for _ in range(2)]
    with pytest.raises(KeysError) as caught:
        revoke_key(conn, MARICOPA, "nightly", NOON)
    assert caught.value.code == "invalid"
    assert all(find_active(conn, key.public.fingerprint, NOON) for key in keys)


def test_a_label_used_again_means_the_key_that_is_active(conn: Connection) -> None:
    add(conn, MARICOPA, new_key(), "nightly")
    revoke_key(conn, MARICOPA, "nightly", NOON)
    second = add(conn, MARICOPA, new_key(), "nightly")
    assert revoke_key(conn, MARICOPA, "nightly", NOON + timedelta(days=1)).id == second.id


def test_revoking_again_changes_nothing(conn: Connection) -> None:
    add(conn, MARICOPA, new_key(), "nightly")
    revoke_key(conn, MARICOPA, "nightly", NOON)
    assert revoke_key(conn, MARICOPA, "nightly", NOON + timedelta(days=1)).revoked_at == NOON


def test_nobody_revokes_the_key_of_another_agency(conn: Connection) -> None:
    key = add(conn, MARICOPA, new_key(), "nightly")
    for name in (key.id, "nightly", key.public.fingerprint):
        with pytest.raises(KeysError, match="no such key"):
            revoke_key(conn, PIMA, name, NOON)
    assert find_active(conn, key.public.fingerprint, NOON)


def test_a_revocation_is_told(conn: Connection) -> None:
    key = add(conn, MARICOPA, new_key())
    before = list_terms(conn)
    revoke_key(conn, MARICOPA, key.public.fingerprint, NOON)
    assert list_terms(conn) != before


# --- when a key may be used, and was --------------------------------------------


def test_a_key_lets_in_from_its_first_instant_until_just_before_its_last(conn: Connection) -> None:
    public, day = new_key(), timedelta(days=1)
    key = add_key(conn, "k", MARICOPA, public, "", NOON, Term(NOON + day, NOON + 2 * day))
    for at, state in ((0, "waiting"), (1, "active"), (1.999, "active"), (2, "expired"), (3, "expired")):
        found = find_active(conn, public.fingerprint, NOON + at * day)
        assert (found is not None) == (state == "active"), at
        assert key.state(NOON + at * day) == state
    assert list_keys(conn, MARICOPA)[0].term == key.term


def test_a_term_that_is_over_or_never_comes_is_refused(conn: Connection) -> None:
    for term in (Term(None, NOON), Term(NOON + timedelta(days=2), NOON + timedelta(days=1))):
        with pytest.raises(KeysError) as caught:
            add_key(conn, "k", MARICOPA, new_key(), "", NOON, term)
        assert caught.value.code == "invalid"
    assert list_keys(conn, MARICOPA) == []


def test_an_edited_key_has_its_new_label_and_term(conn: Connection) -> None:
    key = add(conn, MARICOPA, new_key(), "nightly")
    before = list_terms(conn)
    edited = edit_key(conn, key, "", Term(expires_at=NOON + timedelta(days=1)), NOON)
    assert edited.label == "nightly"
    assert list_terms(conn) != before
    again = edit_key(conn, edited, "yearly", Term(), NOON)
    assert list_keys(conn, MARICOPA) == [again]
    assert (again.label, again.term) == ("yearly", Term())


def test_a_key_that_has_expired_can_be_given_another_label_and_term(conn: Connection) -> None:
    key = add_key(conn, "k", MARICOPA, new_key(), "", NOON, Term(None, NOON + timedelta(days=1)))
    later = NOON + timedelta(days=2)
    assert edit_key(conn, key, "old", key.term, later).state(later) == "expired"
    assert edit_key(conn, key, "old", Term(), later).state(later) == "active"


def test_a_revoked_key_is_not_edited(conn: Connection) -> None:
    key = add(conn, MARICOPA, new_key(), "nightly")
    revoked = revoke_key(conn, MARICOPA, "nightly", NOON)
    with pytest.raises(KeysError, match="revoked"):
        edit_key(conn, revoked, "back", key.term, NOON)


def test_the_last_use_is_kept_whatever_order_it_is_told_in(conn: Connection) -> None:
    key = add(conn, MARICOPA, new_key())
    early, late = Use(NOON, "192.0.2.1", "A"), Use(NOON + timedelta(seconds=1), "2001:db8::1", "B" * 300)
    note_uses(conn, [(key.fingerprint, late)])
    note_uses(conn, [(key.fingerprint, early), ("SHA256:nobody", late)])
    assert list_keys(conn, MARICOPA)[0].last_use == Use(late.at, late.address, "B" * 255)


# --- the server's own keys ----------------------------------------------------


def ids() -> Iterator[str]:
    return (f"host-{number}" for number in count())


def test_host_keys_are_made_once_and_stay(engine: Engine, tmp_path: Path) -> None:
    numbers = ids()
    with engine.begin() as conn:
        made = ensure_host_keys(conn, CIPHER, NOON, lambda: next(numbers))
    with engine.begin() as conn:
        again = ensure_host_keys(conn, CIPHER, NOON + timedelta(days=1), lambda: next(numbers))
    assert again == made
    assert [key.public.algorithm for key in made] == list(KINDS.values())
    assert next(numbers) == "host-3"
    for key in made:
        path = tmp_path / key.id
        path.write_bytes(key.private.reveal())
        path.chmod(0o600)
        assert parse_public(ssh_keygen("-y", "-f", path)).fingerprint == key.public.fingerprint


def test_a_missing_kind_is_made_again_and_the_others_stay(conn: Connection) -> None:
    numbers = ids()
    made = ensure_host_keys(conn, CIPHER, NOON, lambda: next(numbers))
    conn.execute(update(host_keys).where(host_keys.c.algorithm == "ssh-ed25519").values(retired_at=NOON))
    again = ensure_host_keys(conn, CIPHER, NOON, lambda: next(numbers))
    assert again[1:] == made[1:]
    assert again[0].id == "host-3"


def test_a_clock_that_is_behind_makes_no_other_host_keys(conn: Connection) -> None:
    numbers = ids()
    made = ensure_host_keys(conn, CIPHER, NOON, lambda: next(numbers))
    assert ensure_host_keys(conn, CIPHER, NOON - timedelta(days=400), lambda: next(numbers)) == made
    rotate_host_keys(conn, CIPHER, NOON, NOON + timedelta(days=14), lambda: next(numbers))
    again = ensure_host_keys(conn, CIPHER, NOON - timedelta(hours=1), lambda: next(numbers))
    assert again[:3] == made
    assert len(again) == 6


@pytest.mark.sqlite_only
def test_no_private_key_lies_open_in_the_database_file(engine: Engine, tmp_path: Path) -> None:
    numbers = ids()
    with engine.begin() as conn:
        made = ensure_host_keys(conn, CIPHER, NOON, lambda: next(numbers))
    content = (tmp_path / "dropslot.db").read_bytes()
    assert b"PRIVATE" not in content
    assert all(key.private.reveal()[100:160] not in content for key in made)
    assert made[0].public.openssh().encode() in content
    assert "PRIVATE" not in repr(made)


def test_another_master_key_opens_no_host_key(conn: Connection) -> None:
    numbers = ids()
    ensure_host_keys(conn, CIPHER, NOON, lambda: next(numbers))
    with pytest.raises(KeysError, match="another master key") as caught:
        ensure_host_keys(conn, Cipher(Secret(bytes(32))), NOON, lambda: next(numbers))
    assert caught.value.code == "denied"


def test_a_private_half_under_another_public_half_does_not_open(conn: Connection) -> None:
    numbers = ids()
    ensure_host_keys(conn, CIPHER, NOON, lambda: next(numbers))
    wrong = conn.execute(select(host_keys.c.sealed).where(host_keys.c.algorithm == "ssh-rsa")).scalar_one()
    conn.execute(update(host_keys).where(host_keys.c.algorithm == "ssh-ed25519").values(sealed=wrong))
    with pytest.raises(KeysError, match="damaged"):
        ensure_host_keys(conn, CIPHER, NOON, lambda: next(numbers))


def test_instants_are_text_that_any_program_can_read(conn: Connection) -> None:
    add(conn, MARICOPA, new_key())
    assert conn.execute(text("SELECT created_at FROM ssh_keys")).scalars().all() == ["2026-03-02T12:00:00.000000Z"]


def conflict(conn: Connection, agency: str, public: PublicKey) -> KeysError:
    with pytest.raises(KeysError) as caught:
        add(conn, agency, public)
    assert caught.value.code == "conflict"
    assert caught.value.hint
    return caught.value


# --- authorities of certificates ----------------------------------------------


def test_an_authority_is_trusted_until_it_is_removed(conn: Connection) -> None:
    public = new_key("ca@court")
    nothing = list_trust(conn)
    added = add_authority(conn, "ca", MARICOPA, public, "", NOON)
    trusted = list_trust(conn)
    assert find_trusted(conn, public.fingerprint) == added
    assert list_authorities(conn) == [added]
    assert (added.label, added.agency_id) == ("ca@court", MARICOPA)
    remove_authority(conn, "ca@court", NOON)
    assert find_trusted(conn, public.fingerprint) is None
    assert list_authorities(conn) == []
    assert len({nothing, trusted, list_trust(conn)}) == 3


def test_an_authority_that_comes_back_has_what_it_revoked(conn: Connection) -> None:
    public, numbers = new_key(), ids()
    added = add_authority(conn, "ca", None, public, "", NOON)
    revoke_serials(conn, added, [7, 2**64 - 1], NOON, lambda: next(numbers))
    remove_authority(conn, "ca", NOON)
    again = add_authority(conn, "other id", MARICOPA, public, "back", NOON)
    assert (again.id, again.agency_id, again.label) == ("ca", MARICOPA, "back")
    assert find_trusted(conn, public.fingerprint) == again
    assert revoked_serials(conn, "ca") == {7, 2**64 - 1}
    with pytest.raises(KeysError) as caught:
        add_authority(conn, "third", None, public, "", NOON)
    assert caught.value.code == "conflict"


def test_serials_are_revoked_once_and_others_are_refused(conn: Connection) -> None:
    numbers = ids()
    added = add_authority(conn, "ca", None, new_key(), "", NOON)
    before = list_trust(conn)
    assert revoke_serials(conn, added, [3, 1, 3], NOON, lambda: next(numbers)) == [1, 3]
    assert revoke_serials(conn, added, [3, 2], NOON, lambda: next(numbers)) == [2]
    assert list_trust(conn) != before
    for serial in (-1, 2**64):
        with pytest.raises(KeysError, match="serial number"):
            revoke_serials(conn, added, [serial], NOON, lambda: next(numbers))


def test_an_authority_remembers_its_last_certificate_and_a_key_its_own_use(conn: Connection) -> None:
    public = new_key()
    add(conn, MARICOPA, public)
    add_authority(conn, "ca", None, public, "", NOON)
    later = NOON + timedelta(seconds=1)
    by_key, early = Use(NOON, "192.0.2.1", "A"), Use(NOON, "192.0.2.2", "B", 7)
    late = Use(later, "2001:db8::1", "C" * 255, 2**64 - 1)
    note_uses(conn, [(public.fingerprint, use) for use in (late, by_key, early)])
    assert list_keys(conn, MARICOPA)[0].last_use == by_key
    assert list_authorities(conn)[0].last_use == late
    assert find_trusted(conn, public.fingerprint) == list_authorities(conn)[0]


def test_a_login_by_certificate_changes_nobodys_admission(conn: Connection) -> None:
    public = new_key()
    add_authority(conn, "ca", None, public, "", NOON)
    before = list_trust(conn)
    note_uses(conn, [(public.fingerprint, Use(NOON, "192.0.2.1", "A", 0))])
    assert list_trust(conn) == before
    assert list_authorities(conn)[0].last_use == Use(NOON, "192.0.2.1", "A", 0)
