"""What a client is told about files and directories: attributes and the line of `ls -l`.

Owner, group and modes are fixed words and numbers: what the machine's own are is nobody's business, WinSCP takes small
files with mode 0777 for links, and nobody can change them here.
"""

import os
import stat
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable

from asyncssh import SFTPAttrs, SFTPName

FILE_MODE = stat.S_IFREG | 0o644
DIRECTORY_MODE = stat.S_IFDIR | 0o755
ROOT_MODE = stat.S_IFDIR | 0o555
OWNER = "agency"
OWNER_ID = 1000
HALF_YEAR = 182 * 24 * 3600
LISTED_AT_ONCE = 128


class Listing(AsyncIterator[SFTPName]):
    """The entries of an open directory, of which no more is kept than what is not told yet.

    `describe` makes entries of a batch of names; those that have vanished it leaves out.
    """

    def __init__(self, names: list[str], describe: Callable[[list[str]], Awaitable[list[SFTPName]]]) -> None:
        self._names = deque(names)
        self._described: deque[SFTPName] = deque()
        self._describe = describe

    @property
    def left(self) -> int:
        """How many are not told yet."""
        return len(self._names) + len(self._described)

    async def __anext__(self) -> SFTPName:
        """The next one."""
        while not self._described:
            if not self._names:
                raise StopAsyncIteration
            batch = [self._names.popleft() for _ in range(min(LISTED_AT_ONCE, len(self._names)))]
            self._described.extend(await self._describe(batch))
        return self._described.popleft()


def describe(status: os.stat_result) -> SFTPAttrs:
    """The attributes of a file or directory below `/`."""
    mode = DIRECTORY_MODE if stat.S_ISDIR(status.st_mode) else FILE_MODE
    return _attributes(mode, status.st_size, int(status.st_atime), int(status.st_mtime))


def describe_root(at: float) -> SFTPAttrs:
    """The attributes of `/`, which was last changed at `at` (seconds since 1970)."""
    return _attributes(ROOT_MODE, 4096, int(at), int(at))


def list_name(name: str, attributes: SFTPAttrs, now: float) -> SFTPName:
    """One entry of a directory listing; `now` decides whether its line shows a time or a year (UTC)."""
    modified = time.gmtime(attributes.mtime or 0)
    recent = 0 <= now - (attributes.mtime or 0) < HALF_YEAR
    when = time.strftime("%b %e %H:%M" if recent else "%b %e  %Y", modified)
    mode = stat.filemode(attributes.permissions or 0)
    line = f"{mode} {1:>4} {OWNER:<8} {OWNER:<8} {attributes.size or 0:>8} {when} {name}"
    return SFTPName(name.encode(), line.encode(), attributes)


def _attributes(mode: int, size: int, accessed: int, modified: int) -> SFTPAttrs:
    # Version 3 has 32 unsigned bits for a time.
    return SFTPAttrs(
        size=size,
        uid=OWNER_ID,
        gid=OWNER_ID,
        permissions=mode,
        atime=accessed & 0xFFFFFFFF,
        mtime=modified & 0xFFFFFFFF,
    )
