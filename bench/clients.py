"""OpenSSH's `sftp`, one or many at a time: the client of every measurement that does not name another."""

import shutil
import subprocess
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from typing import IO

from bench.figures import UnavailableError
from bench.peers import LOOPBACK, Server

LONGEST = 600
QUIET = ("BatchMode=yes", "StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "LogLevel=ERROR")


def sftp(server: Server, batch: str, *options: str) -> float:
    """Run `sftp -b -` with that batch and give back the seconds it took, login included."""
    return sftp_at_once(server, [batch], *options)


def sftp_at_once(server: Server, batches: Sequence[str], *options: str) -> float:
    """Run one `sftp` for each batch, all at the same time; the seconds until the last has ended.

    Raises UnavailableError when there is no such command, RuntimeError when one of them fails.
    """
    if shutil.which("sftp") is None:
        raise UnavailableError("no sftp here (apt-get install openssh-client)")
    command = _command(server, options)
    with ExitStack() as stack:
        files = [stack.enter_context(tempfile.TemporaryFile("w+")) for _ in batches]
        for file, batch in zip(files, batches, strict=True):
            file.write(batch)
            file.seek(0)
        begun = time.perf_counter()
        started: list[subprocess.Popen[str]] = []
        stack.callback(_kill, started)
        for file in files:
            started.append(_start(command, file))
        try:
            complaints = [process.communicate(timeout=LONGEST)[1] for process in started]
        except subprocess.TimeoutExpired:
            raise RuntimeError(f"sftp to {server.name} takes longer than {LONGEST} s") from None
        seconds = time.perf_counter() - begun
    for process, complaint in zip(started, complaints, strict=True):
        if process.returncode != 0:
            raise RuntimeError(f"sftp to {server.name}: {complaint.strip()}")
    return seconds


def _start(command: list[str], batch: IO[str]) -> subprocess.Popen[str]:
    return subprocess.Popen(command, stdin=batch, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


def _kill(started: list[subprocess.Popen[str]]) -> None:
    for process in started:
        if process.poll() is None:
            process.kill()
            process.wait()


def _command(server: Server, options: Sequence[str]) -> list[str]:
    switches = [word for option in (*QUIET, "IdentitiesOnly=yes") for word in ("-o", option)]
    command = ["sftp", "-q", "-F", "/dev/null", *switches, "-i", str(server.key), "-P", str(server.port)]
    return [*command, *options, "-b", "-", f"{server.user}@{LOOPBACK}"]
