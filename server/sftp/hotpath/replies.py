"""Answers of one channel: collected during a batch, then sealed in the shared buffer and sent as one packet."""

import os
import struct
from typing import TYPE_CHECKING

from asyncssh.constants import FX_OK, FXP_DATA, FXP_HANDLE, FXP_STATUS, MSG_CHANNEL_DATA
from asyncssh.packet import String, UInt32
from asyncssh.sftp import SFTPError

from server.sftp.handler import VERSION
from server.sftp.hotpath.layout import CHANNEL_DATA
from server.sftp.hotpath.seals import HEADROOM, LENGTH

if TYPE_CHECKING:
    from server.sftp.hotpath.channel import HotChannel
    from server.sftp.hotpath.connection import HotConnection

# draft-ietf-secsh-filexfer-02 section 7: length, type and id; then a status and two empty texts, or the length of
# what follows.
_HEAD = struct.Struct(">IBI")
_OK = struct.Struct(">IBIIII")
_DATA = struct.Struct(">IBII")
_GIVEN = struct.Struct(">IBII4s")
SHORT = 32 * 1024  # more is not sealed in place: so it fits the buffer, whatever the client takes in one packet


class Replies:
    """What is to be said to one client when the batch ends."""

    def __init__(self, wire: "HotConnection", channel: "HotChannel") -> None:
        self._wire = wire
        self._channel = channel
        self._waiting = bytearray()

    def __bool__(self) -> bool:
        """Whether something waits."""
        return bool(self._waiting)

    def succeed(self, number: int) -> None:
        """The request of that id is done."""
        self._waiting += _OK.pack(_OK.size - 4, FXP_STATUS, number, FX_OK, 0, 0)

    def fail(self, number: int, error: SFTPError) -> None:
        """It is not."""
        status = error.encode(VERSION)
        self._waiting += _HEAD.pack(5 + len(status), FXP_STATUS, number) + status

    def give(self, number: int, handle: bytes) -> None:
        """A file is open, and this its handle, of four bytes."""
        self._waiting += _GIVEN.pack(_GIVEN.size - 4, FXP_HANDLE, number, 4, handle)

    def give_data(self, number: int, data: bytes) -> None:
        """What was read."""
        self._waiting += _DATA.pack(9 + len(data), FXP_DATA, number, len(data)) + data

    def add(self, kind: int, payload: bytes) -> None:
        """Any other answer."""
        self._waiting += UInt32(1 + len(payload)) + bytes((kind,)) + payload

    def send(self) -> None:
        """Send what waits, behind what the connection has collected before it."""
        waiting, self._waiting = self._waiting, bytearray()
        channel = self._channel
        if 0 < len(waiting) <= min(channel.room, channel.packet_size):
            channel.spend(len(waiting))
            if len(waiting) <= SHORT and self._wire.may_seal():
                self._send_in_place(waiting)
            else:
                self._wire.send_packet(MSG_CHANNEL_DATA, UInt32(channel.number), String(bytes(waiting)))
        elif waiting and not channel.is_closing():
            channel.write(bytes(waiting))

    def _send_in_place(self, data: bytearray) -> None:
        wire, view, size = self._wire, self._wire.buffers.send, len(data)
        padding = wire.padding_of(CHANNEL_DATA.size - LENGTH - 1 + size)
        length = CHANNEL_DATA.size - LENGTH + size + padding
        CHANNEL_DATA.pack_into(view, HEADROOM, length, padding, MSG_CHANNEL_DATA, self._channel.number, size)
        at, end = HEADROOM + CHANNEL_DATA.size, HEADROOM + LENGTH + length
        view[at:end] = data + os.urandom(padding)
        wire.seal(view, HEADROOM, length)
        wire.flush()
        wire.write_out(view[HEADROOM : end + wire.tag_size])
