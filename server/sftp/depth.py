"""How deep a directory may be moved: only so deep that all in it could have been made there."""

import os
from collections.abc import Generator
from contextlib import closing, suppress

from asyncssh import SFTPFailure

from server.sftp.jail import Jail
from server.sftp.paths import DEPTH, AgencyPath

MOST_LOOKED_AT = 100_000  # names: a fifth of a second

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def check_depth(jail: Jail, old: AgencyPath, new: AgencyPath) -> None:
    """Refuse to rename the directory `old` to `new` if something in it would be deeper than `DEPTH` then.

    Only a move further down can do that, so only then it is looked at, and no more of it than `MOST_LOOKED_AT` names.
    Raises `SFTPFailure`, or OSError as `Jail` does.
    """
    if len(new.parts) <= len(old.parts):
        return
    with jail.listing(old) as fd, closing(_depths(fd, len(new.parts) + 1)) as depths:
        for seen, depth in enumerate(depths):
            if depth > DEPTH:
                raise SFTPFailure(f"That would be too deep for what is in it. Directories may be nested {DEPTH} deep.")
            if seen >= MOST_LOOKED_AT:
                raise SFTPFailure("There is too much in that directory to move it further down. Move it in parts.")


def _depths(fd: int, depth: int) -> Generator[int, None, None]:
    """For each name below the directory `fd` how deep it is, `depth` for those that are in it."""
    with os.scandir(fd) as entries:
        for entry in entries:
            yield depth
            with suppress(FileNotFoundError):  # somebody has just deleted it
                if entry.is_dir(follow_symlinks=False):
                    inner = os.open(entry.name, _DIRECTORY, dir_fd=fd)
                    try:
                        yield from _depths(inner, depth + 1)
                    finally:
                        os.close(inner)
