"""OpenSSH's sftp, and its scp, which speaks SFTP by itself since 9.0 (-s asks earlier ones to)."""

import subprocess
from pathlib import Path
from types import MappingProxyType

from tests.acceptance.clients.client import Client, first_version
from tests.acceptance.court import need


def _version() -> str:
    return first_version(subprocess.run([need("ssh"), "-V"], capture_output=True, text=True, check=True).stderr)


class Sftp(Client):
    """A batch for each operation."""

    name = "OpenSSH sftp"

    @classmethod
    def version(cls) -> str:
        need("sftp")
        return _version()

    def put(self, local: Path, remote: str, keep_time: bool = False) -> None:
        self.court.sftp(f'put {"-p " if keep_time else ""}"{local}" "{remote}"')

    def get(self, remote: str, local: Path) -> None:
        self.court.sftp(f'get "{remote}" "{local}"')

    def resume_put(self, local: Path, remote: str) -> None:
        self.court.sftp(f'reput "{local}" "{remote}"')

    def resume_get(self, remote: str, local: Path) -> None:
        self.court.sftp(f'reget "{remote}" "{local}"')

    def rename(self, old: str, new: str) -> None:
        self.court.sftp(f'rename "{old}" "{new}"')

    def names(self, directory: str) -> list[str]:
        lines = self.court.sftp(f'ls -1 "{directory}"').stdout.splitlines()
        return [line.rsplit("/", 1)[-1] for line in lines if not line.startswith("sftp>")]


class Scp(Client):
    """One copy for each operation."""

    name = "OpenSSH scp"
    note = "without `-O`"
    cannot = MappingProxyType(
        {
            **dict.fromkeys(("resume_put", "resume_get", "write_far", "read_far"), "scp copies whole files"),
            **dict.fromkeys(("rename", "rename_over", "list"), "scp only copies"),
        }
    )

    @classmethod
    def version(cls) -> str:
        need("scp")
        return _version()

    def put(self, local: Path, remote: str, keep_time: bool = False) -> None:
        self._copy(local, self._at(remote), *(["-p"] if keep_time else []))

    def get(self, remote: str, local: Path) -> None:
        self._copy(self._at(remote), local)

    def _at(self, remote: str) -> str:
        return f"{self.court.slug}@127.0.0.1:{remote}"

    def _copy(self, source: str | Path, target: str | Path, *flags: str) -> None:
        port, key = str(self.court.dropslot.port), self.court.key
        self.run(need("scp"), "-s", "-P", port, "-i", key, *self.court.ssh_options(), *flags, source, target)
