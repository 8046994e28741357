"""What lies in the agencies' homes, looked through without ever holding more of it than a handful of files."""

import os
import stat
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from errno import EACCES
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


@dataclass(frozen=True, slots=True)
class Unread:
    """A file or folder of an agency (its slug) that cannot be read, and why: mostly it is another user's."""

    agency: str
    path: str
    reason: str


Missed = Callable[[str, OSError], None]


def walk(home: Path, missed: Missed) -> Iterator[list[Found]]:
    """All plain files with final names below `home/upload`, in batches of one folder each; links are not followed,
    what vanishes meanwhile is skipped. The path of anything else that cannot be read is told to `missed`.

    However deep they lie: by renaming, an agency can nest folders deeper than Python may call itself.
    """
    folders = [(f"{home}/upload", "/upload")]
    while folders:
        folder, path = folders.pop()
        below: list[str] = []
        entries = _entries(folder, path, missed)
        while batch := list(islice(entries, BATCH)):
            below += [name for name, status in batch if stat.S_ISDIR(status.st_mode)]
            yield [
                Found(folder, f"{path}/{name}", status)
                for name, status in batch
                if stat.S_ISREG(status.st_mode) and not is_temporary(name)
            ]
        folders += [(f"{folder}/{name}", f"{path}/{name}") for name in sorted(below)]


def find_unread(home: Path, agency: str) -> list[Unread]:
    """What below `home/upload` this process may not read."""
    unread: list[Unread] = []

    def miss(path: str, error: OSError) -> None:
        unread.append(Unread(agency, path, error.strerror or str(error)))

    for batch in walk(home, miss):
        for found in batch:
            if not os.access(found.place, os.R_OK) and found.place.exists():
                miss(found.path, PermissionError(EACCES, os.strerror(EACCES)))
    return unread


def _entries(folder: str, path: str, missed: Missed) -> Iterator[tuple[str, os.stat_result]]:
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if _is_text(entry.name) and (status := _status(entry, path, missed)):
                    yield entry.name, status
    except (FileNotFoundError, NotADirectoryError):
        return
    except OSError as error:
        missed(path, error)


def _status(entry: "os.DirEntry[str]", path: str, missed: Missed) -> os.stat_result | None:
    try:
        return entry.stat(follow_symlinks=False)
    except FileNotFoundError:
        return None
    except OSError as error:
        missed(f"{path}/{entry.name}", error)
        return None


def _is_text(name: str) -> bool:
    """Whether a name is UTF-8, and so can be told to anybody."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
