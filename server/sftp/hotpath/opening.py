"""The OPEN request as clients send it, out of its bytes.

draft-ietf-secsh-filexfer-02 section 6.3: path, flags, attributes; section 5: of these, size and permissions.
"""

import struct
from dataclasses import dataclass

from asyncssh import SFTPAttrs
from asyncssh.constants import FILEXFER_ATTR_PERMISSIONS, FILEXFER_ATTR_SIZE

NO_SIZE = SFTPAttrs()  # nobody changes it, and most clients announce nothing

_UINT32 = struct.Struct(">I")
_FLAGS = struct.Struct(">II")
_SIZE = struct.Struct(">Q")
_SIMPLE = {
    0: 0,
    FILEXFER_ATTR_SIZE: _SIZE.size,
    FILEXFER_ATTR_PERMISSIONS: _UINT32.size,
    FILEXFER_ATTR_SIZE | FILEXFER_ATTR_PERMISSIONS: _SIZE.size + _UINT32.size,
}


@dataclass(frozen=True, slots=True)
class Open:
    """An OPEN: the path as it was sent, the flags (`FXF_...`), and the size in bytes that the client announces."""

    path: bytes
    flags: int
    attributes: SFTPAttrs


def read_open(request: bytes) -> Open | None:
    """Read what follows the id of an OPEN; None if it is of an unusual form, or broken."""
    if len(request) < _UINT32.size:
        return None
    after = _UINT32.size + int(_UINT32.unpack_from(request)[0])
    if len(request) < after + _FLAGS.size:
        return None
    flags, given = _FLAGS.unpack_from(request, after)
    at = after + _FLAGS.size
    if _SIMPLE.get(given) != len(request) - at:
        return None
    attributes = SFTPAttrs(size=_SIZE.unpack_from(request, at)[0]) if given & FILEXFER_ATTR_SIZE else NO_SIZE
    return Open(request[_UINT32.size : after], flags, attributes)
