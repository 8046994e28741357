"""The payload of WRITE requests on its way to a file: gathered as pieces of the shared buffer, written at once."""

from collections.abc import Callable

from asyncssh import SFTPError

from server.sftp.files import Files
from server.sftp.upload import Upload

MOST_PIECES = 512  # of one pwritev(2); Linux takes 1024


class Gathering:
    """What of one or more WRITEs has come in and is not written yet.

    `answer` is called for every WRITE that is complete, when its bytes are written or failed to be.
    """

    def __init__(self, files: Files, answer: Callable[[int, SFTPError | None], None]) -> None:
        self._files = files
        self._answer = answer
        self._upload: Upload | None = None
        self._start = self._end = 0
        self._pieces: list[memoryview] = []
        self._complete: list[int] = []
        self._number = 0
        self._at = 0
        self._failure: SFTPError | None = None
        self.left = 0

    def __bool__(self) -> bool:
        """Whether there is something to write."""
        return bool(self._pieces)

    def continues(self, upload: Upload, offset: int) -> bool:
        """Whether a WRITE there can be written together with what is gathered."""
        return not self._pieces or (upload is self._upload and offset == self._end)

    def begin(self, number: int, upload: Upload, offset: int, size: int) -> None:
        """A WRITE of that id begins; `left` bytes of its payload are still to come."""
        if self._failure or not self.continues(upload, offset):
            self.write()
        self._upload, self._end = upload, offset
        self._number, self._at, self.left, self._failure = number, offset, size, None

    def add(self, piece: memoryview) -> None:
        """The next bytes of its payload; the view is good until `write` is called."""
        if not self._pieces:
            self._start = self._at
        self._pieces.append(piece)
        self._at += len(piece)
        self._end = self._at
        self.left -= len(piece)
        if not self.left:
            self._complete.append(self._number)
        if len(self._pieces) >= MOST_PIECES:
            self._pieces = [memoryview(b"".join(self._pieces))]

    def write(self) -> None:
        """Write what was gathered, and answer the WRITEs that are complete with it."""
        pieces, self._pieces = self._pieces, []
        failure = self._failure
        if pieces and self._upload is not None and failure is None:
            try:
                self._files.write_pieces(self._upload, self._start, pieces)
            except SFTPError as error:
                failure = self._failure = error
        self._answer_all(failure)

    async def write_in_thread(self) -> None:
        """As `write`; the pieces are copied before it first waits."""
        data, self._pieces = b"".join(self._pieces), []
        failure = self._failure
        if data and self._upload is not None and failure is None:
            try:
                await self._files.write_in_thread(self._upload, self._start, data)
            except SFTPError as error:
                failure = self._failure = error
        self._answer_all(failure)

    def _answer_all(self, failure: SFTPError | None) -> None:
        complete, self._complete = self._complete, []
        for number in complete:
            self._answer(number, failure)
