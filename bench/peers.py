"""The servers that are measured, each started on loopback in its own directory and stopped by its own pid."""

import json
import os
import pwd
import shutil
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from bench.figures import UnavailableError
from bench.processes import tree

AGENCY = "bench"
LOOPBACK = "127.0.0.1"
START_SECONDS = 60
STOP_SECONDS = 60
# What a measurement needs and no court does: everything comes from one address, at once, again and again. A name that
# this version of dropslot does not know does no harm.
ROOM: Mapping[str, str] = MappingProxyType(
    {
        "DROPSLOT_SESSIONS_PER_AGENCY": "5000",
        "DROPSLOT_SESSIONS_PER_ADDRESS": "5000",
        "DROPSLOT_STRANGERS": "5000",
        "DROPSLOT_STRANGERS_PER_ADDRESS": "5000",
        "DROPSLOT_ACCEPTS_PER_MINUTE": "1000000",
        "DROPSLOT_ACCEPT_BURST": "1000000",
        "DROPSLOT_BAN_THRESHOLD": "1000000",
    }
)
SSHD_USER = "nobody"
SSHD_RUN = Path("/run/sshd")  # sshd refuses to start without it
# The keys come from a command run by root: the file's directory may be closed to the user.
SSHD_CONFIG = """\
ListenAddress {address}:{port}
HostKey {folder}/host
AuthorizedKeysFile none
AuthorizedKeysCommand /bin/cat {folder}/client.pub
AuthorizedKeysCommandUser root
PidFile none
StrictModes no
UsePAM no
PasswordAuthentication no
MaxStartups 2000
Subsystem sftp internal-sftp
ForceCommand internal-sftp
ChrootDirectory {root}
"""


@dataclass(frozen=True)
class Server:
    """A running SFTP server: how to reach it, and where its files are on this machine."""

    name: str
    #: Of its keeper (see `bench.keeper`): the server's processes are the descendants.
    pid: int
    port: int
    user: str
    key: Path
    #: The directory that clients see as /upload.
    upload: Path
    #: What is on the command line of those of its processes that speak SFTP, and of no other.
    door: str = ""


@contextmanager
def sshd(folder: Path) -> Iterator[Server]:
    """OpenSSH's server with internal-sftp and ChrootDirectory, own configuration and keys, as root.

    Raises UnavailableError when this is not root or there is no sshd.
    """
    program = shutil.which("sshd", path="/usr/sbin:/usr/local/sbin:" + os.environ.get("PATH", ""))
    if program is None:
        raise UnavailableError("no sshd here (apt-get install openssh-server)")
    if os.geteuid() != 0:
        raise UnavailableError("sshd with ChrootDirectory needs root")
    root = folder / "root"
    server = Server("sshd", 0, free_port(), SSHD_USER, folder / "client", root / "upload")
    _prepare_sshd(folder, root, server)
    with _privilege_directory():
        command = [program, "-D", "-e", "-f", str(folder / "config")]
        with running(command, folder / "log", {}) as process:
            await_port(process, server.port, folder / "log")
            yield Server(server.name, process.pid, server.port, server.user, server.key, server.upload)


def _prepare_sshd(folder: Path, root: Path, server: Server) -> None:
    server.upload.mkdir(parents=True)
    _refuse_open_parents(root)
    user = pwd.getpwnam(server.user)
    os.chown(server.upload, user.pw_uid, user.pw_gid)
    for name in ("host", "client"):
        new_key(folder / name)
    folder.joinpath("config").write_text(
        SSHD_CONFIG.format(address=LOOPBACK, port=server.port, folder=folder, root=root)
    )


def _refuse_open_parents(root: Path) -> None:
    """sshd wants every directory down to the chroot to belong to root and to be writable by nobody else."""
    for directory in (root, *root.parents):
        status = directory.stat()
        if status.st_uid != 0 or status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            raise UnavailableError(f"sshd takes no ChrootDirectory below {directory} (choose another with --directory)")


@contextmanager
def _privilege_directory() -> Iterator[None]:
    made = not SSHD_RUN.exists()
    SSHD_RUN.mkdir(mode=0o755, exist_ok=True)
    try:
        yield
    finally:
        if made:
            SSHD_RUN.rmdir()


@contextmanager
def dropslot(
    folder: Path, profile: bool = False, settings: Mapping[str, str] | None = None, name: str = "dropslot"
) -> Iterator[Server]:
    """The real `dropslot serve`, with one agency, its key and, if asked for, a profile for the standard ECR.

    Nobody is kept out (`ROOM`); `settings` are more environment variables. Raises UnavailableError when there is no
    such command.
    """
    program = Path(sys.executable).parent / "dropslot"
    if not program.exists():
        raise UnavailableError("the dropslot command is not installed (make install)")
    data, key = folder / "data", folder / "client"
    folder.mkdir(parents=True, exist_ok=True)
    if not key.exists():  # else it is started once more
        _add_agency(data, AGENCY, key)
    if profile:
        call(data, "profile", "add", AGENCY, "nightly", "--template", "odyssey-ecr")
    command = [str(program), "--data", str(data), "serve", "--sftp-port", "0"]
    environment = {"DROPSLOT_SFTP_HOST": LOOPBACK, "DROPSLOT_LOG_LEVEL": "warning", **ROOM, **(settings or {})}
    with running(command, folder / "log", environment) as process:
        port = _await_ready(process, data / "run" / "serve.json", folder / "log")
        upload = data / "agencies" / AGENCY / "upload"
        yield Server(name, process.pid, port, AGENCY, key, upload, door="--role sftp")


def neighbour(server: Server, folder: Path, slug: str = "neighbour") -> Server:
    """The same running dropslot for another agency, which is added; `folder` is the one it was started in."""
    _add_agency(folder / "data", slug, folder / slug)
    return replace(server, user=slug, key=folder / slug, upload=server.upload.parents[1] / slug / "upload")


def _add_agency(data: Path, slug: str, key: Path) -> None:
    call(data, "agency", "add", slug, "--name", f"{slug.title()} County", "--timezone", "America/Phoenix")
    call(data, "key", "generate", slug, "--out", str(key))


def call(data: Path, *words: str) -> str:
    """Run a `dropslot` command on `data` and give back what it prints."""
    program = Path(sys.executable).parent / "dropslot"
    done = subprocess.run([str(program), "--data", str(data), *words], capture_output=True, text=True, timeout=120)
    if done.returncode != 0:
        raise RuntimeError(f"dropslot {' '.join(words)}: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout


def ask(data: Path, *words: str) -> Any:
    """Run a `dropslot` command on `data` and give back its JSON."""
    return json.loads(call(data, *words, "--json"))


def new_key(path: Path) -> None:
    """Make an Ed25519 pair, `path` and `path`.pub."""
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "bench", "-f", str(path)], check=True)


def free_port() -> int:
    """A port that the system has free just now."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def running(command: list[str], log: Path, environment: Mapping[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    """A server that runs under a keeper while the block does; what it says goes into `log`."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "bench.keeper", *command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd=Path(__file__).parents[1],
            env={**os.environ, **environment},
            start_new_session=True,  # Ctrl-C is for the bench, which then stops its servers
        )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            for pid in reversed(tree(process.pid)):
                os.kill(pid, signal.SIGKILL)
            process.wait()


def await_port(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    """Wait until somebody listens there. Raises RuntimeError if the server ends or takes too long."""

    def answers() -> bool:
        with socket.socket() as probe:
            return probe.connect_ex((LOOPBACK, port)) == 0

    _await(process, answers, log)


def _await_ready(process: subprocess.Popen[bytes], announcement: Path, log: Path) -> int:
    _await(process, announcement.exists, log)
    port: int = json.loads(announcement.read_text())["sftp_port"]
    return port


def _await(process: subprocess.Popen[bytes], ready: Any, log: Path) -> None:
    end = time.monotonic() + START_SECONDS
    while not ready():
        if process.poll() is not None or time.monotonic() > end:
            raise RuntimeError(f"the server does not start: {log.read_text()[-2000:]}")
        time.sleep(0.05)
