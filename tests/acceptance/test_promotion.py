"""From the agency for trials to the real one."""

from pathlib import Path

import pytest

from tests.acceptance.court import Court, Dropslot, ecr, ecr_row
from tests.acceptance.test_samples import SAMPLES, dump, quiet_court, url_of

__all__ = ["quiet_court"]


@pytest.fixture
def pair(dropslot: Dropslot) -> Dropslot:
    """An agency for trials with a template and two profiles, and the real one with none."""
    for slug, flags in (("trial", ["--staging"]), ("real", [])):
        dropslot.run("agency", "add", slug, "--name", slug, "--timezone", "America/New_York", *flags)
    dropslot.run("template", "add", "trial", SAMPLES / "idaho" / "template.toml")
    dropslot.run("profile", "add", "trial", "state", "--template", "idaho", "--directory", "/upload/state")
    dropslot.run("profile", "add", "trial", "nightly", "--template", "odyssey-ecr", "--keyword", "ecr")
    return dropslot


@pytest.mark.both_databases
def test_templates_and_profiles_are_copied_after_a_yes(pair: Dropslot, tmp_path: Path) -> None:
    before = dump(url_of(pair))
    no = pair.run("agency", "promote", "trial", "real", stdin=b"n\n", check=False)
    assert (no.returncode, "Nothing was copied." in no.stdout) == (1, True)
    assert dump(url_of(pair)) == before
    said = pair.run("agency", "promote", "trial", "real", stdin=b"y\n").stdout
    for line in ("--- /dev/null", "+++ trial/idaho", '+case.number = "CaseNumber"', "Profile state: new"):
        assert line in said
    assert "Copied to real: 1 template and 2 profiles." in said
    after = dump(url_of(pair))
    assert {name for name in after if after[name] != before[name]} == {"templates", "profiles"}
    columns = ("name", "template", "directory", "keyword", "blockword", "skip_same_name")
    assert [[each[name] for name in columns] for each in pair.json("profile", "list", "real")] == [
        [each[name] for name in columns] for each in pair.json("profile", "list", "trial")
    ]
    assert (pair.data / "agencies/real/upload/state").is_dir()
    assert "has all templates and profiles" in pair.run("agency", "promote", "trial", "real").stdout


def test_it_is_told_what_the_next_file_would_make_a_second_time(pair: Dropslot, tmp_path: Path) -> None:
    pair.run("agency", "promote", "trial", "real", "--yes")
    newer = tmp_path / "idaho.toml"
    newer.write_text((SAMPLES / "idaho" / "template.toml").read_text() + 'event = "date"\n')
    pair.run("template", "add", "trial", newer)
    said = pair.run("agency", "promote", "trial", "real", stdin=b"n\n", check=False).stdout
    assert "idaho: Hearings were matched by" in said
    assert "may make those that are there a second time" in said
    [template] = pair.json("agency", "promote", "trial", "real", "--yes")["templates"]
    assert len(template["warnings"]) == 1


def test_only_what_differs_is_shown_and_nothing_is_removed(pair: Dropslot, tmp_path: Path) -> None:
    pair.run("agency", "promote", "trial", "real", "--yes")
    text = (SAMPLES / "idaho" / "template.toml").read_text()
    newer = tmp_path / "idaho.toml"
    newer.write_text(text.replace('required = ["case.number", "case.style"', 'required = ["case.number"'))
    pair.run("template", "add", "trial", newer)
    pair.run("profile", "remove", "trial", "nightly")
    pair.run("profile", "add", "trial", "nightly", "--template", "odyssey-ecr", "--keyword", "report")
    pair.run("profile", "add", "real", "own", "--template", "odyssey-ecr", "--directory", "/upload/own")
    kept = {each["name"]: each["id"] for each in pair.json("profile", "list", "real")}
    told = pair.json("agency", "promote", "trial", "real", "--yes")
    [template] = told["templates"]
    assert '-required = ["case.number", "case.style", "event.date"]' in template["diff"]
    assert told["profiles"] == [{"name": "nightly", "new": False, "changes": {"keyword": ["ecr", "report"]}}]
    assert {each["name"]: each["id"] for each in pair.json("profile", "list", "real")} == kept
    assert pair.json("template", "show", "real", "idaho")["version"] == 2


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["nobody", "real"], "There is no agency 'nobody'."),
        (["trial", "nobody"], "There is no agency 'nobody'."),
        (["trial", "trial"], "Both are the same agency."),
        (["real", "trial"], "trial is for trials, and real is not. The other way round"),
        (["trial", "real", "--json"], "With --json nobody can be asked. Add --yes."),
    ],
    ids=["from nobody", "to nobody", "itself", "backwards", "json"],
)
def test_what_cannot_be_promoted_is_a_sentence(pair: Dropslot, arguments: list[str], sentence: str) -> None:
    done = pair.run("agency", "promote", *arguments, check=False)
    assert (done.returncode, sentence in done.stderr) == (1, True)


@pytest.mark.both_databases
def test_an_operator_accepts_a_shape_and_the_file_goes_through(quiet_court: Court) -> None:
    """The journey of a report whose columns have changed, at the command line."""
    dropslot, slug = quiet_court.dropslot, quiet_court.slug
    own = dropslot.run("template", "show", slug, "odyssey-ecr").stdout.replace('"odyssey-ecr"', '"own"')
    template = quiet_court.write("own.toml", own.replace('    "event.judge",\n', "").encode())
    dropslot.run("template", "add", slug, template)
    dropslot.run("profile", "add", slug, "own", "--template", "own", "--directory", "/upload/own")
    first = quiet_court.write("day1.txt", ecr(ecr_row(1), ecr_row(2)))
    dropslot.run("ingest", first, "--agency", slug, "--profile", "own")
    changed = ecr(ecr_row(1), ecr_row(3)).replace(b"Judge Name", b"Justice")
    second = quiet_court.write("day2.txt", changed)
    tried = dropslot.run("template", "check", "own", second, "--agency", slug, check=False)
    assert (tried.returncode, "The last file, day1.txt" in tried.stdout) == (1, True)
    stopped = dropslot.run("ingest", second, "--agency", slug, "--profile", "own", check=False)
    assert stopped.returncode == 1
    for said in (tried.stdout, stopped.stdout):
        lines = [line.split() for line in said.splitlines()]
        assert ["Judge", "Name", "-", "missing"] in lines
        assert ["-", "Justice", "new"] in lines
    assert len(dropslot.json("record", "list", "clients", "--agency", slug)) == 2
    said = dropslot.run("template", "accept", slug, "own").stdout
    assert "event.judge" in said
    assert "Send it again." in said
    again = dropslot.json("ingest", second, "--agency", slug, "--profile", "own")
    assert (again["status"], again["counts"]["clients"]["created"]) == ("processed", 1)
    done = dropslot.run("template", "accept", slug, "own", check=False)
    assert (done.returncode, "nothing to accept" in done.stderr) == (1, True)
