"""The life of a key, seen from both sides of the door."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import paramiko

from tests.acceptance.court import Court, Dropslot, need, run_quietly, wait_for


def open_session(court: Court) -> paramiko.Transport:
    """A session that is logged in; its client has asked for something."""
    client = paramiko.SSHClient()
    client.set_missing_host_key_policy(paramiko.AutoAddPolicy())
    client.connect("127.0.0.1", court.dropslot.port, court.slug, key_filename=str(court.key), look_for_keys=False)
    assert client.open_sftp().listdir("/upload") == []
    transport = client.get_transport()
    assert transport is not None
    return transport


def soon(seconds: float) -> str:
    return (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat()


def test_a_key_opens_nothing_before_its_first_day_nor_after_its_last(court: Court) -> None:
    [key] = court.dropslot.json("key", "list", court.slug)
    court.dropslot.run("key", "edit", court.slug, key["id"], "--not-before", "2d")
    assert court.sftp("ls /", check=False).returncode != 0
    court.dropslot.run("key", "edit", court.slug, key["id"], "--not-before", "never", "--expires", soon(3))
    wait_for(lambda: court.dropslot.json("key", "list", court.slug)[0]["state"] == "expired", "the key to expire", 8)
    assert court.sftp("ls /", check=False).returncode != 0
    court.dropslot.run("key", "edit", court.slug, key["id"], "--expires", "never")
    court.sftp("ls /")


def test_the_session_of_a_key_that_expires_ends_with_it(court: Court) -> None:
    transport = open_session(court)
    try:
        [key] = court.dropslot.json("key", "list", court.slug)
        ends = datetime.now(UTC) + timedelta(seconds=4)
        court.dropslot.run("key", "edit", court.slug, key["id"], "--expires", ends.isoformat())
        assert transport.is_active() or datetime.now(UTC) > ends
        wait_for(lambda: not transport.is_active(), "the session to end", 4 + 5)
        assert datetime.now(UTC) > ends
        assert court.dropslot.json("key", "list", court.slug)[0]["state"] == "expired"
    finally:
        transport.close()


def test_a_later_expiry_keeps_the_session(court: Court) -> None:
    [key] = court.dropslot.json("key", "list", court.slug)
    court.dropslot.run("key", "edit", court.slug, key["id"], "--expires", soon(6))
    transport = open_session(court)
    try:
        court.dropslot.run("key", "edit", court.slug, key["id"], "--expires", "90d")
        expired = datetime.now(UTC) + timedelta(seconds=6.5)
        wait_for(lambda: datetime.now(UTC) > expired, "the old expiry to pass")
        assert transport.is_active()
    finally:
        transport.close()


def test_the_list_tells_when_a_key_was_last_used_from_where_and_with_what(court: Court) -> None:
    assert court.dropslot.json("key", "list", court.slug)[0]["last_used_at"] is None
    court.sftp("ls /")
    used = wait_for(
        lambda: [key for key in court.dropslot.json("key", "list", court.slug) if key["last_used_at"]],
        "the use to be written",
        10,
    )
    assert used[0]["last_used_from"] == "127.0.0.1"
    assert "OpenSSH" in used[0]["last_used_client"]


def test_psftp_logs_in_with_a_key_made_for_it(court: Court) -> None:
    ppk = court.folder / "winscp.ppk"
    court.dropslot.run("key", "generate", court.slug, "--out", ppk, "--format", "ppk", "--label", "winscp")
    host_key = court.dropslot.json("host-key", "list")[0]["fingerprint"]
    command = [need("psftp"), "-P", str(court.dropslot.port), "-i", str(ppk), "-batch", "-hostkey", host_key]
    done = run_quietly([*command, f"{court.slug}@127.0.0.1"], input="ls /\n")
    assert "upload" in done.stdout, done.stderr


def test_the_audit_ends_with_status_1_if_something_is_to_be_done(dropslot: Dropslot, tmp_path: Path) -> None:
    dropslot.run("server", "add", "own", "--type", "managed")
    assert dropslot.run("key", "audit").returncode == 0
    dropslot.run("agency", "add", "gwinnett", "--name", "G", "--timezone", "America/New_York")
    nothing = dropslot.run("key", "audit", "gwinnett", check=False)
    assert nothing.returncode == 1
    assert "dropslot key add gwinnett" in nothing.stdout
    dropslot.run("key", "generate", "gwinnett", "--out", tmp_path / "key", "--expires", "20d")
    [finding] = json.loads(dropslot.run("key", "audit", "--json", check=False).stdout)
    assert (finding["agency"], finding["code"]) == ("gwinnett", "expiring")
    [key] = dropslot.json("key", "list", "gwinnett")
    dropslot.run("key", "edit", "gwinnett", key["id"], "--expires", "365d")
    assert dropslot.shell("key", "audit").stdout.startswith("Nothing")
