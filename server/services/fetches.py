"""The files that each agency has fetched, as far as they are kept: the newest of them, for ninety days.

They are told in the agency's activity report; the log has all of them. What one session fetches again within seconds
is one row, and there is a bound to what an agency can fill.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import BigInteger, Column, Connection, Index, Integer, String, Table, Text, delete, insert, select

from server.agencies import agencies
from server.clock import new_id
from server.db.metadata import Instant, metadata
from server.services.logins import KEPT, KEPT_FOR, Times

fetches = Table(
    "fetches",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("agency_id", String(36), nullable=False),
    Column("at", Instant, nullable=False, comment="of the last one"),
    Column("times", Integer, nullable=False),
    Column("path", Text, nullable=False),
    Column("size", BigInteger, nullable=False, comment="bytes that were sent, of all times"),
    Column("session", String(36), nullable=False),
    Column("client", String(255), nullable=False),
    Index(None, "agency_id", "id"),
)


@dataclass(frozen=True)
class Fetch:
    """Which file an agency (its slug) has fetched, in which session, with which program."""

    agency: str
    path: str
    session: str
    client: str


@dataclass(frozen=True)
class Sent:
    """How often, when for the last time, and how many bytes in all."""

    times: Times
    size: int

    def plus(self, other: "Sent | None") -> "Sent":
        """Both together."""
        return self if other is None else Sent(self.times.plus(other.times), self.size + other.size)


def keep_fetches(conn: Connection, found: Mapping[Fetch, Sent]) -> None:
    """Write these down, and forget the oldest of the same agencies."""
    if not found:
        return
    slugs = {fetch.agency for fetch in found}
    known = select(agencies.c.slug, agencies.c.id).where(agencies.c.slug.in_(slugs))
    ids = {row.slug: row.id for row in conn.execute(known)}
    rows = [
        {
            "id": new_id(sent.times.last),
            "agency_id": ids[fetch.agency],
            "at": sent.times.last,
            "times": sent.times.count,
            "path": fetch.path.encode("utf-8", "replace").decode(),
            "size": sent.size,
            "session": fetch.session,
            "client": fetch.client[:255],
        }
        for fetch, sent in found.items()
        if fetch.agency in ids
    ]
    if rows:
        conn.execute(insert(fetches), rows)
    long_ago = new_id(max(sent.times.last for sent in found.values()) - KEPT_FOR)  # ids sort by time
    for agency_id in ids.values():
        own = fetches.c.agency_id == agency_id
        many = select(fetches.c.id).where(own).order_by(fetches.c.id.desc()).offset(KEPT).limit(1)
        last = max(conn.execute(many).scalar() or "", long_ago)
        conn.execute(delete(fetches).where(own, fetches.c.id <= last))
