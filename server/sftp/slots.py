"""Counts that hold over all processes: a name has so many slots, and each session takes one.

A slot is one byte of a file, and taking it is an open-file-description lock on that byte (fcntl(2), F_OFD_SETLK). The
kernel keeps the count, so it costs a microsecond, needs no database, and a process that dies frees what it held. The
bytes need not exist: the files stay empty. A name stands for a region of one of a few files, by its hash, so that
neither names nor addresses, however many come by, leave anything on the disk.

Locks of one open file do not exclude each other, so what this process holds it also remembers itself. On a file system
without locks that is all there is: each process counts for itself.
"""

import fcntl
import hashlib
import os
import struct
from pathlib import Path

FILES = 16  # the kernel walks all locks of a file at each call
MOST_PER_NAME = 1 << 16
REGIONS = 1 << 46  # times MOST_PER_NAME is within what an offset can say

_FLOCK = "hhqqi4x"  # struct flock: type, whence, start, length, pid (0, as OFD locks want it)


class Slot:
    """One taken slot; give it back with `release`, once or often."""

    def __init__(self, slots: "Slots", file: int, offset: int) -> None:
        self._slots = slots
        self._place: tuple[int, int] | None = (file, offset)

    def release(self) -> None:
        """Somebody else may have it."""
        place, self._place = self._place, None
        if place:
            self._slots.free(*place)


class Slots:
    """The slots of one data directory, as one process sees them. Belongs to one thread."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
        self._files = [os.open(folder / f"{number:02}", flags, 0o600) for number in range(FILES)]
        self._mine: set[tuple[int, int]] = set()

    def take(self, name: str, most: int) -> Slot | None:
        """A slot of `name`, of which there are `most`; None if all processes together hold that many."""
        file, region = self._region(name)
        # Processes that begin at different places rarely meet, and each one's locks merge into one for the kernel.
        first = os.getpid() * 7919 % most
        for number in range(most):
            place = file, region + (first + number) % most
            if place not in self._mine and self._lock(*place, fcntl.F_WRLCK):
                self._mine.add(place)
                return Slot(self, *place)
        return None

    def free(self, file: int, offset: int) -> None:
        """Give back what `take` took."""
        if (file, offset) in self._mine:
            self._mine.remove((file, offset))
            self._lock(file, offset, fcntl.F_UNLCK)

    def close(self) -> None:
        """Give back everything."""
        self._mine.clear()
        while self._files:
            os.close(self._files.pop())

    def _region(self, name: str) -> tuple[int, int]:
        number = int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest())
        return number % FILES, number // FILES % REGIONS * MOST_PER_NAME

    def _lock(self, file: int, offset: int, kind: int) -> bool:
        lock = struct.pack(_FLOCK, kind, os.SEEK_SET, offset, 1, 0)
        try:
            fcntl.fcntl(self._files[file], fcntl.F_OFD_SETLK, lock)
        except (BlockingIOError, PermissionError):
            return False
        except OSError:  # ENOLCK, say; a court must not be kept out by it
            return True
        return True
