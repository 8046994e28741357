"""The last login with each key, and with a certificate of each authority."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, or_, update

from keys.tables import certificate_authorities, ssh_keys


@dataclass(frozen=True)
class Use:
    """A login: when, from which address, and with which program (its banner).

    `serial` is the certificate's number if it was one, and None for a key that is enrolled.
    """

    at: datetime
    address: str
    client: str
    serial: int | None = None


def note_uses(conn: Connection, uses: Iterable[tuple[str, Use]]) -> None:
    """Remember the last login with each of those keys; an older one than is known changes nothing.

    A key is named by its fingerprint (`SHA256:...`), a certificate by that of its authority.
    """
    for fingerprint, use in sorted(uses, key=lambda noted: noted[0]):  # two servers lock rows in one order
        table = ssh_keys if use.serial is None else certificate_authorities
        older = or_(table.c.last_used_at.is_(None), table.c.last_used_at < use.at)
        values = {"last_used_at": use.at, "last_used_from": use.address[:45], "last_used_client": use.client[:255]}
        if use.serial is not None:
            values["last_used_serial"] = str(use.serial)
        conn.execute(update(table).where(table.c.fingerprint == fingerprint, older).values(values))


def last_use(row: Row[Any]) -> Use | None:
    """What a row of either table remembers; None if there was no login."""
    if row.last_used_at is None:
        return None
    serial = row._mapping.get("last_used_serial")
    client, address = row.last_used_client or "", row.last_used_from or ""
    return Use(row.last_used_at, address, client, None if serial is None else int(serial))
