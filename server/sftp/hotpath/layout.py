"""The answers to READs, laid out as SSH packets in the shared buffer before their data is there.

The data is read into the gaps, so that it is sealed where it was read to and sent from there. An answer goes on in the
packet in which the one before it ended: what a client asks for in pieces of 32 KiB, which with their headers are a
little more than a packet takes, would come in twice as many packets otherwise. A layout depends on where in the buffer
it begins and on how much is asked for, and clients ask for the same amount again and again: so the views of its gaps
are made once.
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
LEAST_PACKET = 1024  # who takes less in one packet is answered in another way
LONGEST_PACKET = 32768
NOISE = 4096


@dataclass(frozen=True)
class _Packet:
    """Where an SSH packet begins, how many bytes of data and of padding it has, and where the next one begins."""

    at: int
    size: int
    padding: int
    end: int

    @property
    def length(self) -> int:
        """What its length field says."""
        return CHANNEL_DATA.size - LENGTH + self.size + self.padding


_NOTHING = _Packet(HEADROOM, 0, 0, HEADROOM)


@dataclass(frozen=True)
class Layout:
    """Where an answer begins, the packets that are full with it, the gaps for its data, and the packet it ends in."""

    begin: int
    packets: tuple[_Packet, ...]
    gaps: tuple[memoryview, ...]
    last: _Packet


class Layouts:
    """Lays out and seals the answers of one channel, one after another, and sends them together."""

    def __init__(self, wire: "HotConnection", channel: "HotChannel") -> None:
        self._wire = wire
        self._channel = channel
        self._view = wire.buffers.send
        self._known: dict[tuple[int, int, int, int, int, int], Layout] = {}
        self._last = _NOTHING
        self._noise = b""

    def fit(self, size: int) -> Layout | None:
        """A layout for an answer of `size` bytes of data behind those that wait; None if the buffer has no room."""
        wire, packet_size = self._wire, min(self._channel.packet_size, LONGEST_PACKET)
        key = (self._last.at, self._last.size, size, packet_size, wire.tag_size, wire.padding_of(0))
        layout = self._known.get(key)
        if layout is None:
            if packet_size < LEAST_PACKET:
                return None
            layout = self._plan(size, packet_size)
            if len(self._known) >= MOST_LAYOUTS:
                self._known.clear()
            if len(layout.packets) <= MOST_PACKETS:
                self._known[key] = layout
        return layout if layout.last.end <= len(self._view) else None

    def _plan(self, size: int, packet_size: int) -> Layout:
        packets: list[_Packet] = []
        gaps: list[memoryview] = []
        last = self._last
        if last.size + REPLY.size > packet_size:
            packets.append(last)
            last = self._packet(last.end, 0)
        begin = last.at + CHANNEL_DATA.size + last.size
        last, left = self._packet(last.at, last.size + REPLY.size), size
        while left:
            if last.size == packet_size:
                packets.append(last)
                last = self._packet(last.end, 0)
            part, at = min(left, packet_size - last.size), last.at + CHANNEL_DATA.size + last.size
            gaps.append(self._view[at : at + part])
            last = self._packet(last.at, last.size + part)
            left -= part
        return Layout(begin, tuple(packets), tuple(gaps), last)

    def _packet(self, at: int, size: int) -> _Packet:
        padding = self._wire.padding_of(CHANNEL_DATA.size - LENGTH - 1 + size)
        return _Packet(at, size, padding, at + CHANNEL_DATA.size + size + padding + self._wire.tag_size)

    def seal(self, layout: Layout, number: int, size: int) -> None:
        """The gaps are filled: make it the answer to the request of that id. Its last packet may still grow."""
        REPLY.pack_into(self._view, layout.begin, REPLY.size - 4 + size, FXP_DATA, number, size)
        for packet in layout.packets:
            self._seal(packet)
        self._channel.spend(REPLY.size + size)
        self._last = layout.last

    def _seal(self, packet: _Packet) -> None:
        view, padding = self._view, packet.padding
        CHANNEL_DATA.pack_into(
            view, packet.at, packet.length, padding, MSG_CHANNEL_DATA, self._channel.number, packet.size
        )
        padded = packet.at + CHANNEL_DATA.size + packet.size
        if len(self._noise) < padding:
            self._noise = os.urandom(NOISE)
        view[padded : padded + padding], self._noise = self._noise[:padding], self._noise[padding:]
        self._wire.seal(view, packet.at, packet.length)

    def send(self) -> None:
        """Send the answers, behind what the connection has collected before them."""
        if self._last.size:
            last, self._last = self._last, _NOTHING
            self._seal(last)
            self._wire.flush()
            self._wire.write_out(self._view[HEADROOM : last.end])
