"""Where the files of exports are made, and kept until the next run, out of the agencies' reach."""

import os
import shutil
import time
from collections.abc import Callable, Iterable
from pathlib import Path

YOUNG = 24 * 3600.0
"""Seconds for which a file that no run knows is left alone: its run may be about to be kept."""


class Staging:
    """A folder of files that are named by the ids of their runs."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def place(self, run_id: str) -> Path:
        """Where the file of that run is, or is to be written; the folder is there."""
        self._folder.mkdir(mode=0o700, exist_ok=True)
        return self._folder / run_id

    def settle(self) -> None:
        """Make the names of new files durable."""
        descriptor = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def drop(self, run_id: str) -> None:
        """The file of that run is needed no more."""
        self.place(run_id).unlink(missing_ok=True)

    def tidy(self, needed: Iterable[str], known: Callable[[list[str]], set[str]]) -> int:
        """Delete all but the files of `needed` runs; how many. What is not among the `known` runs only if it is old."""
        kept = set(needed)
        found = [file for file in self._folder.iterdir() if file.name not in kept] if self._folder.is_dir() else []
        runs = known([file.name for file in found]) if found else set()
        old = [file for file in found if file.name in runs or _age(file) > YOUNG]
        for file in old:
            if file.is_dir():  # of a workbook that was not finished
                shutil.rmtree(file, ignore_errors=True)
            else:
                file.unlink(missing_ok=True)
        return len(old)


def _age(file: Path) -> float:
    try:
        return time.time() - file.lstat().st_mtime
    except FileNotFoundError:
        return 0.0
