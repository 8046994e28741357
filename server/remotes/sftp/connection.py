"""Connecting to a remote SFTP server: its host key first, and only if it is the trusted one do we prove ourselves.

Nothing of this machine's SSH configuration is used: no ~/.ssh, no agent, no known_hosts.
"""

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncssh

from keys.secret import Secret
from server.errors import AppError, Code
from server.logs import Log
from server.remotes.server import SecretField, Server
from server.remotes.sftp.credentials import read_private_key
from server.remotes.sftp.refusals import place_name, refused_connection
from server.remotes.sftp.remote import SftpRemote

# Best first; without certificates of authorities, which nobody pins. The SHA-1 signature is last, for old servers: the
# key itself is compared whatever signs with it.
HOST_KEYS = (
    "ssh-ed25519",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "rsa-sha2-512",
    "rsa-sha2-256",
    "ssh-rsa",
)
RSA = ("rsa-sha2-512", "rsa-sha2-256", "ssh-rsa")
NOTHING_TRUSTED: Any = ([], [], [])


class StrangeHostKeyError(AppError):
    """The server showed a host key that is not the trusted one: `shown`, in OpenSSH's one-line form."""

    def __init__(self, server: Server, shown: str) -> None:
        super().__init__(
            Code.DENIED,
            f"{place_name(server)} showed a host key that is not the trusted one.",
            f"See: dropslot server show {server.name}",
        )
        self.shown = shown


class _Witness(asyncssh.SSHClient):
    """Sees the host key, before anything of ours is sent, and says whether it is the trusted one."""

    def __init__(self, trusted: str | None) -> None:
        self._trusted = trusted
        self.shown: str | None = None

    def validate_host_public_key(self, host: str, addr: str, port: int, key: asyncssh.SSHKey) -> bool:
        self.shown = f"{key.get_algorithm()} {base64.b64encode(key.public_data).decode()}"
        return self.shown == self._trusted


async def learn_host_key(server: Server) -> str:
    """The host key it shows now, in OpenSSH's one-line form; nothing of ours is sent. Raises `AppError`."""
    witness = _Witness(None)
    try:
        connection = await _connect(server, witness, HOST_KEYS, {})
    except (OSError, asyncssh.Error) as error:
        if witness.shown is None:
            raise refused_connection(server, error) from None
        return witness.shown
    connection.abort()
    raise AppError(Code.INTERNAL, "A host key was taken without being looked at.")


@asynccontextmanager
async def connect(server: Server, secrets: dict[SecretField, Secret], log: Log) -> AsyncIterator[SftpRemote]:
    """A connection to the server, whose password or key is among the `secrets`.

    Raises `StrangeHostKeyError` (an `AppError` denied), and other `AppError`s.
    """
    witness = _Witness(server.host_key)
    connection = await _log_in(server, witness, _proof(secrets))
    try:
        try:
            async with asyncio.timeout(server.timeout):
                client = await connection.start_sftp_client()
        except (OSError, asyncssh.Error) as error:
            raise refused_connection(server, error) from None
        yield SftpRemote(server, client, log)
    finally:
        connection.abort()  # whatever is half done is done anew; waiting for a dead peer's good-bye helps nobody
        await connection.wait_closed()


async def _log_in(server: Server, witness: _Witness, proof: dict[str, Any]) -> asyncssh.SSHClientConnection:
    kind = (server.host_key or "").partition(" ")[0]
    try:
        return await _connect(server, witness, RSA if kind == "ssh-rsa" else (kind,), proof)
    except asyncssh.HostKeyNotVerifiable:
        raise StrangeHostKeyError(server, witness.shown or "") from None
    except (asyncssh.DisconnectError, ConnectionResetError, BrokenPipeError) as error:
        if witness.shown is None:
            # Perhaps it has no key of that kind any more: that is a changed host key, and a person must look at it.
            shown = await learn_host_key(server)
            if shown != server.host_key:
                raise StrangeHostKeyError(server, shown) from None
        raise refused_connection(server, error) from None
    except (OSError, asyncssh.Error) as error:
        raise refused_connection(server, error) from None


async def _connect(
    server: Server, witness: _Witness, host_keys: tuple[str, ...], proof: dict[str, Any]
) -> asyncssh.SSHClientConnection:
    """Raises what asyncssh and the network raise."""
    async with asyncio.timeout(server.timeout):
        return await asyncssh.connect(
            server.host or "",
            server.port or 22,
            username=server.username or "none",
            client_factory=lambda: witness,
            known_hosts=NOTHING_TRUSTED,
            server_host_key_algs=host_keys,
            config=None,
            agent_path=None,
            gss_host=None,
            compression_algs=None,
            **{"client_keys": None, "password": None, **proof},
        )


def _proof(secrets: dict[SecretField, Secret]) -> dict[str, Any]:
    if text := secrets.get(SecretField.PRIVATE_KEY):
        return {"client_keys": [read_private_key(text, secrets.get(SecretField.PASSPHRASE))]}
    return {"password": secrets[SecretField.PASSWORD].reveal().decode()}
