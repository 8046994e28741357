"""Who may sign certificates for agencies, who did last, and which certificates let nobody in any more."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, String, func, insert, select, type_coerce, update

from keys.errors import KeysError
from keys.sshkey import PublicKey
from keys.store.names import choose_label, is_named
from keys.store.uses import Use, last_use
from keys.tables import certificate_authorities, revoked_certificates

MOST_SERIAL = 2**64 - 1


@dataclass(frozen=True)
class Authority:
    """A key that signs certificates, for one agency or for all (`agency_id` None)."""

    id: str
    agency_id: str | None
    label: str
    public: PublicKey
    created_at: datetime
    removed_at: datetime | None = None
    last_use: Use | None = None


def add_authority(
    conn: Connection, authority_id: str, agency_id: str | None, public: PublicKey, label: str, at: datetime
) -> Authority:
    """Trust certificates that this key signs. One that was removed comes back with what it had revoked.

    Raises KeysError `conflict` when it is trusted already, `invalid` for a label that cannot be used.
    """
    label = choose_label(label, public)
    known = conn.execute(_query().where(certificate_authorities.c.fingerprint == public.fingerprint)).first()
    if known is None:
        added = Authority(authority_id, agency_id, label, replace(public, comment=label), at)
        row = {"fingerprint": public.fingerprint, "algorithm": public.algorithm, "bits": public.bits}
        names = {"id": authority_id, "agency_id": agency_id, "label": label, "created_at": at, "blob": public.blob}
        conn.execute(insert(certificate_authorities).values(row | names))
        return added
    if known.removed_at is None:
        raise KeysError("conflict", f"This authority is trusted already, as '{known.label}'.", "Nothing needs doing.")
    values: dict[str, Any] = {"agency_id": agency_id, "label": label, "removed_at": None}
    conn.execute(update(certificate_authorities).where(certificate_authorities.c.id == known.id).values(values))
    back = _authority(known)
    return replace(back, **values, public=replace(back.public, comment=label))


def list_authorities(conn: Connection) -> list[Authority]:
    """All that are trusted, oldest first."""
    order = (certificate_authorities.c.created_at, certificate_authorities.c.id)
    query = _query().where(certificate_authorities.c.removed_at.is_(None)).order_by(*order)
    return [_authority(row) for row in conn.execute(query)]


def find_authority(conn: Connection, which: str) -> Authority:
    """A trusted one by its id, label, or how its fingerprint begins.

    Raises KeysError `not_found`, or `invalid` if several fit.
    """
    found = [one for one in list_authorities(conn) if is_named(which, one.id, one.label, one.public.fingerprint)]
    if not found:
        raise KeysError("not_found", "There is no such authority.", "See: dropslot key authority list")
    if len(found) > 1:
        raise KeysError("invalid", "Several authorities fit.", "Give the id or the whole fingerprint.")
    return found[0]


def find_trusted(conn: Connection, fingerprint: str) -> Authority | None:
    """The trusted authority of that fingerprint (`SHA256:...`), or None."""
    table = certificate_authorities.c
    row = conn.execute(_query().where(table.fingerprint == fingerprint, table.removed_at.is_(None))).first()
    return None if row is None else _authority(row)


def remove_authority(conn: Connection, which: str, at: datetime) -> Authority:
    """Trust its certificates no longer. Raises KeysError as `find_authority`."""
    found = find_authority(conn, which)
    conn.execute(update(certificate_authorities).where(certificate_authorities.c.id == found.id).values(removed_at=at))
    return replace(found, removed_at=at)


def revoke_serials(
    conn: Connection, authority: Authority, serials: Iterable[int], at: datetime, new_id: Callable[[], str]
) -> list[int]:
    """Let the certificates with these serial numbers in no longer; the numbers that are new to the list.

    Raises KeysError `invalid` for what is no serial number.
    """
    wanted = set(serials)
    if not all(0 <= serial <= MOST_SERIAL for serial in wanted):
        raise KeysError("invalid", "A serial number lies between 0 and 2^64 - 1.", "See it with: ssh-keygen -L -f FILE")
    fresh = sorted(wanted - revoked_serials(conn, authority.id))
    for serial in fresh:
        row = {"id": new_id(), "authority_id": authority.id, "serial": str(serial), "revoked_at": at}
        conn.execute(insert(revoked_certificates).values(row))
    return fresh


def revoked_serials(conn: Connection, authority_id: str) -> frozenset[int]:
    """The serial numbers of the authority's certificates that let nobody in."""
    query = select(revoked_certificates.c.serial).where(revoked_certificates.c.authority_id == authority_id)
    return frozenset(int(serial) for serial in conn.execute(query).scalars())


def list_trust(conn: Connection) -> tuple[object, ...]:
    """Another value as soon as an authority is added or removed, or a certificate revoked."""
    table = certificate_authorities.c
    columns = (table.id, table.agency_id, type_coerce(table.removed_at, String))
    rows = tuple(tuple(row) for row in conn.execute(select(*columns).order_by(table.id)))
    return rows, conn.execute(select(func.count()).select_from(revoked_certificates)).scalar_one()


def _query() -> Any:
    return select(certificate_authorities)


def _authority(row: Row[Any]) -> Authority:
    public = PublicKey(row.algorithm, row.bits, row.blob, row.label)
    return Authority(row.id, row.agency_id, row.label, public, row.created_at, row.removed_at, last_use(row))
