"""What came in is told in order, once, and what comes close together is told together."""

import asyncio
import os
import threading
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
import structlog
import uvloop

from server.clock import new_id, now
from server.intake.entry import Entry
from server.intake.spool import Manifest, Spool
from server.intake.taken import Footprint
from server.sftp import announcer as announcers
from server.sftp.announcer import AT_ONCE, LULL, MANY, Announcer


class Told:
    """Notes what it is told, and fails where it should."""

    def __init__(self) -> None:
        self.calls: list[list[str]] = []
        self.times: list[float] = []
        self.fail_on = ""

    def received(self, manifests: Sequence[Manifest]) -> None:
        self._note([manifest.path for manifest in manifests])

    def torn(self, entry: Entry) -> None:
        self._note([f"torn {entry.path}"])

    def removed(self, entry: Entry) -> None:
        self._note([f"removed {entry.path}"])

    def renamed(self, agency: str, files: Mapping[str, Footprint]) -> None:
        self._note([f"inode {file.ino} is {path}" for path, file in files.items()])

    def _note(self, what: list[str]) -> None:
        self.calls.append(what)
        self.times.append(time.monotonic())
        if self.fail_on in what:
            raise ZeroDivisionError

    @property
    def all(self) -> list[str]:
        return [what for call in self.calls for what in call]


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    return Spool(tmp_path / "spool", durable=False)


@pytest.fixture
def told() -> Told:
    return Told()


def accept(spool: Spool, path: str, settle: float = 0) -> Manifest:
    at = now()
    until = at + timedelta(seconds=settle)
    file = spool.root / "file"
    with file.open("wb") as stream:
        status = os.fstat(stream.fileno())
        known = {"dev": status.st_dev, "ino": status.st_ino, "mtime_ns": status.st_mtime_ns}
        manifest = Manifest(new_id(), "court", path, 0, "sftp", "session", "client", at, at, until, **known)
        spool.accept_link(manifest, stream.fileno())
    file.unlink()
    return manifest


def entry(path: str) -> Entry:
    return Entry(new_id(), "court", path, "", "session", "client", 1, 1, now())


def run(spool: Spool, told: Told, what: Callable[[Announcer], Awaitable[None]]) -> None:
    async def all_of_it() -> None:
        announcer = Announcer(told, spool, structlog.get_logger())
        await what(announcer)
        await announcer.finish()

    asyncio.run(all_of_it())


def test_many_are_told_together_and_in_order(spool: Spool, told: Told) -> None:
    manifests = [accept(spool, f"/upload/{number}") for number in range(AT_ONCE + 50)]

    async def burst(announcer: Announcer) -> None:
        for manifest in manifests:
            announcer.received(manifest)
        announcer.torn(entry("/upload/x"))
        announcer.renamed("court", {"/upload/y": Footprint(1, 7, 0, 0)})
        announcer.removed(entry("/upload/x"))
        announcer.received(accept(spool, "/upload/last"))

    run(spool, told, burst)
    after = ["torn /upload/x", "inode 7 is /upload/y", "removed /upload/x", "/upload/last"]
    assert told.all == [*(manifest.path for manifest in manifests), *after]
    assert max(len(call) for call in told.calls) == AT_ONCE
    assert len(told.calls) == 6


def test_a_single_one_is_told_without_waiting_for_others(spool: Spool, told: Told) -> None:
    async def one(announcer: Announcer) -> None:
        announcer.received(accept(spool, "/upload/a"))
        while not told.calls:
            await asyncio.sleep(0.001)

    run(spool, told, one)
    assert told.calls == [["/upload/a"]]


def test_while_many_settle_they_are_told_together_a_lull_later(spool: Spool, told: Told) -> None:
    first = accept(spool, "/upload/first", settle=0.05)
    others = [accept(spool, f"/upload/{number}", settle=0.2) for number in range(MANY)]

    async def one_after_the_other(announcer: Announcer) -> None:
        for manifest in (first, *others):
            announcer.received(manifest)
        while len(told.calls) < 2:
            await asyncio.sleep(0.005)

    run(spool, told, one_after_the_other)
    assert told.calls == [["/upload/first"], [manifest.path for manifest in others]]
    assert told.times[1] - told.times[0] > LULL * 0.9


def test_one_that_settles_within_a_millisecond_does_not_keep_the_next_one_from_settling(
    spool: Spool, told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The door's loop gives another kind of handle for so short a time."""
    settled = threading.Event()
    monkeypatch.setattr(announcers, "_wait", lambda manifest: 0.0 if settled.is_set() else 0.0001)

    async def two_at_once() -> None:
        announcer = Announcer(told, spool, structlog.get_logger())
        announcer.received(accept(spool, "/upload/a"))
        announcer.received(accept(spool, "/upload/b"))
        settled.set()
        while len(told.all) < 2:
            await asyncio.sleep(0.001)
        await announcer.finish()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(two_at_once())
    assert told.all == ["/upload/a", "/upload/b"]


def test_while_more_come_they_are_put_off_but_not_for_ever(
    spool: Spool, told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(announcers, "LULL", 0.1)
    monkeypatch.setattr(announcers, "PATIENCE", 0.5)
    sent: list[str] = []

    async def one_after_the_other(announcer: Announcer) -> None:
        for number in range(MANY):
            announcer.received(accept(spool, f"/upload/{number}"))
        while len(told.calls) < 3:
            sent.append(f"/upload/later-{len(sent)}")
            announcer.received(accept(spool, sent[-1]))
            await asyncio.sleep(0.005)

    run(spool, told, one_after_the_other)
    assert told.all == [*(f"/upload/{number}" for number in range(MANY)), *sent]
    assert told.times[2] - told.times[1] > 0.45


def test_what_settles_sooner_than_what_came_before_it_is_told_sooner(spool: Spool, told: Told) -> None:
    async def two(announcer: Announcer) -> None:
        announcer.received(accept(spool, "/upload/slow", settle=30))
        announcer.received(accept(spool, "/upload/quick", settle=0.05))
        while not told.calls:
            await asyncio.sleep(0.005)

    run(spool, told, two)
    assert told.calls == [["/upload/quick"], ["/upload/slow"]]


def test_one_that_fails_does_not_keep_the_others_from_being_told(spool: Spool, told: Told) -> None:
    told.fail_on = "torn /upload/b"

    async def three(announcer: Announcer) -> None:
        announcer.received(accept(spool, "/upload/a"))
        announcer.torn(entry("/upload/b"))
        announcer.received(accept(spool, "/upload/c"))

    run(spool, told, three)
    assert told.all == ["/upload/a", "torn /upload/b", "/upload/c"]


def test_what_settles_can_be_taken_back_and_the_end_tells_the_rest(spool: Spool, told: Told) -> None:
    async def settling(announcer: Announcer) -> None:
        for name in ("a", "b", "c", "d"):
            announcer.received(accept(spool, f"/upload/{name}", settle=30))
        assert announcer.withdraw("court", "/upload/a")
        renamed = announcer.withdraw("court", "/upload/b")
        assert renamed
        spool.renew(replace(renamed, path="/upload/e"))
        announcer.received(replace(renamed, path="/upload/e"))
        [gone] = [manifest for manifest in spool.all() if manifest.path == "/upload/d"]
        spool.retract(gone.id)  # as another process would
        await asyncio.sleep(0)

    run(spool, told, settling)
    assert sorted(told.all) == ["/upload/c", "/upload/e"]


def test_a_file_that_is_renamed_just_while_it_is_told_of_is_told_by_both_names(spool: Spool, told: Told) -> None:
    accepted = [accept(spool, f"/upload/{name}") for name in "ab"]
    first = told.received

    def rename_meanwhile(manifests: Sequence[Manifest]) -> None:
        first(manifests)
        for manifest in accepted:
            if manifest in manifests:
                name = "c" if manifest.path.endswith("a") else "b"  # renewed, but not renamed
                spool.renew(replace(manifest, path=f"/upload/{name}"))

    told.received = rename_meanwhile  # type: ignore[method-assign]

    async def both(announcer: Announcer) -> None:
        for manifest in accepted:
            announcer.received(manifest)

    run(spool, told, both)
    assert told.all == ["/upload/a", "/upload/b", f"inode {accepted[0].ino} is /upload/c"]
