"""What the program asks of a place where files are exchanged, whatever is behind it.

A directory is a path that begins with `/`, below the directory of the server; in a bucket it is a prefix of keys. All
calls raise `AppError`: `not_found` (the directory, the file), `denied` (refused by the other side), `invalid` (what is
configured cannot be right, or this file or directory alone cannot be used just now), `unavailable` (the server as a
whole is away, too slow, cut off: it is tried again), `conflict` (a file is another one than was looked at), `internal`
(our own disk).
"""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True)
class RemoteFile:
    """A plain file as it was seen: `path` with its directory, `size` in bytes, `modified` in UTC (whole seconds where
    the other side has no finer ones; the epoch: it tells no time), `version` its entity tag where it has one. One with
    an `oddity` cannot be used, for that reason (a sentence); of it nothing else is known."""

    path: str
    size: int
    modified: datetime
    version: str = ""
    oddity: str = ""

    @property
    def name(self) -> str:
        """The last part of its path."""
        return self.path.rsplit("/", 1)[-1]


Progress = Callable[[int], None]
"""Told how many bytes of a file are there by now."""


class Remote(Protocol):
    """An open connection; used by one cycle, then closed."""

    async def list(self, directory: str) -> list[RemoteFile]:
        """The plain files that lie in the directory itself, by name; links and folders are left out. Some that cannot
        be used are among them, see `RemoteFile`."""

    async def look(self, path: str) -> RemoteFile:
        """One file as it is now."""

    async def fetch(self, file: RemoteFile, target: Path, progress: Progress) -> None:
        """Bring the file to `target`, from where an earlier try of the same file stopped: `target` may hold its
        beginning. Afterwards it has `file.size` bytes and is fsynced. Raises `conflict` if the file changed meanwhile.
        """

    async def place(self, source: Path, directory: str, name: str) -> None:
        """Put a copy of `source` there, whole or not at all (beside, then renamed); a file of that name is replaced.
        Raises `not_found` if there is no such directory: none is made."""

    async def remove(self, file: RemoteFile) -> None:
        """Delete the file. Raises `conflict` if it is another one by now."""

    async def has_directory(self, directory: str) -> bool:
        """Whether there is such a directory; in a bucket, whether any key has that prefix or a marker stands for it."""


Reach = Callable[[], AbstractAsyncContextManager[Remote]]
"""Opens the connection anew for each cycle."""
