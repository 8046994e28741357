"""asyncssh's connection, with a few things put right that its options cannot."""

import copy
from collections.abc import Sequence
from typing import Any, Protocol, cast

import asyncssh
from asyncssh.constants import DEFAULT_LANG, MSG_CHANNEL_OPEN, MSG_SERVICE_ACCEPT, MSG_SERVICE_REQUEST
from asyncssh.packet import SSHPacket, String
from asyncssh.public_key import SSHOpenSSHCertificate

from server.settings import Policy
from server.sftp.algorithms import refuse_weak_signatures

LENGTH_BYTES = 4  # before each string on the wire
MOST_DEFERRED = 4096
LEAST_PACKET = 256  # RFC 4253 section 6.1 asks for 32768 of everybody
USERAUTH = b"ssh-userauth"
CRUMBS = f"This server sends packets of {LEAST_PACKET} bytes and more."


class Witness(Protocol):
    """Whom asyncssh asks about keys and authorities; it is told before of every offer, and shown the certificate."""

    certificate: bytes

    @property
    def policy(self) -> Policy:
        """Which algorithms are good enough."""
        ...

    def key_offered(self) -> None:
        """Something is offered as a key."""

    def login_begun_again(self) -> None:
        """The client asks for the login once more, of which it is in the middle."""


class SSHConnection(asyncssh.SSHServerConnection):
    """One SSH connection of the door; its owner is a `Witness`."""

    _proved = False

    def send_packet(self, pkttype: int, *args: bytes, handler: Any = None) -> None:
        """Send a packet. In a key exchange it is kept; a client that asks on and on without ending that is left."""
        super().send_packet(pkttype, *args, handler=handler)
        if len(self._deferred_packets) > MOST_DEFERRED:
            self._force_close(asyncssh.ProtocolError("Key exchange not finished"))

    def _process_channel_open(self, _pkttype: int, _pktid: int, packet: SSHPacket) -> None:
        """Open a channel, but to nobody who takes it in crumbs: one answer in packets of a byte is minutes of work."""
        asked = SSHPacket(packet.get_remaining_payload())
        asked.get_string()
        number, _window, most = asked.get_uint32(), asked.get_uint32(), asked.get_uint32()
        if most < LEAST_PACKET:
            self.send_channel_open_failure(number, asyncssh.OPEN_RESOURCE_SHORTAGE, CRUMBS, DEFAULT_LANG)
            return
        super()._process_channel_open(_pkttype, _pktid, packet)

    def _process_service_request(self, _pkttype: int, _pktid: int, packet: SSHPacket) -> None:
        """Begin the login. paramiko says so before each key and password that it tries; sshd lets it, asyncssh not."""
        if not self._auth_in_progress:
            super()._process_service_request(_pkttype, _pktid, packet)
            return
        service = packet.get_string()
        packet.check_end()
        if service != USERAUTH:
            raise asyncssh.ServiceNotAvailable("Unexpected service in service request")
        if self._transport is not None:  # or it was ended, and this came in the same breath as what ended it
            cast(Witness, self._owner).login_begun_again()
            self.send_packet(MSG_SERVICE_ACCEPT, String(service))

    _packet_handlers = {  # noqa: RUF012  asyncssh's own form
        **asyncssh.SSHServerConnection._packet_handlers,
        MSG_SERVICE_REQUEST: cast(Any, _process_service_request),
        MSG_CHANNEL_OPEN: cast(Any, _process_channel_open),
    }

    async def validate_public_key(self, username: str, key_data: bytes, msg: bytes, signature: bytes) -> bool:
        """Tell the owner first: asyncssh tells it nothing of what cannot be read as a key, which must count as well."""
        cast(Witness, self._owner).key_offered()
        return await super().validate_public_key(username, key_data, msg, signature)

    async def _validate_openssh_certificate(self, username: str, cert: SSHOpenSSHCertificate) -> asyncssh.SSHKey | None:
        """Show the owner the whole certificate: asyncssh asks it about the authority alone."""
        witness = cast(Witness, self._owner)
        refuse_weak_signatures(cert.key, witness.policy)
        witness.certificate = cert.public_data
        return await super()._validate_openssh_certificate(username, cert)

    def choose_server_host_key(self, peer_host_key_algs: Sequence[bytes]) -> bool:
        """Have a host key of its own.

        asyncssh notes in the pair, which all connections share, how an RSA key is to sign. If another client wanted
        it otherwise between this client's choice and our signature, the key exchange would fail.
        """
        chosen = super().choose_server_host_key(peer_host_key_algs)
        self._server_host_key = copy.copy(self._server_host_key)
        return chosen

    def _process_hostkeys_prove_00_at_openssh_dot_com_global_request(self, packet: SSHPacket) -> None:
        """Prove each host key once at most (OpenSSH's PROTOCOL, section 2.5).

        A signature takes milliseconds, in which all other sessions wait, and one request could ask for hundreds.
        """
        asked = len(packet.get_remaining_payload())
        if self._proved or asked > sum(LENGTH_BYTES + len(key) for key in self._all_server_host_keys):
            self._report_global_response(False)
            return
        self._proved = True
        super()._process_hostkeys_prove_00_at_openssh_dot_com_global_request(packet)
