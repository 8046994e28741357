"""An error file goes through a spreadsheet and comes back as it went out."""

import csv
import io
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.answer import error_file
from ingest.guard import as_sent, guarded, neutral, unguarded
from tests.ingest.court import Court, codes, ecr, row
from tests.ingest.test_format import as_xlsx
from tests.ingest.test_mapping import load, select

HEAD = 'name = "t"\n[columns]\nclient.reference = "id"\ncase.number = "no"\nevent.date = "d"\n'


def shown(cell: str) -> str:
    """A cell as a spreadsheet of the United States saves it after it was opened there."""
    text = cell.strip()
    if re.fullmatch(r"\d+", text):
        return re.sub(r"\.?0*E", "E", f"{float(text):.5E}") if len(text) > 11 else str(int(text))
    if match := re.fullmatch(r"(\d{4})-(\d\d?)-(\d\d?)|(\d\d?)/(\d\d?)/(\d{4})", text):
        year, month, day = (int(part) for part in (match[1] or match[6], match[2] or match[4], match[3] or match[5]))
        return f"{month}/{day}/{year}" if month <= 12 and day <= 31 else cell
    if match := re.fullmatch(r"0?(\d?\d:\d\d(?::\d\d)?(?: [AP]M)?)", text):
        return match[1]
    return cell


def resaved(content: bytes) -> bytes:
    """What a spreadsheet makes of a CSV file: split at commas, all rows as wide as the widest, cells as `shown`."""
    rows = list(csv.reader(io.StringIO(content.decode("utf-8-sig"), newline="")))
    width, out = max(map(len, rows)), io.StringIO()
    lines = csv.writer(out, lineterminator="\r\n")
    lines.writerows([*map(shown, each), *[""] * (width - len(each))] for each in rows)
    return b"\xef\xbb\xbf" + out.getvalue().encode()


@given(st.text())
def test_what_was_guarded_comes_back(cell: str) -> None:
    assert unguarded(guarded(cell)) == cell


@pytest.mark.parametrize(
    "cell",
    ["0001232", "202601000102", "12E3", "2026-04-01", "3/4", "1-2", "MAR 1", "09:00:00", "5.10", "true", "=1", "'0001"],
)
def test_cells_that_a_spreadsheet_changes_are_guarded(cell: str) -> None:
    assert guarded(cell) == f"'{cell}"
    assert shown(guarded(cell)) == guarded(cell)


@pytest.mark.parametrize(
    "cell", ["", "Alvarez, M.", "17", "0", "CR-2026-1", "(404) 555-0101", "404-555-0101", "O'Birch"]
)
def test_cells_that_it_leaves_alone_are_not(cell: str) -> None:
    assert guarded(cell) == cell


@pytest.mark.parametrize("delimiter", ["|", ",", "\t"])
def test_an_error_file_saved_by_a_spreadsheet_doubles_nobody(court: Court, delimiter: str) -> None:
    people = [
        row("0001231", "202601000101", date="13/16/2026", location="Annex 1", judge="Alvarez"),
        row("0001232", "202601000102", phone="404.555", location="Annex 2", judge="Alvarez"),
    ]
    upload = court.push(ecr(*people).replace(b"|", delimiter.encode()))
    assert (upload.error_rows, upload.warning_rows) == (1, 1)
    answer = resaved(error_file(upload, court.errors(upload)))
    mended = answer.replace(b"13/16/2026", b"03/16/2026").replace(b"404.555", b"404-555-0102")
    again = court.push(mended, "/upload/fixed.csv")
    assert (again.status, court.errors(again)) == ("processed", [])
    told = court.dump()
    assert [client[0] for client in told["clients"]] == ["#0001231", "#0001232"]
    assert [case[0] for case in told["cases"]] == ["202601000101", "202601000102"]
    assert [contact[2] for contact in told["contacts"]] == ["+14045550102"]
    assert len(told["events"]) == 2


def test_dates_of_a_workbook_can_be_mended_in_a_spreadsheet(court: Court) -> None:
    court.template(HEAD.replace('name = "t"', 'name = "t"\n[formats]\ndate = ["%Y-%m-%d"]'), "/t")
    upload = court.push("id,no,d\n1,C1,2026-04-31\n2,,2026-04-01\n", "/t/a.csv")
    answer = resaved(error_file(upload, court.errors(upload)))
    again = court.push(answer.replace(b"04-31", b"04-30").replace(b"2,,", b"2,C2,"), "/t/b.csv")
    assert (again.status, select(court, "SELECT local_date FROM events ORDER BY 1")) == (
        "processed",
        [("2026-04-01",), ("2026-04-30",)],
    )


def test_rows_that_are_too_wide_or_too_short_stay_wrong_in_a_spreadsheet(court: Court) -> None:
    upload = court.push(ecr(row("1") + "|x", row("2", date="x"), "3|Avery|Alder"))
    answer = resaved(error_file(upload, court.errors(upload)))
    assert answer.splitlines()[0].endswith(b"Case Number,")
    again = court.push(answer, "/upload/fixed.csv")
    told = codes(court.errors(again))
    assert told[0] == (2, "", "too_many_columns", "error")
    assert told[1] == (3, "Event Date", "bad_date", "error")
    assert "lost_characters" in {code for line, _, code, _ in told if line == 4}
    mended = court.push(resaved(error_file(again, court.errors(again))).replace(b",x\r", b",\r"), "/upload/fixed2.csv")
    assert [event[0] for event in court.dump()["events"]] == ["#1"]
    assert mended.error_rows == 2


def test_an_apostrophe_of_the_court_is_kept(court: Court) -> None:
    upload = load(court, HEAD, "id,no,d\n'0001,C1,x\n0001,C2,03/16/2026\n")
    assert len(court.dump()["clients"]) == 1
    answer = resaved(error_file(upload, court.errors(upload))).replace(b",x", b",03/17/2026")
    court.push(answer, "/t/b.csv")
    assert [client[1] for client in court.dump()["clients"]] == ["'0001", "0001"]


def test_an_error_file_that_became_a_workbook_comes_back(court: Court) -> None:
    upload = court.push(ecr(row("0007", "202601000101", date="x"), row("8", "C8", date="x") + "|"))
    rows = list(csv.reader(io.StringIO(error_file(upload, court.errors(upload)).decode("utf-8-sig"))))
    width = max(map(len, rows))
    cells = [[*("03/16/2026" if cell == "x" else cell for cell in each), *[""] * (width - len(each))] for each in rows]
    as_xlsx(court.folder / "x.xlsx", {"errors": cells})
    again = court.push((court.folder / "x.xlsx").read_bytes(), "/upload/fixed.xlsx")
    assert again.status == "processed"
    assert [event[:2] for event in court.dump()["events"]] == [("#0007", "202601000101"), ("#8", "C8")]


def test_a_column_without_a_name_at_the_end_is_one(court: Court) -> None:
    toml = 'name = "t"\n[columns]\nclient.reference = 1\ncase.number = 2\nevent.date = 3\nevent.room = 4\n'
    upload = load(court, toml, "id,no,d,\n1,C1,x,4B\n")
    answer = error_file(upload, court.errors(upload)).replace(b",x,", b",03/16/2026,")
    assert court.push(resaved(answer), "/t/b.csv").status == "processed"
    assert select(court, "SELECT room FROM events") == [("4B",)]


@pytest.mark.parametrize("cell", ["=1+1", "+1", "-1", "@x", "\tx", "\rx"])
def test_formulas_are_neutralised(cell: str) -> None:
    assert neutral(cell) == f"'{cell}"


@given(st.text())
def test_what_was_neutralised_comes_back(cell: str) -> None:
    assert as_sent(neutral(cell)) == cell or neutral(cell) == cell
