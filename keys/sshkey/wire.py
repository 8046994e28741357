"""Public keys in the encoding of the SSH protocol, and which of them are good enough."""

import base64
import hashlib
import re
from dataclasses import dataclass

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec

from keys.errors import KeysError

RSA_LEAST_BITS = 2048
RSA_MOST_BITS = 16384  # OpenSSH's limit; more only costs time
ACCEPTED = ("ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521", "ssh-rsa")
MAKE_NEW = "Make a new pair, for example with: ssh-keygen -t ed25519"
EXPORT_AGAIN = "Export or copy the public key once more, whole and unchanged."

_CURVES: dict[str, ec.EllipticCurve] = {
    "nistp256": ec.SECP256R1(),
    "nistp384": ec.SECP384R1(),
    "nistp521": ec.SECP521R1(),
}
_TYPE_WORD = re.compile(r"(ssh|ecdsa|sk|rsa|x509v3|webauthn|pgp)-[a-z0-9@.-]{1,60}")


@dataclass(frozen=True)
class PublicKey:
    """A public key that may be used; made by `read_blob` or `parse_public`, or read back from where they put it."""

    #: Name of the key type as in RFC 4253 section 6.6, RFC 5656, RFC 8709: one of `ACCEPTED`.
    algorithm: str
    #: Length of the modulus (RSA) or of the field (curves), bits.
    bits: int
    #: The key in the encoding of RFC 4253 section 6.6; equal keys have equal blobs.
    blob: bytes
    #: One printable line, or nothing; no part of the key.
    comment: str = ""

    @property
    def fingerprint(self) -> str:
        """`SHA256:` and 43 characters of base64, as `ssh-keygen -l` prints it."""
        digest = hashlib.sha256(self.blob).digest()
        return "SHA256:" + base64.b64encode(digest).decode().rstrip("=")

    def openssh(self) -> str:
        """The line for an `authorized_keys` or `.pub` file, without its line end."""
        return f"{self.algorithm} {base64.b64encode(self.blob).decode()} {self.comment}".strip()


def read_blob(blob: bytes, comment: str = "") -> PublicKey:
    """Read one public key from the wire encoding of RFC 4253 section 6.6.

    Only the one canonical encoding is taken, so that a key cannot come in twice under two fingerprints.

    Raises KeysError `invalid` for a key that is broken, weak or of a type that is not accepted.
    """
    name, rest = take_string(blob)
    algorithm = name.decode("ascii", "replace")
    refuse_type(algorithm)
    if algorithm == "ssh-rsa":
        bits, rest = _rsa(rest)
    elif algorithm == "ssh-ed25519":
        bits, rest = _ed25519(rest)
    else:
        bits, rest = _ecdsa(rest, algorithm.removeprefix("ecdsa-sha2-"))
    if rest:
        raise KeysError("invalid", f"After the end of the key there are {len(rest)} bytes too many.", EXPORT_AGAIN)
    return PublicKey(algorithm, bits, bytes(blob), one_line(comment))


def refuse_type(name: str) -> None:
    """Raise KeysError `invalid`, with the reason, if `name` is not an accepted key type."""
    if name in ACCEPTED:
        return
    if name == "ssh-dss":
        raise KeysError("invalid", "This is a DSA key; DSA is broken and no longer used.", MAKE_NEW)
    if "-cert-" in name:
        hint = "Give the plain public key (the .pub file without -cert)."
        raise KeysError("invalid", "This is an SSH certificate, which cannot be registered as a key.", hint)
    if name.startswith(("sk-", "webauthn-sk-")):
        raise KeysError(
            "invalid",
            "This key lives in a hardware token that wants a touch for each login, so unattended transfers would fail.",
            MAKE_NEW,
        )
    shown = f" ({name})" if _TYPE_WORD.fullmatch(name) else ""
    hint = "Accepted are Ed25519, ECDSA (nistp256, nistp384, nistp521) and RSA of at least 2048 bits."
    raise KeysError("invalid", f"This type of key{shown} is not accepted.", hint)


def one_line(text: str) -> str:
    """`text` with all that could disturb a line or a terminal replaced by blanks, at most 1024 characters."""
    return " ".join("".join(c if c.isprintable() else " " for c in text[:1024]).split())


def take_string(data: bytes) -> tuple[bytes, bytes]:
    """The first `string` of RFC 4251 section 5 in `data`, and what follows it."""
    length = int.from_bytes(data[:4], "big")
    if len(data) < 4 or len(data) - 4 < length:
        raise _broken("it ends too early")
    return data[4 : 4 + length], data[4 + length :]


def _positive(data: bytes) -> tuple[int, bytes]:
    """The first `mpint` of RFC 4251 section 5, which must be positive and as short as can be."""
    raw, rest = take_string(data)
    needless = raw[:1] == b"\0" and (len(raw) == 1 or raw[1] < 0x80)
    if not raw or raw[0] >= 0x80 or needless:
        raise _broken("a number in it is badly encoded")
    return int.from_bytes(raw, "big"), rest


def _rsa(data: bytes) -> tuple[int, bytes]:
    exponent, rest = _positive(data)
    modulus, rest = _positive(rest)
    bits = modulus.bit_length()
    if bits < RSA_LEAST_BITS:
        raise KeysError("invalid", f"This RSA key has {bits} bits and is weak; at least 2048 are needed.", MAKE_NEW)
    if bits > RSA_MOST_BITS:
        raise KeysError("invalid", f"This RSA key has {bits} bits; the most that SSH programs take is 16384.", MAKE_NEW)
    # Exponents over 64 bits make every login slow and are refused by OpenSSL for long keys.
    if modulus % 2 == 0 or exponent % 2 == 0 or not 3 <= exponent < 1 << 64:
        raise _broken("its numbers are no RSA key")
    return bits, rest


def _ed25519(data: bytes) -> tuple[int, bytes]:
    point, rest = take_string(data)
    if len(point) != 32:  # RFC 8709 section 4
        raise _broken("an Ed25519 key has 32 bytes")
    return 256, rest


def _ecdsa(data: bytes, curve: str) -> tuple[int, bytes]:
    named, rest = take_string(data)
    point, rest = take_string(rest)
    if named != curve.encode():
        raise _broken("it names two different curves")
    if point[:1] != b"\4":  # RFC 5656 allows compressed points, OpenSSH refuses them
        raise _broken("its point is not in the uncompressed form")
    try:
        ec.EllipticCurvePublicKey.from_encoded_point(_CURVES[curve], point)
    except (ValueError, UnsupportedAlgorithm):
        raise _broken("its point is not on the curve") from None
    return _CURVES[curve].key_size, rest


def _broken(why: str) -> KeysError:
    return KeysError("invalid", f"This public key is damaged: {why}.", EXPORT_AGAIN)
