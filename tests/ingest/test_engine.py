"""The engine against the obvious implementation, against itself, and against everything that may interrupt it."""

import sqlite3
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, event

from ingest import inbox
from ingest.answer import Counts, receipt_text
from ingest.arrival import ArrivalState
from ingest.databases import Fill
from ingest.databases.sqlite import SQLite
from ingest.engine import ingest
from ingest.errors import IngestError
from ingest.limits import Limits
from ingest.sample import write_ecr
from tests.ingest.conftest import CourtAt
from tests.ingest.court import ZONE, Court, codes, ecr, row
from tests.ingest.reference import Reference

SMALL = Limits(chunk=7, block=512)


def report(folder: Path, rows: int, seed: int, day: int = 1, **options: Any) -> bytes:
    path = folder / "report"
    write_ecr(path, rows, seed, day, **options)
    return path.read_bytes()


def shape(dump: dict[str, list[tuple[Any, ...]]]) -> dict[str, list[tuple[Any, ...]]]:
    """A court's dump cut down to what the reference knows."""
    return {
        "clients": [(r[0], r[1], r[2], r[4], r[8]) for r in dump["clients"]],
        "cases": [(r[0],) for r in dump["cases"]],
        "contacts": [r[:3] for r in dump["contacts"]],
        "case_parties": [r[:3] for r in dump["case_parties"]],
        "events": [(r[0], r[1], r[2], r[4], r[5], r[6], r[9], r[10], r[11]) for r in dump["events"]],
    }


@pytest.mark.parametrize(("delimiter", "seed"), [("|", 1), (",", 2)])
def test_it_does_what_a_loop_over_the_rows_does(tmp_path: Path, delimiter: str, seed: int, court_at: CourtAt) -> None:
    court, reference = court_at(tmp_path / "court"), Reference(ZONE, delimiter)
    for day in (1, 2):
        content = report(tmp_path, 1500, seed, day, bad=0.05, delimiter=delimiter)
        upload = court.push(content)
        reference.ingest(content)
        assert shape(court.dump()) == reference.dump()
        assert codes(court.errors(upload)) == reference.errors


def test_skipping_changes_nothing_but_the_time(tmp_path: Path, court_at: CourtAt) -> None:
    skipping, plain = court_at(tmp_path / "a"), court_at(tmp_path / "b", skipping=False)
    for day in (1, 2, 2, 1):
        content = report(tmp_path, 800, 5, day, bad=0.03)
        one, other = (court.push(content, f"/upload/{len(court.uploads)}.txt") for court in (skipping, plain))
        assert one.counts == other.counts
        assert codes(skipping.errors(one)) == codes(plain.errors(other))
        assert skipping.dump() == plain.dump()
    assert one.skipped > 700


rows = st.lists(
    st.builds(
        row,
        reference=st.sampled_from(["1", "2", ""]),
        case=st.sampled_from(["CR-1", "CR-2"]),
        date=st.sampled_from(["03/16/2026", "03/17/2026", "02/30/2026"]),
        time=st.sampled_from(["9:00 AM", ""]),
        status=st.sampled_from(["Scheduled", "Cancelled", ""]),
        first=st.sampled_from(["Avery", "AVERY", "Blake", ""]),
        role=st.sampled_from(["Defendant", "Witness", ""]),
        phone=st.sampled_from(["", "404-555-0101", "(404) 555-0101", "404-555-0102", "555"]),
        judge=st.sampled_from(["Alvarez, M.", "Brooks, T.", ""]),
    ),
    min_size=1,
    max_size=8,
)


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    first=rows,
    changes=st.lists(st.tuples(st.integers(0, 9), st.integers(0, 3), rows), max_size=3),
    data=st.data(),
    limits=st.sampled_from([SMALL, Limits()]),
)
def test_skipping_is_exact_when_rows_contradict_each_other(
    tmp_path_factory: pytest.TempPathFactory,
    first: list[str],
    changes: list[Any],
    data: st.DataObject,
    limits: Limits,
    court_at: CourtAt,
) -> None:
    folder = tmp_path_factory.mktemp("exact")
    skipping, plain = court_at(folder / "a", limits=limits), court_at(folder / "b", skipping=False)
    filler = [row(str(100 + i), f"CV-{i}") for i in range(10)]
    files = [first]
    for place, gone, added in changes:
        files.append(files[-1][:place] + data.draw(st.sampled_from([[], added[:2]])) + files[-1][place + gone :])
        files.append(data.draw(st.permutations(files[-1])))
    for number, lines in enumerate(files):
        content = ecr(*filler, *lines)
        one, other = (court.push(content, f"/upload/{number}.txt") for court in (skipping, plain))
        assert one.counts == other.counts
        assert skipping.dump() == plain.dump()
    skipping.close()
    plain.close()


def test_a_row_with_a_warning_that_is_gone_leaves_its_record_dirty(court: Court) -> None:
    people = [row(str(100 + i), f"CV-{i}") for i in range(10)]
    court.push(ecr(*people, row(status="Scheduled"), row(status="Cancelled", phone="555")))
    upload = court.push(ecr(*people, row(status="Scheduled")))
    assert upload.skipped == 11
    assert [event[9] for event in court.dump()["events"] if event[0] == "#1"] == ["Scheduled"]


def test_rows_are_skipped_at_all(court: Court) -> None:
    court.push(ecr(*(row(str(i), f"CR-{i}") for i in range(50))))
    upload = court.push(ecr(*(row(str(i), f"CR-{i}") for i in range(49)), row("49", "CR-49", status="Cancelled")))
    assert (upload.rows, upload.skipped) == (50, 49)
    assert upload.counts["events"] == Counts(0, 1, 49)


def test_a_change_by_another_template_is_overwritten_again(court: Court) -> None:
    court.template(
        'name = "names"\n[columns]\nclient.reference = "id"\nclient.first_name = "name"\nclient.group = "group"',
        "/other",
    )
    people = ecr(*(row(str(i), f"CR-{i}") for i in range(20)))
    court.push(people, "/upload/1.txt")
    court.push("id,name\n3,Someone\n", "/other/names.csv")
    court.push(people, "/upload/2.txt")
    court.push("id,name\n3,Someone\n", "/other/names2.csv")
    court.push(people, "/upload/3.txt")
    third = next(client for client in court.dump()["clients"] if client[0] == "#3")
    assert third[2] == "Avery"


@pytest.mark.parametrize("limits", [SMALL, Limits(chunk=100, block=4096), Limits()])
def test_chunks_leave_no_trace(tmp_path: Path, limits: Limits, court_at: CourtAt) -> None:
    one, other = court_at(tmp_path / "a", limits=limits), court_at(tmp_path / "b")
    content = report(tmp_path, 400, 9, bad=0.1)
    first, second = one.push(content), other.push(content)
    assert one.dump() == other.dump()
    assert one.errors(first) == other.errors(second)
    assert first.counts == second.counts


def test_the_same_file_twice_is_a_duplicate_and_changes_nothing(court: Court) -> None:
    content = ecr(row(), row("2", "CR-2"))
    court.push(content)
    before = court.dump()
    upload = court.push(content)
    assert (upload.status, upload.error) == ("duplicate", None)
    assert "on 2026-03-02 01:00 EST and was processed then" in upload.notes[0]  # by the court's clock
    assert court.dump() == before
    assert court.push(content, "/upload/other name.txt").status == "processed"


def test_the_same_name_with_new_content_is_processed_and_then_the_old_content_again(court: Court) -> None:
    first, second = ecr(row(status="Scheduled")), ecr(row(status="Cancelled"))
    assert [court.push(content).status for content in (first, second, first)] == ["processed"] * 3
    assert court.dump()["events"][0][9] == "Scheduled"


def test_a_duplicate_is_one_for_the_same_profile_and_template_version(court: Court) -> None:
    text = 'name = "t"\n[columns]\ncase.number = "n"'
    court.template(text, "/a", skip_same_name=True)
    court.template(text.replace('"t"', '"u"'), "/b")
    content = b"n,s\nCR-1,Style\n"
    assert [court.push(content, f"/{folder}/x.csv").status for folder in "aba"] == ["processed"] * 2 + ["duplicate"]
    taken = court.push(b"n,s\nCR-2,Style\n", "/a/x.csv")
    assert (taken.status, "same content" in receipt_text(taken, [])) == ("duplicate", False)
    with court.database.writing() as conn:
        inbox.add_template(conn, "agency", text.replace('"t"', '"u"') + '\ncase.style = "s"', court.at)
    assert court.push(content, "/b/x.csv").status == "processed"
    assert court.dump()["cases"][0][1] == "Style"


def test_last_weeks_file_is_no_duplicate_once_another_one_was_processed(court: Court) -> None:
    monday, tuesday = ecr(row(status="Scheduled")), ecr(row(status="Cancelled"))
    files = [(monday, "mon"), (tuesday, "tue"), (monday, "mon"), (monday, "mon")]
    pushed = [court.push(content, f"/upload/{day}.txt").status for content, day in files]
    assert pushed == ["processed", "processed", "processed", "duplicate"]
    assert court.dump()["events"][0][9] == "Scheduled", "what the court sent last is what holds"


def test_a_file_that_changed_nothing_in_between_leaves_a_duplicate_one(court: Court) -> None:
    content = ecr(row())
    files = [(content, "mon"), (b"", "tue"), (content, "mon")]
    pushed = [court.push(text, f"/upload/{day}.txt").status for text, day in files]
    assert pushed == ["processed", "failed", "duplicate"]


def test_a_file_is_no_duplicate_after_another_template_changed_its_records(court: Court) -> None:
    court.template('name = "t"\n[columns]\ncase.number = "n"\ncase.style = "s"', "/a")
    court.template('name = "u"\n[columns]\ncase.number = "n"\ncase.style = "s"', "/b")
    mine, theirs = b"n,s\nCR-1,Mine\n", b"n,s\nCR-1,Theirs\n"
    pushed = [court.push(text, path).status for text, path in ((mine, "/a/x"), (theirs, "/b/x"), (mine, "/a/x"))]
    assert pushed == ["processed"] * 3
    assert court.dump()["cases"][0][1] == "Mine"


def test_a_profile_may_take_each_name_once(tmp_path: Path, bare_court_at: CourtAt) -> None:
    court = bare_court_at(tmp_path)
    court.profile(skip_same_name=True)
    assert court.push(ecr(row())).status == "processed"
    assert court.push(ecr(row("2"))).status == "duplicate"


def test_a_failed_file_may_come_again_under_its_name(court: Court) -> None:
    assert court.push(b"").status == "failed"
    assert court.push(b"").status == "failed"
    assert court.push(ecr(row())).status == "processed"


@pytest.mark.parametrize(
    "moment", ["INSERT INTO clients", "INSERT INTO events", "INSERT INTO row_errors", "UPDATE arrivals"]
)
def test_a_run_that_dies_has_changed_nothing_and_is_done_again(court: Court, moment: str) -> None:
    arrival, source = court.receive(ecr(row(), row("2", "CR-2", date="02/30/2026")))
    work = court.work(arrival, source)

    def die(_conn: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if moment in statement:
            raise KeyboardInterrupt

    event.listen(court.database.engine, "before_cursor_execute", die)
    with pytest.raises(KeyboardInterrupt):
        ingest(court.database.engine, work)
    event.remove(court.database.engine, "before_cursor_execute", die)
    assert not any(court.dump().values())
    upload = ingest(court.database.engine, replace(work, upload_id="again"))
    assert (upload.id, upload.status) == ("again", "partially_processed")
    assert ingest(court.database.engine, replace(work, upload_id="third")) == upload
    assert len(court.dump()["events"]) == 1


def test_the_loser_of_a_race_returns_what_the_winner_recorded(court: Court) -> None:
    arrival, source = court.receive(ecr(row()))
    won = []

    def overtake(_conn: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if "CREATE TEMPORARY TABLE stage_errors" in statement and not won:
            won.append(None)
            won[0] = ingest(court.database.engine, court.work(arrival, source))

    event.listen(court.database.engine, "before_cursor_execute", overtake)
    lost = ingest(court.database.engine, court.work(arrival, source))
    assert won == [lost]


def test_an_index_that_has_been_replaced_meanwhile_is_not_trusted(court: Court) -> None:
    people = [row(str(i), f"CR-{i}") for i in range(20)]
    court.push(ecr(*people))
    arrival, source = court.receive(ecr(*people[:-1], row("77", "CR-77")))
    done = []

    def overtake(_conn: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if "CREATE TEMPORARY TABLE stage_errors" in statement and not done:
            done.append(True)
            court.push(ecr(*(row(str(i), f"CR-{i}", status="Cancelled") for i in range(20))), "/upload/b.txt")

    event.listen(court.database.engine, "before_cursor_execute", overtake)
    upload = ingest(court.database.engine, court.work(arrival, source))
    assert upload.skipped == 0
    assert {e[9] for e in court.dump()["events"]} == {"Scheduled", "Cancelled"}
    assert sum(e[9] == "Cancelled" for e in court.dump()["events"]) == 1


@pytest.mark.sqlite_only
def test_staging_locks_nobody_out(court: Court, monkeypatch: pytest.MonkeyPatch) -> None:
    arrival, source = court.receive(ecr(row()))
    written = []

    def write(own: SQLite, conn: Connection, fill: Fill, data: Sequence[Sequence[object]], *, first: bool) -> None:
        if fill.table == "stage_events":
            other = sqlite3.connect(court.folder / "dropslot.db", timeout=0, isolation_level=None)
            other.execute("BEGIN IMMEDIATE")
            other.execute("UPDATE arrivals SET session = 'x'")
            other.execute("COMMIT")
            other.close()
            written.append(True)
        real(own, conn, fill, data, first=first)

    real = SQLite.fill
    monkeypatch.setattr(SQLite, "fill", write)
    assert ingest(court.database.engine, court.work(arrival, source)).status == "processed"
    assert written == [True]


def test_an_arrival_that_does_not_wait_is_refused(court: Court) -> None:
    arrival, source = court.receive(ecr(row()), "/elsewhere/ecr.txt")
    assert arrival.state == ArrivalState.UNMATCHED
    with pytest.raises(IngestError, match="does not wait"):
        ingest(court.database.engine, court.work(arrival, source))
    with pytest.raises(IngestError, match="no arrival"):
        ingest(court.database.engine, replace(court.work(arrival, source), arrival_id="nobody"))


def test_two_people_of_one_name_stay_two(court: Court) -> None:
    court.push(ecr(row("", "CR-1", first="John", last="Smith"), row("", "CR-2", first="John", last="Smith")))
    assert [client[0] for client in court.dump()["clients"]] == ["smith\x1fjohn\x1fCR-1", "smith\x1fjohn\x1fCR-2"]


def test_a_junior_is_not_his_father(court: Court) -> None:
    court.template(
        'name = "jr"\n[columns]\nclient.last_name = "l"\nclient.first_name = "f"\nclient.middle_name = "m"\n'
        'client.suffix = "s"\ncase.number = "n"',
        "/jr",
    )
    court.push("l,f,m,s,n\nPine,Bo,,,C1\nPine,Bo,,Jr,C1\nPINE,bo,,JR,C1\nPine,Bo,Lee,,C1\n", "/jr/a.csv")
    assert [client[0].split("\x1f") for client in court.dump()["clients"]] == [
        ["pine", "bo", "", "jr", "C1"],
        ["pine", "bo", "C1"],
        ["pine", "bo", "lee", "", "C1"],
    ]


@pytest.mark.parametrize("nothing", ["NULL", "n/a", "None", "(null)", "-", "0", "000-0", "NA", "unknown", "####"])
def test_a_word_for_nothing_is_no_reference(court: Court, nothing: str) -> None:
    upload = court.push(ecr(row(nothing, first="Bo", last="Pine"), row(nothing, "CR-2", first="", last="")))
    assert codes(court.errors(upload)) == [(3, "Party ID", "no_client", "error")]
    assert [client[:2] for client in court.dump()["clients"]] == [("pine\x1fbo\x1fCR-1", None)]


def test_byte_order_marks_inside_a_file_make_no_second_record(tmp_path: Path, court_at: CourtAt) -> None:
    dumps = []
    for name, limits in (("a", SMALL), ("b", Limits())):
        court = court_at(tmp_path / name, limits=limits)
        lines = [row(str(i), "CR-1", first="Zoe\u0308" if i % 2 else "Zoë") for i in range(14)]
        court.push(ecr(*lines[:7], "\ufeff" + lines[7], *lines[7:], "\ufeff"))
        dumps.append(court.dump())
        court.close()
    assert dumps[0] == dumps[1]
    assert len(dumps[0]["clients"]) == 14
    assert {client[2] for client in dumps[0]["clients"]} == {"Zoë"}


@pytest.mark.parametrize("mark", ["\u00ad", "\u200b", "\u200e", "\u202c", "\u2060", "\u2069", "\ufeff"])
def test_what_cannot_be_seen_makes_no_second_record(court: Court, mark: str) -> None:
    court.push(ecr(row("77", "CR-1"), row(f"77{mark}", f"CR{mark}-1"), row(f"{mark}77", f"CR-1{mark}")))
    assert {table: len(rows) for table, rows in court.dump().items() if rows} == {
        "clients": 1,
        "cases": 1,
        "case_parties": 1,
        "events": 1,
    }


def test_hearings_between_two_stray_quotes_are_kept(court: Court) -> None:
    lines = [row(str(i), f"CR-{i}") for i in range(9)]
    lines[2], lines[6] = lines[2].replace("Avery", '"Avery'), lines[6].replace("Avery", 'Avery"')
    upload = court.push(ecr(*lines))
    assert codes(court.errors(upload)) == [(4, "", "unclosed_quote", "error"), (8, "", "stray_quote", "error")]
    assert len(court.dump()["events"]) == 7


def test_a_chunk_has_bounded_bytes(tmp_path: Path, court_at: CourtAt) -> None:
    court = court_at(tmp_path, limits=Limits(chunk_bytes=200))
    assert court.push(ecr(*(row(str(i), f"CR-{i}") for i in range(20)))).counts["events"].created == 20
    court.close()


def test_what_is_wrong_beside_an_error_is_not_said_to_be_taken(court: Court) -> None:
    upload = court.push(ecr(row(date="02/30/2026", phone="x"), row(phone="x"), row("2")))
    messages = [error.message for error in court.errors(upload)]
    assert messages == [
        "The cell is not a phone number.",
        "The cell holds no date that exists, written like 03/16/2026.",
        "The cell is not a phone number; the rest of the row was taken.",
    ]


def test_an_empty_cell_leaves_what_is_there(court: Court) -> None:
    court.push(ecr(row(language="Spanish", status="Scheduled")))
    court.push(ecr(row(language="", status="")))
    dump = court.dump()
    assert dump["clients"][0][8] == "Spanish"
    assert dump["events"][0][9] == "Scheduled"


def test_a_bad_phone_costs_the_phone_and_not_the_hearing(court: Court) -> None:
    upload = court.push(ecr(row(phone="555-01", email="a@b")))
    assert (upload.status, upload.error_rows, upload.warning_rows) == ("partially_processed", 0, 1)
    assert codes(court.errors(upload)) == [(2, "Phone", "bad_phone", "warning"), (2, "Email", "bad_email", "warning")]
    assert len(court.dump()["events"]) == 1
    assert court.dump()["contacts"] == []


def test_two_spellings_are_one_contact(court: Court) -> None:
    court.push(ecr(row(phone="(404) 555-0101"), row(phone="+1 404.555.0101", time="10:00 AM")))
    assert [contact[:3] for contact in court.dump()["contacts"]] == [("#1", "phone", "+14045550101")]


def test_the_error_file_corrected_is_taken(court: Court) -> None:
    from ingest.answer import error_file

    good, bad = row(), row("2", "CR-2", date="02/30/2026", phone="+1 404 555 0101")
    upload = court.push(ecr(good, bad))
    answer = error_file(upload, court.errors(upload))
    assert b"'+1 404 555 0101" in answer
    again = court.push(answer.replace(b"02/30/2026", b"03/02/2026"), "/upload/ecr.errors.csv")
    assert (again.status, again.rows, again.notes) == ("processed", 1, ())
    assert [contact[:3] for contact in court.dump()["contacts"]] == [("#2", "phone", "+14045550101")]


def test_records_are_listed_with_stable_columns(court: Court) -> None:
    court.push(ecr(row(phone="404-555-0101"), row("2", "CR-1", time="")))
    with court.database.reading() as conn:
        listed = {kind: list(inbox.records(conn, kind, "agency")) for kind in inbox.COLUMNS}
        assert list(inbox.records(conn, "events", "stranger")) == []
    assert listed.pop("payments") == []
    for kind, columns in inbox.COLUMNS.items():
        if kind not in listed:
            continue
        assert listed[kind]
        assert all(tuple(record) == columns for record in listed[kind])
    assert listed["cases"][0]["parties"] == 2
    assert {event["time"] for event in listed["events"]} == {"09:00", None}


def test_a_time_beside_the_date_is_never_dropped(bare_court_at: CourtAt, tmp_path: Path) -> None:
    court = bare_court_at(tmp_path / "court")
    court.template('name = "t"\n[columns]\ncase.number = "no"\nevent.date = "day"\n', "/upload")
    upload = court.push("no,day\nX1,04/16/2026\nX2,04/16/2026 1:30 PM\nX3,soon\n")
    assert codes(court.errors(upload)) == [(3, "day", "date_with_time", "error"), (4, "day", "bad_date", "error")]
    assert "read its column as event.datetime" in court.errors(upload)[0].message
