"""Password login: only where an operator switched it on, tried with OpenSSH's sftp and paramiko."""

import json
import os
import stat
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import paramiko
import pytest

from tests.acceptance.court import Court, Dropslot, need, run_quietly, wait_for

GIVEN = "a passphrase of the court"


@contextmanager
def logged_in(court: Court, password: str) -> Iterator[paramiko.SSHClient]:
    with paramiko.SSHClient() as client:
        client.set_missing_host_key_policy(paramiko.AutoAddPolicy())
        client.connect(
            "127.0.0.1", court.dropslot.port, court.slug, password, allow_agent=False, look_for_keys=False, timeout=30
        )
        yield client


def with_openssh(court: Court, password: str) -> subprocess.CompletedProcess[str]:
    """OpenSSH's sftp asks a program for the password, as it would ask a person."""
    answer = court.folder / "answer"
    answer.write_text(f"#!/bin/sh\necho '{password}'\n")
    answer.chmod(stat.S_IRWXU)
    options = [*court.ssh_options(), "-o", "PreferredAuthentications=password", "-o", "NumberOfPasswordPrompts=1"]
    command = [need("sftp"), "-F", "none", "-P", str(court.dropslot.port), *options, f"{court.slug}@127.0.0.1"]
    environment = {**os.environ, "SSH_ASKPASS": str(answer), "SSH_ASKPASS_REQUIRE": "force"}
    return run_quietly(command, input="ls /\n", env=environment)


def methods(court: Court, slug: str) -> str:
    """What the door offers to whoever says to be `slug`, as OpenSSH prints it."""
    options = [*court.ssh_options(), "-o", "BatchMode=yes", "-o", "PubkeyAuthentication=no"]
    done = run_quietly([need("ssh"), "-F", "none", "-p", str(court.dropslot.port), *options, f"{slug}@127.0.0.1"])
    return done.stderr.strip().rpartition("(")[2].rstrip(").")


def is_offered(court: Court) -> bool:
    """Whether every process at the port offers a password: each learns of it by itself, and any may be next."""
    return all("password" in methods(court, court.slug) for _ in range(8))


def test_a_password_opens_nothing_until_it_is_switched_on_and_nothing_when_it_is_off_again(court: Court) -> None:
    court.dropslot.run("agency", "password", court.slug, "--generate")
    court.dropslot.run("agency", "password", court.slug, "--off")
    court.dropslot.run("agency", "password", court.slug, "--stdin", stdin=GIVEN.encode() + b"\n")
    wait_for(lambda: "upload" in with_openssh(court, GIVEN).stdout, "the password to be good", 10)
    assert "Permission denied" in with_openssh(court, "another passphrase").stderr
    court.sftp("ls /")  # the key is as good as before
    court.dropslot.run("agency", "password", court.slug, "--off")
    assert "upload" not in with_openssh(court, GIVEN).stdout


def test_a_password_is_offered_only_to_those_who_have_one(court: Court) -> None:
    assert methods(court, court.slug) == "publickey"
    assert methods(court, "nobody-at-all") == "publickey"
    court.dropslot.run("agency", "password", court.slug, "--generate")
    wait_for(lambda: methods(court, court.slug) == "publickey,password", "the password to be offered", 10)
    assert methods(court, "nobody-at-all") == "publickey"


@pytest.mark.parametrize("change", ["--off", "--generate"])
def test_the_session_of_a_password_that_is_no_longer_good_ends(court: Court, change: str) -> None:
    made = court.dropslot.json("agency", "password", court.slug, "--generate")["password"]
    wait_for(lambda: is_offered(court), "the password to be offered", 20)
    with logged_in(court, made) as client:
        assert client.open_sftp().listdir("/upload") == []
        court.dropslot.run("agency", "password", court.slug, change)
        transport = client.get_transport()
        assert transport is not None
        wait_for(lambda: not transport.is_active(), "the session to end", 5)


def test_wrong_passwords_end_the_connection_and_are_not_logged(court: Court) -> None:
    court.dropslot.run("agency", "password", court.slug, "--generate")
    wait_for(lambda: is_offered(court), "the password to be offered", 20)
    transport = paramiko.Transport(("127.0.0.1", court.dropslot.port))
    try:
        transport.start_client(timeout=30)
        for number in range(6):
            with pytest.raises(paramiko.SSHException):
                transport.auth_password(court.slug, f"wrong password number {number}", fallback=False)
        wait_for(lambda: not transport.is_active(), "the connection to end", 10)
    finally:
        transport.close()
    log = court.dropslot.log()
    assert '"reason": "wrong password"' in log
    assert "wrong password number" not in log


def test_a_password_is_shown_once_and_its_hash_never(dropslot: Dropslot) -> None:
    dropslot.run("agency", "add", "gwinnett", "--name", "G", "--timezone", "America/New_York")
    made = dropslot.json("agency", "password", "gwinnett", "--generate")["password"]
    shown = dropslot.json("agency", "show", "gwinnett")
    assert shown["password"] is True
    for words in (
        ["agency", "show", "gwinnett", "--json"],
        ["agency", "list", "--json"],
        ["agency", "show", "gwinnett"],
    ):
        out = dropslot.run(*words).stdout
        assert made not in out
        assert "argon2" not in out
    assert made.encode() not in Path(dropslot.data / "dropslot.db").read_bytes()


@pytest.mark.parametrize(
    ("words", "stdin", "sentence"),
    [
        ([], b"", "--generate"),
        (["--generate", "--off"], b"", "--generate"),
        (["--stdin"], b"short\n", "too short"),
        (["--stdin"], b"", "too short"),
    ],
)
def test_a_mistake_is_refused(dropslot: Dropslot, words: list[str], stdin: bytes, sentence: str) -> None:
    dropslot.run("agency", "add", "gwinnett", "--name", "G", "--timezone", "America/New_York")
    done = dropslot.run("agency", "password", "gwinnett", *words, stdin=stdin, check=False)
    assert done.returncode == 1
    assert sentence in done.stderr
    assert json.loads(dropslot.run("agency", "show", "gwinnett", "--json").stdout)["password"] is False
