"""The log-ins of each agency, as far as they are kept: the newest of them, for ninety days.

They are told in the agency's activity report; the log has all of them. Log-ins come in storms, so those that are alike
(same address, program and key) and are written together are one row, and there is a bound to what an agency can fill.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Column, Connection, Index, Integer, String, Table, delete, insert, select

from server.agencies import agencies
from server.clock import new_id
from server.db.metadata import Instant, metadata

KEPT = 10_000
"""Rows of one agency."""
KEPT_FOR = timedelta(days=90)

logins = Table(
    "logins",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("agency_id", String(36), nullable=False),
    Column("at", Instant, nullable=False, comment="of the last one"),
    Column("times", Integer, nullable=False),
    Column("address", String(45), nullable=False),
    Column("client", String(255), nullable=False),
    Column("proof", String(255), nullable=False, comment="fingerprint, certificate or password"),
    Index(None, "agency_id", "id"),
)


@dataclass(frozen=True)
class Login:
    """Who logged in (an agency's slug), from where, with which program, and what proved it."""

    agency: str
    address: str
    client: str
    proof: str


@dataclass(frozen=True)
class Times:
    """How often, and when for the last time."""

    count: int
    last: datetime

    def plus(self, other: "Times | None") -> "Times":
        """Both together."""
        return self if other is None else Times(self.count + other.count, max(self.last, other.last))


def keep_logins(conn: Connection, found: Mapping[Login, Times]) -> None:
    """Write these down, and forget the oldest of the same agencies."""
    slugs = {login.agency for login in found}
    known = select(agencies.c.slug, agencies.c.id).where(agencies.c.slug.in_(slugs))
    ids = {row.slug: row.id for row in conn.execute(known)}
    rows = [
        {
            "id": new_id(times.last),
            "agency_id": ids[login.agency],
            "at": times.last,
            "times": times.count,
            "address": login.address[:45],
            "client": login.client[:255],
            "proof": login.proof[:255],
        }
        for login, times in found.items()
        if login.agency in ids
    ]
    if rows:
        conn.execute(insert(logins), rows)
    newest = max((times.last for times in found.values()), default=None)
    for agency_id in ids.values():
        _forget(conn, agency_id, newest)


def _forget(conn: Connection, agency_id: str, newest: datetime | None) -> None:
    own = logins.c.agency_id == agency_id
    old = select(logins.c.id).where(own).order_by(logins.c.id.desc()).offset(KEPT).limit(1)
    last = conn.execute(old).scalar()
    if last is not None:
        conn.execute(delete(logins).where(own, logins.c.id <= last))
    if newest is not None:  # ids sort by time
        conn.execute(delete(logins).where(own, logins.c.id < new_id(newest - KEPT_FOR)))
