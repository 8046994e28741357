"""Files in an agency's /exports: put there whole or not at all, looked for, and deleted when their time is over.

The folder belongs to the agency, which may rename and delete in it at any moment, and make folders in it; so every
step is taken from the descriptor of a folder, and no link is followed. A file is ours if it has the name and the
content that we gave it. Anything else is the agency's, and is neither replaced nor deleted.
"""

import hashlib
import os
import secrets
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from enum import StrEnum
from errno import EINVAL, EISDIR, ELOOP, ENOTDIR, EOPNOTSUPP
from pathlib import Path

from server.errors import AppError, Code

AREA = "exports"
BESIDE = ".exporting"
"""What the names of files end with that are being copied."""
DEPTH = 40
"""Folders below each other that are looked into; the door reads paths of 32 parts."""
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_CHUNK = 1024 * 1024

Parts = tuple[str, ...]
"""A folder below the agency's home, part by part."""


@dataclass(frozen=True)
class Known:
    """How a file of ours is known: its name, its size in bytes, and its sha256."""

    name: str
    size: int
    sha256: str


class Sight(StrEnum):
    """What was found where a file was put: it, nothing, or something else that has its name."""

    THERE = "there"
    GONE = "gone"
    ALTERED = "altered"


def parts_of(directory: str) -> Parts:
    """The parts of a directory as an agency writes it. Raises `AppError` invalid if it is not in /exports."""
    parts = tuple(part for part in directory.split("/") if part)
    if not parts or parts[0] != AREA or any(part in (".", "..") or not part.isprintable() for part in parts):
        raise AppError(Code.INVALID, "The directory must be /exports or below it.", "For example: /exports/civil")
    if len(parts) > 8 or any(len(part.encode()) > 255 for part in parts):
        raise AppError(Code.INVALID, "That directory is too deep, or a part of its name too long.")
    return parts


def put(home: Path, folder: Parts, known: Known, source: Path) -> Sight:
    """Copy `source` there under its name; missing folders are made. THERE: it is (or was) there; ALTERED: something
    else has its name, and stays. Raises `AppError` conflict if the folder is none, unavailable if it fails."""
    with _translated(folder), _open(home, folder, make=True) as directory:
        seen = _look(directory, known)
        if seen != Sight.GONE:
            return seen
        given = _copy(directory, known.name, source)
        os.fsync(directory)
        return Sight.THERE if given else _look(directory, known)  # somebody else may have put it there just now


def look(home: Path, folder: Parts, known: Known) -> Sight:
    """What has the file's name in that folder. Raises OSError if the disk fails."""
    try:
        with _open(home, folder) as directory:
            return _look(directory, known)
    except (FileNotFoundError, NotADirectoryError):
        return Sight.GONE
    except OSError as error:
        if error.errno == ELOOP:
            return Sight.GONE
        raise


def search(home: Path, known: Known) -> Parts | None:
    """The folder in or below /exports that has the file under its name and with its content; None: none has."""
    for folder, directory, names in _walk(home):
        if known.name in names and _look(directory, known) == Sight.THERE:
            return folder
    return None


def remove(home: Path, files: Mapping[str, Known]) -> list[str]:
    """Delete those files (by name) wherever they are in /exports; the paths of what was deleted."""
    removed = []
    for folder, directory, names in _walk(home):
        for name in names & files.keys():
            with _opened(directory, files[name]) as (found, descriptor):
                if found == Sight.THERE and _is_still(directory, name, descriptor):
                    os.unlink(name, dir_fd=directory)
                    removed.append("/" + "/".join((*folder, name)))
    return removed


@contextmanager
def _open(home: Path, folder: Parts, make: bool = False) -> Iterator[int]:
    """A descriptor of the folder, reached part by part."""
    descriptor = os.open(home, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for part in folder:
            if make:
                with suppress(FileExistsError):
                    os.mkdir(part, 0o700, dir_fd=descriptor)
            deeper = os.open(part, _FOLDER, dir_fd=descriptor)
            os.close(descriptor)
            descriptor = deeper
        yield descriptor
    finally:
        os.close(descriptor)


def _walk(home: Path) -> Iterator[tuple[Parts, int, set[str]]]:
    """All folders from /exports on, each with a descriptor and the names in it; those that vanish are left out.

    By renaming, an agency can nest folders without end. Those that are too deep for any path of its own are left out.
    """
    folders: list[Parts] = [(AREA,)]
    while folders:
        folder = folders.pop()
        try:
            with _open(home, folder) as directory:
                names, below = _names(directory)
                if len(folder) < DEPTH:
                    folders += [(*folder, name) for name in below]
                yield folder, directory, names
        except OSError as error:
            if error.errno not in (ENOTDIR, ELOOP) and not isinstance(error, FileNotFoundError):
                raise


def _names(directory: int) -> tuple[set[str], list[str]]:
    """The names of files and of folders."""
    files, folders = set(), []
    with os.scandir(directory) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                folders.append(entry.name)
            elif entry.is_file(follow_symlinks=False):
                files.add(entry.name)
    return files, folders


def _look(directory: int, known: Known) -> Sight:
    with _opened(directory, known) as (found, _):
        return found


@contextmanager
def _opened(directory: int, known: Known) -> Iterator[tuple[Sight, int]]:
    """What has that name, and a descriptor of it if it is a plain file of that size. Only such a one is read."""
    try:
        status = os.stat(known.name, dir_fd=directory, follow_symlinks=False)
        if not stat.S_ISREG(status.st_mode) or status.st_size != known.size:
            yield Sight.ALTERED, -1
            return
        descriptor = os.open(known.name, _FILE, dir_fd=directory)
    except FileNotFoundError:
        yield Sight.GONE, -1
        return
    try:
        yield (Sight.THERE if _hash(descriptor) == known.sha256 else Sight.ALTERED), descriptor
    finally:
        os.close(descriptor)


def _hash(descriptor: int) -> str:
    digest = hashlib.sha256()
    while chunk := os.read(descriptor, _CHUNK):
        digest.update(chunk)
    return digest.hexdigest()


def _is_still(directory: int, name: str, descriptor: int) -> bool:
    """Whether the name is that of the open file, which nobody has touched while it was read."""
    now, then = os.stat(name, dir_fd=directory, follow_symlinks=False), os.fstat(descriptor)
    return os.path.samestat(now, then) and now.st_mtime_ns == then.st_mtime_ns and now.st_size == then.st_size


def _copy(directory: int, name: str, source: Path) -> bool:
    """Copy `source`, and only then give the copy its name; False if that is taken meanwhile."""
    beside, descriptor = _begin(directory)
    try:
        with os.fdopen(descriptor, "wb") as target, source.open("rb") as content:
            while chunk := content.read(_CHUNK):
                target.write(chunk)
            target.flush()
            os.fsync(target.fileno())
            return _give_name(directory, target.fileno(), beside, name)
    finally:
        if beside:
            with suppress(FileNotFoundError):
                os.unlink(beside, dir_fd=directory)


def _begin(directory: int) -> tuple[str, int]:
    """A new file without a name (open(2), O_TMPFILE); or, where there are no such files, with one that nobody reads."""
    flags = os.O_WRONLY | os.O_CLOEXEC
    try:
        return "", os.open(".", flags | os.O_TMPFILE, 0o600, dir_fd=directory)
    except OSError as error:
        if error.errno not in (EOPNOTSUPP, EISDIR, EINVAL):
            raise
    beside = f".{secrets.token_hex(8)}{BESIDE}"
    return beside, os.open(beside, flags | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600, dir_fd=directory)


def _give_name(directory: int, descriptor: int, beside: str, name: str) -> bool:
    """Give the file its name, which a link never takes from another; False if it is taken."""
    try:
        # With a directory fd Python calls linkat(2) with AT_SYMLINK_FOLLOW: the very file that is open.
        os.link(f"/proc/self/fd/{descriptor}", name, dst_dir_fd=directory, follow_symlinks=True)
    except FileExistsError:
        return False
    except OSError:
        if not beside:
            raise
        with suppress(FileNotFoundError):  # a file system without links: looking first is the best there is
            os.stat(name, dir_fd=directory, follow_symlinks=False)
            return False
        os.rename(beside, name, src_dir_fd=directory, dst_dir_fd=directory)
    return True


@contextmanager
def _translated(folder: Parts) -> Iterator[None]:
    path = "/" + "/".join(folder)
    try:
        yield
    except OSError as error:
        if error.errno in (ENOTDIR, ELOOP):
            hint = "Rename what has that name; the file follows by itself."
            raise AppError(Code.CONFLICT, f"{path} is not a folder of the agency.", hint) from error
        why = (error.strerror or "unknown").lower()
        hint = "Check free space and the owner of the agency's home; it is tried again."
        raise AppError(Code.UNAVAILABLE, f"The file cannot be put into {path}: {why}.", hint) from error
