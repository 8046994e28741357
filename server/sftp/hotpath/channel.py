"""A channel whose data goes straight to whoever is its `sink`, and whose window opens as the sink keeps up."""

import asyncio
from typing import TYPE_CHECKING, Any, Protocol, cast

from asyncssh import SSHServerChannel
from asyncssh.constants import MSG_CHANNEL_WINDOW_ADJUST
from asyncssh.misc import ProtocolError
from asyncssh.packet import SSHPacket, UInt32

if TYPE_CHECKING:
    from server.sftp.hotpath.connection import HotConnection

# Long before the window is used up: to a client far away, what it may send next is told late enough.
TOPPED_UP = 256 * 1024


class Sink(Protocol):
    """Takes a channel's data."""

    def feed(self, data: memoryview) -> None:
        """Data came in; the view is good until the batch ends."""

    def go_on(self) -> None:
        """The client takes more than before."""


class HotChannel(SSHServerChannel[bytes]):
    """A session channel of a `HotConnection`; without a sink it is asyncssh's own."""

    def __init__(self, connection: "HotConnection", window: int, max_pktsize: int) -> None:
        loop = asyncio.get_running_loop()
        super().__init__(connection, loop, False, False, False, 0, 0, None, "strict", window, max_pktsize)
        self.sink: Sink | None = None

    @property
    def is_hot(self) -> bool:
        """Whether the hot path may deal with its data and window."""
        return self.sink is not None and self._recv_state == "open"

    def take(self, data: memoryview) -> None:
        """Data for the sink. Raises `ProtocolError` for more than the window allows."""
        if len(data) > self._recv_window:
            raise ProtocolError("Window exceeded")
        if self.sink is None or self._send_state in ("close_pending", "closed"):
            return
        self._recv_window -= len(data)
        self.sink.feed(data)

    def widen(self, count: int) -> None:
        """The client takes `count` bytes more."""
        self._send_window += count
        if self._send_buf:
            self._flush_send_buf()
        self.go_on()

    def go_on(self) -> None:
        """Let the sink send what waits."""
        if self.sink is not None:
            self.sink.go_on()

    def open_window(self) -> None:
        """Let the client send as much ahead as at first, once it has used up a part that is worth a packet."""
        if self._recv_window < self._init_recv_window - min(TOPPED_UP, self._init_recv_window // 2):
            self.send_packet(MSG_CHANNEL_WINDOW_ADJUST, UInt32(self._init_recv_window - self._recv_window))
            self._recv_window = self._init_recv_window

    @property
    def room(self) -> int:
        """How many bytes may be sent at once, in front of which nothing waits."""
        return 0 if self._send_buf or self._send_state != "open" else self._send_window

    @property
    def unsent(self) -> int:
        """How many bytes wait for the client's window."""
        return self._send_buf_len

    @property
    def packet_size(self) -> int:
        """The most data that the client takes in one packet."""
        return self._send_pktsize

    @property
    def number(self) -> int:
        """The client's number of this channel."""
        return self._send_chan or 0

    def spend(self, count: int) -> None:
        """`count` bytes of the client's window were used."""
        self._send_window -= count

    def attach(self, sink: Sink) -> bytes:
        """Give all data to `sink` from now on; what has come before and nobody has read."""
        early = b"".join(data for data, _ in self._recv_buf)
        self._recv_buf.clear()
        self.sink = sink
        return early

    # Data that came through asyncssh's own code: in a key exchange, or with another cipher

    def _accept_data(self, data: bytes, datatype: Any = None) -> None:
        if self.sink is None or datatype is not None:
            super()._accept_data(data, datatype)
        elif data:
            self.take(memoryview(data))

    def _process_window_adjust(self, _pkttype: int, _pktid: int, packet: SSHPacket) -> None:
        super()._process_window_adjust(_pkttype, _pktid, packet)
        self.go_on()

    _packet_handlers = {  # noqa: RUF012  asyncssh's own form
        **SSHServerChannel._packet_handlers,
        MSG_CHANNEL_WINDOW_ADJUST: cast(Any, _process_window_adjust),
    }
