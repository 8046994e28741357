"""Files that are found whole or not at all, also in directories that belong to somebody else."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


@contextmanager
def placed(folder: int, draft: str, name: str, mode: int = 0o644) -> Iterator[BinaryIO]:
    """A new file `draft` in the directory of that descriptor, which gets its `name` when the block has ended and all of
    it is on the disk. If that fails, nothing is left of it.

    Raises OSError; FileExistsError if there is such a draft.
    """
    descriptor = os.open(draft, _NEW, mode, dir_fd=folder)
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


def replace_closed(path: Path, content: bytes) -> None:
    """Give a file that only its owner may read this content, and see that its name is on the disk too.

    Several processes may do so at once. Raises OSError.
    """
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with placed(folder, f".{path.name}.{secrets.token_hex(4)}.tmp", path.name, 0o600) as file:
            file.write(content)
        os.fsync(folder)
    finally:
        os.close(folder)
