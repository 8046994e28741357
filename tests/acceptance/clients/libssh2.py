"""libssh2, below PHP, Perl and many a C program, through ssh2-python."""

import socket
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.clients.client import FAR, Client
from tests.acceptance.court import Court

NEW_FILE_MODE = 0o644


class Libssh2(Client):
    """One connection for all operations."""

    name = "libssh2"
    note = "its plain rename never replaces"
    replaces = False

    def __init__(self, court: Court) -> None:
        super().__init__(court)
        from ssh2.session import Session

        self._socket = socket.create_connection(("127.0.0.1", court.dropslot.port))
        self._session = Session()
        self._session.handshake(self._socket)
        self._session.userauth_publickey_fromfile(court.slug, str(court.key), publickey=f"{court.key}.pub")
        self._sftp = self._session.sftp_init()

    @classmethod
    def version(cls) -> str:
        library = pytest.importorskip("ssh2.utils", reason="ssh2-python is not installed").version(0).decode()
        return f"{library} (ssh2-python {version('ssh2-python')})"

    def put(self, local: Path, remote: str, keep_time: bool = False) -> None:
        self._send(local.read_bytes(), remote, 0, new=True)
        if keep_time:
            self._set_time(remote, int(local.stat().st_mtime))

    def get(self, remote: str, local: Path) -> None:
        local.write_bytes(self._fetch(remote, 0))

    def resume_put(self, local: Path, remote: str) -> None:
        there = self._sftp.stat(remote).filesize
        with local.open("rb") as file:
            file.seek(there)
            self._send(file.read(), remote, there, new=False)

    def resume_get(self, remote: str, local: Path) -> None:
        with local.open("ab") as file:
            file.write(self._fetch(remote, file.tell()))

    def rename(self, old: str, new: str) -> None:
        self._sftp.rename(old, new)

    def names(self, directory: str) -> list[str]:
        with self._sftp.opendir(directory) as handle:
            return [name.decode() for _, name, _ in handle.readdir()]

    def read_far(self, remote: str) -> bytes:
        return self._fetch(remote, FAR)

    def close(self) -> None:
        self._session.disconnect()
        self._socket.close()

    def _send(self, data: bytes, remote: str, offset: int, new: bool) -> None:
        from ssh2.sftp import LIBSSH2_FXF_CREAT, LIBSSH2_FXF_TRUNC, LIBSSH2_FXF_WRITE

        flags = LIBSSH2_FXF_WRITE | (LIBSSH2_FXF_CREAT | LIBSSH2_FXF_TRUNC if new else 0)
        with self._sftp.open(remote, flags, NEW_FILE_MODE) as handle:
            handle.seek64(offset)
            handle.write(data)

    def _fetch(self, remote: str, offset: int) -> bytes:
        from ssh2.sftp import LIBSSH2_FXF_READ

        with self._sftp.open(remote, LIBSSH2_FXF_READ, 0) as handle:
            handle.seek64(offset)
            return b"".join(data for _, data in handle)

    def _set_time(self, remote: str, at: int) -> None:
        from ssh2.sftp import LIBSSH2_SFTP_ATTR_ACMODTIME
        from ssh2.sftp_handle import SFTPAttributes

        attributes: Any = SFTPAttributes()
        attributes.flags = LIBSSH2_SFTP_ATTR_ACMODTIME
        attributes.atime = attributes.mtime = at
        self._sftp.setstat(remote, attributes)
