"""What one client can take from the others: nothing. Every limit, tried from outside."""

import errno
import os
import resource
import socket
import struct
import subprocess
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import paramiko
import psutil
import pytest
import structlog
from asyncssh import SFTPFailure, SFTPPermissionDenied
from structlog.testing import capture_logs

from server.intake.spool import Manifest
from server.services.credential import PasswordProof
from server.sftp import door as limits_of_door
from server.sftp import handler
from server.sftp.paths import AgencyPath
from server.sftp.refusals import answered
from server.sftp.session import NEAR_WINDOW, Connection
from server.sftp.tree import Tree
from tests.server.sftp.conftest import RunningDoor, make_key, need, wait_until
from tests.server.sftp.rawclient import CLOSE, F_READ, F_WRITE, READ, READDIR, STAT, RawClient, Refused, text

Opener = Callable[..., RunningDoor]


def transport(door: RunningDoor) -> paramiko.Transport:
    made = paramiko.Transport(("127.0.0.1", door.port))
    made.start_client(timeout=20)
    return made


# Who may come in


@pytest.mark.parametrize(("slug", "key"), [("court", "stranger"), ("nobody", "id"), ("nobody", "stranger"), ("", "id")])
def test_only_the_right_key_for_the_right_name_comes_in(door: RunningDoor, slug: str, key: str) -> None:
    with pytest.raises((paramiko.AuthenticationException, paramiko.SSHException)) as refused:
        door.paramiko(slug, key)
    assert "court" not in str(refused.value)
    wait_until(lambda: bool(door.events.named("AUTH_FAILURE")), "the failure to be logged")


def test_one_agencys_key_does_not_open_another_agency(door: RunningDoor, keys: Path) -> None:
    door.admit("other", (keys / "stranger.fingerprint").read_text())
    with pytest.raises(paramiko.AuthenticationException):
        door.paramiko("other", "id")
    with RawClient(door.paramiko("other", "stranger")) as client:
        client.put("/upload/a.csv", b"1")
        assert door.arrival().agency == "other"


def test_passwords_are_not_even_asked_for(door: RunningDoor) -> None:
    client = transport(door)
    with pytest.raises(paramiko.BadAuthenticationType) as refused:
        client.auth_none("court")
    assert refused.value.allowed_types == ["publickey"]
    with pytest.raises(paramiko.SSHException):
        client.auth_password("court", "password", fallback=False)
    client.close()


def test_a_key_that_was_revoked_opens_no_further_channel(door: RunningDoor) -> None:
    client = door.paramiko()
    with RawClient(client) as raw:
        raw.names("/")
        door.gate.accounts.clear()
        with pytest.raises((EOFError, OSError, paramiko.SSHException)):
            RawClient(client)


def what_is_said(client: paramiko.SSHClient) -> str:
    """The sentence to whoever opens another channel and is not let in."""
    under = client.get_transport()
    assert under
    channel = under.open_session(timeout=10)
    channel.settimeout(10)
    channel.invoke_subsystem("sftp")
    assert channel.recv_exit_status() == 1
    return channel.makefile_stderr().read().decode().strip()


def test_a_further_channel_is_refused_with_the_reason(door: RunningDoor, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(*_: object) -> None:
        raise RuntimeError("the database is away")

    async def know_nobody(*_: object) -> None:
        return None

    with door.paramiko() as client:
        monkeypatch.setattr(door.gate, "admit", fail)
        assert what_is_said(client) == "The server cannot check your access just now. Try again in a minute."
        monkeypatch.setattr(door.gate, "admit", know_nobody)
        assert what_is_said(client) == "Your access has ended. Ask whoever gave it to you."


def test_a_gate_that_fails_lets_nobody_in(door: RunningDoor) -> None:
    async def fail(username: str, fingerprint: str) -> None:
        raise RuntimeError("the database is away")

    door.gate.admit = fail  # type: ignore[assignment,method-assign]
    with pytest.raises(paramiko.AuthenticationException):
        door.paramiko()
    assert door.events.named("ERROR")


def offer(door: RunningDoor, slug: str, *keys: Path) -> subprocess.CompletedProcess[str]:
    """OpenSSH offers keys one after the other on one connection."""
    need("sftp", "ssh-keygen")
    identities = [part for key in keys for part in ("-i", str(key))]
    command = door.command("sftp", *identities, "-b", "-", f"{slug}@127.0.0.1")
    at = command.index(str(door.keys / "id"))
    del command[at - 1 : at + 1]
    return subprocess.run(command, input="ls /\n", capture_output=True, text=True)


def test_sixty_keys_are_not_tried(open_door: Opener, tmp_path: Path, keys: Path) -> None:
    door = open_door(auth_tries=6)
    wrong = [tmp_path / f"key-{number}" for number in range(60)]
    for file in wrong:
        make_key(file)
    assert offer(door, "court", *wrong, keys / "id").returncode != 0
    assert len(door.gate.asked) == 6


def test_the_sixth_key_may_be_the_right_one(open_door: Opener, tmp_path: Path, keys: Path) -> None:
    door = open_door(auth_tries=6)
    wrong = [tmp_path / f"key-{number}" for number in range(5)]
    for file in wrong:
        make_key(file)
    assert offer(door, "court", *wrong, keys / "id").returncode == 0


def test_other_names_and_passwords_run_out_too(open_door: Opener) -> None:
    door = open_door()
    client = transport(door)
    tries = 0
    for number in range(200):
        try:
            client.auth_none(f"user{number}")
        except paramiko.BadAuthenticationType:
            tries += 1
        except (paramiko.SSHException, EOFError):
            break
    assert tries < 40
    client.close()


@pytest.mark.parametrize("last", ["another wrong one", "the right one"])
def test_the_last_words_do_not_tell_whether_a_password_was_right(
    open_door: Opener, monkeypatch: pytest.MonkeyPatch, last: str
) -> None:
    """From a network that the agency may not come from, no password opens anything, and each is answered alike."""
    door = open_door(auth_tries=2)
    door.gate.passwords["court"] = b"the right one"
    door.admit("court", str(PasswordProof("1")), networks="203.0.113.0/24")
    said: list[str] = []
    monkeypatch.setattr(Connection, "_end", lambda connection, code, reason: said.append(reason))
    client = transport(door)
    for password in ("a wrong one", last):
        with pytest.raises(paramiko.AuthenticationException):
            client.auth_password("court", password, fallback=False)
    client.close()
    assert said == ["Too many wrong passwords."]


def test_who_does_not_log_in_is_sent_away(open_door: Opener) -> None:
    door = open_door(login_grace=0.5)
    with socket.create_connection(("127.0.0.1", door.port), timeout=10) as silent:
        assert silent.recv(100).startswith(b"SSH-2.0-dropslot\r\n")
        began = time.monotonic()
        while silent.recv(10_000):
            pass
        assert time.monotonic() - began < 5


# How much one may open


def test_channels_on_one_connection_are_limited(open_door: Opener) -> None:
    door = open_door(channels=10)
    client = door.paramiko()
    opened = [RawClient(client)]
    refused = 0
    for _ in range(20):
        try:
            opened.append(RawClient(client))
        except paramiko.ChannelException:
            refused += 1
    assert (len(opened), refused) == (10, 11)
    opened[0].channel.close()
    wait_until(lambda: _opens(client), "a channel to be free again")
    client.close()


def _opens(client: paramiko.SSHClient) -> bool:
    try:
        RawClient(client)
    except paramiko.ChannelException:
        return False
    return True


def test_connections_of_one_agency_are_limited(open_door: Opener) -> None:
    door = open_door(sessions_per_agency=3)
    clients = [door.raw() for _ in range(3)]
    with pytest.raises((paramiko.SSHException, EOFError)):
        door.raw()
    assert clients[0].names("/") == ["download", "upload"]
    clients[0].client.close()
    wait_until(lambda: bool(door.events.named("DISCONNECTED")), "a connection to end")
    time.sleep(0.1)
    door.raw().client.close()
    for client in clients:
        client.client.close()


def test_open_files_and_directories_are_limited(door: RunningDoor) -> None:
    with door.raw() as client:
        client.put("/upload/a.csv", b"1")
        handles = [client.open("/upload/a.csv", F_READ) for _ in range(128)]
        with pytest.raises(Refused, match="128 files open"):
            client.open("/upload/a.csv", F_READ)
        client.close(handles[0])
        client.open("/upload/a.csv", F_READ)
        for _ in range(128):
            client.opendir("/upload")
        with pytest.raises(Refused, match="128 directories open"):
            client.opendir("/upload")


def test_the_names_of_open_directories_are_limited(door: RunningDoor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handler, "MOST_NAMES", 300)
    with door.raw() as client:
        client.mkdir("/upload/many")
        for number in range(200):
            door.uploaded(f"many/{number}.csv").write_bytes(b"")
        handles = [client.opendir("/upload/many") for _ in range(2)]
        with pytest.raises(Refused, match="too many names"):
            client.opendir("/upload/many")
        client.answer(client.send(READDIR, text(handles[0])))
        handles.append(client.opendir("/upload/many"))
        with pytest.raises(Refused, match="too many names"):
            client.opendir("/upload")
        client.close(handles[1])
        assert len(client.names("/upload/many")) == 200


def test_long_paths_that_were_sent_take_no_room(door: RunningDoor, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of each there is a number, by which its times can be set although it is gone."""
    remembered: list[object] = []
    remember = Tree._remember

    def keep(tree: Tree, path: AgencyPath) -> None:
        remember(tree, path)
        remembered[:] = tree._sent

    monkeypatch.setattr(Tree, "_remember", keep)
    with door.raw() as client:
        for name in ("a", "b"):
            client.put(f"/upload/{name}.csv", b"1")
            door.uploaded(f"{name}.csv").unlink()
            client.setstat(f"/upload/{name}.csv")
        with pytest.raises(Refused):
            client.setstat("/upload/c.csv")
    assert [type(one) for one in remembered] == [int, int]


def test_reads_are_clamped(door: RunningDoor) -> None:
    with door.raw() as client:
        client.put("/upload/a.csv", b"x" * 10)
        door.uploaded("a.csv").write_bytes(os.urandom(1024 * 1024))
        handle = client.open("/upload/a.csv", F_READ)
        assert len(client.read(handle, 0, 2**32 - 1)) == 256 * 1024
        for offset in (1024 * 1024, 2**63, 2**64 - 1):
            assert client.status(client.send(READ, text(handle) + struct.pack(">QI", offset, 10)))[0] == 1


def test_a_client_that_asks_and_does_not_read_fills_no_memory(door: RunningDoor) -> None:
    with door.raw() as setup:
        setup.put("/upload/a.csv", b"x")
        door.uploaded("a.csv").write_bytes(os.urandom(8 * 1024 * 1024))
    client = door.paramiko()
    under = client.get_transport()
    assert under
    under.default_window_size = 2**31 - 1  # nothing but the server's own care holds the replies back
    raw = RawClient(client)
    handle = raw.open("/upload/a.csv", F_READ)
    before = psutil.Process().memory_info().rss
    with raw.deaf():
        for _ in range(2000):
            raw.send(READ, text(handle) + struct.pack(">QI", 0, 256 * 1024))
        time.sleep(1.5)
        assert psutil.Process().memory_info().rss - before < 64 * 1024 * 1024
        with door.raw() as neighbour:
            assert neighbour.stat("/upload/a.csv", STAT)["size"] == 8 * 1024 * 1024


def test_who_asks_nonsense_before_login_and_does_not_read_fills_no_memory(door: RunningDoor) -> None:
    nonsense = struct.pack(">IBB10s", 12, 10, 15, b"") * 4096  # a message type that nobody knows; each gets an answer
    before, asked = psutil.Process().memory_info().rss, 0
    with socket.create_connection(("127.0.0.1", door.port), timeout=1) as connection:
        connection.sendall(b"SSH-2.0-nonsense\r\n")
        with suppress(TimeoutError):
            while asked < 256 * 1024 * 1024:
                asked += connection.send(nonsense)
        assert asked < 64 * 1024 * 1024  # soon nobody listened any more
        assert psutil.Process().memory_info().rss - before < 48 * 1024 * 1024
        with door.raw() as neighbour:
            assert neighbour.names("/") == ["download", "upload"]


def ended(connection: socket.socket) -> bool:
    """Whether the server has closed it; one that it has not only greets."""
    connection.settimeout(1)
    try:
        while connection.recv(1024):
            pass
    except TimeoutError:
        return False
    except ConnectionResetError:
        pass
    return True


def test_who_only_connects_does_not_keep_others_out(open_door: Opener) -> None:
    door = open_door(strangers_per_address=5)
    client = door.raw()
    silent = [socket.create_connection(("127.0.0.1", door.port), timeout=10) for _ in range(8)]
    wait_until(lambda: len(door.events.named("REFUSED")) == 3, "three connections to be refused")
    assert [ended(connection) for connection in silent] == [False] * 5 + [True] * 3
    assert client.names("/") == ["download", "upload"]
    for connection in silent:
        connection.close()
    wait_until(lambda: not door.strangers, "the silent ones to be gone")
    for _ in range(8):
        door.raw().client.close()
    client.client.close()
    assert len(door.events.named("REFUSED")) == 3


def test_all_addresses_together_are_limited_too(open_door: Opener) -> None:
    door = open_door(strangers=2)
    silent = [socket.create_connection(("127.0.0.1", door.port), timeout=10) for _ in range(3)]
    wait_until(lambda: len(door.events.named("REFUSED")) == 1, "one connection to be refused")
    for connection in silent:
        connection.close()


def test_a_door_may_open_as_many_files_as_the_system_lets_it(open_door: Opener) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(soft, 1024), hard))
    open_door()
    assert resource.getrlimit(resource.RLIMIT_NOFILE) == (hard, hard)


@pytest.mark.parametrize("code", [errno.EMFILE, errno.ENFILE])
def test_too_many_open_files_are_said_to_both_sides(code: int) -> None:
    busy = pytest.raises(SFTPFailure, match="The server is too busy")
    with capture_logs() as lines, busy, answered(structlog.get_logger(), "OPEN"):
        raise OSError(code, os.strerror(code))
    assert [(line["log_level"], line["errno"]) for line in lines] == [("error", errno.errorcode[code])]


@pytest.mark.parametrize("code", [errno.EROFS, errno.EPERM])
def test_a_disk_that_takes_nothing_is_said_to_both_sides(code: int) -> None:
    told = pytest.raises(SFTPPermissionDenied, match="tell the operator")
    with capture_logs() as lines, told, answered(structlog.get_logger(), "OPEN"):
        raise OSError(code, os.strerror(code))
    assert [(line["log_level"], line["errno"]) for line in lines] == [("error", errno.errorcode[code])]


def test_a_database_that_hangs_holds_up_no_session(door: RunningDoor) -> None:
    back, told = threading.Event(), door.intake.received

    def hang(manifest: Manifest) -> None:
        back.wait(20)
        told(manifest)

    door.intake.received = hang  # type: ignore[method-assign]
    try:
        with door.raw() as client:
            for number in range(40):
                client.put(f"/upload/{number}.csv", b"12345", size=5)
            assert len(client.names("/upload")) == 40
            assert door.intake.arrived == []
    finally:
        back.set()
    door.arrival(40)
    assert [manifest.name for manifest in door.intake.arrived] == [f"{number}.csv" for number in range(40)]


# How long one may stay


def test_an_agency_whose_files_are_locked_holds_up_no_other(open_door: Opener, keys: Path) -> None:
    """More of its requests wait for a lock than there are threads; each is done once the lock is free."""
    door = open_door(durability="fsync")
    door.admit("other", (keys / "stranger.fingerprint").read_text())
    many = limits_of_door.THREADS + 2
    clients = [door.paramiko() for _ in range(1 + many // 10)]
    channels = [RawClient(clients[number // 10]) for number in range(many)]
    channels[0].put("/upload/a.csv", b"12345")
    handles = [channel.open("/upload/a.csv", F_WRITE) for channel in channels]
    other = RawClient(door.paramiko("other", "stranger"))
    with door.journal.locked("court", "/upload/a.csv"):
        asked = [channel.send_write(handle, 0, b"6") for channel, handle in zip(channels, handles, strict=True)]
        time.sleep(0.3)
        other.put("/upload/b.csv", b"12345")
        assert other.names("/upload") == ["b.csv"]
    answers = [channel.status(request)[0] for channel, request in zip(channels, asked, strict=True)]
    assert answers.count(0) >= 1
    for client in (*clients, other.client):
        client.close()


def test_a_session_whose_key_is_revoked_is_ended(door: RunningDoor, keys: Path) -> None:
    door.admit("other", (keys / "stranger.fingerprint").read_text())
    client, other = door.raw(), RawClient(door.paramiko("other", "stranger"))
    client.write(client.open("/upload/ecr.csv"), 0, b"half")
    del door.gate.accounts["court", (keys / "id.fingerprint").read_text()]
    assert door.tear().path == "/upload/ecr.csv"
    with pytest.raises((EOFError, OSError, paramiko.SSHException)):
        client.names("/")
    assert [line["agency"] for line in door.events.named("EXPELLED")] == ["court"]
    assert other.names("/") == ["download", "upload"]
    other.client.close()


def test_a_session_whose_key_expires_is_ended(open_door: Opener, monkeypatch: pytest.MonkeyPatch) -> None:
    async def unchanged() -> object:
        return 0

    monkeypatch.setattr(limits_of_door, "ADMISSIONS_ANYWAY", 0)
    door = open_door()
    door.gate.stamp = unchanged  # type: ignore[method-assign]
    client = door.raw()
    door.gate.accounts.clear()
    wait_until(lambda: bool(door.events.named("EXPELLED")), "the session to end")
    client.client.close()


@pytest.mark.parametrize("question", ["stamp", "admit"])
def test_sessions_stay_while_the_gate_cannot_tell(door: RunningDoor, question: str) -> None:
    async def fail(*_: str) -> None:
        raise RuntimeError("the database is away")

    with door.raw() as client:
        setattr(door.gate, question, fail)
        door.gate.accounts.clear()
        wait_until(lambda: bool(door.events.named("ERROR")), "the failure to be logged")
        time.sleep(2)
        assert client.names("/") == ["download", "upload"]
        assert len(door.events.named("ERROR")) == 1


def test_an_idle_session_is_ended_and_a_busy_one_is_not(open_door: Opener) -> None:
    door = open_door(idle_timeout=1.5)  # more than a crowded machine keeps the busy one waiting
    with door.raw() as busy:
        idle = door.raw()

        def is_ended() -> bool:
            busy.names("/")
            return bool(door.events.named("DISCONNECTED"))

        wait_until(is_ended, "the idle session to be ended")
        time.sleep(0.5)
        busy.names("/")
        with pytest.raises((EOFError, OSError, paramiko.SSHException)):
            idle.names("/")


def test_a_client_that_stops_answering_is_given_up(open_door: Opener, tmp_path: Path) -> None:
    need("sftp")
    door = open_door(keepalive=0.3)
    endless = tmp_path / "endless.csv"
    with endless.open("wb") as file:
        file.truncate(40 * 1024**3)
    sftp = subprocess.Popen(door.command("sftp", "-b", "-", "court@127.0.0.1"), stdin=subprocess.PIPE, text=True)
    assert sftp.stdin
    sftp.stdin.write(f"put {endless} /upload/endless.csv\n")
    sftp.stdin.flush()
    wait_until(lambda: door.uploaded("endless.csv").exists(), "the upload to begin")
    (ssh,) = psutil.Process(sftp.pid).children()
    ssh.suspend()
    try:
        assert door.tear().reason
    finally:
        ssh.kill()
        sftp.stdin.close()
        sftp.wait(10)


# When the disk is full


def _write_for_ever(client: RawClient, handle: bytes) -> None:
    for offset in range(0, 2**40, 256 * 1024):
        client.write(handle, offset, b"x" * 256 * 1024)


@pytest.fixture
def small_disk(tmp_path: Path) -> Path:
    """A directory on a disk of 2 MiB."""
    place = tmp_path / "small"
    place.mkdir()
    if os.geteuid() != 0 or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "none", place]).returncode:
        pytest.skip("a small disk can only be mounted by root")
    return place


def test_a_full_disk_is_said_and_never_arrives(small_disk: Path, keys: Path) -> None:
    door = RunningDoor(small_disk, keys)
    door.admit("court", (keys / "id.fingerprint").read_text())
    door.start()
    try:
        with door.raw() as client:
            handle = client.open("/upload/big.csv")
            with pytest.raises(Refused, match="disk is full"):
                _write_for_ever(client, handle)
            with pytest.raises(Refused, match="earlier part"):
                client.write(handle, 0, b"x")
            code, sentence = client.status(client.send(CLOSE, text(handle)))
            assert (code, "not" in sentence) == (4, True)
            assert door.intake.arrived == []
            assert list(door.spool.all()) == []
            client.remove("/upload/big.csv")
            client.put("/upload/small.csv", b"it goes on")
            assert door.content(door.arrival()) == b"it goes on"
    finally:
        door.drain()
        subprocess.run(["umount", small_disk], check=True)


def test_a_spool_that_is_full_is_said_at_close(door: RunningDoor) -> None:
    with door.raw() as client:
        handle = client.open("/upload/a.csv")
        client.write(handle, 0, b"12345")

        def refuse(*_: object) -> None:
            raise OSError(28, "No space left on device")

        accept, door.spool.accept_link = door.spool.accept_link, refuse  # type: ignore[method-assign]
        with pytest.raises(Refused, match="disk is full"):
            client.close(handle)
        assert door.tear().path == "/upload/a.csv"
        door.spool.accept_link = accept  # type: ignore[method-assign]
        client.put("/upload/a.csv", b"12345")
        assert door.content(door.arrival()) == b"12345"


def test_a_client_that_is_far_away_may_send_further_ahead(open_door: Opener) -> None:
    door = open_door(window=8 * 1024 * 1024)
    client = door.paramiko()
    time.sleep(0.05)  # as if the welcome took that long to reach it
    with RawClient(client) as raw:
        assert raw.channel.out_window_size > 7 * 1024 * 1024
        beside = RawClient(client)
        assert beside.channel.out_window_size <= NEAR_WINDOW, "what a connection may send ahead does not add up"
        for channel in (raw.channel, beside.channel):
            channel.close()
        wait_until(lambda: all(not session.channels for session in door._door._connections), "the channels to close")
        assert RawClient(client).channel.out_window_size > 7 * 1024 * 1024
