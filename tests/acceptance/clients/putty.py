"""PuTTY's psftp and pscp, whose core WinSCP and FileZilla share."""

import os
from pathlib import Path
from types import MappingProxyType

from tests.acceptance.clients.client import Client, first_version
from tests.acceptance.court import Court, need, run_quietly


class _Putty(Client):
    def __init__(self, court: Court) -> None:
        super().__init__(court)
        self._fingerprint = court.fingerprint()
        self._ppk = court.folder / "court.ppk"
        if not self._ppk.exists():
            self.run(need("puttygen"), court.key, "-O", "private", "-o", self._ppk)

    def _options(self) -> list[str | Path]:
        return ["-batch", "-i", self._ppk, "-P", str(self.court.dropslot.port), "-hostkey", self._fingerprint]

    def _environment(self) -> dict[str, str]:
        return {**os.environ, "HOME": str(self.court.folder), "LC_ALL": "C.UTF-8"}


class Psftp(_Putty):
    """A batch for each operation."""

    name = "PuTTY psftp"
    note = "its `mv` never replaces"
    cannot = MappingProxyType({"time": "psftp sends no times"})
    replaces = False

    @classmethod
    def version(cls) -> str:
        return first_version(run_quietly([need("psftp"), "-V"]).stdout)

    def put(self, local: Path, remote: str, keep_time: bool = False) -> None:
        self._batch(f'put "{local}" "{remote}"')

    def get(self, remote: str, local: Path) -> None:
        self._batch(f'get "{remote}" "{local}"')

    def resume_put(self, local: Path, remote: str) -> None:
        self._batch(f'reput "{local}" "{remote}"')

    def resume_get(self, remote: str, local: Path) -> None:
        self._batch(f'reget "{remote}" "{local}"')

    def rename(self, old: str, new: str) -> None:
        self._batch(f'mv "{old}" "{new}"')

    def names(self, directory: str) -> list[str]:
        listing = self._batch(f'ls "{directory}"').splitlines()
        return [line.split(None, 8)[-1] for line in listing if line.startswith("-")]

    def _batch(self, line: str) -> str:
        command = (need("psftp"), *self._options(), "-b", "/dev/stdin", f"{self.court.slug}@127.0.0.1")
        return self.run(*command, input=line + "\n", env=self._environment())


class Pscp(_Putty):
    """One copy for each operation."""

    name = "PuTTY pscp"
    note = "with `-sftp`"
    cannot = MappingProxyType(
        {
            **dict.fromkeys(("resume_put", "resume_get", "write_far", "read_far"), "pscp copies whole files"),
            **dict.fromkeys(("rename", "rename_over"), "pscp only copies and lists"),
        }
    )

    @classmethod
    def version(cls) -> str:
        return first_version(run_quietly([need("pscp"), "-V"]).stdout)

    def put(self, local: Path, remote: str, keep_time: bool = False) -> None:
        self._call(*(["-p"] if keep_time else []), local, self._at(remote))

    def get(self, remote: str, local: Path) -> None:
        self._call(self._at(remote), local)

    def names(self, directory: str) -> list[str]:
        listing = self._call("-ls", self._at(directory)).splitlines()
        return [line.split(None, 8)[-1] for line in listing if line.startswith("-")]

    def _at(self, remote: str) -> str:
        return f"{self.court.slug}@127.0.0.1:{remote}"

    def _call(self, *arguments: str | Path) -> str:
        return self.run(need("pscp"), "-sftp", *self._options(), *arguments, env=self._environment())
