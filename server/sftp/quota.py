"""How much an agency's uploads may hold, in bytes and files, and how much they hold.

Two numbers per agency in a file of sixteen bytes, `run/quota/<slug>`, changed by all processes under its lock. A change
costs microseconds, so it is made before the bytes are written and not after. Numbers that are only ever added to go
astray, when a process dies between a change and its deed or an operator moves files by hand; so they are counted anew
when the file is not there, and now and then by whoever sweeps.

Counted is what lies in `/upload`, by its size as `ls` shows it: also what is torn, since that takes room too. Agencies
without a quota are not counted.
"""

import fcntl
import os
import stat
import struct
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from asyncssh import SFTPFailure

_NUMBERS = struct.Struct("<qq")
STEP = 4 * 1024 * 1024  # an upload asks for so much at once, and gives back what it did not need


@dataclass(frozen=True)
class Quota:
    """The most bytes and files; None for no limit."""

    size: int | None = None
    files: int | None = None

    def __bool__(self) -> bool:
        """Whether there is a limit at all."""
        return self.size is not None or self.files is not None


@dataclass(frozen=True)
class Usage:
    """Bytes and files."""

    size: int
    files: int


class Meter:
    """Counts for one agency; any number of threads and processes may have one."""

    def __init__(self, file: Path, uploads: Path, quota: Quota) -> None:
        self._file = file
        self._uploads = uploads
        self._quota = quota

    def take(self, size: int, files: int = 0) -> None:
        """Count `size` more bytes and `files` more files. Raises `SFTPFailure` if that is more than there may be."""
        if not self._quota or (size <= 0 and files <= 0):
            self.give(-size, -files)
            return
        with self._locked() as fd:
            now = _read(fd)
            self._check(now, size, files)
            _write(fd, Usage(now.size + size, now.files + files))

    def give(self, size: int, files: int = 0) -> None:
        """Count `size` fewer bytes and `files` fewer files."""
        if self._quota and (size or files):
            with self._locked() as fd:
                now = _read(fd)
                _write(fd, Usage(now.size - size, now.files - files))

    def usage(self) -> Usage:
        """What is counted now."""
        with self._locked() as fd:
            return _read(fd)

    def recount(self) -> Usage:
        """Count what is there, and go on from that. What changes meanwhile is not lost."""
        with self._locked() as fd:
            before = _read(fd)
        found = measure(self._uploads)
        with self._locked() as fd:
            now = _read(fd)
            right = Usage(found.size + now.size - before.size, found.files + now.files - before.files)
            _write(fd, right)
        return right

    def _check(self, now: Usage, size: int, files: int) -> None:
        quota = self._quota
        if quota.files is not None and files > 0 and now.files + files > quota.files:
            raise SFTPFailure(
                f"Your directory may hold {quota.files} files, and has {now.files}. Delete some that are done with."
            )
        if quota.size is not None and size > 0 and now.size + size > quota.size:
            raise SFTPFailure(
                f"Your directory may hold {quota.size} bytes, and is full. Delete files that are done with."
            )

    @contextmanager
    def _locked(self) -> Iterator[int]:
        fd = os.open(self._file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)
            if os.fstat(fd).st_size != _NUMBERS.size:
                _write(fd, measure(self._uploads))
            yield fd
        finally:
            os.close(fd)


class Allowance:
    """What one upload has taken of its agency's quota: in steps, so that not every write has to ask."""

    def __init__(self, meter: Meter, size: int) -> None:
        self._meter = meter
        self._taken = size

    def reach(self, size: int) -> None:
        """The file is about to have `size` bytes. Raises `SFTPFailure` if it may not."""
        if size <= self._taken:
            return
        ample = max(STEP, size - self._taken)
        try:
            self._meter.take(ample)
            self._taken += ample
        except SFTPFailure:
            self._meter.take(size - self._taken)  # there is no room for a whole step, but perhaps for this
            self._taken = size

    def settle(self, size: int) -> None:
        """The upload is over, and the file has `size` bytes."""
        self._meter.give(self._taken - size)
        self._taken = size


def measure(folder: Path) -> Usage:
    """The bytes and plain files below `folder`; what vanishes meanwhile is not counted."""
    size = files = 0
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            with suppress(OSError):
                status = entry.stat(follow_symlinks=False)
                if stat.S_ISDIR(status.st_mode):
                    below = measure(Path(entry.path))
                    size, files = size + below.size, files + below.files
                elif stat.S_ISREG(status.st_mode):
                    size, files = size + status.st_size, files + 1
    return Usage(size, files)


def _read(fd: int) -> Usage:
    return Usage(*_NUMBERS.unpack(os.pread(fd, _NUMBERS.size, 0)))


def _write(fd: int, usage: Usage) -> None:
    os.pwrite(fd, _NUMBERS.pack(max(usage.size, 0), max(usage.files, 0)), 0)
