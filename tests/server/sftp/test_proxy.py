"""PROXY protocol version 2: its bytes, and a door behind a load balancer."""

import socket
import struct
import time
from collections.abc import Callable

import paramiko
import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.sftp.proxy import MOST, SIGNATURE, Header, NotProxy, read_header
from tests.server.sftp.conftest import RunningDoor, wait_until
from tests.server.sftp.rawclient import RawClient

Opener = Callable[..., RunningDoor]

BALANCER = "127.0.0.9"
V4 = socket.inet_aton("203.0.113.7") + socket.inet_aton("10.0.0.1") + struct.pack(">HH", 40000, 22)
V6 = socket.inet_pton(socket.AF_INET6, "2001:db8::7") + bytes(16) + struct.pack(">HH", 40001, 22)
TLV = b"\x03\x00\x04\xde\xad\xbe\xef" + b"\x04\x00\x02\x00\x00"


def header(body: bytes = V4, command: int = 0x21, family: int = 0x11) -> bytes:
    return SIGNATURE + struct.pack(">BBH", command, family, len(body)) + body


# Its bytes


@pytest.mark.parametrize(
    ("data", "client"),
    [
        (header(), ("203.0.113.7", 40000)),
        (header(V4 + TLV), ("203.0.113.7", 40000)),
        (header(V6, family=0x21), ("2001:db8::7", 40001)),
        (header(V6 + TLV * 100, family=0x21), ("2001:db8::7", 40001)),
        (header(b"", command=0x20, family=0), None),
        (header(V4, command=0x20), None),
        (header(TLV, command=0x20, family=0), None),
        (header(b"", family=0), None),
        (header(bytes(216), family=0x31), None),
    ],
)
def test_a_header_names_the_client(data: bytes, client: tuple[str, int] | None) -> None:
    assert read_header(data) == Header(len(data), client)
    assert read_header(data + b"SSH-2.0-x\r\n") == Header(len(data), client)
    assert all(read_header(data[:length]) is None for length in range(len(data)))


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"PROXY TCP4 203.0.113.7 10.0.0.1 40000 22\r\n", "version 1"),
        (b"SSH-2.0-x\r\n", "no PROXY header"),
        (b"\r\nSSH", "no PROXY header"),
        (header(command=0x11), "another version"),
        (header(command=0x22), "another version or command"),
        (header(family=0x12), "another transport"),
        (header(family=0x22), "another transport"),
        (header(V4[:-1]), "too short"),
        (header(V4, family=0x21), "too short"),
        (header(bytes(MOST)), "too long"),
        (header(bytes(MOST))[:16], "too long"),
    ],
)
def test_what_is_no_header_is_told_apart_at_once(data: bytes, reason: str) -> None:
    with pytest.raises(NotProxy, match=reason):
        read_header(data)


@given(st.binary(max_size=300), st.booleans())
def test_any_bytes_are_a_header_or_not_and_nothing_else_happens(data: bytes, signed: bool) -> None:
    try:
        found = read_header(SIGNATURE + data if signed else data)
    except NotProxy:
        return
    assert found is None or found.length <= MOST


# A door behind a load balancer


@pytest.fixture
def behind(open_door: Opener) -> RunningDoor:
    return open_door(proxy_networks=f"{BALANCER}/32 ::1", login_grace=2, ban_threshold=4, sessions_per_address=2)


def connect(door: RunningDoor, first: bytes, source: str = BALANCER) -> socket.socket:
    sock = socket.create_connection(("127.0.0.1", door.port), 10, (source, 0))
    sock.sendall(first)
    return sock


def log_in(door: RunningDoor, first: bytes, source: str = BALANCER, key: str = "id") -> paramiko.SSHClient:
    client = paramiko.SSHClient()
    client.set_missing_host_key_policy(paramiko.AutoAddPolicy())
    options = {"allow_agent": False, "look_for_keys": False, "sock": connect(door, first, source)}
    try:
        client.connect("x", 22, "court", key_filename=str(door.keys / key), **options)  # type: ignore[arg-type]
    except Exception:
        client.close()
        raise
    return client


def rest(sock: socket.socket) -> bytes:
    """What comes until the server closes."""
    said = b""
    try:
        while chunk := sock.recv(4096):
            said += chunk
    except ConnectionResetError:
        pass
    return said


@pytest.mark.parametrize(("body", "family", "client"), [(V4, 0x11, "203.0.113.7"), (V6, 0x21, "2001:db8::7")])
def test_the_client_behind_it_is_the_one_that_is_logged(
    behind: RunningDoor, body: bytes, family: int, client: str
) -> None:
    with RawClient(log_in(behind, header(body + TLV, family=family))) as raw:
        raw.put("/upload/a.csv", b"1")
        assert behind.arrival().path == "/upload/a.csv"
    (connected,) = behind.events.named("CONNECTED")
    assert connected["source_ip"] == client


def test_what_follows_the_header_in_the_same_packet_is_ssh(behind: RunningDoor) -> None:
    with connect(behind, header() + b"SSH-2.0-test\r\n") as sock:
        said = b""
        while b"curve25519" not in said and b"ecdh" not in said:
            said += sock.recv(4096)
        assert said.startswith(b"SSH-2.0-dropslot\r\n"), "and the key exchange, which only follows the client's version"


def test_a_header_may_come_byte_by_byte(behind: RunningDoor) -> None:
    with connect(behind, b"") as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for number in header(V4 + TLV):
            sock.sendall(bytes([number]))
            time.sleep(0.001)
        assert sock.recv(100).startswith(b"SSH-2.0-dropslot")


@pytest.mark.parametrize(
    ("first", "reason"),
    [
        (b"PROXY TCP4 203.0.113.7 10.0.0.1 40000 22\r\n", "it sent version 1 of the PROXY protocol"),
        (b"SSH-2.0-test\r\n", "it sent no PROXY header"),
        (header(bytes(MOST)), "its PROXY header is too long"),
        (header()[:20], "it sent no whole PROXY header in time"),
        (b"", "it sent no whole PROXY header in time"),
    ],
)
def test_without_a_whole_header_nothing_begins(behind: RunningDoor, first: bytes, reason: str) -> None:
    with connect(behind, first) as sock:
        assert rest(sock) == b""
    (refused,) = behind.events.named("REFUSED")
    assert (refused["reason"], refused["source_ip"]) == (reason, BALANCER)


def test_a_load_balancer_that_looks_whether_we_live_speaks_for_itself(behind: RunningDoor) -> None:
    for _ in range(30):
        with connect(behind, header(b"", command=0x20, family=0)) as sock:
            assert sock.recv(100).startswith(b"SSH-2.0-dropslot")
    wait_until(lambda: not behind.strangers, "them to be gone")
    time.sleep(0.5)
    assert not behind.events.named("BANNED")


def test_from_anywhere_else_a_header_is_no_ssh(behind: RunningDoor) -> None:
    with connect(behind, header() + b"SSH-2.0-test\r\n", "127.0.0.2") as sock:
        assert b"curve25519" not in rest(sock)
    with RawClient(log_in(behind, b"", "127.0.0.2")) as raw:
        assert raw.names("/") == ["download", "upload"]
    assert [line["source_ip"] for line in behind.events.named("CONNECTED")] == ["127.0.0.2"]


def test_bans_and_limits_meet_the_client_and_not_the_load_balancer(behind: RunningDoor) -> None:
    attacker = header(socket.inet_aton("198.51.100.1") + V4[4:])
    for _ in range(2):
        with pytest.raises(paramiko.AuthenticationException):
            log_in(behind, attacker, key="stranger")

    def banned() -> bool:
        with connect(behind, attacker) as sock:
            return sock.recv(100).startswith(b"Too many logins")

    wait_until(banned, "the ban", 3)
    assert [line["source_ip"] for line in behind.events.named("BANNED")] == ["198.51.100.1"]
    clients = [log_in(behind, header()) for _ in range(2)]
    with pytest.raises((paramiko.SSHException, EOFError)):
        RawClient(log_in(behind, header()))
    for client in clients:
        assert RawClient(client).names("/") == ["download", "upload"]
        client.close()
