"""The whole of it on PostgreSQL: the main job, several workers, and a database that goes away and comes back."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from server.db import migrate, open_database
from tests import postgres
from tests.acceptance import test_corrections as corrections
from tests.acceptance import test_main_job as main_job
from tests.acceptance.conftest import make_court
from tests.acceptance.court import Court, Dropslot, ecr, ecr_row, wait_for

PLAYS = (
    main_job.test_a_pushed_file_becomes_records_and_a_receipt,
    main_job.test_a_clerk_mends_the_error_file_and_sends_it_back,
    main_job.test_the_same_file_again_is_a_duplicate_and_changes_nothing,
    main_job.test_an_unmatched_file_is_taken_once_there_is_a_profile_for_it,
    main_job.test_an_unmatched_file_that_its_court_renames_is_taken,
    main_job.test_a_file_copied_in_by_hand_is_found_once,
    main_job.test_ingest_from_the_command_line,
    corrections.test_an_upload_is_undone_and_its_file_sent_again,
    corrections.test_an_original_runs_again,
    corrections.test_the_history_of_a_record,
)


@pytest.fixture
def server() -> Iterator[postgres.Server]:
    """A database server that may be stopped."""
    with postgres.running() as running:
        yield running


@pytest.fixture
def installation(server: postgres.Server, tmp_path: Path) -> Iterator[Dropslot]:
    """An installation on it, not started, whose user needs a password."""
    server.run("CREATE ROLE guarded LOGIN PASSWORD 'a/secret'")
    server.run("CREATE DATABASE courts OWNER guarded")
    made = Dropslot(tmp_path / "data")
    made.environment["DROPSLOT_DATABASE"] = f"postgresql://guarded:a%2Fsecret@127.0.0.1:{server.port}/courts"
    yield made
    if made.process is not None:
        made.kill()


def test_the_main_job(installation: Dropslot, tmp_path: Path) -> None:
    installation.start("--workers", "2")
    for number, play in enumerate(PLAYS):
        play(make_court(installation, tmp_path / f"court-{number}", f"court-{number}"))
    said = installation.run("doctor", check=False).stdout
    assert "database: PostgreSQL 1" in said
    assert installation.stop() == 0
    assert not (installation.data / "dropslot.db").exists()
    assert "Traceback" not in installation.log()
    assert "secret" not in installation.log() + said


def test_many_courts_at_once_and_two_workers(installation: Dropslot, tmp_path: Path) -> None:
    courts = [make_court(installation, tmp_path / f"court-{i}", f"court-{i}") for i in range(4)]
    installation.start("--workers", "2")
    for night in range(3):
        for court in courts:
            court.push(f"ecr-{night}.txt", ecr(*(ecr_row(i) for i in range(night, night + 200))))
    for court in courts:
        assert [upload["status"] for upload in court.settled(3)] == ["processed"] * 3
        assert [upload["file"] for upload in court.uploads()] == ["ecr-2.txt", "ecr-1.txt", "ecr-0.txt"], "in order"
        assert len(court.records("clients")) == 202


def test_what_comes_while_the_database_is_away_is_kept(
    installation: Dropslot, server: postgres.Server, tmp_path: Path
) -> None:
    court: Court = make_court(installation, tmp_path / "court", "gwinnett")
    installation.environment["DROPSLOT_SWEEP_EVERY"] = "1"
    installation.start()
    court.push("first.txt", ecr(ecr_row(1)))
    court.settled(1)
    server.stop()
    court.push("second.txt", ecr(ecr_row(2)))
    refused = installation.run("arrival", "list", check=False)
    assert (refused.returncode, "does not answer" in refused.stderr) == (1, True)
    wait_for(lambda: "registration put off" in installation.log(), "the door to notice")
    time.sleep(1)
    server.start()
    # Well before the lease ends that the worker may have had when the database went.
    assert {upload["file"] for upload in court.settled(2, 40)} == {"first.txt", "second.txt"}
    assert len(court.records("clients")) == 2
    assert "Traceback" not in installation.log()


def test_a_door_opens_while_the_database_is_away(
    installation: Dropslot, server: postgres.Server, tmp_path: Path
) -> None:
    court = make_court(installation, tmp_path / "court", "gwinnett")
    stranger = make_court(installation, tmp_path / "other", "fulton")
    installation.start()
    hosts = court.fingerprint()
    court.push("first.txt", ecr(ecr_row(1)))
    court.settled(1)
    installation.run("agency", "disable", "fulton")
    wait_for((installation.data / "run" / "standby").exists, "the door to learn that")
    installation.kill()
    server.stop()  # the power of both is gone, and one of them is back before the other
    installation.start()
    court.push("second.txt", ecr(ecr_row(2)))
    assert "Permission denied" in stranger.sftp("pwd", check=False).stderr
    assert "host key" not in court.sftp("pwd").stderr.lower()
    assert "started without the database" in installation.log()
    assert "waiting for the database" in installation.log()
    door, doors = installation.children("sftp")[0], len(installation.children("sftp"))
    door.kill()
    door.wait(30)
    wait_for(lambda: len(installation.children("sftp")) == doors, "another one")
    wait_for(lambda: court.sftp("pwd", check=False).returncode == 0, "it to let in")
    server.start()
    assert {upload["file"] for upload in court.settled(2, 40)} == {"first.txt", "second.txt"}
    assert court.fingerprint() == hosts
    assert len(court.records("clients")) == 2
    assert installation.stop() == 0
    assert "Traceback" not in installation.log()


def test_a_database_that_hangs_keeps_nobody_waiting(
    installation: Dropslot, server: postgres.Server, tmp_path: Path
) -> None:
    court = make_court(installation, tmp_path / "court", "gwinnett")
    installation.start()
    court.push("first.txt", ecr(ecr_row(1)))
    court.settled(1)
    with server.hanging():
        with ThreadPoolExecutor(12) as several:
            done = list(several.map(lambda _: court.sftp("pwd", check=False).returncode, range(12)))
        assert done == [0] * 12
        court.push("second.txt", ecr(ecr_row(2)))
        for door in installation.children("sftp"):
            door.terminate()
            door.wait(30)
    assert {upload["file"] for upload in court.settled(2, 60)} == {"first.txt", "second.txt"}
    assert installation.stop() == 0
    assert "Traceback" not in installation.log()


def test_what_was_revoked_meanwhile_opens_no_door(
    installation: Dropslot, server: postgres.Server, tmp_path: Path
) -> None:
    make_court(installation, tmp_path / "court", "gwinnett")
    installation.start()
    standby = installation.data / "run" / "standby"
    wait_for(standby.exists, "the door to keep what it knows")
    assert installation.stop() == 0
    [key] = installation.json("key", "list", "gwinnett")
    installation.run("key", "revoke", "gwinnett", key["fingerprint"])
    assert not standby.exists()
    server.stop()
    refused = installation.shell("serve", "--sftp-port", "0", check=False)
    assert (refused.returncode, "does not answer" in refused.stderr) == (1, True)


def test_two_machines_that_start_at_once_migrate_once(server: postgres.Server, tmp_path: Path) -> None:
    server.run("CREATE DATABASE courts")
    databases = [open_database(server.url("courts")) for _ in range(2)]
    assert [migrate(database, tmp_path / f"lock-{i}") for i, database in enumerate(databases)] == [True, False]
    for database in databases:
        database.close()
