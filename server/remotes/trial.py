"""Trying a server: who answers, does it let us in, what lies in the directory, and what may we do there."""

import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from server.errors import AppError, Code
from server.remotes.port import Reach, Remote, RemoteFile

LARGEST_TRIAL = 1024 * 1024
SHOWN = 5
TRIAL_NAME = ".dropslot-test.part"
"""A name that says it is not whole (`server.intake.names`): no program at the other end takes the file for news."""
TRIAL_TEXT = b"dropslot was here to see whether it may write. This file can be deleted.\n"


@dataclass(frozen=True)
class Right:
    """What we may do: `allowed` is None if it was not tried; `why` says what was refused, or why it was not tried."""

    what: str
    allowed: bool | None
    why: str = ""


@dataclass(frozen=True)
class Trial:
    """What was seen in `directory`: so many files and bytes, the names of the newest, and our rights."""

    directory: str
    files: int
    size: int
    newest: list[RemoteFile] = field(default_factory=list)
    rights: list[Right] = field(default_factory=list)

    @property
    def good(self) -> bool:
        """Whether nothing was refused."""
        return all(right.allowed is not False for right in self.rights)


async def try_server(reach: Reach, directory: str, write: bool) -> Trial:
    """List the directory, read a file of it, and with `write` place a small file and delete it.

    Raises `AppError` if there is no connection, or the directory cannot be listed.
    """
    async with reach() as remote:
        files = [file for file in await remote.list(directory) if not file.oddity]
        rights = [Right("list", True), await _try_reading(remote, files)]
        if write:
            rights += await _try_writing(remote, directory)
        else:
            rights += [Right(what, None, "--write tries it") for what in ("write", "delete")]
    newest = sorted(files, key=lambda file: file.modified, reverse=True)[:SHOWN]
    return Trial(directory, len(files), sum(file.size for file in files), newest, rights)


async def _try_reading(remote: Remote, files: list[RemoteFile]) -> Right:
    small = min(files, key=lambda file: file.size, default=None)
    if small is None or small.size > LARGEST_TRIAL:
        return Right("read", None, "no file is there" if small is None else "all files are large")
    with tempfile.TemporaryDirectory(prefix="dropslot-trial-") as folder:
        try:
            await remote.fetch(small, Path(folder) / "file", lambda _: None)
        except AppError as error:
            if error.code is Code.CONFLICT:
                return Right("read", None, "the file changed meanwhile")
            return Right("read", False, str(error))
    return Right("read", True)


async def _try_writing(remote: Remote, directory: str) -> list[Right]:
    with tempfile.TemporaryDirectory(prefix="dropslot-trial-") as folder:
        source = Path(folder) / TRIAL_NAME
        source.write_bytes(TRIAL_TEXT)
        try:
            await remote.place(source, directory, TRIAL_NAME)
        except AppError as error:
            return [Right("write", False, str(error)), Right("delete", None, "nothing could be written")]
    try:
        path = f"{directory.rstrip('/')}/{TRIAL_NAME}"
        await remote.remove(await remote.look(path))
    except AppError as error:
        return [Right("write", True), Right("delete", False, f"{error} {TRIAL_NAME} is still there.")]
    return [Right("write", True), Right("delete", True)]
