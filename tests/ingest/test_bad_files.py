"""What bad files get: one clear sentence, a failed upload, and nothing changed. No bytes at all give a traceback."""

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ingest import inbox
from ingest.answer import receipt_text
from ingest.arrival import ArrivalState
from ingest.limits import Limits
from tests.ingest.conftest import CourtAt
from tests.ingest.court import HEADER, Court, codes, ecr, row

pytestmark = pytest.mark.sqlite_only  # what is tried here ends before the database


@pytest.mark.parametrize(
    ("content", "code", "says"),
    [
        (b"", "empty_file", "empty"),
        (HEADER.encode() + b"\r\n", "header_only", "no rows"),
        (HEADER.encode() + b"\r\n\r\n \r\n", "no_good_rows", "no rows"),
        (b"PK\x03\x04\x14\0\x06\0xl/workbook.xml", "damaged_archive", "cut off"),
        (b"%PDF-1.4 ...", "pdf", "PDF"),
        (bytes(range(256)) * 100, "binary", "not text"),
        (ecr(*["a\0b"] * 30), "binary", "not text"),
        (ecr(row(), row().replace("Avery", '"Avery'), row()), "unclosed_quote", "line 3"),
        (b"x" * 10 * 1024**2, "line_too_long", "first line"),
        (ecr(row(), "x" * 10 * 1024**2), "line_too_long", "Line 3"),
        (b"Party ID\n1\n", "unknown_delimiter", "no delimiter"),
        (ecr(row()).replace(b"Case Number", b"Case No"), "missing_column", "'Case Number'"),
        (ecr(row()).replace(b"Case Number", b"case  number"), "missing_column", "'case  number'"),
        (ecr(row()).replace(b"|Phone|", b"|PHONE|"), "missing_column", "'PHONE'"),
        (ecr(row()).replace(b"Event Date", b"Hearing"), "missing_column", "'Event Date'"),
        (ecr(row()).replace(b"Judge Name", b"Phone"), "ambiguous_column", "twice"),
        (ecr("1|2|3", "4|5|6"), "no_good_rows", "too few columns (2)"),
    ],
)
def test_a_bad_file_is_a_failed_upload(court: Court, content: bytes, code: str, says: str) -> None:
    upload = court.push(content)
    assert upload.status == "failed"
    assert upload.error is not None
    assert (upload.error.code, bool(upload.error.message)) == (code, True)
    assert says in str(upload.error)
    assert upload.error.message in receipt_text(upload, court.errors(upload))
    assert not any(court.dump().values())
    with court.database.reading() as conn:
        arrival = inbox.find_arrival(conn, upload.arrival_id)
        assert arrival is not None
        assert (arrival.state, arrival.upload_id) == (ArrivalState.FAILED, upload.id)
        kept = inbox.find_upload(conn, upload.id)
    assert kept is not None
    assert str(kept.error) == str(upload.error)
    assert replace(kept, error=None, counts={}) == replace(upload, error=None, counts={})


def test_a_file_too_large_is_told(court: Court) -> None:
    upload = court.push(ecr(row()), limits=Limits(file=100))
    assert upload.error is not None
    assert upload.error.code == "too_large"


def test_expected_and_found_columns_stand_side_by_side(court: Court) -> None:
    error = court.push(ecr(row()).replace(b"Case Number", b"case number")).error
    assert error is not None
    assert "Expected: 'Party ID', 'First Name'" in error.message
    assert "Found: 'Party ID', 'First Name'" in error.message
    assert "'case number' meant for 'Case Number'" in error.hint


def test_every_bad_row_is_answered_and_the_good_ones_go_in(court: Court) -> None:
    upload = court.push(
        ecr(
            row(),
            row(date="02/30/2026"),
            row(time="25:99"),
            row(case=""),
            row(date=""),
            "1|2|3",
            row() + "|x",
            row("", first="", last=""),
            row(first="a\0"),
            row(judge="x" * 9000),
            "",
            "||||||||||||",
            "|||",
            row("2", phone="nobody"),
            row("3", "CR-3"),
        )
    )
    assert codes(court.errors(upload)) == [
        (3, "Event Date", "bad_date", "error"),
        (4, "Event Time", "bad_time", "error"),
        (5, "Case Number", "missing_required", "error"),
        (6, "Event Date", "missing_required", "error"),
        (7, "", "too_few_columns", "error"),
        (8, "", "too_many_columns", "error"),
        (9, "Party ID", "no_client", "error"),
        (10, "", "nul_byte", "error"),
        (11, "Judge Name", "too_long", "error"),
        (15, "Phone", "bad_phone", "warning"),
    ]
    assert (upload.rows, upload.error_rows, upload.warning_rows, upload.skipped) == (15, 9, 1, 3)
    assert [client[0] for client in court.dump()["clients"]] == ["#1", "#2", "#3"]


def test_a_delimiter_at_the_end_of_the_header_alone_or_of_every_row_is_no_column(court: Court) -> None:
    rows = [row(str(n), f"CR-{n}") for n in range(1, 4)]
    for content in (ecr(*(f"{each}|" for each in rows)), ecr(*rows).replace(HEADER.encode(), HEADER.encode() + b"|")):
        upload = court.push(content)
        assert (upload.error, upload.rows, upload.error_rows) == (None, 3, 0)
        assert [client[0] for client in court.dump()["clients"]] == ["#1", "#2", "#3"]


def test_rows_that_end_with_a_delimiter_are_still_counted(court: Court) -> None:
    good, other = [f"{row(str(n), f'CR-{n}')}|" for n in range(1, 4)], row("9", "CR-9")
    upload = court.push(ecr(*good, f"{other}||", "1|2|"))
    assert codes(court.errors(upload)) == [
        (5, "", "too_many_columns", "error"),
        (6, "", "too_few_columns", "error"),
    ]
    for odd in (f"{other}|x", other):
        assert court.push(ecr(*good, odd)).error_rows >= 3


def test_bad_rows_are_answered_again_the_next_night(court: Court) -> None:
    people = [row(str(i), f"CR-{i}") for i in range(20)]
    first = court.push(ecr(*people, row(date="02/30/2026"), row("99", phone="x")))
    second = court.push(ecr(*people, row(date="02/30/2026"), row("99", phone="x"), row("5")))
    assert codes(court.errors(second)) == codes(court.errors(first))
    assert second.skipped == 20


anything = st.one_of(
    st.binary(max_size=300),
    st.binary(max_size=120).map(lambda tail: HEADER.encode() + b"\n" + tail),
    st.lists(st.text(max_size=12), min_size=13, max_size=13).map(lambda cells: ecr("|".join(cells))),
    st.text(alphabet='1|"\r\n,\0é/: ', max_size=200).map(lambda tail: ecr(tail)),
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=anything)
def test_any_bytes_are_answered(court: Court, content: bytes) -> None:
    upload = court.push(content, f"/upload/{len(court.uploads)}")
    assert upload.status in {"processed", "partially_processed", "failed"}
    assert receipt_text(upload, court.errors(upload))


ABOVE = 'name = "t"\n{form}[columns]\nclient.reference = "id"\nclient.last_name = "last"\ncase.number = "no"\n'


@pytest.mark.parametrize("method", ["update", "replace_template"])
def test_rows_above_the_header_stop_the_file(court: Court, method: str) -> None:
    court.template(ABOVE.format(form="") + f'[processing]\nmethod = "{method}"', "/t")
    rows = [f"24CR{number},Ash,24CR{number}\n" for number in range(3)]
    court.push("".join(["id,last,no\n", *rows, "ZK1,Elm,ZK1\n"]), "/t/mon.csv")
    before = court.dump()
    upload = court.push("".join([*rows, "id,last,no\n", "ZK1,Elm,ZK1\n"]), "/t/tue.csv")
    assert upload.status == "failed"
    assert upload.error is not None
    assert upload.error.code == "rows_above_header"
    assert "line 4, and above it 3 lines look like rows (line 1 is the first)" in upload.error.message
    assert court.dump() == before


@pytest.mark.parametrize(
    "title",
    [
        "Gwinnett County\n",
        "Report 7,,\n",
        "Run date:,03/01/2027,\n",
        "Party,,Case\n",
        "Party,Name,Number\n",
        '"March 1, 2027",,\nPage 1,,\n',
    ],
    ids=range(6),
)
def test_a_title_above_the_header_is_no_row(court: Court, title: str) -> None:
    court.template(ABOVE.format(form=""), "/t")
    upload = court.push(f"{title}id,last,no\n1,Ash,C1\n", "/t/a.csv")
    assert (upload.status, upload.rows) == ("processed", 1)


def test_what_stands_above_a_header_whose_place_is_told_is_none_of_our_business(court: Court) -> None:
    court.template(ABOVE.format(form="[file]\nheader = 2\n"), "/t")
    assert court.push("7,8,9\nid,last,no\n1,Ash,C1\n", "/t/a.csv").status == "processed"


def test_the_end_of_a_file_under_dos_makes_no_second_hearing(court: Court) -> None:
    one, two, three = row("1", "CR-1"), row("2", "CR-2"), row("3", "CR-3")
    court.push(ecr(one, two).removesuffix(b"\r\n") + b"\x1a")
    upload = court.push(ecr(one, "\x1a" + two, three) + b"\x1a")
    assert (upload.status, upload.rows, upload.counts["events"].created) == ("processed", 3, 1)
    assert [case[0] for case in court.dump()["cases"]] == ["CR-1", "CR-2", "CR-3"]
    assert [client[1] for client in court.dump()["clients"]] == ["1", "2", "3"]


def test_the_row_in_which_a_stray_quote_closes_makes_no_second_hearing(court: Court) -> None:
    rows = [row("1", "CR-1"), row("2", "CR-2"), row("3", "CR-3")]
    upload = court.push(ecr(rows[0].replace("CR-1", '"CR-1'), rows[1] + '"', rows[2]))
    assert codes(court.errors(upload)) == [(2, "", "unclosed_quote", "error"), (3, "", "stray_quote", "error")]
    court.push(ecr(*rows))
    assert [case[0] for case in court.dump()["cases"]] == ["CR-1", "CR-2", "CR-3"]


@pytest.mark.parametrize("limits", [Limits(), Limits(chunk=1)])
def test_a_header_that_stands_again_is_passed_over(tmp_path: Path, court_at: CourtAt, limits: Limits) -> None:
    court = court_at(tmp_path, limits=limits)
    for night in (1, 2):
        upload = court.push(ecr(row("1", "CR-1"), HEADER, row("2", "CR-2"), "\ufeff" + HEADER, row(str(night), "CR-3")))
        assert (upload.status, upload.rows, upload.error_rows) == ("processed", 5, 0)
        assert upload.notes == ("The header stands again in line 3 and in 1 more: passed over.",)
    assert {client[1] for client in court.dump()["clients"]} == {"1", "2"}


def test_a_second_header_of_another_order_stops_the_file(court: Court) -> None:
    names, cells = HEADER.split("|"), row("2", "CR-2").split("|")
    error = court.push(ecr(row("1", "CR-1"), "|".join(names[::-1]), "|".join(cells[::-1]))).error
    assert error is not None
    assert (error.code, "line 3" in error.message, "line 1" in error.message) == ("second_header", True, True)
    assert not court.dump()["clients"]


def test_a_second_header_with_another_column_stops_the_file(court: Court) -> None:
    second = HEADER.replace("Phone", "Fax")
    error = court.push(ecr(row("1", "CR-1"), second, row("2", "CR-2"))).error
    assert error is not None
    assert error.code == "second_header"


def test_cells_that_hold_names_of_columns_are_no_header(court: Court) -> None:
    upload = court.push(ecr(row("1", "CR-1", first="First Name", last="Last Name", role="Email")))
    assert (upload.status, upload.notes) == ("processed", ())
    assert upload.counts["events"].created == 1


def test_a_row_that_holds_nothing_but_in_columns_that_are_not_read_is_told(court: Court) -> None:
    lines = [
        HEADER + "|Extra|",
        row() + "||",
        "|" * 13 + "CR-2 Birch, Bob 03/17/2026|",
        "|" * 14,
        "|" * 13 + "0.00|",
        "|  |",
    ]
    upload = court.push(ecr(lines[1], *lines[2:]).replace(HEADER.encode(), lines[0].encode()))
    assert [note for note in upload.notes if "Nothing was taken" in note] == [
        "Nothing was taken of 1 row (line 3), with nothing in the columns that the template reads."
    ]
    assert "every row was taken but for what a note tells of." in receipt_text(upload, [])


def test_spare_delimiters_of_a_header_are_no_names(court: Court) -> None:
    upload = court.push(ecr(row() + "||||").replace(HEADER.encode(), HEADER.encode() + b"||Room| |"))
    assert upload.notes == ("Columns that the template does not read: 'Room'.",)


def test_a_header_in_capitals_is_one(court: Court) -> None:
    error = court.push(ecr(row()).replace(HEADER.encode(), HEADER.upper().encode())).error
    assert error is not None
    assert "Found: 'PARTY ID', 'FIRST NAME'" in error.message
    assert "'PARTY ID' meant for 'Party ID'" in error.hint
    one = court.push(ecr(row()).replace(HEADER.encode(), row(last="EMAIL").encode())).error
    assert one is not None
    assert one.message.endswith("Found: 13 columns.")
