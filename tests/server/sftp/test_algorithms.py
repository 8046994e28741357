"""What the door offers is what the list says, as clients see it."""

import asyncio
import subprocess
from pathlib import Path
from typing import Any

import asyncssh
import pytest

from server.errors import AppError
from server.sftp import selftest
from server.sftp.algorithms import CIPHERS, KEY_EXCHANGES, MACS, SIGNATURES, load_host_keys
from tests.server.sftp.conftest import RunningDoor, make_key, need


@pytest.mark.parametrize("cipher", CIPHERS)
def test_every_cipher_carries_a_file(door: RunningDoor, cipher: str) -> None:
    need("sftp")
    done = subprocess.run(
        door.command("sftp", "-c", cipher, "-b", "-", "court@127.0.0.1"), input="ls /\n", capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("exchange", KEY_EXCHANGES)
def test_every_key_exchange_works(door: RunningDoor, exchange: str) -> None:
    need("ssh", "sftp")
    known = subprocess.run(["ssh", "-Q", "kex"], capture_output=True, text=True).stdout.split()
    if exchange not in known:
        asyncio.run(_connect(door, kex_algs=[exchange]))
        return
    command = door.command("sftp", "-o", f"KexAlgorithms={exchange}", "-b", "-", "court@127.0.0.1")
    assert subprocess.run(command, input="ls /\n", capture_output=True, text=True).returncode == 0


@pytest.mark.parametrize(
    "option",
    [
        "KexAlgorithms=diffie-hellman-group14-sha1",
        "Ciphers=aes128-cbc",
        "MACs=hmac-sha1",
        "HostKeyAlgorithms=ssh-rsa",
    ],
)
def test_weak_algorithms_are_not_offered(door: RunningDoor, option: str) -> None:
    need("sftp")
    extra = ["-c", "aes128-ctr"] if option.startswith("MACs") else []
    command = door.command("sftp", *extra, "-o", option, "-b", "-", "court@127.0.0.1")
    command[command.index("LogLevel=ERROR")] = "LogLevel=INFO"
    done = subprocess.run(command, input="ls /\n", capture_output=True, text=True)
    assert done.returncode != 0
    assert "no matching" in done.stderr


def test_an_rsa_key_signs_with_sha2_only(door: RunningDoor, tmp_path: Path) -> None:
    need("sftp")
    door.admit("court", make_key(tmp_path / "rsa", "rsa"))
    for algorithms, comes_in in (("rsa-sha2-256", True), ("rsa-sha2-512", True), ("ssh-rsa", False)):
        command = door.command("sftp", "-o", f"PubkeyAcceptedAlgorithms={algorithms}", "-b", "-", "court@127.0.0.1")
        command[command.index("-i") + 1] = str(tmp_path / "rsa")
        done = subprocess.run(command, input="ls /\n", capture_output=True, text=True)
        assert (done.returncode == 0) is comes_in, done.stderr


async def _connect(door: RunningDoor, key: str = "", **options: Any) -> None:
    keys = [key or str(door.keys / "id")]
    async with (
        asyncssh.connect(
            "127.0.0.1", door.port, username="court", client_keys=keys, known_hosts=None, config=None, **options
        ) as connection,
        connection.start_sftp_client() as sftp,
    ):
        assert sorted(await sftp.listdir("/")) == ["download", "upload"]


def test_a_sha1_signature_of_an_admitted_key_is_refused(door: RunningDoor, tmp_path: Path) -> None:
    door.admit("court", make_key(tmp_path / "rsa", "rsa"))
    with pytest.raises(asyncssh.Error):
        asyncio.run(_connect(door, str(tmp_path / "rsa"), signature_algs=["ssh-rsa"]))
    asyncio.run(_connect(door, str(tmp_path / "rsa")))


def test_host_keys_never_sign_with_sha1(keys: Path) -> None:
    pairs = load_host_keys([(keys / name).read_bytes() for name in ("host_rsa", "host_ed25519", "host_ecdsa")])
    names = {name.decode() for pair in pairs for name in pair.host_key_algorithms}
    assert names == {"rsa-sha2-256", "rsa-sha2-512", "ssh-ed25519", "ecdsa-sha2-nistp256"}
    assert names <= set(SIGNATURES)


def test_no_list_holds_what_is_broken() -> None:
    for name in (*KEY_EXCHANGES, *CIPHERS, *MACS, *SIGNATURES):
        assert "sha1" not in name
        assert "cbc" not in name
        assert "md5" not in name
    assert "ssh-rsa" not in SIGNATURES


def test_another_version_of_the_library_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    selftest.self_test()
    monkeypatch.setattr(selftest, "VERSION", "2.24.2")
    with pytest.raises(AppError, match=r"was made for 2\.24\.2"):
        selftest.self_test()
