"""How much an agency's uploads hold, in bytes and files, and that it is never more than its quota.

Two numbers per agency in a small file, `run/quota/<slug>`, changed by all processes under its lock. A change costs
microseconds, so it is made before the deed and not after: two uploads at once cannot both have the last free bytes.

Numbers that are only ever added to go astray: a process dies between a change and its deed, an operator moves files by
hand. So they are counted anew at the start, when they are missing, after each sweep, and when a process has died that
changed them. What is begun or taken ahead
cannot be seen on the disk, so it is counted anew only while nobody changes anything: who does (an upload as long as it
runs, a deletion) holds `run/quota/<slug>.lock`, shared, and whoever counts holds it alone. A lock goes with its
process, so one that has died holds up nobody. Neither file is missed after it was deleted.

Counted is what lies below `/upload`, by its size as `ls` shows it, holes and all; also what is torn, since that takes
room too. A directory counts as a file without bytes. Agencies without a quota are not counted.
"""

import fcntl
import os
import stat
import struct
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from server.intake.locks import BusyError

# With a mark, since after a power failure a file may have its size and no content.
_NUMBERS = struct.Struct("<4sqq")
_MARK = b"used"
_ASKED = "recount"
_SHARE = 16  # of what is left, the part that one upload may take ahead: so nobody holds much that others need


@dataclass(frozen=True)
class Quota:
    """The most bytes and files; None for no limit."""

    size: int | None = None
    files: int | None = None

    def __bool__(self) -> bool:
        """Whether there is a limit at all."""
        return self.size is not None or self.files is not None


UNLIMITED = Quota()


@dataclass(frozen=True)
class Usage:
    """Bytes, and files and directories."""

    size: int
    files: int


class FullError(Exception):
    """There is no room for that many bytes (`size`) or files."""

    def __init__(self, quota: Quota, size: bool) -> None:
        super().__init__("the quota is used up")
        self.quota = quota
        self.size = size


class Meter:
    """Counts for one agency, whose uploads are below `uploads`; any number of threads and processes may have one.

    All methods may raise OSError. None waits for longer than it takes to read and write two numbers, but for what is
    said of `join`; unless somebody deletes the numbers while uploads run, which are then counted by whoever comes next.
    """

    def __init__(self, run: Path, agency: str, uploads: Path, quota: Quota = UNLIMITED) -> None:
        self._file = run / "quota" / agency
        self._lock = run / "quota" / f"{agency}.lock"
        self._uploads = uploads
        self.quota = quota

    # Changing

    def join(self, wait: bool = True) -> int:
        """Say that files are about to change; what is returned must be closed (close(2)) when that is over.

        Waits while somebody counts, and counts if nobody has; without `wait`, `BusyError` instead.
        """
        fd = _open(self._lock)
        try:
            if not wait and not self._is_counted():
                raise BusyError
            self._count_first(fd)
            fcntl.flock(fd, fcntl.LOCK_SH | (0 if wait else fcntl.LOCK_NB))
        except BaseException as error:
            os.close(fd)
            if isinstance(error, BlockingIOError):
                raise BusyError from None
            raise
        return fd

    @contextmanager
    def joined(self) -> Iterator[None]:
        """Files change during the block; see `join`."""
        fd = self.join()
        try:
            yield
        finally:
            os.close(fd)

    def take(self, size: int, files: int = 0, ahead: int = 0) -> int:
        """Count `size` more bytes and `files` more files, and if there is ample room up to `ahead` further bytes.

        How many bytes that makes. Raises `FullError` if it is more than there may be; then nothing is counted.
        """
        with self._locked() as fd:
            now = self._read_or_count(fd)
            self._check(now, size, files)
            if self.quota.size is not None:
                ahead = max(min(ahead, (self.quota.size - now.size - size) // _SHARE), 0)
            _write(fd, Usage(now.size + size + ahead, now.files + files))
        return size + ahead

    def give(self, size: int, files: int = 0) -> None:
        """Count `size` fewer bytes and `files` fewer files."""
        if size or files:
            with self._locked() as fd:
                now = self._read_or_count(fd)
                _write(fd, Usage(now.size - size, now.files - files))

    def _check(self, now: Usage, size: int, files: int) -> None:
        """Only growth is refused: a quota may have been lowered below what is there."""
        quota = self.quota
        if quota.files is not None and files > 0 and now.files + files > quota.files:
            raise FullError(quota, size=False)
        if quota.size is not None and size > 0 and now.size + size > quota.size:
            raise FullError(quota, size=True)

    # Counting

    def recount(self) -> bool:
        """Count what is there and go on from that; False if that cannot be now, because files are changing.

        Whoever is about to change some waits meanwhile.
        """
        fd = _open(self._lock)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            found = measure(self._uploads)
            with self._locked() as numbers:
                _write(numbers, found)
        except BlockingIOError:
            return False
        finally:
            os.close(fd)
        return True

    def forget(self) -> None:
        """Have it counted anew before the next change: nobody has kept the numbers."""
        self._file.unlink(missing_ok=True)

    def usage(self) -> Usage:
        """What is counted now, with what running uploads have taken ahead."""
        with self._locked() as fd:
            return self._read_or_count(fd)

    def _count_first(self, fd: int) -> None:
        """If nobody has counted, do so; alone if possible, which is exact."""
        if not self._is_counted():
            with suppress(BlockingIOError):
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self.usage()

    def _is_counted(self) -> bool:
        try:
            return self._file.stat().st_size == _NUMBERS.size
        except FileNotFoundError:
            return False

    @contextmanager
    def _locked(self) -> Iterator[int]:
        fd = _open(self._file)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)
            yield fd
        finally:
            os.close(fd)

    def _read_or_count(self, fd: int) -> Usage:
        packed = os.pread(fd, _NUMBERS.size, 0)
        if len(packed) == _NUMBERS.size and packed.startswith(_MARK):
            _, size, files = _NUMBERS.unpack(packed)
            return Usage(size, files)
        found = measure(self._uploads)
        _write(fd, found)
        return found


def ask_for_recount(run: Path) -> None:
    """Have all be counted anew soon: somebody died who had counted what never came. Best effort: a sweep does it."""
    with suppress(OSError):
        (run / _ASKED).touch(mode=0o600)


def is_recount_asked(run: Path) -> bool:
    """Whether somebody asked for it since this was last called."""
    try:
        (run / _ASKED).unlink()
    except OSError:
        return False
    return True


def measure(folder: Path) -> Usage:
    """The bytes of the plain files below `folder`, and how many files and directories; links are not followed.

    What vanishes meanwhile is not counted, nor what may not be read. Raises OSError if it cannot be told.
    """
    size = files = 0
    left = [str(folder)]
    while left:
        with suppress(FileNotFoundError, NotADirectoryError, PermissionError), os.scandir(left.pop()) as entries:
            for entry in entries:
                with suppress(FileNotFoundError):
                    status = entry.stat(follow_symlinks=False)
                    if stat.S_ISDIR(status.st_mode):
                        left.append(entry.path)
                        files += 1
                    elif stat.S_ISREG(status.st_mode):
                        size, files = size + status.st_size, files + 1
    return Usage(size, files)


def _open(file: Path) -> int:
    try:
        return os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except FileNotFoundError:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        return os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


def _write(fd: int, usage: Usage) -> None:
    # Where more is given back than was counted, the numbers were wrong before: nothing is less than nothing.
    os.pwrite(fd, _NUMBERS.pack(_MARK, max(usage.size, 0), max(usage.files, 0)), 0)
