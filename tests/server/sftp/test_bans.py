"""Bans and the rate of connections, from outside: clients with loopback addresses of their own at a running door."""

import socket
import subprocess
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import paramiko
import pytest

from server.defence import HABIT, Defence
from tests.server.sftp.conftest import RunningDoor, need, wait_until
from tests.server.sftp.rawclient import RawClient

Opener = Callable[..., RunningDoor]

COURT, ATTACKER = "127.0.0.2", "127.0.0.66"


def knock(door: RunningDoor, source: str) -> bytes:
    """Connect from an address of loopback; the first line that comes (nothing: the connection was only closed)."""
    with socket.create_connection(("127.0.0.1", door.port), 10, (source, 0)) as sock, sock.makefile("rb") as lines:
        try:
            return lines.readline()
        except ConnectionResetError:
            return b""


def log_in(door: RunningDoor, source: str, slug: str = "court", key: str = "id") -> paramiko.SSHClient:
    """Log in from an address of loopback."""
    sock = socket.create_connection(("127.0.0.1", door.port), 10, (source, 0))
    client = paramiko.SSHClient()
    client.set_missing_host_key_policy(paramiko.AutoAddPolicy())
    file = str(door.keys / key)
    try:
        client.connect("x", 22, slug, key_filename=file, allow_agent=False, look_for_keys=False, sock=sock)
    except Exception:
        client.close()
        sock.close()
        raise
    return client


def fail(door: RunningDoor, source: str, slug: str, key: str = "stranger") -> None:
    with pytest.raises(paramiko.AuthenticationException):
        log_in(door, source, slug, key)


def reasons(door: RunningDoor, event: str) -> list[Any]:
    return [line["reason"] for line in door.events.named(event)]


@pytest.fixture
def strict(open_door: Opener) -> RunningDoor:
    """A door that bans early, loopback too."""
    return open_door(never_ban="", ban_threshold=4)


def is_banned(door: RunningDoor, source: str) -> bool:
    return knock(door, source).startswith(b"Too many logins")


def test_wrong_keys_ban_their_address_and_nobody_else(strict: RunningDoor) -> None:
    log_in(strict, ATTACKER).close()
    time.sleep(0.3)
    for _ in range(3):
        fail(strict, ATTACKER, "court")
    wait_until(lambda: len(strict.events.named("AUTH_FAILURE")) == 3, "the failures to be noted")
    time.sleep(0.3)
    assert knock(strict, ATTACKER).startswith(b"SSH-2.0-")
    fail(strict, ATTACKER, "court")
    wait_until(lambda: is_banned(strict, ATTACKER), "the ban", 3)
    (ban,) = strict.events.named("BANNED")
    assert (ban["source_ip"], ban["seconds"], ban["times"]) == (ATTACKER, 1800, 1)
    assert reasons(strict, "AUTH_FAILURE") == ["bad key"] * 4
    with log_in(strict, COURT) as client:
        assert RawClient(client).names("/") == ["download", "upload"]


@pytest.mark.parametrize(("slug", "reason"), [("nobody", "unknown user"), ("court", "bad key")])
def test_names_that_exist_and_others_are_told_apart_in_the_log_only(
    strict: RunningDoor, slug: str, reason: str
) -> None:
    for _ in range(2):
        assert not is_banned(strict, ATTACKER)
        fail(strict, ATTACKER, slug)
    wait_until(lambda: is_banned(strict, ATTACKER), "the ban", 3)
    assert reasons(strict, "AUTH_FAILURE") == [reason] * 2


def test_several_keys_on_one_connection_are_one_fault(strict: RunningDoor) -> None:
    need("sftp")
    log_in(strict, ATTACKER).close()
    time.sleep(0.3)
    identities = ["-i", str(strict.keys / "stranger"), "-i", str(strict.keys / "host_rsa"), "-b", ATTACKER]
    command = ["sftp", "-F", "none", "-P", str(strict.port), *identities[:4], "-o", f"BindAddress={ATTACKER}"]
    trust = ["-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "BatchMode=yes"]
    for _ in range(3):
        done = subprocess.run([*command, *trust, "court@127.0.0.1"], capture_output=True, stdin=subprocess.DEVNULL)
        assert done.returncode != 0
    wait_until(lambda: len(strict.events.named("AUTH_FAILURE")) == 3, "the failures to be noted")
    assert [line["keys_offered"] for line in strict.events.named("AUTH_FAILURE")] == [2] * 3
    time.sleep(0.5)
    assert not is_banned(strict, ATTACKER)


def test_a_key_that_is_refused_before_the_right_one_is_no_fault(open_door: Opener, keys: Path) -> None:
    need("sftp")
    door = open_door(never_ban="", ban_threshold=1)
    for _ in range(3):
        command = door.command("sftp", "-b", "-", "court@127.0.0.1")
        command[command.index("-i") : command.index("-i")] = ["-i", str(keys / "stranger")]
        assert subprocess.run(command, input="ls /\n", capture_output=True, text=True).returncode == 0
    assert len(door.gate.asked) > 3
    assert not door.events.named("AUTH_FAILURE")


def test_who_connects_and_leaves_is_banned_once_it_is_a_habit(strict: RunningDoor) -> None:
    for number in range(HABIT + 3):
        assert knock(strict, ATTACKER).startswith(b"SSH-2.0-"), number
    wait_until(lambda: not strict.strangers, "them to be gone")
    time.sleep(0.5)
    assert knock(strict, ATTACKER).startswith(b"SSH-2.0-")
    wait_until(lambda: is_banned(strict, ATTACKER), "the ban", 3)


def test_a_ban_survives_a_restart_and_is_shared(open_door: Opener, tmp_path: Path, keys: Path) -> None:
    first = open_door(never_ban="", ban_threshold=4)
    second = RunningDoor(first.folder, keys, never_ban="", ban_threshold=4)
    second.start()
    try:
        fail(first, ATTACKER, "nobody")
        fail(second, ATTACKER, "nobody")
        wait_until(lambda: is_banned(first, ATTACKER), "the ban here", 3)
        wait_until(lambda: is_banned(second, ATTACKER), "the ban there", 3)
    finally:
        second.drain()
    first.drain()
    third = RunningDoor(first.folder, keys, never_ban="", ban_threshold=4)
    third.start()
    try:
        assert is_banned(third, ATTACKER)
        assert not is_banned(third, COURT)
    finally:
        third.drain()


def test_a_ban_ends_and_can_be_lifted(open_door: Opener) -> None:
    door = open_door(never_ban="", ban_threshold=2, ban_time=1.5)
    fail(door, ATTACKER, "nobody")
    wait_until(lambda: is_banned(door, ATTACKER), "the ban", 3)
    wait_until(lambda: not is_banned(door, ATTACKER), "its end", 5)
    defence = Defence(door.settings.defence)
    defence.add(COURT, 3600)
    wait_until(lambda: is_banned(door, COURT), "the operator's ban", 3)
    defence.lift(COURT)
    wait_until(lambda: not is_banned(door, COURT), "it to be lifted", 3)
    defence.close()


def test_a_banned_address_is_logged_once_and_not_for_every_try(strict: RunningDoor) -> None:
    for slug in ("nobody", "nothing"):
        fail(strict, ATTACKER, slug)
    wait_until(lambda: is_banned(strict, ATTACKER), "the ban", 3)
    for _ in range(20):
        assert is_banned(strict, ATTACKER)
    assert reasons(strict, "REFUSED") == ["banned"]


def test_loopback_is_not_judged_unless_it_is_set(open_door: Opener) -> None:
    door = open_door(ban_threshold=1, accept_burst=1, accepts_per_minute=0.01, sessions_per_address=1)
    for _ in range(5):
        fail(door, ATTACKER, "nobody")
    with log_in(door, ATTACKER), log_in(door, ATTACKER):
        assert not door.events.named("BANNED")


def test_a_login_speaks_for_its_address(open_door: Opener) -> None:
    door = open_door(never_ban="", ban_threshold=5)
    for round_ in range(1, 4):
        fail(door, COURT, "court")
        fail(door, COURT, "court")
        wait_until(lambda: len(door.events.named("AUTH_FAILURE")) == 2 * round_, "the failures to be noted")  # noqa: B023
        time.sleep(0.3)
        log_in(door, COURT).close()
        time.sleep(0.3)
    assert not door.events.named("BANNED")


def test_a_database_of_bans_that_is_away_keeps_nobody_out(open_door: Opener) -> None:
    door = open_door(never_ban="", ban_threshold=2)
    for file in door.settings.run.glob("defence.db*"):
        file.unlink()
    door.settings.defence.mkdir()
    for _ in range(3):
        fail(door, ATTACKER, "nobody")
    with log_in(door, COURT) as client:
        assert RawClient(client).names("/") == ["download", "upload"]


def test_a_database_of_bans_that_breaks_or_vanishes_is_made_anew(strict: RunningDoor) -> None:
    fail(strict, ATTACKER, "nobody")
    time.sleep(0.5)
    for file in strict.settings.run.glob("defence.db*"):
        file.unlink()
    time.sleep(1.5)
    defence = Defence(strict.settings.defence)
    defence.add(COURT, 3600)
    defence.close()
    wait_until(lambda: is_banned(strict, COURT), "the operator's ban", 3)
    strict.settings.defence.write_bytes(b"rubbish" * 4096)
    for _ in range(6):
        with suppress(paramiko.SSHException):
            log_in(strict, ATTACKER, "nobody")
        time.sleep(0.3)
    wait_until(lambda: is_banned(strict, ATTACKER), "the ban", 3)


# How fast one may connect


def test_a_flood_of_connections_is_stopped_before_ssh_and_a_burst_is_not(open_door: Opener) -> None:
    door = open_door(never_ban="", accept_burst=50, accepts_per_minute=1)
    sockets = [socket.create_connection(("127.0.0.1", door.port), 10, (ATTACKER, 0)) for _ in range(50)]
    for sock in sockets:
        assert sock.recv(100).startswith(b"SSH-2.0-dropslot")
    assert knock(door, ATTACKER).startswith(b"Your address opens connections too fast")
    assert knock(door, COURT).startswith(b"SSH-2.0-")
    for sock in sockets:
        sock.close()
    assert reasons(door, "REFUSED") == ["too many connections a minute"]


def test_the_rate_holds_over_processes(open_door: Opener, keys: Path) -> None:
    first = open_door(never_ban="", accept_burst=10, accepts_per_minute=1)
    second = RunningDoor(first.folder, keys, never_ban="", accept_burst=10, accepts_per_minute=1)
    second.start()
    try:
        answers = [knock(door, ATTACKER) for _ in range(10) for door in (first, second)]
        assert sum(answer.startswith(b"SSH-2.0-") for answer in answers) == 10
    finally:
        second.drain()


def test_one_burst_too_many_is_one_fault(open_door: Opener) -> None:
    door = open_door(never_ban="", accept_burst=1, accepts_per_minute=1)
    for _ in range(30):
        knock(door, COURT)
    time.sleep(0.5)
    assert not door.events.named("BANNED")


# How many at a time, over processes


def test_sessions_of_an_agency_and_of_an_address_are_counted_over_processes(open_door: Opener, keys: Path) -> None:
    settings = {"never_ban": "", "sessions_per_agency": 3, "sessions_per_address": 2}
    first = open_door(**settings)
    second = RunningDoor(first.folder, keys, **settings)
    second.admit("court", (keys / "id.fingerprint").read_text())
    second.start()
    try:
        held = [log_in(first, COURT), log_in(second, COURT)]
        with pytest.raises((paramiko.SSHException, EOFError)):
            RawClient(log_in(first, COURT))
        held.append(log_in(second, "127.0.0.3"))
        with pytest.raises((paramiko.SSHException, EOFError)):
            RawClient(log_in(first, "127.0.0.4"))
        assert reasons(first, "REFUSED") == [
            "More than 2 connections from one address are not allowed.",
            "More than 3 connections at a time are not allowed.",
        ]
        for client in held:
            assert RawClient(client).names("/") == ["download", "upload"]
            client.close()
        wait_until(lambda: _comes_in(first, COURT), "the slots to be free")
    finally:
        second.drain()


def _comes_in(door: RunningDoor, source: str) -> bool:
    try:
        with log_in(door, source) as client:
            RawClient(client)
    except (paramiko.SSHException, EOFError):
        return False
    return True


def test_strangers_are_counted_over_processes_and_told(open_door: Opener, keys: Path) -> None:
    first = open_door(strangers=3)
    second = RunningDoor(first.folder, keys, strangers=3)
    second.start()
    try:
        doors = (first, second, first)
        silent = [socket.create_connection(("127.0.0.1", door.port), 10) for door in doors]
        wait_until(lambda: first.strangers + second.strangers == 3, "three to be counted")
        with socket.create_connection(("127.0.0.1", second.port), 10) as one_more:
            said = b""
            while chunk := one_more.recv(4096):
                said += chunk
        assert b"Try again in a minute" in said
        for sock in silent:
            sock.close()
        wait_until(lambda: not first.strangers + second.strangers, "them to be gone")
    finally:
        second.drain()


def test_who_has_logged_in_is_told_that_it_is_too_much_and_not_banned(open_door: Opener) -> None:
    door = open_door(never_ban="", sessions_per_agency=1, ban_threshold=1)
    with log_in(door, COURT) as client:
        for _ in range(5):
            with pytest.raises((paramiko.SSHException, EOFError)):
                RawClient(log_in(door, COURT))
        time.sleep(0.5)
        assert RawClient(client).names("/") == ["download", "upload"]
    assert not door.events.named("BANNED")


def test_fifty_connections_of_a_court_at_the_same_moment_come_in(open_door: Opener) -> None:
    door = open_door(never_ban="")
    with ThreadPoolExecutor(50) as pool:
        clients = list(pool.map(lambda _: log_in(door, COURT), range(50)))
    assert len(door.events.named("CONNECTED")) == 50
    assert not door.events.named("REFUSED")
    for client in clients:
        client.close()


# From where one may come


def test_an_agency_may_be_bound_to_its_networks(strict: RunningDoor, keys: Path) -> None:
    fingerprint = (keys / "id.fingerprint").read_text()
    strict.admit("court", fingerprint, f"10.0.0.0/8 {COURT}/32")
    with RawClient(log_in(strict, COURT)) as client:
        assert client.names("/") == ["download", "upload"]
    with pytest.raises(paramiko.AuthenticationException) as elsewhere:
        log_in(strict, ATTACKER)
    with pytest.raises(paramiko.AuthenticationException) as wrong_key:
        log_in(strict, ATTACKER, key="stranger")
    assert str(elsewhere.value) == str(wrong_key.value), "an outsider cannot tell"
    wait_until(lambda: len(strict.events.named("AUTH_FAILURE")) == 2, "the failures to be logged")
    assert set(reasons(strict, "AUTH_FAILURE")) == {"the address is in none of the agency's networks", "bad key"}


def test_a_session_ends_when_its_address_is_not_allowed_any_more(door: RunningDoor, keys: Path) -> None:
    fingerprint = (keys / "id.fingerprint").read_text()
    here, there = RawClient(log_in(door, COURT)), RawClient(log_in(door, ATTACKER))
    door.admit("court", fingerprint, f"{COURT}/32")
    wait_until(lambda: bool(door.events.named("EXPELLED")), "the session to end", 5)
    with pytest.raises((EOFError, OSError, paramiko.SSHException)):
        there.names("/")
    assert here.names("/") == ["download", "upload"]
    assert [line["source_ip"] for line in door.events.named("EXPELLED")] == [ATTACKER]
    here.client.close()


def test_a_guard_that_is_woken_as_it_stops_stops(open_door: Callable[..., RunningDoor]) -> None:
    for _ in range(5):
        door = open_door(never_ban="")
        assert door._loop
        door._loop.call_soon_threadsafe(door._door._guard._wake.set)
        door.drain()
