"""Who may come in: the agency of a user name, if what proves it is one of its keys (or certificates, or its password).

It is asked afresh at every login and every session, so a revoked key or a disabled agency is out at once. While the
database is away, what was known of the past day counts, so that a court can still deliver: for keys, and for whatever
an authority signs that was trusted. Every process knows of all of them, whichever a court came to before, and at most
`LEARN` seconds late. Not of passwords. They would have to be kept in memory to be compared, they are
what is guessed and stolen, and one that was changed because of that must not live on for a day.
"""

import time
from collections.abc import Sequence

from sqlalchemy import Connection

from keys.password import version_of
from keys.store import (
    find_active,
    find_trusted,
    list_authorities,
    list_keys,
    list_terms,
    list_trust,
    revoked_keys,
    revoked_serials,
)
from server.agencies import Agency, list_agencies, look_up
from server.clock import now
from server.db import Database
from server.errors import AppError, Code
from server.services.credential import CertificateProof, Credential, KeyProof, PasswordProof
from server.services.questions import Questions
from server.services.trust import Admission, Trust, Trusted

REMEMBER = 24 * 3600.0
LEARN = 60.0

_Known = dict[tuple[str, str], tuple[Trust, float]]
"""By user name and what it is remembered by; and when that was known (time.monotonic)."""


class KeyRing:
    """Answers for agencies, keys and certificates in the database."""

    def __init__(self, database: Database, questions: Questions | None = None) -> None:
        self._database = database
        self._questions = questions or Questions()
        self._with_password: frozenset[str] = frozenset()
        self._known: _Known = {}
        self._learnt_at = -LEARN
        self._last_stamp: object = None
        self._learnt: Trusted | None = None

    @property
    def learnt(self) -> Trusted | None:
        """All that was found to let agencies in when `stamp` looked last; None before that."""
        return self._learnt

    def restore(self, trusted: Trusted) -> None:
        """Begin with what another process has learnt."""
        at = time.monotonic() - max(0.0, (now() - trusted.at).total_seconds())
        self._known = {(username, source): (trust, at) for username, source, trust in trusted.entries}

    async def admit(self, username: str, credential: Credential) -> Admission | None:
        """The enabled agency named `username`, if the credential is good for it, else None."""
        remembered = username, _source(credential)
        try:
            trust = await self._questions.ask(self._look, username, credential)
        except AppError as error:
            if error.code != Code.UNAVAILABLE:
                raise
            trust, at = self._known.get(remembered, (None, 0.0))
            return trust.admit(credential) if trust and time.monotonic() - at < REMEMBER else None
        if trust is None:
            self._known.pop(remembered, None)
            return None
        if not isinstance(credential, PasswordProof):
            self._known[remembered] = trust, time.monotonic()
        return trust.admit(credential)

    def takes_password(self, username: str) -> bool:
        """Whether that agency has a password, as of the last `stamp`: it is asked for each login and must not wait."""
        return username in self._with_password

    async def knows(self, username: str) -> bool:
        """Whether there is an agency of that name. Raises `AppError` unavailable while the database is away."""
        return await self._questions.ask(self._knows, username)

    def _knows(self, username: str) -> bool:
        with self._database.reading() as conn:
            return look_up(conn, username) is not None

    async def stamp(self) -> object:
        """Another one as soon as a key or certificate was revoked, or an agency's switch, networks or quota changed."""
        return await self._questions.watch(self._stamp)

    def _stamp(self) -> object:
        with self._database.reading() as conn:
            agencies = list_agencies(conn)
            self._with_password = frozenset(one.slug for one in agencies if one.enabled and one.password_hash)
            switches = tuple(
                (one.id, one.enabled, one.networks, one.password_hash, one.quota_bytes, one.quota_files)
                for one in agencies
            )
            stamp = switches, list_terms(conn), list_trust(conn)
            if stamp != self._last_stamp or time.monotonic() - self._learnt_at >= LEARN:
                self._known = _learn(conn, [one for one in agencies if one.enabled])
                self._learnt_at, self._last_stamp = time.monotonic(), stamp
                self._learnt = Trusted(now(), tuple((*key, trust) for key, (trust, _) in self._known.items()))
            return stamp

    def _look(self, username: str, credential: Credential) -> Trust | None:
        """Asks as much for a name that there is not, lest somebody learn by the time which ones there are."""
        with self._database.reading() as conn:
            agency = look_up(conn, username)
            agency = agency if agency and agency.enabled else None
            match credential:
                case KeyProof():
                    return _by_key(conn, agency, credential)
                case CertificateProof():
                    return _by_certificate(conn, agency, credential)
                case PasswordProof():
                    return _by_password(agency, credential)


def _learn(conn: Connection, agencies: Sequence[Agency]) -> _Known:
    """All that lets these agencies in just now."""
    known, at, keys = _Known(), time.monotonic(), revoked_keys(conn)
    for agency in agencies:
        for key in list_keys(conn, agency.id):
            if key.revoked_at is None and key.term.holds(now()):
                known[agency.slug, key.fingerprint] = Trust(agency, key.term.expires_at), at
    for authority in list_authorities(conn):
        revoked = revoked_serials(conn, authority.id)
        for agency in agencies:
            if authority.agency_id in (None, agency.id):
                trust = Trust(agency, revoked=revoked, revoked_keys=keys)
                known[agency.slug, _signed_by(authority.public.fingerprint)] = trust, at
    return known


def _by_key(conn: Connection, agency: Agency | None, proof: KeyProof) -> Trust | None:
    key = find_active(conn, proof.fingerprint, now())
    return Trust(agency, key.term.expires_at) if agency and key and key.agency_id == agency.id else None


def _by_certificate(conn: Connection, agency: Agency | None, proof: CertificateProof) -> Trust | None:
    authority = find_trusted(conn, proof.authority)
    if authority is None:
        return None
    revoked, keys = revoked_serials(conn, authority.id), revoked_keys(conn)
    if agency is None or authority.agency_id not in (None, agency.id):
        return None
    return Trust(agency, revoked=revoked, revoked_keys=keys)


def _by_password(agency: Agency | None, proof: PasswordProof) -> Trust | None:
    stored = agency.password_hash if agency else None
    return Trust(agency) if agency and stored and version_of(stored) == proof.version else None


def _source(credential: Credential) -> str:
    """What an answer is remembered by: certificates come with ever new serials, so by who signed them."""
    return _signed_by(credential.authority) if isinstance(credential, CertificateProof) else str(credential)


def _signed_by(authority: str) -> str:
    return f"authority {authority}"
