"""What an operator does with a sample in hand: propose a template, and try one out."""

import json
import re
import sqlite3
import tomllib
from pathlib import Path

import pytest
from sqlalchemy import text

from server.db import open_database
from tests.acceptance.conftest import make_court
from tests.acceptance.court import Court, Dropslot, ecr, ecr_row

SAMPLES = Path(__file__).parents[1] / "samples"


def dump(url: str) -> dict[str, list[str]]:
    """Every row of every table."""
    database = open_database(url)
    try:
        with database.reading() as conn:
            tables = (
                "SELECT name FROM sqlite_master WHERE type = 'table'"
                if url.startswith("sqlite")
                else "SELECT tablename FROM pg_tables WHERE schemaname = current_schema()"
            )
            names = [row[0] for row in conn.execute(text(tables))]
            return {name: sorted(map(str, conn.execute(text(f'SELECT * FROM "{name}"')))) for name in names}
    finally:
        database.close()


def url_of(dropslot: Dropslot) -> str:
    return dropslot.environment.get("DROPSLOT_DATABASE") or f"sqlite:///{dropslot.data / 'dropslot.db'}"


@pytest.fixture
def quiet_court(dropslot: Dropslot, tmp_path: Path) -> Court:
    """A court on an installation of which no server runs."""
    return make_court(dropslot, tmp_path / "court", "gwinnett")


@pytest.mark.both_databases
def test_a_template_is_tried_against_an_agencys_records_and_nothing_is_written(quiet_court: Court) -> None:
    dropslot = quiet_court.dropslot
    first = quiet_court.write("day1.txt", ecr(ecr_row(1), ecr_row(2)))
    dropslot.run("ingest", first, "--agency", quiet_court.slug, "--profile", "nightly")
    second = quiet_court.write("day2.txt", ecr(ecr_row(1, judge="Brooks, T."), ecr_row(3), ecr_row(4, date="soon")))
    before = dump(url_of(dropslot))
    assert before["clients"]
    said = dropslot.run("template", "check", "odyssey-ecr", second, "--agency", quiet_court.slug).stdout
    told = dropslot.json("template", "check", "odyssey-ecr", second, "--agency", quiet_court.slug)
    assert dump(url_of(dropslot)) == before
    assert "delimited by pipe" in said
    assert re.search(r"^event\.judge +Judge Name +Brooks, T\.", said, re.MULTILINE)
    assert "2 of 3 rows would be taken" in said
    assert "row 4, Event Date" in said
    assert said.rstrip().endswith("Nothing was written.")
    assert {key: told["counts"]["events"][key] for key in ("created", "updated")} == {"created": 1, "updated": 1}
    assert [error["row"] for error in told["row_errors"]] == [4]
    real = dropslot.json("ingest", second, "--agency", quiet_court.slug, "--profile", "nightly")
    assert (real["counts"], real["errors"]) == (told["counts"], told["row_errors"])


def test_a_template_is_tried_without_any_agency(dropslot: Dropslot, tmp_path: Path) -> None:
    folder = SAMPLES / "odyssey-custom"
    errors = tmp_path / "errors.csv"
    done = dropslot.run(
        *("template", "check", folder / "template.toml", folder / "ecr.txt", "--errors", errors, "--rows", "1")
    )
    assert not dropslot.data.exists()
    assert "attorney: client.last_name" in done.stdout
    assert "ROW 2" in done.stdout
    assert "ROW 3" not in done.stdout
    assert "1 left out by filters" in done.stdout
    assert b"row number" in errors.read_bytes()


def test_a_sample_that_does_not_fit_is_a_sentence(dropslot: Dropslot) -> None:
    sample = SAMPLES / "odyssey-custom" / "ecr.txt"
    done = dropslot.run("template", "check", SAMPLES / "utah" / "template.toml", sample, check=False)
    assert done.returncode == 1
    assert "The file lacks columns" in done.stdout
    assert "Nothing was written." in done.stdout
    missing = dropslot.run("template", "check", "nosuch", sample, check=False)
    assert (missing.returncode, "There is no template named nosuch." in missing.stderr) == (1, True)
    nowhere = dropslot.run("template", "check", "odyssey-ecr", sample, "--timezone", "EST", check=False)
    assert (nowhere.returncode, "'EST' is no place" in nowhere.stderr) == (1, True)
    assert dropslot.run("template", "check", "odyssey-ecr", "nosuch.txt", check=False).stderr == (
        "nosuch.txt is not a file. Name the sample."
    )


def test_the_rows_to_look_at_are_listed_as_far_as_wanted(dropslot: Dropslot, tmp_path: Path) -> None:
    sample = tmp_path / "ecr.txt"
    sample.write_bytes(ecr(*(ecr_row(number, date="soon") for number in range(1, 31))))
    assert "and 10 more" in dropslot.run("template", "check", "odyssey-ecr", sample, check=False).stdout
    every = dropslot.run("template", "check", "odyssey-ecr", sample, "--all", check=False).stdout
    assert ("row 31, Event Date" in every, "more:" in every) == (True, False)


def test_a_trial_tells_what_would_wait_for_a_person(quiet_court: Court) -> None:
    dropslot, slug = quiet_court.dropslot, quiet_court.slug
    template = (
        'name = "nightly-list"\n[columns]\nclient.reference = "id"\ncase.number = "no"\nevent.datetime = "when"\n'
        '[processing]\nmethod = "replace_template"\n'
    )
    dropslot.run("template", "add", slug, quiet_court.write("t.toml", template.encode()))
    dropslot.run("profile", "add", slug, "list", "--template", "nightly-list", "--keyword", "list")
    lines = [f"{number},X{number},04/16/2099 9:00 AM" for number in range(1, 11)]
    first = quiet_court.write("a.csv", "\n".join(("id,no,when", *lines, "", "")).encode())
    trial = dropslot.run("template", "check", "nightly-list", first, "--agency", slug).stdout
    assert "10 of 11 rows would be taken" in trial
    assert "1 blank" in trial
    assert re.search(r"^event\.time +when +09:00", trial, re.MULTILINE)
    assert "restored" not in trial
    dropslot.run("ingest", first, "--agency", slug, "--profile", "list")
    short = quiet_court.write("b.csv", "\n".join(("id,no,when", *lines[:2], "")).encode())
    done = dropslot.run("template", "check", "nightly-list", short, "--agency", slug, check=False)
    assert done.returncode == 1
    assert "Result:    The file would wait for a person" in done.stdout
    assert "8 withdrawn" in done.stdout
    assert "operators of this server" not in done.stdout, "whoever tries is one"


def test_a_proposal_without_hearings_says_so(dropslot: Dropslot, tmp_path: Path) -> None:
    sample = tmp_path / "people.csv"
    sample.write_text("Case Number,Last Name,First Name\nCR-1,Alder,Avery\nCR-2,Birch,Bo\n")
    done = dropslot.run("template", "infer", sample)
    assert "# LOOK: No dates of hearings were found" in done.stdout
    assert done.stderr.startswith("No dates of hearings were found")
    assert dropslot.json("template", "infer", sample)["undecided"] == []


@pytest.mark.sqlite_only
def test_a_trial_leaves_no_lock_behind(quiet_court: Court) -> None:
    dropslot = quiet_court.dropslot
    sample = quiet_court.write("ecr.txt", ecr(ecr_row(1)))
    dropslot.run("template", "check", "odyssey-ecr", sample, "--agency", quiet_court.slug)
    connection = sqlite3.connect(dropslot.data / "dropslot.db", timeout=0)
    connection.execute("BEGIN IMMEDIATE")
    connection.rollback()
    connection.close()


def test_a_proposed_template_is_added_and_reads_the_sample(quiet_court: Court) -> None:
    dropslot, sample = quiet_court.dropslot, SAMPLES / "idaho" / "hearings.csv"
    said = dropslot.shell("template", "infer", sample, "--name", "idaho").stdout
    assert tomllib.loads(said)["columns"]["case"]["style"] == "CaseStyle "
    assert 'high: the name says "case number"' in said
    template = quiet_court.write("idaho.toml", said.encode())
    checked = dropslot.json("template", "check", template, sample)
    assert [error["row"] for error in checked["row_errors"]] == []
    dropslot.run("template", "add", quiet_court.slug, template)
    dropslot.run("profile", "add", quiet_court.slug, "state", "--template", "idaho", "--directory", "/upload/state")
    upload = dropslot.json("ingest", sample, "--agency", quiet_court.slug, "--profile", "state")
    assert (upload["status"], upload["counts"]["cases"]["created"]) == ("processed", 5)


def test_day_and_month_are_for_a_person_to_decide(dropslot: Dropslot, tmp_path: Path) -> None:
    sample = tmp_path / "hearings_20260401.csv"
    sample.write_text("Case Number,Hearing Date\nCR-1,03/04/2026\nCR-2,05/06/2026\n")
    document = dropslot.json("template", "infer", sample)
    assert len(document["undecided"]) == 1
    assert tomllib.loads(document["template"])["name"] == "hearings"
    template = tmp_path / "t.toml"
    template.write_text(document["template"])
    done = dropslot.run("template", "check", template, sample, check=False)
    assert done.returncode == 1
    assert "It is not decided yet how dates are written: %m/%d/%Y or %d/%m/%Y?" in done.stderr
    assert "See line" in done.stderr
    text_ = document["template"].replace("TODO: %m/%d/%Y or %d/%m/%Y", "%d/%m/%Y")
    template.write_text(text_)
    checked = json.loads(dropslot.run("template", "check", template, sample, "--json").stdout)
    [date] = [line for line in checked["preview"]["fields"] if line["field"] == "event.date"]
    assert date["values"] == ["2026-04-03", "2026-06-05"]
