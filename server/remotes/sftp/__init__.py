"""A remote SFTP server, reached with asyncssh; imported only where there is one."""

from server.remotes.sftp.connection import StrangeHostKeyError, connect, learn_host_key
from server.remotes.sftp.credentials import check_private_key
from server.remotes.sftp.remote import SftpRemote

__all__ = ["SftpRemote", "StrangeHostKeyError", "check_private_key", "connect", "learn_host_key"]
