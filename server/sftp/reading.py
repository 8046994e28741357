"""One file being read through one handle."""

import errno
import os
from collections.abc import Sequence

from server.sftp.paths import AgencyPath

MOST_READ = 256 * 1024


class Readable:
    """Reads through the descriptor `fd`."""

    fd: int
    sent = 0
    cannot_tell = False  # whether this file system has shown that it cannot say what is in the page cache

    def read_cached(self, offset: int, size: int) -> bytes | None:
        """What is in the page cache of these bytes, without waiting for the disk; None if something is missing.

        Never short except at the end of the file: OpenSSH's client lowers its request size for good when it once is.
        """
        size = min(size, MOST_READ, os.fstat(self.fd).st_size - offset)
        if size <= 0:
            return b""
        buffer = bytearray(size)
        try:
            n = os.preadv(self.fd, [buffer], offset, os.RWF_NOWAIT)
        except OSError:  # EAGAIN: not cached; EOPNOTSUPP: this file system cannot tell
            return None
        if n < size:
            return None
        self.sent += n
        return bytes(buffer)

    def read_into(self, offset: int, size: int, gaps: Sequence[memoryview]) -> bool:
        """Read `size` bytes into `gaps`, which hold as many, without waiting for the disk; False if not all are there.

        Then the gaps hold rubbish: the file ends before, or something is not in the page cache.
        """
        try:
            n = os.preadv(self.fd, gaps, offset, os.RWF_NOWAIT)
        except (OSError, OverflowError) as error:  # as above; a real error comes again when it is read another way
            self.cannot_tell = isinstance(error, OSError) and error.errno == errno.EOPNOTSUPP
            return False
        return self._note_sent(n, size)

    def read_into_waiting(self, offset: int, size: int, gaps: Sequence[memoryview]) -> bool:
        """As `read_into`, but it may wait for the disk."""
        try:
            return self._note_sent(os.preadv(self.fd, gaps, offset), size)
        except (OSError, OverflowError):
            return False

    def _note_sent(self, n: int, size: int) -> bool:
        if n < size:
            return False
        self.sent += n
        return True

    def read(self, offset: int, size: int) -> bytes:
        """Read `size` bytes, at most `MOST_READ`; fewer only at the end of the file. Blocks."""
        size = min(size, MOST_READ, os.fstat(self.fd).st_size - offset)
        data = os.pread(self.fd, size, offset) if size > 0 else b""
        while data and len(data) < size and (more := os.pread(self.fd, size - len(data), offset + len(data))):
            data += more
        self.sent += len(data)
        return data


class Reading(Readable):
    """A handle open for reading only."""

    def __init__(self, fd: int, path: AgencyPath) -> None:
        self.fd = fd
        self.path = path
