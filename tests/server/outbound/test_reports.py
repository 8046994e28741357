"""What each report tells, on both databases."""

import re
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal

import pytest

from server.errors import AppError, Code
from server.outbound.exports.plan import Shape, When, create_export
from server.outbound.exports.store import Run, add_run, mark_run
from server.outbound.reports.catalogue import CATALOGUE
from server.outbound.reports.wanted import read_wanted, want
from server.outbound.write import Cell
from server.services.fetches import Fetch, Sent, keep_fetches
from server.services.logins import Login, Times, keep_logins
from tests.server.outbound.house import AT, EAST, EMPTY, GWINNETT, MARICOPA, ODD_NAME, WEST, House, header, picked


@pytest.fixture(scope="module")
def filled(house: House) -> House:
    house.fill()
    with house.state.database.writing() as conn:
        keep_logins(conn, {Login(GWINNETT, "192.0.2.7", "SSH-2.0-g", "SHA256:g"): Times(3, AT + timedelta(seconds=5))})
        keep_logins(conn, {Login(MARICOPA, "192.0.2.8", "SSH-2.0-m", "password"): Times(1, AT)})
    return house


def test_upload_results_tell_every_file(filled: House) -> None:
    found = filled.rows(GWINNETT, "upload-results")
    names = ("received_at", "file", "status", "rows", "error_rows", "warning_rows", "events_new", "payments_new")
    assert picked(found, *names, "profile", "source") == [
        (datetime(2026, 3, 2, 9), "ecr.txt", "partially_processed", 6, 1, 2, 5, 0, "daily", "sftp"),
        (datetime(2026, 3, 2, 10), "fees.csv", "processed", 1, 0, 0, 0, 1, "fees", "sftp"),
    ]
    assert found[0]["received_at_utc"] == AT
    assert picked(filled.rows(GWINNETT, "upload-results", "status=PROCESSED"), "file") == [("fees.csv",)]
    assert picked(filled.rows(GWINNETT, "upload-results", sort="-received"), "file") == [("fees.csv",), ("ecr.txt",)]
    assert filled.rows(GWINNETT, "upload-results", "from=2026-03-03") == []
    assert len(filled.rows(GWINNETT, "upload-results", "to=2026-03-02")) == 2
    assert filled.rows(GWINNETT, "upload-results", at=AT + timedelta(days=1), days=1) == []


def test_row_errors_tell_every_row(filled: House) -> None:
    found = filled.rows(GWINNETT, "row-errors")
    assert picked(found, "file", "row", "column", "value", "severity") == [
        ("ecr.txt", 2, "Event Time", "1:30 AM", "warning"),
        ("ecr.txt", 4, "Phone", "123", "warning"),
        ("ecr.txt", 7, "Event Date", "99/99/2026", "error"),
    ]
    assert picked(filled.rows(GWINNETT, "row-errors", "severity=error"), "row") == [(7,)]
    assert filled.rows(GWINNETT, "row-errors", "severity=excluded") == []


def test_upcoming_events_are_those_of_the_next_days(filled: House) -> None:
    found = filled.rows(GWINNETT, "upcoming-events", days=15)
    assert picked(found, "date", "time", "client", "phone", "email", "starts_at_utc") == [
        (
            date(2026, 3, 8),
            time(1, 30),
            "g1",
            "+14045550101",
            "g1@example.com",
            datetime(2026, 3, 8, 6, 30, tzinfo=UTC),
        ),
        (date(2026, 3, 16), time(9), "g2", None, None, datetime(2026, 3, 16, 13, tzinfo=UTC)),
        (date(2026, 3, 17), None, "g3", None, None, datetime(2026, 3, 17, 4, tzinfo=UTC)),
    ]
    assert picked(filled.rows(GWINNETT, "upcoming-events", days=14), "client") == [("g1",), ("g2",)]
    assert picked(filled.rows(GWINNETT, "upcoming-events", "reachable=no", days=15), "client") == [("g2",), ("g3",)]
    assert picked(filled.rows(GWINNETT, "upcoming-events", days=15, sort="-case"), "case") == [
        ("G-3",),
        ("G-2",),
        ("G-1",),
    ]


@pytest.mark.parametrize(("hour", "told"), [(4, ["g1", "g2", "g3"]), (5, ["g2", "g3"])])
def test_what_is_upcoming_turns_with_the_agencys_midnight(filled: House, hour: int, told: list[str]) -> None:
    """New York's 9 March 2026 begins at 4:00 UTC: its clocks went forward on the 8th."""
    at = datetime(2026, 3, 9, 3, 59, tzinfo=UTC) if hour == 4 else datetime(2026, 3, 9, 4, 0, tzinfo=UTC)
    assert [found["client"] for found in filled.rows(GWINNETT, "upcoming-events", at=at)] == told


def test_local_times_follow_the_clocks_of_the_agency(filled: House) -> None:
    for slug, times in ((EAST, (1, 3)), (WEST, (23, 0))):
        for minute, hour in ((59, times[0]), (60, times[1])):
            at = datetime(2026, 3, 8, 6, tzinfo=UTC) + timedelta(minutes=minute)
            upload = filled.push(slug, f"no header {slug} {minute}".encode(), at=at)
            found = {row["upload"]: row for row in filled.rows(slug, "upload-results", at=at)}[upload.id]
            assert (found["received_at"].hour, found["received_at_utc"]) == (hour, at)  # type: ignore[union-attr]


def test_an_hour_that_comes_twice_is_told_apart_by_the_instant(filled: House) -> None:
    instants = [datetime(2026, 11, 1, hour, 30, tzinfo=UTC) for hour in (5, 6)]
    for at in instants:
        filled.push(EAST, f"no header {at}".encode(), at=at)
    found = filled.rows(EAST, "upload-results", "from=2026-11-01", at=instants[1])
    assert picked(found, "received_at", "received_at_utc") == [(datetime(2026, 11, 1, 1, 30), at) for at in instants]


def test_unreachable_clients_are_those_without_a_good_contact(filled: House) -> None:
    found = filled.rows(GWINNETT, "unreachable-clients")
    assert picked(found, "client", "why", "next_date", "next_time", "next_location") == [
        ("g2", "no phone number and no e-mail address", date(2026, 3, 16), time(9), "Courtroom 1A"),
        ("g3", "no phone number and no e-mail address", date(2026, 3, 17), None, "Courtroom 2B"),
    ]
    later = datetime(2026, 3, 17, 12, tzinfo=UTC)
    upcoming = filled.rows(GWINNETT, "unreachable-clients", "upcoming=yes", at=later)
    assert picked(upcoming, "client", "next_date") == [("g3", date(2026, 3, 17))]


def test_records_are_told_as_they_are(filled: House) -> None:
    odd = filled.rows(GWINNETT, "clients", sort="reference")[4]
    assert odd["last_name"] == ODD_NAME
    assert picked(filled.rows(GWINNETT, "clients", sort="-id")[3:4], "first_name") == [('Pi|pe "Q"',)]
    assert picked(filled.rows(GWINNETT, "contacts", "kind=phone"), "client", "value", "reachable") == [
        ("g5", "+14045550105", True),
        ("g1", "+14045550101", True),
    ]
    assert picked(filled.rows(GWINNETT, "cases", "from=2026-01-01"), "number") == []
    assert [case["number"] for case in filled.rows(GWINNETT, "cases")] == [f"G-{n}" for n in range(1, 6)]
    assert picked(filled.rows(GWINNETT, "events", "from=2026-03-17", sort="-date"), "case", "judge") == [
        ("G-4", "Zamora"),
        ("G-3", "Alvarez, M."),
    ]
    assert picked(filled.rows(GWINNETT, "payments"), "amount", "due_date", "client", "case") == [
        (Decimal("25.50"), date(2026, 4, 1), "g1", "G-1")
    ]


def test_activity_is_logins_files_and_deliveries(filled: House) -> None:
    found = filled.rows(GWINNETT, "activity", "to=2026-03-02", at=AT)
    assert picked(found, "at", "what", "path", "times", "address", "proof") == [
        (datetime(2026, 3, 2, 9), "file came", "/upload/ecr.txt", None, None, None),
        (datetime(2026, 3, 2, 9, 0, 5), "log-in", None, 3, "192.0.2.7", "SHA256:g"),
        (datetime(2026, 3, 2, 10), "file came", "/fees/fees.csv", None, None, None),
    ]
    assert picked(filled.rows(GWINNETT, "activity", "what=log-in"), "program", "at_utc") == [
        ("SSH-2.0-g", AT + timedelta(seconds=5))
    ]


def test_activity_tells_what_was_fetched_and_which_exports_came(filled: House) -> None:
    agency, at = filled.agencies[GWINNETT], AT + timedelta(minutes=30)
    with filled.state.database.writing() as conn:
        keep_fetches(conn, {Fetch(GWINNETT, "/exports/e.csv", "session-9", "SSH-2.0-g"): Sent(Times(2, at), 8)})
        export = create_export(conn, agency, "events", "", When("06:00"), Shape(directory="/exports/new"), AT)
        run = Run("r1", export.id, "slot", AT, AT, None, 1, "/exports/new", "e.csv", 4, "0" * 64, 0, "")
        add_run(conn, run)
        add_run(conn, replace(run, id="r2", slot="other", file="late.csv"))
        mark_run(conn, replace(run, delivered_at=at - timedelta(minutes=1)))
    found = filled.rows(GWINNETT, "activity", "from=2026-03-02", "to=2026-03-02", at=AT)
    columns = ("at", "what", "path", "size", "state", "times", "program", "session")
    assert [row for row in picked(found, *columns) if row[1] in ("file fetched", "export delivered")] == [
        (datetime(2026, 3, 2, 9, 29), "export delivered", "/exports/new/e.csv", 4, "events", None, None, None),
        (datetime(2026, 3, 2, 9, 30), "file fetched", "/exports/e.csv", 8, None, 2, "SSH-2.0-g", "session-9"),
    ]
    assert filled.rows(MARICOPA, "activity", "what=file fetched", at=AT) == []


def test_there_are_no_messages_yet(filled: House) -> None:
    assert filled.rows(GWINNETT, "messages") == []
    assert header("messages")[:2] == ["created_at", "sent_at"]


@pytest.mark.parametrize("name", list(CATALOGUE))
def test_a_report_tells_of_one_agency_alone(filled: House, name: str) -> None:
    """No cell of the one agency is in the other's report, but for words that both have."""
    days = 3000 if CATALOGUE[name].days else None
    sides = [filled.rows(slug, name, days=days) for slug in (GWINNETT, MARICOPA)]
    own, others = ({word for word in _words(rows) if _TELLING.match(word)} for rows in sides)
    assert not own & others
    assert all(sides) or name == "messages"
    ids = [{row[each] for row in rows for each in _IDS if row.get(each) is not None} for rows in sides]
    assert not ids[0] & ids[1]
    assert filled.rows(EMPTY, name, days=days) == []


_IDS = ("upload", "arrival", "id", "proof")
_TELLING = re.compile(r"g\d|m\d|G-|M-|SHA|SSH|gp|mp|\d{4,}|Birch|Yucca|Zamora|Saguaro|Agave|Cholla|Elm")


def _words(rows: list[dict[str, Cell]]) -> set[str]:
    """The texts of the rows; numbers and dates are alike in both."""
    return {cell for row in rows for cell in row.values() if isinstance(cell, str)}


@pytest.mark.parametrize("name", list(CATALOGUE))
def test_every_filter_and_every_sort_is_understood(filled: House, name: str) -> None:
    report = CATALOGUE[name]
    values = {"from": "2020-01-01", "to": "2030-01-01", "withdrawn": "all", "reachable": "yes", "upcoming": "yes"}
    values |= {"change": "new", "severity": "error"}
    for each in report.filters:
        filled.rows(GWINNETT, name, f"{each}={values.get(each, 'x')}")
    for sort in report.sorts:
        up, down = filled.rows(GWINNETT, name, sort=sort), filled.rows(GWINNETT, name, sort=f"-{sort}")
        assert len(up) == len(down)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("nothing", "no report 'nothing'"),
        ("", "no report"),
        ("clients days=3", "not about days"),
        ("upcoming-events days=0", "no number of days"),
        ("upcoming-events days=x", "no number of days"),
        ("upcoming-events sort=color", "cannot be sorted by 'color'"),
        ("upcoming-events color=red", "no filter 'color'"),
        ("upcoming-events status=", "is no filter"),
        ("upcoming-events status", "is no filter"),
        ("events from=tomorrow", "is no day"),
        ("events withdrawn=perhaps", "none of no, yes, all"),
        ("changed-events change=better", "none of new"),
        ("changed-events sort=color", "cannot be sorted by .color."),
        ("messages sort=date", "cannot be sorted"),
        ("events 'status=x", "is no report"),
    ],
)
def test_what_a_report_does_not_know_is_refused(text: str, complaint: str) -> None:
    with pytest.raises(AppError, match=complaint) as caught:
        read_wanted(text)
    assert caught.value.code in (Code.INVALID, Code.NOT_FOUND)


def test_a_line_says_what_options_say() -> None:
    line = read_wanted("upcoming-events days=7 location='Courtroom 1A' location=2B sort=-date")
    assert line == want("upcoming-events", 7, ["location=Courtroom 1A", "location=2B"], "-date")
    assert line.filters == {"location": ("Courtroom 1A", "2B")}
