"""The near end of a fetch: our own disk fails, and who fetches is cancelled while it writes."""

import asyncio
import errno
import os
import threading
from collections.abc import AsyncGenerator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from server.errors import AppError
from server.remotes.landing import land
from server.remotes.port import RemoteFile

FILE = RemoteFile("/in/a.csv", 5, datetime.fromtimestamp(0, UTC))

pytestmark = pytest.mark.sqlite_only


async def hello(at: int) -> AsyncGenerator[bytes, None]:
    yield b"hello"[at:]


def test_a_full_disk_here_is_no_fault_of_the_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "pwrite", full)
    with pytest.raises(AppError, match="no space left") as refused:
        asyncio.run(land(FILE, tmp_path / "target", lambda _: None, hello))
    assert refused.value.code == "internal"


def test_a_directory_that_is_away_here_is_no_fault_of_the_server(tmp_path: Path) -> None:
    with pytest.raises(AppError, match="data directory") as refused:
        asyncio.run(land(FILE, tmp_path / "none" / "target", lambda _: None, hello))
    assert refused.value.code == "internal"


def test_who_is_cancelled_while_it_writes_closes_only_afterwards(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writing, go_on, write = threading.Event(), threading.Event(), os.pwrite
    other = tmp_path / "other"

    def slow(handle: int, block: bytes, at: int) -> int:
        writing.set()
        go_on.wait(10)
        return write(handle, block, at)

    monkeypatch.setattr(os, "pwrite", slow)

    async def play() -> None:
        landed = asyncio.create_task(land(FILE, tmp_path / "target", lambda _: None, hello))
        await asyncio.to_thread(writing.wait, 10)
        landed.cancel()
        await asyncio.sleep(0.05)
        landed.cancel()
        await asyncio.sleep(0.05)
        handle = os.open(other, os.O_RDWR | os.O_CREAT)  # gets the number if it is free
        go_on.set()
        with pytest.raises(asyncio.CancelledError):
            await landed
        os.close(handle)

    asyncio.run(play())
    assert other.read_bytes() == b""
    assert (tmp_path / "target").read_bytes() == b"hello"
