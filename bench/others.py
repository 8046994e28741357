"""Two more servers to be measured against, both in Go: `rclone serve sftp`, and `gopeer/` on pkg/sftp."""

import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from bench.figures import UnavailableError
from bench.peers import LOOPBACK, Server, await_port, free_port, new_key, running

RCLONE_NAME, GO_NAME = "rclone serve sftp", "pkg/sftp (Go)"
USER = "bench"
#: Where Debian's packages put Go libraries.
GOCODE = Path("/usr/share/gocode")
SOURCE = Path(__file__).parent / "gopeer" / "main.go"
NO_GO = "no Go with pkg/sftp here (apt-get install golang-go golang-github-pkg-sftp-dev)"


@contextmanager
def rclone(folder: Path) -> Iterator[Server]:
    """`rclone serve sftp` on a directory, its VFS cache off (the default). Raises UnavailableError if there is none."""
    program = shutil.which("rclone")
    if program is None:
        raise UnavailableError("no rclone here (apt-get install rclone)")
    server = _prepare(RCLONE_NAME, folder)
    new_key(folder / "host")
    command = [program, "serve", "sftp", str(server.upload.parent), "--addr", f"{LOOPBACK}:{server.port}"]
    command += ["--authorized-keys", f"{server.key}.pub", "--key", str(folder / "host"), "--cache-dir", str(folder)]
    with _served(server, [*command, "--config", ""], folder) as ready:
        yield ready


@contextmanager
def gopeer(folder: Path) -> Iterator[Server]:
    """The small server of `gopeer/main.go`, built with Debian's Go and libraries.

    Raises UnavailableError when they are missing or this is not root (it calls chroot), RuntimeError when it cannot
    be built.
    """
    if os.geteuid() != 0:
        raise UnavailableError("the server in Go needs root (chroot)")
    server = _prepare(GO_NAME, folder)
    program = _build(folder / "gopeer")
    command = [str(program), "-listen", f"{LOOPBACK}:{server.port}", "-authorized-key", f"{server.key}.pub"]
    with _served(server, [*command, "-root", str(server.upload.parent)], folder) as ready:
        yield ready


def _prepare(name: str, folder: Path) -> Server:
    server = Server(name, 0, free_port(), USER, folder / "client", folder / "root" / "upload")
    server.upload.mkdir(parents=True)
    new_key(server.key)
    return server


@contextmanager
def _served(server: Server, command: Sequence[str], folder: Path) -> Iterator[Server]:
    with running(list(command), folder / "log", {}) as process:
        await_port(process, server.port, folder / "log")
        yield Server(server.name, process.pid, server.port, server.user, server.key, server.upload)


def _build(program: Path) -> Path:
    if shutil.which("go") is None or not (GOCODE / "src/github.com/pkg/sftp").exists():
        raise UnavailableError(NO_GO)
    environment = {**os.environ, "GO111MODULE": "off", "GOPATH": str(GOCODE), "GOFLAGS": ""}
    command = ["go", "build", "-o", str(program), str(SOURCE)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600)
    if done.returncode != 0:
        raise RuntimeError(f"the server in Go cannot be built: {done.stderr.strip()}")
    return program
