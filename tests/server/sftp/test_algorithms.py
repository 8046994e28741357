"""What the door offers is what the policy says, as clients and ssh-audit see it."""

import asyncio
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import asyncssh
import pytest

from server.errors import AppError
from server.settings import Policy
from server.sftp import selftest
from server.sftp.algorithms import POLICIES, load_host_keys
from tests.server.sftp.conftest import RunningDoor, make_key, need

COMPAT = POLICIES["compat"]
DEFAULT = POLICIES["2025-03"]
FILES = Path(__file__).with_name("policies")

Opener = Callable[..., RunningDoor]


@pytest.mark.parametrize("cipher", COMPAT.ciphers)
def test_every_cipher_carries_a_file(open_door: Opener, cipher: str) -> None:
    need("sftp")
    door = open_door(policy="compat")
    done = subprocess.run(
        door.command("sftp", "-c", cipher, "-b", "-", "court@127.0.0.1"), input="ls /\n", capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("exchange", COMPAT.key_exchanges)
def test_every_key_exchange_works(open_door: Opener, exchange: str) -> None:
    need("ssh", "sftp")
    door = open_door(policy="compat")
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
def test_weak_algorithms_are_not_offered_even_for_old_clients(open_door: Opener, option: str) -> None:
    need("sftp")
    door = open_door(policy="compat")
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
    pairs = load_host_keys(
        [(keys / name).read_bytes() for name in ("host_rsa", "host_ed25519", "host_ecdsa")], "compat"
    )
    names = {name.decode() for pair in pairs for name in pair.host_key_algorithms}
    assert names == {"rsa-sha2-256", "rsa-sha2-512", "ssh-ed25519", "ecdsa-sha2-nistp256"}
    assert names <= set(COMPAT.host_keys)


@pytest.mark.parametrize("policy", POLICIES)
def test_a_host_key_the_policy_does_not_know_is_left_out(keys: Path, policy: Policy) -> None:
    private = [asyncssh.generate_private_key("ssh-ed448").export_private_key(), (keys / "host_ecdsa").read_bytes()]
    [pair] = load_host_keys(private, policy)
    assert pair.host_key_algorithms == [b"ecdsa-sha2-nistp256"]


def test_no_policy_holds_what_is_broken() -> None:
    for policy in POLICIES.values():
        for name in (*policy.key_exchanges, *policy.ciphers, *policy.macs, *policy.signatures, *policy.host_keys):
            assert not any(broken in name for broken in ("sha1", "cbc", "md5", "arcfour", "umac", "group1-", "-dss"))
        assert "ssh-rsa" not in (*policy.signatures, *policy.host_keys)


@pytest.mark.parametrize("policy", ["fips-2025-03", "fips-2024-05"])
def test_a_fips_policy_holds_approved_algorithms_only(policy: Policy) -> None:
    """The key agreements of SP 800-56A, alone or beside ML-KEM (SP 800-56C); AES; HMAC; FIPS 186-5's signatures."""
    chosen = POLICIES[policy]
    assert all(name.startswith(("ecdh-sha2-nistp", "diffie-hellman-group", "mlkem")) for name in chosen.key_exchanges)
    assert all(name.startswith("aes") for name in chosen.ciphers)
    assert all(name.startswith("hmac-sha2") for name in chosen.macs)
    assert not any(name.startswith("sk-") for name in chosen.signatures)


def audit(door: RunningDoor, policy: Policy) -> subprocess.CompletedProcess[str]:
    """What ssh-audit says of the door by the policy file of that name."""
    command = ["ssh-audit", "-n", "-t", "10", "-p", str(door.port), "-P", str(FILES / f"{policy}.txt"), "127.0.0.1"]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize("policy", POLICIES)
def test_ssh_audit_finds_exactly_the_policy(open_door: Opener, policy: Policy) -> None:
    need("ssh-audit")
    door = open_door(policy=policy)
    passed = {name for name in POLICIES if audit(door, name).returncode == 0}
    assert passed == {policy}, audit(door, policy).stdout


@pytest.mark.parametrize("policy", POLICIES)
def test_the_policy_files_say_what_the_policies_say(policy: Policy) -> None:
    """Also the names that ssh-audit has no eye for, so that neither can change without the other."""
    lines = (FILES / f"{policy}.txt").read_text().splitlines()
    said = {key.strip(): value.strip() for key, _, value in (line.partition("=") for line in lines) if value}
    chosen = POLICIES[policy]
    markers = ", ext-info-s, kex-strict-s-v00@openssh.com"
    assert said["key exchanges"] == ", ".join(chosen.key_exchanges) + markers
    assert said["ciphers"] == ", ".join(chosen.ciphers)
    assert said["macs"] == ", ".join(chosen.macs)
    assert set(said["host keys"].split(", ")) <= set(chosen.host_keys)


@pytest.mark.parametrize("policy", POLICIES)
def test_the_door_says_which_signatures_it_takes(open_door: Opener, policy: Policy) -> None:
    need("ssh")
    door = open_door(policy=policy)
    command = door.command("ssh", "-v", "-s", "court@127.0.0.1", "sftp")
    command[command.index("LogLevel=ERROR")] = "LogLevel=DEBUG1"
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30)
    [line] = [line for line in done.stderr.splitlines() if "server-sig-algs=" in line]
    assert line.partition("<")[2].rstrip("\r>").split(",") == list(POLICIES[policy].signatures)


def test_another_version_of_the_library_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    selftest.self_test()
    monkeypatch.setattr(selftest, "VERSION", "2.24.2")
    with pytest.raises(AppError, match=r"was made for 2\.24\.2"):
        selftest.self_test()
