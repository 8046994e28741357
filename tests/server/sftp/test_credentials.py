"""What the door takes for a proof, and what it does not; and what it proves itself with."""

import asyncio
import contextlib
import subprocess
from collections.abc import Callable
from pathlib import Path

import asyncssh
import paramiko
import pytest
from asyncssh.connection import MSG_REQUEST_SUCCESS
from paramiko.common import cMSG_SERVICE_REQUEST, cMSG_USERAUTH_REQUEST

from server.services.credential import PasswordProof
from server.sftp.protocol import SSHConnection
from server.sftp.session import LEAST_TRIES, Connection
from tests.server.sftp.conftest import RunningDoor, make_key, need, wait_until


def sign(folder: Path, pair: str, principal: str = "court") -> str:
    """Sign `pair` with a new authority in `folder`; how the door calls the certificate."""
    authority = make_key(folder / "ca")
    command = [
        "ssh-keygen",
        "-q",
        "-s",
        folder / "ca",
        "-I",
        "clerk",
        "-z",
        "7",
        "-n",
        principal,
        folder / f"{pair}.pub",
    ]
    subprocess.run(command, check=True)
    return f"certificate 7 of {authority}"


async def connect(door: RunningDoor, key: Path, **options: object) -> None:
    certified = (str(key), f"{key}-cert.pub")
    given = {"known_hosts": None, "config": None, "username": "court", "client_keys": [certified], **options}
    async with asyncssh.connect("127.0.0.1", door.port, **given):
        pass


def test_a_certificate_is_told_to_the_gate_as_what_it_is(door: RunningDoor, tmp_path: Path) -> None:
    need("ssh-keygen")
    make_key(tmp_path / "holder")
    door.admit("court", sign(tmp_path, "holder"))
    asyncio.run(connect(door, tmp_path / "holder"))
    [use] = door.gate.uses
    assert use[:3] == ("court", sign_name(door), "127.0.0.1")
    assert "AsyncSSH" in use[3]
    assert door.events.named("CONNECTED")[0]["key"] == use[1]


def with_paramiko(door: RunningDoor, *keys: Path, password: str | None = None) -> None:
    """Log in as paramiko does with several keys, and a password behind them: it begins anew for each."""
    with paramiko.SSHClient() as client:
        client.set_missing_host_key_policy(paramiko.AutoAddPolicy())
        files = [str(key) for key in keys]
        way = {"allow_agent": False, "look_for_keys": False}
        client.connect("127.0.0.1", door.port, "court", password, key_filename=files, **way)  # type: ignore[arg-type]
        assert client.open_sftp().listdir("/") == ["download", "upload"]


def test_paramikos_second_key_may_be_the_right_one(door: RunningDoor) -> None:
    with_paramiko(door, door.keys / "stranger", door.keys / "id")
    assert not door.events.named("AUTH_FAILURE")


def test_paramikos_password_may_follow_a_wrong_key(door: RunningDoor) -> None:
    door.gate.passwords["court"] = b"a passphrase of the court"
    door.admit("court", str(PasswordProof("1")))
    with_paramiko(door, door.keys / "stranger", password="a passphrase of the court")
    assert not door.events.named("AUTH_FAILURE")


def test_what_is_wrong_of_paramikos_is_counted_as_a_wrong_key(door: RunningDoor) -> None:
    with pytest.raises(paramiko.AuthenticationException):
        with_paramiko(door, door.keys / "stranger", door.keys / "host_ed25519")
    wait_until(lambda: bool(door.events.named("AUTH_FAILURE")), "the failure to be noted")
    [failure] = door.events.named("AUTH_FAILURE")
    assert (failure["reason"], failure["keys_offered"]) == ("bad key", 2)


@pytest.mark.parametrize("service", ["ssh-userauth", "ssh-connection"])
def test_a_login_is_not_begun_for_ever(door: RunningDoor, monkeypatch: pytest.MonkeyPatch, service: str) -> None:
    """In the middle of it, only itself and only so often. A connection that never said a name is no wrong key."""
    begun: list[str] = []
    again = Connection.login_begun_again

    def count(self: Connection) -> None:
        begun.append(service)
        again(self)

    monkeypatch.setattr(Connection, "login_begun_again", count)
    with paramiko.Transport(("127.0.0.1", door.port)) as transport:
        transport.start_client(timeout=10)
        for wanted in ("ssh-userauth", *[service] * 100):
            asked = paramiko.Message()
            asked.add_byte(cMSG_SERVICE_REQUEST)
            asked.add_string(wanted)
            with contextlib.suppress(OSError, EOFError):
                transport._send_message(asked)  # type: ignore[attr-defined]
        wait_until(lambda: door.strangers == 0, "the connection to end")
    assert len(begun) == (LEAST_TRIES + 1 if service == "ssh-userauth" else 0)
    assert not door.events.named("AUTH_FAILURE")


def sign_name(door: RunningDoor) -> str:
    return next(name for _, name in door.gate.accounts if name.startswith("certificate"))


def test_the_holder_of_a_certificate_does_not_sign_with_sha1_either(door: RunningDoor, tmp_path: Path) -> None:
    need("ssh-keygen")
    make_key(tmp_path / "holder", "rsa")
    door.admit("court", sign(tmp_path, "holder"))
    with pytest.raises(asyncssh.Error):
        asyncio.run(connect(door, tmp_path / "holder", signature_algs=["ssh-rsa"]))
    asyncio.run(connect(door, tmp_path / "holder"))


@pytest.mark.parametrize(("signature", "comes_in"), [("rsa-sha2-512", True), ("ssh-rsa", False)])
def test_an_authority_does_not_sign_with_sha1(
    door: RunningDoor, tmp_path: Path, signature: str, comes_in: bool
) -> None:
    need("ssh-keygen", "sftp")
    make_key(tmp_path / "holder")
    authority = make_key(tmp_path / "ca", "rsa")
    words = ["-s", tmp_path / "ca", "-t", signature, "-I", "clerk", "-z", "7", "-n", "court"]
    subprocess.run(["ssh-keygen", "-q", *words, tmp_path / "holder.pub"], check=True)
    door.admit("court", f"certificate 7 of {authority}")
    options = ["-o", "CASignatureAlgorithms=+ssh-rsa", "-o", "PubkeyAcceptedAlgorithms=+ssh-rsa"]
    command = door.command("sftp", *options, "-b", "-", "court@127.0.0.1")
    command[command.index("-i") + 1] = str(tmp_path / "holder")
    done = subprocess.run(command, input="ls /\n", capture_output=True, text=True, timeout=60)
    assert (done.returncode == 0) is comes_in, done.stderr
    refused = [line["reason"] for line in door.events.named("CERTIFICATE_REFUSED")]
    assert comes_in or "ssh-rsa" in refused[0]


def test_a_certificate_without_its_private_key_opens_nothing(door: RunningDoor, tmp_path: Path) -> None:
    need("ssh-keygen")
    make_key(tmp_path / "holder")
    make_key(tmp_path / "thief")
    door.admit("court", sign(tmp_path, "holder"))
    stolen = asyncssh.read_certificate(str(tmp_path / "holder-cert.pub"))
    with pytest.raises((asyncssh.Error, ValueError)):
        asyncio.run(connect(door, tmp_path / "thief", client_keys=[(str(tmp_path / "thief"), stolen)]))
    assert not door.gate.uses


def test_certificates_offered_without_end_are_bounded_as_keys_are(
    open_door: Callable[..., RunningDoor], tmp_path: Path
) -> None:
    need("sftp")
    door = open_door(auth_tries=2)
    keys = []
    for number in range(4):
        folder = tmp_path / f"holder {number}"
        folder.mkdir()
        make_key(folder / "holder")
        sign(folder, "holder")
        keys += ["-i", str(folder / "holder")]
    command = door.command("sftp", *keys, "-b", "-", "court@127.0.0.1")
    command.remove("-i")
    command.remove(str(door.keys / "id"))
    done = subprocess.run(command, input="ls /\n", capture_output=True, text=True, timeout=60)
    assert done.returncode != 0
    wait_until(lambda: door.strangers == 0, "the connection to end")
    assert len(door.gate.asked) <= 2


def test_only_an_agency_with_a_password_can_try_one(door: RunningDoor) -> None:
    door.gate.passwords["court"] = b"the right one"
    door.admit("court", "password")

    async def log_in(username: str, password: str) -> None:
        given = {"known_hosts": None, "config": None, "client_keys": None}
        async with asyncssh.connect("127.0.0.1", door.port, username=username, password=password, **given):
            pass

    asyncio.run(log_in("court", "the right one"))
    assert door.events.named("CONNECTED")[0]["key"] == "password"
    for username, password in (("court", "the wrong one"), ("nobody", "the right one")):
        with pytest.raises(asyncssh.PermissionDenied):
            asyncio.run(log_in(username, password))
    wait_until(lambda: len(door.events.named("AUTH_FAILURE")) == 2, "both failures to be logged")
    assert [line["reason"] for line in door.events.named("AUTH_FAILURE")] == ["wrong password", "unknown user"]
    assert "the wrong one" not in str(door.events.lines)


def test_connections_do_not_choose_each_others_signatures(keys: Path) -> None:
    async def choose() -> list[bytes]:
        options = await asyncssh.SSHServerConnectionOptions.construct(
            None, config=None, server_factory=asyncssh.SSHServer, server_host_keys=[str(keys / "host_rsa")]
        )
        loop = asyncio.get_running_loop()
        connections = [SSHConnection(loop, options) for _ in range(2)]
        wishes = (b"rsa-sha2-512", b"rsa-sha2-256")
        assert all(one.choose_server_host_key([wish]) for one, wish in zip(connections, wishes, strict=True))
        chosen = [one.get_server_host_key() for one in connections]
        return [key.sig_algorithm for key in chosen if key]

    assert asyncio.run(choose()) == [b"rsa-sha2-512", b"rsa-sha2-256"]


def test_host_keys_are_announced_and_each_is_proved_once(door: RunningDoor, keys: Path) -> None:
    blobs = [asyncssh.read_public_key(f"{keys}/host_{kind}.pub").public_data for kind in ("ed25519", "ecdsa", "rsa")]

    async def ask(*requests: list[bytes]) -> list[bool]:
        given = {"known_hosts": None, "config": None, "client_keys": [str(keys / "id")]}
        async with asyncssh.connect("127.0.0.1", door.port, username="court", **given) as connection:
            answers = []
            for asked in requests:
                words = [len(blob).to_bytes(4, "big") + blob for blob in asked]
                kind, _ = await connection._make_global_request(b"hostkeys-prove-00@openssh.com", *words)
                answers.append(kind == MSG_REQUEST_SUCCESS)
            return answers

    assert asyncio.run(ask(blobs, blobs)) == [True, False]
    assert asyncio.run(ask(blobs + blobs[:1], blobs)) == [False, True]
    assert asyncio.run(ask([b"another key"])) == [False]


def test_what_is_no_key_at_all_is_counted_like_a_key(open_door: Callable[..., RunningDoor]) -> None:
    door = open_door(auth_tries=2)
    junk = paramiko.Message()
    junk.add_byte(cMSG_USERAUTH_REQUEST)
    for word in ("court", "ssh-connection", "publickey"):
        junk.add_string(word)
    junk.add_boolean(False)
    junk.add_string("ssh-ed25519")
    junk.add_string("junk")
    with paramiko.Transport(("127.0.0.1", door.port)) as transport:
        transport.start_client(timeout=30)
        with contextlib.suppress(paramiko.SSHException):
            transport.auth_none("court")
        with contextlib.suppress(OSError, EOFError):
            for _ in range(LEAST_TRIES + 1):
                transport._send_user_message(junk)  # type: ignore[attr-defined]
        wait_until(lambda: not transport.is_active(), "the connection to end")
    assert not door.gate.asked
