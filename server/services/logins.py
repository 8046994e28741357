"""The log-ins of each agency, as far as they are kept (`annals`).

They are told in the agency's activity report; the log has all of them. Log-ins with the same address, program and key
that are written together are one row.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import Column, Connection, Index, Integer, String, Table

from server.db.metadata import Instant, metadata
from server.services.annals import Note, Times, keep_notes

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


def keep_logins(conn: Connection, found: Mapping[Login, Times]) -> None:
    """Write these down; see `keep_notes`."""
    keep_notes(conn, logins, [Note(login.agency, times, _cells(login)) for login, times in found.items()])


def _cells(login: Login) -> dict[str, object]:
    return {"address": login.address[:45], "client": login.client[:255], "proof": login.proof[:255]}
