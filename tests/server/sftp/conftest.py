"""A door that runs in a thread of the test, with keys made for it and a gate that lives in memory."""

import asyncio
import io
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import paramiko
import pytest
import structlog
import uvloop

from keys.secret import Secret
from server.intake.entry import Entry
from server.intake.journal import Journal
from server.intake.spool import Manifest, Spool
from server.intake.taken import Footprint
from server.networks import parse_networks
from server.services.credential import Credential, PasswordProof
from server.settings import Settings
from server.sftp import Account, Door, reception
from server.sftp.hotpath.selftest import find_misfit
from tests.server.sftp.rawclient import RawClient


class MemoryGate:
    """Admits the pairs of user name and fingerprint it was given."""

    def __init__(self) -> None:
        self.accounts: dict[tuple[str, str], Account] = {}
        self.passwords: dict[str, bytes] = {}
        self.pairs: list[bytes] = []
        self.asked: list[tuple[str, str]] = []
        self.uses: list[tuple[str, str, str, str]] = []
        self.sent: list[tuple[str, str, int]] = []

    async def admit(self, username: str, credential: Credential) -> Account | None:
        self.asked.append((username, str(credential)))
        return self.accounts.get((username, str(credential)))

    def takes_password(self, username: str) -> bool:
        return username in self.passwords

    async def prove_password(self, username: str, password: Secret) -> PasswordProof | None:
        return PasswordProof("1") if self.passwords.get(username) == password.reveal() else None

    def used(self, username: str, credential: Credential, address: str, client: str) -> None:
        self.uses.append((username, str(credential), address, client))

    def fetched(self, username: str, session: str, client: str, path: str, size: int) -> None:
        assert session
        assert client
        self.sent.append((username, path, size))

    async def host_keys(self) -> list[bytes]:
        return self.pairs

    async def knows(self, username: str) -> bool:
        return any(slug == username for slug, _ in self.accounts)

    async def stamp(self) -> object:
        return self.accounts.copy()


class MemoryIntake:
    """Remembers what it was told."""

    def __init__(self) -> None:
        self.arrived: list[Manifest] = []
        self.partial: list[Entry] = []
        self.gone: list[Entry] = []
        self.moves: list[tuple[str, dict[str, Footprint]]] = []

    def received(self, manifests: Sequence[Manifest]) -> None:
        self.arrived.extend(manifests)

    def torn(self, entry: Entry) -> None:
        self.partial.append(entry)

    def removed(self, entry: Entry) -> None:
        self.gone.append(entry)

    def renamed(self, agency: str, files: Mapping[str, Footprint]) -> None:
        self.moves.append((agency, dict(files)))


class Events:
    """A log that keeps its lines."""

    def __init__(self) -> None:
        self.lines: list[dict[str, Any]] = []

    def keep(self, _logger: Any, _method: str, event: dict[str, Any]) -> str:
        self.lines.append(event)
        return ""

    def named(self, name: str) -> list[dict[str, Any]]:
        return [line for line in self.lines if line["event"] == name]


def make_key(path: Path, kind: str = "ed25519") -> str:
    """Generate a key pair at `path`; its fingerprint."""
    subprocess.run(["ssh-keygen", "-q", "-t", kind, "-N", "", "-f", path], check=True)
    shown = subprocess.run(["ssh-keygen", "-lf", f"{path}.pub"], check=True, capture_output=True, text=True)
    return shown.stdout.split()[1]


class RunningDoor:
    """The door, everything behind it, and short ways to talk to it."""

    def __init__(self, folder: Path, keys: Path, **overrides: Any) -> None:
        self.folder = folder
        self.keys = keys
        self.settings = Settings(data=folder / "data", **{"settle": 0.05, "durability": "flush", **overrides})
        durable = self.settings.durability == "fsync"
        self.spool = Spool(self.settings.spool, durable=durable)
        self.journal = Journal(self.settings.spool / "receiving", durable=durable)
        self.gate = MemoryGate()
        self.intake = MemoryIntake()
        self.events = Events()
        self.port = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._drained = False

    # What is behind the door

    def admit(self, slug: str, fingerprint: str, networks: str = "") -> Account:
        account = Account(f"id-of-{slug}", slug, self.settings.home(slug), parse_networks(networks))
        self.gate.accounts[slug, fingerprint] = account
        return account

    def home(self, slug: str = "court") -> Path:
        return self.settings.home(slug)

    def uploaded(self, name: str, slug: str = "court") -> Path:
        return self.home(slug) / "upload" / name

    def arrival(self, count: int = 1) -> Manifest:
        """Wait for that many arrivals; the last."""
        wait_until(lambda: len(self.intake.arrived) >= count, f"{count} arrivals, have {self.intake.arrived}")
        assert len(self.intake.arrived) == count
        return self.intake.arrived[-1]

    def tear(self, count: int = 1) -> Entry:
        """Wait for that many torn uploads; the last."""
        wait_until(lambda: len(self.intake.partial) >= count, f"{count} torn uploads")
        return self.intake.partial[-1]

    def content(self, manifest: Manifest) -> bytes:
        return self.spool.data_path(manifest.id).read_bytes()

    @property
    def strangers(self) -> int:
        """How many connections have not logged in."""
        return self._door.strangers

    # Clients

    def command(self, program: str, *arguments: str) -> list[str]:
        """`sftp` or `scp` with everything that it needs to come in."""
        options = ["-i", str(self.keys / "id"), "-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes"]
        trust = ["-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR"]
        port = "-p" if program == "ssh" else "-P"
        return [program, "-F", "none", port, str(self.port), *options, *trust, *arguments]

    def sftp(self, *lines: str, slug: str = "court", check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a batch in OpenSSH's sftp."""
        command = self.command("sftp", "-b", "-", f"{slug}@127.0.0.1")
        done = subprocess.run(command, input="\n".join(lines) + "\n", capture_output=True, text=True, timeout=60)
        assert not check or done.returncode == 0, done.stderr
        return done

    def paramiko(self, slug: str = "court", key: str = "id") -> paramiko.SSHClient:
        client = paramiko.SSHClient()
        client.set_missing_host_key_policy(paramiko.AutoAddPolicy())
        file = str(self.keys / key)
        try:
            client.connect("127.0.0.1", self.port, slug, key_filename=file, allow_agent=False, look_for_keys=False)
        except Exception:
            client.close()
            raise
        return client

    def raw(self, slug: str = "court") -> RawClient:
        return RawClient(self.paramiko(slug))

    # Its life

    def start(self) -> "RunningDoor":
        self._thread.start()
        wait_until(lambda: self.port != 0, "the door to open")
        return self

    def drain(self, grace: float = 0) -> None:
        if not self._drained and self._loop:
            self._drained = True
            asyncio.run_coroutine_threadsafe(self._door.drain(grace), self._loop).result(30)
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(10)

    def _serve(self) -> None:
        self._loop = uvloop.new_event_loop()
        try:
            self._loop.run_until_complete(self._open())
            self._loop.run_forever()
        finally:
            self._loop.close()

    async def _open(self) -> None:
        log = structlog.wrap_logger(
            structlog.PrintLogger(io.StringIO()),
            processors=[structlog.processors.add_log_level, structlog.processors.format_exc_info, self.events.keep],
        )
        host_keys = [(self.keys / name).read_bytes() for name in ("host_ed25519", "host_ecdsa", "host_rsa")]
        self.gate.pairs = host_keys
        self._door = Door(self.settings, self.gate, self.intake, self.spool, self.journal, host_keys, log)
        sock = socket.socket()
        sock.bind(("127.0.0.1", 0))
        await self._door.start(sock)
        self.port = self._door.port


def wait_until(condition: Callable[[], bool], what: str, seconds: float = 10) -> None:
    """Return once `condition` holds; fail with `what` was waited for."""
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, f"waited in vain for {what}"
        time.sleep(0.01)


def need(*programs: str) -> None:
    """Skip loudly if a program is missing."""
    for program in programs:
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed")


@pytest.fixture(scope="session")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with three host keys, the court's key `id`, and a stranger's key `stranger`."""
    need("ssh-keygen")
    folder = tmp_path_factory.mktemp("keys")
    for kind in ("ed25519", "ecdsa", "rsa"):
        make_key(folder / f"host_{kind}", kind)
    for name in ("id", "stranger"):
        (folder / f"{name}.fingerprint").write_text(make_key(folder / name))
    return folder


@pytest.fixture(scope="session", autouse=True)
def tried_once() -> Iterator[None]:
    """All doors of a test process go by what the first one's self-test found, and have little made ahead."""
    found: list[str] = []

    async def find_once() -> str:
        found.extend([] if found else [await find_misfit()])
        return found[0]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("server.sftp.door.find_misfit", find_once)
        patch.setattr(reception, "AHEAD", 16)
        patch.setattr(reception, "FEW", 8)
        yield


@pytest.fixture
def open_door(tmp_path: Path, keys: Path, hot_path: bool) -> Iterator[Callable[..., RunningDoor]]:
    """Opens a door with the settings it is given; the agency `court` comes in with the key `id`."""
    doors: list[RunningDoor] = []

    def open_it(**overrides: Any) -> RunningDoor:
        door = RunningDoor(tmp_path / str(len(doors)), keys, **{"hot_path": hot_path, **overrides})
        door.admit("court", (keys / "id.fingerprint").read_text())
        doors.append(door)
        return door.start()

    yield open_it
    for door in doors:
        door.drain()


@pytest.fixture
def door(open_door: Callable[..., RunningDoor]) -> RunningDoor:
    """A door with the usual settings."""
    return open_door()


@pytest.fixture
def two_doors(open_door: Callable[..., RunningDoor], keys: Path) -> Iterator[tuple[RunningDoor, RunningDoor]]:
    """Two processes' doors to one data directory, with a second to settle."""
    door = open_door(settle=1)
    other = RunningDoor(door.folder, keys, settle=1, hot_path=door.settings.hot_path)
    other.admit("court", (keys / "id.fingerprint").read_text())
    other.start()
    yield door, other
    other.drain()


@pytest.fixture(scope="session", params=[True, False], ids=["hot", "stock"])
def hot_path(request: pytest.FixtureRequest) -> bool:
    """Whether the door takes its own packet path: everything is tested on both."""
    return bool(request.param)
