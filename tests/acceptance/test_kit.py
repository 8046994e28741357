"""The connect kit of an agency, used as a court uses it: its scripts are run against the running server."""

import os
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.acceptance.court import Court, Dropslot, ecr, ecr_row, need, run_quietly, wait_for

CONTENT = ecr(*(ecr_row(number) for number in range(30)))


@pytest.fixture
def kit(court: Court) -> Path:
    """The kit, with a new key, in a folder with a blank in its name; the port is the running server's."""
    folder = court.folder / "connect kit"
    flags = ("--out", folder, "--host", "127.0.0.1", "--with-new-key")
    court.dropslot.run("agency", "connect-kit", court.slug, *flags)
    return folder


def send(kit: Path, *arguments: str | Path, **options: object) -> subprocess.CompletedProcess[str]:
    need("sftp")
    return run_quietly(["sh", str(kit / "send-sftp.sh"), *map(str, arguments)], **options)


def arrived(court: Court, name: str) -> bool:
    return bool(court.arrivals(name=name)) and (court.home / "upload" / name).read_bytes() == CONTENT


@pytest.mark.parametrize("name", ["ecr.txt", "nightly 'ecr' \"x\" [1]*.txt", "Öffentlich\\№.txt"])
def test_the_shell_script_sends_a_file(court: Court, kit: Path, name: str) -> None:
    done = send(kit, court.write(name, CONTENT))
    assert done.returncode == 0, done.stderr
    wait_for(lambda: arrived(court, name), "the file")


def test_the_sftp_batch_sends_the_file_it_names(court: Court, kit: Path) -> None:
    court.write("ecr.txt", CONTENT)
    done = send(kit, cwd=court.folder)
    assert done.returncode == 0, done.stderr
    [upload] = court.settled()
    assert (upload["status"], upload["rows"]) == ("processed", 30)
    (court.folder / "ecr.txt").unlink()
    assert send(kit, cwd=court.folder).returncode == 1


def test_it_sends_where_the_profile_looks(court: Court) -> None:
    run = court.dropslot.run
    run("profile", "remove", court.slug, court.dropslot.json("profile", "list", court.slug)[0]["name"])
    run("profile", "add", court.slug, "night", "--template", "odyssey-ecr", "--directory", "/upload/night files")
    folder = court.folder / "kit"
    flags = ("--host", "127.0.0.1", "--with-new-key")
    run("agency", "connect-kit", court.slug, "--out", folder, *flags)
    done = send(folder, court.write("ecr.txt", CONTENT))
    assert done.returncode == 0, done.stderr
    [upload] = court.settled()
    assert upload["status"] == "processed"
    run("profile", "add", court.slug, "day", "--template", "odyssey-ecr", "--directory", "/upload/day")
    asked = run("agency", "connect-kit", court.slug, "--out", court.folder / "other", *flags, check=False)
    assert (asked.returncode, "--directory" in asked.stderr) == (1, True)
    run("agency", "connect-kit", court.slug, "--out", court.folder / "other", "--directory", "/upload/day", *flags)
    assert 'put ecr.txt "/upload/day/"' in (court.folder / "other" / "sftp-batch.txt").read_text()


def test_the_command_of_the_readme(court: Court, kit: Path) -> None:
    """For Windows' own sftp, which has no sh."""
    court.write("ecr.txt", CONTENT)
    [command] = re.findall(r"^ +(sftp -P .*)$", (kit / "README.txt").read_text(), re.MULTILINE)
    shutil.copy(court.folder / "ecr.txt", kit)
    done = run_quietly(shlex.split(command), cwd=kit)
    assert done.returncode == 0, done.stderr
    wait_for(lambda: arrived(court, "ecr.txt"), "the file")


def test_the_psftp_batch(court: Court, kit: Path) -> None:
    """The command of send-psftp.cmd, with what Windows would put in for %~dp0."""
    court.write("ecr.txt", CONTENT)
    [line] = [line for line in (kit / "send-psftp.cmd").read_text().splitlines() if line.startswith("psftp ")]
    command = shlex.split(line.replace("%~dp0", f"{kit}/"))
    environment = {**os.environ, "HOME": str(court.folder)}
    done = run_quietly([need("psftp"), *command[1:]], cwd=court.folder, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    wait_for(lambda: arrived(court, "ecr.txt"), "the file")
    (court.folder / "ecr.txt").unlink()
    assert run_quietly([need("psftp"), *command[1:]], cwd=court.folder, env=environment).returncode == 2


def test_another_servers_key_is_not_trusted(court: Court, kit: Path) -> None:
    hosts, stranger = kit / "known_hosts", court.folder / "stranger"
    subprocess.run([need("ssh-keygen"), "-q", "-t", "ed25519", "-N", "", "-f", stranger], check=True)
    hosts.write_text(f"[127.0.0.1]:{court.dropslot.port} {Path(f'{stranger}.pub').read_text()}")
    done = send(kit, court.write("ecr.txt", CONTENT))
    assert done.returncode != 0
    assert "verification failed" in done.stderr
    assert court.arrivals() == []


def test_a_locked_out_key_fails_with_a_status(court: Court, kit: Path) -> None:
    court.dropslot.run("key", "revoke", court.slug, "connect kit")
    done = send(kit, court.write("ecr.txt", CONTENT))
    assert done.returncode != 0
    assert "Permission denied (publickey)" in done.stderr


def test_the_script_says_what_is_missing(court: Court, kit: Path) -> None:
    missing = send(kit, court.folder / "none.txt")
    assert (missing.returncode, "There is no file" in missing.stderr) == (2, True)
    (kit / f"{court.slug}_key").unlink()
    keyless = send(kit, court.write("ecr.txt", CONTENT))
    assert (keyless.returncode, "private key" in keyless.stderr) == (2, True)


def test_a_kit_has_no_private_key_unless_it_is_asked_for(dropslot: Dropslot, tmp_path: Path) -> None:
    dropslot.run("agency", "add", "hall", "--name", "Hall County", "--timezone", "America/New_York")
    folder = tmp_path / "kit"
    shown = dropslot.json("agency", "connect-kit", "hall", "--out", folder, "--host", "sftp.example.gov")
    assert sorted(file.name for file in folder.iterdir()) == shown["files"]
    assert not any("PRIVATE" in file.read_text() or "_key" in file.name for file in folder.iterdir())
    assert dropslot.json("key", "list", "hall") == []
    assert (shown["port"], shown["new_key"]) == (2022, False)


def test_a_kit_with_a_key_is_for_its_owner_only(dropslot: Dropslot, tmp_path: Path) -> None:
    dropslot.run("agency", "add", "hall", "--name", "Hall County", "--timezone", "America/New_York")
    folder = tmp_path / "kit"
    dropslot.run("agency", "connect-kit", "hall", "--out", folder, "--with-new-key", "--host", "localhost")
    assert folder.stat().st_mode & 0o077 == 0
    assert all(file.stat().st_mode & 0o077 == 0 for file in folder.iterdir())
    [key] = dropslot.json("key", "list", "hall")
    shown = subprocess.run(["ssh-keygen", "-lf", folder / "hall_key"], capture_output=True, text=True, check=True)
    assert key["fingerprint"] in shown.stdout


def test_refusals(dropslot: Dropslot, tmp_path: Path) -> None:
    """Nothing is written over, and no key is enrolled whose private half was not written."""
    dropslot.run("agency", "add", "hall", "--name", "Hall County", "--timezone", "America/New_York")
    taken = tmp_path / "taken"
    taken.mkdir()
    (taken / "README.txt").write_text("mine")
    for flags, sentence in (
        (("hall", "--out", taken), "is there already"),
        (("hall", "--out", taken / "README.txt"), "is there already"),
        (("hall", "--out", tmp_path / "kit", "--host", "a;b"), "no name of a host"),
        (("nobody", "--out", tmp_path / "kit"), "no agency"),
        (("hall", "--out", "/proc/kit"), "cannot be written"),
    ):
        done = dropslot.run("agency", "connect-kit", "--host", "h", *flags, "--with-new-key", check=False)
        assert (done.returncode, sentence in done.stderr) == (1, True), done.stderr
    assert (taken / "README.txt").read_text() == "mine"
    assert not (tmp_path / "kit").exists()
    assert dropslot.json("key", "list", "hall") == []


def test_a_machine_without_a_name_must_be_told_one(
    dropslot: Dropslot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dropslot.run("agency", "add", "hall", "--name", "Hall County", "--timezone", "America/New_York")
    monkeypatch.setattr("socket.getfqdn", lambda: "localhost.localdomain")
    done = dropslot.run("agency", "connect-kit", "hall", "--out", tmp_path / "kit", check=False)
    assert (done.returncode, "--host sftp.example.gov" in done.stderr) == (1, True)
    assert not (tmp_path / "kit").exists()
