"""Locks between threads and processes: files that whoever has one holds with flock(2)."""

import fcntl
import os
from collections.abc import Sequence


class BusyError(Exception):
    """Somebody else changes this path just now, or it would take long; nothing has happened yet."""


class Locks:
    """The block holds the locks, each a file and LOCK_SH or LOCK_EX; they are taken in that order.

    Without `wait`, `BusyError` if another has one. A class, since every file that is sent takes locks twice, and a
    generator costs three times as much.
    """

    __slots__ = ("_extra", "_held", "_locks")

    def __init__(self, locks: Sequence[tuple[str, int]], wait: bool) -> None:
        self._locks = locks
        self._extra = 0 if wait else fcntl.LOCK_NB
        self._held: list[int] = []

    def __enter__(self) -> None:
        """Take them. Raises OSError, BusyError; then none is held."""
        try:
            for file, how in self._locks:
                fd = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
                self._held.append(fd)
                fcntl.flock(fd, how | self._extra)
        except BaseException as error:
            self.__exit__()
            if isinstance(error, BlockingIOError):
                raise BusyError from None
            raise

    def __exit__(self, *_: object) -> None:
        """Let them go."""
        for fd in self._held:
            os.close(fd)
