"""OpenSSH's certificates: a public key with the names it may use and the time it is good for, signed by an authority.

The format is OpenSSH's PROTOCOL.certkeys (also draft-miller-ssh-cert). Signatures are not verified here: whoever takes
a certificate from a client does that first.
"""

import ipaddress
from dataclasses import dataclass
from datetime import UTC, datetime

from keys.errors import KeysError
from keys.sshkey.wire import PublicKey, one_line, read_blob, refuse_type, take_string

SUFFIX = "-cert-v01@openssh.com"
USER = 1  # a type of certificate; 2 is a host's
LAST = datetime(9999, 12, 31, tzinfo=UTC)
# All that an authority may sign with. `ssh-rsa`, with SHA-1, is not among them (RFC 8332 section 5.1).
SIGNATURES = (
    "ssh-ed25519",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "rsa-sha2-256",
    "rsa-sha2-512",
)
_FIELDS = {"ssh-rsa": 2, "ssh-ed25519": 1}  # of the key itself; ECDSA has two: curve and point
_ASK = "Ask the authority for another certificate."


@dataclass(frozen=True)
class Certificate:
    """What a certificate says; `valid_after` and `valid_before` are seconds since 1970."""

    key: PublicKey
    serial: int
    key_id: str
    kind: int
    principals: tuple[str, ...]
    valid_after: int
    valid_before: int
    critical: dict[str, bytes]
    authority: PublicKey
    signature: str

    @property
    def expires_at(self) -> datetime | None:
        """When it is good no longer; None for never."""
        return datetime.fromtimestamp(self.valid_before, UTC) if self.valid_before < LAST.timestamp() else None


def read_certificate(blob: bytes) -> Certificate:
    """Read a certificate in the encoding of the SSH protocol.

    Raises KeysError `invalid` for one that is broken, or whose key or authority is weak or of a type not accepted.
    """
    name, rest = take_string(blob)
    algorithm = name.decode("ascii", "replace")
    if not algorithm.endswith(SUFFIX):
        raise KeysError("invalid", "This is no OpenSSH certificate.", _ASK)
    algorithm = algorithm.removesuffix(SUFFIX)
    refuse_type(algorithm)
    _nonce, rest = take_string(rest)
    key, rest = _key(algorithm, rest)
    serial, rest = _number(rest, 8)
    kind, rest = _number(rest, 4)
    key_id, rest = take_string(rest)
    principals, rest = take_string(rest)
    after, rest = _number(rest, 8)
    before, rest = _number(rest, 8)
    critical, rest = take_string(rest)
    _extensions, rest = take_string(rest)
    _reserved, rest = take_string(rest)
    authority, rest = take_string(rest)
    signature, rest = take_string(rest)
    if rest:
        raise KeysError("invalid", "After the end of the certificate there are bytes too many.", _ASK)
    return Certificate(
        key=key,
        serial=serial,
        key_id=one_line(key_id.decode("utf-8", "replace")),
        kind=kind,
        principals=tuple(part.decode("utf-8", "replace") for part in _strings(principals)),
        valid_after=after,
        valid_before=before,
        critical=_options(critical),
        authority=read_blob(authority),
        signature=take_string(signature)[0].decode("ascii", "replace"),
    )


def check_certificate(certificate: Certificate, principal: str, address: str, at: datetime) -> None:
    """Raise KeysError `denied`, with the reason, unless it is good for `principal` who comes from `address` now.

    Whether its authority is trusted, and has not revoked it, the caller must look up.
    """
    if certificate.kind != USER:
        raise _denied("It is a host's certificate, not a user's.")
    if not certificate.principals:
        raise _denied("It names no principal, which would make it good for everybody.")
    if principal not in certificate.principals:
        raise _denied("It is made for other user names.")
    if not certificate.valid_after <= at.timestamp():
        raise _denied("It is not valid yet.")
    if not at.timestamp() < certificate.valid_before:
        raise _denied("It has expired.")
    if certificate.signature not in SIGNATURES:
        raise _denied(f"Its authority signed it with {one_line(certificate.signature[:40])}, which is not accepted.")
    if unknown := sorted(set(certificate.critical) - {"source-address"}):
        raise _denied(f"It has the critical option {one_line(unknown[0][:40])}, which is not accepted here.")
    if "source-address" in certificate.critical and not _comes_from(address, certificate.critical["source-address"]):
        raise _denied("It may not be used from this address.")


def _key(algorithm: str, data: bytes) -> tuple[PublicKey, bytes]:
    rest = data
    for _ in range(_FIELDS.get(algorithm, 2)):
        _field, rest = take_string(rest)
    name = algorithm.encode()
    return read_blob(len(name).to_bytes(4, "big") + name + data[: len(data) - len(rest)]), rest


def _number(data: bytes, size: int) -> tuple[int, bytes]:
    if len(data) < size:
        raise KeysError("invalid", "This certificate is damaged: it ends too early.", _ASK)
    return int.from_bytes(data[:size], "big"), data[size:]


def _strings(data: bytes) -> list[bytes]:
    parts = []
    while data:
        part, data = take_string(data)
        parts.append(part)
    return parts


def _options(data: bytes) -> dict[str, bytes]:
    """Name and data of each option. A name must not come twice: which of them counts, readers differ about."""
    parts = _strings(data)
    names = [part.decode("utf-8", "replace") for part in parts[::2]]
    if len(parts) % 2 or len(set(names)) < len(names):
        raise KeysError("invalid", "This certificate is damaged: its options are no pairs.", _ASK)
    return dict(zip(names, parts[1::2], strict=True))


def _comes_from(address: str, data: bytes) -> bool:
    """Whether the address is in the list of addresses and networks (CIDR, with commas between) in the option's data."""
    try:
        inner, rest = take_string(data)
        here = ipaddress.ip_address(address)
        networks = [ipaddress.ip_network(part) for part in inner.decode("ascii").split(",")]
    except (KeysError, ValueError):
        return False
    return not rest and any(here in network for network in networks)


def _denied(reason: str) -> KeysError:
    return KeysError("denied", f"This certificate is refused. {reason}", _ASK)
