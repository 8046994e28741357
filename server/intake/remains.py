"""The remains of an upload: what lies at the path of its entry, told by a look at the file itself."""

import errno
import fcntl
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path

from server.intake.entry import Entry

NO_FILE = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENXIO)  # none, or a link (O_NOFOLLOW), or a socket


class Found(StrEnum):
    """What is at the path of an entry."""

    NOTHING = "nothing"  # or no plain file
    REPLACED = "replaced"  # the torn file that the entry's file was to replace
    WRITTEN = "written"  # a session holds its lock
    LEFT = "left"


@contextmanager
def examined(place: Path, entry: Entry) -> Iterator[tuple[Found, int]]:
    """The block has what is at `place`, and its open descriptor unless that is nothing.

    Raises OSError if that cannot be told: a file that cannot be looked at just now is not one that is gone.
    """
    fd = _open(place)
    if fd is None:
        yield Found.NOTHING, -1
        return
    try:
        yield _examine(fd, entry), fd
    finally:
        os.close(fd)


def _open(place: Path) -> int | None:
    try:
        return os.open(place, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        if error.errno not in NO_FILE:
            raise
        return None


def _examine(fd: int, entry: Entry) -> Found:
    status = os.fstat(fd)
    if not stat.S_ISREG(status.st_mode):
        return Found.NOTHING
    if entry.is_to_replace(status):
        return Found.REPLACED
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return Found.WRITTEN
    return Found.LEFT
