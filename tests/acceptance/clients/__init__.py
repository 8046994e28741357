"""The clients of the interoperability matrix: real programs and libraries, one small adapter each."""

from tests.acceptance.clients.client import OPERATIONS, Client
from tests.acceptance.clients.curl import Curl
from tests.acceptance.clients.lftp import Lftp
from tests.acceptance.clients.libssh2 import Libssh2
from tests.acceptance.clients.npm import Ssh2SftpClient
from tests.acceptance.clients.openssh import Scp, Sftp
from tests.acceptance.clients.paramiko_library import Paramiko
from tests.acceptance.clients.putty import Pscp, Psftp
from tests.acceptance.clients.rclone import OldRclone, Rclone
from tests.acceptance.clients.sshfs import Sshfs

CLIENTS: tuple[type[Client], ...] = (
    *(Sftp, Scp, Psftp, Pscp, Lftp, Curl, Sshfs, Rclone, OldRclone),
    *(Paramiko, Libssh2, Ssh2SftpClient),
)

__all__ = ["CLIENTS", "OPERATIONS", "Client"]
