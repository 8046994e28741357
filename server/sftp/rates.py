"""How often an address connects, counted over all processes: token buckets in memory that they share.

A bucket is one number, the moment at which it would be full again (the generic cell rate algorithm, ITU-T I.371). They
lie in a file of fixed size, mapped into each process, so however many addresses come by, it grows no memory and no
disk, and asking costs some microseconds. An address has one bucket in each of four rows, chosen by a keyed hash, and is
refused only if all four are used up: another address that shares one of them, even on purpose, takes nothing from it.

There is no lock. Two processes that accept connections of one address in the same instant may count them as one, which
gives away a token then and never more than one per process. A clock that began anew (a reboot) empties no bucket. When
there is no room for the file, each process counts for itself.
"""

import hashlib
import mmap
import os
import secrets
import time
from contextlib import suppress
from pathlib import Path

ROWS = 4
BUCKETS = 1 << 14
SALT_BYTES = 16
ROUNDING = 1e-6
SIZE = SALT_BYTES + ROWS * BUCKETS * 8


class Rates:
    """The buckets: `burst` connections at once, then `per_minute`. `path` is the file that the processes share."""

    def __init__(self, path: Path, per_minute: float, burst: int) -> None:
        self._interval = 60.0 / per_minute
        self._depth = self._interval * burst
        self._map = _map(path)
        self._salt = bytes(self._map[:SALT_BYTES])
        self._buckets = memoryview(self._map)[SALT_BYTES:].cast("d")

    def take(self, name: str, now: float | None = None) -> bool:
        """Count one connection of `name`; False if that is one too many, and then it is not counted."""
        now = time.monotonic() if now is None else now  # the same clock in all processes
        places = self._places(name)
        full_at = [self._full_at(place, now) for place in places]
        then = min(full_at) + self._interval
        if then - now > self._depth + ROUNDING:
            return False
        for place, moment in zip(places, full_at, strict=True):
            self._buckets[place] = max(moment, then)
        return True

    def _full_at(self, place: int, now: float) -> float:
        """The moment at which that bucket is full again; now if it is, or if its number is not of this clock."""
        moment = self._buckets[place]
        return moment if now < moment <= now + self._depth + self._interval else now

    def _places(self, name: str) -> list[int]:
        digest = hashlib.blake2b(name.encode(), digest_size=ROWS * 4, key=self._salt).digest()
        words = memoryview(digest).cast("I")
        return [row * BUCKETS + word % BUCKETS for row, word in enumerate(words)]

    def close(self) -> None:
        """Let go of the file."""
        self._buckets.release()
        with suppress(BufferError):
            self._map.close()


def _map(path: Path) -> mmap.mmap:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        if not path.exists() or path.stat().st_size != SIZE:
            _create(path)
    except OSError:
        alone = mmap.mmap(-1, SIZE)
        alone[:SALT_BYTES] = secrets.token_bytes(SALT_BYTES)
        return alone
    fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        return mmap.mmap(fd, SIZE)
    finally:
        os.close(fd)


def _create(path: Path) -> None:
    """Make the file under another name and give it its own in one step: nobody maps half a file."""
    beside = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    fd = os.open(beside, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        os.posix_fallocate(fd, 0, SIZE)  # a page that the disk has no room for would end the process later
        os.pwrite(fd, secrets.token_bytes(SALT_BYTES), 0)
        if path.exists() and path.stat().st_size != SIZE:
            path.unlink()
        with suppress(FileExistsError):
            os.link(beside, path)
    finally:
        os.close(fd)
        beside.unlink(missing_ok=True)
