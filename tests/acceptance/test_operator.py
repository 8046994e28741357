"""What an operator does, and gets wrong, at the command line."""

import csv
import io
import os
import socket
import subprocess
from collections import namedtuple
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

import paramiko
import pytest
from sqlalchemy import Connection

from ingest import inbox
from ingest.answer import RowError
from tests.acceptance.conftest import make_court
from tests.acceptance.court import Court, Dropslot, ecr, ecr_row, need, run_quietly, wait_for


def test_a_revoked_key_is_out_within_two_seconds(court: Court) -> None:
    court.sftp("ls /upload")
    [key] = court.dropslot.json("key", "list", court.slug)
    court.dropslot.run("key", "revoke", court.slug, key["fingerprint"])
    done = court.sftp("ls /upload", check=False)
    assert done.returncode != 0
    assert "Permission denied" in done.stderr


def test_a_disabled_agency_is_out_and_an_enabled_one_is_in_again(court: Court) -> None:
    court.dropslot.run("agency", "disable", court.slug)
    assert court.sftp("ls /", check=False).returncode != 0
    court.dropslot.run("agency", "enable", court.slug)
    court.sftp("ls /")


def test_the_session_of_a_disabled_agency_ends(court: Court) -> None:
    with paramiko.SSHClient() as client:
        client.set_missing_host_key_policy(paramiko.AutoAddPolicy())
        client.connect("127.0.0.1", court.dropslot.port, court.slug, key_filename=str(court.key), look_for_keys=False)
        assert client.open_sftp().listdir("/upload") == []
        court.dropslot.run("agency", "disable", court.slug)
        transport = client.get_transport()
        assert transport is not None
        wait_for(lambda: not transport.is_active(), "the session to end", 5)


def test_a_key_added_while_the_server_runs_works_at_once(court: Court) -> None:
    key = court.folder / "second_key"
    run_quietly([need("ssh-keygen"), "-q", "-t", "rsa", "-b", "3072", "-N", "", "-f", str(key)])
    court.dropslot.run("key", "add", court.slug, f"{key}.pub", "--label", "second")
    assert "upload" in court.sftp("ls /", key=key).stdout


def test_a_wrong_passphrase_and_an_unknown_key_say_what_is_wrong(court: Court) -> None:
    stranger = court.folder / "stranger_key"
    run_quietly([need("ssh-keygen"), "-q", "-t", "ed25519", "-N", "", "-f", str(stranger)])
    assert "Permission denied (publickey)" in court.sftp("ls /", key=stranger, check=False).stderr
    locked = court.folder / "locked_key"
    run_quietly([need("ssh-keygen"), "-q", "-t", "ed25519", "-N", "secret", "-f", str(locked)])
    court.dropslot.run("key", "add", court.slug, f"{locked}.pub")
    assert court.sftp("ls /", key=locked, check=False).returncode != 0


def test_a_public_key_comes_from_standard_input_and_in_rfc_4716(court: Court) -> None:
    key = court.folder / "new_key"
    run_quietly([need("ssh-keygen"), "-q", "-t", "ed25519", "-N", "", "-f", str(key)])
    rfc4716 = run_quietly([need("ssh-keygen"), "-e", "-f", f"{key}.pub"]).stdout.encode()
    court.dropslot.run("key", "add", court.slug, "-", stdin=rfc4716)
    court.sftp("ls /", key=key)


@pytest.mark.parametrize(
    ("arguments", "status", "sentence"),
    [
        (["agency", "show", "nobody"], 1, "There is no agency 'nobody'."),
        (["agency", "add", "Bad Slug", "--name", "x", "--timezone", "America/New_York"], 1, "cannot be a slug"),
        (["agency", "add", "good", "--name", "x", "--timezone", "Mars"], 1, "no time zone"),
        (["key", "add", "nobody", "/nonexistent"], 1, "cannot be read"),
        (["key", "add"], 2, "Missing argument"),
        (["key", "edit", "nobody", "nightly"], 1, "What shall change?"),
        (["frobnicate"], 2, "No such command"),
        (["upload", "show", "nothing"], 1, "no upload"),
        (["record", "list", "clients", "--agency", "nobody"], 1, "There is no agency"),
        (["ingest", "/nonexistent", "--agency", "a", "--profile", "p"], 1, "is not a file"),
    ],
)
def test_a_mistake_gets_a_sentence_and_a_status(
    dropslot: Dropslot, arguments: list[str], status: int, sentence: str
) -> None:
    dropslot.begin()
    done = dropslot.shell(*arguments, check=False)
    assert done.returncode == status
    assert sentence in " ".join(done.stderr.replace("│", " ").split())


def test_a_private_key_pasted_by_mistake_is_refused_and_not_kept(dropslot: Dropslot, tmp_path: Path) -> None:
    dropslot.run("agency", "add", "gwinnett", "--name", "G", "--timezone", "America/New_York")
    key = tmp_path / "my_key"
    run_quietly([need("ssh-keygen"), "-q", "-t", "ed25519", "-N", "", "-f", str(key)])
    done = dropslot.shell("key", "add", "gwinnett", key, check=False)
    assert done.returncode == 1
    assert "private key" in done.stderr.lower()
    assert dropslot.json("key", "list", "gwinnett") == []


def test_a_key_belongs_to_one_agency(dropslot: Dropslot, tmp_path: Path) -> None:
    for slug in ("gwinnett", "fulton"):
        dropslot.run("agency", "add", slug, "--name", "x", "--timezone", "America/New_York")
    dropslot.run("key", "generate", "gwinnett", "--out", tmp_path / "a_key")
    done = dropslot.shell("key", "add", "fulton", tmp_path / "a_key.pub", check=False)
    assert done.returncode == 1
    assert "gwinnett" not in done.stderr, "it does not say whose key it is"


def test_a_data_directory_that_is_named_as_the_readme_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From where the server was started: `dropslot-data` is the default."""
    monkeypatch.chdir(tmp_path)
    installation = Dropslot(Path("dropslot-data"))
    court = make_court(installation, tmp_path / "court", "gwinnett")
    installation.start("--sftp-processes", "1")
    try:
        file = court.write("ecr.txt", ecr(ecr_row(1)))
        court.sftp(f'put "{file}" /upload/ecr.txt')
        [upload] = court.settled()
        assert upload["status"] == "processed"
    finally:
        installation.kill()


def test_a_data_directory_that_cannot_be_used(tmp_path: Path) -> None:
    occupied = tmp_path / "file"
    occupied.touch()
    done = Dropslot(occupied / "data").shell("agency", "list", check=False)
    assert done.returncode == 1
    assert "--data" in done.stderr


@pytest.mark.skipif(os.geteuid() == 0 and not Path("/proc/self/uid_map").exists(), reason="needs another user")
def test_a_data_directory_that_is_not_writable(tmp_path: Path) -> None:
    zone = ("--name", "G", "--timezone", "America/New_York")
    done = Dropslot(Path("/proc/dropslot")).shell("agency", "add", "gwinnett", *zone, check=False)
    assert done.returncode == 1
    assert "cannot be used" in done.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gets into another user's directory")
@pytest.mark.parametrize("command", ["sweep", "doctor", "serve", "ban list"])
def test_root_makes_nothing_in_a_data_directory_of_the_servers_user(tmp_path: Path, command: str) -> None:
    installation = Dropslot(tmp_path / "data")
    installation.shell("agency", "add", "gwinnett", "--name", "G", "--timezone", "America/New_York")
    installation.shell("agency", "edit", "gwinnett", "--quota-files", "10")
    for path in (installation.data, *installation.data.rglob("*")):
        os.chown(path, 65534, 65534)
    done = installation.shell(*command.split(), check=False)
    assert done.returncode == 1
    assert "sudo -u" in done.stderr
    assert [path for path in installation.data.rglob("*") if path.stat().st_uid == 0] == []


def test_a_port_in_use(dropslot: Dropslot) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        done = dropslot.shell("serve", "--sftp-host", "127.0.0.1", "--sftp-port", port, check=False)
    assert done.returncode == 1
    assert f"port {port}" in done.stderr
    assert "--sftp-port" in done.stderr


def test_a_banner_that_cannot_be_read_is_told_before_anything_begins(tmp_path: Path) -> None:
    dropslot = Dropslot(tmp_path / "data")
    dropslot.environment["DROPSLOT_BANNER"] = f"@{tmp_path / 'notice.txt'}"
    done = dropslot.shell("serve", "--sftp-port", "0", check=False)
    assert (done.returncode, "notice.txt cannot be read" in done.stderr) == (1, True)
    assert not dropslot.data.exists()


def test_a_second_server_on_the_same_data_is_refused(court: Court) -> None:
    done = court.dropslot.shell("serve", "--sftp-host", "127.0.0.1", "--sftp-port", "0", check=False)
    assert done.returncode == 1
    assert "running" in done.stderr
    court.sftp("ls /")


def test_starting_again_keeps_the_host_keys_and_the_database(lone_court: Court) -> None:
    court = lone_court
    court.sftp("ls /")
    assert court.dropslot.stop() == 0
    court.dropslot.start()
    court.sftp("ls /")  # with the host key that known_hosts has


def test_stopping_lets_the_running_upload_end(lone_court: Court) -> None:
    court = lone_court
    rows = [ecr_row(number) for number in range(40_000)]
    file = court.write("ecr.txt", ecr(*rows))
    client = subprocess.Popen(
        court.sftp_command("-l", "40000"), stdin=subprocess.PIPE, text=True, stdout=subprocess.DEVNULL
    )
    assert client.stdin is not None
    client.stdin.write(f'put "{file}" /upload/ecr.txt\n')
    client.stdin.close()
    target = court.home / "upload" / "ecr.txt"
    wait_for(lambda: target.exists() and target.stat().st_size > 0, "the upload to be under way")
    assert court.dropslot.process is not None
    court.dropslot.process.terminate()
    wait_for(lambda: "dropslot is stopping" in court.dropslot.log(), "the server to stop")
    assert court.sftp("ls /", check=False).returncode != 0, "no new session"
    assert client.wait(60) == 0, "but the running one ends well"
    assert court.dropslot.process.wait(60) == 0
    court.dropslot.process = None
    court.dropslot.start()
    [upload] = court.settled()
    assert upload["rows"] == 40_000


def test_ctrl_c_in_the_terminal_stops_everything_in_order(dropslot: Dropslot) -> None:
    del dropslot.environment["DROPSLOT_SFTP_PROCESSES"]
    dropslot.start()
    assert dropslot.process is not None
    children = {role: dropslot.children(role) for role in ("sftp", "worker", "scheduler")}
    cores = len(os.sched_getaffinity(0))
    assert {role: len(those) for role, those in children.items()} == {"sftp": cores, "worker": 1, "scheduler": 1}
    dropslot.process.send_signal(2)
    assert dropslot.process.wait(30) == 0
    assert not any(child.is_running() for those in children.values() for child in those)
    dropslot.process = None


def test_children_stop_when_the_supervisor_is_killed(dropslot: Dropslot) -> None:
    dropslot.start()
    children = [child for role in ("sftp", "worker", "scheduler") for child in dropslot.children(role)]
    assert dropslot.process is not None
    dropslot.process.kill()
    dropslot.process.wait()
    wait_for(lambda: not any(child.is_running() for child in children), "the children to stop")
    dropslot.process = None
    dropslot.start()


def test_a_template_of_ones_own(court: Court) -> None:
    shown = court.dropslot.run("template", "show", court.slug, "odyssey-ecr").stdout
    assert "Party ID" in shown
    file = court.write("mine.toml", b'name = "mine"\n[[colums]]\n')
    done = court.dropslot.shell("template", "add", court.slug, file, check=False)
    assert done.returncode == 1
    assert "colums" in done.stderr
    file.write_text(shown.replace("odyssey-ecr", "mine"))
    court.dropslot.run("template", "add", court.slug, file)
    file.write_text(shown.replace("odyssey-ecr", "mine") + 'event.type = "Hearing Type"\n')
    done = court.dropslot.run("template", "add", court.slug, file)
    assert "Template mine version 2 is there. Hearings were matched by" in done.stdout
    names = {row["name"] for row in court.dropslot.json("template", "list", court.slug)}
    assert {"mine", "odyssey-ecr"} <= names
    coded = shown.replace("odyssey-ecr", "coded").replace(
        'event.location = "Location Name"', 'event.location = { column = "Location Name", lookup = "courts" }'
    )
    file.write_text(coded)
    done = court.dropslot.shell("template", "add", court.slug, file, check=False)
    assert done.returncode == 1
    assert "--lookup courts=FILE.csv" in done.stderr
    places = court.write("places.csv", b"code,place\n1A,Annex\n")
    court.dropslot.run("template", "add", court.slug, file, "--lookup", f"courts={places}")
    assert "1A,Annex" in court.dropslot.run("template", "show", court.slug, "coded").stdout
    file.write_text(f'{coded}\n[lookups]\ncourts = "rooms.csv"\n')
    done = court.dropslot.shell("template", "add", court.slug, file, check=False)
    assert (done.returncode, "rooms.csv cannot be read" in done.stderr) == (1, True)
    for text in ("Barn", "Cellar"):
        court.write("rooms.csv", f"code,place\n2B,{text}\n".encode())
        court.dropslot.run("template", "add", court.slug, file)
        assert f"2B,{text}" in court.dropslot.run("template", "show", court.slug, "coded").stdout
    court.write("rooms.csv", b"code,place\n2B,Barn\n2B,Cellar\n")
    done = court.dropslot.shell("template", "add", court.slug, file, check=False)
    assert (done.returncode, "has the code '2B' again" in done.stderr) == (1, True)


def test_a_zone_of_no_place_is_refused_with_the_likely_one(dropslot: Dropslot) -> None:
    done = dropslot.shell("agency", "add", "county", "--name", "C", "--timezone", "EST", check=False)
    assert (done.returncode, "America/New_York, or America/Panama" in done.stderr) == (1, True)


def test_a_zone_and_a_name_are_changed_while_the_server_runs(court: Court) -> None:
    dropslot, slug = court.dropslot, court.slug
    today = datetime.now(UTC).date()
    day = today.replace(year=today.year + (today.month > 6), month=7, day=1)
    dropslot.run("agency", "edit", slug, "--timezone", "America/Panama")
    dropslot.run("export", "add", slug, "events", "--at", "22:00")
    court.push("1.txt", ecr(*(ecr_row(number, f"{day:%m/%d/%Y}") for number in (1, 2))))
    court.settled(1)
    edit = ("agency", "edit", slug, "--name", "The County", "--timezone", "America/New_York")
    assert "Add --yes" in dropslot.shell(*edit, "--json", check=False).stderr
    refused = dropslot.run(*edit, stdin=b"n\n", check=False)
    assert (refused.returncode, "Nothing was changed." in refused.stdout) == (1, True)
    assert dropslot.json("agency", "show", slug)["timezone"] == "America/Panama"
    told = dropslot.run(*edit, "--yes").stdout
    assert f"2 hearings of {slug}, 2 of them to come, were taken with another zone than America/New_York." in told
    assert f"dropslot export edit {slug} events --timezone America/New_York" in told
    assert f"Agency {slug} (The County, America/New_York) may log in from anywhere" in told
    court.push("2.txt", ecr(*(ecr_row(number, f"{day:%m/%d/%Y}") for number in (2, 3))))
    court.settled(2)
    report = dropslot.run("report", "run", slug, "upcoming-events", "--days", "366").stdout
    upcoming = csv.DictReader(io.StringIO(report))
    assert sorted((row["case"], row["time"], row["starts_at_utc"][11:16]) for row in upcoming) == [
        ("CR-2026-000001", "09:00", "14:00"),
        ("CR-2026-000002", "09:00", "13:00"),
        ("CR-2026-000003", "09:00", "13:00"),
    ]
    assert dropslot.json(*edit, "--yes")["name"] == "The County"


def test_networks_replace_those_set_before(dropslot: Dropslot) -> None:
    dropslot.begin()
    for network in ("203.0.113.0/24", "198.51.100.0/24"):
        found = dropslot.json("agency", "edit", "first", "--network", network)["networks"]
        assert found == network
    told = " ".join(dropslot.run("agency", "edit", "--help").stdout.replace("│", " ").split())
    assert "may be repeated. They replace those set before." in told


def test_the_doctor_says_what_is_missing(dropslot: Dropslot) -> None:
    assert "no installation" in dropslot.shell("doctor", check=False).stderr
    dropslot.run("server", "add", "own", "--type", "managed")
    done = dropslot.shell("doctor", check=False)
    assert done.returncode == 1
    assert "agency add" in done.stdout
    dropslot.run("agency", "add", "gwinnett", "--name", "G", "--timezone", "America/New_York")
    assert "key add gwinnett" in dropslot.run("doctor", check=False).stdout
    dropslot.run("agency", "password", "gwinnett", "--generate")
    assert "key add gwinnett" not in dropslot.run("doctor", check=False).stdout


def test_the_doctor_tells_of_the_disk_while_the_database_is_away(dropslot: Dropslot) -> None:
    dropslot.run("server", "add", "own", "--type", "managed")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # where nobody listens
        nowhere = f"postgresql://dropslot@127.0.0.1:{taken.getsockname()[1]}/dropslot"
        dropslot.environment["DROPSLOT_DATABASE"] = nowhere
        done = dropslot.shell("doctor", check=False)
    assert done.returncode == 1
    assert "MEND  database: The database server does not answer." in done.stdout
    assert f"disk: {dropslot.data} has" in done.stdout


def test_the_doctor_tells_of_a_file_that_was_stopped_until_somebody_did_something(
    dropslot: Dropslot, tmp_path: Path
) -> None:
    court = make_court(dropslot, tmp_path / "court", "gwinnett")
    columns = 'name = "list"\n[columns]\nclient.reference = "id"\ncase.number = "no"\nclient.title = "title"\n'
    dropslot.run("template", "add", court.slug, court.write("t.toml", columns.encode()))
    dropslot.run("profile", "add", court.slug, "list", "--template", "list", "--keyword", "list")
    send = ("--agency", court.slug, "--profile", "list")
    dropslot.run("ingest", court.write("a.csv", b"id,no,title\n1,X1,Dr\n"), *send)
    stopped = dropslot.run("ingest", court.write("b.csv", b"id,no\n1,X1\n"), *send, check=False)
    assert "operators of this server can accept it" in stopped.stdout
    told = dropslot.run("doctor", check=False).stdout
    assert "b.csv of gwinnett was not taken: its columns are not those of list" in told
    assert "\n      If files will come so from now on: dropslot template accept gwinnett list\n" in told
    assert [row.split()[1:5] for row in dropslot.run("upload", "list").stdout.splitlines()[:2]] == [
        ["AGENCY", "FILE", "TEMPLATE", "STATUS"],
        ["gwinnett", "b.csv", "list", "failed"],
    ]
    dropslot.run("template", "accept", court.slug, "list")
    assert "was not taken" not in dropslot.run("doctor", check=False).stdout


def test_the_doctor_tells_of_a_note_of_an_upload_that_cannot_be_read(dropslot: Dropslot) -> None:
    dropslot.run("agency", "add", "gwinnett", "--name", "G", "--timezone", "America/New_York")
    name = sha256(b"gwinnett\0/upload/ecr.csv").hexdigest()
    note = dropslot.data / "spool" / "receiving" / f"{name}.json"
    note.write_text('{"id": ')
    done = dropslot.shell("doctor", check=False)
    assert done.returncode == 1
    assert f"MEND  spool: 1 note in {note.parent} cannot be read: {note.name}" in done.stdout
    [command] = [line for line in done.stdout.splitlines() if "sha256sum" in line]
    command = command.replace("SLUG", "gwinnett").replace("FILE", "ecr.csv")
    named = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=True).stdout
    assert named.split()[0] == note.stem
    note.unlink()
    assert "ok    spool: 0 files waiting" in dropslot.run("doctor", check=False).stdout


def test_the_doctor_offers_no_acceptance_that_would_be_refused(dropslot: Dropslot, tmp_path: Path) -> None:
    court = make_court(dropslot, tmp_path / "court", "gwinnett")
    columns = 'name = "list"\n[columns]\nclient.reference = "id"\ncase.number = "no"\nclient.title = "title"\n'
    dropslot.run("template", "add", court.slug, court.write("t.toml", columns.encode()))
    dropslot.run("profile", "add", court.slug, "list", "--template", "list", "--keyword", "list")
    send = ("--agency", court.slug, "--profile", "list")
    dropslot.run("ingest", court.write("a.csv", b"id,no,title\n1,X1,Dr\n"), *send)
    dropslot.run("ingest", court.write("b.csv", b"no,title\nX1,Dr\n"), *send, check=False)
    refused = dropslot.run("template", "accept", court.slug, "list", check=False)
    assert refused.returncode == 1
    told = dropslot.run("doctor", check=False).stdout
    assert f"Files that come so cannot be accepted: {refused.stderr.splitlines()[0]}" in told
    assert "template accept" not in told
    assert "Or have the court send it as before." in told


def test_the_doctor_tells_of_files_that_no_profile_reads_until_one_does(court: Court) -> None:
    dropslot, slug = court.dropslot, court.slug
    court.sftp("mkdir /upload/jail")
    for name in ("a.txt", "b.txt"):
        court.push(name, ecr(ecr_row(1)), "/upload/jail")
    b, a = wait_for(lambda: (found := court.arrivals(state="unmatched"))[1:] and found, "two unmatched arrivals")
    told = dropslot.run("doctor", check=False).stdout
    why = "was not taken: No profile reads the directory /upload/jail."
    assert f"MEND  arrival {b['id']}: {b['path']} of {slug} (and 1 more file there) {why}" in told
    assert f"dropslot profile add {slug} NAME --template TEMPLATE --directory /upload/jail" in told
    assert f"Then have it read: dropslot arrival retry {b['id']}" in told
    dropslot.run("profile", "add", slug, "jail", "--template", "odyssey-ecr", "--directory", "/upload/jail")
    dropslot.run("arrival", "retry", b["id"])
    told = dropslot.run("doctor", check=False).stdout
    assert b["id"] not in told
    assert f"MEND  arrival {a['id']}: {a['path']} of {slug} {why}" in told
    court.push(a["path"].rpartition("/")[2], ecr(ecr_row(2)), "/upload/jail")
    wait_for(lambda: court.arrivals(state="processed", path=a["path"]), "a file of the same name to be taken")
    assert a["id"] not in dropslot.run("doctor", check=False).stdout


def test_the_doctor_tells_of_a_file_that_failed_until_a_good_one_came(dropslot: Dropslot, tmp_path: Path) -> None:
    court = make_court(dropslot, tmp_path / "court", "gwinnett")
    send = ("--agency", court.slug, "--profile", "nightly")
    dropslot.run("ingest", court.write("a.txt", b""), *send, check=False)
    [failed] = dropslot.json("upload", "list")
    told = dropslot.run("doctor", check=False).stdout
    assert f"MEND  upload {failed['id']}: a.txt of gwinnett was not taken: " in told
    assert f"dropslot upload replay {failed['id']}" in told
    dropslot.run("ingest", court.write("b.txt", ecr(ecr_row(1, "soon"), ecr_row(2, "later"))), *send, check=False)
    told = dropslot.run("doctor", check=False).stdout
    assert "a.txt of" not in told, "of each template the newest"
    assert "b.txt of gwinnett was not taken: Not one row of the file could be taken" in told
    dropslot.run("ingest", court.write("c.txt", ecr(ecr_row(1))), *send)
    assert "was not taken" not in dropslot.run("doctor", check=False).stdout


def test_the_doctor_tells_whether_the_server_runs(court: Court) -> None:
    port = court.dropslot.port
    assert f"ok    server: running, port {port}\n" in court.dropslot.run("doctor", check=False).stdout


def test_the_doctor_tells_that_nothing_is_received_and_how_little_room_is_left(
    dropslot: Dropslot, monkeypatch: pytest.MonkeyPatch
) -> None:
    dropslot.begin()
    free = namedtuple("free", "free")(30 * 1024**2)
    monkeypatch.setattr("server.checkup.shutil.disk_usage", lambda _: free)
    told = dropslot.run("doctor", check=False).stdout
    assert "ok    server: not running, so nothing is received meanwhile" in told
    assert f"MEND  disk: {dropslot.data} has 30 MiB free" in told


def test_help_keeps_what_stands_in_brackets(dropslot: Dropslot) -> None:
    told = " ".join(dropslot.run("template", "add", "--help").stdout.replace("│", " ").split())
    assert "becomes [lookups.NAME] of this version" in told


def test_help_is_there_for_every_command(dropslot: Dropslot) -> None:
    for words in (
        [],
        ["agency"],
        ["key"],
        ["key", "authority"],
        ["host-key"],
        ["template"],
        ["profile"],
        ["arrival"],
        ["upload"],
        ["record"],
        ["ban"],
        ["serve"],
    ):
        assert "Usage" in dropslot.run(*words, "--help").stdout
    assert "Usage: dropslot" in dropslot.shell("--help").stdout


def test_the_doctor_tells_of_a_client_that_could_not_agree_on_algorithms(court: Court) -> None:
    refused = run_quietly(court.sftp_command("-o", "Ciphers=aes128-ctr", "-o", "MACs=hmac-sha2-256"), input="ls /\n")
    assert refused.returncode != 0
    told = wait_for(
        lambda: [
            line
            for line in court.dropslot.run("doctor", check=False).stdout.splitlines()
            if "clients that could not agree on algorithms" in line and "no common MAC" in line
        ],
        "the doctor to know",
    )
    assert "dropslot serve --policy compat" in told[0]
    assert "SSH-2.0-OpenSSH" in told[0]
    assert '"reason": "algorithm mismatch"' in court.dropslot.log()


STEERING = "\x1b]0;owned\x07\x1b[2J\x9b1m\n"


def test_the_name_of_a_file_cannot_steer_the_terminal(dropslot: Dropslot, tmp_path: Path) -> None:
    """Neither of one that is found in a home nor of one that is ingested by hand."""
    court = make_court(dropslot, tmp_path / "court", "gwinnett")
    (court.home / "upload" / f"{STEERING}swept.txt").write_bytes(ecr(ecr_row(1)))

    def swept() -> str:
        told = dropslot.run("sweep").stdout
        return told if "owned" in told else ""

    said: list[str] = [wait_for(swept, "the file to be quiet")]
    by_hand = court.write(f"{STEERING}ingested.txt", ecr(ecr_row(2), "x"))
    said.append(dropslot.run("ingest", by_hand, "--agency", court.slug, "--profile", "nightly").stdout)
    uploads = [upload["id"] for upload in dropslot.json("upload", "list")]
    said += [dropslot.run("upload", "show", upload).stdout for upload in uploads]
    said += [dropslot.run("upload", "undo", upload).stdout for upload in reversed(uploads)]
    said.append(dropslot.run("doctor", check=False).stdout)
    assert len(uploads) == 2
    for text in said:
        assert [character for character in text if not character.isprintable() and character != "\n"] == []
    for text in said[:-1]:
        assert any("owned" in line and (".txt" in line) for line in text.splitlines()), text


def test_a_receipt_on_the_terminal_holds_no_more_rows_than_it_shows(
    dropslot: Dropslot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows that are to be corrected are shown behind however many that the template leaves out."""
    court, held, read = make_court(dropslot, tmp_path / "court", "gwinnett"), list[int](), inbox.row_errors

    def counted(conn: Connection, upload_id: str, limit: int | None = None) -> list[RowError]:
        rows = read(conn, upload_id, limit)
        held.append(len(rows))
        return rows

    monkeypatch.setattr(inbox, "row_errors", counted)
    template = 'name = "list"\n[columns]\nclient.reference = "id"\ncase.number = "no"\n'
    template += '[[exclude]]\ncolumn = "state"\nis = ["Vacated"]\nname = "vacated hearings"\n'
    dropslot.run("template", "add", court.slug, court.write("t.toml", template.encode()))
    dropslot.run("profile", "add", court.slug, "list", "--template", "list", "--keyword", "list")
    rows = ["id,no,state", *(f"{n},X{n},Vacated" for n in range(1200)), *(f"{n}" for n in range(1200))]
    sent = court.write("list.csv", "\n".join(rows).encode())
    said = dropslot.run("ingest", sent, "--agency", court.slug, "--profile", "list", check=False).stdout
    [upload] = dropslot.json("upload", "list")
    for text in (said, dropslot.run("upload", "show", upload["id"]).stdout):
        numbers = [int(line.split()[1].strip(":")) for line in text.splitlines() if line.startswith("  row ")]
        assert numbers == [*range(1202, 1302), *range(2, 102)]
    assert (len(dropslot.json("upload", "show", upload["id"])["errors"]), held) == (2200, [1100, 1100, 2200])
