"""The session log: each event at its moment with its fields, and all of them in docs/log.md."""

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import paramiko
import pytest

from server.errors import AppError
from server.services.banner import load_banner
from tests.server.sftp.conftest import RunningDoor, need, wait_until
from tests.server.sftp.rawclient import (
    F_READ,
    FSETSTAT,
    MKDIR,
    REMOVE,
    RENAME,
    RMDIR,
    SETSTAT,
    attributes,
    text,
)

ROOT = Path(__file__).parents[3]
EVERYWHERE = {"event", "level", "timestamp", "session", "source_ip", "user", "agency"}


def table() -> dict[str, set[str]]:
    """The events of docs/log.md and their fields."""
    rows = re.findall(r"^\| `([A-Z_]+)` \| [^|]* \| (.*) \|$", (ROOT / "docs/log.md").read_text(), re.MULTILINE)
    return {event: set(re.findall(r"`([a-z_]+)`", fields)) for event, fields in rows}


def test_every_event_of_the_door_is_in_the_table_and_no_other() -> None:
    code = "\n".join(file.read_text() for file in (ROOT / "server/sftp").rglob("*.py"))
    logged = set(re.findall(r"log\.(?:debug|info|warning|error|exception)\(\s*\"([^\"]+)\"", code))
    logged |= set(re.findall(r"event = \"([A-Z_]+)\" if .* else \"([A-Z_]+)\"", code)[0])
    assert logged == set(table())


def busy_session(door: RunningDoor) -> None:
    """One session that does everything once."""
    with door.raw() as client:
        client.put("/upload/a.csv", b"12345")
        handle = client.open("/upload/a.csv", F_READ)
        client.read(handle, 0, 3)
        client.close(handle)
        client.status(client.send(MKDIR, text("/upload/d") + attributes()))
        client.status(client.send(SETSTAT, text("/upload/a.csv") + attributes(mtime=1_700_000_000)))
        client.status(client.send(RENAME, text("/upload/a.csv") + text("/upload/d/b.csv")))
        client.status(client.send(REMOVE, text("/upload/d/b.csv")))
        client.status(client.send(RMDIR, text("/upload/d")))
        handle = client.open("/upload/half.csv")
        client.write(handle, 0, b"half")
        client.status(client.send(FSETSTAT, text(handle) + attributes(mtime=1_700_000_000)))
    wait_until(lambda: bool(door.events.named("DISCONNECTED")), "the end to be logged")


def test_a_session_is_told_from_its_login_to_its_end(door: RunningDoor) -> None:
    busy_session(door)
    told = [line["event"] for line in door.events.lines]
    files = ["OPEN", "CLOSE", "OPEN", "CLOSE", "MKDIR", "SETSTAT", "RENAME", "DELETE", "RMDIR"]
    assert told == ["CONNECTED", *files, "OPEN", "SETSTAT", "PARTIAL_CLOSE", "DISCONNECTED"]
    assert len({line["session"] for line in door.events.lines}) == 1
    assert {line["source_ip"] for line in door.events.lines} == {"127.0.0.1"}
    assert {line["user"] for line in door.events.lines} == {"court"}


def test_every_line_has_the_fields_that_the_table_names(door: RunningDoor) -> None:
    with pytest.raises(paramiko.AuthenticationException):
        door.paramiko("court", "stranger")
    wait_until(lambda: bool(door.events.named("AUTH_FAILURE")), "the failure to be logged")
    busy_session(door)
    fields = table()
    for line in door.events.lines:
        assert set(line) - EVERYWHERE <= fields[line["event"]], line


def test_the_facts_of_a_connection(door: RunningDoor, keys: Path) -> None:
    busy_session(door)
    (line,) = door.events.named("CONNECTED")
    assert line["client"].startswith("SSH-2.0-paramiko")
    assert line["key"] == (keys / "id.fingerprint").read_text()
    assert line["key_type"] == "ssh-ed25519"
    assert re.fullmatch(r"(ecdh|curve25519|mlkem|diffie).*", line["kex"])
    assert re.fullmatch(r"aes(128|192|256)-(ctr|gcm@openssh.com)", line["ciphers"])
    assert line["mac"]


def test_the_kex_that_was_agreed_on_is_told(door: RunningDoor) -> None:
    need("sftp")
    command = door.command("sftp", "-o", "KexAlgorithms=ecdh-sha2-nistp384", "-b", "-", "court@127.0.0.1")
    subprocess.run(command, input="ls /\n", text=True, check=True, capture_output=True)
    assert [line["kex"] for line in door.events.named("CONNECTED")] == ["ecdh-sha2-nistp384"]


def test_bytes_are_counted_by_file_and_in_all(door: RunningDoor) -> None:
    busy_session(door)
    (end,) = door.events.named("DISCONNECTED")
    assert (end["bytes_in"], end["bytes_out"]) == (9, 3)
    sent, fetched = door.events.named("CLOSE")
    assert (sent["bytes_in"], fetched["bytes_out"]) == (5, 3)
    assert door.gate.sent == [("court", fetched["path"], 3)]
    assert [line["mode"] for line in door.events.named("OPEN")] == [
        "CREATE|TRUNCATE|WRITE",
        "READ",
        "CREATE|TRUNCATE|WRITE",
    ]
    assert [line["changes"] for line in door.events.named("SETSTAT")] == ["times", "times"]
    (torn,) = door.events.named("PARTIAL_CLOSE")
    assert (torn["bytes_in"], torn["verdict"]) == (4, "partial")


def test_a_name_that_is_not_plain_is_not_logged(door: RunningDoor) -> None:
    with pytest.raises(paramiko.SSHException):
        door.paramiko('{"event": "CONNECTED"}')
    wait_until(lambda: bool(door.events.named("AUTH_FAILURE")), "the failure to be logged")
    assert door.events.named("AUTH_FAILURE")[0]["user"] == "(malformed)"


# The text before login


def test_the_banner_is_shown_once_and_before_login(open_door: Callable[..., RunningDoor]) -> None:
    need("ssh")
    door = open_door(banner=r"Property of the county.\nUse is logged – § 1.\x1b[31m" + "\x1b[31m")
    command = [part.replace("=ERROR", "=INFO") for part in door.command("ssh", "-s", "court@127.0.0.1", "sftp")]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, env={"LC_ALL": "C.UTF-8"})
    assert done.stderr.count("Property of the county.\n") == 1
    assert "\x1b" not in done.stderr
    with pytest.raises(paramiko.AuthenticationException):
        door.paramiko("court", "stranger")


@pytest.mark.parametrize(
    ("setting", "shown"),
    [
        ("", ""),
        ("one", "one\r\n"),
        (r"one\ntwo\n", "one\r\ntwo\r\n"),
        ("one\r\ntwo\rthree\n\nfour", "one\r\ntwo\r\nthree\r\n\r\nfour\r\n"),
        ("re\x1b[31md\u202e\x00\tü§", "re[31md\tü§\r\n"),
    ],
)
def test_lines_end_as_they_must_and_steer_no_terminal(setting: str, shown: str) -> None:
    assert load_banner(setting) == shown


def test_a_banner_comes_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "notice.txt"
    file.write_bytes(b"\xef\xbb\xbfOne\r\nTwo \\n\r\n")
    assert load_banner(f"@{file}") == "One\r\nTwo \\n\r\n"


@pytest.mark.parametrize(
    ("content", "sentence"), [(None, "cannot be read"), (b"\xff\xfe", "UTF-8"), (b"x" * 20_000, "long")]
)
def test_a_banner_that_cannot_be_shown_is_told(tmp_path: Path, content: bytes | None, sentence: str) -> None:
    file = tmp_path / "notice.txt"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(AppError, match=sentence):
        load_banner(f"@{file}")
