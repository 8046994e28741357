"""Whoever hangs, others are served."""

import threading
import time
from pathlib import Path
from typing import Any

import pytest

from server.outbound.exports import run as running
from server.outbound.exports.desks import Desks
from server.outbound.exports.place import Sight
from server.outbound.exports.plan import Shape, When, create_export
from server.services.provision import create_agency
from tests.server.outbound.exports.conftest import Office

pytestmark = pytest.mark.sqlite_only
SOON = 10.0


def test_a_name_has_one_place_and_the_rest_goes_on() -> None:
    desks, stuck, begun = Desks(2), threading.Event(), threading.Event()
    done: list[int] = []

    def hang() -> None:
        begun.set()
        stuck.wait(SOON)

    assert desks.serve("slow", hang)
    assert begun.wait(SOON)
    assert not desks.serve("slow", hang)
    for number in range(20):
        assert desks.serve(f"{number}", lambda number=number: done.append(number))  # type: ignore[misc]
    end = time.monotonic() + SOON
    while len(done) < 20 and time.monotonic() < end:
        time.sleep(0.001)
    assert done == list(range(20))
    stuck.set()
    desks.wait(SOON)
    assert desks.serve("slow", lambda: None)
    desks.wait(SOON)
    assert not desks._threads


def test_those_who_hang_for_long_keep_nobody_waiting() -> None:
    desks, stuck, served = Desks(2, patience=0.2), threading.Event(), threading.Event()
    begun = [threading.Event() for _ in range(5)]
    for number, one in enumerate(begun):
        desks.serve(f"slow {number}", lambda one=one: (one.set(), stuck.wait(SOON), None)[2])  # type: ignore[misc]
    assert begun[1].wait(SOON)
    assert not begun[2].is_set()
    desks.serve("quick", served.set)
    end = time.monotonic() + SOON
    while not served.is_set() and time.monotonic() < end:
        assert not desks.serve("slow 0", lambda: None)
        time.sleep(0.01)
    assert served.is_set()
    assert all(one.is_set() for one in begun)
    stuck.set()
    desks.wait(SOON)
    assert not desks._threads


def test_closing_does_not_wait_for_one_that_hangs() -> None:
    desks, stuck, late = Desks(1), threading.Event(), threading.Event()
    desks.serve("slow", lambda: (stuck.wait(SOON), None)[1])
    desks.serve("next", late.set)
    begin = time.monotonic()
    desks.close(0.05)
    assert time.monotonic() - begin < SOON / 2
    stuck.set()
    desks.wait(SOON)
    assert not late.is_set()


def test_a_home_that_hangs_keeps_no_other_agency_waiting(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    with office.state.database.writing() as conn:
        other = create_agency(conn, office.state.settings.agencies, "zeta", "Zeta", "America/New_York", False)
        create_export(conn, other, "clients", "", When("06:00"), Shape(), office.at)
    export = office.export()
    real, stuck = running.put, threading.Event()

    def slow(home: Path, *rest: Any) -> Sight:
        if home.name == office.agency.slug:
            stuck.wait(SOON)
        return real(home, *rest)

    monkeypatch.setattr(running, "put", slow)
    office.at = office.at.replace(day=3)
    theirs = office.state.settings.home("zeta") / "exports"
    end = time.monotonic() + SOON
    while not (theirs.is_dir() and list(theirs.iterdir())) and time.monotonic() < end:
        office.rounds._begin(office.at)
        time.sleep(0.01)
    assert len(list(theirs.iterdir())) == 1
    assert not office.folder.exists()
    stuck.set()
    office.go(seconds=5)
    office.go(seconds=5)
    assert len(office.files()) == 1
    assert len(office.runs(export)) == 1
