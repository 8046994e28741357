"""What is at a path that a person typed: which may be too long to be one, or where nobody lets us look."""

import os
import stat
from pathlib import Path

from server.errors import AppError, Code


def is_file(path: Path) -> bool:
    """Whether a plain file is there, or a link to one. Raises `AppError` invalid if that cannot be told."""
    found = look(path)
    return found is not None and stat.S_ISREG(found.st_mode)


def look(path: Path) -> os.stat_result | None:
    """What is there, links followed; None for nothing. Raises `AppError` invalid if that cannot be told."""
    try:
        return path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise AppError(
            Code.INVALID,
            f"{path} cannot be looked at ({error.strerror}).",
            "Name another path, or run the command as a user who may read it.",
        ) from error
