"""Files that hold all there is: what they no longer name is withdrawn, what comes back is restored; a guard asks."""

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from ingest import inbox
from ingest.answer import Counts, receipt, receipt_text
from ingest.template import builtin_templates
from tests.ingest.conftest import CourtAt
from tests.ingest.court import Court, ecr, row

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


def ids(court: Court) -> dict[tuple[str, str], int]:
    """The ids of hearings by client and slot."""
    sql = "SELECT t.id, c.reference, t.slot FROM events t JOIN clients c ON c.id = t.client_id"
    with court.database.reading() as conn:
        return {(found.reference, found.slot): found.id for found in conn.execute(text(sql))}


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
    assert [tuple(pair) for pair in pairs] == [(known["1", "2026-03-16T09:00"], known["1", "2026-04-20T09:00"])]
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
