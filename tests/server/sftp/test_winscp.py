"""WinSCP, spoken packet by packet as its SftpFileSystem.cpp does: the program itself runs on Windows only.

`WinScp` has one method for each thing a person or a script does with it; the tests tell what comes of them here, and
what WinSCP would show where it comes to nothing.
"""

import hashlib
import os
import struct
import time
from collections.abc import Callable, Iterator

import pytest

from tests.server.sftp.conftest import RunningDoor
from tests.server.sftp.rawclient import (
    CLOSE,
    EXTENDED,
    F_CREAT,
    F_EXCL,
    F_READ,
    F_TRUNC,
    F_WRITE,
    FAILURE,
    LSTAT,
    NO_SUCH_FILE,
    OPEN,
    PERMISSION_DENIED,
    READ,
    REMOVE,
    RENAME,
    SETSTAT,
    STATUS,
    RawClient,
    Refused,
    attributes,
    text,
)

THRESHOLD = 100 * 1024
BLOCK = 32 * 1024 - 64
WINDOW = 64
SUFFIX = ".filepart"
MTIME = 1_700_000_000

SMALL = os.urandom(5_000)
LARGE = os.urandom(40 * BLOCK + 123)


class WinScp:
    """The default settings: resumable above 100 KiB, times preserved, permissions not."""

    def __init__(self, client: RawClient) -> None:
        self.raw = client
        assert client.version == 3
        assert "vendor-id" not in client.extensions
        kind, limits = client.answer(client.send(EXTENDED, text("limits@openssh.com")))
        assert kind == 201
        assert struct.unpack(">Q", limits[:8])[0] <= 1_024_000, "WinSCP refuses longer packets"
        self.home = client.realpath(".")

    def exists(self, path: str) -> bool:
        """An LSTAT, of which only code 2 means no."""
        try:
            self.raw.stat(path, LSTAT)
        except Refused as refused:
            if refused.code != NO_SUCH_FILE:
                raise
            return False
        return True

    def put(self, path: str, content: bytes) -> None:
        """Send a file, over one that is there if need be."""
        if len(content) < THRESHOLD:
            self.put_small(path, content)
            return
        replacing = self.exists(path)
        part = path + SUFFIX
        assert not self.exists(part), "WinSCP would ask whether to resume"
        handle = self.open_new(part, len(content))
        self.write(handle, content)
        self.raw.close(handle)
        self.finish(part, path, replacing)

    def put_small(self, path: str, content: bytes) -> None:
        """Without a temporary name; SETSTAT is sent before CLOSE is answered."""
        handle = self.open_new(path, len(content))
        self.write(handle, content)
        closing = self.raw.send(CLOSE, text(handle))
        times = self.raw.send(SETSTAT, text(path) + attributes(mtime=MTIME))
        self.raw.ok(closing)
        self.raw.ok(times)

    def resume(self, path: str, content: bytes) -> None:
        """Go on with the temporary file that is there."""
        part = path + SUFFIX
        there = self.raw.stat(part, LSTAT)["size"]
        handle = self.raw.open(part, F_WRITE)
        self.write(handle, content[there:], there)
        self.raw.close(handle)
        self.finish(part, path, replacing=self.exists(path))

    def finish(self, part: str, path: str, replacing: bool) -> None:
        if replacing:
            self.raw.remove(path)
        self.raw.rename(part, path)
        self.raw.ok(self.raw.send(SETSTAT, text(path) + attributes(mtime=MTIME)))

    def open_new(self, path: str, size: int, flags: int = F_WRITE | F_CREAT | F_TRUNC) -> bytes:
        """WinSCP declares the whole size."""
        return self.raw._handle(self.raw.send(OPEN, text(path) + struct.pack(">I", flags) + attributes(size)))

    def write(self, handle: bytes, content: bytes, at: int = 0) -> None:
        """At most 64 blocks under way."""
        waiting: list[int] = []
        for offset in range(0, len(content), BLOCK):
            waiting.append(self.raw.send_write(handle, at + offset, content[offset : offset + BLOCK]))
            if len(waiting) == WINDOW:
                self.raw.ok(waiting.pop(0))
        for request in waiting:
            self.raw.ok(request)

    def get(self, path: str) -> bytes:
        """LSTAT, then at most 32 READs under way."""
        size = self.raw.stat(path, LSTAT)["size"]
        handle = self.raw.open(path, F_READ)
        reads = [
            self.raw.send(READ, text(handle) + struct.pack(">QI", offset, BLOCK)) for offset in range(0, size, BLOCK)
        ]
        content = b"".join(self.raw.answer(request)[1][4:] for request in reads)
        self.raw.close(handle)
        return content


@pytest.fixture
def winscp(door: RunningDoor) -> Iterator[WinScp]:
    with door.raw() as client:
        yield WinScp(client)


def test_it_begins_at_the_root(winscp: WinScp) -> None:
    assert winscp.home == "/"
    assert winscp.raw.names("/") == ["download", "upload"]


def test_a_missing_file_is_code_2(winscp: WinScp) -> None:
    for path in ("/upload/a.csv", "/upload/a.csv.filepart", "/a.csv", "/upload/none/a.csv", "/upload/" + "n" * 246):
        assert not winscp.exists(path)


def test_a_small_file_in_one_breath(winscp: WinScp, door: RunningDoor) -> None:
    winscp.put("/upload/ecr.csv", SMALL)
    arrived = door.arrival()
    assert (arrived.size, arrived.declared_size) == (len(SMALL), len(SMALL))
    assert door.content(arrived) == SMALL
    assert winscp.raw.stat("/upload/ecr.csv")["mtime"] == MTIME


def test_a_large_file_under_a_temporary_name(winscp: WinScp, door: RunningDoor) -> None:
    winscp.put("/upload/ecr.csv", LARGE)
    arrived = door.arrival()
    assert (arrived.path, arrived.size, arrived.declared_size) == ("/upload/ecr.csv", len(LARGE), len(LARGE))
    assert door.content(arrived) == LARGE
    assert door.uploaded("ecr.csv").stat().st_mtime == MTIME
    assert list(door.journal.entries()) == []


def test_nothing_arrives_before_the_rename(winscp: WinScp, door: RunningDoor) -> None:
    handle = winscp.open_new("/upload/ecr.csv.filepart", len(LARGE))
    winscp.write(handle, LARGE)
    winscp.raw.close(handle)
    assert list(door.spool.all()) == []
    winscp.raw.rename("/upload/ecr.csv.filepart", "/upload/ecr.csv")
    assert door.arrival().size == len(LARGE)


@pytest.mark.parametrize("content", [SMALL, LARGE], ids=["small", "large"])
def test_a_file_of_every_night(winscp: WinScp, door: RunningDoor, content: bytes) -> None:
    """The second night's file replaces the first's, and both arrive."""
    for night, sent in enumerate((content, content[::-1]), 1):
        winscp.put("/upload/ecr.csv", sent)
        assert door.content(door.arrival(night)) == sent
        assert winscp.get("/upload/ecr.csv") == sent


def test_rights_are_asked_for_and_granted_in_words(winscp: WinScp, door: RunningDoor) -> None:
    """After replacing a file it sets the old one's rights on the new one: yes is said, nothing is done."""
    winscp.put("/upload/ecr.csv", LARGE)
    rights = struct.pack(">II", 4, 0o100600)
    winscp.raw.ok(winscp.raw.send(SETSTAT, text("/upload/ecr.csv") + rights))
    assert winscp.raw.stat("/upload/ecr.csv")["mode"] == 0o100644


def test_times_are_set_on_a_file_that_has_been_taken_away(winscp: WinScp, door: RunningDoor) -> None:
    """Whoever empties /upload between RENAME and SETSTAT must not make a nightly script fail."""
    winscp.put("/upload/ecr.csv", SMALL)
    door.arrival()
    door.uploaded("ecr.csv").unlink()
    winscp.raw.ok(winscp.raw.send(SETSTAT, text("/upload/ecr.csv") + attributes(mtime=MTIME)))


# Cancelled, torn, resumed


def test_cancelling_a_small_file_takes_it_back(open_door: Callable[..., RunningDoor]) -> None:
    """CLOSE, then REMOVE. The declared size tells it from a whole file even if the REMOVE never came."""
    door = open_door(settle=5)
    with door.raw() as client:
        winscp = WinScp(client)
        handle = winscp.open_new("/upload/ecr.csv", len(SMALL))
        winscp.write(handle, SMALL[:1000])
        with pytest.raises(Refused, match="1000 of 5000 bytes arrived"):
            client.close(handle)
        client.remove("/upload/ecr.csv")
        assert not winscp.exists("/upload/ecr.csv")
        assert list(door.spool.all()) == []
    door.drain()
    assert door.intake.arrived == []


def test_cancelling_just_after_the_last_byte_takes_it_back_too(open_door: Callable[..., RunningDoor]) -> None:
    """Streamed files have no size to declare: then the settle time is what a REMOVE has."""
    door = open_door(settle=5)
    with door.raw() as client:
        client.put("/upload/ecr.csv", SMALL)
        client.remove("/upload/ecr.csv")
        assert list(door.spool.all()) == []
    door.drain()
    assert door.intake.arrived == []


def test_a_cancelled_large_file_stays_and_is_resumed(winscp: WinScp, door: RunningDoor) -> None:
    handle = winscp.open_new("/upload/ecr.csv.filepart", len(LARGE))
    winscp.write(handle, LARGE[: 10 * BLOCK])
    winscp.raw.close(handle)
    torn = door.tear()
    assert (torn.size, door.intake.arrived) == (10 * BLOCK, [])
    winscp.resume("/upload/ecr.csv", LARGE)
    arrived = door.arrival()
    assert arrived.id == torn.id
    assert door.content(arrived) == LARGE


def test_a_lost_connection_is_resumed_by_the_next_session(door: RunningDoor) -> None:
    client = door.raw()
    winscp = WinScp(client)
    handle = winscp.open_new("/upload/ecr.csv.filepart", len(LARGE))
    winscp.write(handle, LARGE[: 10 * BLOCK])
    client.hang_up()
    torn = door.tear()
    with door.raw() as again:
        WinScp(again).resume("/upload/ecr.csv", LARGE)
    assert door.arrival().id == torn.id
    assert door.content(door.arrival()) == LARGE


def test_last_nights_beginning_with_tonights_rest_is_no_file(winscp: WinScp, door: RunningDoor) -> None:
    """WinSCP compares nothing but sizes when it resumes; the size it declared the first time tells."""
    tonight = os.urandom(len(LARGE) + 1)
    handle = winscp.open_new("/upload/ecr.csv.filepart", len(LARGE))
    winscp.write(handle, LARGE[: 10 * BLOCK])
    winscp.raw.close(handle)
    door.tear()
    with pytest.raises(Refused, match="not whole"):
        winscp.resume("/upload/ecr.csv", tonight)
    assert door.tear(2).reason
    assert door.intake.arrived == []


# Overwriting, and what a person is told


def test_the_overwrite_check(winscp: WinScp) -> None:
    """An exclusive OPEN must fail on a file that is there: that is when WinSCP asks."""
    handle = winscp.open_new("/upload/ecr.csv", 5, F_WRITE | F_CREAT | F_EXCL)
    winscp.write(handle, b"first")
    winscp.raw.close(handle)
    with pytest.raises(Refused) as refused:
        winscp.open_new("/upload/ecr.csv", 6, F_WRITE | F_CREAT | F_EXCL)
    assert refused.value.code == FAILURE
    assert "taken already" in refused.value.sentence
    assert winscp.get("/upload/ecr.csv") == b"first"


@pytest.mark.parametrize(
    ("request_", "code", "shown"),
    [
        ("put /ecr.csv", PERMISSION_DENIED, "Only /upload and /download exist here. Upload into /upload."),
        (
            "put /download/ecr.csv",
            PERMISSION_DENIED,
            "/download holds what the server has for you. Upload into /upload.",
        ),
        ("put /upload/none/ecr.csv", NO_SUCH_FILE, "There is no such file or directory."),
        ("remove /upload", PERMISSION_DENIED, "/upload and /download are fixed: they cannot be renamed or deleted."),
        ("remove /upload/none.csv", NO_SUCH_FILE, "There is no such file or directory."),
        (
            "rename /upload/a.csv /a.csv",
            PERMISSION_DENIED,
            "Only /upload and /download exist here. Rename within /upload.",
        ),
        (
            *("rename /upload/a.csv /upload/b.csv", FAILURE),
            "That name is taken already. Choose another name or delete the file first.",
        ),
    ],
)
def test_a_refusal_is_a_sentence_that_helps(winscp: WinScp, request_: str, code: int, shown: str) -> None:
    """WinSCP shows it as the server's message, below its own words for the code ("Permission denied.", say)."""
    winscp.put("/upload/a.csv", b"a")
    winscp.put("/upload/b.csv", b"b")
    operation, *paths = request_.split()
    kind = {"put": OPEN, "remove": REMOVE, "rename": RENAME}[operation]
    tail = struct.pack(">I", F_WRITE | F_CREAT | F_TRUNC) + attributes(1) if kind == OPEN else b""
    assert winscp.raw.status(winscp.raw.send(kind, b"".join(map(text, paths)) + tail)) == (code, shown)


def test_a_checksum_of_what_was_sent(winscp: WinScp) -> None:
    """WinSCP's "Calculate checksum" asks check-file-name for sha256 over everything."""
    winscp.put("/upload/ecr.csv", LARGE)
    asked = text("check-file-name") + text("/upload/ecr.csv") + text("sha256") + struct.pack(">QQI", 0, 0, 0)
    kind, answer = winscp.raw.answer(winscp.raw.send(EXTENDED, asked))
    assert kind != STATUS
    assert answer == text("sha256") + hashlib.sha256(LARGE).digest()


def test_it_may_be_silent_longer_than_it_waits_for_us(open_door: Callable[..., RunningDoor]) -> None:
    """Its keepalives are off by default; when they are on, a REALPATH each 30 s counts as a request."""
    door = open_door(idle_timeout=1, keepalive=0.2)
    with door.raw() as client:
        winscp = WinScp(client)
        for _ in range(5):
            time.sleep(0.4)
            assert client.realpath("/") == "/"
        winscp.put("/upload/ecr.csv", SMALL)
        assert door.arrival().size == len(SMALL)
        time.sleep(2)
        with pytest.raises((EOFError, OSError)):
            client.realpath("/")
