"""Other clients that cannot run here, packet by packet: .NET's and Java's libraries, FileZilla, Cyberduck, ownCloud.

What they do is told in their sources and in the faults that were reported of other servers.
"""

import os
import struct
from collections.abc import Iterator

import pytest

from tests.server.sftp.conftest import RunningDoor
from tests.server.sftp.rawclient import (
    CLOSE,
    EXTENDED,
    F_CREAT,
    F_TRUNC,
    F_WRITE,
    FSETSTAT,
    LSTAT,
    NO_SUCH_FILE,
    OPEN,
    SETSTAT,
    STAT,
    RawClient,
    Refused,
    attributes,
    text,
)

CONTENT = os.urandom(70_000)
BLOCK = 32 * 1024
MTIME = 1_700_000_000


@pytest.fixture
def client(door: RunningDoor) -> Iterator[RawClient]:
    with door.raw() as raw:
        yield raw


def write(client: RawClient, handle: bytes, content: bytes, at: int = 0) -> None:
    for offset in range(0, len(content), BLOCK):
        client.write(handle, at + offset, content[offset : offset + BLOCK])


def full_attributes(size: int) -> bytes:
    """Size, ids, mode and times, as a library sends what it read from a local file or from us."""
    return struct.pack(">IQIIIII", 15, size, 1000, 1000, 0o100644, MTIME, MTIME)


def test_ssh_net_asks_the_size_of_what_it_has_just_opened(client: RawClient, door: RunningDoor) -> None:
    """FSTAT on a handle for writing only, REALPATH of what is not there yet, all attributes set afterwards."""
    assert client.realpath("/upload/ecr.csv") == "/upload/ecr.csv"
    handle = client.open("/upload/ecr.csv", F_WRITE | F_CREAT | F_TRUNC)
    assert client.fstat(handle)["size"] == 0
    write(client, handle, CONTENT)
    assert client.fstat(handle)["size"] == len(CONTENT)
    client.close(handle)
    client.ok(client.send(SETSTAT, text("/upload/ecr.csv") + full_attributes(len(CONTENT))))
    assert door.content(door.arrival()) == CONTENT


def test_sshj_preserves_attributes_after_the_close(client: RawClient, door: RunningDoor) -> None:
    """Mode first, then times; also when the file has been taken away meanwhile."""
    client.put("/upload/ecr.csv", CONTENT[:BLOCK])
    assert door.arrival().size == BLOCK
    for _ in range(2):
        client.ok(client.send(SETSTAT, text("/upload/ecr.csv") + struct.pack(">II", 4, 0o644)))
        client.ok(client.send(SETSTAT, text("/upload/ecr.csv") + attributes(mtime=MTIME)))
        door.uploaded("ecr.csv").unlink(missing_ok=True)
    assert len(door.intake.arrived) == 1


@pytest.mark.parametrize("kind", [STAT, LSTAT])
def test_mina_looks_before_it_opens(client: RawClient, door: RunningDoor, kind: int) -> None:
    """It takes code 2 for "not there" and nothing else; it renames with posix-rename since that is announced."""
    with pytest.raises(Refused) as refused:
        client.stat("/upload/ecr.csv", kind)
    assert refused.value.code == NO_SUCH_FILE
    client.put("/upload/ecr.csv.tmp", CONTENT[:BLOCK])
    assert "posix-rename@openssh.com" in client.extensions
    client.rename("/upload/ecr.csv.tmp", "/upload/ecr.csv", posix=True)
    assert door.arrival().path == "/upload/ecr.csv"


def test_filezilla_resumes_at_an_offset_and_sets_the_time(door: RunningDoor) -> None:
    first = door.raw()
    write(first, first.open("/upload/ecr.csv"), CONTENT[:BLOCK])
    first.hang_up()
    torn = door.tear()
    with door.raw() as second:
        assert second.stat("/upload/ecr.csv")["size"] == BLOCK
        handle = second.open("/upload/ecr.csv", F_WRITE)
        write(second, handle, CONTENT[BLOCK:], BLOCK)
        second.close(handle)
        second.setstat("/upload/ecr.csv", MTIME)
    assert door.arrival().id == torn.id
    assert door.content(door.arrival()) == CONTENT
    assert door.uploaded("ecr.csv").stat().st_mtime == MTIME


def test_ten_transfers_of_filezilla_at_once(door: RunningDoor) -> None:
    """Each on a connection of its own."""
    clients = [door.raw() for _ in range(10)]
    handles = [client.open(f"/upload/{number}.csv") for number, client in enumerate(clients)]
    for client, handle in zip(clients, handles, strict=True):
        client.write(handle, 0, CONTENT[:BLOCK])
    for client, handle in zip(clients, handles, strict=True):
        client.close(handle)
        client.client.close()
    assert door.arrival(10).size == BLOCK


@pytest.mark.parametrize(
    "temporary",
    [
        "ecr.csv.ocTransferId1763759.part",
        ".ecr.csv.partial",
        "ecr.csv.partial",
        "ecr.csv.tmp",
        "~$ecr.csv",
        ".ecr.csv~",
    ],
)
def test_temporary_names_of_cyberduck_owncloud_and_rclone(client: RawClient, door: RunningDoor, temporary: str) -> None:
    client.put(f"/upload/{temporary}", CONTENT[:BLOCK])
    assert list(door.spool.all()) == []
    client.rename(f"/upload/{temporary}", "/upload/ecr.csv")
    assert door.arrival().path == "/upload/ecr.csv"


def test_times_by_handle_before_the_close(client: RawClient, door: RunningDoor) -> None:
    """lftp and OpenSSH's -p: FSETSTAT with times, then fsync, then CLOSE, all sent before any answer."""
    handle = client.open("/upload/ecr.csv")
    requests = [
        client.send_write(handle, 0, CONTENT[:BLOCK]),
        client.send(FSETSTAT, text(handle) + attributes(mtime=MTIME)),
        client.send(EXTENDED, text("fsync@openssh.com") + text(handle)),
        client.send(CLOSE, text(handle)),
    ]
    for request in requests:
        client.ok(request)
    assert door.arrival().size == BLOCK
    assert door.uploaded("ecr.csv").stat().st_mtime == MTIME


def test_a_library_that_fills_in_all_attributes_at_open(client: RawClient, door: RunningDoor) -> None:
    """A size of zero says nothing, and owner and mode are nobody's to choose."""
    flags = struct.pack(">I", F_WRITE | F_CREAT | F_TRUNC)
    handle = client._handle(client.send(OPEN, text("/upload/ecr.csv") + flags + full_attributes(0)))
    client.write(handle, 0, CONTENT[:BLOCK])
    client.close(handle)
    assert door.arrival().size == BLOCK
    assert client.stat("/upload/ecr.csv")["mode"] == 0o100644
