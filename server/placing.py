"""Files that an agency finds whole or not at all, in directories that belong to it."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import BinaryIO

_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


@contextmanager
def placed(folder: int, draft: str, name: str) -> Iterator[BinaryIO]:
    """A new file `draft` in the directory of that descriptor, which gets its `name` when the block has ended and all of
    it is on the disk. If that fails, nothing is left of it.

    Raises OSError; FileExistsError if there is such a draft.
    """
    descriptor = os.open(draft, _NEW, 0o644, dir_fd=folder)
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.rename(draft, name, src_dir_fd=folder, dst_dir_fd=folder)
    except BaseException:
        with suppress(OSError):
            os.unlink(draft, dir_fd=folder)
        raise
