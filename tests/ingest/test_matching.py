"""What records are matched by, where it cannot be read, is written otherwise, or is not there, end to end."""

from datetime import date
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from openpyxl.utils.datetime import CALENDAR_MAC_1904
from sqlalchemy import text

from ingest import inbox
from ingest.answer import Upload, error_file, receipt, receipt_text
from ingest.errors import IngestError
from ingest.template import load_template
from tests.ingest.court import Court, codes

HEAD = 'name = "t"\n[columns]\nclient.reference = "id"\nclient.last_name = "last"\ncase.number = "no"\n'


def load(court: Court, toml: str, *files: str) -> Upload:
    """The upload of the last of the files."""
    court.template(toml, "/t")
    return [court.push(content, f"/t/{number}.csv") for number, content in enumerate(files)][-1]


def select(court: Court, sql: str) -> list[tuple[Any, ...]]:
    with court.database.reading() as conn:
        return [tuple(row) for row in conn.execute(text(sql))]


# --- what cannot be read


BORN = HEAD + 'client.dob = "dob"\n[match]\nclient = ["reference", "name + dob", "name + case"]'


def test_a_row_whose_person_is_known_by_a_date_that_cannot_be_read_is_refused(court: Court) -> None:
    upload = load(
        court,
        BORN,
        "id,last,no,dob\n,Pine,C1,02/03/1990\n",
        "id,last,no,dob\n,Pine,C1,2/31/1990\n,Oak,C1,\n,Elm,C1,03/04/1991\n",
    )
    assert codes(court.errors(upload)) == [(2, "dob", "key_bad_date", "error")]
    assert court.errors(upload)[0].message.endswith("and records are matched by it.")
    assert select(court, "SELECT last_name FROM clients ORDER BY 1") == [("Elm",), ("Oak",), ("Pine",)]


def test_a_date_that_cannot_be_read_is_a_warning_where_the_person_is_known_without(court: Court) -> None:
    upload = load(court, BORN, "id,last,no,dob\n1,Pine,C1,2/31/1990\n,,C1,2/31/1990\n2,Oak,C1,\n")
    assert sorted(codes(court.errors(upload))) == [
        (2, "dob", "bad_date", "warning"),
        (3, "dob", "bad_date", "warning"),
        (3, "id", "no_client", "error"),
    ]
    assert select(court, "SELECT reference, dob FROM clients ORDER BY 1") == [("1", None), ("2", None)]


def test_a_row_whose_case_is_known_by_a_date_that_cannot_be_read_is_refused(court: Court) -> None:
    toml = HEAD + 'case.file_date = "filed"\n[match]\ncase = "number + file_date"'
    upload = load(court, toml, "id,last,no,filed\n1,A,C1,03/01/2026\n2,B,C1,03/32/2026\n3,C,,03/32/2026\n4,D,C1,\n")
    assert codes(court.errors(upload)) == [
        (3, "filed", "key_bad_date", "error"),
        (4, "filed", "bad_date", "warning"),
    ]
    assert select(court, "SELECT file_date FROM cases ORDER BY 1 NULLS FIRST") == [(None,), ("2026-03-01",)]


def test_a_row_with_a_further_party_known_by_a_date_that_cannot_be_read_is_refused(court: Court) -> None:
    toml = HEAD + '[match]\nclient = ["reference", "name + dob"]\n[[party]]\ncolumns.client.last_name = "other"\n'
    toml += 'columns.client.dob = "born"\n'
    upload = load(court, toml, "id,last,no,other,born\n1,A,C1,Oak,02/30/1980\n2,B,C1,Oak,02/03/1980\n3,C,C1,,x\n")
    assert [(row, code, severity) for row, _, code, severity in codes(court.errors(upload))] == [
        (2, "key_bad_date", "error"),
        (4, "bad_date", "warning"),
        (4, "nobody_named", "warning"),
    ]
    assert select(court, "SELECT last_name FROM clients ORDER BY 1") == [("B",), ("C",), ("Oak",)]


@pytest.mark.parametrize(
    ("match", "cells", "codes_told"),
    [
        ('"due_date + description"', "5,02/30/2026,Fine", ["unread_payment"]),
        ('"due_date + description"', ",02/30/2026,Fine", ["unread_payment"]),
        ('"due_date + description"', "5,,Fine", []),
        ('["description", "due_date"]', "5,02/30/2026,Fine", ["bad_date"]),
        ('"amount + description"', "x,03/01/2026,Fine", ["unread_payment"]),
    ],
    ids=["date", "date-alone", "empty", "known-without", "amount"],
)
def test_a_payment_known_by_a_cell_that_cannot_be_read_is_left_out(
    court: Court, match: str, cells: str, codes_told: list[str]
) -> None:
    toml = HEAD + 'payment.amount = "sum"\npayment.due_date = "due"\npayment.description = "what"\n'
    upload = load(court, f"{toml}[match]\npayment = {match}", f"id,last,no,sum,due,what\n1,A,C1,{cells}\n2,B,C1,,,\n")
    assert [(e.code, e.severity) for e in court.errors(upload)] == [(code, "warning") for code in codes_told]
    assert select(court, "SELECT count(*) FROM payments") == [("unread_payment" not in codes_told,)]
    assert select(court, "SELECT count(*) FROM clients") == [(2,)]


# --- what is written otherwise


@pytest.mark.parametrize("match", ["", '[match]\nevent = "date + time + type + room"\n'], ids=["usual", "own"])
def test_a_hearing_whose_type_changes_capitals_or_spaces_is_the_same(court: Court, match: str) -> None:
    toml = HEAD + 'event.date = "d"\nevent.type = { column = "type", spaces = "keep" }\nevent.room = "room"\n' + match
    rows = "id,last,no,d,type,room\n1,A,C1,03/16/2026,{},7\n2,B,C1,03/16/2026,Motion,7\n"
    upload = load(court, toml, *(rows.format(each) for each in ("Jury Trial", "JURY  TRIAL", "JURY  TRIAL")))
    assert select(court, "SELECT type FROM events ORDER BY type") == [("JURY  TRIAL",), ("Motion",)]
    assert upload.counts["events"].created == upload.counts["events"].updated == 0


def test_a_payment_whose_description_changes_capitals_is_the_same(court: Court) -> None:
    toml = HEAD + 'payment.amount = "sum"\npayment.description = "what"\n'
    load(court, toml, *(f"id,last,no,sum,what\n1,A,C1,5,{what}\n" for what in ("Court fine", "COURT FINE")))
    assert select(court, "SELECT amount, description FROM payments") == [(500, "COURT FINE")]


# --- columns that come and go

TYPED = (
    'optional = ["event.type", "event.room"]\n' + HEAD + 'event.date = "d"\nevent.type = "type"\nevent.room = "room"\n'
)
WITH, WITHOUT = "id,last,no,d,type\n1,A,C1,03/16/2026,Trial\n", "id,last,no,d\n1,A,C1,03/16/2026\n"


@pytest.mark.parametrize(
    ("first", "second", "said"),
    [
        (WITH, WITHOUT, "The file lacks 'type', which the file before had."),
        (WITHOUT, WITH, "The file has 'type', which the file before lacked."),
    ],
    ids=["gone", "new"],
)
def test_a_column_that_hearings_are_matched_by_neither_comes_nor_goes(
    court: Court, first: str, second: str, said: str
) -> None:
    upload = load(court, TYPED, first, second)
    assert upload.error is not None
    assert (upload.error.code, upload.error.message.split(" Records")[0]) == ("unsteady_column", said)
    assert select(court, "SELECT count(*) FROM events") == [(1,)]
    assert court.push(first, "/t/again.csv").status == "processed"


def test_a_column_that_hearings_are_not_matched_by_may_come_and_go(court: Court) -> None:
    upload = load(court, TYPED, WITHOUT, WITHOUT.replace("d\n", "d,room\n", 1).replace("2026\n", "2026,7\n"), WITHOUT)
    assert upload.status == "processed"
    assert select(court, "SELECT room FROM events") == [("7",)]


def test_a_column_that_counts_only_where_a_required_one_is_empty_may_come_and_go(court: Court) -> None:
    toml = 'required = ["event.reference"]\n' + TYPED + 'event.reference = "ref"\n'
    with_type, without = "ref," + WITH.replace("\n1", "\nR,1"), "ref," + WITHOUT.replace("\n1", "\nR,1")
    assert load(court, toml, with_type, without).status == "processed"
    assert select(court, "SELECT type FROM events") == [("Trial",)]


def test_another_version_of_the_template_and_another_profile_begin_anew(court: Court) -> None:
    load(court, TYPED, WITH)
    with court.database.writing() as conn:
        inbox.add_template(conn, court.agency, TYPED.replace('event.type = "type"', ""), court.at)
        inbox.add_profile(conn, court.agency, "other", "t", at=court.at, directory="/other")
    assert court.push(WITHOUT, "/t/b.csv").status == "processed"
    assert court.push(WITHOUT, "/other/b.csv").status == "processed"


def next_version(court: Court, toml: str) -> None:
    with court.database.writing() as conn:
        inbox.add_template(conn, court.agency, toml, court.at)


NEEDED = HEAD + 'event.date = "d"\nevent.type = "type"\n'
STYLED = 'case.style = "style"\n'
STYLES = "id,last,no,d,style\n1,A,C1,03/16/2026,A v. B\n"


@pytest.mark.parametrize(
    ("version", "first", "second", "code"),
    [
        (TYPED + "# a comment\n", WITH, WITHOUT, "unsteady_column"),
        (TYPED + "# a comment\n", WITHOUT, WITH, "unsteady_column"),
        (TYPED + "# a comment\n", WITH, WITH, None),
        (TYPED + STYLED, WITH, STYLES, "unsteady_column"),
        (NEEDED, WITHOUT, WITH, None),
        (TYPED.replace('"type"', '["kind", "type"]'), WITHOUT, WITH, None),
        (TYPED.replace('event.type = "type"', ""), WITH, WITHOUT, None),
    ],
    ids=["gone", "new", "same", "another-column", "needed-now", "from-elsewhere", "not-mapped"],
)
def test_a_new_version_lets_a_column_come_or_go_only_if_it_is_about_it(
    court: Court, version: str, first: str, second: str, code: str | None
) -> None:
    load(court, TYPED, first)
    next_version(court, version)
    upload = court.push(second, "/t/b.csv")
    assert (upload.error and upload.error.code) == code
    assert len(select(court, "SELECT id FROM events")) == (1 if code or first == second else 2)


def test_what_is_run_again_by_an_old_version_is_not_the_file_before(court: Court) -> None:
    old = load(court, NEEDED, WITH)
    next_version(court, TYPED)
    assert court.push(WITHOUT, "/t/b.csv").status == "processed"
    assert court.replay(old, 1).status == "processed"
    error = court.push(WITH, "/t/c.csv").error
    assert error is not None
    assert error.message.startswith("The file has 'type', which the file before lacked.")


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (('"type"', '"kind"'), []),
        (('event.type = "type"\n', ""), ["Hearings were matched by event.date + event.type in version 1, and are by "]),
        (
            ('"room"\n', '"room"\n[match]\nclient = "reference"\n'),
            ["Clients were matched by client.reference, or else "],
        ),
        (('"no"\n', '"no"\ncase.file_date = "filed"\nmatch.case = "number + file_date"\n'), None),
    ],
    ids=["a-name", "type", "clients", "senseless"],
)
def test_a_version_that_matches_otherwise_is_told(
    court: Court, change: tuple[str, str], told: list[str] | None
) -> None:
    with court.database.writing() as conn:
        assert inbox.warnings(conn, court.agency, TYPED) == ()
        inbox.add_template(conn, court.agency, TYPED, court.at)
        if told is None:
            with pytest.raises(IngestError):
                inbox.warnings(conn, court.agency, TYPED.replace(*change))
            return
        found = inbox.warnings(conn, court.agency, TYPED.replace(*change))
    assert [sentence[: len(begin)] for sentence, begin in zip(found, told, strict=True)] == told


def test_date_and_time_may_come_in_one_column_or_in_two(court: Court) -> None:
    toml = 'optional = ["event.datetime", "event.date", "event.time"]\n' + HEAD
    toml += 'event.date = "d"\nevent.time = "t"\nevent.datetime = "at"\n'
    two, one = "id,last,no,d,t\n1,A,C1,03/16/2026,9:00 AM\n", "id,last,no,at\n1,A,C1,03/16/2026 9:00 AM\n"
    assert load(court, toml, two, one, two).status == "processed"
    assert select(court, "SELECT slot FROM events") == [("2026-03-16T09:00",)]
    error = court.push(WITHOUT, "/t/c.csv").error
    assert error is not None
    assert error.code == "unsteady_column"


# --- what is put together


def test_a_number_of_which_a_part_is_empty_is_nobodys(court: Court) -> None:
    toml = 'name = "t"\n[columns]\nclient.reference = "id"\ncase.number = { join = ["year", "no"], with = "-" }\n'
    upload = load(court, toml, "id,year,no\n1,26,1\n2,,1\n3,26,\n4,,\n5,26,NULL\n6,NULL,N/A\n")
    assert codes(court.errors(upload)) == [(line, "year", "key_partial", "error") for line in (3, 4, 6)]
    assert select(court, "SELECT number FROM cases ORDER BY 1") == [("26-1",)]
    assert select(court, "SELECT reference FROM clients ORDER BY 1") == [("1",), ("4",), ("6",)]


def test_a_hearing_or_payment_with_half_a_reference_is_answered(court: Court) -> None:
    toml = HEAD + 'event.date = "d"\nevent.reference = { join = ["a", "b"] }\n'
    toml += 'payment.amount = "sum"\npayment.reference = { join = ["x", "y"] }\n'
    upload = load(court, toml, "id,last,no,d,a,b,sum,x,y\n1,A,C1,03/16/2026,1,,,,\n2,B,C1,,1,,5,,1\n3,C,C1,,,,5,1,1\n")
    assert codes(court.errors(upload)) == [
        (2, "a", "key_partial", "error"),
        (3, "a", "partial", "warning"),
        (3, "x", "unread_payment", "warning"),
    ]
    assert select(court, "SELECT reference FROM payments") == [("1 1",)]
    assert select(court, "SELECT count(*) FROM events") == [(0,)]


# --- templates and files


@pytest.mark.parametrize(
    ("test", "rows", "note"),
    [
        ("blank = true", 2, True),
        ('is = ["x"]', 2, True),
        ("past = true", 2, False),
    ],
    ids=["blank", "is", "past"],
)
def test_a_filter_whose_column_is_not_there_leaves_out_nothing_and_is_told(
    court: Court, test: str, rows: int, note: bool
) -> None:
    field = "event.date" if "past" in test else "event.status"
    toml = f'optional = ["event.status", "event.datetime"]\n{HEAD}event.datetime = "at"\nevent.status = "st"\n'
    toml += f'[[exclude]]\nfield = "{field}"\n{test}\nname = "mine"\n'
    upload = load(court, toml, "id,last,no,at\n1,A,C1,03/16/2026\n2,B,C2,03/16/2026\n")
    assert (upload.excluded, len(select(court, "SELECT id FROM events"))) == (0, rows)
    assert any("No row was left out as 'mine'" in each for each in upload.notes) == note


def test_the_numbers_of_a_workbook_from_1904_are_days_from_1904(court: Court, tmp_path: Path) -> None:
    toml = HEAD + 'event.date = { column = "d", formats = ["excel", "%m/%d/%Y"] }\nevent.time = "t"\n'
    court.template(toml + '[formats]\ntime = ["excel", "%I:%M %p"]', "/t")
    for number, day in enumerate((46097, 46097 - 1462, date(2026, 3, 16))):
        book = openpyxl.Workbook()
        if number:
            book.epoch = CALENDAR_MAC_1904
        for row in (["id", "last", "no", "d", "t"], ["1", "A", "C1", day, 0.375]):
            book.worksheets[0].append(row)
        book.save(tmp_path / "book.xlsx")
        upload = court.push((tmp_path / "book.xlsx").read_bytes(), f"/t/{number}.xlsx")
        assert (upload.status, court.errors(upload)) == ("processed", [])
        assert select(court, "SELECT slot FROM events") == [("2026-03-16T09:00",)]


@pytest.mark.parametrize(("constant", "kept"), [("Y", "yes"), ("Opted  out", "no")])
def test_a_constant_opt_in_is_read_as_a_cell_is(court: Court, constant: str, kept: str) -> None:
    toml = f'{HEAD}contact.phone = "tel"\n[constants]\ncontact.phone_opt_in = "{constant}"\n'
    load(court, toml, "id,last,no,tel\n1,A,C1,404-555-0101\n")
    assert select(court, "SELECT opt_in FROM contacts") == [(kept,)]


def test_a_constant_opt_in_that_says_neither_is_refused() -> None:
    with pytest.raises(IngestError, match="phone_opt_in says neither yes nor no"):
        load_template(f'{HEAD}contact.phone = "tel"\n[constants]\ncontact.phone_opt_in = "perhaps"\n')


def test_codes_are_compared_in_one_spelling_of_accents(court: Court) -> None:
    lookup = '"e\u0301" = "Pe\u0301rez"'
    toml = f'{HEAD}case.location = {{ column = "loc", lookup = "l" }}\n'
    toml += f'case.status = {{ column = "st", values = {{ "e\u0301" = "x" }} }}\n[lookups.l]\n{lookup}\n'
    toml += '[[exclude]]\nfield = "case.location"\nis = "Ple\u0301"\n'
    upload = load(court, toml, "id,last,no,loc,st\n1,A,C1,\u00e9,e\u0301\n2,B,C2,e\u0301,\u00e9\n3,C,C3,Pl\u00e9,\n")
    assert (upload.status, upload.excluded) == ("processed", 1)
    assert [e.code for e in court.errors(upload) if e.severity != "excluded"] == []
    assert select(court, "SELECT location, status FROM cases ORDER BY number") == [
        ("P\u00e9rez", "x"),
        ("P\u00e9rez", "x"),
    ]


# --- all rows or none

WHOLE = f'all_or_nothing = true\n{HEAD}event.date = "d"\ncontact.phone = "tel"\n'


def test_a_file_with_a_bad_row_changes_nothing_where_all_or_nothing_is_taken(court: Court) -> None:
    good = "id,last,no,d,tel\n1,A,C1,03/16/2026,404-555-0101\n2,B,C2,03/16/2026,\n3,C,C3,03/16/2026,\n"
    load(court, WHOLE, good)
    before = court.dump()
    bad = (
        good.replace("A,", "Z,").replace("3,C,C3,03/16", "3,C,C3,02/31").replace("2026,\n3", "2026,x\n3") + "4,D,C4,,\n"
    )
    upload = court.push(bad, "/t/bad.csv")
    assert court.dump() == before
    assert (upload.status, upload.rows, upload.error_rows, upload.warning_rows) == ("failed", 4, 1, 1)
    assert upload.error is not None
    assert upload.error.message == ("1 of 4 rows cannot be taken, and the template takes all rows of a file or none.")
    errors = court.errors(upload)
    assert codes(errors) == [(3, "tel", "bad_phone", "warning"), (4, "d", "bad_date", "error")]
    assert errors[0].message == "The cell is not a phone number."
    assert b"2,B,C2,'03/16/2026,x" in error_file(upload, errors)
    assert "correct them in the file that you have sent." in receipt_text(upload, errors)
    assert len(receipt(upload, errors)["errors"]) == 2
    again = court.push(bad.replace("02/31", "03/20"), "/t/good.csv")
    assert (again.status, again.counts["clients"].updated, again.counts["clients"].created) == (
        "partially_processed",
        1,
        1,
    )


def test_corrected_rows_alone_are_not_taken_where_all_or_nothing_is(court: Court) -> None:
    bad = load(court, WHOLE, "id,last,no,d,tel\n1,A,C1,03/16/2026,\n2,B,C2,2/30/2026,\n")
    corrected = error_file(bad, court.errors(bad)).replace(b"2/30", b"2/20")
    upload = court.push(corrected, "/t/errors.csv")
    assert upload.error is not None
    assert (upload.status, upload.error.code) == ("failed", "part_of_a_file")
    assert select(court, "SELECT count(*) FROM clients") == [(0,)]
