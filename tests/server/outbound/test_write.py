"""Tables as files: what a spreadsheet and a program read out of them is what was written."""

import csv
import io
import resource
import subprocess
import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, time
from decimal import Decimal
from pathlib import Path

import openpyxl
import pytest

from server.errors import AppError, Code
from server.outbound import write
from server.outbound.write import Cell, Form, Written, write_table

COLUMNS = ("name", "note", "number", "amount", "day", "time", "moment", "instant")
ROW: tuple[Cell, ...] = (
    "Núñez, Zoë",
    'a|b "c"\r\nd',
    7,
    Decimal("1234.50"),
    date(2026, 3, 16),
    time(9, 0),
    datetime(2026, 3, 16, 9, 0, 5),
    datetime(2026, 3, 16, 13, 0, 5, tzinfo=UTC),
)
ODD = (
    "",
    "=1+1",
    "+12125550101",
    "-5",
    "@x",
    "007",
    "\U0001f469‍⚖️",
    "שלום",
    "a\x01b",
    "_x0041_",
    "\ufffe",
    "\ud800",
    "1e5",
)


def written(folder: Path, form: Form, rows: Sequence[Sequence[Cell]], columns: Sequence[str] = COLUMNS) -> Path:
    target = folder / f"table.{form}"
    assert write_table(target, form, columns, rows).rows == len(rows)
    assert [path.name for path in folder.iterdir()] == [target.name]
    return target


def test_csv_has_a_mark_and_says_everything(tmp_path: Path) -> None:
    data = written(tmp_path, Form.CSV, [ROW, [None] * 8]).read_bytes()
    assert data.startswith(b"\xef\xbb\xbfname,note,")
    assert data.decode("utf-8-sig").split("\r\n", 1)[1] == (
        '"Núñez, Zoë","a|b ""c""\r\nd",7,1234.50,2026-03-16,09:00,2026-03-16 09:00:05,2026-03-16T13:00:05Z\r\n'
        ",,,,,,,\r\n"
    )


def test_txt_has_pipes_and_quotes_only_what_needs_them(tmp_path: Path) -> None:
    data = written(tmp_path, Form.TXT, [ROW]).read_bytes()
    assert data.decode().split("\r\n", 1)[1] == (
        'Núñez, Zoë|"a|b ""c""\r\nd"|7|1234.50|2026-03-16|09:00|2026-03-16 09:00:05|2026-03-16T13:00:05Z\r\n'
    )


def test_a_workbook_has_real_dates_and_a_frozen_bold_header(tmp_path: Path) -> None:
    book = openpyxl.load_workbook(written(tmp_path, Form.XLSX, [ROW, [None] * 8]))
    sheet = book.worksheets[0]
    assert sheet.freeze_panes == "A2"
    assert all(cell.font.bold for cell in sheet[1])
    assert [cell.value for cell in sheet[1]] == list(COLUMNS)
    assert [cell.value for cell in sheet[2]] == [
        "Núñez, Zoë",
        'a|b "c"\nd',
        7,
        1234.5,
        datetime(2026, 3, 16),
        time(9, 0),
        datetime(2026, 3, 16, 9, 0, 5),
        datetime(2026, 3, 16, 13, 0, 5),
    ]
    assert [cell.is_date for cell in sheet[2]] == [False] * 4 + [True] * 4
    assert 8 < sheet.column_dimensions["B"].width < 20


def test_nothing_is_executed_and_nothing_else_is_changed(tmp_path: Path) -> None:
    row = list(ODD)
    names = [str(number) for number in range(len(ODD))]
    told = [*ODD[:1], "'=1+1", "'+12125550101", "'-5", "'@x", *ODD[5:11], "?", "1e5"]
    for form, delimiter in ((Form.CSV, ","), (Form.TXT, "|")):
        text = written(tmp_path, form, [row], names).read_text("utf-8-sig")
        assert list(csv.reader(io.StringIO(text), delimiter=delimiter))[1] == told
        (tmp_path / f"table.{form}").unlink()
    sheet = openpyxl.load_workbook(written(tmp_path, Form.XLSX, [row], names)).worksheets[0]
    shown = [None, *ODD[1:8], "a_x0001_b", "_x005F_x0041_", "\ufffd", "?", "1e5"]
    assert [cell.value for cell in sheet[2]] == shown
    assert {cell.data_type for cell in sheet[2]} == {"s", "n"}  # openpyxl calls an empty cell a number
    assert sheet["B2"].data_type == "s"


def test_what_looks_like_rich_text_stays_what_it_is(tmp_path: Path) -> None:
    row = [
        "<r>R & D Building</r>",
        '<r><t>Court</t></r></is></c><c r="ZZ2"><f>HYPERLINK("http://x")</f></c><c><is><r></r>',
        "<r>  two  lines\nand a bell \x07 </r>",
        f"<r>{'<' * 10_000}</r>",
    ]
    names = ["<r>a</r>", "b", "c", "<r></r>"]
    sheet = openpyxl.load_workbook(written(tmp_path, Form.XLSX, [row], names), rich_text=False).worksheets[0]
    assert [cell.value for cell in sheet[1]] == names
    assert [cell.value for cell in sheet[2]] == [*row[:2], row[2].replace("\x07", "_x0007_"), f"{row[3]}…"]


def test_what_a_workbook_cannot_hold_is_told_as_text_or_cut(tmp_path: Path) -> None:
    row = ["ä" * 40_000, date(1890, 5, 1), datetime(1890, 5, 1, 9)]
    sheet = openpyxl.load_workbook(written(tmp_path, Form.XLSX, [row], ["a", "b", "c"])).worksheets[0]
    values = [cell.value for cell in sheet[2]]
    assert values == ["ä" * 16_382 + "…", "1890-05-01", "1890-05-01 09:00:00"]


def test_a_full_sheet_goes_on_in_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(write, "SHEET_ROWS", 4)
    book = openpyxl.load_workbook(written(tmp_path, Form.XLSX, [[number] for number in range(7)], ["n"]))
    assert {sheet.title: [cell.value for cell in sheet["A"]] for sheet in book} == {
        "Rows": ["n", 0, 1, 2],
        "Rows 2": ["n", 3, 4, 5],
        "Rows 3": ["n", 6],
    }


@pytest.mark.parametrize("form", list(Form))
def test_an_empty_table_is_its_header(tmp_path: Path, form: Form) -> None:
    target = written(tmp_path, form, [])
    if form == Form.XLSX:
        assert [[c.value for c in row] for row in openpyxl.load_workbook(target).worksheets[0]] == [list(COLUMNS)]
    else:
        assert target.read_bytes().count(b"\r\n") == 1


@pytest.mark.parametrize("form", list(Form))
def test_the_same_table_is_the_same_bytes_and_the_same_content(tmp_path: Path, form: Form) -> None:
    made = [write_table(tmp_path / name, form, COLUMNS, [ROW]) for name in ("a", "b")]
    assert made[0] == made[1]
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    other = [write_table(tmp_path / "c", form, COLUMNS, rows) for rows in ([ROW, ROW], [])]
    other.append(write_table(tmp_path / "c", form, [*COLUMNS[:-1], "x"], [ROW]))
    assert len({made[0].content, *(each.content for each in other)}) == 4


@pytest.mark.parametrize("form", list(Form))
def test_nothing_is_left_of_a_table_that_fails(tmp_path: Path, form: Form) -> None:
    def rows() -> Iterator[list[Cell]]:
        yield ["a"]
        raise RuntimeError

    with pytest.raises(RuntimeError):
        write_table(tmp_path / "t", form, ["x"], rows())
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def small_files() -> Iterator[None]:
    """No file of this process may have more than 64 KiB."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.usefixtures("small_files")
@pytest.mark.parametrize("form", list(Form))
def test_a_disk_that_takes_no_more_is_told(tmp_path: Path, form: Form) -> None:
    with pytest.raises(AppError, match="cannot be written: file too large") as caught:
        write_table(tmp_path / "t", form, ["x"], [["y" * 20] for _ in range(10_000)])
    assert caught.value.code == Code.UNAVAILABLE
    assert list(tmp_path.iterdir()) == []


MEASURE = """
import resource, sys
from pathlib import Path
from server.outbound.write import Form, write_table
target, form, count = Path(sys.argv[1]), Form(sys.argv[2]), int(sys.argv[3])
for rows in (1000, count):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    written = write_table(target, form, ["a", "b", "c"], ((f"name {n}", n, "x" * 100) for n in range(rows)))
    assert written.rows == rows
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.mark.parametrize(("form", "count"), [("csv", 300_000), ("txt", 300_000), ("xlsx", 80_000)])
def test_memory_does_not_grow_with_the_rows(tmp_path: Path, form: str, count: int) -> None:
    command = [sys.executable, "-c", MEASURE, str(tmp_path / "t"), form, str(count)]
    grown = int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    assert grown < 4 * 1024  # KiB; the rows have 10 to 40 MB


def test_written_says_how_many_rows(tmp_path: Path) -> None:
    found = write_table(tmp_path / "t", Form.CSV, ["a"], [["1"], ["2"]])
    assert isinstance(found, Written)
    assert found.rows == 2
