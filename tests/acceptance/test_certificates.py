"""Certificates of an authority instead of enrolled keys, made with ssh-keygen and shown by OpenSSH's sftp."""

import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.court import Court, need, run_quietly, wait_for

INIT, VERSION = bytes([0, 0, 0, 5, 1, 0, 0, 0, 3]), bytes([2])  # draft-ietf-secsh-filexfer-02 section 4


@pytest.fixture
def authority(court: Court) -> Any:
    """An authority that is trusted for the court: its key is `ca`; nobody enrolled the pair `holder`."""
    for name in ("ca", "holder"):
        make_pair(court.folder / name)
    return court.dropslot.json("key", "authority", "add", court.folder / "ca.pub", "--agency", court.slug)


def make_pair(file: Path, *options: str) -> None:
    done = run_quietly([need("ssh-keygen"), "-q", "-t", "ed25519", "-N", "", *options, "-f", str(file)])
    assert done.returncode == 0, done.stderr


def sign(court: Court, *options: str, serial: int = 1, ca: str = "ca", principal: str | None = None) -> None:
    """Sign the pair `holder`; OpenSSH finds `holder-cert.pub` by itself."""
    names = ["-n", principal or court.slug] if principal != "" else []
    ca_file, public = str(court.folder / ca), str(court.folder / "holder.pub")
    command = [need("ssh-keygen"), "-q", "-s", ca_file, "-I", "clerk", "-z", str(serial), *names, *options, public]
    done = run_quietly(command)
    assert done.returncode == 0, done.stderr


def comes_in(court: Court) -> bool:
    return court.sftp("ls /upload", check=False, key=court.folder / "holder").returncode == 0


def test_whoever_has_a_certificate_comes_in_without_an_enrolled_key(court: Court, authority: Any) -> None:
    assert not comes_in(court)
    sign(court)
    assert comes_in(court)


@pytest.mark.parametrize("pair", ["rsa", "ecdsa"])
def test_certificates_of_other_types_of_keys_come_in(court: Court, authority: Any, pair: str) -> None:
    for file in ("holder", "holder.pub"):
        (court.folder / file).unlink()
    make_pair(court.folder / "holder", "-t", pair)
    sign(court)
    assert comes_in(court)


@pytest.mark.parametrize(
    ("how", "reason"),
    [
        ({"principal": "another-court"}, "other user names"),
        ({"principal": ""}, "no principal"),
        ({"options": ["-V", "-2d:-1d"]}, "has expired"),
        ({"options": ["-O", "force-command=ls"]}, "force-command"),
        ({"options": ["-O", "source-address=198.51.100.0/24"]}, "from this address"),
    ],
)
def test_a_certificate_that_is_not_good_is_refused_and_the_log_says_why(
    court: Court, authority: Any, how: dict[str, Any], reason: str
) -> None:
    sign(court, *how.get("options", []), principal=how.get("principal"))
    assert not comes_in(court)
    assert reason in court.dropslot.log()


def test_an_authority_lets_in_its_own_agency_only(court: Court, authority: Any) -> None:
    slug = f"{court.slug}-neighbour"
    court.dropslot.run("agency", "add", slug, "--name", "Neighbour", "--timezone", "America/New_York")
    sign(court, principal=f"{court.slug},{slug}")
    neighbour = Court(court.dropslot, slug, court.folder)
    assert comes_in(court)
    assert not comes_in(neighbour)
    make_pair(court.folder / "everywhere")
    court.dropslot.run("key", "authority", "add", court.folder / "everywhere.pub")
    sign(court, ca="everywhere", principal=f"{court.slug},{slug}")
    assert comes_in(court)
    assert comes_in(neighbour)
    court.dropslot.run("agency", "disable", slug)
    assert not comes_in(neighbour)


def test_a_stranger_is_no_authority(court: Court, authority: Any) -> None:
    make_pair(court.folder / "stranger")
    sign(court, ca="stranger")
    assert not comes_in(court)


@pytest.mark.parametrize("end", ["revoke", "remove", "expire"])
def test_sessions_end_with_what_let_them_in(court: Court, authority: Any, end: str) -> None:
    sign(court, *(["-V", "-1m:+6s"] if end == "expire" else []), serial=77)
    command = [need("ssh"), "-p", str(court.dropslot.port), "-i", str(court.folder / "holder"), *court.ssh_options()]
    command += ["-s", f"{court.slug}@127.0.0.1", "sftp"]
    session = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    try:
        assert session.stdin is not None
        assert session.stdout is not None
        session.stdin.write(INIT)
        session.stdin.flush()
        assert session.stdout.read(5)[4:] == VERSION
        if end == "revoke":
            court.dropslot.run("key", "authority", "revoke", authority["id"], "76", "77")
        if end == "remove":
            court.dropslot.run("key", "authority", "remove", authority["id"])
        wait_for(lambda: session.poll() is not None, "the session to end", 6 + 5)
        assert not comes_in(court)
    finally:
        session.kill()
        session.communicate()
    sign(court, serial=78)
    assert comes_in(court) == (end != "remove")


def test_the_list_names_the_agency_and_what_is_revoked(court: Court, authority: Any) -> None:
    court.dropslot.run("key", "authority", "revoke", authority["fingerprint"], "5")
    [row] = [row for row in court.dropslot.json("key", "authority", "list") if row["id"] == authority["id"]]
    assert (row["agency"], row["revoked"]) == (court.slug, [5])
    refused = court.dropslot.run("key", "authority", "revoke", authority["id"], "five", check=False)
    assert "digits" in refused.stderr


def test_the_list_tells_when_a_certificate_was_last_used_from_where_and_with_what(court: Court, authority: Any) -> None:
    def used() -> dict[str, Any]:
        rows = court.dropslot.json("key", "authority", "list")
        return next(row for row in rows if row["id"] == authority["id"])

    sign(court, serial=1001)
    assert used()["last_used_at"] is None
    assert comes_in(court)
    wait_for(lambda: used()["last_used_at"], "the use to be noted", 10)
    assert (used()["last_used_from"], used()["last_used_serial"]) == ("127.0.0.1", 1001)
    assert "OpenSSH" in used()["last_used_client"]
