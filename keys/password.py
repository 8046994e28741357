"""Passwords, for those agencies that cannot use keys: made strong, kept as Argon2id (RFC 9106), never shown again."""

import hashlib
import os
import secrets

from cryptography.exceptions import InvalidKey
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from keys.errors import KeysError
from keys.secret import Secret

LEAST_LENGTH = 15  # NIST SP 800-63B-4 section 3.1.1.1, for a password that is the only proof
MOST_LENGTH = 128
# OWASP's password storage cheat sheet. Not more: each guess of a stranger costs us this memory.
MEMORY_KIB, PASSES, LANES, HASH_BYTES = 19 * 1024, 2, 1, 32
GROUPS, GROUP_LENGTH = 5, 5
ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"  # nothing that is read as something else; 5 bits each, but for a little


def make_password() -> Secret:
    """A new password of 25 letters and digits in groups, more than 120 bits."""
    groups = ("".join(secrets.choice(ALPHABET) for _ in range(GROUP_LENGTH)) for _ in range(GROUPS))
    return Secret("-".join(groups).encode())


def hash_password(password: Secret) -> str:
    """The password as it may be stored, in the PHC string format (`$argon2id$v=19$...`).

    Raises KeysError `invalid` for one that is too short, too long, too plain, or not of printable ASCII characters:
    what other characters are on the wire depends on the client.
    """
    text = password.reveal()
    if not LEAST_LENGTH <= len(text) <= MOST_LENGTH or len(set(text)) < LEAST_LENGTH // 3:
        hint = f"Take {LEAST_LENGTH} to {MOST_LENGTH} characters of several kinds, or let one be made with --generate."
        raise KeysError("invalid", "This password is too short, too long or too plain.", hint)
    if not all(0x20 <= byte < 0x7F for byte in text):
        hint = "Take letters, digits and signs of ASCII, or let one be made with --generate."
        raise KeysError("invalid", "This password has characters that clients send in different ways.", hint)
    salt = os.urandom(16)
    kdf = Argon2id(salt=salt, length=HASH_BYTES, iterations=PASSES, lanes=LANES, memory_cost=MEMORY_KIB)
    return kdf.derive_phc_encoded(text)


def is_password(password: Secret, stored: str) -> bool:
    """Whether it is the one that `stored` was made of; takes some 30 ms and 19 MiB."""
    try:
        Argon2id.verify_phc_encoded(password.reveal(), stored)
    except InvalidKey:
        return False
    return True


def version_of(stored: str) -> str:
    """A word that is another one for another stored password, and tells nothing about it."""
    return hashlib.sha256(stored.encode()).hexdigest()[:16]
