"""Proof, at every start, that asyncssh still is what we lean on.

Our handler and session use names that asyncssh does not promise. With another version they might silently stop being
called, and torn uploads would pass for whole ones; so another version is refused until somebody has looked.
"""

import inspect
from typing import Any

import asyncssh
from asyncssh.connection import SSHConnection, SSHServerConnection, SSHServerConnectionOptions
from asyncssh.packet import SSHPacket
from asyncssh.public_key import SSHCertificate
from asyncssh.sftp import SFTPServerHandler
from asyncssh.stream import SSHServerStreamSession, SSHStreamSession

from server.errors import AppError, Code

VERSION = "2.24.1"

_SIGNATURES: tuple[tuple[Any, list[str]], ...] = (
    (SFTPServerHandler.__init__, ["self", "server", "reader", "writer", "sftp_version"]),
    (SFTPServerHandler._cleanup, ["self", "exc"]),
    (SFTPServerHandler._process_packet, ["self", "pkttype", "pktid", "packet"]),
    (SFTPServerHandler._process_write, ["self", "packet"]),
    (SFTPServerHandler._process_opendir, ["self", "packet"]),
    (SFTPServerHandler._process_limits, ["self", "packet"]),
    (SFTPServerHandler._get_next_handle, ["self"]),
    (SSHServerStreamSession.__init__, ["self", "session_factory", "sftp_factory", "sftp_version", "allow_scp"]),
    (SSHServerStreamSession.session_started, ["self"]),
    (SSHConnection.send_newkeys, ["self", "k", "h"]),
    (SSHConnection.send_packet, ["self", "pkttype", "args", "handler"]),
    (SSHConnection._process_channel_open, ["self", "_pkttype", "_pktid", "packet"]),
    (SSHConnection._process_service_request, ["self", "_pkttype", "_pktid", "packet"]),
    (SFTPServerHandler.run, ["self"]),
    (SFTPServerHandler.recv_packet, ["self"]),
    (SFTPServerHandler.send_packet, ["self", "pkttype", "pktid", "args"]),
    (SSHPacket.check_end, ["self"]),
    (SSHConnection._choose_alg, ["self", "alg_type", "local_algs", "remote_algs"]),
    (SSHServerConnection._validate_openssh_certificate, ["self", "username", "cert"]),
    (SSHServerConnection._process_hostkeys_prove_00_at_openssh_dot_com_global_request, ["self", "packet"]),
    (SSHPacket.get_remaining_payload, ["self"]),
    (SSHServerConnection.validate_public_key, ["self", "username", "key_data", "msg", "signature"]),
    (SSHServerConnection.choose_server_host_key, ["self", "peer_host_key_algs"]),
)
_ATTRIBUTES: tuple[tuple[Any, tuple[str, ...]], ...] = (
    (SFTPServerHandler.__init__, ("_file_handles", "_dir_handles", "_server")),
    (SFTPServerHandler._cleanup, ("_file_handles", "close", "exit")),
    (SFTPServerHandler._process_packet, ("_packet_handlers", "_return_types")),
    (SFTPServerHandler._process_close, ("_file_handles", "pop", "close")),
    (SSHStreamSession.connection_made, ("_chan", "_conn", "_encoding")),
    (SSHConnection.__init__, ("_transport", "_owner")),
    (SSHConnection.send_packet, ("_deferred_packets", "_kex_complete")),
    (SSHConnection._process_service_request, ("_next_service", "_auth_in_progress", "_recv_encryption")),
    (SSHConnection.send_userauth_success, ("_auth_in_progress", "_auth_complete")),
    (SFTPServerHandler.run, ("recv_packet", "recv_packets", "_extensions")),
    (SFTPServerHandler.recv_packets, ("recv_packet", "_process_packet", "_cleanup")),
    (SSHConnection._process_kexinit, ("_client_kexinit", "_choose_alg", "choose_server_host_key")),
    (SSHServerConnection.choose_server_host_key, ("_server_host_keys",)),
    (SSHConnection.send_newkeys, ("_kex", "compute_key")),
    (SSHServerConnectionOptions.prepare, ("server_host_keys", "all_server_host_keys", "public_data")),
    (SSHServerConnection._validate_client_certificate, ("_validate_openssh_certificate",)),
    (SSHServerConnection._validate_openssh_certificate, ("_owner", "validate_ca_key", "validate", "options")),
    (SSHServerConnection.choose_server_host_key, ("_server_host_key",)),
    (SSHCertificate.__init__, ("public_data", "key")),
    (SSHServerConnection.send_server_host_keys, ("_all_server_host_keys",)),
)


def self_test() -> None:
    """Raises `AppError` internal if asyncssh is another version or does not look as it must."""
    if asyncssh.__version__ != VERSION:
        raise _unfit(f"asyncssh {asyncssh.__version__} is installed, and the SFTP door was made for {VERSION}.")
    for function, parameters in _SIGNATURES:
        if list(inspect.signature(function).parameters) != parameters:
            raise _unfit(f"asyncssh's {function.__qualname__} takes other parameters than it should.")
    for function, names in _ATTRIBUTES:
        missing = set(names) - set(function.__code__.co_names)
        if missing:
            raise _unfit(f"asyncssh's {function.__qualname__} does not use {', '.join(sorted(missing))}.")


def _unfit(message: str) -> AppError:
    return AppError(Code.INTERNAL, message, "Install exactly what requirements.lock says (make install).")
