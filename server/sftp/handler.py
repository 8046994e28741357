"""The SFTP protocol of one channel (version 3, draft-ietf-secsh-filexfer-02): asyncssh's, with our corrections.

asyncssh calls `SFTPServer.close` alike for a client's CLOSE and for a lost connection. Only here can the two be told
apart: whatever handle is still open when `_cleanup` runs was never closed by its client. That and what else is changed
leans on private names of one exact version, which `selftest` checks at every start.

What else is changed:
- replies are drained, so that a client that asks and does not read cannot fill the memory;
- the extensions that we do not want are gone: hard links, server-side copies, vendor data; others are there (see
  `extensions`);
- the limits we announce are OpenSSH's, and the number of open handles is bounded;
- a WRITE may be followed by rubbish in its packet: Go's pkg/sftp before 1.13.6 (rclone 1.60) pads its last one;
- OPENDIR of a missing directory fails at once, not at the first READDIR;
- a client that leaves before it has said its version ends its channel and no other, and version 3 is the answer to
  whatever version it says.
"""

import asyncio
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

import asyncssh
from asyncssh import SFTPFailure, SFTPLimits
from asyncssh.constants import FXP_INIT, FXP_OPENDIR, FXP_VERSION, FXP_WRITE
from asyncssh.packet import PacketDecodeError, SSHPacket, String, UInt32
from asyncssh.sftp import SFTPBadMessage, SFTPInvalidHandle, SFTPServerHandler

from server.sftp.extensions import ANNOUNCED, ANSWERS, RETURN_TYPES, Answer
from server.sftp.files import MOST_HANDLES, Files
from server.sftp.listing import Listing
from server.sftp.reading import MOST_READ
from server.sftp.upload import Upload

if TYPE_CHECKING:
    from asyncssh.stream import SSHReader, SSHWriter

UNWANTED = (b"newline", b"vendor-id", b"hardlink@openssh.com", b"copy-data", b"ranges@asyncssh.com")
LIMITS = b"limits@openssh.com"

# An SFTP packet is what it carries and a header; OpenSSH's own numbers (sftp-common.h, sftp-server.c).
MOST_PACKET = MOST_READ + 1024
UNSENT_BYTES = 4 * 1024 * 1024
UNSENT_PAUSE = 0.005
MOST_NAMES = 50_000  # of all directories that are open; so many are some MiB
TURN = 0.01  # in seconds: so long others wait at most for requests of one channel that are already here

VERSION = 3


def _process(answer: Answer) -> Any:
    """An answer of `extensions` as asyncssh calls it."""

    async def process(handler: "Handler", packet: SSHPacket) -> Any:
        return await answer(handler._server, packet, handler._file_handles)

    return process


class Handler(SFTPServerHandler):
    """Reads requests one after another, has `Files` do them, and answers in order."""

    _server: Files

    _extensions = [  # noqa: RUF012
        *(item for item in SFTPServerHandler._extensions if item[0] not in UNWANTED),
        *ANNOUNCED,
    ]
    _return_types = cast(Any, SFTPServerHandler._return_types) | RETURN_TYPES

    def __init__(
        self, files: Files, reader: "SSHReader[bytes]", writer: "SSHWriter[bytes]", touch: Callable[[], None]
    ) -> None:
        super().__init__(files, reader, writer, VERSION)
        self._touch = touch
        self._turn_began = 0.0

    async def run(self) -> None:
        """Say which version is spoken, then do what the client asks until it leaves."""
        try:
            await self._take_greeting()
        except PacketDecodeError as error:
            await self._cleanup(SFTPBadMessage(str(error)))
        except EOFError:
            await self._cleanup(None)
        except (OSError, asyncssh.Error) as error:
            await self._cleanup(error)
        else:
            extensions = (String(name) + String(data) for name, data in self._extensions)
            self.send_packet(FXP_VERSION, None, UInt32(VERSION), *extensions)
            await self.recv_packets()

    async def _take_greeting(self) -> None:
        """The client's INIT. Its version changes nothing, nor does what it says behind it.

        By section 4 of the draft the answer is the lower one of both versions. But a lower one than 3 we do not speak,
        so it would be a lie; OpenSSH's answer is 3 as well, and ignores what is behind it (sftp-server.c,
        process_init).
        """
        packet = await self.recv_packet()
        if packet.get_byte() != FXP_INIT:
            raise SFTPBadMessage("A session begins with INIT.")
        packet.get_uint32()

    async def recv_packet(self) -> SSHPacket:
        """The next request, without its length. asyncssh would hold 4 MiB of it; we announce less, as OpenSSH."""
        if time.monotonic() - self._turn_began > TURN:  # what has come already is read without waiting
            await asyncio.sleep(0)
            self._turn_began = time.monotonic()
        assert self._reader is not None  # noqa: S101  asyncssh asks only as long as it is there
        length = int.from_bytes(await self._reader.readexactly(4), "big")
        if length > MOST_PACKET:
            raise SFTPBadMessage("That packet is too long.")
        return SSHPacket(await self._reader.readexactly(length))

    async def _cleanup(self, exc: Exception | None) -> None:
        reason = "the connection was lost" if exc else "the session ended before the file was closed"
        for handle in self._file_handles.values():
            if isinstance(handle, Upload):
                handle.torn = reason
        await super()._cleanup(exc)

    async def _process_packet(self, pkttype: int, pktid: int, packet: SSHPacket) -> None:
        self._touch()
        await super()._process_packet(pkttype, pktid, packet)
        await self._drain()

    async def _drain(self) -> None:
        """Wait until the client has taken most of our replies.

        Requests that have already come in must still be done after the client is gone: a CLOSE may be among them.
        """
        writer = self._writer
        if writer is None or writer.channel.is_closing():
            return
        try:
            await writer.drain()
        except (OSError, asyncssh.Error):
            return
        # A client may open a huge window and not read from its socket: then the channel never pauses us. Or it begins a
        # key exchange and does not end it: then asyncssh keeps whatever we say.
        connection = cast(Any, writer.channel.get_connection())
        transport = getattr(connection, "_transport", None)
        while transport and not transport.is_closing():
            if connection._kex_complete and transport.get_write_buffer_size() <= UNSENT_BYTES:
                break
            await asyncio.sleep(UNSENT_PAUSE)  # nothing tells when it has shrunk

    async def _process_write(self, packet: SSHPacket) -> int:
        try:
            handle, offset, data = packet.get_string(), packet.get_uint64(), packet.get_string()
        except PacketDecodeError:
            self._miss_a_part()
            raise
        file_obj = self._file_handles.get(handle)
        if file_obj is None:
            raise SFTPInvalidHandle("That handle is not an open file.")
        written = self._server.write(file_obj, offset, data)
        return written if isinstance(written, int) else await written

    def _miss_a_part(self) -> None:
        """Nobody can tell which file a WRITE is of that cannot be read; so no file that is open may pass for whole."""
        for handle in self._file_handles.values():
            if isinstance(handle, Upload) and not handle.failure:
                handle.failure = "a part of it came in a request that cannot be read"

    async def _process_opendir(self, packet: SSHPacket) -> bytes:
        path = packet.get_string()
        packet.check_end()
        if len(self._dir_handles) >= MOST_HANDLES:
            raise SFTPFailure(f"This session has {MOST_HANDLES} directories open. Close one first.")
        if sum(listing.left for listing in self._listings()) > MOST_NAMES:
            raise SFTPFailure("This session has too many names of directories to read. Read them, or close one first.")
        listing = await self._server.list_directory(path)
        handle = self._get_next_handle()
        self._dir_handles[handle] = listing
        return handle

    def _listings(self) -> list[Listing]:
        return [cast(Listing, listing) for listing in self._dir_handles.values()]

    async def _process_limits(self, packet: SSHPacket) -> SFTPLimits:
        packet.check_end()
        return SFTPLimits(MOST_PACKET, MOST_READ, MOST_READ, MOST_HANDLES)

    # asyncssh looks its handlers up in this table, not among the methods.
    _packet_handlers = {  # noqa: RUF012
        **{key: handler for key, handler in SFTPServerHandler._packet_handlers.items() if key not in UNWANTED},
        FXP_WRITE: cast(Any, _process_write),
        FXP_OPENDIR: cast(Any, _process_opendir),
        LIMITS: cast(Any, _process_limits),
        **{name: _process(answer) for name, (_, answer) in ANSWERS.items()},
    }
