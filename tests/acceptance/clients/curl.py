"""curl with libssh2; Debian 12's is 1.10, which knows no encrypt-then-MAC: it needs the policy `compat`."""

import re
from pathlib import Path
from types import MappingProxyType
from urllib.parse import quote

import pytest

from tests.acceptance.clients.client import Client, first_version
from tests.acceptance.court import need, run_quietly


class Curl(Client):
    """One call for each operation."""

    name = "curl"
    note = "libssh2 before 1.11 needs policy `compat`; its rename never replaces"
    cannot = MappingProxyType({"time": "curl sends no times"})
    replaces = False
    compat = True

    @classmethod
    def version(cls) -> str:
        said = run_quietly([need("curl"), "--version"]).stdout
        if "sftp" not in said.split():
            pytest.skip("this curl is built without SFTP")
        library = re.search(r"libssh2?/[\d.]+", said)
        return f"{first_version(said)} {library.group() if library else ''}".strip()

    def put(self, local: Path, remote: str, keep_time: bool = False) -> None:
        self._call("-T", local, self._url(remote))

    def get(self, remote: str, local: Path) -> None:
        self._call("-o", local, self._url(remote))

    def resume_put(self, local: Path, remote: str) -> None:
        self._call("-C", "-", "-T", local, self._url(remote))

    def resume_get(self, remote: str, local: Path) -> None:
        self._call("-C", "-", "-o", local, self._url(remote))

    def rename(self, old: str, new: str) -> None:
        self._call("-Q", f'rename "{old}" "{new}"', "--list-only", self._url("/"))

    def names(self, directory: str) -> list[str]:
        return list(self._call("--list-only", self._url(directory) + "/").splitlines())

    def _url(self, path: str) -> str:
        return f"sftp://127.0.0.1:{self.court.dropslot.port}{quote(path)}"

    def _call(self, *arguments: str | Path) -> str:
        key = self.court.key
        login = ("--user", f"{self.court.slug}:", "--key", key, "--pubkey", f"{key}.pub", "--insecure")
        return self.run(need("curl"), "-sS", *login, *arguments)
