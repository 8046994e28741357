"""What must not stop Auto-Sync: a clock that was wrong, a database that is locked, a thread that cannot be had."""

import asyncio
import threading
import time
from datetime import timedelta
from typing import Any

import pytest

from server.clock import new_id, now
from server.sync import rounds, syncer
from server.sync.places import hold
from server.sync.plan import due_tasks, list_places, narrow
from server.sync.rounds import SyncRounds
from server.sync.runs import Run, keep_run
from tests.acceptance.court import ecr, ecr_row
from tests.server.sync.conftest import Town

FILE = ecr(ecr_row(1))


def test_a_run_of_a_clock_that_was_ahead_keeps_nothing_from_being_due(town: Town) -> None:
    profile = town.profile("court", "nightly")
    later = now() + timedelta(days=1000)
    with town.state.database.writing() as conn:
        place = list_places(conn)[0]
        keep_run(conn, Run(new_id(later), town.court, profile.id, place.id, "schedule", later, later))
        assert due_tasks(conn, now())


def test_a_lease_that_lasts_longer_than_a_lease_can_is_none(town: Town) -> None:
    town.folders["county"].put("/a.txt", FILE)
    town.profile("court", "nightly")
    with town.state.database.writing() as conn:
        place = list_places(conn)[0]
        assert hold(conn, place.id, "dead", now() + timedelta(hours=6))
        assert due_tasks(conn, now())
    assert [run.took for run in town.sync()] == [1]


def test_letting_go_does_not_keep_the_other_places_waiting(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    town.profile("court", "nightly")
    monkeypatch.setattr(syncer, "let_go", lambda *_: time.sleep(0.5))
    with town.state.database.reading() as conn:
        [task] = narrow(list_places(conn), None, None)

    async def longest_pause() -> float:
        longest, last = 0.0, time.monotonic()
        work = asyncio.create_task(town.syncer().work(task, "schedule"))
        while not work.done():
            await asyncio.sleep(0.01)
            longest, last = max(longest, time.monotonic() - last), time.monotonic()
        return longest

    assert asyncio.run(longest_pause()) < 0.45


def test_a_fault_while_a_lease_is_renewed_is_told_and_ends_no_cycle(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    county = town.folders["county"]
    county.put("/a.txt", FILE)
    town.profile("court", "nightly")
    monkeypatch.setattr(syncer, "LEASE", timedelta(seconds=0.1))
    real, calls = syncer.hold, []

    def broken(*args: Any) -> bool:
        calls.append(args)
        if len(calls) == 2:
            raise RuntimeError("a fault")
        return real(*args)

    monkeypatch.setattr(syncer, "hold", broken)
    fetch = county.fetch

    async def slow(*args: Any) -> None:
        while len(calls) < 3:
            await asyncio.sleep(0.01)
        await fetch(*args)

    monkeypatch.setattr(county, "fetch", slow)
    assert [run.took for run in town.sync()] == [1]
    assert "sync lease not renewed" in [said["event"] for said in town.said]


def test_the_rounds_go_on_without_a_thread_to_wait_in(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rounds, "LOOK_EVERY", 0.01)
    stopping, real, waits = threading.Event(), asyncio.to_thread, []

    async def to_thread(act: Any, *args: Any) -> Any:
        if act == stopping.wait:
            waits.append(act)
            if len(waits) == 1:
                raise RuntimeError("can't start new thread")
            stopping.set()
        return await real(act, *args)

    monkeypatch.setattr(rounds.asyncio, "to_thread", to_thread)
    thread = threading.Thread(target=SyncRounds(town.state, town.log, town.syncer()).walk, args=(stopping,))
    thread.start()
    thread.join(20)
    stopping.set()
    assert len(waits) == 2
    assert "round failed" in [said["event"] for said in town.said]


def test_a_place_is_entered_once_a_minute_to_delete(town: Town) -> None:
    walker = SyncRounds(town.state, town.log, town.syncer())
    assert [walker._may_tidy(place) for place in ("a", "a", "b", "a")] == [True, False, True, False]
