"""The `[file]` table of a template, and what is said where a file is not as it says."""

import time
from datetime import date
from pathlib import Path
from typing import Any

import openpyxl
import pytest

from ingest.answer import receipt_text
from ingest.errors import IngestError
from ingest.format import FileFormat, read_format
from ingest.limits import Limits
from ingest.outline import open_outline
from tests.ingest.court import HEADER, Court, codes, ecr, row
from tests.ingest.tables import as_fixed, as_xlsx, read

pytestmark = pytest.mark.sqlite_only  # what is tried here ends before the database


def test_nothing_need_be_said() -> None:
    assert read_format({}) == FileFormat()


@pytest.mark.parametrize(
    ("said", "form"),
    [
        ({"delimiter": "tab"}, FileFormat(delimiter="\t")),
        ({"delimiter": "¦"}, FileFormat(delimiter="¦")),
        ({"delimiter": "~", "encoding": "UTF-8-SIG"}, FileFormat(delimiter="~", encoding="utf-8")),
        ({"encoding": "iso-8859-1", "quoting": "auto"}, FileFormat(encoding="latin-1", quoting=None)),
        ({"header": 4, "header_rows": 2}, FileFormat(header_row=4, header_rows=2)),
        ({"header": False, "widths": [3, 4]}, FileFormat(kind="fixed", header=False, widths=(3, 4))),
        ({"kind": "xlsx", "sheet": 2}, FileFormat(kind="xlsx", sheet=2)),
        ({"skip_lines": 2, "trailer": r"T\|(\d+)"}, FileFormat(skip_lines=2, trailer=r"T\|(\d+)")),
    ],
)
def test_what_is_said_is_kept(said: dict[str, Any], form: FileFormat) -> None:
    assert read_format(said) == form


@pytest.mark.parametrize(
    ("said", "code", "says"),
    [
        ({"delimiter": "||"}, "template_value", "single character"),
        ({"delimiter": '"'}, "template_value", "single character"),
        ({"delimiter": "x"}, "template_value", "Letters"),
        ({"encoding": "ebcdic"}, "template_value", "utf-16"),
        ({"kind": "xls"}, "template_value", "xlsx"),
        ({"quoting": "no"}, "template_value", "auto"),
        ({"header": 0}, "template_value", "true or false"),
        ({"header_rows": True}, "template_value", "from 1 to 5"),
        ({"skip_lines": -1}, "template_value", "from 0 to 1,000"),
        ({"widths": [0]}, "template_widths", "widths = [10, 20, 8]"),
        ({"widths": "10"}, "template_widths", "list of numbers"),
        ({"kind": "fixed"}, "template_widths", "needs its widths"),
        ({"kind": "delimited", "widths": [1]}, "template_widths", "no widths"),
        ({"sheet": 0}, "template_value", "number from 1"),
        ({"sheet": ""}, "template_value", "name of a sheet"),
        ({"trailer": "("}, "template_trailer", "pattern"),
        ({"trailer": "(a)(b)"}, "template_trailer", "captured"),
        ({"trailer": ""}, "template_trailer", "pattern"),
        ({"trailer": 7}, "template_trailer", "pattern"),
        ({"trailer": r"(?=TRL)"}, "template_trailer", "no backreferences and no lookaround"),
        ({"trailer": r"(T)\1"}, "template_trailer", "no backreferences and no lookaround"),
        ({"trailer": r"\QT"}, "template_trailer", "cannot be used"),
        ({"trailer": "((a{1000}){1000})"}, "template_trailer", "cannot be used"),
        ({"trailer": "T" * 201}, "template_trailer", "200 characters"),
    ],
)
def test_what_cannot_be_said_is_told(said: dict[str, Any], code: str, says: str) -> None:
    with pytest.raises(IngestError) as caught:
        read_format(said)
    assert caught.value.code == code
    assert says in str(caught.value)


def told(court: Court, said: str, content: bytes) -> IngestError:
    court.template(f'name = "t"\n[file]\n{said}\n[columns]\ncase.number = "Case"\nclient.reference = "ID"\n', "/t")
    error = court.push(content, "/t/a.csv").error
    assert error is not None
    return error


def test_another_delimiter_than_the_template_says_is_named(court: Court) -> None:
    error = told(court, 'delimiter = "|"', b"ID,Case\n1,CR-1\n")
    assert error.code == "wrong_delimiter"
    assert "a pipe stands between columns, but here it is a comma" in error.message


def test_text_where_a_workbook_is_wanted_is_told(court: Court) -> None:
    assert told(court, 'kind = "xlsx"', b"ID,Case\n1,CR-1\n").code == "wrong_kind"


def test_a_workbook_where_text_is_wanted_is_told(court: Court, tmp_path: Path) -> None:
    as_xlsx(tmp_path / "x", {"ECR": [["ID", "Case"], ["1", "CR-1"]]})
    assert told(court, 'kind = "delimited"', (tmp_path / "x").read_bytes()).code == "wrong_kind"


def test_a_missing_column_names_the_other_sheets(court: Court, tmp_path: Path) -> None:
    as_xlsx(tmp_path / "x", {"Summary": [["Total", "2"], ["1", "2"]], "Hearings": [["ID", "Case"], ["1", "CR-1"]]})
    error = told(court, "", (tmp_path / "x").read_bytes())
    assert error.code == "missing_column"
    assert "'Summary' was read, of 'Summary', 'Hearings'" in error.hint


def test_sheets_that_are_passed_over_are_noted_in_the_receipt(court: Court, tmp_path: Path) -> None:
    rows = [["ID", "Case"], ["1", "CR-1"]]
    court.template('name = "t"\n[columns]\ncase.number = "Case"\nclient.reference = "ID"\n', "/t")
    for names in (["ECR"], ["ECR", "March"], ["ECR", *(f"Day {day}" for day in range(1, 13))]):
        as_xlsx(tmp_path / "x", dict.fromkeys(names, rows))
        upload = court.push((tmp_path / "x").read_bytes(), f"/t/{len(names)}.xlsx")
        text = receipt_text(upload, [])
        assert upload.status == "processed"
        assert ('Only the sheet "ECR" was read' in text) == (len(names) > 1)
    assert 'another sheet, which was not: "March".' not in text
    assert '12 other sheets, which were not: "Day 1", "Day 2"' in text
    assert '"Day 10" and 2 more.' in text


def test_an_empty_sheet_is_told(court: Court, tmp_path: Path) -> None:
    as_xlsx(tmp_path / "x", {"ECR": []})
    assert told(court, "", (tmp_path / "x").read_bytes()).code == "empty_file"


def test_a_trailer_that_counts_other_rows_stops_the_file(court: Court) -> None:
    error = told(court, "trailer = 'T(\\d+)'", b"ID,Case\n1,CR-1\n2,CR-2\nT3\n")
    assert (error.code, "counts 3 rows, and the file has 2" in error.message) == ("wrong_count", True)
    assert not any(court.dump().values())


def test_what_is_wide_mixed_or_broken_over_lines_is_read_row_by_row(court: Court) -> None:
    court.template('name = "t"\n[columns]\ncase.number = "Case"\ncase.style = "Style"\n', "/t")
    names = ["Case", "Style", *(f"Column {number}" for number in range(3, 201))]
    lines = [names, ["CR-1", "Peña", *"x" * 198], ["CR-2", '"one\ntwo, ""three"""', *["y"] * 198], ["CR-3", "Pe\xf1a"]]
    head, utf8, broken, short = (",".join(line) + "\r\n" for line in lines)
    torn = b"CR-4,Pe\xf1a," + b",".join([b"z"] * 198) + b"\r\n"
    upload = court.push(b"".join([*map(str.encode, (head, utf8, broken, short)), torn]), "/t/wide.csv")
    assert [(case[0], case[1]) for case in court.dump()["cases"]] == [("CR-1", "Peña"), ("CR-2", 'one two, "three"')]
    assert codes(court.errors(upload)) == [(5, "", "too_few_columns", "error"), (6, "", "bad_encoding", "error")]
    assert len(receipt_text(upload, court.errors(upload))) < 3000


def test_a_file_shorter_than_what_is_skipped_is_told(court: Court) -> None:
    assert told(court, "skip_lines = 9", b"ID,Case\n1,CR-1\n").code == "header_only"


def test_a_header_below_a_title_is_found_and_lines_are_counted_as_an_editor_counts(court: Court) -> None:
    upload = court.push(b"County Court\r\nHearings, all\r\n\r\n" + ecr(row(), row(date="02/30/2026")))
    assert (upload.rows, [error.row for error in court.errors(upload)]) == (2, [6])
    assert upload.header == tuple(HEADER.split("|"))


def test_skipping_works_for_workbooks_whatever_stands_above_the_header(court: Court, tmp_path: Path) -> None:
    cells = [line.split("|") for line in [HEADER, *(row(str(i), f"CR-{i}") for i in range(20))]]
    as_xlsx(tmp_path / "x", {"ECR": [["Printed 3/1/2026"], *cells]})
    court.push((tmp_path / "x").read_bytes(), "/upload/1.xlsx")
    as_xlsx(tmp_path / "x", {"ECR": [["Printed 3/2/2026"], [], *cells, row("20", "CR-20").split("|")]}, shared=True)
    upload = court.push((tmp_path / "x").read_bytes(), "/upload/2.xlsx")
    assert (upload.rows, upload.skipped, upload.counts["cases"].created) == (21, 20, 1)


def test_real_dates_of_a_workbook_are_read_whatever_the_template_says_of_texts(court: Court, tmp_path: Path) -> None:
    as_xlsx(
        tmp_path / "x", {"ECR": [["ID", "Case", "Day"], ["1", "CR-1", date(2026, 3, 4)], ["1", "CR-1", "2026-09-03"]]}
    )
    court.template(
        'name = "t"\n[formats]\ndate = "%Y-%d-%m"\n[columns]\n'
        'client.reference = "ID"\ncase.number = "Case"\nevent.date = "Day"',
        "/t",
    )
    assert court.push((tmp_path / "x").read_bytes(), "/t/a").status == "processed"
    assert [event[5] for event in court.dump()["events"]] == ["2026-03-04", "2026-09-03"]


def test_real_dates_of_a_workbook_are_read_where_a_rule_has_formats_of_its_own(court: Court, tmp_path: Path) -> None:
    as_xlsx(tmp_path / "x", {"ECR": [["ID", "Case", "Day"], ["1", "CR-1", date(2026, 3, 4)]]})
    rule = '{ column = "Day", formats = ["%m/%d/%Y"] }'
    court.template(f'name = "t"\n[columns]\nclient.reference = "ID"\ncase.number = "Case"\nevent.date = {rule}', "/t")
    assert court.push((tmp_path / "x").read_bytes(), "/t/a").status == "processed"
    assert [event[5] for event in court.dump()["events"]] == ["2026-03-04"]


@pytest.mark.parametrize(
    ("text", "quoting"),
    [
        ('a,b\n"x, y",1\n', True),
        ('a,b\n"x",1\nsix" tall,2\n"z",3\n', True),
        ('a,b\nthe "Ace",1\n"Bud" Smith,2\n', False),
        ("a,b\n" + "x,1\n" * 300_000 + '"Bud" Smith,2\n', False),
        ("a,b\n" + "x,1\n" * 300_000 + '"Smith, Bud",2\n', True),
        ("a,b\nx,1\n", True),
    ],
    ids=["enclosed", "mostly", "stray", "stray far down", "enclosed far down", "none"],
)
def test_quoting_is_told_from_the_quotes(tmp_path: Path, text: str, quoting: bool) -> None:
    (tmp_path / "x").write_text(text)
    form = FileFormat(quoting=None)
    with open_outline(tmp_path / "x", form, ["a", "b"], 2, Limits()) as outline:
        assert outline.dialect.quoting is quoting


def test_a_heading_that_is_merged_downwards_names_its_column(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    sheet = book.worksheets[0]
    for place, value in {"A1": "ID", "B1": "Defendant", "B2": "Last", "C2": "First", "A3": "1", "B3": "Alder"}.items():
        sheet[place] = value
    sheet.merge_cells("A1:A2")
    sheet.merge_cells("B1:C1")
    book.save(tmp_path / "x")
    found = read(tmp_path / "x", FileFormat(), ["ID", "Last", "First"])
    assert (found.names, found.rows) == (["ID", "Last", "First"], [(3, ["1", "Alder", ""])])


def test_headings_of_two_lines_of_text_are_put_together(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("Report\nCase,Defendant,,\nNumber,Last,First,DOB\n1,Alder,Avery,x\n")
    found = read(tmp_path / "x", FileFormat(header_rows=2), ["Case Number", "Defendant DOB"])
    assert found.names == ["Case Number", "Defendant Last", "Defendant First", "Defendant DOB"]
    assert found.rows == [(4, ["1", "Alder", "Avery", "x"])]


@pytest.mark.parametrize(
    ("pattern", "last", "code"),
    [
        (r"TRL\|(\d+)", "TRL|2 rows", None),
        (r"TRL\|(\d+)", "TRL|3", "wrong_count"),
        (r"TRL\|(\d+)", "X TRL|2", "missing_trailer"),
        (r"TRL\|(\d*)", "TRL|", "wrong_count"),
        (r"(?i)trl", "TRL|3", None),
        (r"(?:a|TRL)\|0*(?P<rows>[\d,]+)", "TRL|0002", None),
        (r"(a|a)*$", "a" * 999 + "!", "missing_trailer"),
        (r"(a*)*b", "a" * 999, "missing_trailer"),
    ],
    ids=["counts", "other count", "only at the beginning", "no count", "flags", "named", "hostile", "nested"],
)
def test_a_trailer_is_told_by_its_pattern(tmp_path: Path, pattern: str, last: str, code: str | None) -> None:
    path = tmp_path / "file.txt"
    path.write_text(f"a|b\n1|2\n3|4\n{last}\n")
    began = time.process_time()
    assert outcome(path, FileFormat(trailer=pattern)) == (code or 2)
    assert time.process_time() - began < 5


def outcome(path: Path, form: FileFormat) -> int | str:
    """How many rows the file has, or why it cannot be used."""
    try:
        with open_outline(path, form, [], 2, Limits()) as outline:
            return len(outline.rows)
    except IngestError as error:
        return error.code


def test_a_fixed_width_file_that_is_cut_off_is_told(tmp_path: Path) -> None:
    whole = as_fixed([["ID", "Case"], ["1", "CR-1"], ["2", "CR-2"], ["3", "CR-3"]], (4, 8), "\n", False)
    form = FileFormat(kind="fixed", widths=(4, 8))
    for content in (whole, whole[:-1], "\n".join(line.rstrip() for line in whole.splitlines())):
        (tmp_path / "x").write_text(content)
        assert len(read(tmp_path / "x", form, ["ID", "Case"]).rows) == 3
    (tmp_path / "x").write_text(whole[:-7])
    with pytest.raises(IngestError, match="cut off"):
        read(tmp_path / "x", form, ["ID", "Case"])


def test_an_error_file_that_was_saved_as_a_workbook_is_taken(court: Court, tmp_path: Path) -> None:
    court.template(
        'name = "t"\n[file]\nskip_lines = 2\ntrailer = "TRL"\n[columns]\ncase.number = "Case"\nclient.reference = "ID"',
        "/t",
    )
    as_xlsx(tmp_path / "x", {"errors": [["row number", "reasons", "ID", "Case"], ["7", "it was bad", "1", "CR-1"]]})
    assert court.push((tmp_path / "x").read_bytes(), "/t/a.xlsx").status == "processed"
    assert [case[0] for case in court.dump()["cases"]] == ["CR-1"]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"ID01C001\nID02C002\nID03C003\nTRL3", 3),
        (b"ID01C001\nID02C002\nID03C003\nTRL3\n", 3),
        (b"ID01C001\nID02C002\nID03C003\nID04", "missing_trailer"),
        (b"ID01C001\nID02C002\nID03C003\nTRL", "missing_trailer"),
    ],
)
def test_a_trailer_in_fixed_width_may_be_short_and_without_a_line_end(
    tmp_path: Path, content: bytes, expected: int | str
) -> None:
    path = tmp_path / "file"
    path.write_bytes(content)
    assert outcome(path, FileFormat(header=False, widths=(4, 4), trailer=r"TRL(\d)")) == expected
    assert outcome(path, FileFormat(header=False, widths=(4, 4))) in ("truncated", 4)
