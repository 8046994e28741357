"""Limits, bans and networks as an operator sets them, on a server with two SFTP processes."""

import json
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import paramiko
import psutil
import pytest

from tests.acceptance.clients.lftp import Lftp
from tests.acceptance.conftest import make_court
from tests.acceptance.court import Court, Dropslot, run_quietly, wait_for

ELSEWHERE = "127.0.0.66"


@pytest.fixture(scope="module")
def two_doors(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dropslot]:
    """A server with two SFTP processes that judges loopback too, but for 127.0.0.1."""
    folder = tmp_path_factory.mktemp("limits")
    notice = folder / "notice.txt"
    notice.write_text("Property of the county.\nUnauthorised use is prosecuted – § 16-9-93.\n", encoding="utf-8")
    environment = {
        "DROPSLOT_NEVER_BAN": "127.0.0.1/32",
        "DROPSLOT_BAN_THRESHOLD": "6",
        "DROPSLOT_SESSIONS_PER_AGENCY": "4",
        "DROPSLOT_BANNER": f"@{notice}",
    }
    server = Dropslot(folder / "data", environment)
    try:
        yield server.start("--sftp-processes", "2")
    finally:
        if server.process is not None:
            server.kill()


@pytest.fixture
def here(two_doors: Dropslot, tmp_path: Path, numbers: Iterator[int]) -> Court:
    return make_court(two_doors, tmp_path / "court", f"county-{next(numbers)}")


def log_in(court: Court, source: str = "127.0.0.1", slug: str = "") -> paramiko.SSHClient:
    sock = socket.create_connection(("127.0.0.1", court.dropslot.port), 10, (source, 0))
    client = paramiko.SSHClient()
    client.set_missing_host_key_policy(paramiko.AutoAddPolicy())
    try:
        client.connect("x", 22, slug or court.slug, key_filename=str(court.key), look_for_keys=False, sock=sock)
    except Exception:
        client.close()
        raise
    return client


def lives(client: paramiko.SSHClient) -> bool:
    transport = client.get_transport()
    return transport is not None and transport.is_active()


def is_listened_to(court: Court, source: str) -> bool:
    with socket.create_connection(("127.0.0.1", court.dropslot.port), 10, (source, 0)) as sock:
        return sock.recv(100).startswith(b"SSH-2.0-")


def is_shut_out(court: Court, source: str) -> bool:
    """By all processes: the system chooses anew for each connection."""
    return not any(is_listened_to(court, source) for _ in range(8))


def events(court: Court, name: str) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in court.dropslot.log().splitlines() if line.startswith("{")]
    return [line for line in lines if line["event"] == name]


def test_sessions_of_an_agency_are_limited_over_processes(here: Court) -> None:
    clients: list[paramiko.SSHClient] = []
    try:
        for _ in range(4):
            clients.append(log_in(here))
        for _ in range(4):
            with pytest.raises((paramiko.SSHException, EOFError)):
                log_in(here).open_sftp()
        assert all(lives(client) for client in clients)
    finally:
        for client in clients:
            client.close()
    wait_for(lambda: here.sftp("ls /", check=False).returncode == 0, "a slot to be free")


def test_a_door_that_is_killed_frees_its_slots(here: Court) -> None:
    clients = [log_in(here) for _ in range(4)]
    for door in here.dropslot.children("sftp"):
        psutil.Process(door.pid).kill()
    wait_for(lambda: not any(lives(client) for client in clients), "the sessions to end")
    wait_for(lambda: here.sftp("ls /", check=False).returncode == 0, "new doors to open")
    again = [log_in(here) for _ in range(4)]
    for client in again:
        client.close()


def test_the_sessions_of_a_disabled_agency_end_in_all_processes(here: Court) -> None:
    clients = [log_in(here) for _ in range(4)]
    here.dropslot.run("agency", "disable", here.slug)
    wait_for(lambda: not any(lives(client) for client in clients), "the sessions to end", 5)


def test_an_agencys_networks_are_set_and_its_other_sessions_end(here: Court) -> None:
    inside, outside = log_in(here), log_in(here, ELSEWHERE)
    done = here.dropslot.run("agency", "edit", here.slug, "--network", "127.0.0.1/32", "--network", "10.0.0.0/8")
    assert "127.0.0.1/32 10.0.0.0/8" in done.stdout
    wait_for(lambda: not lives(outside), "the session from elsewhere to end", 5)
    assert lives(inside)
    inside.close()
    with pytest.raises(paramiko.AuthenticationException):
        log_in(here, ELSEWHERE)
    assert here.dropslot.json("agency", "show", here.slug)["networks"] == "127.0.0.1/32 10.0.0.0/8"
    assert "password_hash" not in here.dropslot.json("agency", "show", here.slug)
    here.dropslot.run("agency", "edit", here.slug, "--any-network")
    log_in(here, ELSEWHERE).close()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--network", "10.1.2.3/16"], "The network is 10.1.0.0/16."),
        (["--network", "court"], "'court' is no network."),
        ([], "What shall change? Name it: --name, --timezone, --network or --any-network, --quota-bytes"),
        (["--network", "10.0.0.0/8", "--any-network"], "--network and --any-network exclude each other."),
    ],
)
def test_a_network_that_is_none_is_told(here: Court, arguments: list[str], sentence: str) -> None:
    done = here.dropslot.run("agency", "edit", here.slug, *arguments, check=False)
    assert done.returncode == 1
    assert sentence in done.stderr


def test_who_tries_names_is_banned_by_all_processes_and_an_operator_sees_and_lifts_it(here: Court) -> None:
    source = "127.0.0.67"
    for name in ("alpha", "beta", "gamma"):
        with pytest.raises(paramiko.AuthenticationException):
            log_in(here, source, name)
    wait_for(lambda: is_shut_out(here, source), "the ban", 5)
    assert here.sftp("ls /").returncode == 0, "others come in"
    (ban,) = [row for row in here.dropslot.json("ban", "list") if row["address"] == source]
    assert (ban["reason"], ban["times"]) == ("unknown user", 1)
    assert source in here.dropslot.run("ban", "list").stdout
    assert source in here.dropslot.run("ban", "lift", source).stdout
    wait_for(lambda: is_listened_to(here, source), "the ban to be lifted", 3)


def test_an_operator_bans_by_hand(here: Court) -> None:
    source = "127.0.0.68"
    assert source in here.dropslot.run("ban", "add", source, "--for", "2h").stdout
    here.dropslot.run("ban", "add", "2001:db8::17")
    wait_for(lambda: is_shut_out(here, source), "the ban", 3)
    rows = {row["address"]: row for row in here.dropslot.json("ban", "list")}
    assert rows[source]["reason"] == "operator"
    assert "2001:db8::/64" in rows
    assert here.dropslot.json("ban", "lift", "2001:db8::/64") == {"lifted": 1}
    assert here.dropslot.json("ban", "lift", "--all")["lifted"] >= 1
    assert here.dropslot.json("ban", "list") == []
    assert "Nobody" in here.dropslot.run("ban", "list").stdout


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["add", "court.example"], "is no address"),
        (["add", "127.0.0.1"], "never banned"),
        (["add", "192.0.2.1", "--for", "soon"], "no length of time"),
        (["add", "192.0.2.1", "--for", "0m"], "no length of time"),
        (["lift", "192.0.2.99"], "is not banned"),
        (["lift"], "--all"),
        (["lift", "192.0.2.1", "--all"], "--all"),
    ],
)
def test_a_ban_that_cannot_be_is_told(here: Court, arguments: list[str], sentence: str) -> None:
    done = here.dropslot.run("ban", *arguments, check=False)
    assert done.returncode == 1
    assert sentence in done.stderr


def test_the_banner_is_shown_before_login(here: Court) -> None:
    command = [part if part != "LogLevel=ERROR" else "LogLevel=INFO" for part in here.sftp_command()]
    done = run_quietly(command, input="ls /\n", env={**os.environ, "LC_ALL": "C.UTF-8"})
    assert done.returncode == 0
    assert "Property of the county.\nUnauthorised use is prosecuted – § 16-9-93.\n" in done.stderr.replace("\r", "")


# Quotas


def fits(court: Court, name: str, size: int) -> bool:
    file = court.write(name, b"x" * size)
    return court.sftp(f"put {file} /upload/{name}", check=False).returncode == 0


def test_what_did_not_fit_is_told_alike_whatever_program_sent_it(here: Court) -> None:
    here.dropslot.run("agency", "edit", here.slug, "--quota-bytes", "10KiB")
    file = here.write("big.csv", b"x" * 300_000)
    assert "Failure" in here.sftp(f"put {file} /upload/sftp.csv", check=False).stderr
    with pytest.raises(AssertionError, match="Your files in /upload may have 10 KiB together"):
        Lftp(here).put(file, "/upload/lftp.csv")
    wait_for(lambda: len(here.arrivals()) == 2, "both to be registered")
    assert {arrival["path"]: arrival["detail"] for arrival in here.arrivals()} == dict.fromkeys(
        ("/upload/sftp.csv", "/upload/lftp.csv"), "there was no more room for it in /upload"
    )


def test_a_quota_is_set_shown_and_taken_away(here: Court) -> None:
    run, show = here.dropslot.run, lambda: here.dropslot.json("agency", "show", here.slug)
    assert (show()["quota_bytes"], show()["used_bytes"], show()["used_files"]) == (None, 0, 0)
    done = run("agency", "edit", here.slug, "--quota-bytes", "10KiB", "--quota-files", "3", "--network", "127.0.0.0/8")
    assert "may log in from 127.0.0.0/8, and its /upload may hold 10 KiB and 3 files." in done.stdout
    assert (show()["quota_bytes"], show()["quota_files"], show()["networks"]) == (10240, 3, "127.0.0.0/8")
    assert fits(here, "a.csv", 10240)
    assert not fits(here, "b.csv", 1)
    assert (show()["used_bytes"], show()["used_files"]) == (10240, 2)
    assert "10 KiB" in run("agency", "show", here.slug).stdout
    run("agency", "edit", here.slug, "--quota-bytes", "none")
    assert fits(here, "c.csv", 20_000)
    assert not fits(here, "d.csv", 1)
    assert fits(here, "c.csv", 30_000)
    run("agency", "edit", here.slug, "--quota-files", "NONE")
    assert (show()["quota_bytes"], show()["quota_files"]) == (None, None)
    assert fits(here, "d.csv", 1)
    run("agency", "edit", here.slug, "--quota-files", "4")  # what was counted before is not believed
    assert not fits(here, "e.csv", 1)
    (here.home / "upload" / "d.csv").unlink()
    run("sweep")
    assert fits(here, "e.csv", 1)


def test_doors_and_rounds_count_together(here: Court) -> None:
    here.dropslot.run("agency", "edit", here.slug, "--quota-bytes", "4MiB")
    senders = [log_in(here) for _ in range(4)]
    try:
        files = [sender.open_sftp().open(f"/upload/{n}.csv", "wb") for n, sender in enumerate(senders)]
        refused = 0
        for _ in range(24):
            for file in files:
                try:
                    file.write(b"x" * 65536)
                except OSError:
                    refused += 1
        sizes = sum(file.stat().st_size for file in (here.home / "upload").iterdir())
        assert refused
        assert 3 * 1024**2 < sizes <= 4 * 1024**2
    finally:
        for sender in senders:
            sender.close()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--quota-bytes", "ten"], "'ten' is no size. Write it as 10GiB"),
        (["--quota-bytes", "0"], "--quota-bytes none"),
        (["--quota-bytes", "9000000PB"], "too large"),
        (["--quota-files", "-5"], "'-5' is no number of files"),
        (["--quota-files", "0"], "--quota-files none"),
        (["--quota-files", "99999999999"], "A quota"),
        (["--quota-files", "5", "--network", "court"], "'court' is no network."),
    ],
)
def test_a_quota_that_is_none_is_told(here: Court, arguments: list[str], sentence: str) -> None:
    done = here.dropslot.run("agency", "edit", here.slug, *arguments, check=False)
    assert done.returncode == 1
    assert sentence in done.stderr
    assert here.dropslot.json("agency", "show", here.slug)["quota_files"] is None
