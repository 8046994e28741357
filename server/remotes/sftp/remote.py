"""The files of a remote SFTP server, over one connection.

All that it says is looked at before it is used: names, sizes, how much it sends, how long it takes.
"""

import asyncio
import os
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import asyncssh
from asyncssh import FILEXFER_TYPE_DIRECTORY, FILEXFER_TYPE_REGULAR, FILEXFER_TYPE_UNKNOWN

from server.errors import AppError, Code
from server.logs import Log
from server.remotes.landing import land
from server.remotes.places import (
    MOST_BYTES,
    MOST_FILES,
    beside,
    changed,
    check_same,
    crowded,
    instant,
    missing,
    normal,
    place_of,
    read_name,
)
from server.remotes.port import Progress, RemoteFile
from server.remotes.server import Server
from server.remotes.sftp.refusals import translated

REQUESTS = 64  # reads that are asked for before the first is answered
# Small: a server is taken for silent if no block has come whole within its timeout, however slow the line.
BLOCK = 32 * 1024
LEAST_BLOCK = 4096
SENT_AT_ONCE = 2 * BLOCK


class SftpRemote:
    """An open connection to a server; see `Remote` for what each call does."""

    def __init__(self, server: Server, client: asyncssh.SFTPClient, log: Log) -> None:
        self._server = server
        self._client = client
        self._log = log

    async def list(self, directory: str) -> list[RemoteFile]:
        """See `Remote`."""
        found: dict[str, RemoteFile] = {}
        left_out = 0
        async with aclosing(self._entries(directory)) as entries:
            async for raw, attrs in entries:
                name = read_name(raw)
                left_out += name is None and raw not in (b".", b"..")
                for file in await self._entry(normal(directory, name), attrs) if name else []:
                    found[file.path] = file
        if left_out:
            self._log.warning(
                "names left out that cannot be used", server=self._server.name, directory=directory, names=left_out
            )
        return sorted(found.values(), key=lambda file: file.path)

    async def look(self, path: str) -> RemoteFile:
        """See `Remote`."""
        async with self._patience(path):
            attrs = await self._client.lstat(self._place(path))
        if not _is_file(attrs):
            raise missing(path)
        return _described(normal(path), attrs)

    async def fetch(self, file: RemoteFile, target: Path, progress: Progress) -> None:
        """See `Remote`."""
        check_same(file, await self.look(file.path))
        async with self._opened(file.path, "rb") as handle:
            await land(file, target, progress, lambda at: self._blocks(handle, file, at))
        check_same(file, await self.look(file.path))

    async def place(self, source: Path, directory: str, name: str) -> None:
        """See `Remote`."""
        if not await self.has_directory(directory):
            raise missing(directory)
        draft, final = normal(directory, beside(name)), normal(directory, name)
        try:
            async with self._opened(draft, "wb", final) as handle:
                size = await self._send(source, handle, final)
            if (await self.look(draft)).size != size:
                raise AppError(
                    Code.INVALID,
                    f"The server {self._server.name} did not keep all of {final}.",
                    "Check its free space and quota; it is tried again.",
                )
            await self._rename(draft, final)
        except BaseException:
            with suppress(AppError):
                await self._unlink(draft)
            raise

    async def remove(self, file: RemoteFile) -> None:
        """See `Remote`."""
        check_same(file, await self.look(file.path))
        await self._unlink(file.path)

    async def has_directory(self, directory: str) -> bool:
        """See `Remote`."""
        try:
            async with self._patience(directory):
                attrs = await self._client.stat(self._place(directory))
        except AppError as error:
            if error.code is Code.NOT_FOUND:
                return False
            raise
        return attrs.type in (FILEXFER_TYPE_DIRECTORY, FILEXFER_TYPE_UNKNOWN)

    async def _entries(self, directory: str) -> AsyncGenerator[tuple[bytes, asyncssh.SFTPAttrs], None]:
        """What the server lists, unlooked at."""
        entries = self._client.scandir(self._place(directory))
        number = 0
        try:
            while True:
                async with self._patience(directory):
                    entry = await anext(entries, None)
                if entry is None:
                    return
                number += 1
                if number > MOST_FILES:
                    raise crowded(directory)
                yield os.fsencode(entry.filename), entry.attrs
        finally:
            with suppress(AppError):
                async with self._patience(directory):
                    await entries.aclose()  # type: ignore[attr-defined]  # it is a generator

    async def _entry(self, path: str, attrs: asyncssh.SFTPAttrs) -> Sequence[RemoteFile]:
        """The file of an entry of a listing, or none if it is no plain file (any more)."""
        if attrs.size is None or attrs.mtime is None or attrs.type == FILEXFER_TYPE_UNKNOWN:
            with suppress(AppError):
                return [await self.look(path)]
            return []
        return [_described(path, attrs)] if _is_file(attrs) else []

    async def _blocks(self, handle: Any, file: RemoteFile, at: int) -> AsyncGenerator[bytes, None]:
        """The bytes from `at` to the end that the file should have; ends earlier where the server says so."""
        length = max(min(self._client.limits.max_read_len or BLOCK, BLOCK), LEAST_BLOCK)
        asked: deque[tuple[int, int, asyncio.Future[bytes]]] = deque()
        try:
            while at < file.size or asked:
                while at < file.size and len(asked) < REQUESTS:
                    size = min(length, file.size - at)
                    asked.append((at, size, asyncio.ensure_future(handle.read(size, at))))
                    at += size
                start, size, answer = asked[0]
                async with self._patience(file.path):
                    block = await answer
                if not block or len(block) > size:
                    raise changed(file.path)
                asked.popleft()
                if len(block) < size:  # it may give less than was asked for
                    start, size = start + len(block), size - len(block)
                    asked.appendleft((start, size, asyncio.ensure_future(handle.read(size, start))))
                yield block
        finally:
            for *_, answer in asked:
                answer.cancel()
            await asyncio.gather(*(answer for *_, answer in asked), return_exceptions=True)

    async def _send(self, source: Path, handle: Any, path: str) -> int:
        """Write all of `source`; the bytes it has."""
        at = 0
        length = max(min(self._client.limits.max_write_len or BLOCK, SENT_AT_ONCE), LEAST_BLOCK)
        with source.open("rb") as given:
            while block := await asyncio.to_thread(given.read, length):
                async with self._patience(path):
                    await handle.write(block, at)
                at += len(block)
        with suppress(AppError):  # many servers cannot
            async with self._patience(path):
                await handle.fsync()
        return at

    async def _rename(self, draft: str, final: str) -> None:
        """In one step where the server can; else what is there must go first.

        But only if the server has refused: a rename that is answered late was done, and what is there is ours.
        """
        old, new = self._place(draft), self._place(final)
        async with self._patience(final):
            with suppress(asyncssh.SFTPOpUnsupported):
                await self._client.posix_rename(old, new)
                return
        try:
            async with self._patience(final):
                await self._client.rename(old, new)
                return
        except AppError as refused:
            if refused.code is Code.UNAVAILABLE or not await self._is_there(draft):
                raise
        with suppress(AppError):  # something of that name is there, most probably
            await self._unlink(final)
        async with self._patience(final):
            await self._client.rename(old, new)

    async def _is_there(self, path: str) -> bool:
        try:
            await self.look(path)
        except AppError as error:
            if error.code is Code.NOT_FOUND:
                return False
            raise
        return True

    async def _unlink(self, path: str) -> None:
        async with self._patience(path):
            await self._client.remove(self._place(path))

    @asynccontextmanager
    async def _opened(self, path: str, mode: str, told: str = "") -> AsyncIterator[Any]:
        """An open file; `told` is what errors call it."""
        async with self._patience(told or path):
            # Without a block size of its own it asks for what it is told, and starts no tasks that nobody waits for.
            handle = await self._client.open(self._place(path), mode, block_size=0)
        try:
            yield handle
        except BaseException:
            with suppress(AppError):
                await self._close(handle, told or path)
            raise
        await self._close(handle, told or path)

    async def _close(self, handle: Any, path: str) -> None:
        async with self._patience(path):
            await handle.close()

    @asynccontextmanager
    async def _patience(self, path: str) -> AsyncIterator[None]:
        """Wait for one answer as long as the server's timeout says; errors are `AppError`s that name `path`."""
        with translated(self._server, path):
            async with asyncio.timeout(self._server.timeout):
                yield

    def _place(self, path: str) -> bytes:
        return place_of(self._server.directory, path).encode()


def _is_file(attrs: asyncssh.SFTPAttrs) -> bool:
    """Some servers do not tell what a thing is: then what has a size is a file."""
    regular = attrs.type == FILEXFER_TYPE_REGULAR
    return regular or (attrs.type == FILEXFER_TYPE_UNKNOWN and attrs.size is not None)


def _described(path: str, attrs: asyncssh.SFTPAttrs) -> RemoteFile:
    return RemoteFile(path, min(attrs.size or 0, MOST_BYTES), instant(attrs.mtime))
