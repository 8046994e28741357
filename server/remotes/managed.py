"""Our own endpoint as a server: the home of an agency on this machine.

The home belongs to the agency, which may rename and delete in it at any moment, and somebody may have put a link there;
so each path is walked from the home down, part by part, without following a link, and files are written under a
dot-name and renamed.
"""

import asyncio
import errno
import os
import shutil
import stat
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from server.errors import AppError, Code
from server.logs import Log
from server.placing import placed
from server.remotes.landing import land
from server.remotes.places import (
    MOST_FILES,
    beside,
    check_same,
    crowded,
    instant,
    missing,
    normal,
    parts_of,
    read_name,
)
from server.remotes.port import Progress, RemoteFile

BLOCK = 1024 * 1024
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class ManagedRemote:
    """An agency's home; `root` is the directory in it that is taken for `/`."""

    def __init__(self, home: Path, root: str, log: Log) -> None:
        self._home = home
        self._root = parts_of(root)
        self._log = log

    async def list(self, directory: str) -> list[RemoteFile]:
        """See `Remote`."""
        return [*await asyncio.to_thread(self._list, directory)]

    async def look(self, path: str) -> RemoteFile:
        """See `Remote`."""
        return await asyncio.to_thread(self._look, path)

    async def fetch(self, file: RemoteFile, target: Path, progress: Progress) -> None:
        """See `Remote`."""
        handle = await _handed_over(asyncio.ensure_future(asyncio.to_thread(self._open, file)))
        try:
            await land(file, target, progress, lambda at: _blocks(handle, file.path, at))
        finally:
            os.close(handle)
        check_same(file, await self.look(file.path))

    async def place(self, source: Path, directory: str, name: str) -> None:
        """See `Remote`."""
        await asyncio.to_thread(self._place, source, directory, name)

    async def remove(self, file: RemoteFile) -> None:
        """See `Remote`."""
        await asyncio.to_thread(self._remove, file)

    async def has_directory(self, directory: str) -> bool:
        """See `Remote`."""
        return await asyncio.to_thread(self._has_directory, directory)

    def _open(self, file: RemoteFile) -> int:
        with self._parent(file.path) as (folder, name):
            handle = os.open(name, _FILE, dir_fd=folder)
        try:
            check_same(file, _described(file.path, os.fstat(handle)))
        except BaseException:
            os.close(handle)
            raise
        return handle

    def _has_directory(self, directory: str) -> bool:
        try:
            with self._directory(directory):
                return True
        except AppError as error:
            if error.code is Code.NOT_FOUND:
                return False
            raise

    def _list(self, directory: str) -> Sequence[RemoteFile]:
        found, left_out = [], 0
        with self._directory(directory) as folder, os.scandir(folder) as entries:
            for number, entry in enumerate(entries):
                if number >= MOST_FILES:
                    raise crowded(directory)
                name = read_name(os.fsencode(entry.name))
                left_out += name is None
                with suppress(FileNotFoundError):
                    status = entry.stat(follow_symlinks=False)
                    if name is not None and stat.S_ISREG(status.st_mode):
                        found.append(_described(normal(directory, name), status))
        if left_out:
            self._log.warning("names left out that cannot be used", directory=directory, names=left_out)
        return sorted(found, key=lambda file: file.path)

    def _look(self, path: str) -> RemoteFile:
        with self._parent(path) as (folder, name):
            status = os.stat(name, dir_fd=folder, follow_symlinks=False)
        if not stat.S_ISREG(status.st_mode):
            raise missing(path)
        return _described(normal(path), status)

    def _place(self, source: Path, directory: str, name: str) -> None:
        with self._directory(directory) as folder, source.open("rb") as given:
            draft = beside(name)
            with suppress(FileNotFoundError):
                os.unlink(draft, dir_fd=folder)
            with placed(folder, draft, name) as file:
                shutil.copyfileobj(given, file, BLOCK)
            os.fsync(folder)

    def _remove(self, file: RemoteFile) -> None:
        with self._parent(file.path) as (folder, name):
            check_same(file, _described(file.path, os.stat(name, dir_fd=folder, follow_symlinks=False)))
            os.unlink(name, dir_fd=folder)

    @contextmanager
    def _parent(self, path: str) -> Iterator[tuple[int, str]]:
        *above, name = parts_of(path) or [""]
        with self._directory("/".join(above), path) as folder:
            yield folder, name

    @contextmanager
    def _directory(self, directory: str, path: str = "") -> Iterator[int]:
        """A descriptor of the directory; turns what goes wrong with it, or in it with `path`, into `AppError`."""
        what = path or directory
        try:
            folder = os.open(self._home, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                for part in (*self._root, *parts_of(directory)):
                    deeper = os.open(part, _DIRECTORY, dir_fd=folder)
                    os.close(folder)
                    folder = deeper
                yield folder
            finally:
                os.close(folder)
        except OSError as error:
            raise _refusal(what, error) from error


async def _handed_over(opening: asyncio.Future[int]) -> int:
    """What a thread opens. Who is cancelled meanwhile leaves it to be closed, however long the opening takes."""
    try:
        return await asyncio.shield(opening)
    except asyncio.CancelledError:
        opening.add_done_callback(_close)
        raise


def _close(opened: asyncio.Future[int]) -> None:
    if not opened.cancelled() and opened.exception() is None:
        os.close(opened.result())


async def _blocks(handle: int, path: str, at: int) -> AsyncGenerator[bytes, None]:
    while block := await _read(handle, path, at):
        yield block
        at += len(block)


async def _read(handle: int, path: str, at: int) -> bytes:
    try:
        return await asyncio.to_thread(os.pread, handle, BLOCK, at)
    except OSError as error:
        raise _refusal(path, error) from error


def _described(path: str, status: os.stat_result) -> RemoteFile:
    version = f"{status.st_ino}-{status.st_mtime_ns}"
    return RemoteFile(path, status.st_size, instant(status.st_mtime_ns / 1_000_000_000), version)


def _refusal(what: str, error: OSError) -> AppError:
    if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):  # a link is no directory of the agency's
        return missing(what)
    why = (error.strerror or "unknown error").lower()
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return AppError(
            Code.DENIED, f"{what} of the agency's home cannot be used ({why}).", "Give the home to dropslot's user."
        )
    if error.errno in (errno.EISDIR, errno.EEXIST, errno.ENOTEMPTY):
        return AppError(Code.CONFLICT, f"A folder in {what} has the name of a file that is to be placed.", "Rename it.")
    return AppError(Code.UNAVAILABLE, f"{what} of the agency's home cannot be used ({why}).", "Check the disk.")
