"""paramiko, the SSH library of most Python programs."""

import os
from pathlib import Path

import paramiko

from tests.acceptance.clients.client import FAR, Client
from tests.acceptance.court import Court


class Paramiko(Client):
    """One connection for all operations."""

    name = "paramiko"

    def __init__(self, court: Court) -> None:
        super().__init__(court)
        self._ssh = paramiko.SSHClient()
        self._ssh.set_missing_host_key_policy(paramiko.AutoAddPolicy())
        key = {"key_filename": str(court.key), "look_for_keys": False, "allow_agent": False}
        self._ssh.connect("127.0.0.1", court.dropslot.port, court.slug, **key)  # type: ignore[arg-type]
        self._sftp = self._ssh.open_sftp()

    @classmethod
    def version(cls) -> str:
        return str(paramiko.__version__)

    def put(self, local: Path, remote: str, keep_time: bool = False) -> None:
        assert self._sftp.put(str(local), remote).st_size == local.stat().st_size
        if keep_time:
            self._sftp.utime(remote, (local.stat().st_atime, local.stat().st_mtime))

    def get(self, remote: str, local: Path) -> None:
        self._sftp.get(remote, str(local))

    def resume_put(self, local: Path, remote: str) -> None:
        with local.open("rb") as source, self._sftp.open(remote, "r+") as target:
            source.seek(self._sftp.stat(remote).st_size or 0)
            target.seek(0, os.SEEK_END)
            target.write(source.read())

    def resume_get(self, remote: str, local: Path) -> None:
        with self._sftp.open(remote) as source, local.open("ab") as target:
            source.seek(target.tell())
            target.write(source.read())

    def rename(self, old: str, new: str) -> None:
        self._sftp.posix_rename(old, new)

    def names(self, directory: str) -> list[str]:
        return self._sftp.listdir(directory)

    def read_far(self, remote: str) -> bytes:
        with self._sftp.open(remote) as file:
            file.seek(FAR)
            return file.read()

    def close(self) -> None:
        self._ssh.close()
