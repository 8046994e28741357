"""Rubbish: what a crash left half made, and nobody will ever finish."""

from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from server.clock import now

AGE = 3600.0


def drop_stale(files: Iterable[Path], age: float = AGE) -> int:
    """Delete those of the files that nothing has happened to for `age` seconds; how many that were.

    One that cannot be deleted just now is kept: whoever sweeps comes again.
    """
    count = 0
    for file in files:
        with suppress(OSError):
            if is_older(file, age):
                file.unlink()
                count += 1
    return count


def is_older(file: Path, age: float) -> bool:
    """Whether its content or its names have not changed for `age` seconds. Raises OSError."""
    return now().timestamp() - file.stat().st_ctime > age
