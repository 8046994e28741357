"""A court pushes its file, the records appear, the answer comes back."""

import csv
import io
import json
from pathlib import Path

from tests.acceptance.conftest import make_court
from tests.acceptance.court import ECR_COLUMNS, Court, Dropslot, ecr, ecr_row, wait_for

BAD_DATE = ecr_row(3, date="02/30/2026")


def test_a_pushed_file_becomes_records_and_a_receipt(court: Court) -> None:
    court.push("ecr.txt", ecr(ecr_row(1), ecr_row(2), BAD_DATE))
    [upload] = court.settled()
    assert upload["status"] == "partially_processed"
    assert upload["rows"] == 3
    assert upload["errors"] == 1
    assert {kind: count["created"] for kind, count in upload["counts"].items()} == {
        "clients": 2,
        "contacts": 4,
        "cases": 2,
        "events": 2,
    }
    assert len(court.records("clients")) == 2
    assert len(court.records("events")) == 2

    receipt = json.loads((court.receipts / f"ecr.txt.{upload['id']}.receipt.json").read_text())
    assert receipt["status"] == "partially_processed"
    text = (court.receipts / f"ecr.txt.{upload['id']}.receipt.txt").read_text()
    assert "ecr.txt" in text
    errors = (court.receipts / f"ecr.txt.{upload['id']}.errors.csv").read_text(encoding="utf-8-sig")
    [header, row] = list(csv.reader(io.StringIO(errors)))
    assert header == ["row number", "reasons", *ECR_COLUMNS.split("|")]
    assert row[0] == "4", "the row's number in the file"
    assert row[2] == "1000003"


def test_the_court_fetches_its_answer_over_sftp(court: Court) -> None:
    court.push("ecr.txt", ecr(ecr_row(1), BAD_DATE))
    [upload] = court.settled()
    name = f"ecr.txt.{upload['id']}.errors.csv"
    court.sftp(f"get /download/receipts/{name} {court.folder}/errors.csv")
    assert "1000003" in (court.folder / "errors.csv").read_text(encoding="utf-8-sig")


def test_a_clerk_mends_the_error_file_and_sends_it_back(court: Court) -> None:
    court.push("ecr.txt", ecr(ecr_row(1), BAD_DATE))
    [upload] = court.settled()
    errors = (court.receipts / f"ecr.txt.{upload['id']}.errors.csv").read_bytes()
    court.push("ecr_mended.txt", errors.replace(b"02/30/2026", b"02/28/2026"))
    mended = court.settled(2)[0]
    assert mended["status"] == "processed", mended
    assert mended["counts"]["events"]["created"] == 1
    assert len(court.records("events")) == 2


def test_the_same_file_again_is_a_duplicate_and_changes_nothing(court: Court) -> None:
    court.push("ecr.txt", ecr(ecr_row(1)))
    court.settled()
    before = court.records("events")
    court.push("ecr.txt", ecr(ecr_row(1)))
    newest = court.settled(2)[0]
    assert newest["status"] == "duplicate"
    assert court.records("events") == before
    assert [arrival["state"] for arrival in court.arrivals()] == ["duplicate", "processed"]


def test_the_same_name_with_new_content_is_processed(court: Court) -> None:
    court.push("ecr.txt", ecr(ecr_row(1)))
    court.settled()
    court.push("ecr.txt", ecr(ecr_row(1, judge="Brooks, T."), ecr_row(2)))
    newest = court.settled(2)[0]
    assert newest["status"] == "processed"
    counts = newest["counts"]["events"]
    assert (counts["created"], counts["updated"], counts["unchanged"]) == (1, 1, 0)
    assert len(court.records("events")) == 2


def test_yesterdays_file_after_todays_is_no_duplicate(court: Court) -> None:
    for count, judge in enumerate(("Alvarez, M.", "Brooks, T.", "Alvarez, M."), start=1):
        court.push("ecr.txt", ecr(ecr_row(1, judge=judge)))
        court.settled(count)
    [event] = court.records("events")
    assert event["judge"] == "Alvarez, M.", "what the court sent last is what holds"


def test_strict_names_take_a_name_once(court: Court) -> None:
    court.dropslot.run(
        *("profile", "add", court.slug, "strict", "--template", "odyssey-ecr"),
        *("--directory", "/upload/strict", "--skip-same-name"),
    )
    court.push("ecr.txt", ecr(ecr_row(1)), "/upload/strict")
    court.settled()
    court.push("ecr.txt", ecr(ecr_row(2)), "/upload/strict")
    assert court.settled(2)[0]["status"] == "duplicate"
    assert len(court.records("events")) == 1


def test_a_file_nobody_takes_is_seen_and_answered(court: Court) -> None:
    court.sftp("mkdir /upload/elsewhere")
    court.push("ecr.txt", ecr(ecr_row(1)), "/upload/elsewhere")
    [arrival] = wait_for(lambda: court.arrivals(state="unmatched"), "an unmatched arrival")
    assert "profile" in arrival["detail"]
    wait_for(lambda: list(court.receipts.glob(f"*{arrival['id']}.receipt.txt")), "a notice to the court")


def test_an_unmatched_file_is_taken_once_there_is_a_profile_for_it(court: Court) -> None:
    court.sftp("mkdir /upload/later")
    court.push("ecr.txt", ecr(ecr_row(1)), "/upload/later")
    [arrival] = wait_for(lambda: court.arrivals(state="unmatched"), "an unmatched arrival")
    wait_for(lambda: list(court.receipts.glob(f"*{arrival['id']}.receipt.txt")), "a notice to the court")
    done = court.dropslot.run("arrival", "retry", arrival["id"], check=False)
    assert "No profile reads the directory /upload/later" in done.stderr
    court.dropslot.run(
        "profile", "add", court.slug, "later", "--template", "odyssey-ecr", "--directory", "/upload/later"
    )
    court.dropslot.run("arrival", "retry", arrival["id"])
    court.settled()
    assert len(court.records("events")) == 1
    assert [row["state"] for row in court.arrivals()] == ["processed"]


def test_an_unmatched_file_that_its_court_renames_is_taken(court: Court) -> None:
    court.dropslot.run(
        *("profile", "add", court.slug, "civil", "--template", "odyssey-ecr"),
        *("--directory", "/upload/civil", "--keyword", "ecr"),
    )
    court.push("report.txt", ecr(ecr_row(1)), "/upload/civil")
    [arrival] = wait_for(lambda: court.arrivals(state="unmatched"), "an unmatched arrival")
    wait_for(lambda: list(court.receipts.glob(f"*{arrival['id']}.receipt.txt")), "a notice to the court")
    court.sftp("rename /upload/civil/report.txt /upload/civil/ecr.txt")
    [upload] = court.settled()
    assert upload["file"] == "ecr.txt"
    assert len(court.records("events")) == 1


def test_a_blocked_name_is_seen_and_answered(court: Court) -> None:
    court.dropslot.run(
        *("profile", "add", court.slug, "civil", "--template", "odyssey-ecr"),
        *("--directory", "/upload/civil", "--keyword", "ecr", "--blockword", "draft"),
    )
    court.push("ECR_DRAFT.txt", ecr(ecr_row(1)), "/upload/civil")
    [arrival] = wait_for(lambda: court.arrivals(state="blocked"), "a blocked arrival")
    assert "draft" in arrival["detail"]
    assert court.records("events") == []


def test_spellings_of_a_phone_are_one_contact(court: Court) -> None:
    rows = [
        ecr_row(1),
        ecr_row(1).replace("(404) 555-0001", "+1 404.555.0001"),
        ecr_row(1).replace("(404) 555-0001", "4045550001"),
    ]
    court.push("ecr.txt", ecr(*rows))
    court.settled()
    contacts = court.records("contacts")
    assert sorted(contact["value"] for contact in contacts) == ["+14045550001", "a1@example.com"]


def test_two_courts_never_see_each_other(court: Court, tmp_path: Path) -> None:
    other = make_court(court.dropslot, tmp_path / "other", f"{court.slug}-neighbour")
    court.push("ecr.txt", ecr(ecr_row(1)))
    other.push("ecr.txt", ecr(ecr_row(1), ecr_row(2)))
    court.settled()
    other.settled()
    assert len(court.records("events")) == 1
    assert len(other.records("events")) == 2
    assert court.sftp("ls /", key=other.key, check=False).returncode != 0, "a key opens its own agency only"


def test_ingest_from_the_command_line(court: Court) -> None:
    file = court.write("by_hand.txt", ecr(ecr_row(1), BAD_DATE))
    shown = court.dropslot.json("ingest", file, "--agency", court.slug, "--profile", "nightly")
    assert shown["status"] == "partially_processed"
    assert [error["row"] for error in shown["errors"]] == [3]
    assert file.exists()
    shown = court.dropslot.json("upload", "show", shown["id"])
    assert shown["counts"]["events"]["created"] == 1


def test_ingest_from_the_command_line_needs_no_server(dropslot: Dropslot, tmp_path: Path) -> None:
    court = make_court(dropslot, tmp_path / "court", "gwinnett")
    file = court.write("by_hand.txt", ecr(ecr_row(2)))
    shown = dropslot.json("ingest", file, "--agency", "gwinnett", "--profile", "nightly")
    assert shown["status"] == "processed"


def test_a_file_copied_in_by_hand_is_found_once(court: Court) -> None:
    (court.home / "upload" / "byhand.txt").write_bytes(ecr(ecr_row(1)))
    [upload] = court.settled()
    assert upload["status"] == "processed"
    for _ in range(2):
        assert court.sweep() == []
    court.sftp("rename /upload/byhand.txt /upload/kept.txt")
    assert court.sweep() == []
    assert len(court.arrivals()) == 1


def test_a_pushed_file_is_not_swept_again(court: Court) -> None:
    court.sftp(f'put -p "{court.write("ecr.txt", ecr(ecr_row(1)))}" /upload/ecr.txt')
    court.settled()
    wait_for(lambda: court.sweep() == [], "the quiet time to pass", 3)
    court.sftp("chmod 600 /upload/ecr.txt")
    assert court.sweep() == []
    assert len(court.arrivals()) == 1
