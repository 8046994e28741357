"""New files on their way to their name.

A file that is sent anew never overwrites in place what has that name: it begins as a new inode beside the journal, is
locked and announced there, and only then takes the name, in one step. So what the spool or the archive still links is
never changed, a second session that sends the same file cannot mix its bytes into the first one's, and no crash leaves
a file under a final name that the journal does not know.
"""

import fcntl
import os
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from server.sftp.jail import open_at
from server.sftp.renaming import rename

CHUNK = 8 * 1024 * 1024


@contextmanager
def staged(root: Path) -> Iterator[tuple[int, str]]:
    """A new, empty, locked file in the directory `root`: its descriptor and its name there.

    Use `settle` to give it its name. The descriptor is the caller's, unless the block fails; then nothing is left.
    """
    name = f"new-{secrets.token_hex(8)}"
    place = root / name
    fd = os.open(place, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield fd, name
    except BaseException:
        os.close(fd)
        place.unlink(missing_ok=True)
        raise


def settle(root: Path, staged_name: str, directory: int, name: str, replace: bool) -> None:
    """Give the staged file the name `name` in `directory`. Raises OSError; EEXIST if taken and not to be replaced."""
    root_fd = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        rename(root_fd, staged_name, directory, name, replace)
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
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(fd)
    return False


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
