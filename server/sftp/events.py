"""The words of the session log that take more than a name; all of them are in docs/log.md.

The vocabulary is that of AWS Transfer Family's structured logs (user guide, "Audit log examples"), so that what reads
theirs finds the same words here.
"""

from functools import lru_cache
from typing import Any

import asyncssh
from asyncssh import FXF_APPEND, FXF_CREAT, FXF_EXCL, FXF_READ, FXF_TRUNC, FXF_WRITE, SFTPAttrs

_MODES = (
    (FXF_CREAT, "CREATE"),
    (FXF_EXCL, "EXCLUSIVE"),
    (FXF_TRUNC, "TRUNCATE"),
    (FXF_READ, "READ"),
    (FXF_WRITE, "WRITE"),
    (FXF_APPEND, "APPEND"),
)


@lru_cache(64)
def describe_mode(pflags: int) -> str:
    """How a file was opened, such as `CREATE|TRUNCATE|WRITE`."""
    return "|".join(word for flag, word in _MODES if pflags & flag)


def describe_change(attrs: SFTPAttrs) -> str:
    """What a SETSTAT asked for, such as `size|times`."""
    asked = {
        "size": attrs.size is not None,
        "owner": attrs.uid is not None or attrs.gid is not None,
        "permissions": attrs.permissions is not None,
        "times": attrs.mtime is not None,
    }
    return "|".join(name for name, is_asked in asked.items() if is_asked)


def describe_algorithms(conn: asyncssh.SSHServerConnection) -> dict[str, Any]:
    """What both sides agreed on, as the client sends: key exchange, cipher and MAC."""
    names = {"kex": "kex", "ciphers": "recv_cipher", "mac": "recv_mac"}
    return {field: conn.get_extra_info(name, "") for field, name in names.items()}
