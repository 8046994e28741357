"""The forms in which clients want to be told a server's host key, so that they can know the server again."""

import base64
import hashlib

from keys.sshkey.wire import PublicKey

SSH_PORT = 22
SHA256 = 2  # RFC 6594 section 4
# RFC 4255 section 3.1.1, RFC 6594 section 5.1, RFC 7479
_SSHFP_ALGORITHMS = {
    "ssh-rsa": 1,
    "ecdsa-sha2-nistp256": 3,
    "ecdsa-sha2-nistp384": 3,
    "ecdsa-sha2-nistp521": 3,
    "ssh-ed25519": 4,
}


def known_hosts_line(public: PublicKey, host: str, port: int) -> str:
    """A line for OpenSSH's known_hosts file (sshd(8), SSH_KNOWN_HOSTS FILE FORMAT)."""
    place = host if port == SSH_PORT else f"[{host}]:{port}"
    return f"{place} {public.algorithm} {base64.b64encode(public.blob).decode()}"


def winscp_fingerprint(public: PublicKey) -> str:
    """What WinSCP's -hostkey takes (several joined with `;`); it counts an ed25519 key as 255 bits, as PuTTY does."""
    bits = 255 if public.algorithm == "ssh-ed25519" else public.bits
    return f"{public.algorithm} {bits} {public.fingerprint}"


def sshfp_record(public: PublicKey, host: str) -> str:
    """A DNS record with the SHA-256 of the key (RFC 4255, 6594, 7479), as `ssh-keygen -r` prints it."""
    return f"{host} IN SSHFP {_SSHFP_ALGORITHMS[public.algorithm]} {SHA256} {hashlib.sha256(public.blob).hexdigest()}"
