"""What is known of keys: who may log in with which, and what the server shows as its own.

Every function takes the connection first; the transaction is the caller's. Instants are aware datetimes.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from keys.cipher import Cipher
from keys.errors import KeysError
from keys.secret import Secret
from keys.sshkey import KINDS, PublicKey, generate, parse_public
from keys.tables import Instant, host_keys, ssh_keys

LONGEST_LABEL = 100  # characters
SHORTEST_PREFIX = 4  # characters of a fingerprint, so that a slip of the finger revokes nothing


@dataclass(frozen=True)
class StoredKey:
    """A public key that belongs to an agency; the comment of `public` is the label."""

    id: str
    agency_id: str
    label: str
    public: PublicKey
    created_at: datetime
    revoked_at: datetime | None

    @property
    def fingerprint(self) -> str:
        """`SHA256:...`, as OpenSSH prints it."""
        return self.public.fingerprint

    @property
    def algorithm(self) -> str:
        """The key's type, as in `keys.sshkey.PublicKey`."""
        return self.public.algorithm

    @property
    def bits(self) -> int:
        """The key's length, as in `keys.sshkey.PublicKey`."""
        return self.public.bits


@dataclass(frozen=True)
class HostKey:
    """A pair the server proves itself with; `private` is a file in OpenSSH format, without passphrase."""

    id: str
    private: Secret
    public: PublicKey
    created_at: datetime


def add_key(conn: Connection, key_id: str, agency_id: str, public: PublicKey, label: str, at: datetime) -> StoredKey:
    """Let the agency log in with `public` from now on; an empty label becomes the key's comment or type.

    Raises KeysError `conflict` when the key is there already, was revoked once, or belongs to another agency (which is
    not named); `invalid` for a label that is too long or not one printable line.
    """
    label = _label(label, public)
    row = {
        "id": key_id,
        "agency_id": agency_id,
        "fingerprint": public.fingerprint,
        "algorithm": public.algorithm,
        "bits": public.bits,
        "blob": public.blob,
        "label": label,
        "created_at": at,
    }
    try:
        with conn.begin_nested():  # so that a key added meanwhile by somebody else is refused in the same words
            conn.execute(insert(ssh_keys).values(row))
    except IntegrityError:
        found = conn.execute(select(ssh_keys).where(ssh_keys.c.fingerprint == public.fingerprint)).first()
        if found is None:
            raise
        raise _taken(_stored(found), agency_id) from None
    return StoredKey(key_id, agency_id, label, replace(public, comment=label), at, None)


def list_keys(conn: Connection, agency_id: str) -> list[StoredKey]:
    """All keys of an agency, revoked ones too, oldest first."""
    query = select(ssh_keys).where(ssh_keys.c.agency_id == agency_id).order_by(ssh_keys.c.created_at, ssh_keys.c.id)
    return [_stored(row) for row in conn.execute(query)]


def find_active(conn: Connection, fingerprint: str) -> StoredKey | None:
    """The key with that fingerprint (`SHA256:...`), if it may log in; the caller looks whether its agency may."""
    query = select(ssh_keys).where(ssh_keys.c.fingerprint == fingerprint, ssh_keys.c.revoked_at.is_(None))
    row = conn.execute(query).first()
    return None if row is None else _stored(row)


def last_revocation(conn: Connection) -> datetime | None:
    """When a key was last revoked, or None: by it, whoever let somebody in can tell that it is time to look again."""
    return conn.execute(select(func.max(ssh_keys.c.revoked_at, type_=Instant))).scalar()


def revoke_key(conn: Connection, agency_id: str, which: str, at: datetime) -> StoredKey:
    """Shut out one key of the agency, for ever. `which` is its id, its label, or how its fingerprint begins.

    A key that was revoked before is given back as it is. Raises KeysError `not_found`, or `invalid` when `which` fits
    several keys.
    """
    fitting = [key for key in list_keys(conn, agency_id) if _fits(key, which)]
    active = [key for key in fitting if key.revoked_at is None]
    if not fitting:
        raise KeysError("not_found", "This agency has no such key.", "See its keys with: dropslot key list AGENCY")
    if len(active or fitting) > 1:
        raise KeysError("invalid", "Several keys of this agency fit.", "Give the id or the whole fingerprint.")
    if not active:
        return fitting[0]
    conn.execute(update(ssh_keys).where(ssh_keys.c.id == active[0].id).values(revoked_at=at))
    return next(key for key in list_keys(conn, agency_id) if key.id == active[0].id)


def ensure_host_keys(conn: Connection, cipher: Cipher, at: datetime, new_id: Callable[[], str]) -> list[HostKey]:
    """The server's host keys, one of each of `KINDS` at least and in that order; those that are missing are made.

    Needs a write transaction that keeps others out (or the lock of the start), lest two servers make different keys.
    Takes a second the first time. Raises KeysError `denied` when the master key is not theirs.
    """
    present = _active_host_keys(conn, cipher)
    there = {key.public.algorithm for key in present}
    missing = [kind for kind, algorithm in KINDS.items() if algorithm not in there]
    made = [_make_host_key(conn, cipher, kind, at, new_id()) for kind in missing]
    order = list(KINDS.values())
    return sorted(present + made, key=lambda key: order.index(key.public.algorithm))


def _label(label: str, public: PublicKey) -> str:
    label = label.strip() or public.comment[:LONGEST_LABEL].strip() or public.algorithm
    if len(label) > LONGEST_LABEL or not label.isprintable():
        hint = f"Give one line of at most {LONGEST_LABEL} printable characters."
        raise KeysError("invalid", "This label cannot be used.", hint)
    return label


def _taken(found: StoredKey, agency_id: str) -> KeysError:
    make_new = "Make a new pair and add that."
    if found.agency_id != agency_id:
        return KeysError("conflict", "This key is or was in use elsewhere; a key belongs to one agency.", make_new)
    if found.revoked_at is not None:
        day = found.revoked_at.date().isoformat()
        return KeysError("conflict", f"This key was revoked on {day} and cannot come back.", make_new)
    return KeysError("conflict", f"The agency has this key already, as '{found.label}'.", "Nothing needs to be done.")


def _fits(key: StoredKey, which: str) -> bool:
    which = which.strip()
    prefix = which.removeprefix("SHA256:")
    begins = len(prefix) >= SHORTEST_PREFIX and key.public.fingerprint.startswith(f"SHA256:{prefix}")
    return which in (key.id, key.label) or begins


def _stored(row: Row[Any]) -> StoredKey:
    public = PublicKey(row.algorithm, row.bits, row.blob, row.label)
    return StoredKey(row.id, row.agency_id, row.label, public, row.created_at, row.revoked_at)


def _active_host_keys(conn: Connection, cipher: Cipher) -> list[HostKey]:
    active = host_keys.c.retired_at.is_(None)
    query = select(host_keys).where(active).order_by(host_keys.c.created_at, host_keys.c.id)
    return [_opened(row, cipher) for row in conn.execute(query)]


def _opened(row: Row[Any], cipher: Cipher) -> HostKey:
    public = parse_public(row.public)
    return HostKey(row.id, Secret(cipher.open(row.sealed, _purpose(public))), public, row.created_at)


def _make_host_key(conn: Connection, cipher: Cipher, kind: str, at: datetime, key_id: str) -> HostKey:
    private, public = generate(kind, "dropslot")
    conn.execute(
        insert(host_keys).values(
            id=key_id,
            algorithm=public.algorithm,
            fingerprint=public.fingerprint,
            public=public.openssh(),
            sealed=cipher.seal(private.reveal(), _purpose(public)),
            created_at=at,
        )
    )
    return HostKey(key_id, private, public, at)


def _purpose(public: PublicKey) -> str:
    """Binds the private half to its public one: a row whose halves do not belong together does not open."""
    return f"host key {public.fingerprint}"
