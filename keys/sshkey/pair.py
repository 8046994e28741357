"""New key pairs, the private half in OpenSSH's own format."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType

from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.ec import generate_private_key as generate_ecdsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key as generate_rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from keys.errors import KeysError
from keys.secret import Secret
from keys.sshkey.text import parse_public
from keys.sshkey.wire import PublicKey, one_line

PrivateKey = Ed25519PrivateKey | EllipticCurvePrivateKey | RSAPrivateKey

#: The kinds of pairs that can be made, and the key type (RFC 4253) that each one gives.
KINDS: Mapping[str, str] = MappingProxyType(
    {"ed25519": "ssh-ed25519", "ecdsa-nistp256": "ecdsa-sha2-nistp256", "rsa-3072": "ssh-rsa"}
)
_MAKERS: Mapping[str, Callable[[], PrivateKey]] = MappingProxyType(
    {
        "ed25519": Ed25519PrivateKey.generate,
        "ecdsa-nistp256": lambda: generate_ecdsa(SECP256R1()),
        "rsa-3072": lambda: generate_rsa(public_exponent=65537, key_size=3072),
    }
)


def generate(
    algorithm: str = "ed25519", comment: str = "", passphrase: Secret | None = None
) -> tuple[Secret, PublicKey]:
    """Make a new pair of one of `KINDS`: the private half as an OpenSSH key file (PROTOCOL.key), and the public half.

    With a passphrase the file is encrypted (bcrypt, aes256-ctr), without one it is plain. The comment is in the public
    half only.

    Raises KeysError `invalid` for an unknown kind or an empty passphrase.
    """
    if algorithm not in _MAKERS:
        raise KeysError("invalid", "There is no such kind of key.", f"Choose one of: {', '.join(KINDS)}.")
    if passphrase is not None and not passphrase.reveal():
        raise KeysError("invalid", "The passphrase is empty.", "Give one, or ask for a key without.")
    private = _MAKERS[algorithm]()
    lock = NoEncryption() if passphrase is None else BestAvailableEncryption(passphrase.reveal())
    file = private.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, lock)
    line = private.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
    return Secret(file), replace(parse_public(line), comment=one_line(comment))
