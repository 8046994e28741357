"""Reaching a server, whatever is behind it."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from keys.cipher import Cipher
from server.db import Database
from server.logs import Log
from server.remotes.port import Remote


@asynccontextmanager
async def open_remote(
    database: Database, cipher: Callable[[], Cipher], log: Log, server_id: str, home: Path
) -> AsyncIterator[Remote]:
    """A connection to the server of that id, as it is configured just now; `home` is the agency's that asks.

    A host key that is not the trusted one is noted on the server's row and logged. Raises `AppError`.
    """
    raise NotImplementedError
    yield  # pragma: no cover
