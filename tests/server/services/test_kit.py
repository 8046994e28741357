"""What a court gets to connect with, without a server: names, host keys, and the syntax of WinSCP's script."""

import re
import subprocess
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from keys.sshkey import PublicKey, generate, winscp_fingerprint
from server.errors import AppError
from server.services.kit import UNIX_FILES, WINDOWS_FILES, Court, known_hosts, write_kit
from tests.acceptance.court import need

KINDS = ("ed25519", "ecdsa-nistp256", "rsa-3072")

# https://winscp.net/eng/docs/scripting: what a script may say, and what each command of ours may be told.
SWITCHES = {
    "option": set(),
    "open": {"privatekey", "hostkey", "timeout"},
    "put": {"resumesupport", "nopreservetime", "nopermissions", "transfer"},
    "exit": set(),
}
HOST_KEY = re.compile(r"(ssh-ed25519 255|ecdsa-sha2-nistp(256 256|384 384|521 521)|ssh-rsa \d{4,5}) SHA256:[\w+/]{43}")


@pytest.fixture(scope="module")
def host_keys() -> Sequence[PublicKey]:
    return [generate(kind)[1] for kind in KINDS]


@pytest.fixture
def court(host_keys: Sequence[PublicKey]) -> Court:
    return Court("gwinnett", "Gwinnett County", "sftp.example.gov", 2022, host_keys)


def script(court: Court) -> list[list[str]]:
    """The commands of the WinSCP script, in words; a word in double quotes is one, a double quote in it is doubled."""
    text = write_kit(court)["winscp-script.txt"].decode()
    lines = [line for line in text.split("\r\n") if line and not line.startswith("#")]
    words = re.compile(r'(?:[^\s"]|"(?:[^"]|"")*")+')
    for line in lines:
        assert words.sub("", line).strip() == "", f"a quote is open: {line}"
    return [[word.replace('"', "") for word in words.findall(line)] for line in lines]


def test_the_winscp_script_says_what_winscp_understands(court: Court) -> None:
    commands = script(court)
    assert [command[0] for command in commands] == ["option", "option", "open", "put", "exit"]
    for command, *words in commands:
        switches = {word[1:].split("=")[0] for word in words if word.startswith("-")}
        assert switches == SWITCHES[command]
    assert commands[:2] == [["option", "batch", "abort"], ["option", "confirm", "off"]]
    assert commands[2][1] == "sftp://gwinnett@sftp.example.gov:2022/"
    assert commands[3][-2:] == ["%1%", "/upload/"]


def test_the_scripts_send_where_the_files_are_looked_for(court: Court) -> None:
    there = replace(court, directory="/upload/night files")
    kit = write_kit(there)
    assert script(there)[3][-2:] == ["%1%", "/upload/night files/"]
    for name in ("sftp-batch.txt", "psftp-batch.txt", "send-sftp.sh"):
        assert b'"/upload/night files/' in kit[name]
    assert b"Send into       /upload/night files\r\n" in kit["README.txt"]


@pytest.mark.parametrize("directory", ['/upload/"x"', "/upload/$(x)", "/upload/100%", "/upload/a'b", "upload", "/"])
def test_a_directory_that_no_script_can_name_is_refused(court: Court, directory: str) -> None:
    with pytest.raises(AppError, match="cannot name the directory"):
        write_kit(replace(court, directory=directory))


def test_the_winscp_script_trusts_each_host_key(court: Court, host_keys: Sequence[PublicKey]) -> None:
    [switch] = [word for word in script(court)[2] if word.startswith("-hostkey=")]
    shown = switch.removeprefix("-hostkey=").split(";")
    assert [HOST_KEY.fullmatch(one) is not None for one in shown] == [True] * len(KINDS)
    assert [one.split()[-1] for one in shown] == [key.fingerprint for key in host_keys]


def test_a_host_key_as_puttygen_shows_it(host_keys: Sequence[PublicKey], tmp_path: Path) -> None:
    """WinSCP shares PuTTY's code for this."""
    for key in host_keys:
        file = tmp_path / "key.pub"
        file.write_text(key.openssh() + "\n")
        shown = subprocess.run([need("puttygen"), "-l", file], capture_output=True, text=True, check=True).stdout
        assert shown.startswith(winscp_fingerprint(key))


@pytest.mark.parametrize(
    ("host", "port", "known", "address"),
    [
        ("sftp.example.gov", 2022, "[sftp.example.gov]:2022", "sftp.example.gov:2022"),
        ("sftp.example.gov", 22, "sftp.example.gov", "sftp.example.gov:22"),
        ("192.0.2.7", 2022, "[192.0.2.7]:2022", "192.0.2.7:2022"),
        ("2001:db8::7", 2022, "[2001:db8::7]:2022", "[2001:db8::7]:2022"),
    ],
)
def test_the_ways_to_write_a_host(court: Court, host: str, port: int, known: str, address: str) -> None:
    court = replace(court, host=host, port=port)
    assert {line.split()[0] for line in known_hosts(court).splitlines()} == {known}
    assert script(court)[2][1] == f"sftp://gwinnett@{address}/"


def test_openssh_finds_the_host_in_known_hosts(court: Court, host_keys: Sequence[PublicKey], tmp_path: Path) -> None:
    file = tmp_path / "known_hosts"
    file.write_text(known_hosts(court))
    command = [need("ssh-keygen"), "-l", "-F", "[sftp.example.gov]:2022", "-f", str(file)]
    found = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert re.findall(r"SHA256:[\w+/]+", found) == [key.fingerprint for key in host_keys]


@pytest.mark.parametrize("host", ["", "-oProxyCommand=x", "a b", 'a"b', "a;b", "a\nb", "$(id)", "a/b", "a%b", "x@y"])
def test_what_is_no_host_is_refused(court: Court, host: str) -> None:
    with pytest.raises(AppError, match="no name of a host"):
        write_kit(replace(court, host=host))


@pytest.mark.parametrize("port", [0, -1, 65536])
def test_what_is_no_port_is_refused(court: Court, port: int) -> None:
    with pytest.raises(AppError, match="no port"):
        write_kit(replace(court, port=port))


@pytest.mark.parametrize("with_key", [True, False])
def test_everything_is_filled_in_and_nothing_is_secret(court: Court, with_key: bool) -> None:
    kit = write_kit(replace(court, with_key=with_key, name="Gwinnett\r\n County {{slug}}"))
    assert set(kit) == {*UNIX_FILES, *WINDOWS_FILES}
    for name, content in kit.items():
        text = content.decode()
        assert "PRIVATE KEY" not in text
        assert ("\r\n" in text) == (name in WINDOWS_FILES)
        assert "\r" not in text.replace("\r\n", "")
        if name != "README.txt":
            assert "{{" not in text
    readme = " ".join(kit["README.txt"].decode().split())
    assert ("The server knows it already" in readme) == with_key
    assert "Gwinnett County {{slug}}. It has" in readme


def test_what_programs_say_without_a_sentence_is_explained(court: Court) -> None:
    readme = write_kit(replace(court, directory="/upload/day"))["README.txt"].decode()
    told = readme[readme.index("5. When a transfer fails") :]
    for words in ("Failure", "Permission denied ", "Permission denied (publickey)", "No such file or directory"):
        assert f"\n  {words}" in told
    assert "{{" not in told
    assert max(map(len, told.splitlines())) < 80


def test_the_shell_script_is_plain_sh(court: Court, tmp_path: Path) -> None:
    file = tmp_path / "send-sftp.sh"
    file.write_bytes(write_kit(court)["send-sftp.sh"])
    subprocess.run(["sh", "-n", file], check=True)


def test_the_batch_files_name_what_is_in_the_folder(court: Court) -> None:
    kit = write_kit(court)
    for name in ("send-winscp.cmd", "send-psftp.cmd"):
        used = set(re.findall(r"%~dp0([\w.-]+)", kit[name].decode()))
        assert used - set(kit) <= {"gwinnett_key.ppk", "winscp.log"}
        assert used & set(kit)
