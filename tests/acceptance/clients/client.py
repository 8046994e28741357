"""What every client of the interoperability matrix is asked to do, in one small interface."""

import re
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from tests.acceptance.court import Court, run_quietly

FAR = 2 * 1024**3
NOTHING: Mapping[str, str] = MappingProxyType({})

#: The operations of the matrix and what its columns are called.
OPERATIONS: Mapping[str, str] = MappingProxyType(
    {
        "put": "put",
        "get": "get",
        "resume_put": "resume up",
        "resume_get": "resume down",
        "rename": "rename",
        "rename_over": "rename over",
        "overwrite": "overwrite",
        "list": "list 10,000",
        "time": "keep time",
        "unicode": "unicode name",
        "long": "255 bytes",
        "empty": "0 bytes",
        "write_far": "write at 2 GiB",
        "read_far": "read at 2 GiB",
    }
)


class Client:
    """A program or library, at home with one court's key. A method fails by raising.

    `cannot` has a reason for each operation that the program has no way to ask for. `replaces` says whether a rename
    onto a name that is taken replaces that file; where it does not, it must leave both files as they are. `compat`:
    it is too old for the default algorithm policy.
    """

    name = ""
    note = ""
    cannot: Mapping[str, str] = NOTHING
    replaces = True
    compat = False

    def __init__(self, court: Court) -> None:
        self.court = court

    @classmethod
    def version(cls) -> str:
        """The version of what is installed; skips the test where nothing is."""
        raise NotImplementedError

    def put(self, local: Path, remote: str, keep_time: bool = False) -> None:
        """Send a file."""
        raise NotImplementedError

    def get(self, remote: str, local: Path) -> None:
        """Fetch a file."""
        raise NotImplementedError

    def resume_put(self, local: Path, remote: str) -> None:
        """Send what is missing of a file that is there in part."""
        raise NotImplementedError

    def resume_get(self, remote: str, local: Path) -> None:
        """Fetch what is missing of a file that is here in part."""
        raise NotImplementedError

    def rename(self, old: str, new: str) -> None:
        """Give a file another name; the strongest rename that the program has."""
        raise NotImplementedError

    def names(self, directory: str) -> list[str]:
        """The names in a directory."""
        raise NotImplementedError

    def write_far(self, remote: str, byte: bytes) -> None:
        """Write one byte at `FAR`, where the file ends; most programs can only resume a file that is as long."""
        local = self.court.folder / "far"
        self._sparse(local, byte)
        try:
            self.resume_put(local, remote)
        finally:
            local.unlink()

    def read_far(self, remote: str) -> bytes:
        """Read the one byte at `FAR`."""
        local = self.court.folder / "far-back"
        self._sparse(local)
        try:
            self.resume_get(remote, local)
            with local.open("rb") as file:
                file.seek(FAR)
                return file.read()
        finally:
            local.unlink()

    def close(self) -> None:
        """Leave."""

    def run(self, *command: str | Path, **options: object) -> str:
        """Run a program that must succeed; what it printed."""
        done = run_quietly([str(part) for part in command], **options)
        assert done.returncode == 0, done.stderr + done.stdout
        return done.stdout

    @staticmethod
    def _sparse(local: Path, last: bytes = b"") -> None:
        with local.open("wb") as file:
            file.truncate(FAR)
            file.seek(FAR)
            file.write(last)


def first_version(text: str) -> str:
    """The first thing in `text` that looks like a version."""
    found = re.search(r"\d+(?:\.\d+)+(?:p\d+)?", text)
    assert found, text
    return found.group()
