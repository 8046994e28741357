"""The files that each agency has fetched, as far as they are kept (`annals`).

They are told in the agency's activity report; the log has all of them. What one session fetches again within seconds
is one row.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import BigInteger, Column, Connection, Index, Integer, String, Table, Text

from server.db.metadata import Instant, metadata
from server.services.annals import Note, Times, keep_notes

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
    """Write these down; see `keep_notes`."""
    keep_notes(conn, fetches, [Note(fetch.agency, sent.times, _cells(fetch, sent)) for fetch, sent in found.items()])


def _cells(fetch: Fetch, sent: Sent) -> dict[str, object]:
    path = fetch.path.encode("utf-8", "replace").decode()
    return {"path": path, "size": sent.size, "session": fetch.session, "client": fetch.client[:255]}
