"""Locks between threads and processes: bytes of one file, held by open file descriptions (fcntl(2)).

Nothing is ever written into that file, and its bytes need not be there: a byte is a number that threads and processes
agree on. So a thousand paths need no thousand files to lock, and locking needs none to be opened.
"""

import fcntl
import os
import struct
from collections import deque
from collections.abc import Sequence
from contextlib import suppress

SHARED, EXCLUSIVE = fcntl.F_RDLCK, fcntl.F_WRLCK
MOST_KEPT = 16

# struct flock: type, whence, start, length (0: to the end), pid
_FLOCK = struct.Struct("hhqqi4x")
_ALL_FREE = _FLOCK.pack(fcntl.F_UNLCK, os.SEEK_SET, 0, 0, 0)


class BusyError(Exception):
    """Somebody else changes this path just now, or it would take long; nothing has happened yet."""


class LockFile:
    """The file `file`, which nobody may ever replace or delete; any number of threads and processes may use it at once.

    Each holder needs a descriptor of its own, since what is locked through one excludes only the others. Those that
    nobody needs now are kept open.
    """

    def __init__(self, file: str) -> None:
        self._file = file
        self._kept: deque[int] = deque()

    def take(self, locks: Sequence[tuple[int, int]], wait: bool) -> int:
        """Take locks in that order, each a number below 2**63 and SHARED or EXCLUSIVE; `free` wants what this returns.

        Without `wait`, `BusyError` if another has one. Raises OSError. Then none is held.
        """
        fd = self._descriptor()
        command = fcntl.F_OFD_SETLKW if wait else fcntl.F_OFD_SETLK
        try:
            for number, how in locks:
                fcntl.fcntl(fd, command, _FLOCK.pack(how, os.SEEK_SET, number, 1, 0))
        except BaseException as error:
            os.close(fd)
            if isinstance(error, BlockingIOError):
                raise BusyError from None
            raise
        return fd

    def _descriptor(self) -> int:
        with suppress(IndexError):  # another thread may have taken the last
            return self._kept.pop()
        return os.open(self._file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def free(self, fd: int) -> None:
        """Let go of the locks that were taken with `fd`."""
        if len(self._kept) >= MOST_KEPT:
            os.close(fd)
            return
        try:
            fcntl.fcntl(fd, fcntl.F_OFD_SETLK, _ALL_FREE)
        except OSError:
            os.close(fd)
        else:
            self._kept.append(fd)

    def close(self) -> None:
        """Close the descriptors that are kept."""
        with suppress(IndexError):
            while True:
                os.close(self._kept.pop())


class Locks:
    """The block holds these locks of that file (see `LockFile.take`).

    A class, since every file that is sent takes locks twice, and a generator costs three times as much.
    """

    __slots__ = ("_fd", "_file", "_locks", "_wait")

    def __init__(self, file: LockFile, locks: Sequence[tuple[int, int]], wait: bool) -> None:
        self._file = file
        self._locks = locks
        self._wait = wait
        self._fd = -1

    def __enter__(self) -> None:
        """Take them. Raises OSError, BusyError; then none is held."""
        self._fd = self._file.take(self._locks, self._wait)

    def __exit__(self, *_: object) -> None:
        """Let them go."""
        self._file.free(self._fd)
