"""What lies in the agencies' homes, looked through without ever holding more of it than a handful of files."""

import os
import stat
from array import array
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from server.intake.names import is_temporary

BATCH = 1000


@dataclass(frozen=True, slots=True)
class Found:
    """A file of an agency: the folder on disk where it lies, its path as the agency sees it, and its stat."""

    folder: str
    path: str
    status: os.stat_result

    @property
    def place(self) -> Path:
        """Where it is on disk."""
        return Path(self.folder, self.path.rsplit("/", 1)[1])

    @property
    def inode(self) -> tuple[int, int]:
        """Device and inode number."""
        return self.status.st_dev, self.status.st_ino


class Seen:
    """Which inodes a walk has met, in 8 bytes for each."""

    def __init__(self) -> None:
        self._inodes: dict[int, array[int]] = {}

    def add(self, batch: Iterable[Found]) -> None:
        """Those of a batch."""
        for found in batch:
            self._inodes.setdefault(found.status.st_dev, array("Q")).append(found.status.st_ino)

    def missing(self, known: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
        """Those of the `known` (device, inode) that were not met."""
        import numpy as np  # seldom needed, and slow to import

        gone: list[tuple[int, int]] = []
        for dev in sorted({dev for dev, _ in known}):
            inodes = np.array([ino for device, ino in known if device == dev], np.uint64)
            met = np.frombuffer(self._inodes.get(dev) or array("Q", [0]), np.uint64)
            gone += [(dev, int(ino)) for ino in inodes[~np.isin(inodes, met)]]
        return gone


def walk(home: Path) -> Iterator[list[Found]]:
    """All plain files with final names below `home/upload`, in batches of one folder each; links are not followed,
    folders that vanish are skipped.

    However deep they lie: by renaming, an agency can nest folders deeper than Python may call itself.
    """
    folders = [(f"{home}/upload", "/upload")]
    while folders:
        folder, path = folders.pop()
        below: list[str] = []
        entries = _entries(folder)
        while batch := list(islice(entries, BATCH)):
            below += [name for name, status in batch if stat.S_ISDIR(status.st_mode)]
            yield [
                Found(folder, f"{path}/{name}", status)
                for name, status in batch
                if stat.S_ISREG(status.st_mode) and not is_temporary(name)
            ]
        folders += [(f"{folder}/{name}", f"{path}/{name}") for name in sorted(below)]


def _entries(folder: str) -> Iterator[tuple[str, os.stat_result]]:
    try:
        entries = os.scandir(folder)
    except OSError:
        return
    with entries, suppress(OSError):
        for entry in entries:
            with suppress(OSError):  # it may vanish
                if _is_text(entry.name):
                    yield entry.name, entry.stat(follow_symlinks=False)


def _is_text(name: str) -> bool:
    """Whether a name is UTF-8, and so can be told to anybody."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
