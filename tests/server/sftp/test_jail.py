"""Nobody leaves their home: every way out that has been found in SFTP servers, tried."""

import os
import socket
import struct
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest

from server.sftp.jail import Jail
from server.sftp.paths import AgencyPath, read_path
from tests.server.sftp.conftest import RunningDoor
from tests.server.sftp.rawclient import (
    EXTENDED,
    F_CREAT,
    F_READ,
    F_WRITE,
    FAILURE,
    NEW,
    NO_SUCH_FILE,
    OK,
    OP_UNSUPPORTED,
    PERMISSION_DENIED,
    READLINK,
    STAT,
    SYMLINK,
    RawClient,
    Refused,
    text,
)

SECRET = b"the neighbour's secret"


@pytest.fixture
def neighbour(door: RunningDoor) -> Path:
    """A file of another agency, in the same data directory."""
    home = door.home("neighbour") / "upload"
    home.mkdir(parents=True)
    (home / "secret.csv").write_bytes(SECRET)
    return home / "secret.csv"


@pytest.fixture
def client(door: RunningDoor, neighbour: Path) -> RawClient:
    return door.raw()


def refused(code: int, sentence: str = "") -> "pytest.RaisesExc[Refused]":
    return pytest.raises(Refused, match=f"^{code}: .*{sentence}")


def test_an_agency_sees_two_directories_and_nothing_else(client: RawClient, door: RunningDoor) -> None:
    (door.home() / "elsewhere").mkdir()
    (door.home() / "elsewhere" / "x.csv").write_bytes(SECRET)
    assert client.names("/") == ["download", "upload"]
    assert client.realpath(".") == "/"
    for path in ("/exports", "/elsewhere", "/elsewhere/x.csv", "/etc", "/etc/passwd"):
        with refused(NO_SUCH_FILE):
            client.stat(path)
        with refused(NO_SUCH_FILE):
            client.names(path)


def test_an_agency_with_exports_sees_them_too(client: RawClient, door: RunningDoor) -> None:
    with refused(PERMISSION_DENIED, "Only /upload and /download exist here"):
        client.mkdir("/exports")
    (door.home() / "exports").mkdir()
    (door.home() / "exports" / "x.csv").write_bytes(b"id\r\n")
    assert client.names("/") == ["download", "exports", "upload"]
    client.mkdir("/exports/done")
    client.rename("/exports/x.csv", "/exports/done/x.csv")
    assert client.names("/exports/done") == ["x.csv"]
    with refused(PERMISSION_DENIED, "/exports holds what the server has for you"):
        client.put("/exports/mine.csv", b"id")
    with refused(PERMISSION_DENIED, "between /upload and /exports"):
        client.rename("/exports/done/x.csv", "/upload/x.csv")
    with refused(PERMISSION_DENIED, "/exports is fixed"):
        client.rename("/exports", "/exports2")
    for call in (client.mkdir, client.rmdir, client.remove):
        with pytest.raises(Refused):
            call("/exports")


@pytest.mark.parametrize(
    "shape",
    [
        "{0}",
        "/{0}",
        "//{0}",
        "/upload/../../..{0}",
        "../../../../../../../../../../../..{0}",
        "/upload/../../neighbour/upload/secret.csv",
        "../neighbour/upload/secret.csv",
        "/upload/..//..//neighbour/upload/secret.csv",
        "/upload/./.././../neighbour/./upload/secret.csv",
        "upload/%2e%2e/%2e%2e/neighbour/upload/secret.csv",
    ],
)
def test_no_path_leads_out(client: RawClient, neighbour: Path, shape: str) -> None:
    path = shape.format(neighbour)
    for flags in (F_READ, NEW, F_WRITE):
        with pytest.raises(Refused):
            client.open(path, flags)
    for kind in (STAT, READLINK):
        code, _ = client.status(client.send(kind, text(path)))
        assert code != OK
    assert neighbour.read_bytes() == SECRET


@pytest.mark.parametrize("target", ["absolute", "relative", "directory"])
def test_a_planted_link_is_never_followed(client: RawClient, door: RunningDoor, neighbour: Path, target: str) -> None:
    link = door.uploaded("link")
    link.parent.mkdir(exist_ok=True)
    goal = {"absolute": neighbour, "relative": Path("../../neighbour/upload/secret.csv"), "directory": neighbour.parent}
    link.symlink_to(goal[target])
    assert "link" not in client.names("/upload")
    for path in ("/upload/link", "/upload/link/secret.csv"):
        for flags in (F_READ, F_WRITE):
            with refused(NO_SUCH_FILE):
                client.open(path, flags)
        with pytest.raises(Refused):
            client.open(path, NEW)
        with refused(NO_SUCH_FILE):
            client.stat(path, STAT)
        with pytest.raises(Refused):
            client.remove(path)
        with refused(NO_SUCH_FILE):
            client.setstat(path)
        with pytest.raises(Refused):
            client.rename(path, "/upload/stolen")
    with refused(NO_SUCH_FILE):
        client.names("/upload/link")
    assert neighbour.read_bytes() == SECRET
    assert link.is_symlink()


def test_links_cannot_be_made(client: RawClient, neighbour: Path) -> None:
    client.put("/upload/own.csv", b"1")
    for target in (str(neighbour), "../../neighbour", "own.csv"):
        code, sentence = client.status(client.send(SYMLINK, text(target) + text("/upload/link")))
        assert (code, "Links are not allowed" in sentence) == (PERMISSION_DENIED, True)
    assert "hardlink@openssh.com" not in client.extensions
    hardlink = client.send(EXTENDED, text("hardlink@openssh.com") + text("/upload/own.csv") + text("/upload/two.csv"))
    assert client.status(hardlink)[0] == OP_UNSUPPORTED
    link = client.send(21, text("/upload/two.csv") + text("/upload/own.csv") + b"\0")
    assert client.status(link)[0] in (PERMISSION_DENIED, OP_UNSUPPORTED)
    assert client.names("/upload") == ["own.csv"]


def test_unwanted_extensions_are_gone(client: RawClient) -> None:
    assert not set(client.extensions) & {"newline", "vendor-id", "hardlink@openssh.com", "copy-data"}
    handle = client.open("/upload/a.csv")
    copy = text("copy-data") + text(handle) + struct.pack(">QQ", 0, 0) + text(handle) + struct.pack(">Q", 1)
    assert client.status(client.send(EXTENDED, copy))[0] == OP_UNSUPPORTED
    kind, body = client.answer(client.send(EXTENDED, text("limits@openssh.com")))
    assert (kind, struct.unpack(">QQQQ", body)) == (201, (257 * 1024, 256 * 1024, 256 * 1024, 128))


def test_pipes_sockets_and_devices_are_never_opened(client: RawClient, door: RunningDoor) -> None:
    upload = door.home() / "upload"
    client.names("/upload")
    os.mkfifo(upload / "pipe")
    listener = socket.socket(socket.AF_UNIX)
    folder = os.open(upload, os.O_RDONLY)
    listener.bind(f"/proc/self/fd/{folder}/socket")
    os.close(folder)
    planted = ["pipe", "socket"]
    if os.geteuid() == 0:
        os.mknod(upload / "device", 0o600 | 0o020000, os.makedev(1, 5))
        planted.append("device")
    assert client.names("/upload") == []
    for name in planted:
        for flags in (F_READ, F_WRITE, F_WRITE | F_CREAT, NEW):
            with pytest.raises(Refused):
                client.open(f"/upload/{name}", flags)
        with refused(NO_SUCH_FILE):
            client.stat(f"/upload/{name}")
    listener.close()


def test_the_root_is_read_only_and_says_where_to_go(client: RawClient) -> None:
    for path in ("/ecr.csv", "ecr.csv", "/elsewhere/ecr.csv"):
        with refused(PERMISSION_DENIED, "Upload into /upload"):
            client.open(path, NEW)
    with refused(PERMISSION_DENIED, "Upload into /upload"):
        client.mkdir("/inbox")
    for path in ("/", "/upload", "/download"):
        with refused(PERMISSION_DENIED, "fixed"):
            client.rmdir(path)
        with refused(PERMISSION_DENIED, "fixed"):
            client.rename(path, "/upload/x")
    client.put("/upload/a.csv", b"1")
    with refused(PERMISSION_DENIED, "Rename within /upload"):
        client.rename("/upload/a.csv", "/a.csv")


def test_download_is_for_reading_tidying_and_nothing_else(client: RawClient, door: RunningDoor) -> None:
    client.names("/download")
    (door.home() / "download" / "report.csv").write_bytes(b"report")
    client.put("/upload/a.csv", b"1")
    with refused(PERMISSION_DENIED, "Upload into /upload"):
        client.open("/download/a.csv", NEW)
    with refused(PERMISSION_DENIED, "Upload into /upload"):
        client.open("/download/report.csv", F_WRITE)
    for old, new in (("/upload/a.csv", "/download/a.csv"), ("/download/report.csv", "/upload/report.csv")):
        with refused(PERMISSION_DENIED, "cannot be moved between"):
            client.rename(old, new)
    assert client.read(client.open("/download/report.csv", F_READ), 0, 100) == b"report"
    client.mkdir("/download/done")
    client.rename("/download/report.csv", "/download/done/report.csv")
    client.remove("/download/done/report.csv")
    client.rmdir("/download/done")
    assert client.names("/download") == []


def test_renaming_never_replaces_unless_it_is_asked_to(client: RawClient, door: RunningDoor) -> None:
    client.put("/upload/a.csv", b"a")
    client.put("/upload/b.csv", b"b")
    with refused(FAILURE, "taken already"):
        client.rename("/upload/a.csv", "/upload/b.csv")
    client.rename("/upload/a.csv", "/upload/b.csv", posix=True)
    assert door.uploaded("b.csv").read_bytes() == b"a"
    client.mkdir("/upload/d")
    with refused(FAILURE, "into itself"):
        client.rename("/upload/d", "/upload/d/e")
    with refused(NO_SUCH_FILE):
        client.rename("/upload/missing", "/upload/x")


@pytest.mark.parametrize(
    ("path", "sentence"),
    [
        (b"/upload/a\0b", "NUL"),
        (b"/upload/\xff\xfe.csv", "UTF-8"),
        (b"/upload/" + b"a" * 256, "255 bytes"),
        (b"/upload/" + "\u00e4".encode() * 128, "255 bytes"),
        (b"/upload/" + b"a/" * 2000, "too deep"),
        (b"/upload/" + b"a" * 5000, "too long"),
        (b"/upload/line\nbreak.csv", "control characters"),
    ],
)
def test_impossible_names_get_a_sentence(client: RawClient, path: bytes, sentence: str) -> None:
    with refused(FAILURE, sentence):
        client.open(path, NEW)


def test_possible_names_are_possible(client: RawClient) -> None:
    names = [
        "\u00e4\u00f6\u00fc \u2603 \U0001f40d.csv",
        "a" * 255,
        "-rf",
        "a b  c",
        "..a",
        "a..",
        "con",
        "a\\b",
        "%2e%2e",
    ]
    for name in names:
        client.put(f"/upload/{name}", b"1")
    assert client.names("/upload") == sorted(names)


def test_a_name_on_disk_that_is_no_utf8_is_not_listed(client: RawClient, door: RunningDoor) -> None:
    client.names("/upload")
    Path(os.fsdecode(os.fsencode(door.home() / "upload") + b"/\xff.csv")).write_bytes(b"1")
    assert client.names("/upload") == []


def test_a_listing_survives_files_that_vanish(client: RawClient, door: RunningDoor) -> None:
    client.names("/upload")
    for n in range(400):
        door.uploaded(f"{n:03}.csv").write_bytes(b"")
    handle = client.opendir("/upload")
    for n in range(100, 400):
        door.uploaded(f"{n:03}.csv").unlink()
    kind, body = client.answer(client.send(12, text(handle)))
    assert kind == 104
    assert len(client._names(body)) == 100


def test_what_is_not_there_fails_at_once(client: RawClient) -> None:
    with refused(NO_SUCH_FILE):
        client.opendir("/upload/missing")
    with refused(NO_SUCH_FILE):
        client.remove("/upload/missing")
    with refused(NO_SUCH_FILE):
        client.rmdir("/upload/missing")
    with refused(NO_SUCH_FILE):
        client.mkdir("/upload/missing/deeper")
    client.mkdir("/upload/full")
    client.put("/upload/full/a.csv", b"1")
    with refused(FAILURE, "not empty"):
        client.rmdir("/upload/full")
    with refused(FAILURE, "taken already"):
        client.mkdir("/upload/full")
    with refused(FAILURE, "a directory"):
        client.remove("/upload/full")
    with refused(FAILURE, "a directory"):
        client.open("/upload/full", F_READ)
    with pytest.raises(Refused):
        client.open("/upload/full", NEW)
    with pytest.raises(Refused):
        client.rename("/upload/full/a.csv", "/upload/full", posix=True)


def test_a_parent_swapped_for_a_link_while_files_are_opened(door: RunningDoor, neighbour: Path) -> None:
    """Somebody with access to the disk plays with links; a session never lands in the neighbour's home."""
    inside = door.uploaded("d")
    with door.raw() as client:
        client.mkdir("/upload/d")
        (inside / "secret.csv").write_bytes(b"own")
        stop = threading.Event()

        def play() -> None:
            aside = door.uploaded("aside")
            while not stop.is_set():
                inside.rename(aside)
                inside.symlink_to(neighbour.parent)
                inside.unlink()
                aside.rename(inside)

        player = threading.Thread(target=play)
        player.start()
        try:
            for _ in range(300):
                with suppress(Refused):
                    handle = client.open("/upload/d/secret.csv", F_READ)
                    assert client.read(handle, 0, 100) == b"own"
                    client.close(handle)
        finally:
            stop.set()
            player.join()


@pytest.mark.parametrize(
    ("raw", "parts"),
    [
        (b"", ()),
        (b".", ()),
        (b"/", ()),
        (b"..", ()),
        (b"/../..", ()),
        (b"//upload//a/", ("upload", "a")),
        (b"upload/./b/../a", ("upload", "a")),
        (b"/upload/../../download", ("download",)),
    ],
)
def test_paths_are_read_in_their_normal_form(raw: bytes, parts: tuple[str, ...]) -> None:
    assert read_path(raw) == AgencyPath(parts)


@pytest.mark.parametrize("posix", [True, False])
def test_a_link_of_the_operators_is_never_replaced(door: RunningDoor, neighbour: Path, posix: bool) -> None:
    with door.raw() as client:
        client.put("/upload/a.csv", b"12345")
        door.uploaded("link.csv").symlink_to(neighbour)
        with pytest.raises(Refused, match="taken already"):
            client.rename("/upload/a.csv", "/upload/link.csv", posix=posix)
    assert door.uploaded("link.csv").is_symlink()
    assert door.uploaded("a.csv").read_bytes() == b"12345"


def test_the_first_sessions_of_an_agency_may_come_at_once(tmp_path: Path) -> None:
    """Each finds the two directories there or makes them; none fails because another was quicker."""
    several, start = 8, threading.Barrier(8)

    def come(home: Path) -> None:
        start.wait(10)
        Jail(home).close()

    with ThreadPoolExecutor(several) as pool:
        for number in range(200):
            list(pool.map(come, [tmp_path / str(number)] * several))
            assert sorted(path.name for path in (tmp_path / str(number)).iterdir()) == ["download", "upload"]
