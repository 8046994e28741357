"""Cells of a workbook that hold something else than they seem to: errors, zeros that nobody computed, merged ones."""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, time
from pathlib import Path
from typing import Any

import pytest
import xlsxwriter

from ingest.errors import IngestError
from ingest.format import FileFormat
from ingest.limits import Limits
from tests.ingest.court import Court, codes
from tests.ingest.tables import Read, read
from tests.ingest.test_mapping import select

HEAD = ["Party ID", "Last Name", "Event Date", "Event Time", "Room", "Case Number", "Phone"]
TOML = """
name = "docket"
required = ["case.number", "event.date"]
[processing]
method = "replace_template"
[columns]
client.reference = "Party ID"
client.last_name = "Last Name"
event.date = "Event Date"
event.time = "Event Time"
event.room = "Room"
case.number = "Case Number"
contact.phone = "Phone"
"""
DAY, NINE, HALF_PAST_ONE = date(2026, 3, 16), time(9), time(13, 30)
EVENTS = "SELECT k.number, e.local_time, e.room FROM events e JOIN cases k ON k.id = e.case_id ORDER BY 1"


@dataclass(frozen=True)
class Formula:
    """A cell with a formula, and the result that is kept beside it."""

    result: Any
    text: str = "=1"


def workbook(rows: Sequence[Sequence[Any]], merged: Sequence[str] = ()) -> bytes:
    """A workbook with one sheet, which asks Excel to compute its formulas, as xlsxwriter's always do."""
    out = io.BytesIO()
    with xlsxwriter.Workbook(out) as book:
        sheet = book.add_worksheet()
        looks = {date: book.add_format({"num_format": "m/d/yyyy"}), time: book.add_format({"num_format": "h:mm"})}
        for ranged in merged:
            sheet.merge_range(ranged, "")
        for i, row in enumerate(rows):
            for j, cell in enumerate(row):
                if isinstance(cell, Formula):
                    sheet.write_formula(i, j, cell.text, None, cell.result)
                elif type(cell) in looks:
                    sheet.write_datetime(i, j, cell, looks[type(cell)])
                elif cell is not None:
                    sheet.write(i, j, cell)
    return out.getvalue()


def hearing(number: int, time: Any = NINE, room: Any = "A", phone: Any = "404-555-0101") -> list[Any]:
    return [str(number), f"Ash{number}", DAY, time, room, f"C-{number}", phone]


def found(path: Path, rows: Sequence[Sequence[Any]], merged: Sequence[str] = (), **options: Any) -> Read:
    path.write_bytes(workbook(rows, merged))
    return read(path, FileFormat(), HEAD[:1], **options)


def test_a_formulas_error_is_answered_and_takes_nothing_away(court: Court) -> None:
    court.template(TOML, "/docket")
    good = [hearing(i, phone=f"404-555-010{i}") for i in range(1, 7)]
    court.push(workbook([HEAD, *good]), "/docket/a.xlsx")
    before = select(court, EVENTS)
    good[0][3], good[1][6], good[2][4], good[3][0] = map(Formula, ("#REF!", "#N/A", "#VALUE!", "#DIV/0!"))
    upload = court.push(workbook([HEAD, *good]), "/docket/b.xlsx")
    assert codes(court.errors(upload)) == [
        (2, "Event Time", "bad_time", "error"),
        (3, "Phone", "bad_phone", "warning"),
        (4, "Room", "broken", "warning"),
        (5, "Party ID", "key_broken", "error"),
    ]
    assert select(court, EVENTS) == before
    assert select(court, "SELECT count(*) FROM contacts WHERE withdrawn_upload IS NULL") == [(6,)]
    assert select(court, "SELECT count(*) FROM clients") == [(6,)]


@pytest.mark.sqlite_only
def test_a_formula_that_reaches_further_down_than_the_rows_makes_none(tmp_path: Path) -> None:
    broken = [None, None, None, Formula("#N/A")]
    rows = [HEAD, hearing(1), broken, hearing(3), [None] * 7, broken, [], broken]
    told = found(tmp_path / "file", rows)
    assert [(line, cells[0], cells[3]) for line, cells in told.rows] == [
        (2, "1", "09:00:00"),
        (3, "", "#N/A"),
        (4, "3", "09:00:00"),
    ]
    assert told.notes[0].startswith("3 cells hold a formula's error")
    assert told.notes[1] == "The last 2 rows hold a formula's error and nothing else: read as empty."


@pytest.mark.sqlite_only
def test_a_last_row_of_errors_alone_is_a_row(tmp_path: Path) -> None:
    told = found(tmp_path / "file", [HEAD, hearing(1), [Formula("#REF!")] * 7])
    assert [cells for _, cells in told.rows[1:]] == [["#REF!"] * 7]


@pytest.mark.sqlite_only
def test_formulas_of_which_all_are_0_were_never_computed(tmp_path: Path) -> None:
    with pytest.raises(IngestError) as caught:
        found(tmp_path / "file", [HEAD, hearing(1, Formula(0)), hearing(2, Formula(0))])
    assert caught.value.code == "uncomputed_formulas"


@pytest.mark.sqlite_only
@pytest.mark.parametrize("text", ["=SUM(G2:G3)", "=SUBTOTAL(9,$G$2:$G$3)"])
def test_a_total_that_nobody_computed_refuses_no_rows(tmp_path: Path, text: str) -> None:
    told = found(tmp_path / "file", [HEAD, hearing(1), hearing(2), [None] * 6 + [Formula(0, text)]])
    assert len(told.rows) == 3


@pytest.mark.sqlite_only
def test_a_formula_that_gives_0_among_others_is_told(tmp_path: Path) -> None:
    told = found(tmp_path / "file", [HEAD, hearing(1, phone=Formula(0)), hearing(2, phone=Formula(12.5))])
    assert [cells[6] for _, cells in told.rows] == ["0", "12.5"]
    assert told.notes == (
        "One formula gives 0. If it should not, open the workbook in Excel, save it and send it again.",
    )


def test_a_cell_that_is_merged_over_rows_is_read_in_each(court: Court) -> None:
    court.template(TOML, "/docket")
    rows = [hearing(1, HALF_PAST_ONE), hearing(2, None, None), hearing(3, None, None), hearing(4, None, None)]
    upload = court.push(workbook([["Docket"], HEAD, *rows], ["A1:G1", "D3:D5", "E3:F5"]), "/docket/a.xlsx")
    assert select(court, EVENTS) == [
        ("C-1", "13:30", "A"),
        ("C-2", "13:30", "A"),
        ("C-3", "13:30", "A"),
        ("C-4", None, None),
    ]
    assert upload.notes == ("4 cells are merged with the one above: read as holding the same.",)


@pytest.mark.sqlite_only
def test_what_is_merged_with_the_header_or_beyond_the_rows_makes_no_row(tmp_path: Path) -> None:
    merged = [*(f"{letter}1:{letter}2" for letter in "ABCDEFG"), "D4:D9", "E4:E9"]
    told = found(tmp_path / "file", [HEAD, [], hearing(1), hearing(2), [], [], [], [], [], ["x"]], merged)
    assert [line for line, _ in told.rows] == [3, 4, 10]
    assert told.names == HEAD
    assert not told.notes


@pytest.mark.sqlite_only
def test_merged_cells_hold_no_more_than_a_workbook_may(tmp_path: Path) -> None:
    rows = [HEAD, hearing(1, room="x" * 5000), *(hearing(i, room=None) for i in range(2, 60))]
    with pytest.raises(IngestError) as caught:
        found(tmp_path / "file", rows, ["E2:E60"], limits=Limits(unpacked_freely=200_000))
    assert caught.value.code == "too_many_merged"
