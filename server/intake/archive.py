"""The originals of all files that were taken, named by their sha256, so that any can be replayed.

What lies here nobody else may change: a file that has a name in the agency's home as well (somebody may write into it
there) is copied, by sharing its blocks where the file system can. Any other moves here by a hard link. A crash in
between loses nothing.
"""

import hashlib
import os
import secrets
from contextlib import suppress
from errno import EINVAL, EMLINK, ENOSYS, EOPNOTSUPP, EPERM, EXDEV
from pathlib import Path

from server.intake.durable import sync_directory
from server.intake.rubbish import drop_stale

CHUNK = 1024 * 1024
AT_ONCE = 1 << 30
RUBBISH_AGE = 86400.0  # to copy and to hash the largest file, from the slowest disk, takes less than a day
NO_LINK = (EXDEV, EPERM, EMLINK, EOPNOTSUPP)
NO_SHARING = (EXDEV, EINVAL, ENOSYS, EOPNOTSUPP, EPERM)


class Archive:
    """A directory `ab/abcdef...`, one file for one content. With `durable`, on the disk before it is said to be."""

    def __init__(self, root: Path, durable: bool = True) -> None:
        self._root = root
        self._durable = durable

    def path(self, sha256: str) -> Path:
        """Where the content of that hash (64 hex digits) is kept."""
        return self._root / sha256[:2] / sha256

    def keep(self, source: Path, sha256: str | None) -> str | None:
        """Take the file at `source` into the archive; its sha256, or None if there is no such file (any more).

        None also if it has another content by now than that `sha256`, and the archive does not have that one. Raises
        OSError.
        """
        if not source.exists():
            return sha256
        if sha256 and self._has(sha256, source):
            return sha256
        beside = self._root / f".{secrets.token_hex(8)}.tmp"
        try:
            if not _link(source, beside):
                self._copy(source, beside)
            found = hash_file(beside)
            if sha256 and found != sha256:
                return None
            if not self._has(found, source):
                self._place(beside, found)
        finally:
            beside.unlink(missing_ok=True)
        return found

    def sweep_rubbish(self, age: float = RUBBISH_AGE) -> int:
        """Delete copies that a crash left half made and that are older than `age` seconds; how many files that were."""
        return drop_stale(self._root.glob(".*.tmp"), age)

    def _has(self, sha256: str, source: Path) -> bool:
        """Whether that content is here, as it was, under no name but this one and perhaps that of `source`."""
        kept = self.path(sha256)
        if not kept.exists():
            return False
        own = 2 if source.samefile(kept) else 1
        return kept.stat().st_nlink <= own and hash_file(kept) == sha256

    def _place(self, beside: Path, sha256: str) -> None:
        target = self.path(sha256)
        if not target.parent.exists():
            self._make(target.parent)
        beside.rename(target)
        if self._durable:
            sync_directory(target.parent)

    def _make(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        if self._durable:
            sync_directory(folder.parent)

    def _copy(self, source: Path, target: Path) -> None:
        with source.open("rb") as old, target.open("xb") as new:
            _copy_all(old.fileno(), new.fileno())
            if self._durable:
                os.fsync(new.fileno())


def _link(source: Path, target: Path) -> bool:
    """Link a file that has no other name; False if it has, or cannot be linked there."""
    if source.stat().st_nlink > 1:
        return False
    try:
        os.link(source, target)
    except OSError as error:
        if error.errno not in NO_LINK:
            raise
        return False
    return True


def _copy_all(old: int, new: int) -> None:
    with suppress(_NoSharingError):
        while _share(old, new):
            pass
        return
    while chunk := os.read(old, CHUNK):
        while chunk:
            chunk = chunk[os.write(new, chunk) :]


class _NoSharingError(Exception):
    """The file systems cannot copy by themselves."""


def _share(old: int, new: int) -> int:
    try:
        return os.copy_file_range(old, new, AT_ONCE)
    except OSError as error:
        if error.errno not in NO_SHARING:
            raise
        raise _NoSharingError from error


def hash_file(path: Path) -> str:
    """The sha256 of a file's content, 64 hex digits."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
