"""Reading a public key from where the operator says it is."""

import sys
from pathlib import Path

from server.errors import AppError, Code

KEY_FILE_BYTES = 64 * 1024


def read_key_file(file: str) -> bytes:
    """What is in the file, or comes from standard input (`-`). Raises `AppError` invalid."""
    try:
        if file == "-":
            return sys.stdin.buffer.read(KEY_FILE_BYTES)
        with Path(file).open("rb") as stream:
            return stream.read(KEY_FILE_BYTES)
    except OSError as error:
        raise AppError(
            Code.INVALID, f"{file} cannot be read ({error.strerror}).", "Name a file with a public key."
        ) from error
