"""SSH keys: what a public key is, reading the files it comes in, making new pairs."""

from keys.sshkey.certificate import Certificate, check_certificate, read_certificate
from keys.sshkey.forms import known_hosts_line, sshfp_record, winscp_fingerprint
from keys.sshkey.pair import KINDS, as_ppk, generate
from keys.sshkey.text import parse_public
from keys.sshkey.wire import PublicKey, read_blob

__all__ = [
    "KINDS",
    "Certificate",
    "PublicKey",
    "as_ppk",
    "check_certificate",
    "generate",
    "known_hosts_line",
    "parse_public",
    "read_blob",
    "read_certificate",
    "sshfp_record",
    "winscp_fingerprint",
]
