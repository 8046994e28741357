"""The server's own pairs, and how a new one takes the place of an old one while clients know both.

A pair's life: it is made, and from then on announced to clients, so that they can learn it; it is used, that is, the
server proves itself with it, from `active_from` on; it is retired, and nothing knows it any more. Of each algorithm,
the pair that is used is the one whose use began last; a client that learned it while it was only announced notices
nothing. By a clock that is behind, no use may have begun yet: then it is the one whose use begins first, since a client
knows that one, and would not know a new one.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Row, delete, insert, select, update

from keys.cipher import Cipher
from keys.errors import KeysError
from keys.secret import Secret
from keys.sshkey import KINDS, PublicKey, generate, parse_public
from keys.store.names import is_named
from keys.tables import host_keys

WHEN_TOLD = datetime(9999, 12, 31, tzinfo=UTC)  # the beginning of a use that waits for `activate_host_keys`


@dataclass(frozen=True)
class KnownHostKey:
    """A pair as anybody may know it: without its private half."""

    id: str
    public: PublicKey
    created_at: datetime
    active_from: datetime
    retired_at: datetime | None = None


@dataclass(frozen=True)
class HostKey:
    """A pair the server proves itself with; `private` is a file in OpenSSH format, without passphrase."""

    id: str
    private: Secret
    public: PublicKey
    created_at: datetime


def ensure_host_keys(conn: Connection, cipher: Cipher, at: datetime, new_id: Callable[[], str]) -> list[HostKey]:
    """The server's pairs: first those it uses, one of each of `KINDS` in that order; then those it only announces.

    Those that are missing are made, which takes a second the first time. Needs a write transaction that keeps others
    out (or the lock of the start), lest two servers make different keys. Raises KeysError `denied` when the master key
    is not theirs.
    """
    there = {key.public.algorithm for key in list_host_keys(conn)}
    for kind, algorithm in KINDS.items():
        if algorithm not in there:
            _make(conn, cipher, kind, at, at, new_id())
    return open_host_keys(conn, cipher, at)


def open_host_keys(conn: Connection, cipher: Cipher, at: datetime) -> list[HostKey]:
    """The server's pairs as `ensure_host_keys` gives them, but none is made."""
    rows = {row.id: row for row in conn.execute(select(host_keys).where(host_keys.c.retired_at.is_(None)))}
    return [_opened(rows[key.id], cipher) for key in order_host_keys(list_host_keys(conn), at)]


def list_host_keys(conn: Connection) -> list[KnownHostKey]:
    """All pairs that are not retired, in the order of `KINDS` and oldest first."""
    query = select(host_keys).where(host_keys.c.retired_at.is_(None)).order_by(host_keys.c.created_at, host_keys.c.id)
    order = list(KINDS.values())
    return sorted(map(_known, conn.execute(query)), key=lambda key: order.index(key.public.algorithm))


def used_host_keys(keys: Iterable[KnownHostKey], at: datetime) -> list[KnownHostKey]:
    """Those with which the server proves itself at that instant: one of each algorithm."""
    used: dict[str, KnownHostKey] = {}
    for key in sorted(keys, key=lambda key: (key.active_from, key.created_at, key.id)):
        if key.active_from <= at or key.public.algorithm not in used:
            used[key.public.algorithm] = key
    return [used[algorithm] for algorithm in KINDS.values() if algorithm in used]


def order_host_keys(keys: list[KnownHostKey], at: datetime) -> list[KnownHostKey]:
    """First those that are used at that instant, then the others."""
    used = used_host_keys(keys, at)
    return used + [key for key in keys if key not in used]


def rotate_host_keys(
    conn: Connection, cipher: Cipher, at: datetime, active_from: datetime, new_id: Callable[[], str]
) -> list[KnownHostKey]:
    """Make a pair of each kind, announced at once and used from `active_from` on (`WHEN_TOLD`: when told to).

    Raises KeysError `conflict` when a rotation is under way already.
    """
    if any(key.active_from > at for key in list_host_keys(conn)):
        raise KeysError(
            "conflict",
            "There are new host keys already that are not used yet.",
            "Use them with: dropslot host-key activate",
        )
    made = [_make(conn, cipher, kind, at, active_from, new_id()) for kind in KINDS]
    return [key for key in list_host_keys(conn) if key.id in made]


def activate_host_keys(conn: Connection, at: datetime) -> list[KnownHostKey]:
    """Use the announced pairs from now on; the old ones are announced until they are retired.

    Raises KeysError `not_found` when there are none.
    """
    waiting = [key for key in list_host_keys(conn) if key.active_from > at]
    if not waiting:
        raise KeysError("not_found", "There are no new host keys to use.", "Make them with: dropslot host-key rotate")
    conn.execute(update(host_keys).where(host_keys.c.id.in_([key.id for key in waiting])).values(active_from=at))
    return [replace(key, active_from=at) for key in waiting]


def retire_host_keys(conn: Connection, which: str | None, at: datetime) -> list[KnownHostKey]:
    """Announce and use no more the pair that `which` names (id or beginning of the fingerprint), or all that are past.

    Past are those in whose place another pair of the algorithm is used. Raises KeysError `not_found`, and `conflict`
    for a pair that is in use: without it, clients could not tell the server any more.
    """
    present = list_host_keys(conn)
    used = used_host_keys(present, at)
    past = [key for key in present if key not in used and key.active_from <= at]
    if which is not None:
        past = [key for key in present if is_named(which, key.id, key.id, key.public.fingerprint)]
    if not past:
        raise KeysError("not_found", "There is no such host key to retire.", "See: dropslot host-key list")
    if any(key in used for key in past):
        raise KeysError(
            "conflict",
            "This host key is in use.",
            "Make new ones (dropslot host-key rotate) and use them (activate) first.",
        )
    conn.execute(update(host_keys).where(host_keys.c.id.in_([key.id for key in past])).values(retired_at=at))
    return [replace(key, retired_at=at) for key in past]


def reseal_host_keys(conn: Connection, cipher: Cipher) -> int:
    """Seal all pairs, retired ones too, under the master key that seals now; how many were not.

    Raises KeysError `denied` when one was sealed with a master key that `cipher` does not have.
    """
    changed = 0
    for row in conn.execute(select(host_keys)).all():
        if not cipher.is_current(row.sealed):
            sealed = cipher.reseal(row.sealed, _purpose(parse_public(row.public)))
            conn.execute(update(host_keys).where(host_keys.c.id == row.id).values(sealed=sealed))
            changed += 1
    return changed


def find_unopened(conn: Connection, cipher: Cipher | None) -> list[KnownHostKey]:
    """The pairs, retired ones too, whose private half `cipher` does not open; without one: all."""
    rows = conn.execute(select(host_keys).order_by(host_keys.c.created_at, host_keys.c.id)).all()
    known = [(_known(row), row.sealed) for row in rows]
    return [key for key, sealed in known if cipher is None or not cipher.opens(sealed, _purpose(key.public))]


def forget_host_keys(conn: Connection, keys: Iterable[KnownHostKey]) -> None:
    """As if these pairs had never been: clients that know them do not know the server any more."""
    conn.execute(delete(host_keys).where(host_keys.c.id.in_([key.id for key in keys])))


def _known(row: Row[Any]) -> KnownHostKey:
    begins = row.active_from or row.created_at
    return KnownHostKey(row.id, parse_public(row.public), row.created_at, begins, row.retired_at)


def _opened(row: Row[Any], cipher: Cipher) -> HostKey:
    public = parse_public(row.public)
    return HostKey(row.id, Secret(cipher.open(row.sealed, _purpose(public))), public, row.created_at)


def _make(conn: Connection, cipher: Cipher, kind: str, at: datetime, active_from: datetime, key_id: str) -> str:
    private, public = generate(kind, "dropslot")
    conn.execute(
        insert(host_keys).values(
            id=key_id,
            algorithm=public.algorithm,
            fingerprint=public.fingerprint,
            public=public.openssh(),
            sealed=cipher.seal(private.reveal(), _purpose(public)),
            created_at=at,
            active_from=active_from,
        )
    )
    return key_id


def _purpose(public: PublicKey) -> str:
    """Binds the private half to its public one: a row whose halves do not belong together does not open."""
    return f"host key {public.fingerprint}"
