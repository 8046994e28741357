"""Small files that are there whole or not at all, also after a power cut."""

import json
import os
import secrets
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

NEW = os.O_CREAT | os.O_EXCL
AT_ONCE = 64 * 1024


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


def write_json(file: str, data: dict[str, Any], sync: DirectorySync | None) -> None:
    """Write `file` beside its name and rename it into place; with `sync`, on the disk before this returns."""
    beside = f"{file}.{secrets.token_hex(4)}.tmp"
    _write_line(beside, NEW, data, sync is not None)
    try:
        Path(beside).rename(file)
    except OSError:
        Path(beside).unlink()
        raise
    if sync:
        sync.flush()


def create_json(file: str, data: dict[str, Any], sync: DirectorySync | None) -> None:
    """Write the new `file`, or as `write_json` if there is one. Cheaper than that: one name less comes and goes.

    Whoever dies in the middle leaves it empty. So until this has returned, nothing may depend on the file.
    """
    try:
        _write_line(file, NEW, data, sync is not None)
    except FileExistsError:
        write_json(file, data, sync)
        return
    if sync:
        sync.flush()


def line(data: dict[str, Any]) -> bytes:
    """The object as a line of its own."""
    return json.dumps(data).encode() + b"\n"


def append_json(file: str, data: dict[str, Any], durable: bool) -> None:
    """Add another object to `file`, in a line of its own. Raises FileNotFoundError if there is no such file."""
    _write_line(file, os.O_APPEND, data, durable)


def read_json(file: str) -> list[dict[str, Any]]:
    """The objects in `file`, one in each line, at least one; raises OSError or ValueError.

    A line that was added and is not whole does not count.
    """
    return parse_lines(read_bytes(file))


def parse_lines(content: bytes) -> list[dict[str, Any]]:
    """The objects in the content of such a file (see `read_json`). Raises ValueError."""
    first, *more = content.splitlines(keepends=True) or [b""]
    return [_parse(first), *(_parse(line) for line in more if line.endswith(b"\n"))]


def _parse(line: bytes) -> dict[str, Any]:
    data = json.loads(line)
    if not isinstance(data, dict):
        raise ValueError("no JSON object")
    return data


def is_there(file: str | Path) -> bool:
    """Whether there is anything of that name. Raises OSError if that cannot be told."""
    try:
        os.lstat(file)
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


def read_bytes(file: str) -> bytes:
    """All of a small file; raises OSError."""
    fd = os.open(file, os.O_RDONLY | os.O_CLOEXEC)
    try:
        content = os.read(fd, AT_ONCE)
        while len(content) % AT_ONCE == 0 and (more := os.read(fd, AT_ONCE)):
            content += more
        return content
    finally:
        os.close(fd)


def _write_line(file: str, flags: int, data: dict[str, Any], durable: bool) -> None:
    fd = os.open(file, os.O_WRONLY | os.O_CLOEXEC | flags, 0o600)
    try:
        before = os.fstat(fd).st_size if flags & os.O_APPEND else 0
        _write_all(fd, line(data))
        if durable:
            os.fsync(fd)
    except OSError:
        with suppress(OSError):
            os.ftruncate(fd, before) if flags & os.O_APPEND else Path(file).unlink()
        raise
    finally:
        os.close(fd)


def _write_all(fd: int, content: bytes) -> None:
    while content:
        content = content[os.write(fd, content) :]
