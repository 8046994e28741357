"""Notes made ahead, and notes that have served their time and are written anew: who sends a file waits for no inode.

    spool/spare/<three hex digits>    what was a manifest; its content means nothing

On ext4 without a journal a new inode is looked for among all that were deleted in the last minutes, which a thousand
small files in a row made the most expensive part of receiving them. Elsewhere it costs about as much either way.

Whoever takes a spare note holds its lock, and nobody puts another in its place: so it is one note's at any time. Where
there are none, notes are made ahead without a name (open(2), O_TMPFILE), of which a crash leaves nothing.
"""

import fcntl
import os
import time
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from errno import ENOSPC
from pathlib import Path

from server.intake.nameless import link_open, open_nameless

SLOT = 3  # digits of a name: at most 4,096 notes wait
LOOK_EVERY = 0.1


@dataclass(frozen=True)
class Blank:
    """A note that can be written: its descriptor, and the name it has in the meantime; empty if it has none."""

    fd: int
    name: str


class Note:
    """A note that is kept open while it may have to be added to: its descriptor, inode, and size in bytes."""

    __slots__ = ("_end", "_fd", "_inode")

    def __init__(self, fd: int, end: int) -> None:
        status = os.fstat(fd)
        self._fd = fd
        self._inode = status.st_dev, status.st_ino
        self._end = end

    def is_at(self, file: str) -> bool:
        """Whether `file` is this note. As long as it is open, no other can have its inode."""
        try:
            status = os.lstat(file)
        except FileNotFoundError:
            return False
        return (status.st_dev, status.st_ino) == self._inode

    def append(self, content: bytes) -> None:
        """Add to it. Raises OSError; then it is as it was."""
        try:
            _write(self._fd, content, self._end)
        except OSError:
            with suppress(OSError):
                os.ftruncate(self._fd, self._end)
            raise
        self._end += len(content)

    def close(self) -> None:
        """Let go of it."""
        os.close(self._fd)


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
        self._ready: deque[Blank] = deque()

    def keep(self, note: str, id_: str) -> None:
        """Keep the file `note` of that id for later, or delete it if there are enough; it has its name no more.

        Raises FileNotFoundError if it is not there, OSError.
        """
        with suppress(OSError):  # taken already, or the disk is full; FileNotFoundError comes again below
            os.link(note, f"{self._folder}/{id_[-SLOT:]}")
        os.unlink(note)  # noqa: PTH108  for each file that a court sends

    def write(self, file: str, content: bytes) -> Note | None:
        """Make a note with that content the file `file`, in one step; None if there is none. Raises OSError.

        The note is the caller's to close.
        """
        while blank := self._pop() or self._claim():
            try:
                _write(blank.fd, content, 0)
                if blank.name:
                    os.ftruncate(blank.fd, len(content))
                    os.rename(blank.name, file)  # noqa: PTH104  as above
                else:
                    link_open(blank.fd, file)
                return Note(blank.fd, len(content))
            except (FileNotFoundError, FileExistsError):  # it is gone; and one without a name replaces nothing
                os.close(blank.fd)
            except BaseException:
                os.close(blank.fd)
                raise
        return None

    # Ahead

    @property
    def ready(self) -> int:
        """How many notes wait in this process."""
        return len(self._ready)

    def prepare(self) -> bool:
        """Have one more note ready; False if that cannot be here. Raises OSError."""
        blank = self._claim() or Blank(open_nameless(self._folder), "")
        if blank.fd >= 0:
            self._ready.append(blank)
        return blank.fd >= 0

    def drop(self) -> None:
        """Nobody needs the notes that are ready."""
        while blank := self._pop():
            os.close(blank.fd)

    def _pop(self) -> Blank | None:
        with suppress(IndexError):  # another thread may have taken the last
            return self._ready.popleft()
        return None

    # Those that have a name

    def _claim(self) -> Blank | None:
        self._look()
        while name := self._next():
            with suppress(FileNotFoundError):
                fd = os.open(name, os.O_WRONLY | os.O_CLOEXEC)
                if _is_free(fd, name):
                    return Blank(fd, name)
                os.close(fd)
        return None

    def _look(self) -> None:
        if not self._known and time.monotonic() >= self._look_at:
            self._look_at = time.monotonic() + LOOK_EVERY
            with suppress(OSError):  # then notes are made anew
                self._known.extend(f"{self._folder}/{name}" for name in os.listdir(self._folder))  # noqa: PTH208

    def _next(self) -> str:
        with suppress(IndexError):  # another thread may have taken the last
            return self._known.popleft()
        return ""


def _is_free(fd: int, name: str) -> bool:
    """Whether that note is nobody else's; its lock is held then, until `fd` is closed."""
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        status = os.fstat(fd)
        # Somebody may have taken it before we had the lock. And with a second name it is still in the spool.
        return status.st_nlink == 1 and os.path.samestat(status, os.lstat(name))
    except (BlockingIOError, FileNotFoundError):
        return False


def _write(fd: int, content: bytes, at: int) -> None:
    if os.pwrite(fd, content, at) < len(content):
        raise OSError(ENOSPC, "the disk is full")
