"""What the agency is told, and that a spreadsheet does not execute it."""

import csv
import io
import json
from dataclasses import replace
from datetime import date, time
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from openpyxl.utils.datetime import CALENDAR_MAC_1904

from ingest.answer import Counts, RowError, Upload, cells_of, error_file, receipt, receipt_text
from ingest.errors import IngestError
from ingest.parse import split_record
from tests.ingest.court import BEGIN, Court, codes, ecr, row
from tests.ingest.tables import as_xlsx

UPLOAD = Upload(
    *("u1", "a1", "agency", "ecr.txt", 1234, "f" * 64, "partially_processed", "odyssey-ecr", 0, BEGIN, BEGIN),
    rows=3,
    error_rows=1,
    warning_rows=1,
    counts={"clients": Counts(1, 0, 1)},
    header=("Name", "Phone"),
    delimiter="|",
)
ERRORS = [
    RowError(2, "Phone", "x", "bad_phone", "The cell is not a phone number.", "warning", "A|x"),
    RowError(4, "", "", "too_few_columns", "The row has fewer columns.", "error", "=B"),
    RowError(4, "Name", "", "missing_required", "The cell is empty.", "error", "=B"),
]


def test_a_receipt_is_json_and_holds_what_counts() -> None:
    told = json.loads(json.dumps(receipt(UPLOAD, ERRORS * 50)))
    assert (told["status"], told["sha256"], told["arrival"], len(told["errors"])) == (
        "partially_processed",
        "f" * 64,
        "a1",
        100,
    )
    counts = {"created": 1, "updated": 0, "unchanged": 1, "restored": 0, "withdrawn": 0, "moved": 0}
    assert told["counts"] == {"clients": counts}
    assert told["error_file"] == "ecr.txt.u1.errors.csv"


def test_a_receipt_for_people_says_what_to_do() -> None:
    text = receipt_text(UPLOAD, ERRORS)
    assert "2 of 3 rows need a look" in text
    assert 'row 2, Phone "x": The cell is not a phone number.' in text
    assert "correct the rows there and send that file" in text


def test_a_failed_file_is_told_with_its_hint() -> None:
    error = IngestError("pdf", "The file is a PDF document.", "Export it as CSV.")
    failed = replace(UPLOAD, status="failed", error=error, error_rows=0, warning_rows=0)
    text = receipt_text(failed, [])
    assert "nothing was changed" in text
    assert "The file is a PDF document.\nExport it as CSV." in text
    assert receipt(failed, [])["error"] == {"code": "pdf", "message": error.message, "hint": error.hint}


def test_the_error_file_holds_the_rows_as_they_came_and_why() -> None:
    text = error_file(UPLOAD, ERRORS).decode("utf-8-sig")
    assert list(csv.reader(io.StringIO(text))) == [
        ["row number", "reasons", "Name", "Phone"],
        ["2", "Phone: The cell is not a phone number.", "A", "x"],
        ["4", "The row has fewer columns.; Name: The cell is empty.", "'=B", "\ufffd"],
    ]


def test_the_error_file_of_an_error_file_does_not_grow() -> None:
    upload = replace(UPLOAD, header=("row number", "reasons", "Name", "Phone"))
    text = error_file(upload, [replace(ERRORS[0], raw="2|Phone: wrong|A|x")]).decode("utf-8-sig")
    assert text.splitlines() == ["row number,reasons,Name,Phone", "2,Phone: The cell is not a phone number.,A,x"]


def test_an_answer_can_be_given_after_a_crash(court: Court) -> None:
    upload = court.push(ecr(row(date="02/30/2026", location='Room "A"'), row(case="")))
    rows = list(csv.reader(io.StringIO(error_file(upload, court.errors(upload)).decode("utf-8-sig"))))
    assert [line[0] for line in rows] == ["row number", "2", "3"]
    assert rows[1][12] == 'Room "A"'


@given(st.text(alphabet='a"|\r\n\u2028', max_size=20), st.booleans())
def test_a_row_is_split_as_the_engine_splits_it(raw: str, quoting: bool) -> None:
    assert cells_of(raw, "|", quoting) == [cell.decode() for cell in split_record(raw.encode(), b"|", quoting)]


def sent_again(court: Court, upload: Upload, folder: str = "/upload") -> Upload:
    return court.push(error_file(upload, court.errors(upload)), f"{folder}/again{len(court.uploads)}.csv")


BAD = (
    row(date="02/30/2026"),
    row(case=""),
    "1|2|3",
    row() + "|x|y",
    row("", first="", last=""),
    row("5", first="a\0"),
    row("6", judge="a\0"),
    row("7", date="x", location='Room "A"'),
    row("8", location='"a\rb"', time="x"),
    row("9", time="x").replace("Avery", '"Av""e|ry"'),
)


def test_the_error_file_sent_again_as_it_is_gets_the_same_answer(court: Court) -> None:
    first = court.push(ecr(*BAD, *[BAD[0]] * 12))
    second = sent_again(court, first)
    third = sent_again(court, second)
    assert not any(court.dump().values())
    assert codes(court.errors(second)) == codes(court.errors(third))
    lost = {"nul_byte": "lost_characters", "too_few_columns": "lost_characters"}  # U+FFFD tells of them
    told = {(error.row, error.code) for error in court.errors(second)}
    rows = dict(zip(dict.fromkeys(e.row for e in court.errors(first)), range(2, 99), strict=False))
    assert {(rows[e.row], lost.get(e.code, e.code)) for e in court.errors(first)} <= told
    assert first.error_rows == second.error_rows == third.error_rows
    texts = [error_file(upload, court.errors(upload)) for upload in (second, third)]
    assert texts[0] == texts[1]
    assert third.header == ("row number", "reasons", *first.header)


def test_a_stray_quote_is_no_part_of_a_number_when_it_comes_back(court: Court) -> None:
    upload = court.push(ecr(row("1", '"CR-1'), row("2", 'CR-2"')))
    again = sent_again(court, upload)
    assert codes(court.errors(again)) == [(3, "Case Number", "lost_characters", "error")]
    assert [case[0] for case in court.dump()["cases"]] == ["CR-1"]


def test_quotes_that_are_data_stay_so_in_the_error_file(court: Court) -> None:
    toml = 'name = "raw"\n[file]\nquoting = false\ndelimiter = ","\n[columns]\n'
    court.template(toml + 'case.number = "n"\ncase.style = "s"\ncase.file_date = "d"\nevent.date = "e"', "/raw")
    upload = court.push('n,s,d,e\nCR-1,"x,03/16/2026,x\nCR-2,"y",z,03/16/2026\n', "/raw/a.csv")
    text = error_file(upload, court.errors(upload)).decode("utf-8-sig")
    assert text.splitlines()[1].endswith('"""x",\'03/16/2026,x')
    assert sent_again(court, upload, "/raw").error_rows == 1
    again = court.push(text.replace("03/16/2026,x", "03/16/2026,03/17/2026"), "/raw/b.csv")
    assert (again.error_rows, again.warning_rows, [case[1] for case in court.dump()["cases"]]) == (0, 1, ['"x', '"y"'])


def test_the_error_file_of_a_file_without_a_header_can_be_sent_again(court: Court) -> None:
    toml = 'name = "w"\n[file]\nheader = false\n[columns]\nclient.reference = 1\ncase.number = 2\nevent.date = 3'
    court.template(toml, "/w")
    upload = court.push("1,CR-1,03/16/2026,\n2,CR-2,02/30/2026,\n3,CR-3\n", "/w/a.csv")
    text = error_file(upload, court.errors(upload)).decode("utf-8-sig")
    assert text.splitlines()[0] == "row number,reasons,column 1,column 2,column 3,column 4"
    second = sent_again(court, upload, "/w")
    assert codes(court.errors(second)) == [
        (2, "column 3", "bad_date", "error"),
        (3, "column 3", "bad_date", "error"),
        (3, "column 3", "lost_characters", "error"),
    ]
    text = error_file(second, court.errors(second)).decode("utf-8-sig")
    mended = text.replace("02/30/2026", "03/30/2026").replace("3,CR-3,\ufffd,\ufffd", "3,CR-3,03/16/2026,")
    assert court.push(mended.replace("row number", '"row number"'), "/w/b.csv").status == "processed"
    assert [event[:2] for event in court.dump()["events"]] == [("#1", "CR-1"), ("#2", "CR-2"), ("#3", "CR-3")]


DATED = (
    'name = "b"\nrequired = ["case.number"]\n[columns]\nclient.reference = "id"\ncase.number = "no"\nevent.date = "d"\n'
    'event.time = "t"\n[formats]\n'
)
UNNAMED = [
    ["id", "no", "d", "t"],
    ["A1", "C1", date(2027, 3, 4), time(9)],
    ["A2", None, date(2027, 3, 4), time(13, 30)],
]
AS_SENT = [("#A1", "C1", "2027-03-04", "09:00"), ("#A2", "C2", "2027-03-04", "13:30")]


def of_workbook(court: Court, rows: list[list[Any]], from_1904: bool = False) -> Upload:
    book, out = openpyxl.Workbook(), io.BytesIO()
    if from_1904:
        book.epoch = CALENDAR_MAC_1904
    for cells in rows:
        book.worksheets[0].append(cells)
    book.save(out)
    return court.push(out.getvalue(), "/b/list.xlsx")


def told(court: Court, upload: Upload) -> str:
    return error_file(upload, court.errors(upload)).decode("utf-8-sig")


def dated(court: Court) -> list[tuple[Any, ...]]:
    return [(event[0], event[1], event[5], event[6]) for event in court.dump()["events"]]


@pytest.mark.parametrize(
    "formats",
    [
        'date = ["%m/%d/%Y"]\ntime = ["%I:%M %p"]',
        'date = ["%d/%m/%Y", "%Y-%d-%m"]',
        'date = ["%d/%m/%Y", "excel"]\ntime = "excel"',
    ],
)
def test_dates_of_a_workbook_are_the_same_in_its_error_file(court: Court, formats: str) -> None:
    court.template(DATED + formats, "/b")
    text = told(court, of_workbook(court, UNNAMED))
    assert text.splitlines()[0] == "row number,reasons (workbook),id,no,d,t"
    second = court.push(text.replace(",", ";"), "/b/list_errors.csv")
    assert told(court, second).replace("2,", "3,", 1) == text, "the error file of an error file is the same"
    third = court.push(told(court, second).replace("A2,,", "A2,C2,"), "/b/list_errors_again.csv")
    assert (third.status, third.warning_rows) == ("processed", 0)
    assert dated(court) == AS_SENT


def test_an_error_file_that_is_saved_as_a_workbook_is_of_the_one_it_was_made_of(court: Court, tmp_path: Path) -> None:
    court.template(DATED + 'date = ["excel", "%m/%d/%Y"]\ntime = "excel"', "/b")
    first = of_workbook(court, [["id", "no", "d", "t"], ["A1", "C1", 45000, 0.375], ["A2", None, 45000, 0.5625]], True)
    [head, *rows] = csv.reader(io.StringIO(told(court, first)))
    assert head[:2] == ["row number", "reasons (workbook 1904)"]
    saved = [[int(cell) if cell.isdigit() else cell.replace("'A2", "A2") for cell in cells] for cells in rows]
    as_xlsx(tmp_path / "x", {"errors": [head, [*saved[0][:3], "C2", *saved[0][4:]]]})
    assert court.push((tmp_path / "x").read_bytes(), "/b/list_errors.xlsx").status == "processed"
    assert dated(court) == [("#A1", "C1", "2027-03-16", "09:00"), ("#A2", "C2", "2027-03-16", "13:30")]


def test_dates_of_a_text_are_read_by_the_formats_alone_when_they_come_back(court: Court) -> None:
    court.template(DATED + 'date = ["%d/%m/%Y", "%Y-%d-%m"]', "/b")
    text = told(court, court.push("id,no,d,t\nA1,,2027-03-04,9:00 AM\n", "/b/list.csv"))
    assert text.splitlines()[0] == "row number,reasons,id,no,d,t"
    court.push(text.replace("A1,,", "A1,C1,"), "/b/list_errors.csv")
    assert dated(court) == [("#A1", "C1", "2027-04-03", "09:00")]


def test_a_receipt_shows_what_stood_in_the_cell_on_one_line() -> None:
    text = receipt_text(UPLOAD, [replace(ERRORS[0], value="a\n" + "x" * 100)])
    assert f'row 2, Phone "a\ufffd{"x" * 38}…": The cell' in text


def test_a_receipt_names_its_file_on_one_line() -> None:
    text = receipt_text(replace(UPLOAD, file="a\nResult: b.txt"), ERRORS)
    assert text.startswith("File:      a\ufffdResult: b.txt (")
    assert "in a\ufffdResult: b.txt.u1.errors.csv; correct" in text


def test_one_row_needs_a_look() -> None:
    assert "1 of 3 rows needs a look" in receipt_text(replace(UPLOAD, warning_rows=0), ERRORS[1:])


def test_a_duplicate_is_told_by_its_note() -> None:
    text = receipt_text(replace(UPLOAD, status="duplicate", notes=("It came before.",)), [])
    assert "Rows:" not in text, "none was read"
    assert "Result:    It came before. Nothing was changed." in text
    assert "Note:" not in text
