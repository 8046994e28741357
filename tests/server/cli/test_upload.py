"""`dropslot upload`, as an operator types it."""

from datetime import date, timedelta
from pathlib import Path

from tests.acceptance.court import Dropslot

TOML = """
name = "all"
[columns]
client.reference = "id"
case.number = "no"
event.date = "day"
[processing]
method = "replace_template"
"""


def test_a_confirmed_file_that_fails_then_says_so(tmp_path: Path) -> None:
    dropslot = Dropslot(tmp_path / "data")
    template, file = tmp_path / "all.toml", tmp_path / "all.csv"
    template.write_text(TOML)
    dropslot.run("agency", "add", "gwinnett", "--name", "Gwinnett", "--timezone", "America/New_York")
    dropslot.run("template", "add", "gwinnett", str(template))
    dropslot.run("profile", "add", "gwinnett", "daily", "--template", "all")
    for rows, status in (
        (f"1,C1,{date.today() + timedelta(days=30):%m/%d/%Y}\n", "processed"),
        ("", "awaiting_confirmation"),
    ):
        file.write_text(f"id,no,day\n{rows}")
        dropslot.run("ingest", str(file), "--agency", "gwinnett", "--profile", "daily", check=False)
        held = dropslot.json("upload", "list")[0]
        assert held["status"] == status
    template.write_text(TOML.replace('"no"', '"number"'))
    dropslot.run("template", "add", "gwinnett", str(template))
    confirmed = dropslot.run("upload", "confirm", held["id"], check=False)
    assert (confirmed.returncode, "The file lacks a column" in confirmed.stdout) == (1, True)
