"""Answers to READs fill one packet after the other, and are the bytes that they would be each alone."""

from typing import Any

import pytest
from asyncssh.constants import FXP_DATA, MSG_CHANNEL_DATA
from hypothesis import given
from hypothesis import strategies as st

from server.sftp.hotpath.layout import CHANNEL_DATA, LEAST_PACKET, REPLY, Layouts
from server.sftp.hotpath.seals import HEADROOM, LENGTH

TAG, BLOCK, CHANNEL = 16, 16, 7
BUFFER = 64 * 1024


class Carrier:
    """A connection and its channel, which seal nothing and keep what is sent."""

    def __init__(self, packet_size: int) -> None:
        self.buffers = self
        self.send = memoryview(bytearray(BUFFER))
        self.tag_size = TAG
        self.packet_size = packet_size
        self.number = CHANNEL
        self.spent = 0
        self.sealed: list[int] = []
        self.sent = b""

    def padding_of(self, payload: int) -> int:
        padding = -(1 + payload) % BLOCK
        return padding if padding >= 4 else padding + BLOCK

    def seal(self, view: memoryview, at: int, length: int) -> None:
        assert (length % BLOCK, at in self.sealed) == (0, False)
        self.sealed.append(at)

    def spend(self, count: int) -> None:
        self.spent += count

    def flush(self) -> None:
        pass

    def write_out(self, view: memoryview) -> None:
        self.sent += bytes(view)
        self.sealed.clear()

    def packets(self) -> list[bytes]:
        """The data of each packet that was sent."""
        found, at = [], 0
        while at < len(self.sent):
            length, padding, kind, channel, size = CHANNEL_DATA.unpack_from(self.sent, at)
            assert (kind, channel) == (MSG_CHANNEL_DATA, CHANNEL)
            assert LENGTH + length == CHANNEL_DATA.size + size + padding
            found.append(self.sent[at + CHANNEL_DATA.size :][:size])
            at += LENGTH + length + TAG
        assert at == len(self.sent)
        return found


def answer(layouts: Layouts, number: int, size: int) -> bytes:
    """Lay out and fill one answer; what it should be."""
    layout = layouts.fit(size)
    if layout is None:
        layouts.send()
        layout = layouts.fit(size)
    assert layout is not None
    data = bytes((number + index) % 251 for index in range(size))
    at = 0
    for gap in layout.gaps:
        gap[:] = data[at : at + len(gap)]
        at += len(gap)
    assert at == size
    layouts.seal(layout, number, size)
    return REPLY.pack(REPLY.size - 4 + size, FXP_DATA, number, size) + data


def made(packet_size: int) -> tuple[Layouts, Carrier]:
    carrier: Any = Carrier(packet_size)
    return Layouts(carrier, carrier), carrier


@given(
    st.integers(LEAST_PACKET, 8192),
    st.lists(st.tuples(st.integers(1, 20_000), st.sampled_from([False, False, True])), max_size=20),
)
def test_they_are_what_they_would_be_alone(packet_size: int, asked: list[tuple[int, bool]]) -> None:
    layouts, carrier = made(packet_size)
    expected = b""
    for number, (size, last) in enumerate(asked):
        expected += answer(layouts, number, size)
        if last:
            layouts.send()
    layouts.send()
    packets = carrier.packets()
    assert b"".join(packets) == expected
    assert carrier.spent == len(expected)
    assert all(0 < len(packet) <= packet_size for packet in packets)


def test_packets_are_full_but_for_the_last() -> None:
    layouts, carrier = made(4096)
    for number in range(6):
        answer(layouts, number, 4096)
    layouts.send()
    assert [len(packet) for packet in carrier.packets()] == [4096] * 6 + [6 * REPLY.size]


def test_what_is_laid_out_and_not_sealed_leaves_no_trace() -> None:
    layouts, carrier = made(4096)
    expected = answer(layouts, 1, 100)
    assert layouts.fit(5000) is not None, "the file ended before, say"
    expected += answer(layouts, 2, 200)
    layouts.send()
    layouts.send()
    assert carrier.packets() == [expected]
    assert carrier.sent[: LENGTH + 1] != bytes(HEADROOM + 1)


@pytest.mark.parametrize("packet_size", [0, LEAST_PACKET - 1])
def test_for_tiny_packets_there_is_no_layout(packet_size: int) -> None:
    layouts, _ = made(packet_size)
    assert layouts.fit(10) is None
