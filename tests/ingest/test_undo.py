"""Undoing an upload leaves the database as it was before it, or refuses with the reason."""

import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import event, text

from ingest import engine, inbox, skip
from ingest.answer import Counts, Upload
from ingest.arrival import ArrivalState
from ingest.errors import IngestError
from ingest.record import records_of
from ingest.undo import Undone, undo
from tests.ingest.court import Court, ecr, row
from tests.ingest.reference import RICH
from tests.ingest.test_changes import RICH_ROW, rich, rows_of
from tests.ingest.test_snapshots import ECR, snapshot


def undo_upload(court: Court, upload: Upload) -> Undone:
    with court.database.writing(records_of(court.agency)) as conn:
        return undo(conn, upload.id, court.at)


def records(court: Court) -> dict[tuple[str, int], dict[str, Any]]:
    """All of them, each with whose it is: its template, and those that hold it."""
    found = rows_of(court)
    with court.database.reading() as conn:
        sql = "SELECT DISTINCT kind, record_id, template FROM holders WHERE gone_upload IS NULL ORDER BY template"
        for held in conn.execute(text(sql)):
            record = found[held.kind, held.record_id]
            record["holders"] = f"{record.get('holders', '')} {held.template}".strip()
    return found


def told(court: Court) -> list[str]:
    """All of the agency's records by what people know of them: no ids, and uploads by their content."""
    with court.database.reading() as conn:
        shas = {found.id: found.sha256 for found in conn.execute(text("SELECT id, sha256 FROM uploads"))}
    found = own(court)
    names = {(kind, id_): record["identity"] for (kind, id_), record in found.items() if "identity" in record}
    shown = []
    for (kind, _), record in found.items():
        parents = {"client_id": "clients", "case_id": "cases"}
        plain = {
            name: names.get((parents[name], value)) if name in parents else shas.get(value, value)
            for name, value in record.items()
            if name not in ("id", "agency_id")
        }
        shown.append(f"{kind} {sorted(plain.items())}")
    return sorted(shown)


def refusal(court: Court, upload: Upload) -> str:
    before = rows_of(court)
    with pytest.raises(IngestError) as refused:
        undo_upload(court, upload)
    assert rows_of(court) == before
    assert refused.value.code == "conflict"
    return str(refused.value)


def test_what_was_changed_is_put_back_and_what_was_created_is_removed(court: Court) -> None:
    court.push(ecr(row(), row("2", "CR-2")))
    before = records(court)
    upload = court.push(ecr(row(status="Vacated"), row("3", "CR-3", phone="404-555-0103"), row("2", "CR-3")))
    undone = undo_upload(court, upload)
    assert records(court) == before
    assert undone.put_back == {"events": 1}
    assert undone.removed == {"clients": 1, "cases": 1, "parties": 2, "contacts": 1, "events": 2}
    with court.database.reading() as conn:
        kept = inbox.find_upload(conn, upload.id)
        arrival = inbox.find_arrival(conn, upload.arrival_id)
        assert conn.execute(text("SELECT count(*) FROM skip_index")).scalar_one() == 0
        waiting = [found.id for found in inbox.unanswered(conn)]
    assert kept == undone.upload
    assert (kept.status, kept.undone_at, kept.notes[-1]) == ("undone", court.at, arrival and arrival.detail)
    assert re.search(r"Undone on 2026-.*: 1 event put back, 1 client removed", kept.notes[-1])
    assert arrival is not None
    assert arrival.state == ArrivalState.UNDONE
    assert upload.id in waiting, "its agency is to be told"


def test_the_same_file_again_is_no_duplicate(court: Court) -> None:
    first, second = ecr(row(), row("2", "CR-2")), ecr(row(status="Vacated"), row("3", "CR-3"))
    court.push(first)
    upload = court.push(second)
    after = told(court)
    undo_upload(court, upload)
    again = court.push(second)
    assert (again.status, again.skipped) == ("processed", 0)
    assert again.counts["events"] == upload.counts["events"]
    assert told(court) == after
    assert court.push(second).status == "duplicate"


def test_the_file_before_it_changes_nothing_when_it_comes_again(court: Court) -> None:
    first = ecr(row())
    court.push(first)
    undo_upload(court, court.push(ecr(row(status="Vacated"))))
    before = court.dump()
    again = court.push(first)
    assert again.status == "processed", "what an undo leaves behind is looked at anew"
    assert {kind: (counts.created, counts.updated) for kind, counts in again.counts.items()} == dict.fromkeys(
        again.counts, (0, 0)
    )
    assert court.dump() == before


def test_a_later_change_stands_in_the_way_until_it_is_undone(court: Court) -> None:
    before = records(court)
    first = court.push(ecr(row(), row("2", "CR-2")))
    created = records(court)
    second = court.push(ecr(row(status="Vacated"), row("2", "CR-2")), "/upload/second.txt")
    changed = records(court)
    third = court.push(ecr(row(status="Held"), row("2", "CR-2")), "/upload/third.txt")
    said = refusal(court, second)
    assert said.startswith("A later upload has changed records again")
    assert f"third.txt (1, upload {third.id})" in said
    assert f"third.txt (1, upload {third.id}), second.txt" in refusal(court, first)
    undo_upload(court, third)
    assert records(court) == changed
    assert "second.txt" in refusal(court, first)
    undo_upload(court, second)
    assert records(court) == created
    undo_upload(court, first)
    assert records(court) == before == {}
    with court.database.reading() as conn:
        assert conn.execute(text("SELECT count(*) FROM changes")).scalar_one() == 0, "numbers of records come again"


def test_a_later_upload_that_builds_on_it_stands_in_the_way(court: Court) -> None:
    first = court.push(ecr(row()))
    later = court.push(ecr(row(date="03/17/2026")), "/upload/later.txt")
    assert f"later.txt (1, upload {later.id})" in refusal(court, first)
    undo_upload(court, later)
    undo_upload(court, first)
    assert records(court) == {}


def test_a_later_upload_that_changed_nothing_of_it_does_not(court: Court) -> None:
    court.push(ecr(row()))
    upload = court.push(ecr(row(), row("2", "CR-2")))
    later = court.push(ecr(row(), row("2", "CR-2"), row("3", "CR-3")))
    undone = undo_upload(court, upload)
    assert [since.id for since in undone.since] == [later.id], "whose file may name what is removed now"
    assert undone.removed == {"clients": 1, "cases": 1, "parties": 1, "events": 1}
    assert court.push(ecr(row("2", "CR-2"), row("3", "CR-3"))).counts["events"].created == 1, "nothing is skipped"


def test_what_has_changed_nothing_cannot_be_undone(court: Court) -> None:
    upload = court.push(ecr(row()))
    assert "was a duplicate" in refusal(court, court.push(ecr(row())))
    assert "It is failed" in refusal(court, court.push(ecr(row(date="02/30/2026")), "/upload/bad.txt"))
    undo_upload(court, upload)
    assert "already" in refusal(court, upload)
    with pytest.raises(IngestError, match="There is no upload"), court.database.writing() as conn:
        undo(conn, "nothing", court.at)


def test_what_ran_before_changes_were_kept_cannot_be_undone(court: Court) -> None:
    upload = court.push(ecr(row()))
    with court.database.writing() as conn:
        conn.execute(text("UPDATE uploads SET changed = NULL"))
    assert "before dropslot kept" in refusal(court, upload)


def test_what_it_has_withdrawn_counts_again(court: Court) -> None:
    court.push(ecr(row(), row("2", "CR-2")))
    before = records(court)
    upload = court.push(ecr(row(status="Vacated")))
    with court.database.writing() as conn:
        conn.execute(text("UPDATE events SET withdrawn_upload = :u WHERE status <> 'Vacated'"), {"u": upload.id})
    assert undo_upload(court, upload).put_back == {"events": 2}
    assert records(court) == before


def test_what_a_later_upload_has_withdrawn_stands_in_the_way(court: Court) -> None:
    court.push(ecr(row()))
    upload = court.push(ecr(row(status="Vacated"), row("2", "CR-2")))
    later = court.push(ecr(row(status="Vacated"), row("3", "CR-3")))
    for condition in ("status = 'Vacated'", "id = (SELECT max(id) - 1 FROM events)"):
        with court.database.writing() as conn:
            conn.execute(text("UPDATE events SET withdrawn_upload = NULL"))
            conn.execute(text(f"UPDATE events SET withdrawn_upload = :u WHERE {condition}"), {"u": later.id})
        assert "(1, upload" in refusal(court, upload)


def test_another_agencys_records_are_left_alone(court_at: Any, tmp_path: Path) -> None:
    one = court_at(tmp_path / "court", agency="one")
    other = court_at(tmp_path / "court", agency="two")
    other.push(ecr(row()))
    before = rows_of(other)
    undo_upload(one, one.push(ecr(row(), row("2"))))
    assert rows_of(other) == before


def test_two_agencies_at_once(court_at: Any, tmp_path: Path) -> None:
    courts = [court_at(tmp_path / "court", agency=agency) for agency in ("one", "two", "three")]
    before, uploads = [], []
    for court in courts:
        court.push(ecr(*(row(str(i), f"CR-{i}") for i in range(300))))
        before.append(own(court))
        uploads.append(court.push(ecr(*(row(str(i), f"CR-{i}", status="Held") for i in range(200, 600)))))
    with ThreadPoolExecutor() as pool:
        for undone in pool.map(undo_upload, courts, uploads):
            assert (undone.put_back, undone.removed["clients"]) == ({"events": 100}, 300)
    assert [own(court) for court in courts] == before


def beginning_at(court: Court, statement: str, other: Callable[[], Any], pool: Executor) -> list[Future[Any]]:
    """Once the court's engine has done this statement, `other` begins; the engine goes on when that waits for it."""
    begun: list[Future[Any]] = []

    def begin(_conn: Any, _cursor: Any, said: str, *_: Any) -> None:
        if begun or statement not in said:
            return
        begun.append(pool.submit(other))
        waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted"
        until = time.monotonic() + 5
        with court.database.engine.connect() as conn:
            while conn.dialect.name == "postgresql" and not conn.execute(text(waiting)).scalar():
                assert time.monotonic() < until
                time.sleep(0.02)

    event.listen(court.database.engine, "after_cursor_execute", begin)
    return begun


def test_an_undo_and_the_file_of_another_agency_never_wait_for_each_other(court_at: Any, tmp_path: Path) -> None:
    one, other = (court_at(tmp_path / "court", agency=agency) for agency in ("one", "two"))
    upload = one.push(ecr(row(), row("2")))
    with ThreadPoolExecutor() as pool:
        begun = beginning_at(one, "CREATE INDEX undo_case_parties", lambda: other.push(ecr(row())), pool)
        assert undo_upload(one, upload).removed["clients"] == 2
        assert begun[0].result().status == "processed"


def test_an_undo_waits_for_the_file_of_another_agency_that_turns_to_its_parties_last(
    bare_court_at: Any, tmp_path: Path
) -> None:
    toml = 'name = "t"\n[columns]\ncase.number = "no"\nevent.date = "day"\n[processing]\nmethod = "replace_all"\n'
    one, other = (bare_court_at(tmp_path / "court", agency=agency) for agency in ("one", "two"))
    one.profile()
    other.template(ECR.replace("odyssey-ecr", "ecr"), "/upload")
    other.template(toml + "guard = 100\n", "/t")
    upload = one.push(ecr(row(), row("2")))
    other.push(ecr(row()))
    with ThreadPoolExecutor() as pool:
        begun = beginning_at(other, "INSERT INTO events", lambda: undo_upload(one, upload), pool)
        taken = other.push("no,day\nCR-2,03/17/2026\n", "/t/a.csv")
        assert (taken.status, taken.counts["clients"].withdrawn) == ("processed", 1)
        assert begun[0].result().removed["clients"] == 2


def test_a_duplicate_of_what_is_undone_meanwhile_is_none(court: Court, monkeypatch: pytest.MonkeyPatch) -> None:
    upload = court.push(ecr(row()))
    close = engine._close_duplicate

    def undo_first(*arguments: Any) -> Upload | None:
        undo_upload(court, upload)
        return close(*arguments)

    monkeypatch.setattr(engine, "_close_duplicate", undo_first)
    again = court.push(ecr(row()))
    assert (again.status, again.counts["events"].created) == ("processed", 1)


def test_what_is_remembered_by_a_file_that_runs_meanwhile_is_forgotten(
    court: Court, monkeypatch: pytest.MonkeyPatch
) -> None:
    people = [row(str(i), f"CR-{i}") for i in range(9)]
    upload = court.push(ecr(*people))
    load = skip.load_index

    def undo_then(*arguments: Any) -> Any:
        found = load(*arguments)
        undo_upload(court, upload)
        return found

    monkeypatch.setattr(skip, "load_index", undo_then)
    again = court.push(ecr(*people, row("10", "CR-10")))
    assert (again.skipped, again.counts["events"].created) == (0, 10)


def test_many_records(court_at: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ingest.undo.CHUNK", 7)
    court = court_at(tmp_path / "court")
    court.push(ecr(*(row(str(i), f"CR-{i}") for i in range(3000))))
    before = records(court)
    upload = court.push(ecr(*(row(str(i), f"CR-{i}", status="Vacated") for i in range(1500, 4500))))
    assert undo_upload(court, upload).put_back == {"events": 1500}
    assert records(court) == before


KILLED = """
import os, signal, sys
from sqlalchemy import event
from ingest.record import records_of
from ingest.undo import undo
from server.clock import now
from server.db import open_database
url, agency, upload, where = sys.argv[1:]
database = open_database(url)

def kill(*_):
    os.kill(os.getpid(), signal.SIGKILL)

def watch(conn, cursor, statement, *_):
    if statement.startswith(where):
        kill()

if where == "COMMIT":
    event.listen(database.engine, "commit", kill)
else:
    event.listen(database.engine, "before_cursor_execute", watch)
with database.writing(records_of(agency)) as conn:
    undo(conn, upload, now())
"""


@pytest.mark.parametrize(
    "where",
    [
        "CREATE INDEX",
        "DELETE FROM clients",
        "DROP INDEX",
        "UPDATE events",
        "UPDATE uploads",
        "UPDATE arrivals",
        "COMMIT",
    ],
)
def test_whoever_is_killed_has_undone_nothing(court: Court, where: str) -> None:
    court.push(ecr(row(), row("2", "CR-2")))
    before = records(court)
    upload = court.push(ecr(row(status="Vacated"), row("3", "CR-3")))
    after = rows_of(court)
    url = court.database.engine.url.render_as_string(hide_password=False)
    command = [sys.executable, "-c", KILLED, url, court.agency, upload.id, where]
    assert subprocess.run(command, timeout=60, check=False).returncode == -signal.SIGKILL
    assert rows_of(court) == after
    with court.database.reading() as conn:
        assert inbox.find_upload(conn, upload.id) == upload
    undo_upload(court, upload)
    assert records(court) == before


cell = st.sampled_from(["", "a", "B"])
rich_row = st.builds(
    lambda id_, name, phone, kind, number, status, date, note, amount, bond, pet, other: (
        f"{id_},{name},{phone},,{kind},,{number},1A,{status},{date},,{note},,{amount},fine,{bond},{pet},{other},,"
    ),
    st.sampled_from(["1", "2", ""]),
    st.sampled_from(["Doe Jane", "Roe Bo"]),
    st.sampled_from(["", "404-555-0101", "404-555-0102"]),
    cell,
    st.sampled_from(["N1", "N2"]),
    st.sampled_from(["open", "bound", "closed", ""]),
    st.sampled_from(["", "03/16/2026", "03/17/2026", "02/30/2026"]),
    cell,
    st.sampled_from(["", "1.50", "2"]),
    cell,
    cell,
    st.sampled_from(["", "9"]),
)
files = st.lists(rich_row, max_size=4).map(lambda rows: rich(RICH_ROW, *rows))


@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(first=files, days=st.lists(files, min_size=1, max_size=3))
def test_any_days_are_undone_and_done_again(bare_court_at: Any, tmp_path: Path, first: str, days: list[str]) -> None:
    court = bare_court_at(tmp_path / "court", agency=f"agency {next(NUMBERS)}")
    court.template(RICH, "/rich")
    states, uploads = [own(court)], []
    for number, day in enumerate((first, *days)):
        uploads.append(court.push(day, f"/rich/{number}.csv"))
        states.append(own(court))
    after = told(court)
    for upload in reversed(uploads):
        assert own(court) == states.pop()
        undo_upload(court, upload)
    assert own(court) == states.pop() == {}
    for number, day in enumerate((first, *days)):
        assert court.push(day, f"/rich/{number}.csv").status == uploads[number].status
    assert told(court) == after


@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(nights=st.lists(st.tuples(files, st.booleans()), min_size=2, max_size=6))
def test_a_file_that_was_undone_was_never_there(
    bare_court_at: Any, tmp_path: Path, nights: list[tuple[str, bool]]
) -> None:
    """Whatever is skipped afterwards: only the files that were not undone have left anything behind."""
    court = bare_court_at(tmp_path / "court", agency=f"agency {next(NUMBERS)}")
    other = bare_court_at(tmp_path / "court", agency=f"agency {next(NUMBERS)}")
    for one in (court, other):
        one.template(RICH, "/rich")
    for number, (night, stays) in enumerate(nights):
        upload = court.push(night, f"/rich/{number}.csv")
        if stays:
            other.push(night, f"/rich/{number}.csv")
        elif upload.status != "failed":
            undo_upload(court, upload)
    assert told(court) == told(other)


person = st.builds(
    row,
    reference=st.sampled_from(["1", "2"]),
    case=st.sampled_from(["CR-1", "CR-2"]),
    date=st.sampled_from(["03/16/2026", "04/17/2026"]),
    status=st.sampled_from(["Scheduled", "Held", ""]),
    phone=st.sampled_from(["", "404-555-0101", "404-555-0102"]),
)
reports = st.lists(person, min_size=1, max_size=3).map(lambda people: ecr(*people))
SNAPSHOTS = ("list", "docket")


@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(days=st.lists(st.tuples(st.sampled_from([*SNAPSHOTS, "more"]), reports, st.booleans()), min_size=3, max_size=7))
def test_snapshots_of_shared_records_are_undone_and_done_again(
    bare_court_at: Any, tmp_path: Path, days: list[tuple[str, bytes, bool]]
) -> None:
    """Whoever holds what: as if those that were undone had never been there, and each step back is as it was."""
    court, other = sharing(bare_court_at, tmp_path), sharing(bare_court_at, tmp_path)
    done: list[tuple[dict[tuple[str, int], dict[str, Any]], Upload]] = []
    for number, (name, report, stays) in enumerate(days):
        path = f"/{name}/{number}.txt"
        before = own(court)
        upload = court.push(report, path)
        if stays:
            other.push(report, path)
        elif upload.status != "duplicate":
            undo_upload(court, upload)
            assert own(court) == before
        if stays and upload.status != "duplicate":
            done.append((before, upload))
    after = told(court)
    assert after == told(other)
    for before, upload in reversed(done):
        undo_upload(court, upload)
        assert own(court) == before
    assert own(court) == {}
    for number, (name, report, stays) in enumerate(days):
        if stays:
            court.push(report, f"/{name}/{number}.txt")
    assert told(court) == after


def sharing(bare_court_at: Any, tmp_path: Path) -> Court:
    """A court whose two lists are snapshots, and a report that updates, all of the same people."""
    court: Court = bare_court_at(tmp_path / "court", agency=f"agency {next(NUMBERS)}")
    for name in SNAPSHOTS:
        court.template(snapshot(name=name), f"/{name}")
    court.template(ECR.replace("odyssey-ecr", "more"), "/more")
    return court


@pytest.fixture
def lists(bare_court_at: Any, tmp_path: Path) -> Court:
    """As `sharing`."""
    return sharing(bare_court_at, tmp_path)


def test_what_an_undone_snapshot_alone_had_shared_goes_with_its_list(lists: Court) -> None:
    both = ecr(row(), row("2", "CR-2"))
    lists.push(both, "/list/a.txt")
    undo_upload(lists, lists.push(both, "/docket/a.txt"))
    assert lists.push(ecr(row()), "/list/b.txt").counts["events"] == Counts(unchanged=1, withdrawn=1)


def test_what_an_undone_snapshot_had_let_go_of_is_held_again(lists: Court) -> None:
    both = ecr(row(), row("2", "CR-2"))
    lists.push(both, "/list/a.txt")
    lists.push(both, "/docket/a.txt")
    undo_upload(lists, lists.push(ecr(row()), "/docket/b.txt"))
    assert lists.push(ecr(row()), "/list/b.txt").counts["events"].withdrawn == 0, "the docket holds it"
    assert lists.push(ecr(row()), "/docket/c.txt").counts["events"].withdrawn == 1


def test_a_later_snapshot_holds_what_an_undone_one_began_to_hold(lists: Court) -> None:
    both = ecr(row(), row("2", "CR-2"))
    lists.push(both, "/list/a.txt")
    before = own(lists)
    first = lists.push(both, "/docket/a.txt")
    second = lists.push(ecr(row(), row("2", "CR-2"), row("3", "CR-3")), "/docket/b.txt")
    undo_upload(lists, first)
    held = lists.push(ecr(row()), "/list/b.txt")
    assert held.counts["events"].withdrawn == 0, "the docket still names it"
    for upload in (held, second):
        undo_upload(lists, upload)
    assert own(lists) == before


def test_what_another_has_shared_since_stays_shared(lists: Court) -> None:
    lists.template(snapshot(name="third"), "/third")
    lists.push(ecr(row()), "/list/a.txt")
    before = own(lists)
    first = lists.push(ecr(row()), "/docket/a.txt")
    second = lists.push(ecr(row()), "/third/a.txt")
    undo_upload(lists, first)
    assert {found["holders"] for found in own(lists).values()} == {"list third"}
    undo_upload(lists, second)
    assert own(lists) == before


@pytest.mark.parametrize("set_back", [0, 30], ids=["in-order", "clock-set-back"])
def test_who_let_go_of_a_record_before_has_not_shared_it_later(lists: Court, set_back: int) -> None:
    """The list had the hearing, and lets go of it; the docket brings it back, and a third one shares it."""
    lists.template(snapshot(name="third"), "/third")
    both = ecr(row(), row("2", "CR-2"))
    lists.push(both, "/list/a.txt")
    shared = lists.push(both, "/more/a.txt")
    lists.push(ecr(row()), "/list/b.txt")
    lists.at -= timedelta(days=set_back)
    lists.push(ecr(row("2", "CR-2")), "/docket/a.txt")
    third = lists.push(ecr(row("2", "CR-2")), "/third/a.txt")
    undo_upload(lists, shared)
    undo_upload(lists, third)
    assert {found["template"] for found in own(lists).values()} == {"list", "docket"}
    assert not any("holders" in found for found in own(lists).values()), "each is one template's alone"


def test_whoever_brings_a_record_back_has_it_until_that_is_undone(lists: Court) -> None:
    lists.push(ecr(row(), row("2", "CR-2")), "/list/a.txt")
    lists.push(ecr(row()), "/list/b.txt")
    before = own(lists)
    back = lists.push(ecr(row("2", "CR-2")), "/docket/a.txt")
    assert {found["template"] for found in own(lists).values()} == {"list", "docket"}
    undo_upload(lists, back)
    assert own(lists) == before
    with lists.database.reading() as conn:
        event = conn.execute(text("SELECT record_id FROM changes WHERE kind = 'events' LIMIT 1")).scalar_one()
        assert "template" not in {change.field for change in inbox.record_history(conn, "events", event)}


NUMBERS = iter(range(10_000))


def own(court: Court) -> dict[tuple[str, int], dict[str, Any]]:
    return {key: found for key, found in records(court).items() if found["agency_id"] == court.agency}


def custom(name: str, field: str) -> str:
    return (
        f'name = "{name}"\n[columns]\ncase.number = "no"\n[custom]\ncase.{field} = "{field}"\n'
        '[processing]\nmethod = "replace_template"\nguard = 100\n'
    )


def test_two_snapshots_that_each_fill_a_custom_field_do_not_change_each_other(
    bare_court_at: Any, tmp_path: Path
) -> None:
    court = bare_court_at(tmp_path / "court")
    for name, field in (("a", "zed"), ("b", "alphaé")):
        court.template(custom(name, f'"{field}"').replace('""', '"'), f"/{name}")
    push = lambda name, field, value: court.push(f"no,{field}\nC1,{value}\n", f"/{name}/{value}.csv")  # noqa: E731
    for _ in range(2):
        uploads = [push("a", "zed", "7"), push("b", "alphaé", "true")]
    assert [upload.counts["cases"] for upload in uploads] == [Counts(unchanged=1)] * 2
    wrong = push("a", "zed", "wrong")
    assert push("b", "alphaé", "true").counts["cases"].updated == 0
    undo_upload(court, wrong)
    assert json.loads(next(iter(own(court).values()))["custom"]) == {"zed": "7", "alphaé": "true"}
