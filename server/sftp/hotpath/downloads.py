"""READ requests: kept in order, and answered as fast as the client takes the answers.

An answer is never short but at the end of the file: OpenSSH's client asks for less from then on (sftp-client.c). So one
is sent when the client's window holds all of it, for which most clients see in time. From whoever does not, since its
window is small or is widened only when it is used up, all the others are sent as far as they go, and the rest later.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from asyncssh import SFTPError
from asyncssh.sftp import SFTPEOFError, SFTPInvalidHandle

from server.sftp.files import Files
from server.sftp.hotpath.buffers import UNSENT
from server.sftp.hotpath.layout import REPLY, Layouts
from server.sftp.reading import MOST_READ, Readable

if TYPE_CHECKING:
    from server.sftp.hotpath.channel import HotChannel
    from server.sftp.hotpath.connection import HotConnection


@dataclass(frozen=True, slots=True)
class Read:
    """A READ: its id, the handle, and the bytes it asks for."""

    number: int
    handle: bytes
    offset: int
    size: int


MOMENT = 0.02


class Downloads:
    """The READs of one channel that are not answered yet."""

    def __init__(
        self,
        files: Files,
        wire: "HotConnection",
        channel: "HotChannel",
        find: Callable[[bytes], object],
        answer: Callable[[int, SFTPError | bytes], None],
        go_on: Callable[[], None],
    ) -> None:
        self._files = files
        self._wire = wire
        self._channel = channel
        self._layouts = Layouts(wire, channel)
        self._find = find
        self._answer = answer
        self._tell = go_on
        self._queue: deque[Read] = deque()
        self._slow: asyncio.Task[None] | None = None
        self._idle = asyncio.Event()
        self._idle.set()
        self._dropped = False
        self._stuck: Read | None = None
        self._goes_in_parts = False

    def __bool__(self) -> bool:
        """Whether some are not answered."""
        return bool(self._queue) or self._slow is not None

    def __len__(self) -> int:
        """How many are not answered."""
        return len(self._queue) + (self._slow is not None)

    def add(self, read: Read) -> None:
        """Another one."""
        if self._dropped:
            return
        self._queue.append(read)
        self._idle.clear()

    def drop(self) -> None:
        """Nobody is left to answer, now or later."""
        self._dropped = True
        self._queue.clear()
        self._note_idle()

    async def wait(self) -> None:
        """Return when all are answered, and no thread reads any more."""
        await self._idle.wait()

    def go_on(self) -> None:
        """Answer as many as the client takes now."""
        try:
            while self._queue and self._slow is None and self._takes(self._queue[0]):
                read = self._queue.popleft()
                try:
                    self._answer_one(read)
                except SFTPError as error:
                    self._answer(read.number, error)
                if self._wire.collected > UNSENT:
                    self._wire.flush()  # so that it is noticed when the client does not take it
                self._wire.has_had_its_turn()
        finally:
            self._layouts.send()  # whatever happened: what is sealed is counted, and the buffer is not ours for long
        self._note_idle()

    def _takes(self, read: Read) -> bool:
        wire, channel = self._wire, self._channel
        held = wire.choked or wire.resting or wire.is_rekeying
        if held or channel.unsent or not channel.room:
            return False
        if self._goes_in_parts or channel.room >= REPLY.size + min(read.size, MOST_READ):
            return True
        if self._stuck is None:
            self._stuck = read
            asyncio.get_running_loop().call_later(MOMENT, self._look_again)
        return False

    def _look_again(self) -> None:
        """A moment ago an answer did not fit; if it still does not, no more of them wait until they do."""
        stuck, self._stuck = self._stuck, None
        if self._queue and self._queue[0] is stuck and self._channel.room:
            self._goes_in_parts = True
            self._tell()

    def _answer_one(self, read: Read) -> None:
        handle = self._find(read.handle)
        if not isinstance(handle, Readable):
            raise SFTPInvalidHandle("Invalid file handle")  # as asyncssh says it
        if not self._read_in_place(handle, read):
            # Everything that was sealed must leave before what is sealed next.
            self._layouts.send()
            result = self._files.read(handle, read.offset, read.size)
            if isinstance(result, bytes):
                self._reply(read, result)
            else:
                self._slow = asyncio.ensure_future(self._read_slowly(read, result))

    def _read_in_place(self, handle: Readable, read: Read) -> bool:
        """Read into the buffer that is sent from; False if that is not possible for this one."""
        size = min(read.size, MOST_READ)
        if not size or not self._wire.may_seal() or self._channel.room < REPLY.size + size:
            return False
        layout = self._layouts.fit(size)
        if layout is None:
            self._layouts.send()
            layout = self._layouts.fit(size)
        if layout is None or not self._files.read_into(handle, read.offset, size, layout.gaps):
            return False
        self._layouts.seal(layout, read.number, size)
        return True

    async def _read_slowly(self, read: Read, reading: Awaitable[bytes]) -> None:
        """The disk has to be waited for."""
        outcome: SFTPError | bytes
        try:
            outcome = await reading
        except SFTPError as error:
            outcome = error
        self._slow = None
        self._reply(read, outcome)
        self._note_idle()
        self._tell()

    def _reply(self, read: Read, outcome: SFTPError | bytes) -> None:
        self._answer(read.number, outcome or SFTPEOFError())

    def _note_idle(self) -> None:
        if not self:
            self._idle.set()
