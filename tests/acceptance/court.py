"""The cast of the acceptance tests: a running dropslot, and a court that talks to it with real programs.

Everything is on loopback, on ports the system chose; what a test starts, it stops by its own id.
"""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import pytest
from typer.testing import CliRunner

from ingest.errors import IngestError
from keys.errors import KeysError
from server.cli.program import assemble
from server.errors import AppError

DROPSLOT = Path(sys.executable).with_name("dropslot")

REFUSALS = (AppError, IngestError, KeysError)

ECR_COLUMNS = (
    "Party ID|First Name|Last Name|Party Description|Preferred Language|Phone|Email|Event Date|Event Time|"
    "Event Status|Location Name|Judge Name|Case Number"
)


def ecr(*rows: str) -> bytes:
    """A standard ECR of those rows."""
    return "\r\n".join([ECR_COLUMNS, *rows, ""]).encode()


def ecr_row(number: int, date: str = "03/16/2026", time: str = "9:00 AM", judge: str = "Alvarez, M.") -> str:
    """A good row; people, phones and cases differ by `number`."""
    phone = f"(404) 555-{number % 10000:04}"
    return (
        f"{1000000 + number}|Avery|Alder{number}|Defendant|English|{phone}|a{number}@example.com|{date}|{time}|"
        f"Scheduled|Courtroom 1A|{judge}|CR-2026-{number:06}"
    )


def need(program: str) -> str:
    """The path of a program; skips the test, loudly, where it is missing."""
    found = shutil.which(program) or shutil.which(program, path="/usr/sbin:/sbin")
    if found is None:
        pytest.skip(f"{program} is not installed")
    return found


def wait_for(condition: Callable[[], Any], what: str, seconds: float = 30) -> Any:
    """The first true answer of `condition`."""
    until = time.monotonic() + seconds
    while True:
        if answer := condition():
            return answer
        assert time.monotonic() < until, f"waited {seconds} s in vain for {what}"
        time.sleep(0.05)


@dataclass
class Dropslot:
    """A data directory, the command line on it, and a server that can be started, stopped and killed."""

    data: Path
    environment: dict[str, str] = field(default_factory=lambda: {"DROPSLOT_QUIET_TIME": "0.5"})
    process: subprocess.Popen[bytes] | None = None
    port: int = 0

    def run(
        self, *arguments: str | Path, stdin: bytes | None = None, check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        """Run a command in this process, which is faster than `shell` by the time it takes to import everything."""
        command = ["--data", str(self.data), *map(str, arguments)]
        done = CliRunner(env=self.environment).invoke(assemble(command), command, input=stdin)
        if done.exception is not None and not isinstance(done.exception, (SystemExit, *REFUSALS)):
            raise done.exception
        status = 1 if isinstance(done.exception, REFUSALS) else done.exit_code
        error = str(done.exception) if isinstance(done.exception, REFUSALS) else done.stderr
        if check:
            assert status == 0, f"{' '.join(command)}: {error or done.stdout}"
        return subprocess.CompletedProcess(command, status, done.stdout, error)

    def shell(
        self, *arguments: str | Path, stdin: bytes | None = None, check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        """Run a command as a person does."""
        command = [str(DROPSLOT), "--data", str(self.data), *map(str, arguments)]
        done = subprocess.run(command, input=stdin, capture_output=True, env=self._env(), timeout=120, check=False)
        out, err = done.stdout.decode(), done.stderr.decode()
        assert "Traceback" not in out + err, err
        if check:
            assert done.returncode == 0, f"{' '.join(command)}: {err or out}"
        return subprocess.CompletedProcess(command, done.returncode, out, err)

    def begin(self) -> None:
        """Make it an installation: one that has an agency."""
        self.run("agency", "add", "first", "--name", "First", "--timezone", "America/New_York")

    def json(self, *arguments: str | Path) -> Any:
        """The JSON document a command prints."""
        return json.loads(self.run(*arguments, "--json").stdout)

    def start(self, *flags: str) -> "Dropslot":
        """Start the server and wait until it is ready."""
        log = (self.data.parent / "serve.log").open("ab")
        command = [
            str(DROPSLOT),
            "--data",
            str(self.data),
            "serve",
            "--sftp-host",
            "127.0.0.1",
            "--sftp-port",
            str(self.port),
        ]
        self.process = subprocess.Popen([*command, *flags], stdin=subprocess.DEVNULL, stderr=log, env=self._env())
        log.close()
        announced = self.data / "run" / "serve.json"

        def ready() -> bool:
            assert self.process is not None
            assert self.process.poll() is None, self.log()
            return announced.exists() and json.loads(announced.read_text())["pid"] == self.process.pid

        wait_for(ready, "the server to be ready", 90)
        self.port = json.loads(announced.read_text())["sftp_port"]
        return self

    def log(self) -> str:
        """What the server logged so far."""
        return (self.data.parent / "serve.log").read_text()

    def children(self, role: str) -> list[psutil.Process]:
        """The server's processes of that role."""
        assert self.process is not None
        below = psutil.Process(self.process.pid).children(recursive=True)
        return [child for child in below if role in child.cmdline()]

    def stop(self) -> int:
        """Ask the server to stop; its exit status."""
        assert self.process is not None
        self.process.terminate()
        status = self.process.wait(60)
        self.process = None
        return status

    def kill(self) -> None:
        """Kill the server and all its processes at once, as a power cut would."""
        assert self.process is not None
        everyone = [*psutil.Process(self.process.pid).children(recursive=True), psutil.Process(self.process.pid)]
        for one in everyone:
            one.send_signal(signal.SIGSTOP)
        for one in everyone:
            one.kill()
        self.process.wait()
        psutil.wait_procs(everyone, timeout=10)
        self.process = None

    def _env(self) -> dict[str, str]:
        return {**os.environ, **self.environment}


@dataclass
class Court:
    """An agency with a key, a folder of its own, and the clients a court uses."""

    dropslot: Dropslot
    slug: str
    folder: Path

    @property
    def key(self) -> Path:
        return self.folder / f"{self.slug}_key"

    @property
    def home(self) -> Path:
        return self.dropslot.data / "agencies" / self.slug

    @property
    def receipts(self) -> Path:
        return self.home / "download" / "receipts"

    def write(self, name: str, content: bytes) -> Path:
        """A file on the court's side."""
        file = self.folder / name
        file.write_bytes(content)
        return file

    def arrivals(self, **wanted: str) -> list[dict[str, Any]]:
        """The court's arrivals, newest first, of which those fields have those values."""
        rows = self.dropslot.json("arrival", "list", "--agency", self.slug, "--limit", "10000")
        return [row for row in rows if all(row[key] == value for key, value in wanted.items())]

    def uploads(self) -> list[dict[str, Any]]:
        """The court's uploads that were answered, newest first."""
        rows = self.dropslot.json("upload", "list", "--agency", self.slug, "--limit", "10000")
        return [row for row in rows if row["answered_at"]]

    def settled(self, count: int = 1, seconds: float = 60) -> list[dict[str, Any]]:
        """Wait until `count` uploads were answered; those uploads, newest first."""
        wait_for(lambda: len(self.uploads()) >= count, f"{count} answered upload(s)", seconds)
        return self.uploads()

    def records(self, kind: str) -> list[dict[str, Any]]:
        """All records of a kind."""
        rows: list[dict[str, Any]] = self.dropslot.json("record", "list", kind, "--agency", self.slug)
        return rows

    def sweep(self) -> list[dict[str, Any]]:
        """Sweep now; what was taken from this court."""
        return [row for row in self.dropslot.json("sweep") if row["agency"] == self.slug]

    def fingerprint(self, algorithm: str = "ssh-ed25519") -> str:
        """A host key's fingerprint as `dropslot doctor` shows it to whoever sets up WinSCP or PuTTY."""
        said = self.dropslot.run("doctor", "--json", check=False).stdout
        found = re.search(rf"{algorithm} \d+ (SHA256:[\w+/]+)", said)
        assert found, said
        return found.group(1)

    def ssh_options(self) -> list[str]:
        """What keeps OpenSSH from asking anything."""
        hosts = self.folder / "known_hosts"
        options = (
            "IdentitiesOnly=yes",
            "StrictHostKeyChecking=accept-new",
            f"UserKnownHostsFile={hosts}",
            "LogLevel=ERROR",
        )
        return [part for option in options for part in ("-o", option)]

    def sftp_command(self, *flags: str, key: Path | None = None) -> list[str]:
        """OpenSSH's sftp reading a batch from standard input."""
        port = str(self.dropslot.port)
        identity = str(key or self.key)
        return [
            need("sftp"),
            "-P",
            port,
            "-i",
            identity,
            *self.ssh_options(),
            *flags,
            "-b",
            "-",
            f"{self.slug}@127.0.0.1",
        ]

    def sftp(self, *batch: str, check: bool = True, key: Path | None = None) -> subprocess.CompletedProcess[str]:
        """Run a batch with OpenSSH's sftp."""
        done = subprocess.run(
            self.sftp_command(key=key),
            input="\n".join(batch) + "\n",
            text=True,
            capture_output=True,
            timeout=120,
            check=False,
        )
        if check:
            assert done.returncode == 0, done.stderr
        return done

    def push(self, name: str, content: bytes, directory: str = "/upload") -> Path:
        """Upload a file with OpenSSH's sftp."""
        file = self.write(name, content)
        self.sftp(f'put "{file}" "{directory}/{name}"')
        return file


def free_port() -> int:
    """A port that was free a moment ago."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
    return port


def run_quietly(command: Sequence[str], **options: Any) -> subprocess.CompletedProcess[str]:
    """Run a client and hand back what it said."""
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, **options)
