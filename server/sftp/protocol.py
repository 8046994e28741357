"""asyncssh's connection, with two things put right that its options cannot."""

import copy
from collections.abc import Sequence
from typing import Protocol, cast

import asyncssh
from asyncssh.public_key import SSHOpenSSHCertificate

from server.sftp.algorithms import refuse_weak_signatures


class Witness(Protocol):
    """Who is asked whether an authority is trusted; it is shown the certificate before."""

    certificate: bytes


class SSHConnection(asyncssh.SSHServerConnection):
    """One SSH connection of the door; its owner is a `Witness`."""

    async def _validate_openssh_certificate(self, username: str, cert: SSHOpenSSHCertificate) -> asyncssh.SSHKey | None:
        """Show the owner the whole certificate: asyncssh asks it about the authority alone."""
        refuse_weak_signatures(cert.key)
        cast(Witness, self._owner).certificate = cert.public_data
        return await super()._validate_openssh_certificate(username, cert)

    def choose_server_host_key(self, peer_host_key_algs: Sequence[bytes]) -> bool:
        """Have a host key of its own.

        asyncssh notes in the pair, which all connections share, how an RSA key is to sign. If another client wanted
        it otherwise between this client's choice and our signature, the key exchange would fail.
        """
        chosen = super().choose_server_host_key(peer_host_key_algs)
        self._server_host_key = copy.copy(self._server_host_key)
        return chosen
