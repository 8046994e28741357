"""What a court needs to connect, as a folder of text files: scripts, host keys and a README in plain words.

The texts lie beside this module, with `{{word}}` where something is filled in. Windows' files get its line ends.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files

from keys.sshkey import PublicKey, known_hosts_line, winscp_fingerprint
from server.errors import AppError, Code

UNIX_FILES = ("known_hosts", "sftp-batch.txt", "send-sftp.sh")
WINDOWS_FILES = (
    *("README.txt", "host-keys.txt", "winscp-script.txt", "send-winscp.cmd"),
    *("psftp-batch.txt", "send-psftp.cmd"),
)

KEY_IS_THERE = """The private key is in this folder, twice: {{slug}}_key (for OpenSSH) and
{{slug}}_key.ppk (for WinSCP and PuTTY), with its public half {{slug}}_key.pub. The
server knows it already. Keep this folder where only the account that sends can
read it, and delete every other copy."""
KEY_IS_ELSEWHERE = """The private key is not in this folder. You have it already, as {{slug}}_key or
under another name: put it into this folder, where only the account that sends
can read it. If you have none yet, make one (ssh-keygen -t ed25519 -f {{slug}}_key,
or PuTTYgen), keep it, and send only the public half (.pub) to the operator of
the server. WinSCP and PuTTY want it as {{slug}}_key.ppk: open {{slug}}_key in
PuTTYgen (Load), and press "Save private key"."""

_HOST = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?|[0-9A-Fa-f:]*:[0-9A-Fa-f:.]*")
_DIRECTORY = re.compile(r"(?:/[A-Za-z0-9._ -]+)+")  # what needs no escape in any of the scripts
_MARK = re.compile(r"\{\{([a-z]+)\}\}")


@dataclass(frozen=True)
class Court:
    """Who is to connect where. `host` is a name or an address; `with_key`: its private key lies in the folder.

    `directory` is where its files go.
    """

    slug: str
    name: str
    host: str
    port: int
    host_keys: Sequence[PublicKey]
    with_key: bool = False
    directory: str = "/upload"


def write_kit(court: Court) -> Mapping[str, bytes]:
    """The files of the kit by name. Raises `AppError` invalid for what is no host or port."""
    _check(court)
    words = _fill_in(court)
    texts = {name: _fill(_read(name), words) for name in (*WINDOWS_FILES, *UNIX_FILES) if name != "known_hosts"}
    texts["known_hosts"] = known_hosts(court)
    return {
        name: (text.replace("\n", "\r\n") if name in WINDOWS_FILES else text).encode() for name, text in texts.items()
    }


def known_hosts(court: Court) -> str:
    """The lines of OpenSSH's known_hosts file."""
    return "".join(f"{known_hosts_line(key, court.host, court.port)}\n" for key in court.host_keys)


def _check(court: Court) -> None:
    if not _HOST.fullmatch(court.host):
        raise AppError(Code.INVALID, "That is no name of a host.", "For example: --host sftp.example.gov")
    if not 0 < court.port < 65536:
        raise AppError(Code.INVALID, "That is no port.", "Name the one that courts connect to: --port 2022")
    if not _DIRECTORY.fullmatch(court.directory):
        raise AppError(
            Code.INVALID,
            f"The scripts cannot name the directory {court.directory!r}.",
            "Give the profile one of letters, digits, spaces and ._- alone.",
        )
    if not court.host_keys:
        raise AppError(Code.UNAVAILABLE, "The server has no host key yet.", "Run: dropslot doctor")


def _fill_in(court: Court) -> dict[str, str]:
    shown = f"[{court.host}]" if ":" in court.host else court.host
    return {
        "slug": court.slug,
        "name": "".join(character for character in court.name if character.isprintable()),
        "host": court.host,
        "shown": shown,
        "port": str(court.port),
        "address": f"{shown}:{court.port}",
        "winscp": ";".join(map(winscp_fingerprint, court.host_keys)),
        "psftp": " ".join(f"-hostkey {key.fingerprint}" for key in court.host_keys),
        "openssh": "\n".join(f"  {key.algorithm:<20} {key.fingerprint}" for key in court.host_keys),
        "directory": court.directory,
        "key": (KEY_IS_THERE if court.with_key else KEY_IS_ELSEWHERE).replace("{{slug}}", court.slug),
    }


def _fill(text: str, words: Mapping[str, str]) -> str:
    return _MARK.sub(lambda mark: words[mark.group(1)], text)


def _read(name: str) -> str:
    return files(__package__).joinpath(name).read_text(encoding="utf-8")
