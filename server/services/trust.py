"""What lets an agency in, as it was found in the database."""

from dataclasses import dataclass
from datetime import datetime

from server.agencies import Agency
from server.clock import now
from server.services.credential import CertificateProof, Credential


@dataclass(frozen=True)
class Admission:
    """An agency that may come in, and until when at the latest (None: until something changes)."""

    agency: Agency
    until: datetime | None = None


@dataclass(frozen=True)
class Trust:
    """An agency's key, until it expires; or the authority of its certificate, but for some serial numbers and keys
    (fingerprints)."""

    agency: Agency
    until: datetime | None = None
    revoked: frozenset[int] = frozenset()
    revoked_keys: frozenset[str] = frozenset()

    def admit(self, credential: Credential) -> Admission | None:
        """The admission of who proves himself by that key, or by a certificate of that authority; None: no longer."""
        until = self.until
        if isinstance(credential, CertificateProof):
            if credential.serial in self.revoked or credential.key in self.revoked_keys:
                return None
            until = credential.expires_at
        return Admission(self.agency, until) if until is None or now() < until else None


@dataclass(frozen=True)
class Trusted:
    """All that let agencies in at a moment: by user name and by what it is told by (see `server.services.keyring`)."""

    at: datetime
    entries: tuple[tuple[str, str, Trust], ...]
