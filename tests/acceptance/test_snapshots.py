"""A court sends all its hearings every night; a short file waits for a person, who says yes or no."""

import json
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from ingest.template import builtin_templates
from tests.acceptance.conftest import make_court
from tests.acceptance.court import Court, Dropslot, ecr, ecr_row, wait_for

PEOPLE = range(1, 21)


@pytest.fixture
def nightly(court: Court) -> Court:
    """A court whose files named `full` are snapshots."""
    text = builtin_templates()["odyssey-ecr"].replace("odyssey-ecr", "snapshot")
    file = court.write("snapshot.toml", f'{text}\n[processing]\nmethod = "replace_template"\n'.encode())
    court.dropslot.run("template", "add", court.slug, file)
    court.dropslot.run("profile", "add", court.slug, "full", "--template", "snapshot", "--keyword", "full")
    return court


def night(*people: int) -> bytes:
    """A file with a hearing of next year of each of these people."""
    day = f"{date.today() + timedelta(days=365):%m/%d/%Y}"
    return ecr(*(ecr_row(number, date=day) for number in people))


def answered(court: Court, file: str, status: str) -> dict[str, Any]:
    """The upload of that file once it has that status and its receipt lies there."""

    def found() -> dict[str, Any] | None:
        mine = [upload for upload in court.uploads() if (upload["file"], upload["status"]) == (file, status)]
        return mine[0] if mine else None

    upload: dict[str, Any] = wait_for(found, f"{file} to be {status}")
    return upload


def told(court: Court, upload: dict[str, Any]) -> tuple[dict[str, Any], str]:
    """The receipt for machines, and the one for people."""
    name = f"{upload['file']}.{upload['id']}.receipt"
    return json.loads((court.receipts / f"{name}.json").read_text()), (court.receipts / f"{name}.txt").read_text()


def test_a_night_without_somebody_withdraws_their_hearing(nightly: Court) -> None:
    nightly.push("full-1.txt", night(*PEOPLE))
    nightly.settled(1)
    nightly.push("full-2.txt", night(*PEOPLE[1:]))
    upload = answered(nightly, "full-2.txt", "processed")
    assert upload["counts"]["events"]["withdrawn"] == 1
    assert len(nightly.records("events")) == 19
    shown = nightly.dropslot.json("record", "list", "events", "--agency", nightly.slug, "--withdrawn")
    assert [event["withdrawn"] for event in shown if event["withdrawn"]] == [upload["id"]]
    document, text = told(nightly, upload)
    assert document["counts"]["clients"]["withdrawn"] == 1
    assert "1 withdrawn" in text


def test_a_short_night_waits_until_a_person_confirms_it(nightly: Court) -> None:
    nightly.push("full-1.txt", night(*PEOPLE))
    nightly.settled(1)
    nightly.push("full-2.txt", night(1, 2))
    held = answered(nightly, "full-2.txt", "awaiting_confirmation")
    document, text = told(nightly, held)
    assert document["error"]["code"] == "withdrawals"
    assert "18 of 20 events (90 %)" in text
    assert "Nothing was changed yet" in text
    assert len(nightly.records("events")) == 20
    [arrival] = nightly.arrivals(state="awaiting_confirmation")
    assert "18 of 20 events" in arrival["detail"]
    doctor = nightly.dropslot.run("doctor", check=False)
    assert doctor.returncode == 1
    assert f"dropslot upload confirm {held['id']}" in doctor.stdout

    shown = nightly.dropslot.shell("upload", "confirm", held["id"])
    assert "18 withdrawn" in shown.stdout
    done = answered(nightly, "full-2.txt", "processed")
    assert (done["arrival_id"], done["counts"]["events"]["withdrawn"]) == (held["arrival_id"], 18)
    assert len(nightly.records("events")) == 2
    assert told(nightly, done)[0]["status"] == "processed"
    assert f"waited as upload {held['id']}" in told(nightly, done)[1]
    assert f"run again as upload {done['id']}" in told(nightly, held)[1]
    assert f"upload confirm {held['id']}" not in nightly.dropslot.run("doctor", check=False).stdout
    again = nightly.dropslot.shell("upload", "confirm", held["id"], check=False)
    assert (again.returncode, "waits for nobody" in again.stderr) == (1, True)


def test_a_short_night_that_is_rejected_has_changed_nothing(nightly: Court) -> None:
    nightly.push("full-1.txt", night(*PEOPLE))
    nightly.settled(1)
    nightly.push("full-2.txt", night(1, 2))
    held = answered(nightly, "full-2.txt", "awaiting_confirmation")
    nightly.dropslot.shell("upload", "reject", held["id"], "--reason", "Half of it is missing.")
    done = answered(nightly, "full-2.txt", "failed")
    assert done["id"] == held["id"]
    document, text = told(nightly, done)
    assert document["error"]["code"] == "rejected"
    assert "rejected it: Half of it is missing." in text
    assert len(nightly.records("events")) == 20


def test_a_newer_night_overtakes_one_that_waits(nightly: Court) -> None:
    nightly.push("full-1.txt", night(*PEOPLE))
    nightly.settled(1)
    nightly.push("full-2.txt", night(1, 2))
    held = answered(nightly, "full-2.txt", "awaiting_confirmation")
    nightly.push("full-3.txt", night(*PEOPLE[:19]))
    answered(nightly, "full-3.txt", "processed")
    done = answered(nightly, "full-2.txt", "failed")
    assert done["id"] == held["id"]
    refused = nightly.dropslot.run("upload", "confirm", held["id"], check=False)
    assert (refused.returncode, "A newer file of the same template, full-3.txt" in refused.stderr) == (1, True)
    assert "A newer file" in told(nightly, done)[1]


def test_a_header_alone_waits_and_then_withdraws_everything(nightly: Court) -> None:
    nightly.push("full-1.txt", night(1, 2, 3))
    nightly.settled(1)
    nightly.push("full-2.txt", night())
    held = answered(nightly, "full-2.txt", "awaiting_confirmation")
    assert "names nothing at all" in told(nightly, held)[1]
    nightly.dropslot.run("upload", "confirm", held["id"])
    assert answered(nightly, "full-2.txt", "processed")["counts"]["events"]["withdrawn"] == 3
    assert nightly.records("clients") == []


@pytest.mark.parametrize(
    ("setting", "files"),
    [
        ("", "bac"),
        ('by = "name"', "abc"),
        ('by = "name"\norder = "descending"', "cba"),
        ('order = "descending"', "cab"),
    ],
    ids=["as they came", "by name", "by name descending", "newest first"],
)
def test_files_that_wait_are_taken_in_the_templates_order(
    dropslot: Dropslot, tmp_path: Path, setting: str, files: str
) -> None:
    court = make_court(dropslot, tmp_path / "court", "gwinnett")
    text = builtin_templates()["odyssey-ecr"].replace("odyssey-ecr", "ordered")
    dropslot.run("template", "add", court.slug, court.write("t.toml", f"{text}\n[processing]\n{setting}\n".encode()))
    dropslot.run("profile", "add", court.slug, "files", "--template", "ordered", "--keyword", "file")
    for name in "bac":
        (court.home / "upload" / f"file-{name}.txt").write_bytes(ecr(ecr_row(1, judge=name.upper())))
        wait_for(court.sweep, "the file to be quiet")
    dropslot.start()
    uploads = court.settled(3)
    assert [upload["file"] for upload in reversed(uploads)] == [f"file-{name}.txt" for name in files]
    assert [event["judge"] for event in court.records("events")] == [files[-1].upper()]
