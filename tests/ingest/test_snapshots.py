"""Files that hold all there is: what they no longer name is withdrawn, what comes back is restored; a guard asks."""

import re
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import event, text

from ingest import inbox
from ingest.answer import Counts, Upload, receipt, receipt_text
from ingest.engine import ingest
from ingest.errors import IngestError
from ingest.limits import Limits
from ingest.merge.search import Text
from ingest.record import records_of
from ingest.template import Processing, builtin_templates, load_template
from ingest.undo import undo
from tests.ingest.conftest import CourtAt
from tests.ingest.court import ZONE, Court, codes, ecr, row

ECR = builtin_templates()["odyssey-ecr"]
LIVE = {
    "clients": "SELECT identity, first_name, last_name, language FROM clients WHERE withdrawn_upload IS NULL "
    "ORDER BY 1",
    "cases": "SELECT number, status FROM cases WHERE withdrawn_upload IS NULL ORDER BY 1",
    "contacts": "SELECT c.identity, t.kind, t.value FROM contacts t JOIN clients c ON c.id = t.client_id "
    "WHERE t.withdrawn_upload IS NULL ORDER BY 1, 2, 3",
    "case_parties": "SELECT k.number, c.identity, t.role FROM case_parties t JOIN clients c ON c.id = t.client_id "
    "JOIN cases k ON k.id = t.case_id WHERE t.withdrawn_upload IS NULL ORDER BY 1, 2",
    "events": "SELECT c.identity, k.number, t.slot, t.starts_at, t.status, t.location, t.judge FROM events t "
    "LEFT JOIN clients c ON c.id = t.client_id LEFT JOIN cases k ON k.id = t.case_id "
    "WHERE t.withdrawn_upload IS NULL ORDER BY 1, 2, 3",
}


def snapshot(method: str = "replace_template", guard: int = 100, name: str = "nightly", more: str = "") -> str:
    """The standard report as a snapshot."""
    return f'{ECR.replace("odyssey-ecr", name)}\n[processing]\nmethod = "{method}"\nguard = {guard}\n{more}'


def live(court: Court) -> dict[str, list[tuple[Any, ...]]]:
    """What counts, without its history."""
    with court.database.reading() as conn:
        return {kind: [tuple(found) for found in conn.execute(text(sql))] for kind, sql in LIVE.items()}


def ids(court: Court) -> dict[tuple[str, str, str], int]:
    """The ids of hearings by client, case and slot."""
    sql = (
        "SELECT t.id, c.identity, k.number, t.slot FROM events t JOIN clients c ON c.id = t.client_id "
        "JOIN cases k ON k.id = t.case_id"
    )
    with court.database.reading() as conn:
        return {(found.identity, found.number, found.slot): found.id for found in conn.execute(text(sql))}


def hearings(court: Court) -> list[tuple[str, str]]:
    """Whose hearing, and when."""
    return [(found[0], found[2]) for found in live(court)["events"]]


@pytest.fixture
def nightly(bare_court_at: CourtAt, tmp_path: Path) -> Court:
    """A court whose report is a snapshot."""
    court = bare_court_at(tmp_path / "court")
    court.template(snapshot(), "/upload")
    return court


def test_what_a_snapshot_no_longer_holds_is_withdrawn_and_comes_back_with_its_id(nightly: Court) -> None:
    one, two = row("1", "CR-1", phone="404-555-0101"), row("2", "CR-2")
    nightly.push(ecr(one, two))
    before, known = live(nightly), ids(nightly)
    upload = nightly.push(ecr(two))
    assert upload.status == "processed"
    assert upload.counts["events"] == Counts(unchanged=1, withdrawn=1)
    assert upload.counts["contacts"] == Counts(withdrawn=1)
    assert live(nightly)["clients"] == [("#2", "Avery", "Alder", "English")]
    assert live(nightly)["contacts"] == live(nightly)["case_parties"][:0]
    upload = nightly.push(ecr(one, two))
    assert upload.counts["clients"] == Counts(unchanged=1, restored=1)
    assert upload.counts["events"] == Counts(unchanged=1, restored=1)
    assert live(nightly) == before
    assert ids(nightly) == known


def test_withdrawn_records_are_listed_only_on_demand(nightly: Court) -> None:
    nightly.push(ecr(row("1", "CR-1", phone="404-555-0101"), row("2", "CR-1")))
    upload = nightly.push(ecr(row("2", "CR-1")))
    with nightly.database.reading() as conn:
        for kind in ("clients", "contacts", "cases", "events"):
            seen = list(inbox.records(conn, kind, "agency"))
            every = list(inbox.records(conn, kind, "agency", withdrawn=True))
            assert len(every) - len(seen) == (kind != "cases"), kind
            assert {found["withdrawn"] for found in every} <= {None, upload.id}
        assert [case["parties"] for case in inbox.records(conn, "cases", "agency")] == [1]


def test_a_moved_hearing_is_told_as_moved(nightly: Court) -> None:
    nightly.push(ecr(row("1", "CR-1", "03/16/2026"), row("2", "CR-2"), row("3", "CR-3", "03/01/2026")))
    upload = nightly.push(ecr(row("1", "CR-1", "04/20/2026"), row("2", "CR-2"), row("3", "CR-3", "05/01/2026")))
    assert upload.counts["events"] == Counts(created=2, unchanged=1, withdrawn=2, moved=1)
    with nightly.database.reading() as conn:
        moved = inbox.moved_hearings(conn, upload.id)
        pairs = conn.execute(text("SELECT old_event, new_event FROM moved_events")).all()
    known = ids(nightly)
    assert [tuple(pair) for pair in pairs] == [
        (known["#1", "CR-1", "2026-03-16T09:00"], known["#1", "CR-1", "2026-04-20T09:00"])
    ]
    assert [vars(each) for each in moved] == [{"case": "CR-1", "old": "2026-03-16 09:00", "new": "2026-04-20 09:00"}]
    assert receipt(upload, [], moved)["moved"] == [vars(each) for each in moved]
    told = receipt_text(upload, [], moved)
    assert "CR-1: 2026-03-16 09:00 -> 2026-04-20 09:00" in told
    assert "2 withdrawn, 1 moved" in told


def test_several_hearings_are_paired_only_where_nobody_can_doubt(bare_court_at: CourtAt, tmp_path: Path) -> None:
    court = bare_court_at(tmp_path / "court")
    court.template(
        'name = "t"\n[columns]\nclient.reference = "id"\ncase.number = "no"\nevent.date = "day"\nevent.type = "type"\n'
        '[processing]\nmethod = "replace_template"\nguard = 100',
        "/upload",
    )
    head = "id,no,day,type\n"
    court.push(f"{head}1,A,03/20/2026,Trial\n1,A,03/21/2026,Plea\n2,B,03/20/2026,Plea\n2,B,03/21/2026,Plea\n")
    upload = court.push(f"{head}1,A,04/20/2026,Trial\n1,A,04/21/2026,Plea\n2,B,04/20/2026,Plea\n2,B,04/21/2026,Plea\n")
    assert upload.counts["events"] == Counts(created=4, withdrawn=4, moved=2)
    with court.database.reading() as conn:
        assert {moved.case for moved in inbox.moved_hearings(conn, upload.id)} == {"A"}


def test_a_snapshot_leaves_empty_what_it_leaves_empty(nightly: Court) -> None:
    nightly.push(ecr(row(judge="Alvarez, M."), row("2", "CR-2")))
    nightly.push(ecr(row(judge="", status=""), row("2", "CR-2")))
    assert live(nightly)["events"][0][4:] == (None, "Courtroom 1A", None)


def test_custom_fields_and_amounts_are_emptied_as_well(bare_court_at: CourtAt, tmp_path: Path) -> None:
    court = bare_court_at(tmp_path / "court")
    text_ = (
        'name = "{}"\n[columns]\nclient.reference = "id"\npayment.reference = "pay"\npayment.amount = "due"\n'
        '[custom]\nclient.{} = "x"\n'
    )
    method = '[processing]\nmethod = "replace_template"\nguard = 100'
    court.template(text_.format("mine", "mine") + method, "/mine")
    court.template(text_.format("other", "other"), "/other")
    court.push("id,pay,due,x\n1,p,$5.00,hound\n2,q,$6.00,cat\n", "/mine/1.csv")
    court.push("id,pay,due,x\n1,p,,green\n", "/other/1.csv")
    court.push("id,pay,due,x\n1,p,,\n2,q,$6.00,cat\n", "/mine/2.csv")
    with court.database.reading() as conn:
        found = conn.execute(text("SELECT reference, custom FROM clients ORDER BY 1")).all()
        owed = conn.execute(text("SELECT reference, amount FROM payments ORDER BY 1")).all()
    assert [(one, "".join((other or "").split())) for one, other in found] == [
        ("1", '{"other":"green"}'),
        ("2", '{"mine":"cat"}'),
    ]
    assert [tuple(one) for one in owed] == [("p", None), ("q", 600)]
    upload = court.push("id,pay,due,x\n1,p,,\n2,q,$6.00,cat\n", "/mine/3.csv")
    assert upload.counts["clients"] == Counts(unchanged=2)
    assert upload.counts["payments"] == Counts(unchanged=2)


def people(count: int, begin: int = 0, date: str = "04/16/2026") -> list[str]:
    """A hearing for each of so many."""
    return [row(str(i), f"CR-{i}", date) for i in range(begin, begin + count)]


def test_a_file_that_would_withdraw_too_much_changes_nothing(bare_court_at: CourtAt, tmp_path: Path) -> None:
    court = bare_court_at(tmp_path / "court")
    court.template(snapshot(guard=30), "/upload")
    court.push(ecr(*people(20)))
    before = court.dump()
    assert court.push(ecr(*people(14))).status == "processed", "30 % may go"
    assert court.push(ecr(*people(20))).status == "processed"
    upload = court.push(ecr(*people(13), row("99", "CR-99"), row("98", "CR-98", "02/30/2026")))
    assert upload.status == "awaiting_confirmation"
    assert upload.error is not None
    assert (upload.error.code, upload.counts["events"].withdrawn) == ("withdrawals", 7)
    assert upload.error.message.startswith("The file would withdraw 7 of 20 events (35 %), 7 of 20 clients (35 %)")
    assert codes(court.errors(upload)) == [(16, "Event Date", "bad_date", "error")]
    assert [client[0] for client in court.dump()["clients"]] == [client[0] for client in before["clients"]]
    assert len(hearings(court)) == 20
    with court.database.reading() as conn:
        assert [waiting.id for waiting in inbox.awaiting_uploads(conn)] == [upload.id]


def test_hearings_that_are_over_need_no_word(bare_court_at: CourtAt, tmp_path: Path) -> None:
    court = bare_court_at(tmp_path / "court")
    court.template(snapshot(guard=0), "/upload")
    court.push(ecr(*people(20, date="03/02/2026"), *people(5, 100)))
    upload = court.push(ecr(*people(5, 100)))
    assert (upload.status, upload.counts["events"].withdrawn) == ("processed", 20)
    assert len(live(court)["clients"]) == 5


def test_an_empty_snapshot_always_waits_where_there_is_anything(nightly: Court) -> None:
    upload = nightly.push(ecr())
    assert upload.status == "processed", "there is nothing that it could withdraw"
    nightly.push(ecr(row()))
    upload = nightly.push(ecr(), "/upload/empty.txt")
    assert upload.status == "awaiting_confirmation"
    assert upload.error is not None
    assert "names nothing at all" in upload.error.message
    assert nightly.push(ecr(row(date="02/30/2026")), "/upload/bad.txt").status == "failed"
    assert len(hearings(nightly)) == 1


def run_again(court: Court, held: Upload) -> Upload:
    """Confirm, and do what the worker does."""
    with court.database.writing(records_of("agency")) as conn:
        inbox.confirm_upload(conn, held.id, court.at)
        arrival = inbox.find_arrival(conn, held.arrival_id)
    assert arrival is not None
    upload = ingest(court.database.engine, court.work(arrival, court.original(held)))
    court.uploads.append(upload.id)
    return upload


def test_a_confirmed_file_runs_as_a_new_upload_and_only_once(nightly: Court) -> None:
    nightly.push(ecr(row()))
    held = nightly.push(ecr())
    upload = run_again(nightly, held)
    assert (upload.status, upload.counts["events"].withdrawn) == ("processed", 1)
    assert live(nightly)["events"] == []
    with nightly.database.reading() as conn:
        old = inbox.find_upload(conn, held.id)
        assert old is not None
        assert (old.status, old.answered_at) == ("confirmed", None), "its receipt names the one that followed"
        assert old.notes == (f"It was run again as upload {upload.id}.",)
        assert upload.notes[-1] == f"A person has confirmed the file; it had waited as upload {held.id}."
        assert inbox.find_upload(conn, upload.id) == upload
    text_ = receipt_text(old, [])
    assert f"run again as upload {upload.id}" in text_
    assert "confirm or reject" not in text_
    with nightly.database.reading() as conn:
        assert [waiting.id for waiting in inbox.unanswered(conn)] != []
    with pytest.raises(Exception, match="waits for nobody"), nightly.database.writing() as conn:
        inbox.reject_upload(conn, held.id, "")


def test_the_right_file_sent_again_takes_the_place_of_the_one_that_waits(nightly: Court) -> None:
    right = ecr(row(), row("2", "CR-2"))
    nightly.push(right, "/upload/cal.txt")
    held = nightly.push(ecr(), "/upload/cal.txt")
    assert held.status == "awaiting_confirmation"
    assert nightly.push(right, "/upload/cal.txt").status == "duplicate", "it says what is there"
    with nightly.database.writing() as conn:
        assert inbox.awaiting_uploads(conn) == []
        with pytest.raises(IngestError, match=r"A newer file of the same template, cal\.txt, has come"):
            inbox.confirm_upload(conn, held.id, nightly.at)
    assert len(hearings(nightly)) == 2


def test_a_file_that_is_not_taken_for_its_name_alone_says_nothing_of_one_that_waits(nightly: Court) -> None:
    nightly.push(ecr(row(), row("2", "CR-2")), "/upload/cal.txt")
    held = nightly.push(ecr(), "/upload/empty.txt")
    with nightly.database.writing() as conn:
        profile = inbox.list_profiles(conn, "agency")[0]
        inbox.keep_profile(conn, replace(profile, skip_same_name=True))
    assert nightly.push(ecr(row()), "/upload/cal.txt").status == "duplicate"
    with nightly.database.reading() as conn:
        assert [waiting.id for waiting in inbox.awaiting_uploads(conn)] == [held.id]


def test_a_job_that_runs_once_more_leaves_a_waiting_file_waiting(nightly: Court) -> None:
    nightly.push(ecr(row()))
    arrival, source = nightly.receive(ecr())
    work = nightly.work(arrival, source)
    held = ingest(nightly.database.engine, work)
    assert (held.status, ingest(nightly.database.engine, work).id) == ("awaiting_confirmation", held.id)


def test_an_older_snapshot_that_comes_late_does_not_bring_back_the_past(nightly: Court) -> None:
    late, source = nightly.receive(ecr(row()))
    nightly.push(ecr(row("2", "CR-2")))
    upload = ingest(nightly.database.engine, nightly.work(late, source))
    assert upload.error is not None
    assert (upload.status, upload.error.code) == ("failed", "overtaken")
    assert [who for who, _ in hearings(nightly)] == ["#2"]


def test_what_is_run_again_overtakes_no_newer_file_that_waits(nightly: Court) -> None:
    monday = nightly.push(ecr(row(), row("2", "CR-2")), "/upload/mon.txt")
    tuesday = nightly.push(ecr(), "/upload/tue.txt")
    again = nightly.replay(monday)
    assert (tuesday.status, again.status) == ("awaiting_confirmation", "processed")
    assert nightly.replay(again).status == "processed"
    taken = run_again(nightly, tuesday)
    assert (taken.status, taken.error, hearings(nightly)) == ("processed", None, [])


def test_a_newer_file_that_is_taken_when_it_is_run_again_overtakes_one_that_waits(nightly: Court) -> None:
    nightly.push(ecr(row(), row("2", "CR-2")))
    held = nightly.push(ecr())
    failed = nightly.push(ecr(row("3", "CR-3")).replace(b"Case Number", b"Docket"), "/upload/wed.txt")
    with nightly.database.writing() as conn:
        inbox.add_template(conn, "agency", snapshot().replace('"Case Number"', '"Docket"'), nightly.at)
    assert (failed.status, nightly.replay(failed).status) == ("failed", "processed")
    with nightly.database.writing() as conn, pytest.raises(IngestError, match=r"A newer file .* wed\.txt, has come"):
        inbox.confirm_upload(conn, held.id, nightly.at)


def test_where_files_are_taken_in_an_order_the_one_taken_last_counts(bare_court_at: CourtAt, tmp_path: Path) -> None:
    court = bare_court_at(tmp_path / "court")
    court.template(snapshot(guard=0, more='order = "descending"\n'), "/upload")
    court.push(ecr(*(row(str(i), f"CR-{i}") for i in range(20))))
    older, newer = (court.receive(ecr(*(row(str(i), f"CR-{i}") for i in range(left)))) for left in (10, 5))
    first, last = (ingest(court.database.engine, court.work(*file)) for file in (newer, older))
    assert [first.status, last.status] == ["awaiting_confirmation"] * 2
    assert run_again(court, first).status == "processed", "the one that counts may be confirmed after it"
    assert run_again(court, last).status == "processed"
    older, newer = (court.receive(ecr(*(row(str(i), f"CR-{i}") for i in range(left)))) for left in (9, 3))
    first, last = (ingest(court.database.engine, court.work(*file)) for file in (newer, older))
    assert [first.status, last.status] == ["awaiting_confirmation", "processed"]
    with court.database.writing() as conn, pytest.raises(IngestError, match="has come in the meantime, and counts"):
        inbox.confirm_upload(conn, first.id, court.at)
    assert len(hearings(court)) == 9


def test_a_clock_that_was_set_back_refuses_no_newer_snapshot(nightly: Court) -> None:
    """A machine began with a clock that was a year ahead, and took a file by it."""
    right, one = nightly.at, ecr(row())
    nightly.at = right + timedelta(days=365)
    assert nightly.push(one, "/upload/1.txt").status == "processed"
    nightly.at = right
    late, source = nightly.receive(ecr(row("3", "CR-3")))
    assert nightly.push(ecr(row("2", "CR-2")), "/upload/2.txt").status == "processed"
    assert [who for who, _ in hearings(nightly)] == ["#2"]
    assert nightly.push(one, "/upload/1.txt").status == "processed", "it says something else than the last one"
    assert [who for who, _ in hearings(nightly)] == ["#1"]
    upload = ingest(nightly.database.engine, nightly.work(late, source))
    assert upload.error is not None
    assert upload.error.code == "overtaken", "by those that came since by the right clock"


def test_the_same_content_as_before_another_is_no_duplicate(nightly: Court) -> None:
    one, other = ecr(row()), ecr(row("2", "CR-2"))
    assert nightly.push(one, "/upload/1.txt").status == "processed"
    assert nightly.push(one, "/upload/1.txt").status == "duplicate"
    assert nightly.push(other, "/upload/2.txt").status == "processed"
    assert nightly.push(one, "/upload/1.txt").status == "processed"
    assert [who for who, _ in hearings(nightly)] == ["#1"]


def test_nobodys_hearing_vanishes_since_a_row_of_theirs_was_bad(nightly: Court) -> None:
    last = row("5", "CR-5", first="Kim", last="Pine")
    nightly.push(ecr(row("1", "CR-1"), row("2", "CR-2"), row("3", "CR-3"), row("4", "CR-4"), last))
    bad_date, no_number = row("1", "CR-1", "02/30/2026"), row("2", "")
    broken, nameless = row("3", "CR-3") + "|odd", row("", "CR-4", "02/30/2026")
    upload = nightly.push(ecr(bad_date, no_number, broken, nameless, row("9", "CR-9")))
    assert upload.error_rows == 4
    assert [who for who, _ in hearings(nightly)] == ["#1", "#2", "#3", "#4", "#9"]
    assert upload.counts["events"].withdrawn == 1
    nightly.push(ecr(row("9", "CR-9")))
    assert [who for who, _ in hearings(nightly)] == ["#9"], "it was no hold for ever"


def test_a_row_that_cannot_be_read_at_all_spares_whom_it_may_mean(bare_court_at: CourtAt, tmp_path: Path) -> None:
    court = bare_court_at(tmp_path / "court")
    columns = 'name = "t"\n[columns]\nclient.reference = "id"\ncase.number = {}\nevent.date = "day"\n'
    method = '[processing]\nmethod = "replace_template"\nguard = 100'
    court.template(columns.format('"no"') + method, "/plain")
    joined = columns.format('{ join = ["no", "day"], with = "-" }').replace('"t"', '"joined"')
    court.template(joined + method, "/joined")
    for folder, left in (("plain", ["A2"]), ("joined", ["A1", "A2"])):
        court.push("id,no,day\nA1,X1,04/20/2026\nA2,X2,04/20/2026\n", f"/{folder}/1.csv")
        court.push("id,no,day\nA9,X9,04/20/2026\na2,,,,\n", f"/{folder}/2.csv")
        with court.database.reading() as conn:
            query = (
                "SELECT c.reference FROM events e JOIN clients c ON c.id = e.client_id WHERE "
                "e.withdrawn_upload IS NULL AND c.reference <> 'A9' AND e.template IN ('*', :name) ORDER BY 1"
            )
            name = {"plain": "t", "joined": "joined"}[folder]
            assert list(conn.execute(text(query), {"name": name}).scalars()) == left, folder


def contacts(court: Court) -> list[str]:
    """Their values."""
    return [value for _, _, value in live(court)["contacts"]]


def test_nobodys_phone_vanishes_since_its_cell_had_a_typo(nightly: Court) -> None:
    usual = [
        row("1", "CR-1", phone="404-555-0101", email="a@example.com"),
        row("2", "CR-2", phone="404-555-0102"),
        row("3", "CR-3", phone="404-555-0103"),
    ]
    nightly.push(ecr(*usual))
    typo = row("1", "CR-1", phone="404-555-01O1", email="b@example.com")
    upload = nightly.push(ecr(typo, row("2", "CR-2"), usual[2]))
    assert (upload.warning_rows, upload.counts["contacts"].withdrawn) == (1, 1)
    assert contacts(nightly) == ["a@example.com", "b@example.com", "+14045550101", "+14045550103"]
    nightly.push(ecr(row("1", "CR-1", phone="404-555-0111", email="b@example.com"), usual[2]))
    assert contacts(nightly) == ["b@example.com", "+14045550111", "+14045550103"], "it was no hold for ever"


def test_only_the_person_with_the_typo_keeps_old_phones(bare_court_at: CourtAt, tmp_path: Path) -> None:
    court = bare_court_at(tmp_path / "court")
    court.template(
        'name = "t"\n[columns]\nclient.reference = "id"\ncontact.phone = "cell"\ncase.number = "no"\n'
        '[[party]]\ncolumns.client.reference = "aid"\ncolumns.contact.phone = "aphone"\n'
        'constants.case.role = "Attorney"\n[processing]\nmethod = "replace_template"\nguard = 100',
        "/upload",
    )
    head = "id,cell,no,aid,aphone\n"
    court.push(f"{head}1,404-555-0101,X1,A1,404-555-0201\n2,404-555-0102,X2,A2,404-555-0202\n")
    court.push(f"{head}1,,X1,A1,404-555\n2,4045,X2,A2,\n")
    assert contacts(court) == ["+14045550102", "+14045550201"]


@pytest.mark.parametrize("who", ["id", ""])
def test_no_payment_vanishes_since_its_cell_had_a_typo(bare_court_at: CourtAt, tmp_path: Path, who: str) -> None:
    court = bare_court_at(tmp_path / "court")
    client = f'client.reference = "{who}"' if who else ""
    court.template(
        f'name = "t"\n[columns]\n{client}\ncase.number = "no"\n'
        'payment.amount = "owed"\npayment.due_date = "due"\n'
        '[processing]\nmethod = "replace_template"\nguard = 100',
        "/upload",
    )
    court.push("id,no,owed,due\n1,X1,10.00,04/01/2026\n2,X2,20.00,04/01/2026\n3,X3,30.00,\n4,X4,40.00,\n")
    court.push("id,no,owed,due\n1,X1,10.00,04/31/2026\n2,X2,,\n3,X3,3o,\n4,X4,,\n")
    with court.database.reading() as conn:
        left = conn.execute(text("SELECT amount FROM payments WHERE withdrawn_upload IS NULL ORDER BY 1"))
        assert list(left.scalars()) == [1000, 3000]


def test_a_payment_that_cannot_be_read_spares_nobody_else_s(bare_court_at: CourtAt, tmp_path: Path) -> None:
    court = bare_court_at(tmp_path / "court")
    court.template(
        'name = "t"\n[columns]\nclient.reference = "id"\ncase.number = "no"\npayment.amount = "owed"\n'
        'payment.reference = "pay"\n[[party]]\nname = "attorney"\ncolumns.client.reference = "aid"\n'
        '[processing]\nmethod = "replace_template"\nguard = 100',
        "/upload",
    )
    court.push("id,no,owed,pay,aid\n1,X1,10.00,,\n9,X9,20.00,P9,\n")
    court.push("id,no,owed,pay,aid\n1,X1,1o,,9\n")
    with court.database.reading() as conn:
        left = conn.execute(text("SELECT amount FROM payments WHERE withdrawn_upload IS NULL ORDER BY 1"))
        assert list(left.scalars()) == [1000]


def test_who_is_known_by_a_case_that_is_matched_by_more_than_its_number_is_spared(
    bare_court_at: CourtAt, tmp_path: Path
) -> None:
    court = bare_court_at(tmp_path / "court")
    court.template(
        'name = "t"\n[columns]\nclient.last_name = "last"\ncontact.phone = "cell"\ncase.number = "no"\n'
        'case.location = "county"\nevent.date = "day"\npayment.amount = "owed"\n[match]\ncase = "number + location"\n'
        '[processing]\nmethod = "replace_template"\nguard = 100',
        "/upload",
    )
    head = "last,cell,no,county,day,owed\n"
    court.push(f"{head}A,404-555-0101,X1,Fulton,04/01/2026,10\nB,404-555-0102,X2,Cobb,04/01/2026,20\n")
    court.push(f"{head}A,404-555-0101,X1,Fulton,04/31/2026,10\nB,4045,X2,Cobb,04/01/2026,2o\nC,,X3,Cobb,04/01/2026,\n")
    with court.database.reading() as conn:
        left = conn.execute(text("SELECT amount FROM payments WHERE withdrawn_upload IS NULL ORDER BY 1"))
        assert list(left.scalars()) == [1000, 2000]
    assert contacts(court) == ["+14045550101", "+14045550102"]


def test_the_guard_looks_at_contacts(bare_court_at: CourtAt, tmp_path: Path) -> None:
    court = bare_court_at(tmp_path / "court")
    court.template(snapshot(guard=30), "/upload")
    with_phone = [row(str(i), f"CR-{i}", "04/16/2026", phone=f"404-555-{i:04}") for i in range(1, 11)]
    over = [row(str(i), f"CR-{i}", "03/02/2026", phone=f"404-555-{i:04}") for i in range(20, 40)]
    court.push(ecr(*with_phone, *over))
    held = court.push(ecr(*(row(str(i), f"CR-{i}", "04/16/2026") for i in range(1, 11))))
    assert held.error is not None
    assert held.error.message.startswith("The file would withdraw 10 of 10 contacts (100 %);")
    assert court.push(ecr(*with_phone[:7], *(row(str(i), f"CR-{i}", "04/16/2026") for i in range(8, 11)))).error is None


def test_the_guard_tells_how_many_hearings_seem_moved(bare_court_at: CourtAt, tmp_path: Path) -> None:
    court = bare_court_at(tmp_path / "court")
    court.template(snapshot(guard=30), "/upload")
    court.push(ecr(*people(10)))
    held = court.push(ecr(*people(6, date="04/20/2026"), *people(3, 6)))
    assert held.error is not None
    assert "withdraw 7 of 10 events (70 %)" in held.error.message
    assert held.error.message.endswith(
        "6 hearings seem to be moved: the file has another date for the same person and case."
    )


OTHER = (
    'name = "other"\n[columns]\nclient.reference = "id"\ncase.number = "no"\nevent.date = "day"\nevent.time = "time"\n'
    'contact.email = "mail"\n'
)


def test_a_snapshot_withdraws_what_it_brought_though_others_have_touched_it(nightly: Court) -> None:
    nightly.template(OTHER, "/other")
    nightly.push(ecr(row("1", "CR-1"), row("2", "CR-2")))
    nightly.push("id,no,day,time,mail\n1,CR-1,03/16/2026,9:00 AM,\n3,CR-3,03/17/2026,,\n", "/other/1.csv")
    upload = nightly.push(ecr(row("2", "CR-2")))
    assert upload.counts["events"].withdrawn == 1
    assert [who for who, _ in hearings(nightly)] == ["#2", "#3"], "the other template's own stays"
    nightly.push("id,no,day,time,mail\n1,CR-1,03/16/2026,9:00 AM,\n", "/other/2.csv")
    nightly.push(ecr(row("2", "CR-2"), row("4", "CR-4")))
    assert [who for who, _ in hearings(nightly)] == ["#1", "#2", "#3", "#4"], "who restores it has brought it"


def test_two_snapshots_share_a_record_until_both_let_go(nightly: Court) -> None:
    nightly.template(snapshot(name="second"), "/second")
    both, mine, theirs = row("1", "CR-1"), row("2", "CR-2"), row("3", "CR-3")
    nightly.push(ecr(both, mine))
    nightly.push(ecr(both, theirs), "/second/1.txt")
    assert nightly.push(ecr(mine)).counts["events"].withdrawn == 0
    assert [who for who, _ in hearings(nightly)] == ["#1", "#2", "#3"]
    assert nightly.push(ecr(theirs), "/second/2.txt").counts["events"].withdrawn == 1
    assert [who for who, _ in hearings(nightly)] == ["#2", "#3"]


def test_a_shared_person_whom_a_bad_row_has_kept_goes_with_the_next_snapshot(nightly: Court) -> None:
    nightly.template(ECR.replace("odyssey-ecr", "more"), "/more")
    nightly.push(ecr(row("1", "CR-1"), row("2", "CR-2")), "/upload/1.txt")
    nightly.push(ecr(row("1", "CR-1")), "/more/1.txt")
    before = live(nightly)
    kept = nightly.push(ecr(row("2", "CR-2"), row("3", "CR-1", date="99/99/2026")), "/upload/2.txt")
    assert live(nightly)["clients"] == before["clients"]
    undo_upload(nightly, kept)
    assert live(nightly) == before
    nightly.push(ecr(row("2", "CR-2"), row("3", "CR-1", date="99/99/2026")), "/upload/3.txt")
    gone = nightly.push(ecr(row("2", "CR-2")), "/upload/4.txt")
    assert [who for who, *_ in live(nightly)["clients"]] == ["#2"]
    assert [number for number, *_ in live(nightly)["cases"]] == ["CR-2"]
    undo_upload(nightly, gone)
    assert live(nightly) == before
    nightly.push(ecr(row("2", "CR-2"), row("4", "CR-4")), "/upload/5.txt")
    assert [who for who, *_ in live(nightly)["clients"]] == ["#2", "#4"]


def test_nobody_is_withdrawn_who_has_a_hearing_by_another_template(nightly: Court) -> None:
    nightly.template(OTHER, "/other")
    nightly.push(ecr(row("1", "CR-1", phone="404-555-0101"), row("2", "CR-2")))
    nightly.push("id,no,day,time,mail\n1,CR-1,05/01/2026,,a@example.com\n", "/other/1.csv")
    upload = nightly.push(ecr(row("2", "CR-2")))
    assert (upload.counts["events"].withdrawn, upload.counts["clients"].withdrawn) == (1, 0)
    assert [found[0] for found in live(nightly)["clients"]] == ["#1", "#2"]
    assert [found[0] for found in live(nightly)["cases"]] == ["CR-1", "CR-2"]


def test_replace_all_takes_what_any_upload_brought(bare_court_at: CourtAt, tmp_path: Path) -> None:
    court = bare_court_at(tmp_path / "court")
    court.template(OTHER, "/other")
    court.template(snapshot("replace_all"), "/upload")
    lines = "id,no,day,time,mail\n1,CR-1,05/01/2026,,a@example.com\n"
    court.push(lines, "/other/1.csv")
    upload = court.push(ecr(row("2", "CR-2")))
    assert upload.counts["events"] == Counts(created=1, withdrawn=1)
    assert [who for who, _ in hearings(court)] == ["#2"]
    again = court.push(lines, "/other/2.csv")
    assert (again.skipped, again.counts["events"]) == (0, Counts(restored=1)), "its memory of the file is gone"
    assert [who for who, _ in hearings(court)] == ["#1", "#2"]


def test_rows_that_a_filter_leaves_out_are_not_in_the_snapshot(bare_court_at: CourtAt, tmp_path: Path) -> None:
    court = bare_court_at(tmp_path / "court")
    court.template(snapshot(more='[[exclude]]\nfield = "event.status"\nis = ["Vacated"]\nname = "vacated"'), "/upload")
    court.push(ecr(row("1", "CR-1"), row("2", "CR-2")))
    court.push(ecr(row("1", "CR-1", status="Vacated"), row("2", "CR-2")))
    assert [who for who, _ in hearings(court)] == ["#2"]


def test_an_error_file_is_no_snapshot(nightly: Court) -> None:
    nightly.push(ecr(row("1", "CR-1"), row("2", "CR-2")))
    upload = nightly.push(b"row number|reasons|" + ecr(row("2", "CR-2")).replace(b"\r\n2|", b"\r\n3|bad|2|"))
    assert upload.error is not None
    assert upload.error.code == "corrections_alone"
    assert len(hearings(nightly)) == 2


@pytest.mark.parametrize("moment", ["restore", "collect", "withdraw", "moved", "end"])
def test_a_run_that_dies_has_withdrawn_nothing(nightly: Court, moment: str) -> None:
    begins = {
        "restore": "UPDATE clients SET withdrawn_upload = NULL",
        "collect": "INSERT INTO stage_gone",
        "withdraw": "UPDATE events SET withdrawn_upload",
        "moved": "INSERT INTO moved_events",
        "end": "UPDATE arrivals",
    }[moment]
    nightly.push(ecr(row("1", "CR-1"), row("2", "CR-2"), row("3", "CR-3")))
    nightly.push(ecr(row("2", "CR-2"), row("3", "CR-3")))
    before = live(nightly), nightly.dump()
    arrival, source = nightly.receive(ecr(row("1", "CR-1"), row("3", "CR-3", "04/17/2026")))
    work, reached = nightly.work(arrival, source), []

    def die(_conn: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if statement.startswith(begins):
            reached.append(statement)
            raise KeyboardInterrupt

    event.listen(nightly.database.engine, "before_cursor_execute", die)
    with pytest.raises(KeyboardInterrupt):
        ingest(nightly.database.engine, work)
    event.remove(nightly.database.engine, "before_cursor_execute", die)
    assert reached
    assert (live(nightly), nightly.dump()) == before
    upload = ingest(nightly.database.engine, work)
    assert upload.counts["events"] == Counts(created=1, restored=1, withdrawn=2, moved=1)


rows = st.lists(
    st.builds(
        row,
        reference=st.sampled_from(["1", "2", "3", ""]),
        case=st.sampled_from(["CR-1", "CR-2"]),
        date=st.sampled_from(["03/16/2026", "03/17/2026"]),
        status=st.sampled_from(["Scheduled", "Cancelled", ""]),
        first=st.sampled_from(["Avery", "Blake", ""]),
        role=st.sampled_from(["Defendant", "Witness", ""]),
        phone=st.sampled_from(["", "404-555-0101", "404-555-0102"]),
        judge=st.sampled_from(["Alvarez, M.", ""]),
    ),
    min_size=1,
    max_size=6,
)


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(files=st.lists(rows, min_size=2, max_size=4), method=st.sampled_from(["replace_all", "replace_template"]))
def test_a_snapshot_leaves_what_it_would_leave_in_a_fresh_database(
    tmp_path_factory: pytest.TempPathFactory, files: list[list[str]], method: str, bare_court_at: CourtAt
) -> None:
    folder = tmp_path_factory.mktemp("snapshots")
    court, fresh = (bare_court_at(folder / name, limits=Limits(chunk=3, block=512)) for name in ("a", "b"))
    for one in (court, fresh):
        one.template(snapshot(method), "/upload")
    known: dict[tuple[str, str, str], int] = {}
    for lines in files:
        upload = court.push(ecr(*lines), f"/upload/{len(court.uploads)}.txt")
        assert all(min(vars(counts).values()) >= 0 for counts in upload.counts.values())
        now = ids(court)
        assert known.items() <= now.items(), "a hearing keeps its id"
        known = now
    fresh.push(ecr(*files[-1]))
    assert live(court) == live(fresh)
    court.close()
    fresh.close()


@pytest.mark.parametrize(
    ("line", "wrong"),
    [
        ('method = "replace"', "method is none of"),
        ("guard = 101", "guard must be a whole number from 0 to 100"),
        ("guard = true", "guard must be a whole number"),
        ('order = "up"', "order is none of"),
        ('by = ["name"]', "by is none of"),
        ('mode = "update"', "unknown key in [processing]: mode"),
    ],
    ids=["method", "guard", "flag", "order", "list", "key"],
)
def test_what_processing_cannot_be(line: str, wrong: str) -> None:
    with pytest.raises(IngestError, match=re.escape(wrong)) as refused:
        load_template(f"{ECR}\n[processing]\n{line}")
    assert f"See line {len(ECR.splitlines()) + 3} of the template." in refused.value.hint


def test_a_template_that_says_nothing_updates() -> None:
    assert load_template(ECR).processing == Processing("update", 30, "arrival", "ascending")


def test_words_are_looked_for_in_one_row() -> None:
    rows = Text(["1|AVERY|Alder|x", "CR 2026-12|Bo|Pine"])
    assert rows.names(["Alder", "Avery"])
    assert rows.names(["cr-2026-12"])
    assert not rows.names(["Avery", "Pine"]), "they stand in two rows"
    assert not rows.names(["026"]), "it is a part of a word"
    assert not rows.names(["12", None])
    assert not rows.names([])


def undo_upload(court: Court, upload: Upload) -> None:
    with court.database.writing(records_of(court.agency)) as conn:
        undo(conn, upload.id, court.at)


@pytest.fixture
def shared(bare_court_at: CourtAt, tmp_path: Path) -> Court:
    """A court with a snapshot and an update of the same people."""
    court = bare_court_at(tmp_path / "court")
    court.template(snapshot(name="whole"), "/whole")
    court.template(ECR.replace("odyssey-ecr", "more"), "/more")
    return court


def test_after_an_undo_the_newest_snapshot_is_taken_again(shared: Court) -> None:
    brought = shared.push(ecr(row()), "/more/a.txt")
    both = ecr(row(), row("2", "CR-2"))
    shared.push(both, "/whole/a.txt")
    undo_upload(shared, brought)
    assert len(hearings(shared)) == 1
    assert shared.push(both, "/whole/a.txt").status == "processed"
    assert len(hearings(shared)) == 2


def test_who_held_a_record_that_an_undo_has_removed_is_forgotten(shared: Court) -> None:
    shared.template(ECR.replace("odyssey-ecr", "other"), "/other")
    first = shared.push(ecr(row()), "/other/a.txt")
    shared.push(ecr(row()), "/more/a.txt")
    undo_upload(shared, first)
    shared.push(ecr(row()), "/other/b.txt")
    assert shared.push(ecr(row()), "/more/b.txt").status == "processed"


def test_a_withdrawn_number_comes_back_though_its_row_is_as_before(shared: Court) -> None:
    old, new = row(phone="404-555-0101"), row(phone="404-555-0102")
    shared.push(ecr(old, row("9", "CR-9")), "/whole/a.txt")
    shared.push(ecr(old), "/more/a.txt")
    shared.push(ecr(new, row("9", "CR-9")), "/whole/b.txt")
    shared.push(ecr(old), "/more/b.txt")
    with shared.database.reading() as conn:
        numbers = {contact["value"] for contact in inbox.records(conn, "contacts", shared.agency)}
    assert "+14045550101" in numbers


def test_a_confirmation_is_for_what_was_seen(bare_court_at: CourtAt, tmp_path: Path) -> None:
    court = bare_court_at(tmp_path / "court")
    court.template(snapshot("replace_all", guard=10, name="whole"), "/whole")
    court.template(ECR.replace("odyssey-ecr", "more"), "/more")
    court.push(ecr(*people(20)), "/whole/a.txt")
    held = court.push(ecr(*people(10)), "/whole/b.txt")
    assert held.status == "awaiting_confirmation"
    court.push(ecr(*people(30, 50)), "/more/a.txt")
    again = run_again(court, held)
    assert again.status == "awaiting_confirmation"
    assert again.counts["events"].withdrawn == 40
    assert run_again(court, again).status == "processed"


@pytest.mark.parametrize("method", ["update", "replace_template"])
def test_a_hearing_with_a_reference_is_moved_when_its_date_changes(
    bare_court_at: CourtAt, tmp_path: Path, method: str
) -> None:
    court = bare_court_at(tmp_path / "court")
    court.template(
        'name = "t"\n[columns]\ncase.number = "no"\nevent.reference = "ref"\nevent.date = "day"\n'
        'event.time = "time"\nevent.notes = "notes"\n[match]\nevent = "reference"\n'
        f'[processing]\nmethod = "{method}"\n',
        "/upload",
    )
    head = "no,ref,day,time,notes\n"
    court.push(f"{head}X1,1,04/16/2026,9:00 AM,a\nX2,2,04/16/2026,9:00 AM,a\nX3,3,04/16/2026,,a\nX4,4,04/16/2026,,a\n")
    changed = 'local_date":  "x'
    upload = court.push(
        f"{head}X1,1,04/20/2026,1:30 PM,a\nX2,2,04/16/2026,10:00 AM,a\nX3,3,04/16/2026,9:00 AM,a\n"
        f'X4,4,04/16/2026,,"""{changed}"""\n'
    )
    assert upload.counts["events"] == Counts(updated=4, moved=2)
    with court.database.reading() as conn:
        moved = inbox.moved_hearings(conn, upload.id)
    assert [(each.case, each.old, each.new) for each in moved] == [
        ("X1", "2026-04-16 09:00", "2026-04-20 13:30"),
        ("X2", "2026-04-16 09:00", "2026-04-16 10:00"),
    ]
    assert "X1: 2026-04-16 09:00 -> 2026-04-20 13:30" in receipt_text(upload, [], moved)
    undo_upload(court, upload)
    with court.database.reading() as conn:
        assert inbox.moved_hearings(conn, upload.id) == []


def test_a_hearing_that_was_moved_is_told_as_that_file_moved_it(bare_court_at: CourtAt, tmp_path: Path) -> None:
    court = bare_court_at(tmp_path / "court")
    court.template(
        'name = "t"\n[columns]\ncase.number = "no"\nevent.reference = "ref"\nevent.date = "day"\n'
        'event.time = "time"\n[match]\nevent = "reference"\n',
        "/upload",
    )
    days = ("16/2026,9:00 AM", "16/2026,10:00 AM", "20/2026,10:00 AM", "20/2026,1:00 PM", "21/2026,2:00 PM")
    uploads = [court.push(f"no,ref,day,time\nX1,1,04/{day}\n", f"/upload/{n}.csv") for n, day in enumerate(days)]
    with court.database.reading() as conn:
        moved = [(each.old, each.new) for upload in uploads for each in inbox.moved_hearings(conn, upload.id)]
    when = ["2026-04-16 09:00", "2026-04-16 10:00", "2026-04-20 10:00", "2026-04-20 13:00", "2026-04-21 14:00"]
    assert moved == list(pairwise(when))


def test_what_a_snapshot_has_no_columns_for_stays(bare_court_at: CourtAt, tmp_path: Path) -> None:
    court = bare_court_at(tmp_path / "court")
    court.template(
        'name = "t"\noptional = ["contact.phone", "contact.email", "event.date", "event.judge", "payment.amount"]\n'
        '[columns]\nclient.reference = "id"\ncase.number = "no"\ncontact.phone = "cell"\ncontact.email = "mail"\n'
        'event.reference = "ref"\nevent.date = "day"\nevent.judge = "judge"\npayment.amount = "owed"\n'
        '[match]\nevent = "reference"\n[processing]\nmethod = "replace_template"\nguard = 100\n',
        "/upload",
    )
    row_ = "1,X1,404-555-0101,a@example.com,H1,04/16/2099,Oak,5\n"
    court.push(f"id,no,cell,mail,ref,day,judge,owed\n{row_}2,X2,,,,,,\n")
    before = live(court)
    upload = court.push("id,no,ref\n1,X1,\n", "/upload/b.csv")
    assert {kind: counts.withdrawn for kind, counts in upload.counts.items() if counts.withdrawn} == {
        "clients": 1,
        "cases": 1,
    }
    after = live(court)
    assert (after["events"], after["contacts"]) == (before["events"], before["contacts"])
    court.push("id,no,cell,ref,day\n1,X1,,,\n", "/upload/c.csv")
    assert contacts(court) == ["a@example.com"]
    assert live(court)["events"] == []


def test_a_field_without_a_column_is_not_emptied_by_a_snapshot(bare_court_at: CourtAt, tmp_path: Path) -> None:
    court = bare_court_at(tmp_path / "court")
    court.template(
        'name = "t"\noptional = ["event.judge", "event.room"]\n[columns]\ncase.number = "no"\nevent.date = "day"\n'
        'event.judge = "judge"\nevent.room = "room"\n[processing]\nmethod = "replace_template"\n',
        "/upload",
    )
    court.push("no,day,judge,room\nX1,04/16/2099,Oak,1A\n")
    court.push("no,day,room\nX1,04/16/2099,\n", "/upload/b.csv")
    with court.database.reading() as conn:
        assert tuple(conn.execute(text("SELECT judge, room FROM events")).one()) == ("Oak", None)


def test_the_same_snapshot_is_no_duplicate_once_a_filter_judges_otherwise(court: Court) -> None:
    court.template(
        'name = "p"\n[processing]\nmethod = "replace_template"\nguard = 100\n[columns]\nclient.reference = "r"\n'
        'case.number = "n"\nevent.date = "d"\n[[exclude]]\nfield = "event.date"\npast = true\n',
        "/p",
    )
    soon, content = court.at.astimezone(ZoneInfo(ZONE)), "r,n,d\n1,C1,{}\n2,C2,12/31/2027\n"
    content = content.format(f"{soon.date() + timedelta(days=1):%m/%d/%Y}")
    assert court.push(content, "/p/a.csv").status == "processed"
    again = court.push(content, "/p/a.csv")
    assert (again.status, again.counts["events"].withdrawn) == ("processed", 1)
