"""New key pairs, the private half in OpenSSH's own format or in PuTTY's."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Literal, cast, get_args

from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1
from cryptography.hazmat.primitives.asymmetric.ec import generate_private_key as generate_ecdsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key as generate_rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_ssh_private_key,
)

from keys.errors import KeysError
from keys.secret import Secret
from keys.sshkey.ppk import PrivateKey, write_ppk
from keys.sshkey.text import parse_public
from keys.sshkey.wire import PublicKey, one_line

Format = Literal["openssh", "ppk"]

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
    algorithm: str = "ed25519", comment: str = "", passphrase: Secret | None = None, form: str = "openssh"
) -> tuple[Secret, PublicKey]:
    """Make a new pair of one of `KINDS`: the private half as a key file, and the public half.

    The file is OpenSSH's (PROTOCOL.key; with a passphrase it is encrypted with bcrypt and aes256-ctr, and the comment
    is in the public half only) or, with the form `ppk`, PuTTY's (see `keys.sshkey.ppk`). Without a passphrase it is
    plain.

    Raises KeysError `invalid` for an unknown kind or form, or an empty passphrase.
    """
    if form not in get_args(Format):
        raise KeysError("invalid", "There is no such format of keys.", f"Choose one of: {', '.join(get_args(Format))}.")
    if algorithm not in _MAKERS:
        raise KeysError("invalid", "There is no such kind of key.", f"Choose one of: {', '.join(KINDS)}.")
    if passphrase is not None and not passphrase.reveal():
        raise KeysError("invalid", "The passphrase is empty.", "Give one, or ask for a key without.")
    private = _MAKERS[algorithm]()
    line = private.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
    public = replace(parse_public(line), comment=one_line(comment))
    if form == "ppk":
        return write_ppk(private, public, public.comment, passphrase), public
    lock = NoEncryption() if passphrase is None else BestAvailableEncryption(passphrase.reveal())
    return Secret(private.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, lock)), public


def as_ppk(private: Secret, public: PublicKey) -> Secret:
    """PuTTY's file for a pair that `generate` made in OpenSSH's form and without a passphrase."""
    pair = cast(PrivateKey, load_ssh_private_key(private.reveal(), None))
    return write_ppk(pair, public, public.comment, None)
