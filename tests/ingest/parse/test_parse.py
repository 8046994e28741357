"""Any table that the csv module writes comes back as the same cells and lines; odd files are read as it reads them."""

import csv
import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from ingest.errors import IngestError
from ingest.format import FileFormat
from ingest.limits import Limits
from ingest.parse import Dialect, Kind, Records, read_cells, scan, tell_dialect

LIMITS = Limits()
TINY = Limits(block=64)
FORM = FileFormat()


def records_of(path: Path, dialect: Dialect, encoding: str | None = None, limits: Limits = LIMITS) -> Records:
    with path.open("rb") as file:
        return scan(file, dialect, encoding, limits)


def parse(path: Path, dialect: Dialect, width: int, limits: Limits = LIMITS, encoding: str | None = None) -> Any:
    """Rows as (line, cells), and refused rows as (line, code)."""
    with path.open("rb") as file:
        records = scan(file, dialect, encoding, limits)
        chosen = np.arange(len(records))
        cells = read_cells(file, records, chosen, dialect, width, range(width))
        texts = [["" if t is None else t for t in cells.columns[i].texts()] for i in range(width)]
    rows = list(zip(records.line[cells.index].tolist(), map(list, zip(*texts, strict=True)), strict=True))
    return rows, [(int(records.line[index]), code) for index, code in cells.refused]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "file"


cell = st.text(alphabet=st.sampled_from("aé\"|,\t\n\r ';^x"), max_size=6) | st.text(
    alphabet=st.characters(exclude_categories=("Cs",), exclude_characters="\0"), max_size=4
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    data=st.data(),
    width=st.integers(2, 5),
    delimiter=st.sampled_from("|,\t;^"),
    ending=st.sampled_from(["\n", "\r\n"]),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    bom=st.booleans(),
    limits=st.sampled_from([LIMITS, TINY]),
)
def test_a_table_comes_back_as_it_was(
    file: Path, data: st.DataObject, width: int, delimiter: str, ending: str, quoting: Any, bom: bool, limits: Limits
) -> None:
    table = data.draw(st.lists(st.lists(cell, min_size=width, max_size=width), min_size=1, max_size=12))
    if ending == "\n" and quoting == csv.QUOTE_MINIMAL:  # the csv module leaves a CR before the line's end bare then
        table = [[text.replace("\r", " ") for text in record] for record in table]
    out, lines = io.StringIO(), []
    writer = csv.writer(out, delimiter=delimiter, lineterminator=ending, quoting=quoting)
    for record in table:
        lines.append(out.getvalue().count("\n") + 1)
        writer.writerow(record)
    file.write_bytes((b"\xef\xbb\xbf" if bom else b"") + out.getvalue().encode())
    dialect = Dialect(delimiter, b"\n", True, 3 if bom else 0)
    rows, refused = parse(file, dialect, width, limits)
    assert refused == []
    assert rows == list(zip(lines, table, strict=True))


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(alphabet='ab"|\n', max_size=60), limits=st.sampled_from([LIMITS, TINY]))
@example('a|"b\nc"|d\n', LIMITS)
@example('a"b|c\n"a"b|c\na|"b"\n', LIMITS)
def test_odd_quotes_are_read_as_the_csv_module_reads_them(file: Path, text: str, limits: Limits) -> None:
    file.write_bytes(text.encode())
    try:
        rows, refused = parse(file, Dialect("|", b"\n", True, 0), 2, limits)
    except IngestError as error:
        caught = error.code
    else:
        caught = ""
    assert caught in {"", "unclosed_quote"}
    if caught:
        return
    reader = csv.reader(io.StringIO(text, newline=""), delimiter="|")
    line, expected, bad = 1, [], []
    for cells in reader:
        if len(cells) == 2:
            expected.append((line, cells))
        elif any(cell.strip(" \t\n") for cell in cells):
            bad.append(line)
        line = reader.line_num + 1
    assert rows == expected
    assert [line for line, _ in refused if line in bad] == bad


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    content=st.binary(max_size=200) | st.text(alphabet='a"|,\r\n\0é', max_size=80).map(str.encode),
    quoting=st.booleans(),
)
def test_any_bytes_give_rows_or_a_sentence(file: Path, content: bytes, quoting: bool) -> None:
    file.write_bytes(content)
    try:
        dialect = tell_dialect(content, FileFormat(quoting=quoting), (), 1, LIMITS)
        parse(file, dialect, 2, TINY)
    except IngestError as error:
        said = error.message
    else:
        said = "Nothing."
    assert said.endswith(".")


@pytest.mark.parametrize("limits", [LIMITS, TINY])
@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
def test_line_ends_are_told_from_the_file(file: Path, ending: str, limits: Limits) -> None:
    file.write_bytes(ending.join(["a|b", "1|2", "", "3|4"]).encode())
    dialect = tell_dialect(file.read_bytes(), FORM, (), 2, LIMITS)
    rows, refused = parse(file, dialect, 2, limits)
    assert (rows, refused) == ([(1, ["a", "b"]), (2, ["1", "2"]), (4, ["3", "4"])], [])


def test_quotes_may_be_data(file: Path) -> None:
    file.write_bytes(b'a|"b\n"c|d"\n')
    rows, _ = parse(file, Dialect("|", b"\n", False, 0), 2)
    assert rows == [(1, ["a", '"b']), (2, ['"c', 'd"'])]


def test_rows_of_another_width_are_named_by_their_line(file: Path) -> None:
    file.write_bytes(b'a|b\n1\n2|3\n"x\ny"|1|2\n4|5|6\n7|8\n|||\n')
    rows, refused = parse(file, Dialect("|", b"\n", True, 0), 2)
    assert rows == [(1, ["a", "b"]), (3, ["2", "3"]), (7, ["7", "8"])]
    assert refused == [(2, "too_few_columns"), (4, "too_many_columns"), (6, "too_many_columns")]


def test_an_unclosed_quote_is_told_with_the_line_it_opens_on(file: Path) -> None:
    file.write_bytes(b'a|b\n1|2\n3|"4\n' + b"5|6\n" * 500 + b'7|"8"\n')
    with pytest.raises(IngestError, match="line 3 is never closed"):
        parse(file, Dialect("|", b"\n", True, 0), 2, TINY)


def test_a_stray_quote_never_swallows_a_whole_file(file: Path) -> None:
    file.write_bytes(b'a|"b\n' + b"5|6\n" * 20_000)
    with pytest.raises(IngestError, match="line 1 is never closed"):
        parse(file, Dialect("|", b"\n", True, 0), 2)


@pytest.mark.parametrize(
    ("content", "told", "cells"),
    [
        ("José|é".encode(), "utf-8", ["José", "é"]),
        ("José|é".encode("cp1252"), "cp1252", ["José", "é"]),
        (b"\x93quoted\x94|\x81", "cp1252", ["“quoted”", "\x81"]),
    ],
)
def test_the_encoding_is_told_from_all_bytes(file: Path, content: bytes, told: str, cells: list[str]) -> None:
    file.write_bytes(b"a|b\n" * 100 + content + b"\n")
    dialect = Dialect("|", b"\n", True, 0)
    assert records_of(file, dialect, limits=TINY).encoding == told
    assert parse(file, dialect, 2, TINY)[0][-1] == (101, cells)


def test_a_stray_byte_in_a_utf8_file_costs_its_row(file: Path) -> None:
    file.write_bytes("é|1\né|2\n".encode() + b"\xe9|3\n" + b"a\0|4\n")
    rows, refused = parse(file, Dialect("|", b"\n", True, 0), 2)
    assert [line for line, _ in rows] == [1, 2]
    assert refused == [(3, "bad_encoding"), (4, "nul_byte")]


@pytest.mark.parametrize("limits", [TINY, Limits()])
def test_a_utf8_row_among_others_is_read_as_it_was_meant(file: Path, limits: Limits) -> None:
    dialect, utf8 = Dialect("|", b"\n", True, 0), 'José|1\n"Zoë"|2\n'.encode()
    file.write_bytes(b"a|0\n" + utf8 + b"Ren\xe9e|3\nJo\xe3o|4\nb|5\n")
    assert parse(file, dialect, 2, limits)[0] == [
        (1, ["a", "0"]),
        (2, ["José", "1"]),
        (3, ["Zoë", "2"]),
        (4, ["Renée", "3"]),
        (5, ["João", "4"]),
        (6, ["b", "5"]),
    ]
    assert list(records_of(file, dialect).kind) == [Kind.PLAIN, *[Kind.ODD] * 4, Kind.PLAIN]
    said = records_of(file, dialect, "cp1252")
    assert (said.encoding, said.guessed, list(said.kind[:3])) == (
        "cp1252",
        False,
        [Kind.PLAIN, Kind.PLAIN, Kind.QUOTED],
    )
    file.write_bytes(utf8 + b"Ren\xe9e|3\n")
    most = records_of(file, dialect)
    assert (most.encoding, list(most.kind)) == ("utf-8", [Kind.PLAIN, Kind.QUOTED, Kind.UNREADABLE])


def test_what_was_declared_utf8_and_is_not_is_told(file: Path) -> None:
    file.write_bytes(b"\xe9|1\n\xe9|2\n")
    with pytest.raises(IngestError, match="not UTF-8"):
        records_of(file, Dialect("|", b"\n", True, 0), "utf-8")


def test_a_line_too_long_is_told(file: Path) -> None:
    file.write_bytes(b"a|b\n1|2\n" + b"x" * (2 * 1024**2) + b"\n")
    with pytest.raises(IngestError, match="Line 3 is longer"):
        records_of(file, Dialect("|", b"\n", True, 0), limits=Limits(block=4096))


@pytest.mark.parametrize(
    ("head", "delimiter"),
    [
        (b"a|b|c\n", "|"),
        (b"a,b|c,d\n", ","),
        (b'"a|b",c\n', ","),
        (b"a\tb\n", "\t"),
        (b"Party ID|Name, Full, Legal, Other\n", "|"),
    ],
)
def test_the_delimiter_is_told_from_the_first_line(head: bytes, delimiter: str) -> None:
    assert tell_dialect(head, FORM, ("Party ID",), 2, LIMITS).delimiter == delimiter


@pytest.mark.parametrize(
    ("head", "code"),
    [
        (b"", "empty_file"),
        (b" \r\n\r\n", "empty_file"),
        (b"\xef\xbb\xbf", "empty_file"),
        (b"PK\x03\x04....data.csv", "nested"),
        (b"\x1f\x8b\x08....", "nested"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1", "xls"),
        (b"%PDF-1.7", "pdf"),
        (b"{\\rtf1", "rtf"),
        (b"Rar!\x1a\x07", "archive"),
        (b"a.csv".ljust(257, b"\0") + b"ustar", "archive"),
        (b"<html><table><tr><td>Party ID</td></tr></table></html>", "html"),
        (b'<?xml version="1.0"?><Workbook/>', "xml"),
        (bytes(range(256)) * 4, "binary"),
        (b"abc\n", "unknown_delimiter"),
        (b"x" * (1024**2 + 1), "line_too_long"),
    ],
)
def test_what_is_no_table_is_told(head: bytes, code: str) -> None:
    with pytest.raises(IngestError) as caught:
        tell_dialect(head, FORM, (), 2, LIMITS)
    assert (caught.value.code, bool(caught.value.hint)) == (code, True)


WIDE = Dialect("|", b"\n", True, 0, columns=4)


@pytest.mark.parametrize("limits", [LIMITS, TINY])
def test_two_stray_quotes_do_not_hide_the_rows_between(file: Path, limits: Limits) -> None:
    between = [f"{i}|b|c|d" for i in range(20)]
    file.write_text("\n".join(["a|b|c|d", '1|"b|c|d', *between, '2|b"|c|d', '3|"b|c|d', '4|b"|c|d', "5|b|c|d", ""]))
    rows, refused = parse(file, WIDE, 4, limits)
    assert refused == [(2, "unclosed_quote"), (23, "stray_quote"), (24, "unclosed_quote"), (25, "stray_quote")]
    assert [cells[0] for _, cells in rows] == ["a", *map(str, range(20)), "5"]


def test_two_stray_quotes_in_neighbouring_rows_hide_nothing(file: Path) -> None:
    file.write_text('a|b|c|d\n1|"b|c|d\n2|b"|c|d\n3|b|c|d\n')
    rows, refused = parse(file, WIDE, 4)
    assert refused == [(2, "unclosed_quote"), (3, "stray_quote")]
    assert [cells[0] for _, cells in rows] == ["a", "3"]


def test_stray_quotes_are_told_in_rows_of_any_encoding(file: Path) -> None:
    file.write_bytes(b'a|b|c|d\n1|"Pe\xf1a|c|d\n2|Pe\xf1a"|c|d\n3|Pe\xf1a|c|d\n')
    rows, refused = parse(file, WIDE, 4)
    assert refused == [(2, "unclosed_quote"), (3, "stray_quote")]
    assert [cells[1] for _, cells in rows] == ["b", "Peña"]


@pytest.mark.parametrize("between", [0, 1, 5])
@pytest.mark.parametrize("columns", [2, 3])
@pytest.mark.parametrize("more", ["", ","])
def test_two_stray_quotes_hide_no_rows_of_few_columns(file: Path, between: int, columns: int, more: str) -> None:
    lines = [",".join([str(i), *"bc"[: columns - 1]]) for i in range(between + 4)]
    lines[1], lines[-2] = lines[1][:-1] + '"c', lines[-2] + '"'
    file.write_text(f"{more}\n".join([*lines, ""]))
    rows, refused = parse(file, replace(WIDE, delimiter=",", columns=columns), columns + len(more))
    assert refused == [(2, "unclosed_quote"), (len(lines) - 1, "stray_quote")]
    assert [cells[0] for _, cells in rows] == ["0", *map(str, range(2, between + 2)), lines[-1][0]]


@pytest.mark.parametrize("prose", ["Bring:\nan id, a passport, and all", "One\ntwo, or three\nfour, five, six\nseven"])
def test_prose_of_some_lines_is_a_cell_of_few_columns(file: Path, prose: str) -> None:
    file.write_text(f'C-1,9:00,"{prose}"\nC-2,9:30,none\n')
    rows, refused = parse(file, replace(WIDE, delimiter=",", columns=3), 3)
    assert (refused, [cells[2] for _, cells in rows]) == ([], [prose, "none"])


def test_two_notes_of_one_row_are_not_two_stray_quotes(file: Path) -> None:
    file.write_text('a|b|c|d\n"x\ny"|b|c|"x\ny"\n|"|"|"\n;"|"||"\n1|b|c|d\n')
    rows, refused = parse(file, WIDE, 4)
    assert refused == []
    assert rows[1:] == [(2, ["x\ny", "b", "c", "x\ny"]), (5, ["", "|", "\n;", "||"]), (7, ["1", "b", "c", "d"])]


def test_a_note_of_several_lines_is_one_cell(file: Path) -> None:
    note = "Dear clerk,\n\nthis | and | these | things,\nplease.\nYours"
    file.write_text(f'a|b|c|d\n1|"{note}"|c|d\n"{note}"|b|c|d\n1|b|c|"{note}"\n')
    rows, refused = parse(file, WIDE, 4)
    assert refused == []
    assert [cells[i] for (_, cells), i in zip(rows[1:], (1, 0, 3), strict=True)] == [note] * 3


@pytest.mark.parametrize("chunked", [1, 10])
def test_a_byte_order_mark_inside_the_file_is_always_a_character(file: Path, chunked: int) -> None:
    file.write_bytes(b"a|b\n\xef\xbb\xbf1|2\n\xef\xbb\xbf\n\xef\xbb\xbf3|4\n")
    dialect = Dialect("|", b"\n", True, 0)
    records = records_of(file, dialect)
    found = []
    with file.open("rb") as opened:
        for begin in range(0, len(records), chunked):
            part = np.arange(begin, min(begin + chunked, len(records)))
            found += read_cells(opened, records, part, dialect, 2, [0]).columns[0].texts().tolist()
    assert found == ["a", "\ufeff1", "\ufeff3"]
    assert records.blank == 1


@pytest.mark.parametrize("limits", [LIMITS, TINY])
def test_empty_lines_are_counted_and_not_kept(file: Path, limits: Limits) -> None:
    file.write_bytes(b"\n" * 500 + b"a|b\r\n\r\n1|2\n" + b"\n" * 500 + b'"x"|y')
    records = records_of(file, Dialect("|", b"\n", True, 0), limits=limits)
    assert (len(records), records.blank, records.line.tolist()) == (3, 1001, [501, 503, 1004])
    assert parse(file, Dialect("|", b"\n", True, 0), 2, limits)[0][-1] == (1004, ["x", "y"])


def test_a_line_feed_far_down_in_a_file_of_carriage_returns_is_a_character(file: Path) -> None:
    file.write_bytes(b"a|b\r1|2\r3|4\n5\r6|7\r")
    rows, _ = parse(file, Dialect("|", b"\r", True, 0), 2)
    assert rows == [(1, ["a", "b"]), (2, ["1", "2"]), (3, ["3", "4\n5"]), (4, ["6", "7"])]


@pytest.mark.parametrize("limits", [LIMITS, TINY])
def test_the_end_of_a_file_under_dos_belongs_to_no_cell(file: Path, limits: Limits) -> None:
    file.write_bytes(b'a|b\r\n1|x\r\n\x1a"2"|"y"\r\n\x1a\r\n3|z\r\n4|"p\r\nq"\x1a\x1a')
    rows, refused = parse(file, replace(WIDE, delimiter="|", columns=2), 2, limits)
    assert (rows, refused) == (
        [(1, ["a", "b"]), (2, ["1", "x"]), (3, ["2", "y"]), (5, ["3", "z"]), (6, ["4", "p\r\nq"])],
        [],
    )
