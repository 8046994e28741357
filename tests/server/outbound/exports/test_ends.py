"""What is told, and where it arrives, when things go wrong for long: nothing is lost, and nothing comes twice."""

import shutil
from datetime import timedelta

import pytest

from server.agencies import set_enabled
from server.checkup import examine
from server.outbound.exports import run as running
from server.outbound.exports.plan import cancel_export
from server.outbound.exports.run import Task, run_export
from server.outbound.exports.store import Export, Run
from server.schedule.slots import Slot
from tests.ingest.court import ecr, row
from tests.server.outbound.exports.conftest import Office


def tell_all(office: Office, export: Export) -> Run:
    """As `dropslot export run --everything`, but for the delivery."""
    office.at += timedelta(hours=1)
    slot = Slot(office.at, f"by hand {office.at}")
    run = run_export(office.state, export.id, Task(slot, "operator", office.at, whole=True))
    assert run
    return run


def told(office: Office, name: str) -> list[tuple[str, str]]:
    return [(each["reference"], each["record_state"]) for each in office.rows(name)]


def block(office: Office) -> None:
    """Something that no file can be put into."""
    shutil.rmtree(office.folder, ignore_errors=True)
    office.folder.write_text("in the way")


def test_a_file_of_everything_tells_what_was_removed_since_the_last_one(office: Office) -> None:
    office.push(ecr(row("1")))
    second = office.push(ecr(row("1"), row("2", "CR-2")))
    export = office.export()
    office.go(days=1)
    office.undo(second)
    office.undo(office.push(ecr(row("1"), row("3", "CR-3"))))
    whole = tell_all(office, export)
    office.go(minutes=1)
    assert told(office, whole.file) == [("2", "removed"), ("1", "active")]
    again = tell_all(office, export)
    office.go(days=1)
    assert told(office, again.file) == [("1", "active")]
    assert told(office, office.files()[-1]) == []


def test_it_tells_what_was_removed_in_files_that_never_came_too(office: Office) -> None:
    office.push(ecr(row("1")))
    second = office.push(ecr(row("1"), row("2", "CR-2")))
    export = office.export()
    office.go(days=1)
    office.undo(second)
    block(office)
    office.go(days=1)
    tell_all(office, export)
    office.go(minutes=1)
    whole = tell_all(office, export)
    office.folder.unlink()
    office.go(days=1)
    assert sorted(told(office, whole.file)) == [("1", "active"), ("2", "removed")]
    assert whole.file in office.files()
    last = tell_all(office, export)
    office.go(minutes=1)
    assert told(office, last.file) == [("1", "active")]


@pytest.mark.sqlite_only
def test_a_file_that_cannot_be_delivered_waits_as_long_as_it_takes(office: Office) -> None:
    office.push(ecr(row("1")))
    export = office.export()
    office.go(days=1)
    office.push(ecr(row("2", "CR-2")))
    block(office)
    office.go(days=1)
    waiting = office.runs(export)[-1]
    for _ in range(10):
        office.go(days=10)
    office.folder.unlink()
    office.go(days=1)
    office.go(hours=2)
    assert told(office, waiting.file) == [("2", "active")]
    office.go(days=91)
    assert waiting.file not in office.files()


@pytest.mark.sqlite_only
def test_but_not_that_of_an_export_that_was_cancelled(office: Office) -> None:
    export = office.export()
    block(office)
    office.go(days=1)
    with office.state.database.writing() as conn:
        cancel_export(conn, office.agency, "clients")
    office.go(days=91)
    assert office.runs(export)[0].removed_at
    office.go(hours=2)
    assert list(office.state.settings.staging.iterdir()) == []


def test_it_has_failed_since_the_first_time(office: Office) -> None:
    export = office.export()
    block(office)
    office.go(days=1)
    first = office.at
    for time in ({"minutes": 45}, {"days": 1}, {"minutes": 45}):
        office.go(**time)
        assert office.again(export).error_at == first
    (told,) = [found.sentence for found in examine(office.state) if found.subject == "export"]
    assert told.startswith(f"clients of gwinnett has failed since {first:%Y-%m-%d %H:%M} UTC: ")
    office.folder.unlink()
    office.go(minutes=45)
    assert (office.again(export).error, office.again(export).error_at) == (None, None)


@pytest.mark.sqlite_only
def test_a_file_that_was_moved_before_anybody_knew_that_it_was_there_stays_the_only_one(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    office.push(ecr(row("1")))
    export = office.export()
    mark = running.mark_run

    def fail(*_: object) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(running, "mark_run", fail)
    office.go(days=1)
    (name,) = office.files()
    (office.folder / "done").mkdir()
    (office.folder / name).rename(office.folder / "done" / name)
    monkeypatch.setattr(running, "mark_run", mark)
    office.restart()
    office.go(minutes=1)
    assert office.runs(export)[0].delivered_at
    office.go(minutes=10)
    assert office.files() == [f"done/{name}"]


@pytest.mark.sqlite_only
def test_a_clock_that_was_ahead_once_deletes_nothing(office: Office) -> None:
    export = office.export()
    for _ in range(3):
        office.go(days=1)
    delivered = office.files()
    office.set_clock(days=147)
    office.go(minutes=1)
    office.go(minutes=30)
    office.set_clock()
    office.go(hours=1)
    assert set(office.files()) > set(delivered)
    assert not any(run.removed_at for run in office.runs(export))
    office.set_clock(days=147)  # for good
    office.go(minutes=1)
    office.go(hours=1)
    assert not set(office.files()) & set(delivered)


@pytest.mark.both_databases
def test_a_slot_that_ran_while_the_clock_was_ahead_runs_when_it_comes(office: Office) -> None:
    export = office.export()
    office.set_clock(days=5)
    office.go(minutes=1)
    office.set_clock()
    office.go(minutes=1)
    for _ in range(6):
        office.go(days=1)
    early, *later = office.runs(export)
    assert early.slot == f"early {early.id}"
    assert early.due_at == later[0].started_at - timedelta(days=1)
    assert len({run.slot for run in later}) == 6, "none is left out"


def test_a_clock_that_was_ahead_once_stops_nothing(office: Office) -> None:
    office.push(ecr(row("1")))
    export = office.export()
    begin = office.at
    office.go(days=3 * 365)
    office.at = begin
    office.push(ecr(row("2", "CR-2")))
    office.go(hours=1)
    assert office.again(export).since == office.at
    assert "exports of the future" in office.log.getvalue()
    office.go(days=1)
    first, second = office.runs(export)
    assert [told(office, name) for name in (first.file, second.file)] == [[("1", "active")], [("2", "active")]]
    (office.folder / second.file).unlink()
    office.go(minutes=11)
    assert second.file in office.files()
    office.go(days=90, hours=2)
    assert not {first.file, second.file} & set(office.files())


@pytest.mark.sqlite_only
def test_an_agency_that_is_disabled_gets_nothing_until_it_is_enabled(office: Office) -> None:
    export = office.export()
    office.go(days=1)
    (first,) = office.files()
    switch(office, enabled=False)
    (office.folder / first).unlink()
    office.push(ecr(row("1")))
    office.go(days=2)
    assert office.files() == []
    assert not office.again(export).error
    assert not [found for found in examine(office.state) if found.subject == "export"], "and doctor misses none"
    switch(office, enabled=True)
    office.go(minutes=1)
    (late,) = office.files()
    assert told(office, late) == [("1", "active")]
    assert "1 earlier slot was missed" in office.runs(export)[-1].note
    switch(office, enabled=False)
    office.go(days=91)
    office.go(hours=1)
    assert office.files() == [], "old ones are deleted all the same"


def switch(office: Office, enabled: bool) -> None:
    with office.state.database.writing() as conn:
        set_enabled(conn, office.agency.slug, enabled)
