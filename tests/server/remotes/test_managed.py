"""What an agency does in its home, or somebody put there, leads us nowhere else."""

import asyncio
import os
import threading
import time
from pathlib import Path

import pytest

from server.errors import AppError
from server.remotes.managed import ManagedRemote
from server.remotes.server import MANAGED
from tests.server.remotes.conftest import Harbour

pytestmark = pytest.mark.sqlite_only


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    folder = tmp_path / "outside"
    folder.mkdir()
    (folder / "secret.csv").write_bytes(b"secret")
    return folder


@pytest.mark.parametrize("directory", ["/upload/link", "/upload/link/", "/upload/inner/link"])
def test_a_link_is_no_directory(harbour: Harbour, outside: Path, tmp_path: Path, directory: str) -> None:
    (harbour.home / "upload" / "inner").mkdir()
    (harbour.home / directory.strip("/")).symlink_to(outside)
    (tmp_path / "source").write_bytes(b"x")
    assert not harbour.use(MANAGED, lambda remote: remote.has_directory(directory))
    for work in (
        lambda remote: remote.list(directory),
        lambda remote: remote.look(f"{directory}/secret.csv"),
        lambda remote: remote.place(tmp_path / "source", directory, "x.csv"),
    ):
        with pytest.raises(AppError) as refused:
            harbour.use(MANAGED, work)
        assert refused.value.code == "not_found"
    assert [path.name for path in outside.iterdir()] == ["secret.csv"]


def test_links_pipes_and_odd_names_are_not_listed(harbour: Harbour, outside: Path) -> None:
    upload = harbour.home / "upload"
    (upload / "good.csv").write_bytes(b"x")
    (upload / "link.csv").symlink_to(outside / "secret.csv")
    os.mkfifo(upload / "pipe.csv")
    for name in (b"\xff.csv", b"line\nbreak.csv"):
        (upload / os.fsdecode(name)).write_bytes(b"x")
    assert [file.name for file in harbour.use(MANAGED, lambda remote: remote.list("/upload"))] == ["good.csv"]
    assert [fields["names"] for _, fields in harbour.said] == [2]
    for name in ("link.csv", "pipe.csv"):
        with pytest.raises(AppError) as refused:
            harbour.use(MANAGED, lambda remote, name=name: remote.look(f"/upload/{name}"))  # type: ignore[misc]
        assert refused.value.code == "not_found"


def test_a_file_that_became_a_link_is_not_fetched(harbour: Harbour, outside: Path, tmp_path: Path) -> None:
    file = harbour.home / "upload" / "a.csv"
    file.write_bytes(b"abc")
    seen = harbour.use(MANAGED, lambda remote: remote.look("/upload/a.csv"))
    file.unlink()
    file.symlink_to(outside / "secret.csv")
    with pytest.raises(AppError):
        harbour.use(MANAGED, lambda remote: remote.fetch(seen, tmp_path / "target", lambda _: None))
    with pytest.raises(AppError):
        harbour.use(MANAGED, lambda remote: remote.remove(seen))
    assert (outside / "secret.csv").read_bytes() == b"secret"


@pytest.mark.parametrize("there", ["link", "link beside", "folder", "folder beside"])
def test_what_stands_in_the_way_is_not_followed(harbour: Harbour, outside: Path, tmp_path: Path, there: str) -> None:
    (tmp_path / "source").write_bytes(b"report")
    place = harbour.home / "download" / (".report.csv.part" if there.endswith("beside") else "report.csv")
    if there.startswith("link"):
        place.symlink_to(outside / "secret.csv")
    else:
        place.mkdir()
    work = lambda remote: remote.place(tmp_path / "source", "/download", "report.csv")  # noqa: E731
    if there.startswith("link"):
        harbour.use(MANAGED, work)
        assert (harbour.home / "download" / "report.csv").read_bytes() == b"report"
    else:
        with pytest.raises(AppError, match="folder") as refused:
            harbour.use(MANAGED, work)
        assert refused.value.code == "conflict"
    assert (outside / "secret.csv").read_bytes() == b"secret"


def test_a_directory_that_changes_places_with_a_link_all_the_time_leads_nowhere(
    harbour: Harbour, outside: Path, tmp_path: Path
) -> None:
    (tmp_path / "source").write_bytes(b"report")
    upload, stop = harbour.home / "upload", threading.Event()
    (upload / "real").mkdir()

    def swap() -> None:
        while not stop.is_set():
            (upload / "real").rename(upload / "aside")
            (upload / "real").symlink_to(outside)
            (upload / "real").unlink()
            (upload / "aside").rename(upload / "real")
            time.sleep(0.001)

    thread = threading.Thread(target=swap)
    thread.start()
    remote = ManagedRemote(harbour.home, "/", harbour.log)
    reached = missed = 0
    until = time.monotonic() + 30
    try:
        while min(reached, missed) < 20 and time.monotonic() < until:
            try:
                remote._place(tmp_path / "source", "/upload/real", "report.csv")
                reached += 1
            except AppError as error:
                missed += 1
                assert error.code == "not_found"  # noqa: PT017
    finally:
        stop.set()
        thread.join()
    assert min(reached, missed) == 20
    assert [path.name for path in outside.iterdir()] == ["secret.csv"]


def test_a_full_disk_is_a_sentence_and_leaves_nothing(
    harbour: Harbour, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "source").write_bytes(b"report")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("server.remotes.managed.os.fsync", full)
    with pytest.raises(AppError, match="no space left") as refused:
        harbour.use(MANAGED, lambda remote: remote.place(tmp_path / "source", "/download", "a.csv"))
    assert refused.value.code == "unavailable"
    assert list((harbour.home / "download").iterdir()) == []


def test_a_home_that_hangs_holds_up_nobody_else(
    harbour: Harbour, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (harbour.home / "upload" / "a.csv").write_bytes(b"abc")
    remote = ManagedRemote(harbour.home, "/", harbour.log)
    there = threading.Event()

    def hang(*_: object) -> object:
        assert there.wait(30)
        return directory(*_)  # type: ignore[arg-type]

    async def others() -> None:
        file = await remote.look("/upload/a.csv")
        monkeypatch.setattr(ManagedRemote, "_directory", hang)
        asked = asyncio.ensure_future(remote.has_directory("/upload"))
        fetched = asyncio.ensure_future(remote.fetch(file, tmp_path / "target", lambda _: None))
        left = asyncio.ensure_future(remote.fetch(file, tmp_path / "other", lambda _: None))
        for _ in range(3):
            await asyncio.sleep(0)
        left.cancel()
        with pytest.raises(asyncio.CancelledError):
            await left
        assert not asked.done()
        assert not fetched.done()
        there.set()
        assert await asked
        await fetched

    directory = ManagedRemote._directory
    asyncio.run(others())
    assert (tmp_path / "target").read_bytes() == b"abc"
