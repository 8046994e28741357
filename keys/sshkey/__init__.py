"""SSH keys: what a public key is, reading the files it comes in, making new pairs."""

from keys.sshkey.forms import known_hosts_line, sshfp_record, winscp_fingerprint
from keys.sshkey.pair import KINDS, generate
from keys.sshkey.text import parse_public
from keys.sshkey.wire import PublicKey, read_blob

__all__ = [
    "KINDS",
    "PublicKey",
    "generate",
    "known_hosts_line",
    "parse_public",
    "read_blob",
    "sshfp_record",
    "winscp_fingerprint",
]
