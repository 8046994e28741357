"""What a file has changed in records that were there is kept, column by column, exactly as it was and is."""

import json
from typing import Any

from sqlalchemy import text

from ingest.record import CUSTOM
from tests.ingest.court import Court, ecr, row
from tests.ingest.reference import RICH

KINDS = ("clients", "contacts", "cases", "case_parties", "events", "payments")


def rows_of(court: Court) -> dict[tuple[str, int], dict[str, Any]]:
    """Every record with all its columns, by kind and id."""
    with court.database.reading() as conn:
        return {
            (kind, found.id): dict(found._mapping)
            for kind in KINDS
            for found in conn.execute(text(f"SELECT * FROM {kind}"))
        }


def changes_of(court: Court, upload: str) -> dict[tuple[str, int], tuple[dict[str, Any], dict[str, Any]]]:
    """What the upload has changed, by kind and id: before, after."""
    query = text("SELECT kind, record_id, before, after FROM changes WHERE upload_id = :upload ORDER BY id")
    with court.database.reading() as conn:
        found = conn.execute(query, {"upload": upload}).all()
    assert len({found[:2] for found in found}) == len(found), "one row for each record"
    return {(kind, id_): (json.loads(before), json.loads(after)) for kind, id_, before, after in found}


def difference(before: dict[str, Any], after: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The columns that are not the same. Who owns a record is no change of it."""
    names = [name for name in before if before[name] != after[name] and name != "template"]
    return {name: before[name] for name in names}, {name: after[name] for name in names}


def assert_all_changes_are_kept(court: Court, content: str | bytes, path: str = "/upload/ecr.txt") -> int:
    """Push a file: what is kept of it is exactly what it does to the records that were there; to how many."""
    before = rows_of(court)
    upload = court.push(content, path)
    after = rows_of(court)
    expected = {key: difference(old, after[key]) for key, old in before.items() if old != after[key]}
    expected = {key: pair for key, pair in expected.items() if pair[0]}
    assert changes_of(court, upload.id) == expected
    return len(expected)


def test_a_first_file_changes_nothing(court: Court) -> None:
    assert assert_all_changes_are_kept(court, ecr(row(), row("2", "CR-2"))) == 0


def test_what_a_second_file_changes(court: Court) -> None:
    court.push(ecr(row(phone="404-555-0101"), row("2", "CR-2", first="Bo"), row("3", "CR-3")))
    changed = ecr(
        row(status="Vacated", judge="Ødegård 'O\"", phone="404-555-0199"),
        row("2", "CR-2", first="", last="Birch"),
        row("4"),
    )
    assert assert_all_changes_are_kept(court, changed) == 2
    assert assert_all_changes_are_kept(court, ecr(row(status="Vacated", judge=""), row(role="Witness"))) >= 2


RICH_ROW = "1,Doe Jane,404-555-0101,,cell,,N1,1A,open,03/16/2026,09:00,a,b,12.50,fine,cash,cat,,,"


def rich(*rows: str) -> str:
    header = "id,name,cell,home,kind,work,no,loc,status,date,time,n1,n2,amount,what,bond,pet,aid,aname,aphone"
    return "\n".join((header, *rows, ""))


def test_custom_fields_payments_parties_and_contacts(bare_court_at: Any, tmp_path: Any) -> None:
    court = bare_court_at(tmp_path / "court")
    court.template(RICH, "/rich")
    court.push(rich(RICH_ROW, "2,Roe Bo,,,,,N2,1A,,,,,,,,,,9,Al Law,404-555-0109"), "/rich/a.csv")
    again = RICH_ROW.replace("12.50", "99").replace("cash", 'pa"per').replace(",cell,", ",work,").replace("a,b", "c,d")
    assert (
        assert_all_changes_are_kept(court, rich(again, "2,Roe Bo,,,,,N2,1A,bound,,,,,,,x,dog,,,"), "/rich/b.csv") == 6
    )
    [custom] = [
        pair
        for (kind, _), pair in changes_of(court, court.uploads[-1]).items()
        if kind == "cases" and CUSTOM in pair[0]
    ][:1]
    assert json.loads(custom[1][CUSTOM])["Bond Type"] in ('PA"PER', "X")
