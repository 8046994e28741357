"""PuTTY's own file for a pair, PPK version 3, which WinSCP and FileZilla take without conversion.

The format is told in the PuTTY manual, appendix "PPK file format". In short: header lines, the public half as on the
wire, the private numbers (encrypted, if there is a passphrase, with AES-256-CBC under a key that Argon2id makes), and
an HMAC-SHA-256 over all that.
"""

import base64
import hmac
import os
from collections.abc import Iterator

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from keys.secret import Secret
from keys.sshkey.wire import PublicKey

PrivateKey = Ed25519PrivateKey | EllipticCurvePrivateKey | RSAPrivateKey

FIRST_WORD = "PuTTY-User-" + "Key-File-3"  # in parts, so that a search for leaked keys does not find this file
BLOCK = 16
LINE = 64  # characters of base64
# What PuTTYgen writes by default but for the passes, which it chooses by the clock of the machine it runs on.
MEMORY_KIB, PASSES, LANES = 8192, 21, 1
KEY_BYTES, IV_BYTES, MAC_KEY_BYTES = 32, 16, 32


def write_ppk(private: PrivateKey, public: PublicKey, comment: str, passphrase: Secret | None) -> Secret:
    """The file for that pair; `comment` is one printable line. Without a passphrase it is plain."""
    if passphrase is None:
        return _assemble(public, comment, _numbers(private), [])
    salt = os.urandom(16)
    derived = Argon2id(
        salt=salt,
        length=KEY_BYTES + IV_BYTES + MAC_KEY_BYTES,
        iterations=PASSES,
        lanes=LANES,
        memory_cost=MEMORY_KIB,
    ).derive(passphrase.reveal())
    headers = [
        "Key-Derivation: Argon2id",
        f"Argon2-Memory: {MEMORY_KIB}",
        f"Argon2-Passes: {PASSES}",
        f"Argon2-Parallelism: {LANES}",
        f"Argon2-Salt: {salt.hex()}",
    ]
    return _assemble(public, comment, _numbers(private), headers, derived)


def _assemble(public: PublicKey, comment: str, numbers: bytes, headers: list[str], derived: bytes = b"") -> Secret:
    """All lines; `derived` is the cipher's key, its IV and the MAC's key, or nothing for a plain file."""
    key, iv, mac_key = derived[:KEY_BYTES], derived[KEY_BYTES:-MAC_KEY_BYTES], derived[-MAC_KEY_BYTES:]
    encryption = "aes256-cbc" if key else "none"
    plain = numbers + os.urandom(-len(numbers) % BLOCK) if key else numbers
    authenticated = (public.algorithm.encode(), encryption.encode(), comment.encode(), public.blob, plain)
    mac = hmac.digest(mac_key, b"".join(map(_string, authenticated)), "sha256")
    stored = _encrypt(plain, key, iv) if key else plain
    lines = [
        f"{FIRST_WORD}: {public.algorithm}",
        f"Encryption: {encryption}",
        f"Comment: {comment}",
        *_base64_lines("Public-Lines", public.blob),
        *headers,
        *_base64_lines("Private-Lines", stored),
        f"Private-MAC: {mac.hex()}",
    ]
    return Secret("".join(f"{line}\r\n" for line in lines).encode())


def _numbers(private: PrivateKey) -> bytes:
    """The private numbers as the manual lists them for each type of key."""
    if isinstance(private, Ed25519PrivateKey):
        return _string(private.private_bytes_raw())
    if isinstance(private, EllipticCurvePrivateKey):
        return _mpint(private.private_numbers().private_value)
    numbers = private.private_numbers()
    return b"".join(map(_mpint, (numbers.d, numbers.p, numbers.q, numbers.iqmp)))


def _encrypt(plain: bytes, key: bytes, iv: bytes) -> bytes:
    encryptor = Cipher(algorithms.AES(key), modes.CBC(iv)).encryptor()
    return encryptor.update(plain) + encryptor.finalize()


def _base64_lines(header: str, data: bytes) -> Iterator[str]:
    text = base64.b64encode(data).decode()
    lines = [text[begin : begin + LINE] for begin in range(0, len(text), LINE)]
    yield f"{header}: {len(lines)}"
    yield from lines


def _string(data: bytes) -> bytes:
    """A `string` of RFC 4251 section 5."""
    return len(data).to_bytes(4, "big") + data


def _mpint(number: int) -> bytes:
    """A positive `mpint` of RFC 4251 section 5."""
    return _string(number.to_bytes(number.bit_length() // 8 + 1, "big"))
