"""What the transport of an accepted connection talks to, before and beneath SSH.

Here it is decided whether SSH begins at all: the guard is asked about the client's address. Behind a load balancer that
address is known only after its PROXY header, so from one of its networks a header must come first, and everything
afterwards sees the client's address in place of the balancer's. From anywhere else no header is looked for.

asyncio hands data over in two ways; here it is always read into one buffer that all connections of a process share,
since the loop reads from one socket at a time. A thousand idle sessions need no buffer each.
"""

import asyncio
import time
from collections.abc import Callable
from typing import Any, Protocol, cast, runtime_checkable

from server.logs import Log
from server.networks import plain
from server.sftp.guard import Guard
from server.sftp.proxy import NotProxy, Peer, read_header

# asyncssh cuts each packet off the front of what is left, so much at once takes it the square of that in time. A client
# that has not even logged in could stop the server for minutes with a mebibyte of tiny packets.
MOUTHFUL = 16 * 1024
# libuv reads up to 32 times from one socket before it looks at the next, as long as each read fills the buffer. After
# so many seconds with one client the others come first.
TURN = 0.003


class Porter:
    """What all entrances of a process share: the guard, the seconds a PROXY header may take, and the log."""

    def __init__(self, guard: Guard, patience: float, log: Log) -> None:
        self.guard = guard
        self.patience = patience
        self.log = log


class Wire(Protocol):
    """One SSH connection, as `asyncssh.SSHServerConnection` is one."""

    def connection_made(self, transport: asyncio.Transport) -> None:
        """The transport is there."""

    def connection_lost(self, exc: Exception | None) -> None:
        """The transport is gone."""

    def data_received(self, data: bytes) -> None:
        """Bytes came in."""

    def eof_received(self) -> None:
        """The client sends no more."""

    def pause_writing(self) -> None:
        """The transport's buffer is full."""

    def resume_writing(self) -> None:
        """It has room again."""


@runtime_checkable
class HotWire(Protocol):
    """One that takes what was read out of the shared buffer itself, and at most `appetite` bytes at a time."""

    @property
    def appetite(self) -> int:
        """How much it takes now."""
        ...

    def buffer_received(self, count: int) -> None:
        """`count` bytes were read into the shared buffer."""


class Entrance(asyncio.BufferedProtocol):
    """Begins an SSH connection, made by `connect`, and passes on what happens to its transport.

    `buffer` is where the transport puts what it reads; all entrances of one event loop may share it.
    """

    def __init__(self, connect: Callable[[], Wire], buffer: memoryview, porter: Porter) -> None:
        self._connect = connect
        self._buffer = buffer
        self._porter = porter
        self._wire: Wire | None = None
        self._hot: HotWire | None = None
        self._transport: asyncio.Transport | None = None
        self._header: bytearray | None = None
        self._patience: asyncio.TimerHandle | None = None
        self._is_full = False
        self._rests = False
        self._turn_began = 0.0
        self._given = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client has connected, or a load balancer for one."""
        self._transport = cast(asyncio.Transport, transport)
        address = _address(self._transport)
        if self._porter.guard.is_proxy(address):
            self._header = bytearray()
            loop, wait = asyncio.get_running_loop(), self._porter.patience
            self._patience = loop.call_later(wait, self._reject, "it sent no whole PROXY header in time")
        else:
            self._begin(self._transport, address)

    def _begin(self, transport: asyncio.Transport, address: str) -> None:
        refusal = self._porter.guard.refusal(address)
        if refusal:
            # A line before the version is no SSH yet (RFC 4253 section 4.2), and all that can be said so early.
            transport.write(f"{refusal}\r\n".encode())
            transport.close()
            return
        self._wire = self._connect()
        self._hot = self._wire if isinstance(self._wire, HotWire) else None
        self._wire.connection_made(transport)

    def _read_header(self, data: bytes) -> None:
        """Collect the PROXY header; once it is whole, SSH begins with what follows it."""
        assert self._header is not None  # noqa: S101  the caller has looked
        assert self._transport is not None  # noqa: S101  there are bytes, so there is a transport
        self._header += data
        try:
            header = read_header(bytes(self._header))
        except NotProxy as error:
            self._reject(str(error))
            return
        if header is None:
            return
        rest = bytes(self._header[header.length :])
        self._forget_header()
        transport = _relayed(self._transport, header.client) if header.client else self._transport
        self._begin(transport, _address(transport))
        if self._wire and rest:
            self._wire.data_received(rest)

    def _reject(self, reason: str) -> None:
        self._forget_header()
        if self._transport and not self._transport.is_closing():
            self._porter.log.warning("REFUSED", source_ip=_address(self._transport), reason=reason)
            self._transport.abort()

    def _forget_header(self) -> None:
        self._header = None
        if self._patience:
            self._patience.cancel()

    def get_buffer(self, sizehint: int) -> memoryview:
        """Where the transport shall put what it reads next: as much as is dealt with before others get their turn."""
        self._given = self._hot.appetite if self._hot else MOUTHFUL
        return self._buffer[: self._given]

    def buffer_updated(self, nbytes: int) -> None:
        """It has put `nbytes` there."""
        is_last = nbytes < self._given
        if not self._turn_began:
            self._turn_began = time.monotonic()
        if self._hot:
            self._hot.buffer_received(nbytes)
        elif self._wire:
            self._wire.data_received(bytes(self._buffer[:nbytes]))
        elif self._header is not None:
            self._read_header(bytes(self._buffer[:nbytes]))
        if time.monotonic() - self._turn_began > TURN and not self._rests:
            self._rests = True
            self._read_or_wait()
            asyncio.get_running_loop().call_soon(self._take_turn)
        if is_last:
            self._turn_began = 0.0

    def _take_turn(self) -> None:
        self._rests, self._turn_began = False, 0.0
        self._read_or_wait()

    def _read_or_wait(self) -> None:
        if self._transport and (self._is_full or self._rests):
            self._transport.pause_reading()
        elif self._transport:
            self._transport.resume_reading()

    def eof_received(self) -> None:
        """The client sends no more."""
        if self._wire:
            self._wire.eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone."""
        self._forget_header()
        if self._wire:
            self._wire.connection_lost(exc)

    def pause_writing(self) -> None:
        """The client does not take our answers; so we do not take its questions, or they would fill the memory."""
        if self._wire:
            self._is_full = True
            self._read_or_wait()
            self._wire.pause_writing()

    def resume_writing(self) -> None:
        """It takes them again."""
        if self._wire:
            self._is_full = False
            self._read_or_wait()
            self._wire.resume_writing()


class Relayed:
    """A transport whose client is another one than its peer; everything else is the transport's own."""

    def __init__(self, transport: asyncio.Transport, client: Peer) -> None:
        self._transport = transport
        self._client = client
        self.write = transport.write  # these are called for every packet
        self.get_write_buffer_size = transport.get_write_buffer_size

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """As the transport's, but for the peer."""
        return self._client if name == "peername" else self._transport.get_extra_info(name, default)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


def _relayed(transport: asyncio.Transport, client: Peer) -> asyncio.Transport:
    return cast(asyncio.Transport, Relayed(transport, client))


def _address(transport: asyncio.Transport) -> str:
    peer = transport.get_extra_info("peername")
    return plain(str(peer[0])) if peer else ""
