"""An operator and the reports: what the commands say, and what they write."""

import csv
import io
import re
from pathlib import Path

import openpyxl
import pytest

from tests.acceptance.court import Dropslot, ecr, ecr_row


@pytest.fixture
def dropslot(tmp_path: Path) -> Dropslot:
    """A court whose file was ingested."""
    dropslot = Dropslot(tmp_path / "data")
    dropslot.run("agency", "add", "gwinnett", "--name", "Gwinnett", "--timezone", "America/New_York")
    dropslot.run("agency", "add", "empty", "--name", "Empty", "--timezone", "Pacific/Honolulu")
    dropslot.run("profile", "add", "gwinnett", "nightly", "--template", "odyssey-ecr")
    (tmp_path / "ecr.txt").write_bytes(ecr(ecr_row(1), ecr_row(2, date="02/30/2026"), ecr_row(3, time="1:30 PM")))
    dropslot.run("ingest", tmp_path / "ecr.txt", "--agency", "gwinnett", "--profile", "nightly")
    return dropslot


def test_the_catalogue_says_what_each_report_holds(dropslot: Dropslot) -> None:
    listed = dropslot.run("report", "list").stdout
    assert "upcoming-events" in listed
    assert "no phone number and no e-mail address that is good" in listed
    told = dropslot.run("report", "columns", "upcoming-events").stdout
    assert "first phone number that is good" in told
    assert "how many days after today" in told
    assert "Sorted by date, or by name" in told
    document = dropslot.json("report", "columns", "upcoming-events")
    assert document["columns"][0] == {"name": "date", "meaning": "the day, at the court"}
    assert document["days"]["default"] == 14


def test_a_report_is_written_in_each_form(dropslot: Dropslot, tmp_path: Path) -> None:
    told = dropslot.run("report", "run", "gwinnett", "events", "--output", tmp_path / "events.csv").stdout
    assert told.startswith(f"2 rows of events are in {tmp_path / 'events.csv'} (")
    rows = list(csv.DictReader(io.StringIO((tmp_path / "events.csv").read_text("utf-8-sig"))))
    assert [(row["date"], row["time"], row["last_name"]) for row in rows] == [
        ("2026-03-16", "09:00", "Alder1"),
        ("2026-03-16", "13:30", "Alder3"),
    ]
    out = dropslot.run("report", "run", "gwinnett", "row-errors", "--format", "txt").stdout
    assert out.splitlines()[1].split("|")[1:5] == ["ecr.txt", "3", "Event Date", "02/30/2026"]
    dropslot.run("report", "run", "gwinnett", "cases", "--output", tmp_path / "c.XLSX")
    assert openpyxl.load_workbook(tmp_path / "c.XLSX").worksheets[0].max_row == 3
    for name, more in (("cases", ()), ("cases.2026", ("--format", "csv"))):
        dropslot.run("report", "run", "gwinnett", "cases", *more, "--output", tmp_path / name)
        assert (tmp_path / name).read_bytes().count(b"\r\n") == 3
    assert not list((dropslot.data / "reports").iterdir())
    written = {"events.csv", "c.XLSX", "cases", "cases.2026"}
    assert {path.name for path in tmp_path.iterdir()} == {"data", "ecr.txt"} | written


def test_rows_are_chosen_and_sorted(dropslot: Dropslot, tmp_path: Path) -> None:
    chosen = dropslot.run(
        "report", "run", "gwinnett", "events", "--filter", "judge=alvarez, m.", "--filter", "to=2026-03-16",
        "--sort", "-date", "--output", tmp_path / "e.csv", "--json",
    )  # fmt: skip
    assert '"rows": 2' in chosen.stdout
    assert [line.split(",")[1] for line in (tmp_path / "e.csv").read_text("utf-8-sig").splitlines()[1:]] == [
        "13:30",
        "09:00",
    ]
    assert dropslot.run("report", "run", "gwinnett", "activity", "--days", "1").stdout.count("file came") == 1
    assert len(dropslot.run("report", "run", "empty", "events").stdout.splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["nobody", "events"], "There is no agency 'nobody'."),
        (["gwinnett", "event"], "There is no report 'event'. Choose one of upload-results, row-errors"),
        (["gwinnett", "events", "--days", "3"], "The report events is not about days."),
        (["gwinnett", "events", "--filter", "status"], "'status' is no filter. Write it as name=value"),
        (["gwinnett", "events", "--sort", "color"], "cannot be sorted by 'color'. It can be sorted by date, name"),
        (["gwinnett", "events", "--output", "/nowhere/e.csv"], "/nowhere/e.csv cannot be written (No such file"),
        (["gwinnett", "events", "--json"], "Name a file with --output."),
        (
            ["gwinnett", "events", "--output", "e.xls"],
            "No report is written as .xls. Name it .csv, .txt or .xlsx;",
        ),
    ],
    ids=range(8),
)
def test_what_cannot_be_is_told(dropslot: Dropslot, arguments: list[str], complaint: str) -> None:
    done = dropslot.run("report", "run", *arguments, check=False)
    assert done.returncode == 1
    assert complaint in done.stderr
    assert not list((dropslot.data / "reports").iterdir())


def test_a_profile_brings_its_report_on_each_cycle(dropslot: Dropslot) -> None:
    wish = ("--report", "events status=Scheduled", "--report-directory", "/download/reports", "--report-format", "txt")
    dropslot.run("profile", "edit", "gwinnett", "nightly", *wish)
    missing = "The directory /download/reports is not there, so the report events is not delivered."
    done = dropslot.run("sync", "now", check=False)
    assert missing in done.stdout + done.stderr
    assert missing in dropslot.run("profile", "show", "gwinnett", "nightly").stdout
    assert missing in dropslot.run("sync", "log").stdout
    folder = dropslot.data / "agencies" / "gwinnett" / "download" / "reports"
    assert not folder.exists()
    folder.mkdir()
    for _ in range(2):
        dropslot.run("sync", "now")
    (placed,) = folder.iterdir()
    assert re.fullmatch(r"gwinnett_events_\d{8}T\d{6}Z\.txt", placed.name)
    assert placed.read_text().splitlines()[1].startswith("2026-03-16|09:00|America/New_York|1000001|Alder1|Avery||")
    assert placed.name in dropslot.run("sync", "log").stdout
    assert missing not in dropslot.run("profile", "show", "gwinnett", "nightly").stdout
    delivered = dropslot.run("report", "run", "gwinnett", "activity", "--filter", "what=report delivered").stdout
    assert f"/download/reports/{placed.name}" in delivered
    refused = dropslot.run("profile", "edit", "gwinnett", "nightly", "--report", "everything", check=False)
    assert "There is no report 'everything'." in refused.stderr
    for report, goes_on in (("changed-events judge=Nobody", False), ("changed-events", True)):
        told = dropslot.run("profile", "edit", "gwinnett", "nightly", "--report", report).stdout
        assert ("The report changed-events goes on where its last delivery ended" in told) is goes_on
        dropslot.run("sync", "now")
    dropslot.run("profile", "edit", "gwinnett", "nightly", "--report", "none")
    document = dropslot.json("profile", "show", "gwinnett", "nightly")
    assert (document["report"], document["report_directory"]) == (None, None)
