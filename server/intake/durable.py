"""Small files that are there whole or not at all, also after a power cut."""

import json
import os
import secrets
import threading
from pathlib import Path
from typing import Any


class DirectorySync:
    """`fsync` of one directory, shared by everybody who waits for it (group commit).

    A caller needs one fsync that *begins* after its own change. Whoever waited while another fsync ran shares the next.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._asked = 0
        self._done = 0
        self._counting = threading.Lock()
        self._flushing = threading.Lock()

    def flush(self) -> None:
        """Return when every change made before this call is on the disk."""
        with self._counting:
            self._asked += 1
            mine = self._asked
        with self._flushing:
            if self._done >= mine:
                return
            with self._counting:
                upto = self._asked
            sync_directory(self._directory)
            self._done = upto


def sync_directory(directory: Path) -> None:
    """fsync the names in `directory`."""
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def write_json(file: Path, data: dict[str, Any], sync: DirectorySync | None) -> None:
    """Write `file` beside its name and rename it into place; with `sync`, on the disk before this returns."""
    beside = file.with_name(f"{file.name}.{secrets.token_hex(4)}.tmp")
    try:
        _write(beside, json.dumps(data).encode(), sync is not None)
        beside.rename(file)
    except OSError:
        beside.unlink(missing_ok=True)
        raise
    if sync:
        sync.flush()


def read_json(file: Path) -> dict[str, Any]:
    """The object in `file`; raises OSError or ValueError."""
    data = json.loads(file.read_bytes())
    if not isinstance(data, dict):
        raise ValueError(f"{file.name} holds no JSON object")
    return data


def _write(file: Path, content: bytes, durable: bool) -> None:
    fd = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(fd, "wb") as stream:
        stream.write(content)
        stream.flush()
        if durable:
            os.fsync(fd)
