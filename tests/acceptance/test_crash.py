"""Whatever is killed at whatever moment: nothing accepted is lost or ingested twice, nothing partial at all."""

import random
import signal
import subprocess
import time
from pathlib import Path

import pytest

from ingest.sample import write_ecr
from tests.acceptance.court import Court, ecr, ecr_row, wait_for

KINDS = ("clients", "contacts", "cases", "events")


def snapshot(court: Court) -> dict[str, list[dict[str, object]]]:
    """All records, without what differs from run to run."""
    return {kind: sorted((_stable(row) for row in court.records(kind)), key=str) for kind in KINDS}


def _stable(row: dict[str, object]) -> dict[str, object]:
    return {name: value for name, value in row.items() if not name.endswith(("_at", "id")) or name == "starts_at"}


@pytest.mark.both_databases
def test_the_worker_is_killed_while_it_ingests(lone_court: Court) -> None:
    court = lone_court
    file = court.folder / "big.txt"
    write_ecr(file, rows=30_000, seed=7)
    court.sftp(f'put "{file}" /upload/big.txt')
    wait_for(lambda: court.arrivals(state="received"), "the file to be registered", 10)
    for _ in range(3):
        time.sleep(random.uniform(0.1, 1.2))
        for worker in court.dropslot.children("worker"):
            worker.send_signal(signal.SIGKILL)
        time.sleep(0.5)
    [upload] = court.settled()
    assert upload["status"] == "partially_processed"
    killed = snapshot(court)
    assert len(killed["events"]) == upload["counts"]["events"]["created"]

    # The same file through a server that nobody kills gives the same records.
    court.dropslot.run("agency", "add", "fulton", "--name", "F", "--timezone", "America/New_York")
    court.dropslot.run("profile", "add", "fulton", "nightly", "--template", "odyssey-ecr")
    court.dropslot.run("ingest", file, "--agency", "fulton", "--profile", "nightly")
    fulton = Court(court.dropslot, "fulton", court.folder)
    for kind in KINDS:
        calm = sorted((_stable(row) for row in fulton.records(kind)), key=str)
        assert calm == killed[kind]


@pytest.mark.both_databases
@pytest.mark.timeout(300)  # it starts four servers
def test_everything_is_killed_after_the_file_was_accepted(lone_court: Court) -> None:
    """Three nights on one server, each with a file of its own and a kill at another moment after it."""
    court = lone_court
    for night, pause in enumerate((0.0, random.uniform(0.02, 0.3), random.uniform(0.3, 1.0)), start=1):
        file = court.folder / f"ecr-{night}.txt"
        write_ecr(file, rows=5_000, seed=10 + night)
        court.sftp(f'put "{file}" /upload/{file.name}')
        time.sleep(pause)
        court.dropslot.kill()
        court.dropslot.start()
        uploads = court.settled(night)
        assert [upload["status"] for upload in uploads] == ["partially_processed"] * night, "answered, and once"
        assert len(court.arrivals()) == night
        assert len(list(court.receipts.glob("*.receipt.json"))) == night
        assert len(court.records("events")) == sum(upload["counts"]["events"]["created"] for upload in uploads)
        assert list((court.dropslot.data / "spool").glob("*.data")) == [], "the original is in the archive"
        assert court.sweep() == [], "and the sweep takes it for known"


def test_the_door_is_killed_in_mid_upload(lone_court: Court) -> None:
    court = lone_court
    file = court.write("big.bin", bytes(64 * 1024 * 1024))
    client = _slow_put(court, str(file), "/upload/big.bin")
    target = court.home / "upload" / "big.bin"
    wait_for(lambda: target.exists() and target.stat().st_size > 1_000_000, "the upload to be under way")
    for door in court.dropslot.children("sftp"):
        door.kill()
    client.wait(30)
    [arrival] = wait_for(lambda: court.arrivals(state="partial"), "the torn upload to be seen", 30)
    assert arrival["path"] == "/upload/big.bin"
    time.sleep(1)
    court.sweep()
    assert court.uploads() == [], "what is partial is never ingested"


def test_everything_is_killed_in_mid_upload_and_the_court_sends_again(lone_court: Court) -> None:
    court = lone_court
    rows = [ecr_row(number) for number in range(200_000)]
    file = court.write("ecr.txt", ecr(*rows))
    client = _slow_put(court, str(file), "/upload/ecr.txt")
    target = court.home / "upload" / "ecr.txt"
    wait_for(lambda: target.exists() and target.stat().st_size > 1_000_000, "the upload to be under way")
    court.dropslot.kill()
    client.wait(30)
    court.dropslot.start()
    wait_for(lambda: court.arrivals(state="partial"), "the torn upload to be seen")
    time.sleep(1)
    assert court.sweep() == []
    court.push("ecr.txt", ecr(ecr_row(1), ecr_row(2)))
    [upload] = court.settled()
    assert upload["rows"] == 2
    assert [arrival["state"] for arrival in court.arrivals()] == ["processed"]


def test_a_client_that_is_killed_leaves_a_partial_file_that_can_be_resumed(court: Court) -> None:
    rows = [ecr_row(number) for number in range(60_000)]
    file = court.write("ecr.txt", ecr(*rows))
    client = _slow_put(court, str(file), "/upload/ecr.txt")
    target = court.home / "upload" / "ecr.txt"
    wait_for(lambda: target.exists() and target.stat().st_size > 500_000, "the upload to be under way")
    client.kill()
    client.wait(30)
    wait_for(lambda: court.arrivals(state="partial"), "the torn upload to be seen")
    assert court.sweep() == []
    court.sftp(f'reput "{file}" /upload/ecr.txt')
    [upload] = court.settled()
    assert upload["rows"] == 60_000
    assert upload["status"] == "processed"
    assert [arrival["state"] for arrival in court.arrivals()] == ["processed"]


def test_the_data_is_restored_on_another_disk(lone_court: Court, tmp_path: Path) -> None:
    court = lone_court
    court.push("whole.txt", ecr(ecr_row(1)))
    court.settled()
    file = court.write("torn.txt", ecr(*(ecr_row(number) for number in range(60_000))))
    client = _slow_put(court, str(file), "/upload/torn.txt")
    target = court.home / "upload" / "torn.txt"
    wait_for(lambda: target.exists() and target.stat().st_size > 500_000, "the upload to be under way")
    client.kill()
    client.wait(30)
    wait_for(lambda: court.arrivals(state="partial"), "the torn upload to be seen")
    court.dropslot.stop()
    copied = tmp_path / "restored" / "data"
    copied.parent.mkdir()
    subprocess.run(["cp", "-a", str(court.dropslot.data), str(copied)], check=True)  # all inodes are others now
    court.dropslot.data = copied
    court.dropslot.start()
    time.sleep(1)
    for _ in range(2):
        assert court.sweep() == []
    states = {arrival["path"]: arrival["state"] for arrival in court.arrivals()}
    assert states == {"/upload/whole.txt": "processed", "/upload/torn.txt": "partial"}
    court.sftp(f'reput "{file}" /upload/torn.txt')
    assert court.settled(2)[0]["rows"] == 60_000


def _slow_put(court: Court, local: str, remote: str) -> "subprocess.Popen[str]":
    """A put that takes its time (OpenSSH's own limit, in Kbit/s)."""
    client = subprocess.Popen(
        court.sftp_command("-l", "32000"),
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert client.stdin is not None
    client.stdin.write(f'put "{local}" {remote}\n')
    client.stdin.close()
    return client
