"""What asyncssh alone would let through, tried at our door; each hole was open in some version, or is by default.

Shown elsewhere, each from outside:
- paths that are absolute, doubled or climb: `test_jail` (`test_no_path_leads_out`, `test_links_cannot_be_made`);
- a disk that takes only a part: `test_limits` (`test_a_full_disk_is_said_and_never_arrives`), where root can mount one;
- tries, channels, idleness, keepalive: `test_limits` (`test_sixty_keys_are_not_tried`,
  `test_other_names_and_passwords_run_out_too`, `test_who_does_not_log_in_is_sent_away`,
  `test_channels_on_one_connection_are_limited`, `test_an_idle_session_is_ended_and_a_busy_one_is_not`,
  `test_a_client_that_stops_answering_is_given_up`);
- directories swapped while files are opened, thousands of times: `test_races`.
"""

import asyncio
import itertools
import os
import resource
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import paramiko
import psutil
import pytest
from paramiko.message import Message

from server.sftp import Account
from tests.acceptance.conftest import make_court
from tests.acceptance.court import Dropslot
from tests.server.sftp.conftest import RunningDoor, wait_until
from tests.server.sftp.rawclient import (
    CLOSE,
    EXTENDED,
    F_APPEND,
    F_CREAT,
    F_READ,
    F_WRITE,
    LSTAT,
    MKDIR,
    NEW,
    OPEN,
    OPENDIR,
    READ,
    READLINK,
    REALPATH,
    REMOVE,
    RENAME,
    RMDIR,
    SETSTAT,
    STAT,
    RawClient,
    Refused,
    attributes,
    text,
)

SECRET = b"the neighbour's secret"
MIB = 1024 * 1024

Opener = Callable[..., RunningDoor]


@pytest.fixture
def holes(open_door: Opener, hot_path: bool) -> RunningDoor:
    """A door on the packet path to be proven."""
    return open_door(hot_path=hot_path)


@pytest.fixture
def canary(holes: RunningDoor) -> Path:
    """A file of another agency."""
    file = holes.home("neighbour") / "upload" / "secret.csv"
    file.parent.mkdir(parents=True)
    file.write_bytes(SECRET)
    return file


# Fact 1: paths that begin with two slashes; the wrong user name


def requests_with(path: bytes) -> Iterator[tuple[int, bytes]]:
    """Every request that carries a path, with this one in every place of it."""
    here, own = text(path), text("/upload/own.csv")
    for flags in (F_READ, F_WRITE, NEW):
        yield OPEN, here + struct.pack(">I", flags) + attributes()
    for kind in (OPENDIR, LSTAT, STAT, READLINK, REALPATH, REMOVE, RMDIR):
        yield kind, here
    for kind in (MKDIR, SETSTAT):
        yield kind, here + attributes(mtime=1)
    yield SETSTAT, here + attributes(size=0)
    for old, new in ((here, own), (own, here)):
        yield RENAME, old + new
        yield EXTENDED, text("posix-rename@openssh.com") + old + new
    for name in ("statvfs@openssh.com", "expand-path@openssh.com"):
        yield EXTENDED, text(name) + here
    yield EXTENDED, text("lsetstat@openssh.com") + here + attributes(size=0)


def what_is_kept(file: Path) -> tuple[int, ...]:
    """All that tells whether a file was touched, but for when it was last read: this test reads it too."""
    status = file.stat()
    return status.st_mode, status.st_ino, status.st_nlink, status.st_size, status.st_mtime_ns, status.st_ctime_ns


def test_two_slashes_lead_nowhere_in_any_request(holes: RunningDoor, canary: Path) -> None:
    before = what_is_kept(canary)
    with holes.raw() as client:
        client.put("/upload/own.csv", b"own")
        for path, prefix in itertools.product((canary, canary.parent), (b"/", b"//", b"./../../..", b"/upload//")):
            for kind, body in requests_with(prefix + os.fsencode(path)):
                answer = client.answer(client.send(kind, body))[1]
                assert SECRET not in answer
                assert answer[:4] != b"\0\0\0\0" or kind in (REALPATH, EXTENDED), f"{kind} of {path} was done"
    assert canary.read_bytes() == SECRET
    assert what_is_kept(canary) == before
    assert os.listdir(canary.parent) == ["secret.csv"]


class Interleaver:
    """An SSH client that has said nothing about who it is, and then says it many times at once."""

    def __init__(self, port: int) -> None:
        self.transport: Any = paramiko.Transport(("127.0.0.1", port))
        self.transport.start_client(timeout=20)
        self.welcomed = threading.Event()
        # What paramiko's own handler does with answers is of no use here: it expects one for what it asked itself.
        self._handler_table = {6: self._hear, 51: self._hear, 52: self._be_welcomed, 53: self._hear, 60: self._hear}
        self.transport.auth_handler = self
        self._send(5, lambda m: m.add_string("ssh-userauth"))

    def _hear(self, *message: Any) -> None:
        """An answer that changes nothing."""

    def _be_welcomed(self, *message: Any) -> None:
        self.welcomed.set()

    def is_authenticated(self) -> bool:
        """What paramiko asks before it opens a channel."""
        return self.welcomed.is_set()

    def abort(self) -> None:
        """What paramiko calls when the connection ends."""

    def get_transport(self) -> Any:
        """As `paramiko.SSHClient` has it."""
        return self.transport

    def ask(self, user: str, key: paramiko.PKey, signing: bool, signed_for: str = "") -> None:
        """One request to log in; `signed_for` another user name is a forgery."""

        def fill(message: Message, name: str = user) -> None:
            for word in (name, "ssh-connection", "publickey"):
                message.add_string(word)
            message.add_boolean(signing)
            message.add_string(key.get_name())
            message.add_string(key.asbytes())

        def complete(message: Message) -> None:
            fill(message)
            if signing:
                covered = Message()
                covered.add_string(self.transport.session_id)
                covered.add_byte(b"\x32")
                fill(covered, signed_for or user)
                message.add_string(key.sign_ssh_data(covered.asbytes()))

        self._send(50, complete)

    def ask_nothing(self, user: str) -> None:
        """Name a user, and no way to prove it."""

        def fill(message: Message) -> None:
            for word in (user, "ssh-connection", "none"):
                message.add_string(word)

        self._send(50, fill)

    def _send(self, kind: int, fill: Callable[[Message], None]) -> None:
        message = Message()
        message.add_byte(bytes([kind]))
        fill(message)
        self.transport._send_message(message)


MOVES = ("court signs", "court asks", "other asks", "other named", "forged for other", "other signs")

ORDERS = [
    *itertools.permutations(MOVES, 2),
    ("court asks", "court signs", "other named"),
    ("other named", "court signs", "other asks"),
    ("court signs", "other named", "court signs"),
    ("forged for other", "court signs", "other asks"),
    ("other asks", "court signs", "other signs"),
]


def say(client: Interleaver, move: str, court: paramiko.PKey, other: paramiko.PKey) -> None:
    """Say one thing, not waiting for its answer."""
    match move:
        case "court signs":
            client.ask("court", court, signing=True)
        case "court asks":
            client.ask("court", court, signing=False)
        case "other asks":
            client.ask("other", court, signing=False)
        case "other named":
            client.ask_nothing("other")
        case "forged for other":
            client.ask("other", court, signing=True, signed_for="court")
        case "other signs":
            client.ask("other", other, signing=True)


@pytest.mark.parametrize("slow", [False, True])
def test_requests_for_two_users_at_once_never_open_the_wrong_home(holes: RunningDoor, keys: Path, slow: bool) -> None:
    """A key opens the home of its own agency or none, however the requests race (asyncssh before 2.24.1)."""
    holes.admit("other", (keys / "stranger.fingerprint").read_text())
    if slow:
        _slow_down(holes)
    court, other = (paramiko.Ed25519Key.from_private_key_file(str(keys / name)) for name in ("id", "stranger"))
    came_in = 0
    for moves in ORDERS:
        client = Interleaver(holes.port)
        try:
            for move in moves:
                say(client, move, court, other)
            came_in += _lands_at_home(holes, client, "other signs" in moves)
        finally:
            client.transport.close()
    assert came_in >= len(MOVES), "some must come in, or nothing is shown"


def _slow_down(door: RunningDoor) -> None:
    """A gate that thinks: requests overtake each other."""
    quick = door.gate.admit

    async def admit(username: str, fingerprint: str) -> Account | None:
        await asyncio.sleep(0.005)
        return await quick(username, fingerprint)

    door.gate.admit = admit  # type: ignore[method-assign]


def _lands_at_home(door: RunningDoor, client: Interleaver, other_could: bool) -> bool:
    """Whether it came in at all; fails if what it sent is in a home whose key it has not."""
    count = len(door.intake.arrived)
    if not client.welcomed.wait(0.1):
        return False
    try:
        raw = RawClient(client)  # type: ignore[arg-type]  all it needs is a transport
        raw.put("/upload/mine.csv", b"12345")
    except (OSError, EOFError, paramiko.SSHException):
        return False
    wait_until(lambda: len(door.intake.arrived) > count, "the file to arrive")
    owners = {line["key"]: line["agency"] for line in door.events.named("CONNECTED")}
    agency = door.intake.arrived[-1].agency
    assert agency == door.events.named("CONNECTED")[-1]["agency"]
    assert agency == "court" or other_could, "the court's key opened another agency's home"
    assert {owners[key] for key in owners} <= {"court", "other"}
    assert all(door.gate.accounts[owner, key].slug == owner for key, owner in owners.items())
    return True


# Fact 2: links, and renaming them upward


@pytest.mark.parametrize("posix", [False, True])
def test_a_link_renamed_upward_leads_nowhere(holes: RunningDoor, canary: Path, posix: bool) -> None:
    """A link that stays inside from where it is leads out once its directory is higher (asyncssh's chroot, 2.24.1)."""
    deep = holes.uploaded("a/b/c/d")
    deep.mkdir(parents=True)
    goals = [os.path.relpath(canary, holes.home() / "upload"), *(f"{'../' * up}neighbour" for up in range(1, 8))]
    for number, goal in enumerate(goals):
        (deep / f"link{number}").symlink_to(goal)
    with holes.raw() as client:
        for old, new in (("a/b/c/d", "a/b/d"), ("a/b/d", "a/d"), ("a/d", "d")):
            client.rename(f"/upload/{old}", f"/upload/{new}", posix)
            assert client.names(f"/upload/{new}") == []
            for number in range(len(goals)):
                _leads_nowhere(client, f"/upload/{new}/link{number}")
    assert canary.read_bytes() == SECRET
    assert os.listdir(canary.parent) == ["secret.csv"]


def _leads_nowhere(client: RawClient, link: str) -> None:
    for path in (link, f"{link}/secret.csv", f"{link}/upload/secret.csv", f"{link}/new.csv"):
        for flags in (F_READ, F_WRITE, NEW):
            with pytest.raises(Refused):
                client.open(path, flags)
    with pytest.raises(Refused):
        client.rename(link, "/upload/moved")
    with pytest.raises(Refused):
        client.mkdir(f"{link}/made")


@pytest.mark.parametrize("flags", [NEW, F_WRITE, F_WRITE | F_CREAT, F_WRITE | F_APPEND])
def test_a_hard_link_from_outside_is_broken_before_it_is_written(holes: RunningDoor, canary: Path, flags: int) -> None:
    """Somebody with access to the disk made one; sending a file of that name must not change the other name's."""
    holes.uploaded("hard.csv").parent.mkdir(parents=True, exist_ok=True)
    os.link(canary, holes.uploaded("hard.csv"))
    with holes.raw() as client:
        client.put("/upload/hard.csv", b"changed", flags)
    assert canary.read_bytes() == SECRET


# Fact 7: a write that is cut short


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """The system takes no more bytes in one file: the write that crosses the limit is cut short, the next refused."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_write_that_is_cut_short_is_an_error_and_not_silence(holes: RunningDoor) -> None:
    with holes.raw() as client:
        handle = client.open("/upload/cut.csv")
        with largest_file(MIB):
            for part in range(4):
                client.write(handle, part * 250_000, b"x" * 250_000)
            with pytest.raises(Refused):
                client.write(handle, 1_000_000, b"x" * 250_000)
        assert holes.uploaded("cut.csv").stat().st_size == MIB, "the system took a part"
        assert client.status(client.send(CLOSE, text(handle)))[0] != 0
        client.put("/upload/next.csv", b"12345")
        assert holes.arrival().path == "/upload/next.csv"


# Fact 8: replies nobody reads


@pytest.fixture
def process(tmp_path: Path, hot_path: bool) -> Iterator[Dropslot]:
    """A real server with one door process."""
    environment = {"DROPSLOT_HOT_PATH": str(hot_path), "DROPSLOT_QUIET_TIME": "60"}
    installation = Dropslot(tmp_path / "data", environment)
    try:
        yield installation
    finally:
        if installation.process is not None:
            installation.kill()


def test_three_hundred_large_reads_that_nobody_takes_fill_no_memory(process: Dropslot, tmp_path: Path) -> None:
    court = make_court(process, tmp_path / "court", "gwinnett")
    process.start("--sftp-processes", "1")
    big = court.home / "download" / "big.csv"
    big.parent.mkdir(parents=True, exist_ok=True)
    big.write_bytes(os.urandom(8 * MIB))
    [door] = process.children("sftp")
    client = paramiko.SSHClient()
    client.set_missing_host_key_policy(paramiko.AutoAddPolicy())
    client.connect("127.0.0.1", process.port, court.slug, key_filename=str(court.key), look_for_keys=False)
    transport: Any = client.get_transport()
    transport.default_window_size = 2**31 - 1  # nothing but the server's own care holds the replies back
    raw = RawClient(client)
    handle = raw.open("/download/big.csv", F_READ)
    before = door.memory_info().rss
    with raw.deaf():
        for number in range(300):
            raw.send(READ, text(handle) + struct.pack(">QI", number % 2 * 4 * MIB, 4 * MIB))
        peak = _peak(door, seconds=2)
        assert peak - before < 48 * MIB
        assert "upload" in court.sftp("ls /").stdout, "the door still serves"


def _peak(process: psutil.Process, seconds: float) -> int:
    """The largest resident size seen in that time."""
    until, peak = time.monotonic() + seconds, 0
    while time.monotonic() < until:
        peak = max(peak, process.memory_info().rss)
        time.sleep(0.02)
    return peak


# Fact 9: limits that are off by default


def test_every_limit_that_is_off_by_default_is_on(holes: RunningDoor) -> None:
    """The defaults of a fresh installation; that each works is shown in `test_limits`."""
    settings = holes.settings
    assert settings.auth_tries <= 6
    assert settings.channels <= 10
    assert settings.login_grace <= 60
    assert 0 < settings.idle_timeout <= 1800
    assert 0 < settings.keepalive <= 60
