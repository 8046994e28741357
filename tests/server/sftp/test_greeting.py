"""The first packets of a session: which version is spoken, and clients that never say theirs."""

import struct
from collections.abc import Iterator

import paramiko
import pytest

from tests.server.sftp.conftest import RunningDoor, wait_until
from tests.server.sftp.rawclient import INIT, REALPATH, VERSION, RawClient, text

HALF = struct.pack(">IB", 5, INIT)


@pytest.fixture
def client(door: RunningDoor) -> Iterator[RawClient]:
    with door.raw() as raw:
        yield raw


def another_channel(client: RawClient) -> paramiko.Channel:
    """A second channel of the same connection, to which nothing has been said yet."""
    transport = client.client.get_transport()
    assert transport
    channel = transport.open_session()
    channel.settimeout(10)
    channel.invoke_subsystem("sftp")
    return channel


def hear(channel: paramiko.Channel) -> tuple[int, bytes]:
    """The next packet that the server says: its kind and its body."""
    with channel.makefile("rb") as file:
        packet = file.read(struct.unpack(">I", file.read(4))[0])
    return packet[0], packet[1:]


@pytest.mark.parametrize("said", [b"", b"\0\0", HALF], ids=["nothing", "half a length", "half of it"])
@pytest.mark.parametrize("leaving", ["end", "close"])
def test_who_leaves_without_a_greeting_ends_only_that_channel(
    client: RawClient, door: RunningDoor, leaving: str, said: bytes
) -> None:
    channel = another_channel(client)
    channel.sendall(said)
    if leaving == "end":
        channel.shutdown_write()
        assert channel.recv(100) == b""
    else:
        channel.close()
    [connection] = door._door._connections
    wait_until(lambda: len(connection.tasks) == 1, "the channel to end")
    client.put("/upload/a.csv", b"12345")
    assert door.arrival().path == "/upload/a.csv"
    assert door.events.named("ERROR") == []


@pytest.mark.parametrize(
    "said",
    [
        struct.pack(">IBI", 5, REALPATH, 3),
        struct.pack(">IBH", 3, INIT, 3),
        struct.pack(">I", 0),
        struct.pack(">IBI", 2**31, INIT, 3),
    ],
    ids=["no greeting", "half a version", "nothing", "too long"],
)
def test_a_greeting_that_is_none_ends_only_that_channel(client: RawClient, door: RunningDoor, said: bytes) -> None:
    channel = another_channel(client)
    channel.sendall(said)
    assert channel.recv(100) == b""
    assert client.realpath("/upload/../upload") == "/upload"
    assert door.events.named("ERROR") == []


@pytest.mark.parametrize("version", [0, 1, 2, 3, 4, 5, 6, 2**32 - 1])
@pytest.mark.parametrize("behind", [b"", text("newline") + text("\r\n"), b"\0"], ids=["bare", "pair", "rubbish"])
def test_version_three_is_spoken_with_everybody(client: RawClient, version: int, behind: bytes) -> None:
    channel = another_channel(client)
    channel.sendall(struct.pack(">IBI", 5 + len(behind), INIT, version) + behind)
    kind, body = hear(channel)
    assert kind == VERSION
    assert struct.unpack(">I", body[:4]) == (3,)
    assert text("posix-rename@openssh.com") + text("1") in body
    channel.sendall(struct.pack(">IBI", 5 + 5, REALPATH, 7) + text("/"))
    assert hear(channel)[1][:4] == struct.pack(">I", 7)
