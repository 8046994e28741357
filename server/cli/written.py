"""Files that a command writes where a person says: whole or not at all."""

import errno
import os
import stat
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from server.cli.place import look
from server.errors import AppError, Code

_FULL = (errno.ENOSPC, errno.EDQUOT)


@contextmanager
def new_files(files: Mapping[Path, tuple[bytes, int]], hint: str) -> Iterator[None]:
    """Write each content with its mode to a path where nothing is. If that or the block fails, none of them stays.

    Raises `AppError`, with the `hint` if another path may help.
    """
    made: list[Path] = []
    try:
        for path, (content, mode) in files.items():
            try:
                _write_new(path, content, mode, made)
            except OSError as error:
                raise unwritable(path, error, hint) from error
        yield
    except BaseException:
        for path in made:
            with suppress(OSError):
                path.unlink()
        raise


def _write_new(path: Path, content: bytes, mode: int, made: list[Path]) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    made.append(path)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(descriptor)


@contextmanager
def closed_file(path: Path) -> Iterator[BinaryIO]:
    """What is written gets that name when the block has ended, and only its owner may read it, for it holds records.

    A device or a pipe is written where it is. Raises `AppError`.
    """
    there = look(path)
    try:
        if there is None or stat.S_ISREG(there.st_mode):
            with _replaced(path.resolve()) as file:
                yield file
        else:
            with path.open("wb") as file:
                yield file
    except OSError as error:
        raise unwritable(path, error) from error


@contextmanager
def _replaced(path: Path) -> Iterator[BinaryIO]:
    descriptor, name = tempfile.mkstemp(prefix=".dropslot-", dir=path.parent)
    beside = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
        beside.replace(path)
    except BaseException:
        with suppress(OSError):
            beside.unlink()
        raise


def unwritable(path: Path, error: OSError, hint: str = "") -> AppError:
    """What a person is told; the `hint` where another path may help, which it does not on a full disk."""
    sentence = f"{path} cannot be written ({error.strerror})."
    if error.errno in _FULL:
        return AppError(Code.UNAVAILABLE, sentence, "Free some space.")
    return AppError(Code.INVALID, sentence, hint)
