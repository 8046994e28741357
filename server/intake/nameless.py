"""Files that have no name yet (open(2), O_TMPFILE): whoever dies before one has its name leaves nothing behind."""

import os
from errno import EINVAL, EISDIR, EOPNOTSUPP
from pathlib import Path

UNKNOWN_HERE = (EOPNOTSUPP, EISDIR, EINVAL)


def open_nameless(folder: str | Path) -> int:
    """A new, empty file on the file system of `folder`; -1 if it has no such files. Raises OSError."""
    try:
        return os.open(folder, os.O_RDWR | os.O_TMPFILE | os.O_CLOEXEC, 0o600)
    except OSError as error:
        if error.errno in UNKNOWN_HERE:
            return -1
        raise


def link_open(fd: int, name: str, directory: int | None = None) -> None:
    """Give the very file that is open the name `name` (also) in `directory`, a descriptor, unless `name` is absolute.

    Raises OSError; FileExistsError if another file has that name.
    """
    # With a directory's descriptor (which means nothing before an absolute path) Python calls linkat(2) with
    # AT_SYMLINK_FOLLOW, and without one it does not.
    os.link(f"/proc/self/fd/{fd}", name, dst_dir_fd=fd if directory is None else directory, follow_symlinks=True)
