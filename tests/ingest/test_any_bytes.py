"""Any bytes at all, in any format and through any template, give records, row errors or a sentence: never a traceback.

What is answered can be sent again, and gives the same.
"""

import io
import zipfile
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ingest.answer import Upload, error_file, receipt, receipt_text
from ingest.errors import IngestError
from ingest.format import FileFormat
from ingest.limits import Limits
from tests.ingest.conftest import CourtAt
from tests.ingest.court import Court
from tests.ingest.tables import Read, as_xlsx, packed, read
from tests.ingest.test_formats import values

pytestmark = pytest.mark.sqlite_only  # what is tried here ends before the database

HEADER = ("ID", "Name", "Case", "Date", "Time", "Status", "Phone", "Amount", "Due", "Court")
MAPPED = """
{file}
[formats]
date = ["%m/%d/%Y", "%d.%m.%y", "excel"]
time = ["%I:%M %p", "%H:%M", "excel"]
[columns]
client.reference = {ID}
client.name = {{ column = {Name}, order = "last first" }}
case.number = {Case}
event.date = {{ column = {Date}, pivot = 30 }}
event.time = {Time}
event.status = {{ column = {Status}, values = {{ Cancelled = "canceled" }}, default = "scheduled", case = "lower" }}
event.location = {{ column = {Court}, lookup = "courts" }}
contact.phone = {{ first = [{Phone}, {Amount}] }}
payment.amount = {Amount}
payment.due_date = {Due}
payment.description = {{ join = [{Case}, {Status}], with = "/" }}
[custom]
case."Bond Type" = {Status}
[[party]]
columns.client.name = {{ column = {Court}, split = "-", take = 2 }}
[match]
client = ["reference", "name + case"]
[[exclude]]
field = "event.status"
matches = "^[Vv]ac"
[[exclude]]
field = "event.date"
past = 9999
[lookups.courts]
1A = "Annex"
"""
FILES = {
    "headers": "[file]",
    "told": '[file]\nquoting = "auto"\nskip_lines = 1\ntrailer = "T(\\\\d*)"',
    "bare": "[file]\nquoting = false\nheader_rows = 2",
    "positions": "[file]\nheader = false",
    "fixed": "[file]\nheader = false\nwidths = [3, 8, 6, 10, 8, 9, 12, 6, 10, 6]",
    "sheet": '[file]\nheader = false\nkind = "xlsx"',
}


def template(name: str) -> str:
    by_position = "header = false" in FILES[name]
    columns = {head: str(place) if by_position else f'"{head}"' for place, head in enumerate(HEADER, 1)}
    return f'name = "{name}"' + MAPPED.format(file=FILES[name], **columns)


@pytest.fixture
def busy_court(bare_court_at: CourtAt, tmp_path: Path) -> Court:
    """A court with a template for everything."""
    court = bare_court_at(tmp_path / "busy", limits=Limits(chunk=3, block=64))
    for name in FILES:
        court.template(template(name), f"/{name}")
    return court


cells = st.one_of(
    st.sampled_from(["", "1", "7", "CR-1", "CR-2", "03/16/2026", "2/30/2026", "46097", "46097.375", "16.03.26"]),
    st.sampled_from(
        ["9:00 AM", "25:00", "0.375", "2:30 AM", "Vacated", "Cancelled", "404-555-0101", "x9", "$1,234.50"]
    ),
    st.sampled_from(
        ["(5.00)", "1e99", "NULL", "1A", "9Z", "Smith, Al Bo Jr", "Oak-Elm", "=1+1", "'=1", "\0", '"', '"x']
    ),
    st.text(max_size=8),
)
rows = st.lists(st.lists(cells, min_size=8, max_size=11), max_size=6)
encodings = st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252", "latin-1"])


@st.composite
def texts(draw: st.DrawFn) -> bytes:
    """A table in text, as a careless program writes it, with damage here and there."""
    delimiter, end = draw(st.sampled_from("|,\t;^")), draw(st.sampled_from(["\n", "\r\n", "\r", "\n\n"]))
    lines = [delimiter.join(row) for row in draw(rows)]
    above = draw(st.sampled_from([[], ["County Court"], [delimiter.join(HEADER)]]))
    below = draw(st.sampled_from([[], [f"T{len(lines)}"], ["T9"], ["T"]]))
    text = end.join([*above, delimiter.join(HEADER), *lines, *below, ""])
    return draw(damaged(text.encode(draw(encodings), "ignore")))


def damaged(content: bytes) -> st.SearchStrategy[bytes]:
    """The content, mostly whole, or with some bytes of it replaced."""
    edit = st.tuples(st.floats(0, 1), st.integers(0, 4), st.binary(max_size=3))

    def apply(edits: list[tuple[float, int, bytes]]) -> bytes:
        changed = content
        for place, gone, added in edits:
            at = int(place * len(changed))
            changed = changed[:at] + added + changed[at + gone :]
        return changed

    return st.just(content) | st.lists(edit, min_size=1, max_size=3).map(apply)


def answered(court: Court, name: str, content: bytes) -> Upload:
    """The upload that came of it, whose answers can be written."""
    upload = court.push(content, f"/{name}/{len(court.uploads)}")
    assert upload.status in {"processed", "partially_processed", "failed"}
    assert (upload.error is not None) == (upload.status == "failed")
    if upload.error:
        assert upload.error.message.endswith(".")
    errors = court.errors(upload)
    assert all(error.message and error.row > 0 for error in errors)
    assert receipt_text(upload, errors)
    assert receipt(upload, errors)
    return upload


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    name=st.sampled_from(sorted(FILES)),
    content=st.binary(max_size=200) | texts(),
    how=st.sampled_from(["", "gz", "zip"]),
)
def test_any_bytes_are_answered_by_any_template(busy_court: Court, name: str, content: bytes, how: str) -> None:
    upload = answered(busy_court, name, packed(content, how))
    before = busy_court.dump()
    if upload.error_file:
        answer = error_file(upload, busy_court.errors(upload))
        answered(busy_court, name, answer)
        assert {table: len(found) for table, found in busy_court.dump().items()} == {
            table: len(found) for table, found in before.items()
        }


any_value = values.map(lambda pair: pair[0]) | cells.filter(lambda text: "\0" not in text)


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    name=st.sampled_from(["headers", "told", "bare", "sheet"]),
    table=st.lists(st.lists(any_value, max_size=11), max_size=6),
)
def test_any_cells_of_a_workbook_are_answered_by_any_template(
    busy_court: Court, tmp_path: Path, name: str, table: list[list[Any]]
) -> None:
    as_xlsx(tmp_path / "book", {"Hearings": [list(HEADER), *table]}, shared=True)
    answered(busy_court, name, (tmp_path / "book").read_bytes())


PARTS = (
    "[Content_Types].xml",
    "xl/workbook.xml",
    "xl/_rels/workbook.xml.rels",
    "xl/sharedStrings.xml",
    "xl/styles.xml",
)
WORDS = (
    b"",
    b"<",
    b"/>",
    b"&#0;",
    b"&amp;",
    b'"',
    b"-1",
    b"1048577",
    b"XFE1",
    b's="99"',
    b"r:id",
    b"]]>",
    b"\xff",
    b"t",
)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    part=st.sampled_from(PARTS),
    edits=st.lists(st.tuples(st.floats(0, 1), st.integers(0, 12), st.sampled_from(WORDS)), min_size=1, max_size=3),
)
def test_a_workbook_with_a_damaged_part_gives_rows_or_a_sentence(
    tmp_path: Path, part: str, edits: list[tuple[float, int, bytes]]
) -> None:
    file = tmp_path / "book"
    as_xlsx(file, {"ECR": [["Party ID", "Name", 3], ["1", "x", 4.5], ["2", "y", True]], "Other": [["a"]]}, shared=True)
    out = io.BytesIO()
    with zipfile.ZipFile(file) as book, zipfile.ZipFile(out, "w") as copy:
        for name in book.namelist():
            content = book.read(name)
            for place, gone, added in edits if name == f"xl/{part}" else ():
                at = int(place * len(content))
                content = content[:at] + added + content[at + gone :]
            copy.writestr(name, content)
    file.write_bytes(out.getvalue())
    if (found := read_or_told(file)) is not None:
        assert all(len(row) == len(found.names) for _, row in found.rows)


def read_or_told(file: Path) -> Read | None:
    """What the file is read as, or None if a sentence tells why it cannot be."""
    said = "Nothing."
    with suppress(IngestError):
        try:
            return read(file, FileFormat(), ["Party ID"], limits=Limits(sheet_memory=512 << 20, sheet_seconds=20))
        except IngestError as error:
            said = error.message
            raise
    assert said.endswith(".")
    return None
