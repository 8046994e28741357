"""Any table, written in any way that courts write tables, comes back as the same cells and line numbers."""

import csv
from datetime import date, datetime, time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ingest.answer import error_file
from ingest.format import FileFormat
from ingest.limits import Limits
from ingest.sample import write_ecr
from ingest.template import builtin_templates
from tests.ingest.conftest import CourtAt
from tests.ingest.court import ZONE, codes
from tests.ingest.reference import Reference
from tests.ingest.tables import as_csv, as_fixed, as_xlsx, packed, read
from tests.ingest.test_engine import shape

LIMITS = Limits()
TINY = Limits(block=64)
ENCODINGS = ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252", "latin-1"]
NAMES = ["Party ID", "Name", "Date", "Note"]

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:openpyxl")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "file"


quoted = st.text(alphabet=st.sampled_from("aé\"|,\t\n ';^x~"), max_size=6) | st.text(
    alphabet=st.characters(exclude_categories=("Cs", "Cc")), max_size=4
)


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    data=st.data(),
    delimiter=st.sampled_from("|,\t;^~ :¦§"),
    ending=st.sampled_from(["\n", "\r\n"]),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    encoding=st.sampled_from(ENCODINGS),
    archive=st.sampled_from(["", "gz", "zip"]),
    preamble=st.sampled_from([0, 2]),
    limits=st.sampled_from([LIMITS, TINY]),
)
def test_delimited_text_comes_back(
    file: Path,
    data: st.DataObject,
    delimiter: str,
    ending: str,
    quoting: Any,
    encoding: str,
    archive: str,
    preamble: int,
    limits: Limits,
) -> None:
    cell = quoted.map(lambda text: text.encode(encoding, "ignore").decode(encoding))
    if not delimiter.isascii():
        cell = cell.map(lambda text: text.replace(delimiter, "").replace("\x1f", ""))
    cell = cell.map(lambda text: text.replace(delimiter, "") if "\n" in text else text)  # a line of prose may be a row
    table = data.draw(st.lists(st.lists(cell, min_size=4, max_size=4), min_size=1, max_size=8))
    table = [row for row in table if any(text.strip(" \n\t") for text in row)] or [["a", "b", "c", "d"]]
    text, lines = as_csv([NAMES, *table], delimiter, ending, quoting)
    above = f'County "Court"{ending}Report of hearings, "all{ending}' if preamble else ""
    content = (above + text).encode(encoding)
    file.write_bytes(packed(content, archive))
    wanted = encoding if encoding in ("cp1252", "latin-1") else None
    found = read(file, FileFormat(delimiter=delimiter, encoding=wanted, skip_lines=preamble), NAMES, limits=limits)
    assert found.names == NAMES
    assert found.refused == []
    assert found.rows == [(line + preamble, row) for line, row in zip(lines[1:], table, strict=True)]


bare = st.text(alphabet=st.sampled_from("aé\" 'x-.1"), max_size=6)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    table=st.lists(st.lists(bare, min_size=4, max_size=4).filter(any), min_size=1, max_size=8),
    delimiter=st.sampled_from("|,\t;^"),
    ending=st.sampled_from(["\n", "\r\n", "\r"]),
    encoding=st.sampled_from(ENCODINGS),
    archive=st.sampled_from(["", "gz", "zip"]),
)
def test_quotes_that_are_data_come_back(
    file: Path, table: list[list[str]], delimiter: str, ending: str, encoding: str, archive: str
) -> None:
    text = "".join(delimiter.join(row) + ending for row in [NAMES, *table])
    file.write_bytes(packed(text.encode(encoding), archive))
    found = read(file, FileFormat(quoting=False), NAMES)
    assert (found.told["delimiter"], found.refused) == (delimiter, [])
    assert found.rows == list(enumerate(table, 2))


padded = st.text(alphabet=st.sampled_from('aéñ"|, 1'), max_size=5).map(lambda text: text.strip(" "))


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    table=st.lists(st.tuples(padded, padded, padded, padded).map(list).filter(any), min_size=1, max_size=8),
    ending=st.sampled_from(["\n", "\r\n", "\r"]),
    encoding=st.sampled_from(ENCODINGS),
    trimmed=st.booleans(),
    header=st.booleans(),
    archive=st.sampled_from(["", "gz", "zip"]),
    limits=st.sampled_from([LIMITS, TINY]),
)
def test_fixed_width_comes_back(
    file: Path,
    table: list[list[str]],
    ending: str,
    encoding: str,
    trimmed: bool,
    header: bool,
    archive: str,
    limits: Limits,
) -> None:
    widths = (8, 5, 6, 5)
    whole = [NAMES, *table] if header else table
    file.write_bytes(packed(as_fixed(whole, widths, ending, trimmed).encode(encoding), archive))
    form = FileFormat(kind="fixed", widths=widths, header=header)
    found = read(file, form, NAMES if header else (), limits=limits)
    assert (found.names, found.refused) == (NAMES if header else [""] * 4, [])
    assert found.rows == list(enumerate(table, 2 if header else 1))


written = st.text(
    alphabet=st.characters(exclude_categories=("Cs", "Cc"), exclude_characters="\ufffe\uffff") | st.just("\n"),
    max_size=6,
).filter(lambda text: not text.isspace() and "_x" not in text)
values = st.one_of(
    written.map(lambda text: (text or None, text)),
    st.sampled_from(["007", "1.0", "1e5", "2026-03-16", "TRUE", "03/16/2026"]).map(lambda text: (text, text)),
    st.integers(1 - 10**15, 10**15 - 1).map(lambda number: (number, str(number))),
    st.decimals(-(10**6), 10**6, places=2).map(lambda d: (float(d), str(float(d)).removesuffix(".0"))),
    st.booleans().map(lambda truth: (truth, str(truth).upper())),
    st.dates(date(1900, 3, 1), date(2200, 1, 1)).map(lambda day: (day, day.isoformat())),
    st.datetimes(datetime(1900, 3, 1), datetime(2200, 1, 1))
    .map(lambda at: at.replace(microsecond=0))
    .map(lambda at: (at, (at if at.time() != time(0) else at.date()).isoformat(*(" ",) * (at.time() != time(0))))),
    st.times().map(lambda at: at.replace(microsecond=0)).map(lambda at: (at, at.isoformat())),
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    table=st.lists(st.lists(values, min_size=4, max_size=4), min_size=1, max_size=8),
    above=st.integers(0, 3),
    left=st.integers(0, 2),
    archive=st.sampled_from(["", "gz", "zip"]),
    sheet=st.sampled_from([None, 2, "Hearings"]),
    shared=st.booleans(),
)
def test_a_sheet_comes_back(
    file: Path, table: Any, above: int, left: int, archive: str, sheet: Any, shared: bool
) -> None:
    shown = [[text for _, text in row] for row in table]
    rows: list[list[Any]] = [*([["County Court"]] * above), [None] * left + NAMES]
    rows += [[None] * left + [value for value, _ in row] for row in table]
    others = {"Notes": [["nothing here"]]} if sheet else {}
    as_xlsx(file, {**others, "Hearings": rows}, shared)
    file.write_bytes(packed(file.read_bytes(), archive, "report.xlsx"))
    found = read(file, FileFormat(sheet=sheet), NAMES)
    assert found.names == [""] * left + NAMES
    assert found.refused == []
    lines = range(above + 2, above + 2 + len(table))
    assert found.rows == [(n, [""] * left + row) for n, row in zip(lines, shown, strict=True) if any(row)]


WIDTHS = (8, 12, 12, 18, 20, 20, 28, 12, 12, 14, 30, 14, 16)


def sent(path: Path, how: str, seed: int) -> bytes:
    """A report in another format: real dates and times in a workbook where there are any."""
    write_ecr(path, 300, seed, bad=0.05)
    rows = [line.split("|") for line in path.read_text().splitlines()]
    rows = [row for row in rows if len(row) == 13]  # a row of another width cannot be, or is another matter
    if how == "fixed":
        return as_fixed(rows, WIDTHS, "\r\n", trimmed=False).encode("cp1252")
    if how == "utf-16.gz":
        return packed("".join("\t".join(row) + "\r\n" for row in rows).encode("utf-16"), "gz")
    values: list[list[Any]] = [list(row) for row in rows]
    for row in values[1:]:
        row[7:9] = [read_as(row[7], "%m/%d/%Y", datetime.date), read_as(row[8], "%I:%M %p", datetime.time)]
        row[:] = [value or None for value in row]
    as_xlsx(path, {"ECR": values}, shared=seed % 2 == 0)
    return path.read_bytes()


def template(how: str) -> str:
    said = {"fixed": f"widths = {list(WIDTHS)}", "xlsx": 'kind = "xlsx"'}.get(how, "")
    return builtin_templates()["odyssey-ecr"].replace("[file]", f"[file]\n{said}").replace("odyssey-ecr", "t")


def read_as(text: str, form: str, part: Any) -> Any:
    try:
        return part(datetime.strptime(text, form))
    except ValueError:
        return text


@pytest.mark.parametrize("how", ["fixed", "xlsx", "utf-16.gz"])
def test_the_engine_does_with_every_format_what_a_loop_over_the_rows_does(
    bare_court_at: CourtAt, tmp_path: Path, how: str
) -> None:
    court = bare_court_at(tmp_path / "court")
    widths = WIDTHS if how == "fixed" else ()
    court.template(template(how), "/t")
    reference = Reference(ZONE, "\t", widths, "utf-16" if "utf" in how else "cp1252")
    for seed in (1, 2):
        content = sent(tmp_path / "sent", how, seed)
        upload = court.push(content, f"/t/{seed}")
        reference.ingest(content)
        assert codes(court.errors(upload)) == reference.errors
        assert shape(court.dump()) == reference.dump()
        assert upload.rows > 280


@pytest.mark.parametrize("how", ["fixed", "xlsx", "utf-16.gz"])
def test_the_error_file_of_every_format_is_taken_when_it_is_sent_again(
    bare_court_at: CourtAt, tmp_path: Path, how: str
) -> None:
    court = bare_court_at(tmp_path / "court")
    court.template(template(how), "/t")
    upload = court.push(sent(tmp_path / "sent", how, 3), "/t/1")
    answer = error_file(upload, court.errors(upload))
    assert upload.error_rows + upload.warning_rows > 5
    assert answer.count(b"02/30/2026") > 0
    again = court.push(answer.replace(b"02/30/2026", b"03/30/2026"), "/t/errors.csv")
    assert again.error is None
    assert again.rows == upload.error_rows + upload.warning_rows
    assert again.error_rows + again.warning_rows == again.rows - answer.count(b"02/30/2026")
