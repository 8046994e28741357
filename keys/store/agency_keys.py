"""Public keys that agencies log in with: from when, until when, and when they were last used."""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, String, insert, or_, select, type_coerce, update
from sqlalchemy.exc import IntegrityError

from keys.errors import KeysError
from keys.sshkey import PublicKey
from keys.store.names import choose_label, is_named
from keys.store.uses import Use, last_use
from keys.tables import ssh_keys


@dataclass(frozen=True)
class Term:
    """When a key lets somebody in: from `not_before` on, until just before `expires_at`; None is no bound."""

    not_before: datetime | None = None
    expires_at: datetime | None = None

    def holds(self, at: datetime) -> bool:
        """Whether `at` lies in it."""
        began = self.not_before is None or self.not_before <= at
        return began and (self.expires_at is None or at < self.expires_at)


@dataclass(frozen=True)
class StoredKey:
    """A public key that belongs to an agency; the comment of `public` is the label."""

    id: str
    agency_id: str
    label: str
    public: PublicKey
    created_at: datetime
    revoked_at: datetime | None = None
    term: Term = Term()
    last_use: Use | None = None

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

    def state(self, at: datetime) -> str:
        """`active`, `waiting` (for its first day), `expired` or `revoked`."""
        if self.revoked_at is not None:
            return "revoked"
        if self.term.holds(at):
            return "active"
        return "waiting" if self.term.not_before is not None and at < self.term.not_before else "expired"


def add_key(
    conn: Connection,
    key_id: str,
    agency_id: str,
    public: PublicKey,
    label: str,
    at: datetime,
    term: Term = Term(),
) -> StoredKey:
    """Let the agency log in with `public` in that term; an empty label becomes the key's comment or type.

    Raises KeysError `conflict` when the key is there already, was revoked once, or belongs to another agency (which is
    not named); `invalid` for a label that is too long or not one printable line, or a term that is over or never comes.
    """
    label = choose_label(label, public)
    _check_term(term, at)
    row = {
        "id": key_id,
        "agency_id": agency_id,
        "fingerprint": public.fingerprint,
        "algorithm": public.algorithm,
        "bits": public.bits,
        "blob": public.blob,
        "label": label,
        "created_at": at,
        "not_before": term.not_before,
        "expires_at": term.expires_at,
    }
    try:
        with conn.begin_nested():  # so that a key added meanwhile by somebody else is refused in the same words
            conn.execute(insert(ssh_keys).values(row))
    except IntegrityError:
        found = conn.execute(select(ssh_keys).where(ssh_keys.c.fingerprint == public.fingerprint)).first()
        if found is None:
            raise
        raise _taken(_stored(found), agency_id) from None
    return StoredKey(key_id, agency_id, label, replace(public, comment=label), at, term=term)


def list_keys(conn: Connection, agency_id: str) -> list[StoredKey]:
    """All keys of an agency, revoked ones too, oldest first."""
    query = select(ssh_keys).where(ssh_keys.c.agency_id == agency_id).order_by(ssh_keys.c.created_at, ssh_keys.c.id)
    return [_stored(row) for row in conn.execute(query)]


def find_active(conn: Connection, fingerprint: str, at: datetime) -> StoredKey | None:
    """The key with that fingerprint (`SHA256:...`), if it may log in now; the caller looks whether its agency may."""
    query = select(ssh_keys).where(ssh_keys.c.fingerprint == fingerprint, ssh_keys.c.revoked_at.is_(None))
    row = conn.execute(query).first()
    key = None if row is None else _stored(row)
    return key if key and key.term.holds(at) else None


def revoked_keys(conn: Connection) -> frozenset[str]:
    """The fingerprints of all keys that were revoked: whoever has one comes in under no name, and by no certificate."""
    return frozenset(conn.execute(select(ssh_keys.c.fingerprint).where(ssh_keys.c.revoked_at.is_not(None))).scalars())


def list_terms(conn: Connection) -> tuple[tuple[str | None, ...], ...]:
    """What bounds the keys' use: it is another value as soon as a key is revoked or has got another term.

    By it, whoever let somebody in can tell that it is time to look again. That a term ends by itself it does not tell.
    """
    ends = (ssh_keys.c.revoked_at, ssh_keys.c.not_before, ssh_keys.c.expires_at)
    bounded = or_(*(column.is_not(None) for column in ends))
    columns = [ssh_keys.c.id, *(type_coerce(column, String) for column in ends)]  # compared only, so left as text
    return tuple(tuple(row) for row in conn.execute(select(*columns).where(bounded).order_by(ssh_keys.c.id)))


def find_key(conn: Connection, agency_id: str, which: str) -> StoredKey:
    """One key of the agency, by its id, its label, or how its fingerprint begins; rather one that is not revoked.

    Raises KeysError `not_found`, or `invalid` when `which` fits several keys.
    """
    fitting = [key for key in list_keys(conn, agency_id) if is_named(which, key.id, key.label, key.fingerprint)]
    active = [key for key in fitting if key.revoked_at is None]
    if not fitting:
        raise KeysError("not_found", "This agency has no such key.", "See its keys with: dropslot key list AGENCY")
    if len(active or fitting) > 1:
        raise KeysError("invalid", "Several keys of this agency fit.", "Give the id or the whole fingerprint.")
    return (active or fitting)[0]


def edit_key(conn: Connection, key: StoredKey, label: str, term: Term, at: datetime) -> StoredKey:
    """Give the key another label and term (an empty label: it keeps its own).

    Raises KeysError `conflict` for a revoked key, `invalid` as `add_key` does.
    """
    if key.revoked_at is not None:
        raise KeysError("conflict", "This key is revoked, for ever.", "Make a new pair and add that.")
    label = choose_label(label or key.label, key.public)
    if term != key.term:
        _check_term(term, at)
    values = {"label": label, "not_before": term.not_before, "expires_at": term.expires_at}
    conn.execute(update(ssh_keys).where(ssh_keys.c.id == key.id).values(values))
    return replace(key, label=label, term=term, public=replace(key.public, comment=label))


def revoke_key(conn: Connection, agency_id: str, which: str, at: datetime) -> StoredKey:
    """Shut out one key of the agency, for ever. `which` is as in `find_key`, which also says what it raises.

    A key that was revoked before is given back as it is.
    """
    key = find_key(conn, agency_id, which)
    if key.revoked_at is not None:
        return key
    conn.execute(update(ssh_keys).where(ssh_keys.c.id == key.id).values(revoked_at=at))
    return replace(key, revoked_at=at)


def _check_term(term: Term, at: datetime) -> None:
    if term.expires_at is None:
        return
    if term.expires_at <= at:
        raise KeysError("invalid", "This expiry is in the past.", "Name a later day; to shut a key out now, revoke it.")
    if term.not_before is not None and term.not_before >= term.expires_at:
        raise KeysError("invalid", "The key would expire before its first day.", "Name a later expiry.")


def _taken(found: StoredKey, agency_id: str) -> KeysError:
    make_new = "Make a new pair and add that."
    if found.agency_id != agency_id:
        return KeysError("conflict", "This key is or was in use elsewhere; a key belongs to one agency.", make_new)
    if found.revoked_at is not None:
        day = found.revoked_at.date().isoformat()
        return KeysError("conflict", f"This key was revoked on {day} and cannot come back.", make_new)
    return KeysError("conflict", f"The agency has this key already, as '{found.label}'.", "Nothing needs to be done.")


def _stored(row: Row[Any]) -> StoredKey:
    return StoredKey(
        row.id,
        row.agency_id,
        row.label,
        PublicKey(row.algorithm, row.bits, row.blob, row.label),
        row.created_at,
        row.revoked_at,
        Term(row.not_before, row.expires_at),
        last_use(row),
    )
