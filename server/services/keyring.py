"""Who may come in: the agency of a user name, if that key is one of its keys.

It is asked afresh at every login and every session, so a revoked key or a disabled agency is out at once. While the
database is away, the last answer of the past day counts, so that a court can still deliver.
"""

import asyncio
import time
from dataclasses import dataclass

from keys.store import find_active, last_revocation
from server.agencies import Agency, list_agencies, look_up
from server.db import Database
from server.errors import AppError, Code

REMEMBER = 24 * 3600.0


@dataclass(frozen=True)
class _Memory:
    agency: Agency
    at: float


class KeyRing:
    """Answers for agencies and keys in the database."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._known: dict[tuple[str, str], _Memory] = {}

    async def agency(self, username: str, fingerprint: str) -> Agency | None:
        """The enabled agency named `username` that owns the key of that fingerprint (`SHA256:...`), else None."""
        key = (username, fingerprint)
        try:
            found = await asyncio.to_thread(self._look, username, fingerprint)
        except AppError as error:
            if error.code != Code.UNAVAILABLE:
                raise
            memory = self._known.get(key)
            return memory.agency if memory and time.monotonic() - memory.at < REMEMBER else None
        if found is None:
            self._known.pop(key, None)
        else:
            self._known[key] = _Memory(found, time.monotonic())
        return found

    async def knows(self, username: str) -> bool:
        """Whether there is an agency of that name. Raises `AppError` unavailable while the database is away."""
        return await asyncio.to_thread(self._knows, username)

    def _knows(self, username: str) -> bool:
        with self._database.reading() as conn:
            return look_up(conn, username) is not None

    async def stamp(self) -> object:
        """Another one as soon as a key was revoked, an agency disabled (or enabled), or its networks changed."""
        return await asyncio.to_thread(self._stamp)

    def _stamp(self) -> object:
        with self._database.reading() as conn:
            agencies = [(agency.id, agency.enabled, agency.networks) for agency in list_agencies(conn)]
            return tuple(agencies), last_revocation(conn)

    def _look(self, username: str, fingerprint: str) -> Agency | None:
        with self._database.reading() as conn:
            agency = look_up(conn, username)
            stored = find_active(conn, fingerprint)
        if agency is None or stored is None or not agency.enabled or stored.agency_id != agency.id:
            return None
        return agency
