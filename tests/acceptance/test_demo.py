"""`make run`: the demonstration, the first time and again."""

import os
import re
import subprocess
from pathlib import Path

from tests.acceptance.court import DROPSLOT, Court, Dropslot, need


def test_the_demonstration_shows_the_journey_and_is_idempotent(dropslot: Dropslot) -> None:
    need("sftp")
    first = dropslot.shell("demo", "--once", "--sftp-port", "0").stdout
    assert "partially_processed" in first
    assert re.search(r"rows +6000", first)
    assert re.search(r"errors +[1-9]", first)
    assert re.search(r"[\d.]+ from CLOSE to commit", first)
    assert "receipt.txt" in first
    assert "sftp -P" in first
    court = Court(dropslot, "demo-county", dropslot.data)
    before = court.records("events")

    second = dropslot.shell("demo", "--once", "--sftp-port", "0").stdout
    assert "duplicate" in second
    assert court.records("events") == before


def test_the_demonstration_keeps_to_a_directory_of_its_own(dropslot: Dropslot, tmp_path: Path) -> None:
    need("sftp")
    dropslot.run("agency", "add", "gwinnett", "--name", "G", "--timezone", "America/New_York")
    refused = dropslot.run("demo", "--once", "--sftp-port", "0", check=False)
    assert refused.returncode == 1
    assert "it has other agencies" in refused.stderr
    assert not (dropslot.data / "demo").exists()
    given = {**os.environ, "DROPSLOT_DATA": str(dropslot.data)}
    command = [str(DROPSLOT), "demo", "--once", "--rows", "20", "--sftp-port", "0"]
    subprocess.run(command, cwd=tmp_path, env=given, check=True, capture_output=True, timeout=120)
    assert [agency["slug"] for agency in dropslot.json("agency", "list")] == ["gwinnett"]
    assert (tmp_path / "dropslot-demo" / "dropslot.db").exists()


def test_cleaning_up_leaves_installations_alone() -> None:
    steps = subprocess.run(
        [need("make"), "-n", "clean"], cwd=Path(__file__).parents[2], check=True, capture_output=True, text=True
    ).stdout
    assert "dropslot-demo" in steps
    assert "dropslot-data" not in steps
