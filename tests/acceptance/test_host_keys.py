"""Host keys change places while clients know both, shown with OpenSSH's own client and known_hosts."""

import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.court import Court, Dropslot, need, run_quietly, wait_for


def host_keys(dropslot: Dropslot) -> list[dict[str, Any]]:
    port = str(dropslot.port or 2022)
    rows: list[dict[str, Any]] = dropslot.json("host-key", "list", "--host", "127.0.0.1", "--port", port)
    return rows


def connect(court: Court, known_hosts: Path, *options: str) -> subprocess.CompletedProcess[str]:
    words = ["StrictHostKeyChecking=yes", f"UserKnownHostsFile={known_hosts}", "IdentitiesOnly=yes", *options]
    command = [need("sftp"), "-F", "none", "-P", str(court.dropslot.port), "-i", str(court.key), "-b", "-"]
    given = [part for word in words for part in ("-o", word)]
    return run_quietly([*command, *given, f"{court.slug}@127.0.0.1"], input="ls /\n")


def lines(known_hosts: Path) -> set[str]:
    return {line.strip() for line in known_hosts.read_text().splitlines()}


def test_a_client_learns_the_new_keys_and_notices_nothing_when_they_are_used(lone_court: Court) -> None:
    court, known_hosts = lone_court, lone_court.folder / "known"
    dropslot = court.dropslot
    old = {key["known_hosts"] for key in host_keys(dropslot)}
    one_old = next(line for line in old if "ssh-ed25519" in line)
    known_hosts.write_text(one_old + "\n")

    made = dropslot.json("host-key", "rotate")
    assert {key["state"] for key in made} == {"announced"}
    new = {key["known_hosts"] for key in host_keys(dropslot)} - old
    assert len(new) == 3

    def learned() -> bool:
        assert connect(court, known_hosts, "UpdateHostKeys=yes").returncode == 0
        return lines(known_hosts) == old | new

    wait_for(learned, "the client to learn all keys", 10)
    assert {key["known_hosts"] for key in host_keys(dropslot) if key["state"] == "used"} == old

    dropslot.run("host-key", "activate")
    only_new = court.folder / "only_new"
    only_new.write_text("\n".join(new) + "\n")
    wait_for(lambda: connect(court, only_new, "UpdateHostKeys=no").returncode == 0, "the new keys to be used", 10)
    assert connect(court, known_hosts, "UpdateHostKeys=yes").returncode == 0
    assert lines(known_hosts) == old | new, "the old ones are still announced"

    dropslot.run("host-key", "retire")

    def forgotten() -> bool:
        assert connect(court, known_hosts, "UpdateHostKeys=yes").returncode == 0
        return lines(known_hosts) == new

    wait_for(forgotten, "the client to forget the old keys", 10)
    assert {key["state"] for key in host_keys(dropslot)} == {"used"}
    with_old = court.folder / "with_old"
    with_old.write_text(one_old + "\n")
    assert connect(court, with_old).returncode != 0


def test_new_keys_are_used_by_themselves_when_their_time_has_come(lone_court: Court) -> None:
    court, known_hosts = lone_court, lone_court.folder / "known"
    old = {key["known_hosts"] for key in host_keys(court.dropslot)}
    when = datetime.now(UTC) + timedelta(seconds=4)
    court.dropslot.run("host-key", "rotate", "--in", when.isoformat())
    new = {key["known_hosts"] for key in host_keys(court.dropslot)} - old
    known_hosts.write_text("\n".join(new) + "\n")
    came_in = connect(court, known_hosts, "UpdateHostKeys=no").returncode == 0
    assert not came_in or datetime.now(UTC) > when
    wait_for(lambda: connect(court, known_hosts, "UpdateHostKeys=no").returncode == 0, "the new keys to be used", 10)


def test_dns_records_are_those_of_ssh_keygen(dropslot: Dropslot, tmp_path: Path) -> None:
    dropslot.begin()
    for key in host_keys(dropslot):
        public = tmp_path / f"{key['algorithm']}.pub"
        public.write_text(key["known_hosts"].split(" ", 1)[1] + "\n")
        records = run_quietly([need("ssh-keygen"), "-r", "127.0.0.1", "-f", str(public)]).stdout.splitlines()
        assert key["sshfp"] in records


def test_putty_takes_what_is_printed_for_winscp(court: Court) -> None:
    out = court.dropslot.run("host-key", "list").stdout
    [line] = [line for line in out.splitlines() if "-hostkey=" in line]
    keys = line.split('"')[1].split(";")
    assert [key.rsplit(" ", 1)[0] for key in keys] == ["ssh-ed25519 255", "ecdsa-sha2-nistp256 256", "ssh-rsa 3072"]
    ppk = court.folder / "key.ppk"
    court.dropslot.run("key", "generate", court.slug, "--out", ppk, "--format", "ppk")
    command = [need("psftp"), "-P", str(court.dropslot.port), "-i", str(ppk), "-batch", "-hostkey", keys[0]]
    assert "upload" in run_quietly([*command, f"{court.slug}@127.0.0.1"], input="ls /\n").stdout


@pytest.mark.parametrize(
    ("commands", "sentence"),
    [
        (["activate"], "no new host keys"),
        (["retire"], "no such host key"),
        (["rotate --in 2001-01-01"], "in the past"),
        (["rotate", "rotate"], "host-key activate"),
        (["rotate", "retire"], "no such host key"),
    ],
)
def test_a_step_out_of_order_is_refused_with_the_next_one(
    dropslot: Dropslot, commands: list[str], sentence: str
) -> None:
    dropslot.begin()
    for command in commands[:-1]:
        dropslot.run("host-key", *command.split())
    refused = dropslot.run("host-key", *commands[-1].split(), check=False)
    assert refused.returncode == 1
    assert sentence in refused.stderr


def test_a_key_in_use_is_not_retired_and_a_new_one_can_be_given_up(dropslot: Dropslot) -> None:
    dropslot.begin()
    used = [key["fingerprint"] for key in host_keys(dropslot)]
    dropslot.run("host-key", "rotate")
    assert dropslot.run("host-key", "retire", used[0], check=False).returncode == 1
    for key in host_keys(dropslot):
        if key["state"] == "announced":
            dropslot.run("host-key", "retire", key["id"])
    assert [key["fingerprint"] for key in host_keys(dropslot)] == used
