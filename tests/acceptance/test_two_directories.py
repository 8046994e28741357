"""A database that another data directory belongs to: nobody gets in with it, whatever was mistyped."""

from pathlib import Path

import pytest

from tests import postgres
from tests.acceptance.conftest import make_court
from tests.acceptance.court import Dropslot, ecr, ecr_row, wait_for

ADD = ("agency", "add", "fulton", "--name", "Fulton", "--timezone", "America/New_York")
OTHER = "0199c0de-0000-7000-8000-000000000001"


def test_a_second_directory_gets_no_agency_no_file_and_no_server(installation: Dropslot, tmp_path: Path) -> None:
    court = make_court(installation, tmp_path / "court", "gwinnett")
    installation.start("--sftp-processes", "1")
    other = Dropslot(tmp_path / "mistyped", installation.environment)
    file = court.write("ecr.txt", ecr(ecr_row(1)))
    for command in (ADD, ("ingest", file, "--agency", "gwinnett", "--profile", "nightly"), ("serve",)):
        refused = other.shell(*command, check=False)
        assert (refused.returncode, "another data directory than" in refused.stderr) == (1, True), command
        assert "docs/backup.md" in refused.stderr
    assert list((other.data / "agencies").iterdir()) == []
    court.push("ecr.txt", ecr(ecr_row(1)))
    [upload] = court.settled(1)
    assert upload["status"] == "processed"
    assert [agency["slug"] for agency in installation.json("agency", "list")] == ["gwinnett"]
    assert "Traceback" not in installation.log()


def test_a_directory_that_is_lost_is_begun_again_with_the_id_of_its_database(
    installation: Dropslot, database_server: postgres.Server, tmp_path: Path
) -> None:
    make_court(installation, tmp_path / "court", "gwinnett")
    [[own]] = database_server.run("SELECT id FROM installation", "courts")
    new = Dropslot(tmp_path / "new" / "data", installation.environment)
    (new.data / "run").mkdir(parents=True)
    (new.data / "installation").write_text(f"{own}\n")
    assert [agency["slug"] for agency in new.json("agency", "list")] == ["gwinnett"]


def test_sqlite_is_not_left_for_postgresql_behind_an_agencys_back(
    installation: Dropslot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = Dropslot(installation.data, {})
    monkeypatch.delenv("DROPSLOT_DATABASE", raising=False)
    make_court(before, tmp_path / "court", "gwinnett")
    refused = installation.shell(*ADD, check=False)
    assert (refused.returncode, "dropslot.db (SQLite)" in refused.stderr) == (1, True)
    assert "Unset DROPSLOT_DATABASE" in refused.stderr
    before.run(*ADD)


def test_a_door_that_opened_without_the_database_leaves_anothers_alone(
    installation: Dropslot, database_server: postgres.Server, tmp_path: Path
) -> None:
    court = make_court(installation, tmp_path / "court", "gwinnett")
    installation.environment["DROPSLOT_SFTP_PROCESSES"] = "1"
    installation.start()
    court.push("first.txt", ecr(ecr_row(1)))
    court.settled(1)
    wait_for((installation.data / "run" / "standby").exists, "the door to keep what it knows")
    installation.kill()
    [[own]] = database_server.run("SELECT id FROM installation", "courts")
    database_server.run(f"UPDATE installation SET id = '{OTHER}'", "courts")
    database_server.run("CHECKPOINT")  # it stops as in a crash
    database_server.stop()
    installation.start()
    court.push("second.txt", ecr(ecr_row(2)))
    database_server.start()
    wait_for(lambda: "database refused" in installation.log(), "the door to stop")
    wait_for(lambda: installation.log().count("belong to two installations") >= 4, "all processes to say so")
    assert database_server.run("SELECT count(*) FROM arrivals", "courts") == [(1,)]
    database_server.run(f"UPDATE installation SET id = '{own}'", "courts")
    assert {upload["file"] for upload in court.settled(2, 90)} == {"first.txt", "second.txt"}
    assert installation.stop() == 0
