"""What the transport of an accepted connection talks to, before and beneath SSH.

asyncio hands data over in two ways; here it is always read into one buffer that all connections of a process share,
since the loop reads from one socket at a time. A thousand idle sessions need no buffer each.
"""

import asyncio
from collections.abc import Callable
from typing import Protocol, cast, runtime_checkable

# asyncssh cuts each packet off the front of what is left, so much at once takes it the square of that in time. A client
# that has not even logged in could stop the server for minutes with a mebibyte of tiny packets.
MOUTHFUL = 16 * 1024


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

    def __init__(self, connect: Callable[[], Wire], buffer: memoryview) -> None:
        self._connect = connect
        self._buffer = buffer
        self._wire: Wire | None = None
        self._hot: HotWire | None = None
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client has connected."""
        self._transport = cast(asyncio.Transport, transport)
        self._wire = self._connect()
        self._hot = self._wire if isinstance(self._wire, HotWire) else None
        self._wire.connection_made(self._transport)

    def get_buffer(self, sizehint: int) -> memoryview:
        """Where the transport shall put what it reads next: as much as is dealt with before others get their turn."""
        return self._buffer[: self._hot.appetite if self._hot else MOUTHFUL]

    def buffer_updated(self, nbytes: int) -> None:
        """It has put `nbytes` there."""
        if self._hot:
            self._hot.buffer_received(nbytes)
        elif self._wire:
            self._wire.data_received(bytes(self._buffer[:nbytes]))

    def eof_received(self) -> None:
        """The client sends no more."""
        if self._wire:
            self._wire.eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone."""
        if self._wire:
            self._wire.connection_lost(exc)

    def pause_writing(self) -> None:
        """The client does not take our answers; so we do not take its questions, or they would fill the memory."""
        if self._wire and self._transport:
            self._transport.pause_reading()
            self._wire.pause_writing()

    def resume_writing(self) -> None:
        """It takes them again."""
        if self._wire and self._transport:
            self._transport.resume_reading()
            self._wire.resume_writing()
