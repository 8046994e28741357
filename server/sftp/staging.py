"""New files on their way to their name.

A file that is sent anew never overwrites in place what has that name: it begins as a new inode, is locked and
announced, and only then takes the name, in one step. So what the spool or the archive still links is never changed, a
second session that sends the same file cannot mix its bytes into the first one's, and no crash leaves a file under a
final name that the journal does not know.

A new inode has no name at first (open(2), O_TMPFILE): then none must be taken away from it, which costs as much as
giving it one, and a crash leaves nothing. One that is to replace another file begins with a name beside the journal,
since only a rename replaces; and so does every file where the file system knows nothing else.
"""

import fcntl
import os
import secrets
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from server.intake.nameless import link_open, open_nameless
from server.sftp.emptying import is_received
from server.sftp.jail import losing, open_at
from server.sftp.renaming import rename

CHUNK = 8 * 1024 * 1024


@dataclass(frozen=True)
class Staged:
    """A new file on its way: its descriptor, and its name in the directory where it waits, empty if it has none."""

    fd: int
    name: str


class Stock:
    """Files without a name, made ahead: looking for a free inode is most of what making one takes."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._ready: deque[int] = deque()

    @property
    def ready(self) -> int:
        """How many there are."""
        return len(self._ready)

    def prepare(self, count: int) -> bool:
        """Have `count` of them; False if this file system has no such files. Raises OSError."""
        while len(self._ready) < count:
            fd = open_nameless(self._root)
            if fd < 0:
                return False
            self._ready.append(fd)
        return True

    def take(self) -> int:
        """One of them, as if it were made now; or a new one; -1 if there are none here. Raises OSError."""
        try:
            fd = self._ready.popleft()
        except IndexError:
            return open_nameless(self._root)
        try:
            os.utime(fd)
        except OSError:
            os.close(fd)
            raise
        return fd

    def drop(self) -> None:
        """Nobody needs them."""
        while self._ready:
            os.close(self._ready.popleft())


@contextmanager
def staged(root: Path, replacing: bool, stock: Stock | None = None) -> Iterator[Staged]:
    """A new, empty, locked file on the file system of the directory `root`; `replacing` if its name is another's now.

    One from the `stock` for `root` costs least. Use `settle` to give it its name. The descriptor is the caller's,
    unless the block fails; then nothing is left.
    """
    fd = -1 if replacing else (stock.take() if stock else open_nameless(root))
    name = "" if fd >= 0 else f"new-{secrets.token_hex(8)}"
    if name:
        fd = os.open(root / name, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield Staged(fd, name)
    except BaseException:
        os.close(fd)
        if name:
            root.joinpath(name).unlink(missing_ok=True)
        raise


def settle(root: Path, new: Staged, directory: int, name: str, replace: bool) -> None:
    """Give the staged file the name `name` in `directory`. Raises OSError; EEXIST if taken and not to be replaced."""
    if not new.name:
        link_open(new.fd, name, directory)
        return
    root_fd = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with losing(directory, name, really=replace):
            rename(root_fd, new.name, directory, name, replace)
    finally:
        os.close(root_fd)


def try_lock(fd: int) -> bool:
    """Take the lock of a file that is being received; False if a session holds it."""
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def is_locked(directory: int, name: str) -> bool:
    """Whether a session receives the plain file `name` in the directory `directory`."""
    fd = open_at(directory, name, os.O_RDONLY)
    try:
        return is_received(fd)
    finally:
        os.close(fd)


def copy_content(source: int, target: int) -> None:
    """Copy all of one open file into another that is empty; shares the blocks where the file system can."""
    left, at = os.fstat(source).st_size, 0
    with suppress(OSError):  # EXDEV, EINVAL, ENOSYS on some file systems: the loop below does it
        while left > at and (n := os.copy_file_range(source, target, min(left - at, CHUNK), at, at)):
            at += n
    while chunk := os.pread(source, CHUNK, at):
        write_all(target, [chunk], at)
        at += len(chunk)


def write_all(fd: int, pieces: Sequence[bytes | memoryview], offset: int) -> None:
    """Write every byte of the pieces, one behind the other, or raise OSError.

    A short write is no success, it mostly means that the disk is full. Takes as many pieces as pwritev(2) does.
    """
    left = sum(map(len, pieces))
    n = os.pwritev(fd, pieces, offset)
    if n == left:
        return
    rest = memoryview(b"".join(pieces))
    while n < left:
        n += os.pwrite(fd, rest[n:], offset + n)
