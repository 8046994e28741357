"""The history of a record: what each upload has set, and what was put back."""

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from ingest import inbox
from ingest.errors import IngestError
from ingest.record import records_of
from ingest.undo import undo
from tests.ingest.court import Court, ecr, row
from tests.ingest.reference import RICH
from tests.ingest.test_changes import RICH_ROW, rich


def history(court: Court, kind: str, query: str) -> list[tuple[str, str, Any, Any, str]]:
    """In short, with the files' names."""
    with court.database.reading() as conn:
        found = inbox.record_history(conn, kind, conn.execute(text(query)).scalar_one())
    assert [change.at for change in found] == sorted(change.at for change in found)
    return [(c.action, c.field, c.old, c.new, c.file) for c in found]


def test_what_each_upload_has_set_and_what_was_put_back(court: Court) -> None:
    court.push(ecr(row()), "/upload/mon.txt")
    court.push(ecr(row(status="Vacated", judge="")), "/upload/tue.txt")
    court.push(ecr(row(status="Vacated", language="Spanish")), "/upload/wed.txt")
    upload = court.push(ecr(row(status="Held", location="2B", language="Spanish")), "/upload/thu.txt")
    event = [
        ("created", "", None, None, "mon.txt"),
        ("set", "status", "Scheduled", "Vacated", "tue.txt"),
        ("set", "location", "Courtroom 1A", "2B", "thu.txt"),
        ("set", "status", "Vacated", "Held", "thu.txt"),
    ]
    found = history(court, "events", "SELECT id FROM events")
    assert sorted(found, key=lambda change: (change[4] == "thu.txt", change)) == event
    assert history(court, "clients", "SELECT id FROM clients") == [
        ("created", "", None, None, "mon.txt"),
        ("set", "language", "English", "Spanish", "wed.txt"),
    ]
    with court.database.writing(records_of(court.agency)) as conn:
        undo(conn, upload.id, court.at.replace(year=2027))
    back = sorted(history(court, "events", "SELECT id FROM events")[4:])
    assert back == [
        ("undone", "location", "2B", "Courtroom 1A", "thu.txt"),
        ("undone", "status", "Held", "Vacated", "thu.txt"),
    ]


def test_names_are_those_of_lists_and_custom_fields_are_told_one_by_one(bare_court_at: Any, tmp_path: Path) -> None:
    court = bare_court_at(tmp_path / "court")
    court.template(RICH, "/rich")
    court.push(rich(RICH_ROW), "/rich/mon.csv")
    court.push(rich(RICH_ROW.replace("cash", "paper").replace("12.50", "13")), "/rich/tue.csv")
    assert history(court, "cases", "SELECT id FROM cases")[1:] == [("set", "Bond Type", "CASH", "PAPER", "tue.csv")]
    assert history(court, "payments", "SELECT id FROM payments")[1:] == [("set", "amount", 1250, 1300, "tue.csv")]


def test_a_case_tells_of_its_parties(court: Court) -> None:
    court.push(ecr(row()), "/upload/mon.txt")
    court.push(ecr(row(role="Witness"), row("2", first="Bo")), "/upload/tue.txt")
    assert sorted(history(court, "cases", "SELECT id FROM cases")) == [
        ("created", "", None, None, "mon.txt"),
        ("created", "party Alder, Bo", None, None, "tue.txt"),
        ("set", "role of Alder, Avery", "Defendant", "Witness", "tue.txt"),
    ]


def test_what_is_withdrawn_and_comes_back(court: Court) -> None:
    court.push(ecr(row()), "/upload/mon.txt")
    gone = court.push(ecr(row("2")), "/upload/tue.txt")
    back = court.push(ecr(row()), "/upload/wed.txt")
    event = "SELECT min(id) FROM events"
    with court.database.writing() as conn:
        conn.execute(text(f"UPDATE events SET withdrawn_upload = :u WHERE id = ({event})"), {"u": gone.id})
    assert history(court, "events", event)[1:] == [("withdrawn", "", None, None, "tue.txt")]
    kept = text(
        "INSERT INTO changes (upload_id, kind, record_id, before, after) "
        f"SELECT :upload, 'events', ({event}), :before, :after"
    )
    before, after = f'{{"withdrawn_upload": "{gone.id}"}}', '{"withdrawn_upload": null}'
    with court.database.writing() as conn:
        conn.execute(kept, {"upload": gone.id, "before": after, "after": before})
    assert history(court, "events", event)[1:] == [("withdrawn", "", None, None, "tue.txt")], "told once"
    with court.database.writing() as conn:
        conn.execute(kept, {"upload": back.id, "before": before, "after": after})
        conn.execute(text("UPDATE events SET withdrawn_upload = NULL"))
    assert history(court, "events", event)[1:] == [
        ("withdrawn", "", None, None, "tue.txt"),
        ("restored", "", None, None, "wed.txt"),
    ]


def test_what_is_not_there_is_said(court: Court) -> None:
    with court.database.reading() as conn:
        with pytest.raises(IngestError, match="no record 7 among the events"):
            inbox.record_history(conn, "events", 7)
        with pytest.raises(IngestError, match="no records named warrants"):
            inbox.record_history(conn, "warrants", 7)
