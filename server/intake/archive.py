"""The originals of all files that were taken, named by their sha256, so that any can be replayed.

A file moves here from the spool by a hard link, so nothing is copied and a crash between the two steps loses nothing.
"""

import hashlib
import os
from contextlib import suppress
from pathlib import Path

CHUNK = 1024 * 1024


class Archive:
    """A directory `ab/abcdef...`, one file for one content."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def path(self, sha256: str) -> Path:
        """Where the content of that hash (64 hex digits) is kept."""
        return self._root / sha256[:2] / sha256

    def keep(self, source: Path, sha256: str | None) -> str | None:
        """Link the file at `source` into the archive; its sha256, or None if there is no such file (any more)."""
        if not source.exists():
            return sha256
        name = sha256 or hash_file(source)
        target = self.path(name)
        target.parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileExistsError):
            os.link(source, target)
        return name


def hash_file(path: Path) -> str:
    """The sha256 of a file's content, 64 hex digits."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
