"""Who may come in: the agency of a user name, if what proves it is one of its keys (or certificates, or its password).

It is asked afresh at every login and every session, so a revoked key or a disabled agency is out at once. While the
database is away, the last answer of the past day counts, so that a court can still deliver.
"""

import asyncio
import time
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from keys.store import find_active, list_terms
from server.agencies import Agency, list_agencies, look_up
from server.clock import now
from server.db import Database
from server.errors import AppError, Code
from server.services.credential import Credential, KeyProof

REMEMBER = 24 * 3600.0


@dataclass(frozen=True)
class Admission:
    """An agency that may come in, and until when at the latest (None: until something changes)."""

    agency: Agency
    until: datetime | None = None


@dataclass(frozen=True)
class _Memory:
    admission: Admission
    at: float

    @property
    def counts(self) -> bool:
        until = self.admission.until
        return time.monotonic() - self.at < REMEMBER and (until is None or now() < until)


class KeyRing:
    """Answers for agencies and keys in the database."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._known: dict[tuple[str, Credential], _Memory] = {}

    async def admit(self, username: str, credential: Credential) -> Admission | None:
        """The enabled agency named `username`, if the credential is good for it, else None."""
        key = (username, credential)
        try:
            found = await asyncio.to_thread(self._look, username, credential)
        except AppError as error:
            if error.code != Code.UNAVAILABLE:
                raise
            memory = self._known.get(key)
            return memory.admission if memory and memory.counts else None
        if found is None:
            self._known.pop(key, None)
        else:
            self._known[key] = _Memory(found, time.monotonic())
        return found

    async def stamp(self) -> object:
        """Something that is another one when a key was revoked or given another term, or an agency disabled."""
        return await asyncio.to_thread(self._stamp)

    def _stamp(self) -> object:
        with self._database.reading() as conn:
            disabled = [agency.id for agency in list_agencies(conn) if not agency.enabled]
            return tuple(disabled), list_terms(conn)

    def _look(self, username: str, credential: Credential) -> Admission | None:
        with self._database.reading() as conn:
            agency = look_up(conn, username)
            if agency is None or not agency.enabled:
                return None
            return _by_key(conn, agency, credential) if isinstance(credential, KeyProof) else None


def _by_key(conn: Connection, agency: Agency, proof: KeyProof) -> Admission | None:
    key = find_active(conn, proof.fingerprint, now())
    return Admission(agency, key.term.expires_at) if key and key.agency_id == agency.id else None
