"""A PostgreSQL that goes away, hangs, and comes back: the door goes on receiving, and opens without it."""

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests import postgres
from tests.acceptance.conftest import make_court
from tests.acceptance.court import Court, Dropslot, ecr, ecr_row, wait_for


def test_what_comes_while_the_database_is_away_is_kept(
    installation: Dropslot, database_server: postgres.Server, tmp_path: Path
) -> None:
    court: Court = make_court(installation, tmp_path / "court", "gwinnett")
    installation.environment["DROPSLOT_SWEEP_EVERY"] = "1"
    installation.start()
    court.push("first.txt", ecr(ecr_row(1)))
    court.settled(1)
    database_server.stop()
    court.push("second.txt", ecr(ecr_row(2)))
    refused = installation.run("arrival", "list", check=False)
    assert (refused.returncode, "does not answer" in refused.stderr) == (1, True)
    wait_for(lambda: "registration put off" in installation.log(), "the door to notice")
    time.sleep(1)
    database_server.start()
    # Well before the lease ends that the worker may have had when the database went.
    assert {upload["file"] for upload in court.settled(2, 40)} == {"first.txt", "second.txt"}
    assert len(court.records("clients")) == 2
    assert "Traceback" not in installation.log()


def test_a_door_opens_while_the_database_is_away(
    installation: Dropslot, database_server: postgres.Server, tmp_path: Path
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
    database_server.stop()  # the power of both is gone, and one of them is back before the other
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
    database_server.start()
    assert {upload["file"] for upload in court.settled(2, 40)} == {"first.txt", "second.txt"}
    assert court.fingerprint() == hosts
    assert len(court.records("clients")) == 2
    assert installation.stop() == 0
    assert "Traceback" not in installation.log()


def test_a_database_that_hangs_keeps_nobody_waiting(
    installation: Dropslot, database_server: postgres.Server, tmp_path: Path
) -> None:
    court = make_court(installation, tmp_path / "court", "gwinnett")
    installation.start()
    court.push("first.txt", ecr(ecr_row(1)))
    court.settled(1)
    with database_server.hanging():
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
    installation: Dropslot, database_server: postgres.Server, tmp_path: Path
) -> None:
    make_court(installation, tmp_path / "court", "gwinnett")
    installation.start()
    standby = installation.data / "run" / "standby"
    wait_for(standby.exists, "the door to keep what it knows")
    assert installation.stop() == 0
    [key] = installation.json("key", "list", "gwinnett")
    installation.run("key", "revoke", "gwinnett", key["fingerprint"])
    assert not standby.exists()
    database_server.stop()
    refused = installation.shell("serve", "--sftp-port", "0", check=False)
    assert (refused.returncode, "does not answer" in refused.stderr) == (1, True)
