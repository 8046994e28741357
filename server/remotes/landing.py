"""The near end of a fetch: what comes in is written in order, so that a file that was cut off is a beginning.

A later try goes on behind it. The last bytes of the beginning are fetched again and compared: after a power cut, or if
the file was replaced there by one of the same size and time, they differ, and the file is fetched from its start.
"""

import asyncio
import os
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import aclosing, contextmanager, suppress
from pathlib import Path
from typing import Any

from server.errors import AppError, Code
from server.remotes.places import changed
from server.remotes.port import Progress, RemoteFile

OVERLAP = 64 * 1024

Blocks = Callable[[int], AsyncGenerator[bytes, None]]
"""Gives the bytes of a file from an offset on, in order."""


async def land(file: RemoteFile, target: Path, progress: Progress, blocks: Blocks) -> None:
    """Write `file` to `target`, going on behind what is there; afterwards it is whole and fsynced.

    Raises `AppError` conflict if there are more or fewer bytes than `file.size`, internal if our disk fails, and what
    `blocks` raises.
    """
    with _opened(target) as handle:
        there = os.fstat(handle).st_size
        if there > file.size or not await _follow(handle, there, file, progress, blocks):
            await _follow(handle, 0, file, progress, blocks)
        with _ours():
            await _finish(os.fsync, handle)


async def _follow(handle: int, there: int, file: RemoteFile, progress: Progress, blocks: Blocks) -> bool:
    """Fetch what is missing behind the first `there` bytes; False if their end is not that of the file."""
    overlap = min(there, OVERLAP)
    with _ours():
        os.ftruncate(handle, there)
        known, at = os.pread(handle, overlap, there - overlap), there
    progress(at)
    async with aclosing(blocks(there - overlap)) as coming:
        async for block in coming:
            seen, new = block[: len(known)], block[len(known) :]
            if seen != known[: len(seen)]:
                return False
            known = known[len(seen) :]
            if at + len(new) > file.size:
                raise changed(file.path)
            with _ours():
                await _finish(_write, handle, new, at)
            at += len(new)
            progress(at)
    if known or at != file.size:
        raise changed(file.path)
    return True


def _write(handle: int, block: bytes, at: int) -> None:
    view = memoryview(block)
    while view:
        written = os.pwrite(handle, view, at)
        view, at = view[written:], at + written


async def _finish(call: Callable[..., None], *args: Any) -> None:
    """`call` in a thread. Who is cancelled meanwhile waits for its end: with the handle closed before that, the number
    could already be another file's, and these bytes would go there."""
    running = asyncio.ensure_future(asyncio.to_thread(call, *args))
    try:
        await asyncio.shield(running)
    except asyncio.CancelledError:
        while not running.done():
            with suppress(asyncio.CancelledError):
                await asyncio.wait({running})
        raise


@contextmanager
def _opened(target: Path) -> Iterator[int]:
    with _ours():
        handle = os.open(target, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        yield handle
    finally:
        with _ours():
            os.close(handle)


@contextmanager
def _ours() -> Iterator[None]:
    """The disk is ours: what it refuses is no failure of the server, and every other file would meet it too."""
    try:
        yield
    except OSError as error:
        raise AppError(
            Code.INTERNAL,
            f"A file that is fetched cannot be written here ({(error.strerror or 'unknown error').lower()}).",
            "Check that the disk of the data directory has free space and can be written; it is tried again.",
        ) from error
