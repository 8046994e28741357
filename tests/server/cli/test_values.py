"""What is typed wrong is said in words that everybody knows."""

import subprocess
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ingest.errors import IngestError
from server.cli.program import assemble
from server.errors import AppError


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("sync log --limit 0", "'--limit': it must be at least 1"),
        ("sync log --limit x", "'--limit': it must be a whole number"),
        ("template check a b c --rows 99", "'--rows': it must be at most 20"),
        ("export show a", "Missing argument 'NAME'"),
    ],
    ids=range(4),
)
def test_a_value_that_cannot_be_is_told(tmp_path: Path, words: str, said: str) -> None:
    done = CliRunner().invoke(assemble(), ["--data", str(tmp_path), *words.split()], env={"COLUMNS": "150"})
    assert done.exit_code == 2
    assert said in done.output
    assert "Input should" not in done.output


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["agency", "edit", "gwinnett", "--network", ""], "The value of --network is empty"),
        (["agency", "edit", "gwinnett", "--network="], "The value of --network is empty"),
        (["agency", "edit", "gwinnett", "--network", ","], "That names no network"),
        (["key", "authority", "add", "ca.pub", "--agency", ""], "The value of --agency is empty"),
        (["server", "add", "county", "--type", "managed", "--agency", " "], "The value of --agency is empty"),
        (["profile", "add", "gwinnett", "n", "--keyword", ""], "The value of --keyword is empty"),
        (["host-key", "retire", ""], "An argument is empty"),
    ],
    ids=range(7),
)
def test_an_empty_value_does_not_stand_for_everybody(tmp_path: Path, words: list[str], said: str) -> None:
    data = ["--data", str(tmp_path / "data")]
    zone = ["--name", "A", "--timezone", "America/New_York"]
    assert CliRunner().invoke(assemble(), [*data, "agency", "add", "gwinnett", *zone]).exit_code == 0
    done = CliRunner().invoke(assemble(), [*data, *words])
    assert isinstance(done.exception, AppError)
    assert said in done.exception.message


@pytest.mark.parametrize(
    "words",
    [["agency", "edit", "gwinnett", "--quota-files", "9" * 5000], ["key", "authority", "revoke", "ca", "9" * 5000]],
)
def test_a_number_of_thousands_of_digits_is_refused(tmp_path: Path, words: list[str]) -> None:
    data = ["--data", str(tmp_path / "data")]
    ca = tmp_path / "ca"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(ca)], check=True)
    zone = ["--name", "A", "--timezone", "America/New_York"]
    assert CliRunner().invoke(assemble(), [*data, "agency", "add", "gwinnett", *zone]).exit_code == 0
    assert (
        CliRunner().invoke(assemble(), [*data, "key", "authority", "add", f"{ca}.pub", "--label", "ca"]).exit_code == 0
    )
    done = CliRunner().invoke(assemble(), [*data, *words])
    assert isinstance(done.exception, AppError)


@pytest.mark.parametrize(
    ("words", "most"),
    [
        ("record history clients {}", 2**63 - 1),
        ("record list clients --agency gwinnett --limit {}", 10**9),
        ("arrival list --limit {}", 10**9),
        ("sync log --limit {}", 10**9),
        ("export show gwinnett nightly --limit {}", 10**9),
    ],
    ids=range(5),
)
def test_a_number_that_no_database_takes_is_told(tmp_path: Path, words: str, most: int) -> None:
    data = ["--data", str(tmp_path / "data")]
    zone = ["--name", "A", "--timezone", "America/New_York"]
    assert CliRunner().invoke(assemble(), [*data, "agency", "add", "gwinnett", *zone]).exit_code == 0
    for number in (10**20, 0):
        done = CliRunner().invoke(assemble(), [*data, *words.format(number).split()], env={"COLUMNS": "150"})
        assert done.exit_code == 2
        assert ("it must be at least 1" if number == 0 else f"it must be at most {most}") in done.output
    largest = CliRunner().invoke(assemble(), [*data, *words.format(most).split()])
    assert largest.exception is None or isinstance(largest.exception, (AppError, IngestError))


@pytest.mark.parametrize("named", [".", "./", "../data", "{here}/../data"])
def test_the_data_directory_is_where_one_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, named: str) -> None:
    place = tmp_path / "data"
    place.mkdir(0o700)
    monkeypatch.chdir(place)
    data = ["--data", named.format(here=place)]
    zone = ["--name", "A", "--timezone", "America/New_York"]
    assert CliRunner().invoke(assemble(), [*data, "agency", "add", "gwinnett", *zone]).exit_code == 0
    assert "gwinnett" in CliRunner().invoke(assemble(), ["--data", str(place), "agency", "list"]).output
    assert (place / "dropslot.db").exists()


@pytest.mark.parametrize(("named", "said"), [("/", "root of all others"), ("", "--data is empty"), (" ", "is empty")])
def test_a_data_directory_that_cannot_be_is_refused(named: str, said: str) -> None:
    done = CliRunner().invoke(assemble(), ["--data", named, "agency", "list"])
    assert isinstance(done.exception, AppError)
    assert said in done.exception.message


ELSEWHERE = """\
agency list|agency disable gwinnett|key list|key audit|host-key list|host-key rotate|ban list|ban add 198.51.100.7
profile list gwinnett|template list gwinnett|server list|sync now|sync log|export list gwinnett
arrival list|upload list|record list clients --agency gwinnett|sweep|doctor"""


@pytest.mark.parametrize("words", ELSEWHERE.replace("\n", "|").split("|"))
def test_a_wrong_directory_becomes_no_installation(tmp_path: Path, words: str) -> None:
    done = CliRunner().invoke(assemble(), ["--data", str(tmp_path / "typo"), *words.split()])
    assert isinstance(done.exception, AppError)
    assert "There is no installation" in done.exception.message
    assert not (tmp_path / "typo").exists()
