"""The extensions to SFTP 3, asked packet by packet; checksums also by paramiko."""

import hashlib
import os
import random
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from server.sftp.checking import MOST_BYTES
from tests.server.sftp.conftest import RunningDoor, need, wait_until
from tests.server.sftp.rawclient import EXTENDED, FAILURE, NO_SUCH_FILE, STATUS, RawClient, Refused, attributes, text

CONTENT = random.Random(3).randbytes(100_000)  # the same in each process: test names are made of it
EXTENDED_REPLY = 201

ANNOUNCED = {
    "posix-rename@openssh.com": "1",
    "statvfs@openssh.com": "2",
    "fstatvfs@openssh.com": "2",
    "fsync@openssh.com": "1",
    "lsetstat@openssh.com": "1",
    "limits@openssh.com": "1",
    "expand-path@openssh.com": "1",
    "home-directory": "1",
    "users-groups-by-id@openssh.com": "1",
    "check-file-handle": "sha256,sha512",
    "check-file-name": "sha256,sha512",
    "check-file": "sha256,sha512",
}


def ask(client: RawClient, name: str, body: bytes) -> bytes:
    """The body of an EXTENDED_REPLY."""
    kind, answer = client.answer(client.send(EXTENDED, text(name) + body))
    if kind == STATUS:
        code, length = struct.unpack(">II", answer[:8])
        raise Refused(code, answer[8 : 8 + length].decode())
    assert kind == EXTENDED_REPLY
    return answer


def strings(body: bytes) -> list[bytes]:
    found = []
    while body:
        (length,) = struct.unpack(">I", body[:4])
        found.append(body[4 : 4 + length])
        body = body[4 + length :]
    return found


def one_name(client: RawClient, extension: str, name: str) -> str:
    kind, answer = client.answer(client.send(EXTENDED, text(extension) + text(name)))
    if kind == STATUS:
        code, length = struct.unpack(">II", answer[:8])
        raise Refused(code, answer[8 : 8 + length].decode())
    (found,) = client._names(answer)
    return found


def wish(algorithms: str = "sha256", start: int = 0, length: int = 0, block: int = 0) -> bytes:
    return text(algorithms) + struct.pack(">QQI", start, length, block)


@pytest.fixture
def client(door: RunningDoor) -> RawClient:
    client = door.raw()
    client.put("/upload/a.csv", CONTENT)
    return client


def test_what_is_announced_is_this_and_nothing_else(client: RawClient) -> None:
    assert client.extensions == ANNOUNCED


@pytest.mark.parametrize("name", sorted(ANNOUNCED))
def test_all_that_is_announced_is_answered(client: RawClient, name: str) -> None:
    """An empty request is a bad one, but never an unknown one; limits@openssh.com has nothing to say."""
    kind, body = client.answer(client.send(EXTENDED, text(name)))
    if name == "limits@openssh.com":
        assert kind == EXTENDED_REPLY
    else:
        assert (kind, struct.unpack(">I", body[:4])[0]) == (STATUS, 5)


@pytest.mark.parametrize("name", ["hardlink@openssh.com", "copy-data", "vendor-id", "newline", "md5-hash", ""])
def test_what_is_not_announced_is_unsupported(client: RawClient, name: str) -> None:
    assert client.status(client.send(EXTENDED, text(name)))[0] == 8


def test_posix_rename_replaces(client: RawClient, door: RunningDoor) -> None:
    client.put("/upload/b.csv", b"old")
    client.rename("/upload/a.csv", "/upload/b.csv", posix=True)
    assert door.uploaded("b.csv").read_bytes() == CONTENT


def test_statvfs_by_name_and_by_handle(client: RawClient, door: RunningDoor) -> None:
    system = os.statvfs(door.home())
    handle = client.open("/upload/a.csv", 1)
    for answer in (
        ask(client, "statvfs@openssh.com", text("/")),
        ask(client, "statvfs@openssh.com", text("/upload/a.csv")),
        ask(client, "fstatvfs@openssh.com", text(handle)),
    ):
        block, fragment, blocks, *_, name_max = struct.unpack(">11Q", answer)
        assert (block, fragment, blocks, name_max) == (
            *(system.f_bsize, system.f_frsize, system.f_blocks, system.f_namemax),
        )


def test_fsync(client: RawClient) -> None:
    handle = client.open("/upload/b.csv")
    client.write(handle, 0, b"content")
    client.ok(client.send(EXTENDED, text("fsync@openssh.com") + text(handle)))
    client.close(handle)


def test_lsetstat_sets_the_time(client: RawClient, door: RunningDoor) -> None:
    body = text("lsetstat@openssh.com") + text("/upload/a.csv") + attributes(mtime=1_600_000_000)
    client.ok(client.send(EXTENDED, body))
    assert door.uploaded("a.csv").stat().st_mtime == 1_600_000_000


def test_limits_are_kept(client: RawClient) -> None:
    packet, read, write, handles = struct.unpack(">4Q", ask(client, "limits@openssh.com", b""))
    assert packet > read == write == 256 * 1024
    handle = client.open("/upload/b.csv")
    client.write(handle, 0, b"x" * write)
    assert len(client.read(handle, 0, read)) == read
    for _ in range(handles - 1):
        client.open("/upload/b.csv", 1)
    with pytest.raises(Refused):
        client.open("/upload/b.csv", 1)


# Home


@pytest.mark.parametrize(
    ("path", "expanded"),
    [
        ("~", "/"),
        ("~/", "/"),
        ("~/upload/x.csv", "/upload/x.csv"),
        ("~/../../etc/passwd", "/etc/passwd"),
        ("~court", "/"),
        ("~court/upload", "/upload"),
        ("upload/../download", "/download"),
        ("/upload/~", "/upload/~"),
        ("", "/"),
    ],
)
def test_a_tilde_is_the_agencys_root(client: RawClient, path: str, expanded: str) -> None:
    assert one_name(client, "expand-path@openssh.com", path) == expanded


@pytest.mark.parametrize("name", ["", "court"])
def test_home_is_the_root(client: RawClient, name: str) -> None:
    assert one_name(client, "home-directory", name) == "/"


def test_of_others_nothing_is_told(client: RawClient, door: RunningDoor) -> None:
    """Neither of an agency that exists nor of one that does not, nor of a user of this machine."""
    door.home("neighbour").mkdir(parents=True)
    answers = set()
    for name in ("neighbour", "nobody-at-all", "root"):
        for extension, asked in (("home-directory", name), ("expand-path@openssh.com", f"~{name}/upload")):
            with pytest.raises(Refused) as refused:
                one_name(client, extension, asked)
            answers.add((refused.value.code, refused.value.sentence))
    assert answers == {(NO_SUCH_FILE, "There is no such user.")}


def test_ids_have_the_names_that_listings_show(client: RawClient) -> None:
    shown = client.stat("/upload/a.csv")
    ids = struct.pack(">III", shown["uid"], 0, shown["gid"])
    users, groups = strings(ask(client, "users-groups-by-id@openssh.com", text(ids) + text(ids[:4])))
    assert strings(users) == [b"agency", b"", b"agency"]
    assert strings(groups) == [b"agency"]


def test_half_an_id_is_no_id(client: RawClient) -> None:
    assert ask(client, "users-groups-by-id@openssh.com", text(b"\0\0\1") + text(b"")) == text("") + text("")


def test_too_many_ids_are_refused(client: RawClient) -> None:
    with pytest.raises(Refused, match="At most 1024 ids"):
        ask(client, "users-groups-by-id@openssh.com", text(b"\0" * 4100) + text(b""))


def test_scp_knows_where_home_is(client: RawClient, door: RunningDoor, tmp_path: Path) -> None:
    need("scp")
    back = tmp_path / "back"
    command = door.command("scp", "-s", "court@127.0.0.1:~/upload/a.csv", str(back))
    subprocess.run(command, check=True, capture_output=True)
    assert back.read_bytes() == CONTENT


# Checksums


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
def test_a_whole_file_by_name_and_by_handle(client: RawClient, algorithm: str) -> None:
    expected = text(algorithm) + hashlib.new(algorithm, CONTENT).digest()
    handle = client.open("/upload/a.csv", 1)
    assert ask(client, "check-file-name", text("/upload/a.csv") + wish(algorithm)) == expected
    assert ask(client, "check-file-handle", text(handle) + wish(algorithm)) == expected
    assert ask(client, "check-file", text(handle) + wish(algorithm)) == text("check-file") + expected


def test_the_clients_first_choice_that_we_have(client: RawClient) -> None:
    [name, *_] = [ask(client, "check-file-name", text("/upload/a.csv") + wish("md5,sha512,sha256"))]
    assert name.startswith(text("sha512"))


@pytest.mark.parametrize(
    ("start", "length", "expected"),
    [
        (10, 0, CONTENT[10:]),
        (10, 20, CONTENT[10:30]),
        (99_999, 50, CONTENT[99_999:]),
        (100_000, 0, b""),
        (1 << 63, (1 << 64) - 1, b""),
    ],
)
def test_a_stretch_of_a_file(client: RawClient, start: int, length: int, expected: bytes) -> None:
    answer = ask(client, "check-file-name", text("/upload/a.csv") + wish(start=start, length=length))
    assert answer == text("sha256") + hashlib.sha256(expected).digest()


@pytest.mark.parametrize("block", [256, 30_000, 100_000, 100_001, (1 << 32) - 1])
@pytest.mark.parametrize(("start", "end"), [(0, 100_000), (1, 90_001)])
def test_blocks_of_a_file(client: RawClient, block: int, start: int, end: int) -> None:
    answer = ask(client, "check-file-name", text("/upload/a.csv") + wish(start=start, length=end - start, block=block))
    blocks = [CONTENT[at : min(at + block, end)] for at in range(start, end, block)]
    assert answer == text("sha256") + b"".join(hashlib.sha256(one).digest() for one in blocks)


def test_an_empty_file(client: RawClient) -> None:
    client.put("/upload/empty.csv", b"")
    empty = text("/upload/empty.csv")
    assert ask(client, "check-file-name", empty + wish()) == text("sha256") + hashlib.sha256().digest()
    assert ask(client, "check-file-name", empty + wish(block=256)) == text("sha256")


def test_a_file_that_is_being_sent(client: RawClient) -> None:
    handle = client.open("/upload/b.csv")
    client.write(handle, 0, b"half")
    assert ask(client, "check-file-handle", text(handle) + wish())[-32:] == hashlib.sha256(b"half").digest()
    client.write(handle, 4, b"whole")
    assert ask(client, "check-file-handle", text(handle) + wish())[-32:] == hashlib.sha256(b"halfwhole").digest()
    client.close(handle)


@pytest.mark.parametrize(
    ("path", "asked", "code", "sentence"),
    [
        ("/upload/a.csv", wish("md5,sha1"), FAILURE, "sha256 and sha512"),
        ("/upload/a.csv", wish(block=255), FAILURE, "at least 256 bytes"),
        ("/upload/a.csv", wish(block=0, algorithms=""), FAILURE, "sha256 and sha512"),
        ("/upload/missing.csv", wish(), NO_SUCH_FILE, "no such file"),
        ("/upload", wish(), FAILURE, "That is a directory"),
        ("/", wish(), FAILURE, "That is a directory"),
        ("/../../etc/passwd", wish(), NO_SUCH_FILE, "no such file"),
    ],
)
def test_refused_in_a_sentence(client: RawClient, path: str, asked: bytes, code: int, sentence: str) -> None:
    with pytest.raises(Refused) as refused:
        ask(client, "check-file-name", text(path) + asked)
    assert refused.value.code == code
    assert sentence in refused.value.sentence


def test_an_unknown_handle(client: RawClient) -> None:
    with pytest.raises(Refused):
        ask(client, "check-file-handle", text(b"nope") + wish())


def test_too_much_is_refused_before_any_work(client: RawClient, door: RunningDoor) -> None:
    with door.uploaded("big.part").open("wb") as file:
        file.truncate(MOST_BYTES + 1)
    big = text("/upload/big.part")
    with pytest.raises(Refused, match="At most 1024 MiB"):
        ask(client, "check-file-name", big + wish())
    with pytest.raises(Refused, match="Ask for larger blocks"):
        ask(client, "check-file-name", big + wish(length=MOST_BYTES, block=256))
    assert ask(client, "check-file-name", big + wish(start=MOST_BYTES))[-32:] == hashlib.sha256(b"\0").digest()


def test_no_handle_is_left_open(client: RawClient) -> None:
    for number in range(300):
        asked = text("/upload/a.csv" if number % 2 else "/upload/missing.csv") + wish("sha256" if number % 3 else "md5")
        try:
            ask(client, "check-file-name", asked)
        except Refused:
            continue
    client.close(client.open("/upload/a.csv", 1))


def test_neighbours_are_served_meanwhile(open_door: Callable[..., RunningDoor]) -> None:
    """Twenty sessions ask for checksums of a GiB each; a neighbour's file is taken before they have their answers."""
    door = open_door()
    neighbour, askers = door.raw(), [door.raw() for _ in range(20)]
    with door.uploaded("big.part").open("wb") as file:
        file.truncate(MOST_BYTES)
    for asker in askers:
        asker.send(EXTENDED, text("check-file-name") + text("/upload/big.part") + wish())
    neighbour.put("/upload/a.csv", b"content")
    assert door.arrival().size == 7
    assert neighbour.stat("/upload/a.csv")["size"] == 7
    assert not all(asker.channel.recv_ready() for asker in askers)
    for asker in askers:
        asker.hang_up()
    wait_until(lambda: len(door.events.named("DISCONNECTED")) == 20, "the sessions to end")
    assert door.raw().stat("/upload/a.csv")["size"] == 7


def test_the_reply_to_one_asker_comes_after_that_to_its_last_request(client: RawClient) -> None:
    """Requests of one client are done one after another, in order."""
    requests = [
        client.send(EXTENDED, text("check-file-name") + text("/upload/a.csv") + wish(start=n)) for n in range(50)
    ]
    for number, request in enumerate(requests):
        assert client.answer(request)[1][-32:] == hashlib.sha256(CONTENT[number:]).digest()
        assert not client._early


def test_paramiko_checks(door: RunningDoor) -> None:
    ssh = door.paramiko()
    with ssh.open_sftp() as sftp, sftp.open("/upload/p.csv", "w") as file:
        file.write(CONTENT)
        assert file.check("sha256") == hashlib.sha256(CONTENT).digest()
    ssh.close()
