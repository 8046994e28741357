"""What the agency is told, and that a spreadsheet does not execute it."""

import csv
import io
import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.answer import Counts, RowError, Upload, as_sent, error_file, neutral, receipt, receipt_text
from ingest.errors import IngestError
from tests.ingest.court import BEGIN, Court, ecr, row

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
    assert told["counts"] == {"clients": {"created": 1, "updated": 0, "unchanged": 1}}
    assert told["error_file"] == "ecr.txt.u1.errors.csv"


def test_a_receipt_for_people_says_what_to_do() -> None:
    text = receipt_text(UPLOAD, ERRORS)
    assert "2 of 3 rows need a look" in text
    assert "row 2, Phone: The cell is not a phone number." in text
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
    assert list(csv.reader(io.StringIO(text), delimiter="|")) == [
        ["Name", "Phone", "row number", "reasons"],
        ["A", "x", "2", "Phone: The cell is not a phone number."],
        ["'=B", "4", "The row has fewer columns.; Name: The cell is empty."],
    ]


def test_the_error_file_of_an_error_file_does_not_grow() -> None:
    upload = replace(UPLOAD, header=("Name", "Phone", "row number", "reasons"))
    text = error_file(upload, [replace(ERRORS[0], raw="A|x|2|Phone: wrong")]).decode("utf-8-sig")
    assert text.splitlines() == ["Name|Phone|row number|reasons", "A|x|2|Phone: The cell is not a phone number."]


def test_an_answer_can_be_given_after_a_crash(court: Court) -> None:
    upload = court.push(ecr(row(date="02/30/2026", location='Room "A"'), row(case="")))
    rows = list(csv.reader(io.StringIO(error_file(upload, court.errors(upload)).decode("utf-8-sig")), delimiter="|"))
    assert [line[-2] for line in rows] == ["row number", "2", "3"]
    assert rows[1][10] == 'Room "A"'


@pytest.mark.parametrize("cell", ["=1+1", "+1", "-1", "@x", "\tx", "\rx"])
def test_formulas_are_neutralised(cell: str) -> None:
    assert neutral(cell) == f"'{cell}"


@given(st.text())
def test_what_was_neutralised_comes_back(cell: str) -> None:
    assert as_sent(neutral(cell)) == cell or neutral(cell) == cell
