"""Whether asyncssh still is what the hot path leans on: asked at every start, before anybody is let in.

Three looks: at the names and the code that uses them, at every cipher beside asyncssh's own, at a conversation with
asyncssh's own client over a connection to itself, with key exchanges in it. They take some hundredths of a second.
"""

import asyncio
import inspect
import os
import socket
from collections.abc import Awaitable, Callable
from typing import Any, cast

import asyncssh
from asyncssh.channel import SSHChannel, SSHServerChannel
from asyncssh.connection import SSHConnection, SSHServerConnection
from asyncssh.encryption import get_encryption, get_encryption_params
from asyncssh.stream import SSHServerStreamSession, SSHStreamSession

from server.sftp.hotpath.buffers import Buffers
from server.sftp.hotpath.channel import HotChannel
from server.sftp.hotpath.connection import HotConnection
from server.sftp.hotpath.seals import Seal, seal_like

_SIGNATURES: tuple[tuple[type, str, list[str]], ...] = (
    (SSHServerConnection, "__init__", ["self", "loop", "options", "acceptor", "error_handler", "wait"]),
    (SSHConnection, "send_packet", ["self", "pkttype", "args", "handler"]),
    (SSHConnection, "send_newkeys", ["self", "k", "h"]),
    (SSHConnection, "_send", ["self", "data"]),
    (SSHConnection, "_force_close", ["self", "exc"]),
    (SSHConnection, "_recv_data", ["self"]),
    (SSHConnection, "_recv_packet", ["self"]),
    (SSHServerConnection, "reload_config", ["self"]),
    (SSHServerConnection, "create_server_channel", ["self", "encoding", "errors", "window", "max_pktsize"]),
    (SSHChannel, "_accept_data", ["self", "data", "datatype"]),
    (SSHChannel, "_process_window_adjust", ["self", "_pkttype", "_pktid", "packet"]),
    (SSHChannel, "_flush_send_buf", ["self"]),
)
_NAMES: tuple[tuple[type, str, tuple[str, ...]], ...] = (
    (
        SSHConnection,
        "_recv_packet",
        ("_pktlen", "_recv_macsize", "_recv_blocksize", "_inpbuf", "_recv_seq", "_recv_encryption", "decrypt_packet"),
    ),
    (SSHConnection, "_recv_data", ("_reset_keepalive_timer", "_recv_handler", "internal_error")),
    (SSHConnection, "_recv_pkthdr", ("_max_recv_pktlen", "_recv_handler", "_recv_packet", "decrypt_header")),
    (
        SSHConnection,
        "send_packet",
        ("_auth_complete", "_kex_complete", "_rekey_bytes_sent", "_rekey_bytes", "_rekey_seconds", "_rekey_time"),
    ),
    (SSHConnection, "send_packet", ("_send_blocksize", "_send_seq", "_send_encryption", "_compressor")),
    (SSHConnection, "send_newkeys", ("_send_encryption", "_next_recv_encryption")),
    (SSHConnection, "_send_kexinit", ("_enc_algs",)),
    (SSHConnection, "_process_kexinit", ("_client_kexinit", "_kexinit_sent", "_enc_alg_cs")),
    (SSHConnection, "__init__", ("_channels", "_kex", "_decompressor", "_transport", "_loop")),
    (SSHChannel, "__init__", ("_recv_window", "_init_recv_window", "_send_window", "_send_pktsize", "_send_buf_len")),
    (SSHChannel, "__init__", ("_recv_state", "_send_state", "_send_chan", "_recv_buf", "_send_buf")),
    (SSHStreamSession, "data_received", ("_recv_buf", "_recv_buf_len")),
    (SSHServerStreamSession, "session_started", ("_chan",)),
    (SSHServerChannel, "__init__", ("get_key_option",)),
)
_CIPHERS = (
    (b"aes128-gcm@openssh.com", b""),
    (b"aes256-gcm@openssh.com", b""),
    (b"chacha20-poly1305@openssh.com", b""),
    (b"aes128-ctr", b"hmac-sha2-256-etm@openssh.com"),
    (b"aes256-ctr", b"hmac-sha2-512-etm@openssh.com"),
)
PATIENCE = 10.0
LESSON = 300_000
REKEY_AFTER = 64 * 1024


async def find_misfit() -> str:
    """Why the hot path must not be used, in words for the log; empty if it may."""
    looks: tuple[Callable[[], str | Awaitable[str]], ...] = (_look_at_names, _look_at_ciphers, _rehearse)
    for look in looks:
        try:
            found = look()
            reason = found if isinstance(found, str) else await asyncio.wait_for(found, PATIENCE)
        except Exception as error:
            reason = f"the test itself failed with {type(error).__name__}"
        if reason:
            return reason
    return ""


def _look_at_names() -> str:
    for owner, name, parameters in _SIGNATURES:
        function = getattr(owner, name)
        if list(inspect.signature(function).parameters) != parameters:
            return f"asyncssh's {owner.__name__}.{name} takes other parameters"
    for owner, name, names in _NAMES:
        if missing := set(names) - set(getattr(owner, name).__code__.co_names):
            return f"asyncssh's {owner.__name__}.{name} does not use {', '.join(sorted(missing))}"
    return ""


def _look_at_ciphers() -> str:
    for cipher, mac in _CIPHERS:
        key_size, nonce_size, _, mac_key_size, _, etm = get_encryption_params(cipher, mac)
        secrets = os.urandom(key_size), os.urandom(nonce_size), os.urandom(mac_key_size)

        def make(name: bytes = cipher, mac: bytes = mac, etm: bool = etm, secrets: Any = secrets) -> Any:
            return get_encryption(name, secrets[0], secrets[1], mac, secrets[2], etm)

        theirs, sealing, opening = make(), seal_like(make(), sending=True), seal_like(make(), sending=False)
        if not isinstance(sealing, Seal) or not isinstance(opening, Seal):
            return f"asyncssh's {cipher.decode()} is made in another way"
        if not all(_agree(theirs, sealing, opening, number) for number in range(3)):
            return f"{cipher.decode()} does not agree with asyncssh's"
    return ""


def _agree(theirs: Any, sealing: Seal, opening: Seal, number: int) -> bool:
    body = os.urandom(32 + 16 * number)
    length = len(body).to_bytes(4, "big")
    packet, tag = theirs.encrypt_packet(number, length, body)
    _, told = opening.decrypt_header(number, packet[:16], 4)
    opened = opening.decrypt_packet(number, packet[:16], packet[16:], 4, tag)
    return sealing.encrypt_packet(number, length, body) == (packet, tag) and (told, opened) == (length, body)


class _Echo(SSHServerStreamSession[bytes]):
    """Says back what it hears."""

    def __init__(self) -> None:
        super().__init__(None)

    def subsystem_requested(self, subsystem: str) -> bool:
        return True

    def session_started(self) -> None:
        cast(HotChannel, self._chan).attach(self)

    def feed(self, data: memoryview) -> None:
        channel = cast(HotChannel, self._chan)
        channel.write(bytes(data))
        channel.open_window()

    def go_on(self) -> None:
        pass


class _Stage(asyncssh.SSHServer):
    """Lets whoever holds the other end of the pair in."""

    def connection_made(self, conn: SSHServerConnection) -> None:
        self._conn = conn

    def begin_auth(self, username: str) -> bool:
        return False

    def session_requested(self) -> Any:
        return self._conn.create_server_channel(encoding=None), _Echo()


class _Usher(asyncio.BufferedProtocol):
    """Passes on what happens to a transport, as `Entrance` does for whoever is let in."""

    def __init__(self, connection: HotConnection) -> None:
        self._connection = connection

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._connection.connection_made(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self._connection.connection_lost(exc)

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._connection.buffers.reading[: self._connection.appetite]

    def buffer_updated(self, nbytes: int) -> None:
        self._connection.buffer_received(nbytes)


async def _rehearse() -> str:
    loop, buffers = asyncio.get_running_loop(), Buffers()
    options = await asyncssh.SSHServerConnectionOptions.construct(
        None, config=None, server_factory=_Stage, server_host_keys=[asyncssh.generate_private_key("ssh-ed25519")]
    )
    ours, theirs = _connected()
    connection = HotConnection(loop, options, buffers)
    await loop.connect_accepted_socket(lambda: _Usher(connection), ours)
    try:
        lesson = os.urandom(LESSON)
        return "" if await _converse(theirs, lesson) == lesson else "what came back was not what was sent"
    finally:
        connection.abort()


def _connected() -> tuple[socket.socket, socket.socket]:
    """Two ends of one connection. Of the network's family: asyncssh asks who is at the other end."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(8)
        theirs = socket.create_connection(listener.getsockname(), timeout=PATIENCE)
        while True:
            ours, address = listener.accept()
            if address == theirs.getsockname():
                break
            ours.close()  # somebody else on this machine
    ours.setblocking(False)
    theirs.setblocking(False)
    return ours, theirs


async def _converse(sock: socket.socket, lesson: bytes) -> bytes:
    client = await asyncssh.connect(
        sock=sock,
        config=None,
        known_hosts=None,
        username="rehearsal",
        client_keys=None,
        agent_path=None,
        rekey_bytes=REKEY_AFTER,
        encryption_algs=["aes128-ctr"],  # with it, a packet's number counts too
        mac_algs=["hmac-sha2-256-etm@openssh.com"],
        kex_algs=["curve25519-sha256"],
    )
    try:
        writer, reader, _ = await client.open_session(subsystem="sftp", encoding=None)
        _, said = await asyncio.gather(_say(writer, lesson), reader.readexactly(len(lesson)))
        return bytes(said)
    finally:
        client.abort()


async def _say(writer: Any, lesson: bytes) -> None:
    for at in range(0, len(lesson), 10_000):
        writer.write(lesson[at : at + 10_000])
        await writer.drain()
