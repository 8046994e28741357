"""What a crash left undone is done, file by file."""

from pathlib import Path

import pytest

from ingest import inbox
from server.agencies import Agency, add_agency
from server.clock import new_id, now
from server.inbound import reconcile as reconciling
from server.inbound.reconcile import reconcile
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

    def note(manifest: Manifest) -> None:
        registered.append(manifest.path)

    registrar.register = note  # type: ignore[method-assign, assignment]
    assert reconcile(state, registrar, log).registered == 2
    assert registered == ["/upload/chosen.csv"]
    with state.database.reading() as conn:
        assert [arrival.path for arrival in inbox.list_arrivals(conn)] == ["/upload/plain.csv"]
