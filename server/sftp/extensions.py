"""The extensions to SFTP 3 that asyncssh does not answer: where home is, what an id is called, and checksums.

    expand-path@openssh.com         OpenSSH's PROTOCOL, section 4.9     `~` is the agency's `/`
    home-directory                  OpenSSH's PROTOCOL, section 4.11    as above, for its own name
    users-groups-by-id@openssh.com  OpenSSH's PROTOCOL, section 4.12    the one id we show has one name
    check-file-handle, -name        draft-ietf-secsh-filexfer-extensions-00, section 3
    check-file                      an earlier form of check-file-handle, which paramiko asks for and answers

Each function takes the requesting handler's `Files`, the packet behind the extension's name, and the open handles; it
returns what the answer is encoded from, or raises `SFTPError`.
"""

import struct
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

from asyncssh import FXF_READ, SFTPAttrs, SFTPFailure, SFTPName, SFTPNoSuchFile
from asyncssh.constants import FXP_EXTENDED_REPLY, FXP_NAME
from asyncssh.packet import SSHPacket, String
from asyncssh.sftp import SFTPInvalidHandle

from server.sftp.checking import ALGORITHMS, Wish
from server.sftp.files import Files
from server.sftp.listing import OWNER, OWNER_ID

NOBODY = "There is no such user."
ID_BYTES = 4
MOST_IDS = 1024


@dataclass(frozen=True)
class Reply:
    """The body of an SSH_FXP_EXTENDED_REPLY."""

    body: bytes

    def encode(self, _version: int) -> bytes:
        """As asyncssh asks for it."""
        return self.body


Names = tuple[Sequence[SFTPName], bool]
Answer = Callable[[Files, SSHPacket, Mapping[bytes, object]], Awaitable[Reply | Names]]


async def expand_path(files: Files, packet: SSHPacket, _handles: Mapping[bytes, object]) -> Names:
    """A path in its normal form, as REALPATH says it, with `~` and `~name` at its beginning understood.

    Only one's own name is known: whether somebody else's exists is not told.
    """
    path = packet.get_string()
    packet.check_end()
    if path.startswith(b"~"):
        name, _, rest = path[1:].partition(b"/")
        path = _home(files, name) + rest
    return _one_name(files.realpath(path))


async def home_directory(files: Files, packet: SSHPacket, _handles: Mapping[bytes, object]) -> Names:
    """Where a user begins; the empty name is oneself."""
    name = packet.get_string()
    packet.check_end()
    return _one_name(_home(files, name))


def _home(files: Files, name: bytes) -> bytes:
    if name not in (b"", files.agency.encode()):
        raise SFTPNoSuchFile(NOBODY)
    return b"/"


def _one_name(path: bytes) -> Names:
    return [SFTPName(path, path, SFTPAttrs())], False


async def name_ids(_files: Files, packet: SSHPacket, _handles: Mapping[bytes, object]) -> Reply:
    """The names of user and group ids, in their order; an id that we never showed has the empty name.

    Raises `SFTPFailure` for more of them than any listing needs.
    """
    users, groups = packet.get_string(), packet.get_string()
    packet.check_end()
    return Reply(String(_names_of(users)) + String(_names_of(groups)))


def _names_of(ids: bytes) -> bytes:
    if len(ids) > MOST_IDS * ID_BYTES:
        raise SFTPFailure(f"At most {MOST_IDS} ids can be asked for at a time.")
    known = (number for (number,) in struct.iter_unpack(">I", ids[: len(ids) // ID_BYTES * ID_BYTES]))
    return b"".join(String(OWNER if number == OWNER_ID else "") for number in known)


async def check_handle(files: Files, packet: SSHPacket, handles: Mapping[bytes, object]) -> Reply:
    """Digests of an open file; also of one that is being sent."""
    handle, wish = packet.get_string(), _read_wish(packet)
    if handle not in handles:
        raise SFTPInvalidHandle("That handle is not an open file.")
    algorithm, digests = await files.check(handles[handle], wish)
    return Reply(String(algorithm) + digests)


async def check_handle_as_once(files: Files, packet: SSHPacket, handles: Mapping[bytes, object]) -> Reply:
    """As `check_handle`, with the extension's name before the answer."""
    return Reply(String("check-file") + (await check_handle(files, packet, handles)).body)


async def check_name(files: Files, packet: SSHPacket, _handles: Mapping[bytes, object]) -> Reply:
    """Digests of a file that is not open."""
    path, wish = packet.get_string(), _read_wish(packet)
    handle = await files.open(path, FXF_READ, SFTPAttrs())
    try:
        algorithm, digests = await files.check(handle, wish)
    finally:
        await files.close(handle)
    return Reply(String(algorithm) + digests)


def _read_wish(packet: SSHPacket) -> Wish:
    wish = Wish(packet.get_string(), packet.get_uint64(), packet.get_uint64(), packet.get_uint32())
    packet.check_end()
    return wish


ANSWERS: Mapping[bytes, tuple[int, Answer]] = {
    b"expand-path@openssh.com": (FXP_NAME, expand_path),
    b"home-directory": (FXP_NAME, home_directory),
    b"users-groups-by-id@openssh.com": (FXP_EXTENDED_REPLY, name_ids),
    b"check-file-handle": (FXP_EXTENDED_REPLY, check_handle),
    b"check-file-name": (FXP_EXTENDED_REPLY, check_name),
    b"check-file": (FXP_EXTENDED_REPLY, check_handle_as_once),
}
RETURN_TYPES = {name: kind for name, (kind, _) in ANSWERS.items()}

# Clients look for a name; its value is a version, or for checksums the algorithms (so ProFTPD and paramiko's server).
ANNOUNCED = [(name, ",".join(ALGORITHMS).encode() if name.startswith(b"check-file") else b"1") for name in ANSWERS]
