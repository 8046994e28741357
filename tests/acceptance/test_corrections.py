"""An operator undoes uploads, runs originals again, and looks at a record's history; the court is told."""

import json
from typing import Any

from tests.acceptance.court import Court, ecr, ecr_row, wait_for


def receipt(court: Court, upload: str) -> dict[str, Any]:
    [file] = court.receipts.glob(f"*.{upload}.receipt.json")
    return dict(json.loads(file.read_text()))


def push(court: Court, name: str, content: bytes, number: int) -> dict[str, Any]:
    """Send a file and wait for its answer, which is the court's `number`-th."""
    court.push(name, content)
    court.settled(number)
    [upload] = [upload for upload in court.uploads() if upload["file"] == name][:1]
    return dict(upload)


def events(court: Court) -> list[tuple[str, str]]:
    return sorted((event["case"], event["judge"]) for event in court.records("events"))


def test_an_upload_is_undone_and_its_file_sent_again(court: Court) -> None:
    push(court, "monday.txt", ecr(ecr_row(1), ecr_row(2)), 1)
    before = events(court)
    content = ecr(ecr_row(1, judge="Wrong, W."), ecr_row(3))
    upload = push(court, "tuesday.txt", content, 2)
    done = court.dropslot.run("upload", "undo", upload["id"])
    assert "tuesday.txt: Undone on" in done.stdout
    assert (
        "1 event put back, 1 client removed, 1 case removed, 1 party removed, 2 contacts removed, 1 event removed"
        in done.stdout
    )
    assert events(court) == before
    assert receipt(court, upload["id"])["status"] == "undone"
    [text] = court.receipts.glob(f"*.{upload['id']}.receipt.txt")
    assert "what it had changed was put back" in text.read_text()
    assert "Undone on" in court.dropslot.run("upload", "show", upload["id"]).stdout
    assert [found["state"] for found in court.arrivals()] == ["undone", "processed"]

    refused = court.dropslot.run("upload", "undo", upload["id"], check=False)
    assert (refused.returncode, "already" in refused.stderr) == (1, True)
    push(court, "tuesday.txt", content, 3)
    assert ("CR-2026-000001", "Wrong, W.") in events(court)
    assert [found["status"] for found in court.uploads()] == ["processed", "undone", "processed"]


def test_a_later_file_stands_in_the_way(court: Court) -> None:
    first = push(court, "monday.txt", ecr(ecr_row(1)), 1)
    second = push(court, "tuesday.txt", ecr(ecr_row(1, judge="Baker, B.")), 2)
    refused = court.dropslot.shell("upload", "undo", first["id"], check=False)
    assert refused.returncode == 1
    assert f"tuesday.txt (1, upload {second['id']})" in refused.stderr
    assert f"dropslot upload undo {second['id']}" in refused.stderr
    assert events(court) == [("CR-2026-000001", "Baker, B.")]


def test_an_original_runs_again(court: Court) -> None:
    first = push(court, "monday.txt", ecr(ecr_row(1), ecr_row(2)), 1)
    push(court, "tuesday.txt", ecr(ecr_row(1, judge="Baker, B.")), 2)
    again = court.dropslot.json("upload", "replay", first["id"])
    assert (again["status"], again["rows"], again["skipped"]) == ("processed", 2, 0)
    counts = again["counts"]["events"]
    assert (counts["created"], counts["updated"], counts["unchanged"]) == (0, 1, 1)
    assert again["notes"] == [f"The original of the upload {first['id']} was run again."]
    assert events(court)[0] == ("CR-2026-000001", "Alvarez, M.")
    wait_for(lambda: list(court.receipts.glob(f"*.{again['id']}.receipt.json")), "its receipt")
    assert [found["source"] for found in court.arrivals()] == ["replay", "sftp", "sftp"]
    court.dropslot.run("upload", "undo", again["id"])
    assert events(court)[0] == ("CR-2026-000001", "Baker, B.")
    assert court.sweep() == []


def test_an_original_runs_again_with_another_version_of_its_template(court: Court) -> None:
    dropslot = court.dropslot
    toml = dropslot.run("template", "show", court.slug, "odyssey-ecr").stdout
    template = court.write("template.toml", toml.replace('"odyssey-ecr"', '"own"', 1).encode())
    dropslot.run("template", "add", court.slug, template)
    dropslot.run("profile", "add", court.slug, "own", "--template", "own", "--directory", "/upload", "--keyword", "own")
    upload = push(court, "own.txt", ecr(ecr_row(1)), 1)
    assert upload["template_version"] == 1
    changed = template.read_text() + '\n[[exclude]]\nfield = "event.judge"\nis = ["Alvarez, M."]\n'
    dropslot.run("template", "add", court.slug, court.write("template.toml", changed.encode()))
    newest, oldest = dropslot.json("upload", "replay", upload["id"]), None
    oldest = dropslot.json("upload", "replay", upload["id"], "--template-version", "1")
    assert [(u["template_version"], u["excluded"]) for u in (newest, oldest)] == [(2, 1), (1, 0)]
    refused = dropslot.run("upload", "replay", upload["id"], "--template-version", "3", check=False)
    assert "There is no version 3 of the template own. There are: 1, 2." in refused.stderr
    dropslot.run("profile", "remove", court.slug, "own")
    refused = dropslot.run("upload", "replay", upload["id"], check=False)
    assert "profile of this file is gone" in refused.stderr
    assert dropslot.json("upload", "replay", upload["id"], "--profile", "nightly")["template"] == "odyssey-ecr"


def test_an_original_that_is_gone_or_damaged(court: Court) -> None:
    upload = push(court, "monday.txt", ecr(ecr_row(1)), 1)
    original = court.dropslot.data / "archive" / upload["sha256"][:2] / upload["sha256"]
    wait_for(lambda: original.exists(), "the original to be kept")
    kept = original.read_bytes()
    original.unlink()
    refused = court.dropslot.run("upload", "replay", upload["id"], check=False)
    assert "is not in the archive any more" in refused.stderr
    original.write_bytes(kept + b"more")
    refused = court.dropslot.run("upload", "replay", upload["id"], check=False)
    assert "another SHA-256" in refused.stderr
    assert len(court.uploads()) == 1


def test_the_history_of_a_record(court: Court) -> None:
    push(court, "monday.txt", ecr(ecr_row(1)), 1)
    upload = push(court, "tuesday.txt", ecr(ecr_row(1, judge="Baker, B.")), 2)
    court.dropslot.run("upload", "undo", upload["id"])
    [event] = court.records("events")
    told = court.dropslot.json("record", "history", "events", str(event["id"]))
    assert [(each["action"], each["field"], each["from"], each["to"], each["file"]) for each in told] == [
        ("created", "", None, None, "monday.txt"),
        ("set", "judge", "Alvarez, M.", "Baker, B.", "tuesday.txt"),
        ("undone", "judge", "Baker, B.", "Alvarez, M.", "tuesday.txt"),
    ]
    assert "Baker, B." in court.dropslot.run("record", "history", "events", str(event["id"])).stdout
    refused = court.dropslot.run("record", "history", "events", "999999", check=False)
    assert "There is no record 999999" in refused.stderr
