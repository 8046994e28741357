"""What a crash left undone is done, file by file."""

import errno
import fcntl
import io
import json
import os
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from ingest import inbox
from server.agencies import Agency, add_agency
from server.clock import new_id, now
from server.inbound import reconcile as reconciling
from server.inbound.reconcile import LeftAlone, reconcile
from server.intake import rubbish
from server.intake.entry import Entry, new_entry
from server.intake.register import Registrar
from server.intake.spool import Manifest
from server.logs import open_log
from server.state import State


def spool(state: State, folder: Path, path: str, profile: str | None = None) -> None:
    content = folder / "content"
    content.write_text("a")
    at = now()
    made = Manifest(new_id(), "gwinnett", path, 1, "cli", None, None, at, at, at, profile=profile)
    state.spool.accept_copy(made, content)


def torn(state: State, agency: str, name: str) -> Entry:
    """A file in the agency's home, and what is noted of it, as its process left it when it died."""
    file = state.settings.home(agency) / "upload" / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("half")
    return state.journal.begin(new_entry(agency, f"/upload/{name}", "owner", "session", "client", file.stat()))


def events(said: io.StringIO) -> list[tuple[str, str]]:
    """What the log was told of which arrival."""
    lines = [json.loads(line) for line in said.getvalue().splitlines()]
    return [(line["event"], line["arrival"]) for line in lines]


def test_a_file_that_cannot_be_registered_holds_up_no_other(state: State, tmp_path: Path) -> None:
    with state.database.writing() as conn:
        add_agency(conn, Agency("a-1", "gwinnett", "Gwinnett", "America/New_York", False, True, now()))
    spool(state, tmp_path, "/upload/caf\udce9.csv")  # no text, so no database takes it
    spool(state, tmp_path, "/upload/good.csv")
    log = open_log("critical")
    reconcile(state, Registrar(state.database, state.queue, log), log)
    with state.database.reading() as conn:
        assert [arrival.path for arrival in inbox.list_arrivals(conn)] == ["/upload/good.csv"]
    assert len(list(state.spool.all())) == 2, "and it is kept"


def test_many_are_registered_once_and_each_has_its_job(
    state: State, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reconciling, "AT_ONCE", 4)
    with state.database.writing() as conn:
        add_agency(conn, Agency("a-1", "gwinnett", "Gwinnett", "America/New_York", False, True, now()))
    for number in range(10):
        spool(state, tmp_path, f"/upload/{number}.csv")
    log = open_log("critical")
    registrar = Registrar(state.database, state.queue, log)
    first, *_ = state.spool.all()
    registrar.register(first)
    assert reconcile(state, registrar, log).registered == 9
    with state.database.reading() as conn:
        found = inbox.list_arrivals(conn)
    assert sorted(arrival.path for arrival in found) == [f"/upload/{number}.csv" for number in range(10)]
    assert not reconcile(state, registrar, log)
    while job := state.queue.claim("worker", 60):
        state.queue.finish(job)
    again = reconcile(state, registrar, log)
    assert again.registered == 10, "whose sender was not told: each has a job anew"


def test_a_chosen_profile_stays_chosen(state: State, tmp_path: Path) -> None:
    with state.database.writing() as conn:
        add_agency(conn, Agency("a-1", "gwinnett", "Gwinnett", "America/New_York", False, True, now()))
    spool(state, tmp_path, "/upload/plain.csv")
    spool(state, tmp_path, "/upload/chosen.csv", profile="no-such-profile")
    log, registered = open_log("critical"), []
    registrar = Registrar(state.database, state.queue, log)

    def note(manifest: Manifest) -> Manifest:
        registered.append(manifest.path)
        return manifest

    registrar.register = note  # type: ignore[method-assign, assignment]
    assert reconcile(state, registrar, log).registered == 2
    assert registered == ["/upload/chosen.csv"]
    with state.database.reading() as conn:
        assert [arrival.path for arrival in inbox.list_arrivals(conn)] == ["/upload/plain.csv"]


def test_a_torn_file_that_cannot_be_looked_at_is_told_once_and_holds_up_no_other(
    state: State, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with state.database.writing() as conn:
        add_agency(conn, Agency("a-1", "gwinnett", "Gwinnett", "America/New_York", False, True, now()))
    odd, good = torn(state, "gwinnett", "odd.csv"), torn(state, "gwinnett", "good.csv")
    spool(state, tmp_path, "/upload/whole.csv")
    flock = fcntl.flock

    def refuse(given: Any, how: int) -> None:
        if odd.is_of(os.stat(given)):
            raise OSError(errno.ESTALE, "Stale file handle")
        flock(given, how)

    log = open_log("error", said := io.StringIO())
    registrar, left = Registrar(state.database, state.queue, log), LeftAlone(log)
    with monkeypatch.context() as patched:
        patched.setattr(fcntl, "flock", refuse)
        first = reconcile(state, registrar, log, left)
        assert not reconcile(state, registrar, log, left)
    assert (first.torn, first.registered) == (1, 1)
    assert state.journal.find("gwinnett", odd.path) == odd
    assert events(said) == [("torn upload left alone", odd.id)]
    assert reconcile(state, registrar, log, left).torn == 1, "it can be looked at again"
    with state.database.reading() as conn:
        assert {arrival.id for arrival in inbox.list_arrivals(conn)} >= {odd.id, good.id}


def test_a_torn_file_that_cannot_be_recorded_holds_up_no_other(state: State, monkeypatch: pytest.MonkeyPatch) -> None:
    with state.database.writing() as conn:
        add_agency(conn, Agency("a-1", "gwinnett", "Gwinnett", "America/New_York", False, True, now()))
    entries = [torn(state, "gwinnett", f"{number}.csv") for number in range(4)]
    log = open_log("error", said := io.StringIO())
    registrar = Registrar(state.database, state.queue, log)
    record = registrar.record_torn

    def refuse(entry: Entry) -> bool:
        if entry.id == entries[2].id:
            raise ValueError
        return record(entry)

    monkeypatch.setattr(registrar, "record_torn", refuse)
    assert reconcile(state, registrar, log).torn == 3
    assert events(said) == [("torn upload left alone", entries[2].id)]


def test_files_of_an_agency_that_is_not_known_here_are_told_once_and_not_counted(state: State, tmp_path: Path) -> None:
    entry = torn(state, "gwinnett", "ecr.csv")
    spool(state, tmp_path, "/upload/whole.csv")
    [spooled] = state.spool.all()
    log = open_log("error", said := io.StringIO())
    registrar, left = Registrar(state.database, state.queue, log), LeftAlone(log)
    for _ in range(3):
        assert not reconcile(state, registrar, log, left)
    assert events(said) == [("torn upload left alone", entry.id), ("spooled file of an unknown agency", spooled.id)]


def test_what_a_crash_left_half_made_is_swept(state: State) -> None:
    copy = state.settings.archive / ".0123456789abcdef.tmp"
    copy.write_text("half")
    log = open_log("critical")
    registrar = Registrar(state.database, state.queue, log)
    reconcile(state, registrar, log)
    assert copy.exists(), "it may be at work"
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(rubbish, "now", lambda: now() + timedelta(days=2))
        reconcile(state, registrar, log)
    assert not copy.exists()
