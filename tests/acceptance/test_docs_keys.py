"""docs/keys.md: every command in it is run, in its order, and does what the text around it says."""

import re
import shlex
from pathlib import Path

import pytest

from tests.acceptance.court import Dropslot, need, run_quietly

PAGE = Path(__file__).parents[2] / "docs" / "keys.md"
COMMANDS = [line.strip() for line in PAGE.read_text().splitlines() if line.startswith("    ")]


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The directory an operator sits in, with the files that others sent."""
    desk = tmp_path / "desk"
    desk.mkdir()
    monkeypatch.chdir(desk)
    for name in ("their_key", "next_year", "ca", "user"):
        run_quietly([need("ssh-keygen"), "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", name])
    Path("passphrase.txt").write_text("open sesame\n")
    Path("password.txt").write_text("a passphrase of the court\n")
    return desk


def test_every_command_does_what_it_is_for(dropslot: Dropslot, desk: Path) -> None:
    dropslot.run("agency", "add", "gwinnett", "--name", "Gwinnett County", "--timezone", "America/New_York")
    for command in COMMANDS:
        program, *words = shlex.split(command)
        given = Path(words[words.index("<") + 1]).read_bytes() if "<" in words else None
        words = words[: words.index("<")] if "<" in words else words
        if program != "dropslot":
            assert run_quietly([need(program), *words]).returncode == 0, command
            continue
        done = dropslot.run(*words, stdin=given, check=False)
        assert done.returncode == 0, f"{command}: {done.stderr or done.stdout}"
    keys = {key["label"]: key for key in dropslot.json("key", "list", "gwinnett")}
    assert set(keys) == {"nightly-export", "laptop", "winscp", "locked", "old-client", "2030"}
    assert keys["laptop"]["state"] == "revoked"
    assert (keys["2030"]["not_before"], keys["2030"]["expires_at"]) == (
        "2030-01-01T05:00:00.000000Z",
        "2031-01-01T05:00:00.000000Z",
    )
    assert keys["nightly-export"]["expires_at"] is None
    assert dropslot.json("key", "authority", "list") == []
    assert {key["state"] for key in dropslot.json("host-key", "list")} == {"used"}
    assert dropslot.json("agency", "show", "gwinnett")["password"] is False


def test_the_page_names_every_command_there_is(dropslot: Dropslot) -> None:
    for words in ("key", "host-key", "key authority"):
        help_page = dropslot.run(*words.split(), "--help").stdout
        listed = set(re.findall(r"^│ ([a-z][a-z-]*) ", help_page, re.MULTILINE)) - {"authority"}
        told = {
            command.split(f"dropslot {words} ")[1].split()[0] for command in COMMANDS if f"dropslot {words} " in command
        }
        told |= set(re.findall(rf"`dropslot {words} ([a-z-]+)`", PAGE.read_text()))  # not to be run at any time
        assert listed, help_page
        assert listed <= told
