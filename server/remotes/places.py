"""Directories and names on servers: how they are joined, and which names can be used here."""

from datetime import UTC, datetime

from server.errors import AppError, Code
from server.remotes.port import RemoteFile

MOST_FILES = 250_000
"""So many entries of one directory are read: a listing without an end must not fill our memory."""
NAME_BYTES = 255
MOST_BYTES = 2**63 - 1  # what a column holds; who says more is lying


def parts_of(directory: str) -> tuple[str, ...]:
    """The parts of a directory or path, without empty ones and `.`. Raises `AppError` invalid for `..` and NUL."""
    parts = tuple(part for part in directory.split("/") if part not in ("", "."))
    if ".." in parts or "\0" in directory:
        raise AppError(Code.INVALID, "A directory cannot have '..' in it.", "Name it from the server's directory down.")
    return parts


def place_of(root: str, path: str) -> str:
    """`path` below the directory `root` of a server; relative if `root` is, since then it begins where logins land."""
    parts = (*parts_of(root), *parts_of(path))
    if root.startswith("/"):
        return "/" + "/".join(parts)
    return "/".join(parts) or "."


def normal(directory: str, name: str = "") -> str:
    """The path of a file as the port writes it: from `/` on, below the server's directory."""
    parts = (*parts_of(directory), *([name] if name else []))
    return "/" + "/".join(parts)


def read_name(raw: bytes) -> str | None:
    """A file name of a listing, None for one that cannot be used here.

    That is one with `/` or NUL, `.` and `..`, one that is too long, has control characters or is no UTF-8.
    """
    try:
        name = raw.decode()
    except UnicodeDecodeError:
        return None
    plain = name not in ("", ".", "..") and "/" not in name and len(raw) <= NAME_BYTES
    return name if plain and not any(ord(character) < 0x20 or ord(character) == 0x7F for character in name) else None


def beside(name: str) -> str:
    """The name under which a file is written until it is whole; the end tells it apart, the whole may be too long."""
    return f".{name.encode()[-200:].decode(errors='ignore')}.part"


def instant(seconds: float | None) -> datetime:
    """A modification time in UTC; one that is missing, or that no calendar has, is the epoch (see `RemoteFile`)."""
    try:
        return datetime.fromtimestamp(seconds or 0, UTC)
    except (OverflowError, ValueError, OSError):
        return datetime.fromtimestamp(0, UTC)


def check_same(file: RemoteFile, found: RemoteFile) -> None:
    """Raises `AppError` conflict if what was found is another file than was looked at.

    Versions tell more than times, which some servers write differently in a listing and for the file alone.
    """
    if file.version and found.version:
        same = (found.size, found.version) == (file.size, file.version)
    else:
        same = (found.size, found.modified) == (file.size, file.modified)
    if not same:
        raise changed(file.path)


def changed(path: str) -> AppError:
    """The refusal of a file that is another one by now."""
    return AppError(
        Code.CONFLICT, f"{path} changed while it was looked at.", "It is looked at again in the next cycle."
    )


def missing(path: str) -> AppError:
    """The refusal of a file or directory that is not there."""
    return AppError(Code.NOT_FOUND, f"There is no {path} on the server.", "Create it there, or correct the path.")


def crowded(directory: str) -> AppError:
    """The refusal of a directory with more entries than we read."""
    return AppError(
        Code.INVALID,
        f"{directory} has more than {MOST_FILES} entries.",
        "Move old files elsewhere, or let dropslot delete them after the upload.",
    )
