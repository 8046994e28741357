"""What proved who somebody is. Asked again with it, the answer can be another one: keys expire and are revoked."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class KeyProof:
    """A key that is enrolled, by its fingerprint (`SHA256:...`)."""

    fingerprint: str

    def __str__(self) -> str:
        """As it may stand in the log."""
        return self.fingerprint


@dataclass(frozen=True)
class CertificateProof:
    """A certificate that was verified: who signed it and the key that it is for (fingerprints), its serial number and
    key id.

    `expires_at` is None for one that is valid for ever.
    """

    authority: str
    key: str
    serial: int
    key_id: str
    expires_at: datetime | None

    def __str__(self) -> str:
        """As it may stand in the log; the key id is the authority's free text, so it is left out."""
        return f"certificate {self.serial} of {self.authority}"


@dataclass(frozen=True)
class PasswordProof:
    """The agency's password; `version` is another one when it has been changed, and tells nothing about it."""

    version: str

    def __str__(self) -> str:
        """As it may stand in the log."""
        return "password"


Credential = KeyProof | CertificateProof | PasswordProof
