"""Which algorithms the door offers, named one by one; a new version of a library never adds one by itself.

The order is that of AWS Transfer's policy TransferSecurityPolicy-2025-03 (user guide, "Security policies"), with
chacha20-poly1305 (OpenSSH's default) behind AES. Post-quantum hybrids (draft-ietf-sshm-mlkem-hybrid-kex) come first.
There is no SHA-1, no CBC and no compression.
"""

from typing import Any

import asyncssh

KEY_EXCHANGES = (
    "mlkem768x25519-sha256",
    "mlkem768nistp256-sha256",
    "mlkem1024nistp384-sha384",
    "curve25519-sha256",
    "curve25519-sha256@libssh.org",
    "ecdh-sha2-nistp256",
    "ecdh-sha2-nistp384",
    "ecdh-sha2-nistp521",
    "diffie-hellman-group-exchange-sha256",
    "diffie-hellman-group16-sha512",
    "diffie-hellman-group18-sha512",
)
CIPHERS = (
    "aes256-gcm@openssh.com",
    "aes128-gcm@openssh.com",
    "chacha20-poly1305@openssh.com",
    "aes256-ctr",
    "aes192-ctr",
    "aes128-ctr",
)
# The last two, which are not encrypt-then-MAC, are for libssh2 before 1.11 (Debian 12's curl) and some .NET and Java
# clients, which have nothing better with AES-CTR.
MACS = ("hmac-sha2-512-etm@openssh.com", "hmac-sha2-256-etm@openssh.com", "hmac-sha2-512", "hmac-sha2-256")
SIGNATURES = (
    "ssh-ed25519",
    "sk-ssh-ed25519@openssh.com",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "sk-ecdsa-sha2-nistp256@openssh.com",
    "rsa-sha2-512",
    "rsa-sha2-256",
)


def offer() -> dict[str, Any]:
    """The algorithm lists as `asyncssh.listen` takes them."""
    return {
        "kex_algs": KEY_EXCHANGES,
        "encryption_algs": CIPHERS,
        "mac_algs": MACS,
        "compression_algs": ("none",),
        "signature_algs": SIGNATURES,
    }


def load_host_keys(keys: list[bytes]) -> list[asyncssh.SSHKeyPair]:
    """Private host keys (OpenSSH or PEM) as the door presents them: RSA never with SHA-1.

    Raises `asyncssh.KeyImportError` for anything that is not such a key.
    """
    pairs = list(asyncssh.load_keypairs([asyncssh.import_private_key(key) for key in keys]))
    allowed = {name.encode() for name in SIGNATURES}
    for pair in pairs:
        pair.host_key_algorithms = [name for name in pair.host_key_algorithms if name in allowed]
        pair.sig_algorithms = [name for name in pair.sig_algorithms if name in allowed]
        # What it signs with unless a key exchange says otherwise, as when it proves an announced key to a client.
        pair.set_sig_algorithm(pair.sig_algorithms[0])
    return pairs


def refuse_weak_signatures(key: asyncssh.SSHKey) -> None:
    """Make this one key object accept signatures of our list only.

    The list that a server announces is a hint to the client (RFC 8308 section 3.1); asyncssh itself still verifies an
    `ssh-rsa` (SHA-1) signature, which this forbids.
    """
    key.all_sig_algorithms = {name.encode() for name in SIGNATURES} & set(key.all_sig_algorithms)
