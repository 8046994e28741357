"""The whole of it on PostgreSQL: the main job, and several workers."""

from pathlib import Path

from server.db import migrate, open_database
from tests import postgres
from tests.acceptance import test_corrections as corrections
from tests.acceptance import test_main_job as main_job
from tests.acceptance.conftest import make_court
from tests.acceptance.court import Dropslot, ecr, ecr_row

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


def test_two_machines_that_start_at_once_migrate_once(database_server: postgres.Server, tmp_path: Path) -> None:
    database_server.run("CREATE DATABASE courts")
    databases = [open_database(database_server.url("courts")) for _ in range(2)]
    assert [migrate(database, tmp_path / f"lock-{i}") for i, database in enumerate(databases)] == [True, False]
    for database in databases:
        database.close()
