"""An agency's quota, tried from outside: what counts, what gives room again, and that nothing ever exceeds it."""

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from server.intake import usage as counting
from server.intake.usage import Meter, Quota, Usage, measure
from tests.server.sftp.conftest import RunningDoor, need, wait_until
from tests.server.sftp.rawclient import CLOSE, F_APPEND, F_CREAT, F_EXCL, F_READ, F_WRITE, NEW, RawClient, Refused, text

Opener = Callable[..., RunningDoor]
KIB = 1024
MIB = 1024 * KIB
FULL = "Your files in /upload may have .* together"


def limit(door: RunningDoor, size: int | None = None, files: int | None = None) -> None:
    for key, account in door.gate.accounts.items():
        door.gate.accounts[key] = replace(account, quota=Quota(size, files))


def meter(door: RunningDoor) -> Meter:
    return Meter(door.settings.run, "court", door.home() / "upload")


def counted(door: RunningDoor) -> Usage:
    """What is counted, which must be what is there."""
    found = meter(door).usage()
    assert found == measure(door.home() / "upload")
    return found


def close_refused(client: RawClient, handle: bytes) -> str:
    code, sentence = client.status(client.send(CLOSE, text(handle)))
    assert code == 4
    return sentence


def put_in_vain(client: RawClient, path: str, data: bytes) -> None:
    """Send a file that does not fit."""
    handle = client.open(path)
    with pytest.raises(Refused, match=FULL):
        client.write(handle, 0, data)
    close_refused(client, handle)


@pytest.fixture
def small(door: RunningDoor) -> RunningDoor:
    """A door at which the court may have 100 bytes and 5 files."""
    limit(door, 100, 5)
    return door


@pytest.fixture
def client(small: RunningDoor) -> Iterator[RawClient]:
    with small.raw() as opened:
        yield opened


def test_a_file_that_does_not_fit_is_torn_and_told(small: RunningDoor, client: RawClient) -> None:
    client.put("/upload/a.csv", b"x" * 60)
    handle = client.open("/upload/b.csv")
    client.write(handle, 0, b"x" * 40)
    with pytest.raises(Refused, match=r"may have 100 bytes together.* Delete some"):
        client.write(handle, 40, b"x")
    with pytest.raises(Refused, match="earlier part"):
        client.write(handle, 0, b"x")
    assert "not whole: there was no more room" in close_refused(client, handle)
    assert small.tear().path == "/upload/b.csv"
    assert small.arrival().path == "/upload/a.csv"
    assert counted(small) == Usage(100, 2)


def test_who_hangs_up_after_it_did_not_fit_is_told_of_for_that(small: RunningDoor) -> None:
    """As lftp does."""
    with small.raw() as client:
        handle = client.open("/upload/a.csv")
        client.write(handle, 0, b"x" * 40)
        with pytest.raises(Refused, match=FULL):
            client.write(handle, 40, b"x" * 61)
    assert small.tear().reason == "there was no more room for it in /upload"


def test_who_hangs_up_amid_a_file_is_told_of_for_that(small: RunningDoor) -> None:
    with small.raw() as client:
        client.write(client.open("/upload/a.csv"), 0, b"x" * 40)
    assert small.tear().reason in ("the connection was lost", "the session ended before the file was closed")


def test_other_agencies_do_not_notice(small: RunningDoor, keys: Path) -> None:
    small.admit("other", (keys / "stranger.fingerprint").read_text())
    with RawClient(small.paramiko("other", "stranger")) as other, small.raw() as client:
        put_in_vain(client, "/upload/a.csv", b"x" * 101)
        other.put("/upload/a.csv", b"x" * 1000)
        assert small.arrival().agency == "other"
    assert not (small.settings.run / "quota" / "other").exists()


def test_a_file_is_replaced_by_one_of_the_same_size_when_all_is_full(small: RunningDoor, client: RawClient) -> None:
    for name in "abcde":
        client.put(f"/upload/{name}.csv", b"1" * 20)
    assert counted(small) == Usage(100, 5)
    client.put("/upload/a.csv", b"2" * 20)
    assert counted(small) == Usage(100, 5)
    put_in_vain(client, "/upload/a.csv", b"3" * 21)
    assert small.arrival(6).path == "/upload/a.csv"


def test_a_smaller_one_gives_room(small: RunningDoor, client: RawClient) -> None:
    client.put("/upload/a.csv", b"1" * 100)
    client.put("/upload/a.csv", b"2" * 30)
    assert counted(small) == Usage(30, 1)
    client.put("/upload/b.csv", b"3" * 70)
    assert counted(small) == Usage(100, 2)


def test_deleting_gives_room(small: RunningDoor, client: RawClient) -> None:
    client.put("/upload/a.csv", b"x" * 100)
    put_in_vain(client, "/upload/b.csv", b"x")
    client.remove("/upload/a.csv")
    client.put("/upload/b.csv", b"x" * 100)
    assert counted(small) == Usage(100, 1)


def test_what_is_deleted_in_download_gives_none(small: RunningDoor, client: RawClient) -> None:
    client.put("/upload/a.csv", b"x" * 50)
    (small.home() / "download" / "receipt.txt").write_bytes(b"x" * 50)
    client.rename("/download/receipt.txt", "/download/r.txt")
    client.remove("/download/r.txt")
    assert counted(small) == Usage(50, 1)


def test_a_rename_over_a_file_takes_it_away(small: RunningDoor, client: RawClient) -> None:
    client.put("/upload/a.csv", b"x" * 40)
    client.put("/upload/b.csv", b"x" * 60)
    with pytest.raises(Refused, match="taken"):
        client.rename("/upload/a.csv", "/upload/b.csv")
    assert counted(small) == Usage(100, 2)
    client.rename("/upload/a.csv", "/upload/b.csv", posix=True)
    assert counted(small) == Usage(40, 1)
    client.mkdir("/upload/d")
    client.rename("/upload/b.csv", "/upload/d/b.csv", posix=True)
    client.rename("/upload/d", "/upload/e")
    assert counted(small) == Usage(40, 2), "the file and the directory"
    client.mkdir("/upload/empty")
    client.rename("/upload/e", "/upload/empty", posix=True)
    assert counted(small) == Usage(40, 2), "an empty directory is replaced as well"


def test_the_number_of_files_is_limited(small: RunningDoor, client: RawClient) -> None:
    for number in range(5):
        client.put(f"/upload/{number}.csv", b"")
    for flags in (NEW, F_WRITE | F_CREAT, F_WRITE | F_CREAT | F_EXCL):
        with pytest.raises(Refused, match=r"You may have 5 files and directories in /upload.* Delete some"):
            client.open("/upload/5.csv", flags)
    assert not small.uploaded("5.csv").exists()
    client.put("/upload/0.csv", b"again")
    client.remove("/upload/1.csv")
    client.put("/upload/5.csv", b"x")
    assert counted(small) == Usage(6, 5)


def test_directories_count_as_files_do(small: RunningDoor, client: RawClient) -> None:
    for number in range(5):
        client.mkdir(f"/upload/{number}")
    with pytest.raises(Refused, match="You may have 5 files and directories"):
        client.mkdir("/upload/5")
    with pytest.raises(Refused, match="You may have 5 files and directories"):
        client.open("/upload/0/a.csv")
    assert counted(small) == Usage(0, 5)
    client.rmdir("/upload/4")
    for refused in (lambda: client.rmdir("/upload/4"), lambda: client.mkdir("/upload/0")):
        with pytest.raises(Refused):
            refused()
    assert counted(small) == Usage(0, 4)
    client.put("/upload/0/a.csv", b"1")
    with pytest.raises(Refused, match="not empty"):
        client.rmdir("/upload/0")
    assert counted(small) == Usage(1, 5)


def test_so_many_directories_may_be_in_download_and_exports_too(small: RunningDoor, client: RawClient) -> None:
    (small.home() / "exports").mkdir()
    for number in range(5):
        client.put(f"/upload/{number}.csv", b"")
    for area in ("/download", "/exports"):
        client.mkdir(f"{area}/done")
        for number in range(4):
            client.mkdir(f"{area}/done/{number}")
        for one_more in (f"{area}/new", f"{area}/done/new"):
            with pytest.raises(Refused, match=f"You may have 5 directories in {area}, .* Delete some"):
                client.mkdir(one_more)
        client.rmdir(f"{area}/done/0")
        client.mkdir(f"{area}/new")
    assert counted(small) == Usage(0, 5), "none of them is in /upload"


def test_appending_counts(small: RunningDoor, client: RawClient) -> None:
    client.put("/upload/a.csv", b"x" * 60)
    handle = client.open("/upload/a.csv", F_WRITE | F_APPEND)
    client.write(handle, 0, b"y" * 40)
    with pytest.raises(Refused, match=FULL):
        client.write(handle, 0, b"y")
    close_refused(client, handle)
    assert counted(small) == Usage(100, 1)


def test_writing_within_a_file_takes_nothing(small: RunningDoor, client: RawClient) -> None:
    client.put("/upload/a.csv", b"x" * 100)
    client.put("/upload/a.csv", b"y" * 30, F_WRITE)
    assert small.uploaded("a.csv").read_bytes() == b"y" * 30 + b"x" * 70
    assert counted(small) == Usage(100, 1)


def test_a_size_counts_though_there_are_holes(small: RunningDoor, client: RawClient) -> None:
    client.put("/upload/a.csv", b"x" * 10)
    with pytest.raises(Refused, match="never written"):
        client.setstat("/upload/a.csv", size=100)
    assert counted(small) == Usage(100, 1)
    client.setstat("/upload/a.csv", size=5)
    assert counted(small) == Usage(5, 1)
    with pytest.raises(Refused, match="no more room"):
        client.setstat("/upload/a.csv", size=2**31)
    handle = client.open("/upload/b.csv")
    with pytest.raises(Refused, match=FULL):
        client.write(handle, 2**30, b"x")
    close_refused(client, handle)
    assert counted(small) == Usage(5, 2)


def test_what_is_torn_counts_and_can_be_resumed(small: RunningDoor) -> None:
    first = small.raw()
    first.write(first.open("/upload/a.csv"), 0, b"x" * 70)
    first.hang_up()
    assert small.tear().path == "/upload/a.csv"
    assert counted(small) == Usage(70, 1)
    with small.raw() as client:
        put_in_vain(client, "/upload/b.csv", b"x" * 31)
        client.remove("/upload/b.csv")
        handle = client.open("/upload/a.csv", F_WRITE)
        client.write(handle, 70, b"x" * 30)
        client.close(handle)
    assert small.arrival().size == 100
    assert counted(small) == Usage(100, 1)


def test_a_name_that_is_lost_while_its_file_is_sent_is_counted_once(small: RunningDoor) -> None:
    with small.raw() as slow, small.raw() as other:
        for lose in (
            lambda: other.put("/upload/a.csv", b"y" * 10),
            lambda: other.remove("/upload/a.csv"),
            lambda: other.rename("/upload/c.csv", "/upload/a.csv", posix=True),
        ):
            other.put("/upload/c.csv", b"z" * 20)
            handle = slow.open("/upload/a.csv")
            slow.write(handle, 0, b"x" * 30)
            lose()
            close_refused(slow, handle)
            counted(small)
    assert counted(small) == Usage(20, 1)


def held_beside(home: Path) -> int:
    """How many bytes of the disk open files take that have no name below `home` any more."""
    held = 0
    for link in Path("/proc/self/fd").iterdir():
        with suppress(OSError):
            if (place := str(link.readlink())).startswith(str(home)) and place.endswith("(deleted)"):
                held += link.stat().st_blocks * 512
    return held


def test_an_upload_that_has_lost_its_name_holds_nothing_on_the_disk(door: RunningDoor) -> None:
    limit(door, MIB, 20)
    with door.raw() as client, door.raw() as other:
        handles = []

        def begin() -> None:
            handles.append(client.open("/upload/a.csv"))
            for offset in range(0, MIB, 128 * KIB):
                client.write(handles[-1], offset, b"x" * 128 * KIB)

        def touch_up() -> None:
            handle = other.open("/upload/a.csv", F_WRITE)
            other.write(handle, 0, b"y")  # a copy takes the place of what is still being sent
            close_refused(other, handle)
            other.remove("/upload/a.csv")

        for lose in (lambda: None, touch_up, lambda: other.remove("/upload/a.csv"), lambda: None):
            begin()
            lose()
        other.put("/upload/b.csv", b"")
        other.rename("/upload/b.csv", "/upload/a.csv", posix=True)
        assert held_beside(door.home()) == 0
        for handle in handles:
            with pytest.raises(Refused, match="Send it again"):
                client.write(handle, MIB, b"x")
            close_refused(client, handle)
        assert counted(door) == Usage(0, 1)


def test_what_somebody_reads_is_read_to_its_end_though_it_was_deleted(door: RunningDoor) -> None:
    with door.raw() as client:
        client.put("/upload/a.tmp", b"x" * MIB)
        handle = client.open("/upload/a.tmp", F_READ)
        client.remove("/upload/a.tmp")
        assert client.read(handle, MIB - 10, 20) == b"x" * 10


def test_what_fails_to_begin_takes_nothing(small: RunningDoor, client: RawClient) -> None:
    client.put("/upload/a.csv", b"x" * 10)
    client.mkdir("/upload/d")
    for path, flags in (("/upload/a.csv", NEW | F_EXCL), ("/upload/d", NEW), ("/upload/no/b.csv", NEW)):
        with pytest.raises(Refused):
            client.open(path, flags)
    for path in ("/upload/d", "/upload/nothing"):
        with pytest.raises(Refused):
            client.remove(path)
    with pytest.raises(Refused):
        client.rename("/upload/a.csv", "/upload/d", posix=True)
    assert counted(small) == Usage(10, 2)
    assert meter(small).recount()  # nobody is held to be at work


def test_the_quota_of_an_open_session_changes(small: RunningDoor, client: RawClient) -> None:
    client.put("/upload/a.csv", b"x" * 100)
    limit(small, 200, 5)
    wait_until(lambda: _fits(client, 150), "the new quota to hold")
    limit(small, 50, 5)
    wait_until(lambda: not _fits(client, 1), "the lowered quota to hold")
    client.put("/upload/a.csv", b"y" * 100)  # it only stops growth
    client.remove("/upload/a.csv")
    counted(small)
    limit(small)
    wait_until(lambda: _fits(client, 1000), "the quota to be gone")


def _fits(client: RawClient, size: int) -> bool:
    """Whether a file fits that is as large as /upload is to be then."""
    with suppress(Refused):
        client.remove("/upload/try.csv")
    there = sum(client.stat(f"/upload/{name}")["size"] for name in client.names("/upload"))
    handle = client.open("/upload/try.csv")
    code, _ = client.status(client.send_write(handle, 0, b"x" * max(size - there, 1)))
    client.status(client.send(CLOSE, text(handle)))
    return code == 0


def test_what_an_operator_deletes_gives_room_when_it_is_counted(small: RunningDoor, client: RawClient) -> None:
    client.put("/upload/a.csv", b"x" * 100)
    small.uploaded("a.csv").unlink()
    put_in_vain(client, "/upload/b.csv", b"x")
    assert meter(small).recount()
    client.put("/upload/b.csv", b"x" * 100)
    assert counted(small) == Usage(100, 1)


def test_a_lost_counter_is_counted_anew(small: RunningDoor, client: RawClient) -> None:
    client.put("/upload/a.csv", b"x" * 60)
    for file in (small.settings.run / "quota").iterdir():
        file.unlink()
    put_in_vain(client, "/upload/b.csv", b"x" * 41)
    handle = client.open("/upload/c.csv")
    (small.settings.run / "quota" / "court").unlink()
    with pytest.raises(Refused, match=FULL):
        client.write(handle, 0, b"x" * 41)


def test_who_counts_holds_nobody_else_up(
    small: RunningDoor, client: RawClient, keys: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    client.put("/upload/a.csv", b"x" * 60)
    small.admit("other", (keys / "stranger.fingerprint").read_text())
    counts, go_on = threading.Event(), threading.Event()

    def measure_slowly(folder: Path) -> Usage:
        counts.set()
        assert go_on.wait(20)
        return measure(folder)

    monkeypatch.setattr(counting, "measure", measure_slowly)
    counter = threading.Thread(target=meter(small).recount)
    counter.start()
    try:
        assert counts.wait(20)
        waiting = client.send(3, text("/upload/b.csv") + bytes.fromhex("0000001a00000000"))
        with RawClient(small.paramiko("other", "stranger")) as other:
            other.put("/upload/a.csv", b"x" * 1000)
        assert not small.uploaded("b.csv").exists()
    finally:
        go_on.set()
        counter.join(20)
    client.close(client._handle(waiting))
    assert counted(small) == Usage(60, 2)


def test_a_large_file_asks_now_and_then_and_gives_back(door: RunningDoor) -> None:
    limit(door, 10 * MIB)
    block = os.urandom(256 * KIB)
    with door.raw() as client:
        handle = client.open("/upload/a.csv")
        for offset in range(0, 9 * MIB, len(block)):
            client.write(handle, offset, block)
        assert 9 * MIB <= meter(door).usage().size <= 10 * MIB
        client.close(handle)
        assert counted(door) == Usage(9 * MIB, 1)
        client.put("/upload/b.csv", block)
        with pytest.raises(Refused, match="may have 10 MiB together"):
            _fill(client, "/upload/c.csv", block, 2 * MIB)
        assert 10 * MIB - len(block) <= measure(door.home() / "upload").size <= 10 * MIB


def _fill(client: RawClient, path: str, block: bytes, size: int) -> None:
    handle = client.open(path)
    for offset in range(0, size, len(block)):
        client.write(handle, offset, block)


def test_two_processes_together_never_exceed_it(tmp_path: Path, keys: Path, hot_path: bool) -> None:
    doors = [RunningDoor(tmp_path / "both", keys, hot_path=hot_path) for _ in range(2)]
    most, block = 8 * MIB, b"x" * 64 * KIB
    refused: list[str] = []

    def send(door: RunningDoor, name: str) -> None:
        with door.raw() as client:
            handle = client.open(f"/upload/{name}.csv")
            try:
                for offset in range(0, 4 * MIB, len(block)):
                    client.write(handle, offset, block)
                client.close(handle)
            except Refused as refusal:
                refused.append(refusal.sentence)
                close_refused(client, handle)

    try:
        for door in doors:
            door.admit("court", (keys / "id.fingerprint").read_text())
            limit(door, most)
            door.start()
        threads = [threading.Thread(target=send, args=(doors[n % 2], str(n))) for n in range(4)]
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            assert measure(doors[0].home() / "upload").size <= most
            threads[0].join(0.01)
            threads[-1].join(0.01)
        assert len(refused) >= 2
        assert all(sentence.startswith("Your files in /upload may have 8 MiB together") for sentence in refused)
        assert counted(doors[0]) == counted(doors[1])
        assert sum(len(door.intake.arrived) for door in doors) <= 2
    finally:
        for door in doors:
            door.drain()


def test_openssh_is_told(door: RunningDoor, tmp_path: Path) -> None:
    need("sftp")
    limit(door, MIB)
    big = tmp_path / "big.csv"
    big.write_bytes(os.urandom(3 * MIB))
    done = door.sftp(f"put {big} /upload/big.csv", check=False)
    assert done.returncode != 0
    assert door.tear().path == "/upload/big.csv"
    assert measure(door.home() / "upload").size <= MIB
    assert door.intake.arrived == []
    big.write_bytes(os.urandom(MIB))
    door.sftp("rm /upload/big.csv", f"put {big} /upload/big.csv")
    door.sftp(f"put {big} /upload/big.csv")
    assert door.arrival(2).size == MIB
    assert counted(door) == Usage(MIB, 1)


def test_openssh_resumes_and_renames_over(door: RunningDoor, tmp_path: Path) -> None:
    need("sftp")
    limit(door, MIB)
    big = tmp_path / "big.csv"
    big.write_bytes(os.urandom(MIB // 2))
    client = door.raw()
    client.write(client.open("/upload/big.csv"), 0, big.read_bytes()[: 64 * KIB])
    client.hang_up()
    door.tear()
    door.sftp(f"reput {big} /upload/big.csv", f"put {big} /upload/new.csv")
    assert counted(door) == Usage(MIB, 2)
    door.sftp("rename /upload/new.csv /upload/big.csv")
    assert counted(door) == Usage(MIB // 2, 1)
