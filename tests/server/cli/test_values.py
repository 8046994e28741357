"""What is typed wrong is said in words that everybody knows."""

import subprocess
from pathlib import Path

import pytest
from typer.testing import CliRunner

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
