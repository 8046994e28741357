"""SFTP requests out of channel data: READ and WRITE without copies, OPEN and CLOSE out of their bytes, and everything
else by `Handler`, without a task.

A WRITE is begun as soon as its header is there, and its payload is gathered as it comes. Any other request is begun
when all of it is there; only if it has to wait for something does the session's task go on with it, and what comes
after it waits. So the requests of a channel are done in their order, as on asyncssh's own path.
"""

import asyncio
import struct
from collections import deque
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, cast

import asyncssh
from asyncssh.constants import FXP_CLOSE, FXP_OPEN, FXP_READ, FXP_WRITE
from asyncssh.packet import SSHPacket
from asyncssh.sftp import SFTPBadMessage, SFTPError

from server.sftp.files import Files
from server.sftp.handler import MOST_PACKET, Handler
from server.sftp.hotpath.downloads import Downloads, Read
from server.sftp.hotpath.eager import Begun, begin
from server.sftp.hotpath.opening import Open, read_open
from server.sftp.hotpath.replies import Replies
from server.sftp.hotpath.uploads import Gathering
from server.sftp.upload import Upload

if TYPE_CHECKING:
    from asyncssh.stream import SSHReader, SSHWriter

    from server.sftp.hotpath.channel import HotChannel
    from server.sftp.hotpath.connection import HotConnection

# draft-ietf-secsh-filexfer-02 section 6.4: length, type, id, length of the handle (ours have four bytes), handle,
# offset, and how much to read, or the length of the data.
_TRANSFER = struct.Struct(">IBII4sQI")
_HEAD = struct.Struct(">IBI")
_UINT32 = struct.Struct(">I")

SHORTEST = 5  # type and id
ONE_HANDLE = 8  # a handle of ours with its length
OUR_HANDLE = bytes((0, 0, 0, 4))
MOST_READS = 256
UNSENT_REPLIES = 1024 * 1024


class HotHandler(Handler):
    """The requests of one channel of the hot path. `take_early` gives what nobody has read of the channel so far."""

    def __init__(
        self,
        files: Files,
        reader: "SSHReader[bytes]",
        writer: "SSHWriter[bytes]",
        touch: Callable[[], None],
        wire: "HotConnection",
        take_early: Callable[[], bytes],
    ) -> None:
        super().__init__(files, reader, writer, touch)
        self._channel = cast("HotChannel", writer.channel)
        self._wire = wire
        self._uploads = Gathering(files, self._answer)
        self._downloads = Downloads(files, self._wire, self._channel, self._file_handles.get, self._answer, self.go_on)
        self._take_early = take_early
        self._partial = bytearray()  # the beginning of a request
        self._backlog: deque[memoryview] = deque()  # what came after a request that is waited for
        self._arriving = bytearray()  # and what came last
        self._skip = 0  # bytes behind a WRITE's payload that mean nothing
        self._put_together = False  # whether the WRITE at hand is done as any other request
        self._replies = Replies(self._wire, self._channel)
        self._begun: Begun | None = None
        self._broken: Exception | None = None  # our input makes no sense, or we have a bug: nothing more is begun
        self._gone: Exception | None = None  # the client sends no more; what came is still done
        self._wake = asyncio.Event()
        self._batched = False

    # The session's task

    async def recv_packets(self) -> None:
        """Go on with whatever had to wait, until the session ends."""
        late = self._channel.attach(self)
        self._arriving += self._take_early() + late
        self._resume()
        try:
            while True:
                if begun := self._begun:
                    await begun
                    if self._begun is begun:  # or else it has begun with another one
                        self._begun = None
                    self._resume()
                elif self._broken or (self._gone and not self._waits and not self._downloads):
                    raise self._broken or self._gone or EOFError
                else:
                    await self._wake.wait()
                    self._wake.clear()
        except EOFError:
            await self._cleanup(None)
        except (OSError, asyncssh.Error) as error:
            await self._cleanup(error)
        except Exception as error:
            await self._cleanup(error)
            raise

    async def _cleanup(self, exc: Exception | None) -> None:
        self._channel.sink = None
        self._break(exc or EOFError())  # from here on handles close, and their descriptors may become another file's
        self._downloads.drop()
        await self._downloads.wait()  # a thread may still read from a handle that is about to be closed
        await super()._cleanup(exc)

    def no_more_input(self) -> None:
        """The client sends no more. What it has asked for is still done and answered."""
        self._gone = self._gone or EOFError()
        self._resume()
        self._wake.set()

    def lost(self, error: Exception | None) -> None:
        """The channel is closed. What the client has asked for is still done, and nobody is left to answer."""
        self._gone = self._gone or error or EOFError()
        self._downloads.drop()
        self._resume()
        self._wake.set()

    # Input

    def feed(self, data: memoryview) -> None:
        """Data came in; what cannot be dealt with now is kept."""
        self._join_batch()
        if self._broken:
            return
        at = 0 if self._waits else self._try_parse(data)
        if at < len(data):
            self._arriving += data[at:]

    def go_on(self) -> None:
        """The client takes more than before, or a thread has read something."""
        if self._downloads or self._replies or self._waits:
            self._resume()
        elif self._wire.resting:
            self._wire.wait_for_turn(self)
        elif not self._held and not self._channel.is_closing():
            self._channel.open_window()

    @property
    def _waits(self) -> bool:
        """Whether input waits for its turn."""
        return bool(self._backlog or self._arriving)

    def _resume(self) -> None:
        """Deal with the input that waits, as far as it may go on, and with the READs."""
        outermost = self._wire.begin_batch()
        try:
            self._touch()
            self._join_batch()
            if self._arriving:
                self._backlog.append(memoryview(self._arriving))
                self._arriving = bytearray()
            while self._backlog and not self._held and not self._broken:
                data = self._backlog.popleft()
                if rest := data[self._try_parse(data) :]:
                    self._backlog.appendleft(rest)
        finally:
            if outermost:
                self._wire.end_batch()

    def _try_parse(self, data: memoryview) -> int:
        try:
            return self._parse(data)
        except Exception as error:
            self._break(error)
            return len(data)

    def _break(self, error: Exception) -> None:
        """Nothing more is begun; the session's task ends the session."""
        self._broken = self._broken or error
        self._backlog.clear()
        self._arriving = bytearray()
        self._wake.set()

    def _join_batch(self) -> None:
        if not self._batched:
            self._batched = True
            self._wire.finishing.append(self)

    @property
    def _held(self) -> bool:
        """Whether no request may be begun now."""
        return self._is_busy or self._is_full or (self._is_unheard and not self._gone)

    @property
    def _is_busy(self) -> bool:
        """Whether a request is at work, or it is the other connections' turn."""
        return self._begun is not None or self._wire.resting

    @property
    def _is_full(self) -> bool:
        """Whether as many READs wait as may; also a client that has left asks for no more of them at once."""
        return len(self._downloads) >= MOST_READS

    @property
    def _is_unheard(self) -> bool:
        """Whether the client does not take the answers."""
        wire = self._wire
        return wire.choked or wire.is_rekeying or self._channel.unsent > UNSENT_REPLIES

    def _parse(self, data: memoryview) -> int:
        """Deal with requests as long as none has to be waited for; how many bytes that were."""
        self._touch()
        at, end = 0, len(data)
        while at < end and not self._begun:
            if self._uploads.left:  # it has begun, so whatever else holds us comes behind it
                piece = data[at : at + self._uploads.left]
                self._uploads.add(piece)
                at += len(piece)
            elif self._skip:
                skipped = min(self._skip, end - at)
                self._skip -= skipped
                at += skipped
            elif self._held:
                break
            else:
                at += self._collect(data[at:])
        return at

    def _collect(self, data: memoryview) -> int:
        """Take the next request, or what is there of it; how many bytes that were."""
        partial = self._partial
        if not partial:
            need = self._needed(data)
            if need <= len(data):
                self._begin_request(data[:need])
                return need
            partial += data
            return len(data)
        taken = 0
        while (need := self._needed(memoryview(partial[:SHORTEST]))) > len(partial) and taken < len(data):
            piece = data[taken : taken + need - len(partial)]
            partial += piece
            taken += len(piece)
        if need <= len(partial):
            self._partial = bytearray()
            self._begin_request(memoryview(partial))
        return taken

    def _needed(self, head: memoryview) -> int:
        """How many bytes of a request must be there to begin with it, as far as its `head` tells."""
        if len(head) < SHORTEST:
            return SHORTEST
        length, kind = _UINT32.unpack_from(head)[0], head[4]
        if not SHORTEST <= length <= MOST_PACKET:
            raise SFTPBadMessage("Bad packet length")
        whole = int(length) + 4
        return min(whole, _TRANSFER.size) if kind == FXP_WRITE and not self._put_together else whole

    def _begin_request(self, request: memoryview) -> None:
        _, kind, number = _HEAD.unpack_from(request)
        if kind == FXP_WRITE and not self._put_together:
            if self._downloads:
                self._begin(self._after_reads(bytes(request)))
            else:
                self._begin_write(request)
        elif self._uploads and not self._server.writes_at_once():
            self._begin(self._after_writes(bytes(request)))
        elif kind == FXP_READ and len(request) == _TRANSFER.size and request[9:13] == OUR_HANDLE:
            *_, handle, offset, size = _TRANSFER.unpack(request)
            self._uploads.write()
            self._downloads.add(Read(number, handle, offset, size))
            self._wire.has_had_its_turn()  # when nobody is left to answer, nothing else bounds them
        else:
            self._put_together = False
            self._uploads.write()
            self._begin(self._process(kind, number, bytes(request[_HEAD.size :])))

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        """Begin with what may have to wait; if it does, the session's task goes on with it."""
        if begun := begin(work):
            self._begun = begun
            self._wake.set()
        self._wire.has_had_its_turn()

    def _begin_write(self, request: memoryview) -> None:
        """Gather the payload of a WRITE; one that is wrong, or the first to its file, is done as any other request."""
        upload, size = None, 0
        if len(request) == _TRANSFER.size and request[9:13] == OUR_HANDLE:
            length, _, number, _, handle, offset, size = _TRANSFER.unpack(request)
            upload = self._file_handles.get(handle)
        if not isinstance(upload, Upload) or not upload.begun or not 0 < size <= length - _TRANSFER.size + 4:
            self._put_together, self._partial = True, bytearray(request)
            if self._needed(request) == len(request):
                self._partial = bytearray()
                self._begin_request(request)
        elif self._uploads.continues(upload, offset) or self._server.writes_at_once():
            self._uploads.begin(number, upload, offset, size)
            self._skip = length - _TRANSFER.size + 4 - size
            self._wire.has_had_its_turn()  # thousands may be in what waits; this one's payload still comes first
        else:
            self._begin(self._after_writes(bytes(request)))

    async def _after_writes(self, request: bytes) -> None:
        """The disk is slow: what was gathered is written in a thread, and only then this request begun."""
        await self._uploads.write_in_thread()
        self._begun = None
        self._begin_request(memoryview(request))

    async def _after_reads(self, request: bytes) -> None:
        """What was asked for before a WRITE is what was there before it."""
        await self._downloads.wait()
        self._begun = None
        self._begin_request(memoryview(request))

    async def _process(self, kind: int, number: int, request: bytes) -> None:
        """Any request but a READ or WRITE in transit. READs before it are answered first: it may close their handle."""
        if self._downloads:
            await self._downloads.wait()
        if kind == FXP_CLOSE and (file := self._file_handles.get(request[4:])) and len(request) == ONE_HANDLE:
            await self._close(number, request[4:], file)
        elif kind == FXP_OPEN and (asked := read_open(request)):
            await self._open(number, asked)
        else:
            await self._process_packet(kind, number, SSHPacket(request))

    async def _open(self, number: int, asked: Open) -> None:
        """As asyncssh does it, without its packets: one file after another is most of what courts send."""
        try:
            file = await self._server.open(asked.path, asked.flags, asked.attributes)
        except SFTPError as error:
            self._answer(number, error)
            return
        handle = self._get_next_handle()
        self._file_handles[handle] = file
        self._replies.give(number, handle)

    async def _close(self, number: int, handle: bytes, file: object) -> None:
        outcome = None
        del self._file_handles[handle]
        try:
            await self._server.close(file)
        except SFTPError as error:
            outcome = error
        self._answer(number, outcome)

    # Output

    def end_batch(self) -> None:
        """Write what was gathered, answer, and let the client send on."""
        self._batched = False
        try:
            self._finish_batch()
        except Exception as error:
            self._break(error)

    def _finish_batch(self) -> None:
        if self._uploads:
            if self._begun or self._server.writes_at_once():
                self._uploads.write()
            else:
                self._begin(self._uploads.write_in_thread())
        if self._downloads:
            self._downloads.go_on()
        if self._replies:
            self._replies.send()
        if self._gone and not self._downloads:
            self._wake.set()
        if self._wire.resting:
            self._wire.wait_for_turn(self)
        elif not self._held:
            if self._waits:
                self._resume()
            elif not self._channel.is_closing():
                self._channel.open_window()

    def _answer(self, number: int, outcome: SFTPError | bytes | None) -> None:
        """Answer a READ, WRITE or CLOSE: an error, data, or that it is done."""
        if outcome is None:
            self._replies.succeed(number)
        elif isinstance(outcome, bytes):
            self._replies.give_data(number, outcome)
            self._replies.send()
        else:
            self._replies.fail(number, outcome)

    def send_packet(self, pkttype: int, pktid: int | None, *args: bytes) -> None:
        """What `Handler` answers."""
        if self._batched:
            self._replies.add(pkttype, b"".join(args))
        else:
            super().send_packet(pkttype, pktid, *args)
