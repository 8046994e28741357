"""Notes that have served their time and are written anew, so that not every upload makes and deletes an inode.

    spool/spare/<three hex digits>    what was a manifest; its content means nothing

On ext4 without a journal a new inode is looked for among all that were deleted in the last minutes, which a thousand
small files in a row made the most expensive part of receiving them. Elsewhere it costs about as much either way.

Whoever takes a spare note holds its lock, and nobody puts another in its place: so it is one note's at any time.
"""

import fcntl
import os
import time
from collections import deque
from contextlib import suppress
from errno import ENOSPC
from pathlib import Path

SLOT = 3  # digits of a name: at most 4,096 notes wait
LOOK_EVERY = 0.1


class Spares:
    """The directory of spare notes below the spool; any number of threads and processes may use it at once.

    For notes that need not survive a power cut: what a file system has of a rename then may be both names.
    """

    def __init__(self, spool: Path) -> None:
        root = spool / "spare"
        root.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._folder = str(root)
        self._known: deque[str] = deque()
        self._look_at = 0.0

    def keep(self, note: str, id_: str) -> None:
        """Keep the file `note` of that id for later, or delete it if there are enough; it has its name no more.

        Raises FileNotFoundError if it is not there, OSError.
        """
        with suppress(OSError):  # taken already, or the disk is full; FileNotFoundError comes again below
            os.link(note, f"{self._folder}/{id_[-SLOT:]}")
        os.unlink(note)  # noqa: PTH108  for each file that a court sends

    def write(self, note: str, content: bytes) -> bool:
        """Make a spare note with that content the file `note`, in one step; False if there is none. Raises OSError."""
        self._look()
        while name := self._next():
            with suppress(FileNotFoundError, BlockingIOError):
                fd = os.open(name, os.O_WRONLY | os.O_CLOEXEC)
                try:
                    if self._is_free(fd, name):
                        _fill(fd, content)
                        os.rename(name, note)  # noqa: PTH104  as above
                        return True
                finally:
                    os.close(fd)
        return False

    def _is_free(self, fd: int, name: str) -> bool:
        """Whether that note is nobody else's; its lock is held then. Raises BlockingIOError, FileNotFoundError."""
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        status = os.fstat(fd)
        # Somebody may have taken it before we had the lock. And with a second name it is still in the spool.
        return status.st_nlink == 1 and os.path.samestat(status, os.lstat(name))

    def _look(self) -> None:
        if not self._known and time.monotonic() >= self._look_at:
            self._look_at = time.monotonic() + LOOK_EVERY
            with suppress(OSError):  # then notes are made anew
                self._known.extend(f"{self._folder}/{name}" for name in os.listdir(self._folder))  # noqa: PTH208

    def _next(self) -> str:
        with suppress(IndexError):  # another thread may have taken the last
            return self._known.popleft()
        return ""


def _fill(fd: int, content: bytes) -> None:
    if os.pwrite(fd, content, 0) < len(content):
        raise OSError(ENOSPC, "the disk is full")
    os.ftruncate(fd, len(content))
