"""Which algorithms the door offers: policies by name, each list written out; no new library version ever adds to one.

`2025-03`, `fips-2025-03` and `fips-2024-05` are AWS Transfer Family's TransferSecurityPolicy-2025-03, -FIPS-2025-03 and
-FIPS-2024-05, in the order of the lists printed in its user guide, "Security policies for AWS Transfer Family servers"
(docs.aws.amazon.com/transfer/latest/userguide/security-policies.html); so a court that comes from there finds what it
had. The table above those lists ticks diffie-hellman-group14-sha256 as well; the lists do not have it, and they count.
`compat` is ours: `2025-03` and what clients of the last ten years need. There is no SHA-1, no CBC and no compression
anywhere. Post-quantum hybrids are draft-ietf-sshm-mlkem-hybrid-kex.

The FIPS policies offer algorithms that FIPS 140-3 modules may use, and no others; this program does not claim to run a
validated module. They keep Ed25519 signatures, which FIPS 186-5 (section 7) approves and AWS lists for host keys under
every policy, although AWS's page on keys still calls them not compliant: whoever must do without gives out RSA or ECDSA
keys. They have no signatures of security keys (sk-...), whose algorithm runs in a device that nobody here knows.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

import asyncssh

from server.settings import Policy


@dataclass(frozen=True)
class Algorithms:
    """One policy: SSH names (RFC 4253 section 7.1), each list in the order in which it is offered.

    `host_keys` are what host keys may sign with, `signatures` what the keys of clients may.
    """

    key_exchanges: tuple[str, ...]
    ciphers: tuple[str, ...]
    macs: tuple[str, ...]
    host_keys: tuple[str, ...]
    signatures: tuple[str, ...]


_HYBRID = ("mlkem768x25519-sha256", "mlkem768nistp256-sha256", "mlkem1024nistp384-sha384")
_NIST = ("ecdh-sha2-nistp256", "ecdh-sha2-nistp384", "ecdh-sha2-nistp521")
_SIGNATURES = (
    "ssh-ed25519",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "rsa-sha2-512",
    "rsa-sha2-256",
)
_2025_03 = Algorithms(
    key_exchanges=(
        *_HYBRID,
        *_NIST,
        "curve25519-sha256",
        "curve25519-sha256@libssh.org",
        "diffie-hellman-group16-sha512",
        "diffie-hellman-group18-sha512",
        "diffie-hellman-group-exchange-sha256",
    ),
    ciphers=("aes256-gcm@openssh.com", "aes128-gcm@openssh.com", "aes128-ctr", "aes256-ctr", "aes192-ctr"),
    macs=("hmac-sha2-256-etm@openssh.com", "hmac-sha2-512-etm@openssh.com"),
    host_keys=_SIGNATURES,
    signatures=(*_SIGNATURES, "sk-ssh-ed25519@openssh.com", "sk-ecdsa-sha2-nistp256@openssh.com"),
)
_FIPS_2025_03 = Algorithms(
    key_exchanges=(
        *_HYBRID,
        *_NIST,
        "diffie-hellman-group-exchange-sha256",
        "diffie-hellman-group16-sha512",
        "diffie-hellman-group18-sha512",
    ),
    ciphers=("aes256-gcm@openssh.com", "aes128-gcm@openssh.com", "aes256-ctr", "aes192-ctr", "aes128-ctr"),
    macs=("hmac-sha2-512-etm@openssh.com", "hmac-sha2-256-etm@openssh.com"),
    host_keys=_SIGNATURES,
    signatures=_SIGNATURES,
)
_FIPS_2024_05 = Algorithms(
    key_exchanges=(
        *_NIST,
        "diffie-hellman-group18-sha512",
        "diffie-hellman-group16-sha512",
        "diffie-hellman-group-exchange-sha256",
    ),
    ciphers=("aes128-gcm@openssh.com", "aes256-gcm@openssh.com", "aes128-ctr", "aes256-ctr", "aes192-ctr"),
    macs=("hmac-sha2-256-etm@openssh.com", "hmac-sha2-512-etm@openssh.com"),
    host_keys=_SIGNATURES,
    signatures=_SIGNATURES,
)
# What is added is for libssh2 before 1.11 (Debian 12's curl), .NET and Java clients, some of which have neither AES-GCM
# nor encrypt-then-MAC; and for clients whose largest group is the one of 2048 bits (RFC 8268).
_COMPAT = replace(
    _2025_03,
    key_exchanges=(*_2025_03.key_exchanges, "diffie-hellman-group14-sha256"),
    ciphers=(*_2025_03.ciphers, "chacha20-poly1305@openssh.com"),
    macs=(*_2025_03.macs, "hmac-sha2-256", "hmac-sha2-512"),
)

POLICIES: Mapping[Policy, Algorithms] = MappingProxyType(
    {"2025-03": _2025_03, "fips-2025-03": _FIPS_2025_03, "fips-2024-05": _FIPS_2024_05, "compat": _COMPAT}
)


def offer(policy: Policy) -> dict[str, Any]:
    """The algorithm lists of a policy as `asyncssh.SSHServerConnectionOptions` takes them."""
    chosen = POLICIES[policy]
    return {
        "kex_algs": chosen.key_exchanges,
        "encryption_algs": chosen.ciphers,
        "mac_algs": chosen.macs,
        "compression_algs": ("none",),
        "signature_algs": chosen.signatures,
    }


def load_host_keys(keys: list[bytes], policy: Policy) -> list[asyncssh.SSHKeyPair]:
    """Private host keys (OpenSSH or PEM) as the door presents them under a policy; those it has no use for left out.

    They were made here and are sealed, so that nobody changes them: whether the primes of an RSA key are some, which
    takes most of a door's start, is not asked again. Raises `asyncssh.KeyImportError` for anything that is not such a
    key.
    """
    allowed = {name.encode() for name in POLICIES[policy].host_keys}
    read = [asyncssh.import_private_key(key, unsafe_skip_rsa_key_validation=True) for key in keys]
    pairs = list(asyncssh.load_keypairs(read))
    for pair in pairs:
        pair.host_key_algorithms = [name for name in pair.host_key_algorithms if name in allowed]
        pair.sig_algorithms = [name for name in pair.sig_algorithms if name in allowed]
        if pair.sig_algorithms:
            # What it signs with unless a key exchange says otherwise, as when it proves an announced key to a client.
            pair.set_sig_algorithm(pair.sig_algorithms[0])
    return [pair for pair in pairs if pair.host_key_algorithms]


def refuse_weak_signatures(key: asyncssh.SSHKey, policy: Policy) -> None:
    """Make this one key object accept signatures of the policy's list only.

    The list that a server announces is a hint to the client (RFC 8308 section 3.1); asyncssh itself still verifies an
    `ssh-rsa` (SHA-1) signature, which this forbids.
    """
    key.all_sig_algorithms = {name.encode() for name in POLICIES[policy].signatures} & set(key.all_sig_algorithms)
