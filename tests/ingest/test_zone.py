"""An agency whose zone has changed: what a file names is read by the new one, and no hearing is doubled."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import text

from ingest import inbox
from ingest.answer import Upload
from ingest.engine import ingest
from ingest.index import forget
from tests.ingest.court import Court, ecr, row

WRONG, RIGHT = "EST", "America/New_York"
SNAPSHOT = """\
name = "all"
[processing]
method = "replace_template"
[columns]
case.number = "case"
event.date = "date"
event.time = "time"
event.type = "type"
"""

REFERENCED = """\
name = "by-reference"
[match]
event = "reference"
[columns]
case.number = "case"
event.reference = "id"
event.date = "date"
event.time = "time"
"""


def push(court: Court, content: bytes, zone: str, path: str = "/upload/ecr.txt") -> Upload:
    return ingest(court.database.engine, replace(court.work(*court.receive(content, path)), zone=zone))


def hearings(court: Court) -> list[tuple[Any, ...]]:
    query = "SELECT local_date, local_time, zone, starts_at FROM events ORDER BY id"
    with court.database.reading() as conn:
        return [(day, time, zone, f"{at}"[:16].replace("T", " ")) for day, time, zone, at in conn.execute(text(query))]


def summer(*numbers: int, time: str = "9:00 AM") -> list[str]:
    return [row(str(number), f"CR-{number}", "07/01/2026", time) for number in numbers]


def test_hearings_that_the_next_file_names_are_at_the_instant_of_the_new_zone(court: Court) -> None:
    push(court, ecr(*summer(1, 2)), WRONG)
    assert hearings(court) == [("2026-07-01", "09:00", WRONG, "2026-07-01 14:00")] * 2
    upload = push(court, ecr(*summer(1, 3)), RIGHT)
    assert upload.skipped == 0, "rows that are as before are read as well"
    assert (upload.counts["events"].created, upload.counts["events"].updated) == (1, 1)
    right = ("2026-07-01", "09:00", RIGHT, "2026-07-01 13:00")
    assert hearings(court) == [right, ("2026-07-01", "09:00", WRONG, "2026-07-01 14:00"), right]
    with court.database.reading() as conn:
        assert inbox.moved_hearings(conn, upload.id) == [], "to the court it is the same hearing"
        at = datetime(2026, 7, 1, 13, 30, tzinfo=UTC)
        assert inbox.count_elsewhere(conn, court.agency, RIGHT, at) == inbox.Elsewhere(1, 1)
        assert inbox.count_elsewhere(conn, court.agency, WRONG, at) == inbox.Elsewhere(2, 0)
        assert inbox.count_elsewhere(conn, "another agency", RIGHT, at) == inbox.Elsewhere(0, 0)


def test_a_day_without_a_time_begins_in_the_new_zone(court: Court) -> None:
    push(court, ecr(*summer(1, time="")), WRONG)
    push(court, ecr(*summer(1, time=""), *summer(2)), RIGHT)
    assert hearings(court)[0] == ("2026-07-01", None, RIGHT, "2026-07-01 04:00")


def referenced(*rows: Sequence[str]) -> bytes:
    return "\n".join(["case|id|date|time", *map("|".join, rows), ""]).encode()


def test_a_time_that_was_told_before_stays_with_its_zone(bare_court_at: Any, tmp_path: Any) -> None:
    court = bare_court_at(tmp_path / "court")
    court.template(REFERENCED, "/upload")
    push(court, referenced(("CR-1", "e1", "07/01/2026", "9:00 AM")), WRONG)
    push(court, referenced(("CR-1", "e1", "07/01/2026", "")), RIGHT)
    assert hearings(court) == [("2026-07-01", "09:00", WRONG, "2026-07-01 14:00")]
    push(court, referenced(("CR-1", "e1", "07/01/2026", "9:00 AM")), RIGHT)
    assert hearings(court) == [("2026-07-01", "09:00", RIGHT, "2026-07-01 13:00")]


def test_a_snapshot_neither_withdraws_nor_doubles(bare_court_at: Any, tmp_path: Any) -> None:
    court = bare_court_at(tmp_path / "court")
    court.template(SNAPSHOT, "/upload")
    rows = [f"CR-{number}|07/01/2026|9:00 AM|Trial" for number in range(9)]
    push(court, "\n".join(["case|date|time|type", *rows, ""]).encode(), WRONG)
    upload = push(court, "\n".join(["case|date|time|type", *rows, "CR-9|07/01/2026||Trial", ""]).encode(), RIGHT)
    counts = upload.counts["events"]
    assert (counts.created, counts.updated, counts.withdrawn, counts.moved) == (1, 9, 0, 0)
    assert {zone for _, _, zone, _ in hearings(court)} == {RIGHT}


@pytest.mark.parametrize("forgotten", [True, False])
def test_the_same_file_is_news_once_the_index_is_dropped(court: Court, forgotten: bool) -> None:
    push(court, ecr(*summer(1)), WRONG)
    if forgotten:
        with court.database.writing() as conn:
            forget(conn, court.agency)
    upload = push(court, ecr(*summer(1)), RIGHT)
    assert upload.status == ("processed" if forgotten else "duplicate")
    assert [zone for _, _, zone, _ in hearings(court)] == [RIGHT if forgotten else WRONG]
