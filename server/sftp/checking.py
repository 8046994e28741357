"""Digests of what lies on the server, so that a sender can verify it without fetching it back.

The rules are those of "check-file" (draft-ietf-secsh-filexfer-extensions-00 section 3): one digest of a stretch of a
file, or one for each block of it. Work is bounded: a request may cover `MOST_BYTES`, its answer fits one packet, and
it is done a slice at a time, so that the threads all sessions share are never held for long.
"""

import hashlib
import os
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

from asyncssh import SFTPFailure

# SHA-1 and MD5 prove nothing any more, and FIPS 180-4's others are there wherever Python is.
ALGORITHMS = ("sha256", "sha512")
LEAST_BLOCK = 256
MIB = 1024 * 1024
MOST_BYTES = 1024 * MIB
MOST_ANSWER = 128 * 1024
SLICE = 16 * MIB
PIECE = MIB

TOO_LONG = f"At most {MOST_BYTES // MIB} MiB can be checked at a time. Ask for parts of the file."
TOO_MANY = "That would be too many checksums for one answer. Ask for larger blocks, or for a part of the file."
SMALL_BLOCK = f"A block must have at least {LEAST_BLOCK} bytes, or 0 for one checksum of everything."
UNKNOWN = f"The checksums that can be asked for are {' and '.join(ALGORITHMS)}."


@dataclass(frozen=True)
class Wish:
    """What a client wants checked: `length` 0 is up to the end of the file, `block` 0 is one digest for all of it.

    `algorithms` is the client's choice in its order, parted by commas.
    """

    algorithms: bytes
    start: int
    length: int
    block: int


class Digest(Protocol):
    """What hashlib makes."""

    def update(self, data: bytes, /) -> None:
        """Take in some bytes."""

    def digest(self) -> bytes:
        """The digest of all that was taken in."""
        ...


@contextmanager
def held_open(fd: int) -> Iterator[int]:
    """The same file under a number of our own: a session that ends meanwhile closes its own."""
    own = os.dup(fd)
    try:
        yield own
    finally:
        os.close(own)


def choose_algorithm(names: bytes) -> str:
    """The first of the client's algorithms that is one of ours. Raises `SFTPFailure` if there is none."""
    for name in names.decode("ascii", "replace").split(","):
        if name.strip() in ALGORITHMS:
            return name.strip()
    raise SFTPFailure(UNKNOWN)


async def check(run: Callable[[Callable[[], None]], Awaitable[None]], fd: int, wish: Wish) -> tuple[str, bytes]:
    """The algorithm and all digests, one after another, of what `wish` names of the file `fd`.

    `run` does a call that blocks in a thread. Raises `SFTPFailure` for what is too much, OSError.
    """
    algorithm = choose_algorithm(wish.algorithms)
    work = _Work(fd, algorithm, *_stretch(os.fstat(fd).st_size, wish), wish.block)
    work.refuse_too_much()
    while not work.done:
        await run(work.go_on)
    return algorithm, work.answer()


def _stretch(size: int, wish: Wish) -> tuple[int, int]:
    """First byte and end of what is to be read of a file of that size."""
    if 0 < wish.block < LEAST_BLOCK:
        raise SFTPFailure(SMALL_BLOCK)
    start = min(wish.start, size)
    return start, size if wish.length == 0 else min(start + wish.length, size)


class _Work:
    """The digests of one request, as far as they have got."""

    def __init__(self, fd: int, algorithm: str, start: int, end: int, block: int) -> None:
        self._fd = fd
        self._algorithm = algorithm
        self._at = start
        self._end = end
        self._block = block or max(end - start, 1)
        self._left = self._block
        self._open: Digest = hashlib.new(algorithm)
        self._finished: list[bytes] = []
        self._whole = block == 0
        self.done = start >= end

    def refuse_too_much(self) -> None:
        """Before any work is done."""
        length = self._end - self._at
        if length > MOST_BYTES:
            raise SFTPFailure(TOO_LONG)
        if -(-length // self._block) * hashlib.new(self._algorithm).digest_size > MOST_ANSWER:
            raise SFTPFailure(TOO_MANY)

    def go_on(self) -> None:
        """Read the next slice. Blocks; a file that has become shorter ends it."""
        for piece in self._pieces(min(self._at + SLICE, self._end)):
            self._open.update(piece)
            self._left -= len(piece)
            if not self._left:
                self._next_block()
        self.done = self.done or self._at >= self._end

    def answer(self) -> bytes:
        """All digests; of nothing there is one too, unless blocks were asked for."""
        if self._left < self._block or (self._whole and not self._finished):
            self._next_block()
        return b"".join(self._finished)

    def _pieces(self, end: int) -> Iterator[bytes]:
        while self._at < end:
            piece = os.pread(self._fd, min(PIECE, self._left, end - self._at), self._at)
            if not piece:
                self.done = True
                return
            self._at += len(piece)
            yield piece

    def _next_block(self) -> None:
        self._finished.append(self._open.digest())
        self._open, self._left = hashlib.new(self._algorithm), self._block
