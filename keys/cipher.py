"""Sealing: AES-256-GCM under the master key, so that a copy of the database alone gives no secret away.

What a sealed value looks like (bytes):

    0       1             9          21                    end - 16    end
    | version | key id      | nonce      | ciphertext          | tag       |
    |    1    | 8           | 12, random | as long as plain    | 16        |

The key id tells which master key sealed the value, so that several can be in use while one replaces the other; it is
derived beside the sealing key (HKDF, RFC 5869) and says nothing about it. Header and purpose are authenticated, so a
value cannot be moved to where another one belongs. Nonces are random: one master key may seal 2^32 values before it
must be replaced (NIST SP 800-38D section 8.3).
"""

import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from keys.errors import KeysError
from keys.secret import MASTER_BYTES, Secret

VERSION = 1
ID_BYTES = 8
NONCE_BYTES = 12
TAG_BYTES = 16
HEADER_BYTES = 1 + ID_BYTES

LOST = "If it is lost for good: dropslot key replace-lost-master"


class Cipher:
    """Seals under one master key; opens what was sealed under it, or under an other one that it is given."""

    def __init__(self, master: Secret, *others: Secret) -> None:
        """Each is 32 bytes; see `keys.masters.MasterKeys` for where they come from."""
        self._header = _header(master)
        self._aeads = {_header(one): AESGCM(_derive(one, b"dropslot seal 1", 32)) for one in (*others, master)}

    @property
    def key_id(self) -> str:
        """16 hex digits that name the master key; safe to show."""
        return self._header[1:].hex()

    def seal(self, plain: bytes, purpose: str) -> bytes:
        """Encrypt `plain`; only `open` with the same `purpose` gives it back."""
        nonce = os.urandom(NONCE_BYTES)
        sealing = self._aeads[self._header]
        return self._header + nonce + sealing.encrypt(nonce, plain, self._header + purpose.encode())

    def is_current(self, sealed: bytes) -> bool:
        """Whether it was sealed under the master key that seals now."""
        return sealed[:HEADER_BYTES] == self._header

    def reseal(self, sealed: bytes, purpose: str) -> bytes:
        """The same secret, sealed under the master key that seals now. Raises KeysError as `open` does."""
        return sealed if self.is_current(sealed) else self.seal(self.open(sealed, purpose), purpose)

    def opens(self, sealed: bytes, purpose: str) -> bool:
        """Whether `open` would."""
        try:
            self.open(sealed, purpose)
        except KeysError:
            return False
        return True

    def open(self, sealed: bytes, purpose: str) -> bytes:
        """Decrypt what `seal` gave.

        Raises KeysError `denied` when it was sealed with another master key, for another purpose, or was altered.
        """
        header, body = sealed[:HEADER_BYTES], sealed[HEADER_BYTES:]
        if len(body) < NONCE_BYTES + TAG_BYTES or header[:1] != self._header[:1]:
            raise _altered()
        if header not in self._aeads:
            raise KeysError(
                "denied",
                f"This secret was sealed with another master key ({header[1:].hex()}).",
                "Restore the keys/master.key that belongs to this database, or set DROPSLOT_MASTER_KEY... as it was. "
                + LOST,
            )
        try:
            return self._aeads[header].decrypt(body[:NONCE_BYTES], body[NONCE_BYTES:], header + purpose.encode())
        except InvalidTag:
            raise _altered() from None


def _header(master: Secret) -> bytes:
    if len(master.reveal()) != MASTER_BYTES:
        raise KeysError("invalid", f"A master key has {MASTER_BYTES} bytes.", "Restore the right one.")
    return bytes([VERSION]) + _derive(master, b"dropslot key id 1", ID_BYTES)


def _derive(master: Secret, info: bytes, length: int) -> bytes:
    return HKDF(SHA256(), length, salt=None, info=info).derive(master.reveal())


def _altered() -> KeysError:
    return KeysError(
        "denied",
        "A sealed secret in the database is damaged or is not where it belongs.",
        "Restore the database from a backup.",
    )
