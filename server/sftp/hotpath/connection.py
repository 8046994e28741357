"""An SSH connection that takes channel data out of the shared buffer, and leaves everything else to asyncssh."""

import asyncio
import os
import struct
import time
from typing import Any, Protocol, cast

from asyncssh import SSHServerChannel, SSHServerConnectionOptions
from asyncssh.constants import MSG_CHANNEL_DATA, MSG_CHANNEL_WINDOW_ADJUST, MSG_KEX_LAST
from asyncssh.misc import DisconnectError, ProtocolError

from server.sftp.entrance import MOUTHFUL
from server.sftp.hotpath.buffers import RECEIVE, ROOM, UNSENT, Buffers
from server.sftp.hotpath.channel import HotChannel
from server.sftp.hotpath.seals import HEADROOM, LENGTH, Seal, seal_like
from server.sftp.line import Line
from server.sftp.negotiation import read_offer

# body: padding length, message type, channel, data length, data, padding
DATA_HEADER = 10
SHORTEST_BODY = 6
LEAST_PADDING = 4
LOOK_AGAIN = 0.01
WORTH_A_KEY_EXCHANGE = 4 * 1024 * 1024
FAST = (b"aes256-gcm@openssh.com", b"aes128-gcm@openssh.com")
HAVE_TRIED = b"SSH-2.0-OpenSSH_"
# In seconds. So long others wait at most for requests of one connection that are already here, and for one more.
TURN = 0.01
HEARD = 0.5  # so exact is what the keepalive timer knows of when the client last said something

_UINT32 = struct.Struct(">I")
_ONE_NUMBER = 5 + 4 + 4


class Batch(Protocol):
    """Who has something to finish when everything that was read has been dealt with."""

    def end_batch(self) -> None:
        """Write what was gathered, and answer."""

    def go_on(self) -> None:
        """Deal with what had to wait."""


class HotConnection(Line):
    """One connection of the hot path. `Entrance` gives it what was read by `buffer_received`.

    Of asyncssh's connection it leans on the names in `selftest`.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, options: SSHServerConnectionOptions, buffers: Buffers) -> None:
        super().__init__(loop, options)
        self.buffers = buffers
        self.finishing: list[Batch] = []
        self.choked = False
        self._paused = False
        self._tail = b""
        self._leaving: list[bytes] | None = None
        self._fd = -1
        self._taken = 0
        self._hurries = True
        self.resting = False
        self._turn_ends = 0.0
        self._waiting: list[Batch] = []
        self._heard = 0.0

    # Receiving

    @property
    def appetite(self) -> int:
        """How many bytes may be read at once."""
        return RECEIVE if self._is_hot() else MOUTHFUL

    def buffer_received(self, count: int) -> None:
        """`count` bytes were read into the shared buffer."""
        view, begin = self.buffers.receive, ROOM - len(self._tail)
        self._taken += count
        if self._tail:
            view[begin:ROOM], self._tail = self._tail, b""
        self._take(view, begin, ROOM + count)

    def data_received(self, data: bytes, datatype: Any = None) -> None:
        """Bytes came in another way (after a proxy's header)."""
        tail, self._tail = self._tail, b""
        self._take(_roomy(tail + data), HEADROOM, HEADROOM + len(tail) + len(data))

    def _recv_data(self) -> None:
        """asyncssh has finished a packet for which it had to wait."""
        data, self._inpbuf = self._inpbuf, b""
        self._take(_roomy(data), HEADROOM, HEADROOM + len(data))

    def _take(self, view: memoryview, at: int, end: int) -> None:
        """Deal with the bytes from `at` to `end`. What they ask for is answered when all of them are dealt with."""
        outermost = self.begin_batch()
        if self._turn_ends > self._heard + HEARD:
            self._heard = self._turn_ends
            self._reset_keepalive_timer()
        try:
            while at < end:
                if not self._is_hot():
                    view, at, end = self._take_slowly(bytes(view[at:end]))
                elif (after := self._take_packets(view, at, end)) > at:
                    at = after
                else:
                    self._tail = bytes(view[at:end])
                    return
        except DisconnectError as error:
            self._send_disconnect(error.code, error.reason, error.lang)
            self._force_close(error)
        except Exception:
            self.internal_error()
        finally:
            if outermost:
                self.end_batch()

    def _is_hot(self) -> bool:
        """Whether the next packet may be ours: after login, outside of a key exchange, and nobody waits."""
        return (
            self._auth_complete
            and self._kex is None
            and self._transport is not None  # or it is over, and what comes now is nobody's
            and not self._inpbuf
            and self._decompressor is None
            and self._recv_handler == self._recv_pkthdr
            and isinstance(self._recv_encryption, Seal)
        )

    def _take_slowly(self, data: bytes) -> tuple[memoryview, int, int]:
        """asyncssh's own way, until the hot path may go on; what is left then."""
        self._inpbuf += data
        while self._inpbuf and self._recv_handler():
            data, self._inpbuf = self._inpbuf, b""
            if self._is_hot():
                return _roomy(data), HEADROOM, HEADROOM + len(data)
            self._inpbuf = data
        return memoryview(b""), 0, 0

    def _take_packets(self, view: memoryview, at: int, end: int) -> int:
        """Open and deal with whole packets from `at` on, while the hot path may; where the next one begins."""
        while end - at >= LENGTH:
            seal = cast(Seal, self._recv_encryption)
            number = self._recv_seq
            length = seal.read_length(number, view, at)
            if not SHORTEST_BODY <= length <= self._max_recv_pktlen:
                raise ProtocolError("Bad packet length")
            after = at + LENGTH + length + seal.tag_size
            if after > end:
                break
            seal.open(number, view, at, length)
            if not LEAST_PADDING <= view[at + LENGTH] <= length - 2:  # RFC 4253 section 6
                raise ProtocolError("Bad padding")
            if not self._deal(view, at + LENGTH, length):
                self._replay(seal, view, at, length)
                if not self._is_hot():
                    return after
            at = after
        return at

    def _deal(self, view: memoryview, body: int, length: int) -> bool:
        """Deal with an opened packet if it is of a kind for which the hot path is; whether it was."""
        kind = view[body + 1]
        if kind == MSG_CHANNEL_DATA and length >= DATA_HEADER:
            channel = self._channels.get(_UINT32.unpack_from(view, body + 2)[0])
            if isinstance(channel, HotChannel) and channel.is_hot:
                size = _UINT32.unpack_from(view, body + 6)[0]
                if DATA_HEADER + size + view[body] != length:
                    raise ProtocolError("Bad channel data")
                self._count_packet()
                channel.take(view[body + DATA_HEADER : body + DATA_HEADER + size])
                return True
        elif kind == MSG_CHANNEL_WINDOW_ADJUST and length - view[body] == 1 + _ONE_NUMBER - 4:
            channel = self._channels.get(_UINT32.unpack_from(view, body + 2)[0])
            if isinstance(channel, HotChannel) and channel.is_hot:
                self._count_packet()
                channel.widen(_UINT32.unpack_from(view, body + 6)[0])
                return True
        return False

    def _count_packet(self) -> None:
        self._recv_seq = (self._recv_seq + 1) & 0xFFFF_FFFF

    def _replay(self, seal: Seal, view: memoryview, at: int, length: int) -> None:
        """Let asyncssh deal with a packet that is opened already."""
        seal.hand_over(bytes(view[at + LENGTH : at + LENGTH + length]))
        self._packet, self._pktlen = bytes(view[at : at + LENGTH]), length
        self._inpbuf = bytes(LENGTH + length + self._recv_macsize - self._recv_blocksize)
        self._recv_handler = self._recv_packet
        self._recv_packet()

    # Sending

    def begin_batch(self) -> bool:
        """From now on what is sent is collected; False if it was so before."""
        if self._leaving is not None:
            return False
        self._leaving = []
        self._turn_ends = time.monotonic() + TURN
        return True

    def end_batch(self) -> None:
        """Let everybody finish, and send what was collected."""
        try:
            while self.finishing:
                self.finishing.pop().end_batch()
            if self._hurries and self._taken + self._rekey_bytes_sent > WORTH_A_KEY_EXCHANGE:
                self._hurries = False
                self._change_cipher()
            self.flush()
        finally:
            self._leaving = None

    def has_had_its_turn(self) -> bool:
        """Whether this batch has taken so long that the other connections come first."""
        if not self.resting and time.monotonic() > self._turn_ends:
            self.resting = True
            self._loop.call_soon(self._take_turn)
        return self.resting

    def wait_for_turn(self, batch: Batch) -> None:
        """Have it go on when the others have had theirs."""
        if batch not in self._waiting:
            self._waiting.append(batch)

    def _take_turn(self) -> None:
        self.resting = False
        waiting, self._waiting = self._waiting, []
        while waiting and not self.resting:
            waiting.pop(0).go_on()
        self._waiting = waiting + [batch for batch in self._waiting if batch not in waiting]

    def _change_cipher(self) -> None:
        """Exchange keys anew, with AES-GCM alone in our list, if the client has it and took another cipher.

        The client's order decides (RFC 4253 section 7.1), and OpenSSH's begins with the ciphers that cost most.
        Once it is plain that much will be transferred, changing is worth its milliseconds. A key exchange at any time
        and with any outcome is everybody's right (section 9), but not every client has been tried with it.
        """
        offer = read_offer(self._client_kexinit)
        fast = [name for name in self._enc_algs if name in FAST]
        both = {name.encode() for name in offer.inward[0]}.intersection(name.encode() for name in offer.outward[0])
        has_tried = self._client_version.startswith(HAVE_TRIED)
        if has_tried and both.intersection(fast) and self._enc_alg_cs not in FAST and self.may_seal():
            self._enc_algs = fast
            self._send_kexinit()
            self._kexinit_sent = True

    @property
    def collected(self) -> int:
        """How many bytes wait for the end of the batch."""
        return sum(map(len, self._leaving or ()))

    def flush(self) -> None:
        """Send what was collected so far."""
        if self._leaving:
            collected = b"".join(self._leaving)
            self._leaving.clear()
            self.write_out(memoryview(collected))

    def write_out(self, view: memoryview) -> None:
        """Give bytes to the kernel at once if nothing waits in front of them; copy only what it does not take."""
        transport = self._transport
        # A transport that closes gives its descriptor back, and then that is somebody else's.
        if transport is None or transport.is_closing():
            return
        written = 0
        if not transport.get_write_buffer_size():
            try:
                written = os.write(self._fd, view)
            except ConnectionError:
                return  # the transport's reader is told of it, and ends the connection
            except OSError:
                written = 0  # it is full, or the transport finds out what is wrong
        if written < len(view):
            transport.write(bytes(view[written:]))
            if not self.choked and transport.get_write_buffer_size() > UNSENT:
                self.choked = True
                self._loop.call_soon(self._look_at_transport)

    def _look_at_transport(self) -> None:
        """uvloop says only at the end of its turn that its buffer is full, and nothing if it was emptied by then."""
        transport = self._transport
        if self._paused or transport is None or transport.is_closing():
            return
        if transport.get_write_buffer_size() > UNSENT:
            self._loop.call_later(LOOK_AGAIN, self._look_at_transport)
        else:
            self._unchoke()

    def _send(self, data: bytes) -> None:
        if self._leaving is not None:
            self._leaving.append(data)
        else:
            super()._send(data)

    def _force_close(self, exc: Exception | None) -> None:
        if self._leaving and self._transport:
            self._transport.write(b"".join(self._leaving))
            self._leaving.clear()
        super()._force_close(exc)

    @property
    def is_rekeying(self) -> bool:
        """Whether what is sent now would be kept until a key exchange is over, for which the client may take ages."""
        return not self._kex_complete

    def may_seal(self) -> bool:
        """Whether a packet may be sealed and sent right now: no key exchange is due or going on."""
        return (
            self._auth_complete
            and self._kex_complete
            and self._compressor is None
            and isinstance(self._send_encryption, Seal)
            and self._rekey_bytes_sent < self._rekey_bytes
            and (not self._rekey_seconds or time.monotonic() < self._rekey_time)
        )

    def send_packet(self, pkttype: int, *args: bytes, handler: Any = None) -> None:
        """Send a packet; without an empty one in front of it, which protects only ciphers that are not offered."""
        if pkttype <= MSG_KEX_LAST or not self.may_seal():
            super().send_packet(pkttype, *args, handler=handler)
            return
        payload = bytes((pkttype,)) + b"".join(args)
        padding = self.padding_of(len(payload))
        seal = cast(Seal, self._send_encryption)
        length = 1 + len(payload) + padding
        packet = bytearray(HEADROOM + LENGTH + length + seal.tag_size)
        _UINT32.pack_into(packet, HEADROOM, length)
        packet[HEADROOM + LENGTH] = padding
        packet[HEADROOM + LENGTH + 1 : HEADROOM + LENGTH + length] = payload + os.urandom(padding)
        self.seal(memoryview(packet), HEADROOM, length)
        self._send(bytes(memoryview(packet)[HEADROOM:]))

    @property
    def tag_size(self) -> int:
        """How many bytes the seal puts behind a packet."""
        return cast(Seal, self._send_encryption).tag_size

    def padding_of(self, payload: int) -> int:
        """How many bytes of padding a payload of that many bytes gets (RFC 4253 section 6; encrypt-then-MAC)."""
        block = self._send_blocksize
        padding = -(1 + payload) % block
        return padding if padding >= LEAST_PADDING else padding + block

    def seal(self, view: memoryview, at: int, length: int) -> None:
        """Seal the packet at `at`, which is the next one that is sent."""
        cast(Seal, self._send_encryption).seal(self._send_seq, view, at, length)
        self._send_seq = (self._send_seq + 1) & 0xFFFF_FFFF
        self._rekey_bytes_sent += length

    # What asyncssh makes, made ours

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The transport is there."""
        self._fd = transport.get_extra_info("socket").fileno()
        cast(asyncio.Transport, transport).set_write_buffer_limits(high=UNSENT)
        super().connection_made(transport)

    def pause_writing(self) -> None:
        """The client does not take what it asked for."""
        self.choked = self._paused = True

    def resume_writing(self) -> None:
        """It does again."""
        self._paused = False
        self._reset_keepalive_timer()
        self._unchoke()

    def _unchoke(self) -> None:
        self.choked = False
        self._tell_channels()

    def _tell_channels(self) -> None:
        for channel in list(self._channels.values()):
            if isinstance(channel, HotChannel):
                channel.go_on()

    def send_newkeys(self, k: bytes, h: bytes) -> None:
        """A key exchange is over: from here on packets are opened and sealed in place."""
        super().send_newkeys(k, h)
        self._send_encryption = seal_like(self._send_encryption, sending=True)
        self._next_recv_encryption = seal_like(self._next_recv_encryption, sending=False)
        self._loop.call_soon(self._tell_channels)

    async def reload_config(self) -> None:
        """Nothing: no configuration file is read, so no user has options of his own, and this is a third of a login."""

    def create_server_channel(
        self, encoding: Any = "", errors: str = "", window: int = 0, max_pktsize: int = 0
    ) -> SSHServerChannel[bytes]:
        """A channel for a session."""
        size = max_pktsize or self._max_pktsize
        self._update_recv_pktlen(size)
        return HotChannel(self, window or self._window, size)


def _roomy(data: bytes) -> memoryview:
    """A copy of `data` with the room that a seal wants in front of it."""
    return memoryview(bytearray(bytes(HEADROOM) + data))
