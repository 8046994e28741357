"""The answer to a READ, laid out as SSH packets in the shared buffer before its data is there.

The data is read into the gaps, so that it is sealed where it was read to and sent from there. A layout depends on where
in the buffer it begins and on how much is asked for, and clients ask for the same amount again and again: so the views
of its gaps are made once.
"""

import os
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

from asyncssh.constants import FXP_DATA, MSG_CHANNEL_DATA

from server.sftp.hotpath.seals import HEADROOM, LENGTH

if TYPE_CHECKING:
    from server.sftp.hotpath.channel import HotChannel
    from server.sftp.hotpath.connection import HotConnection

# SFTP: length, type, id, length of the data
REPLY = struct.Struct(">IBII")
# SSH: length, padding length, type, channel, length of the data
CHANNEL_DATA = struct.Struct(">IBBII")
MOST_LAYOUTS = 64
MOST_PACKETS = 16  # of a layout that is kept
LONGEST_PADDING = 32


@dataclass(frozen=True)
class _Packet:
    """Where an SSH packet begins, and how many bytes of data and of padding it has."""

    at: int
    size: int
    padding: int

    @property
    def length(self) -> int:
        """What its length field says."""
        return CHANNEL_DATA.size - LENGTH + self.size + self.padding


@dataclass(frozen=True)
class Layout:
    """The packets of one answer, the gaps for the data, and where the buffer goes on behind it."""

    packets: tuple[_Packet, ...]
    gaps: tuple[memoryview, ...]
    end: int


class Layouts:
    """Lays out and seals the answers of one channel, one after another, and sends them together."""

    def __init__(self, wire: "HotConnection", channel: "HotChannel") -> None:
        self._wire = wire
        self._channel = channel
        self._view = wire.buffers.send
        self._known: dict[tuple[int, int, int, int, int], Layout] = {}
        self._end = HEADROOM

    def fit(self, size: int) -> Layout | None:
        """A layout for an answer of `size` bytes of data behind those that wait; None if the buffer has no room."""
        wire, packet_size = self._wire, min(self._channel.packet_size, 32768)
        key = (self._end, size, packet_size, wire.tag_size, wire.padding_of(0))
        layout = self._known.get(key)
        if layout is None:
            layout = self._plan(size, packet_size)
            if len(self._known) >= MOST_LAYOUTS:
                self._known.clear()
            if len(layout.packets) <= MOST_PACKETS:
                self._known[key] = layout
        return layout if layout.end <= len(self._view) else None

    def _plan(self, size: int, packet_size: int) -> Layout:
        packets: list[_Packet] = []
        gaps: list[memoryview] = []
        at, left = self._end, REPLY.size + size
        while left:
            part = min(left, packet_size)
            padding = self._wire.padding_of(CHANNEL_DATA.size - LENGTH - 1 + part)
            data = at + CHANNEL_DATA.size
            gap = self._view[data + (0 if packets else REPLY.size) : data + part]
            packets.append(_Packet(at, part, padding))
            gaps.append(gap)
            at = data + part + padding + self._wire.tag_size
            left -= part
        return Layout(tuple(packets), tuple(gap for gap in gaps if len(gap)), at)

    def seal(self, layout: Layout, number: int, size: int) -> None:
        """The gaps are filled: make it the answer to the request of that id."""
        view, channel = self._view, self._channel
        REPLY.pack_into(view, layout.packets[0].at + CHANNEL_DATA.size, REPLY.size - 4 + size, FXP_DATA, number, size)
        noise = os.urandom(LONGEST_PADDING * len(layout.packets))
        for index, packet in enumerate(layout.packets):
            CHANNEL_DATA.pack_into(
                view, packet.at, packet.length, packet.padding, MSG_CHANNEL_DATA, channel.number, packet.size
            )
            padded = packet.at + CHANNEL_DATA.size + packet.size
            begin = index * LONGEST_PADDING
            view[padded : padded + packet.padding] = noise[begin : begin + packet.padding]
            self._wire.seal(view, packet.at, packet.length)
        channel.spend(REPLY.size + size)
        self._end = layout.end

    def send(self) -> None:
        """Send the sealed answers, behind what the connection has collected before them."""
        if self._end > HEADROOM:
            end, self._end = self._end, HEADROOM
            self._wire.flush()
            self._wire.write_out(self._view[HEADROOM:end])
