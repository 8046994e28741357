"""lftp, which runs OpenSSH's ssh and speaks SFTP itself."""

import os
from pathlib import Path

from tests.acceptance.clients.client import Client, first_version
from tests.acceptance.court import need, run_quietly


class Lftp(Client):
    """A script for each operation."""

    name = "lftp"
    note = "its `mv` never replaces"
    replaces = False

    @classmethod
    def version(cls) -> str:
        return first_version(run_quietly([need("lftp"), "--version"]).stdout)

    def put(self, local: Path, remote: str, keep_time: bool = False) -> None:
        self._script(f'put "{local}" -o "{remote}"')

    def get(self, remote: str, local: Path) -> None:
        self._script(f'get "{remote}" -o "{local}"')

    def resume_put(self, local: Path, remote: str) -> None:
        self._script(f'put -c "{local}" -o "{remote}"')

    def resume_get(self, remote: str, local: Path) -> None:
        self._script(f'get -c "{remote}" -o "{local}"')

    def rename(self, old: str, new: str) -> None:
        self._script(f'mv "{old}" "{new}"')

    def names(self, directory: str) -> list[str]:
        return [line.rsplit("/", 1)[-1] for line in self._script(f'cls -1 "{directory}"').splitlines()]

    def _script(self, line: str) -> str:
        ssh = " ".join([need("ssh"), "-a", "-x", "-i", str(self.court.key), *self.court.ssh_options()])
        settings = (
            f'set sftp:connect-program "{ssh}"; set net:max-retries 1; set cmd:fail-exit yes; set xfer:clobber yes'
        )
        place = f"open -u {self.court.slug}, sftp://127.0.0.1:{self.court.dropslot.port}"
        home = {**os.environ, "HOME": str(self.court.folder), "LC_ALL": "C.UTF-8"}
        return self.run(need("lftp"), "--norc", "-c", f"{settings}; {place}; {line}", env=home)
