"""Files go both ways unchanged, with every cipher, in requests of every size, through key exchanges: the hot path."""

import hashlib
import os
import struct
import subprocess
from collections.abc import Callable
from itertools import count
from pathlib import Path

import pytest

from server.sftp import desk
from server.sftp.hotpath import downloads, uploads
from tests.server.sftp.conftest import RunningDoor
from tests.server.sftp.rawclient import CLOSE, DATA, READ, STATUS, WRITE, text

Opener = Callable[..., RunningDoor]

CIPHERS = ("aes128-gcm@openssh.com", "aes256-gcm@openssh.com", "chacha20-poly1305@openssh.com", "aes128-ctr")
MACS = ("hmac-sha2-256-etm@openssh.com", "hmac-sha2-512-etm@openssh.com", "hmac-sha2-256")
WAYS = {
    "usual": (),
    "small": ("-B", "32768"),
    "odd": ("-B", "200001", "-R", "200"),
    "tiny": ("-B", "1000", "-R", "7"),
    "rekeying": ("-o", "RekeyLimit=32K"),
}
SIZE = 3_000_017


@pytest.fixture
def hot_path() -> bool:
    """Only the one that this is about."""
    return True


@pytest.fixture
def content(tmp_path: Path) -> Path:
    """A file that is not a multiple of anything."""
    file = tmp_path / "sent.bin"
    file.write_bytes(os.urandom(SIZE))
    return file


class Counted:
    """How many WRITE pieces and READs took the hot path."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.pieces = self.sealed = 0
        add, fill = uploads.Gathering.add, downloads.Downloads._read_in_place

        def count_add(gathering: uploads.Gathering, piece: memoryview) -> None:
            self.pieces += 1
            add(gathering, piece)

        def count_fill(self_: downloads.Downloads, handle: downloads.Readable, read: downloads.Read) -> bool:
            filled = fill(self_, handle, read)
            self.sealed += filled
            return filled

        monkeypatch.setattr(uploads.Gathering, "add", count_add)
        monkeypatch.setattr(downloads.Downloads, "_read_in_place", count_fill)


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> Counted:
    return Counted(monkeypatch)


def there_and_back(door: RunningDoor, content: Path, *options: str) -> None:
    back = content.with_name("back.bin")
    back.unlink(missing_ok=True)
    command = door.command("sftp", *options, "-b", "-", "court@127.0.0.1")
    batch = f"put {content} /upload/a.bin\nget /upload/a.bin {back}\n"
    done = subprocess.run(command, input=batch, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert hashlib.sha256(back.read_bytes()).digest() == hashlib.sha256(content.read_bytes()).digest()
    assert door.uploaded("a.bin").read_bytes() == content.read_bytes()


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("cipher", CIPHERS)
def test_every_cipher_and_size_of_request(
    open_door: Opener, content: Path, counted: Counted, cipher: str, way: str
) -> None:
    there_and_back(open_door(policy="compat"), content, "-c", cipher, "-o", f"MACs={MACS[0]}", *WAYS[way])
    assert counted.pieces
    assert counted.sealed


@pytest.mark.parametrize("way", WAYS)
def test_a_slow_disk(
    door: RunningDoor, content: Path, counted: Counted, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    monkeypatch.setattr(desk, "SLOW_WRITE", -1.0)  # so every write is a slow one
    monkeypatch.setattr(desk, "_waits", count().__next__)
    there_and_back(door, content, *WAYS[way])
    assert door.content(door.arrival()) == content.read_bytes()


@pytest.mark.parametrize("mac", MACS[1:])
def test_macs(open_door: Opener, content: Path, counted: Counted, mac: str) -> None:
    there_and_back(open_door(policy="compat"), content, "-c", "aes256-ctr", "-o", f"MACs={mac}")
    assert bool(counted.sealed) == mac.endswith("etm@openssh.com")  # the other goes asyncssh's way, as it should


def test_a_long_transfer_with_a_slow_cipher_changes_to_a_fast_one(door: RunningDoor, tmp_path: Path) -> None:
    content, back = tmp_path / "sent.bin", tmp_path / "back.bin"
    content.write_bytes(os.urandom(12_000_000))
    for order in ("aes128-ctr,aes128-gcm@openssh.com", "aes128-ctr"):
        command = door.command("sftp", "-v", "-c", order, "-b", "-", "court@127.0.0.1")
        batch = f"put {content} /upload/a.bin\nget /upload/a.bin {back}\n"
        done = subprocess.run(command, input=batch, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        assert back.read_bytes() == content.read_bytes() == door.uploaded("a.bin").read_bytes()
        ciphers = [line.split("cipher: ")[1].split()[0] for line in done.stderr.splitlines() if "kex: client->" in line]
        assert ciphers == ["aes128-ctr"] + ["aes128-gcm@openssh.com"] * ("gcm" in order)


def test_a_request_may_come_in_any_pieces(door: RunningDoor) -> None:
    with door.raw() as raw:
        handle = raw.open("/upload/a.bin", 0x1A)
        data = os.urandom(5000)
        requests = b"".join(
            struct.pack(">IBI", 5 + 4 + len(handle) + 12 + len(part), WRITE, number)
            + text(handle)
            + struct.pack(">QI", offset, len(part))
            + part
            for number, (offset, part) in enumerate(((0, data[:1]), (1, data[1:4000]), (4000, data[4000:])), 1000)
        )
        for at in range(0, len(requests), 7):
            raw.channel.sendall(requests[at : at + 7])
        for number in (1000, 1001, 1002):
            raw.ok(number)
        raw.close(handle)
    assert door.uploaded("a.bin").read_bytes() == data
    assert door.content(door.arrival()) == data


def test_a_client_with_a_small_window_gets_its_file(door: RunningDoor) -> None:
    data = os.urandom(700_000)
    client = door.paramiko()
    under = client.get_transport()
    assert under
    under.default_window_size = 50_000
    sftp = client.open_sftp()
    with sftp.open("/upload/a.bin", "wb") as file:
        file.write(data)
    with sftp.open("/upload/a.bin", "rb") as file:
        file.prefetch()
        assert file.read() == data
    client.close()


def test_reads_before_a_close_are_answered_before_it(door: RunningDoor) -> None:
    data = os.urandom(2_000_000)
    with door.raw() as raw:
        raw.put("/upload/a.bin", data)
        handle = raw.open("/upload/a.bin", 1)
        for number in range(60):
            raw.send(READ, text(handle) + struct.pack(">QI", number * 32768, 32768))
        raw.send(CLOSE, text(handle))
        assert [raw.receive()[0] for _ in range(61)] == [DATA] * 60 + [STATUS]


def test_a_file_that_grows_cold_is_read_all_the_same(door: RunningDoor) -> None:
    data = os.urandom(4_000_000)
    with door.raw() as raw:
        raw.put("/upload/a.bin", data)
        with door.uploaded("a.bin").open("rb") as file:
            os.fsync(file.fileno())
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        handle = raw.open("/upload/a.bin", 1)
        got = b"".join(raw.read(handle, at, 200_000) for at in range(0, len(data), 200_000))
        assert got == data
