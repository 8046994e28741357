"""Files that are meant to do harm, or do it by accident: each costs a bounded time and memory, and gets a sentence."""

import gzip
import io
import time
import tracemalloc
import zipfile
from contextlib import suppress
from pathlib import Path

import openpyxl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ingest.errors import IngestError
from ingest.format import FileFormat
from ingest.limits import Limits
from ingest.workbook.formulas import find_formulas
from tests.ingest.tables import as_xlsx, read
from tests.ingest.test_format_samples import FOLDER, NAMES

pytestmark = pytest.mark.sqlite_only  # what is tried here ends before the database

SMALL = Limits(unpacked_freely=1 << 20, sheet_memory=512 << 20, sheet_seconds=20)
BILLION = b"""<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;">]>"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "file"


def refusal(file: Path, form: FileFormat | None = None, limits: Limits = SMALL) -> str:
    with pytest.raises(IngestError) as caught:
        read(file, form or FileFormat(), ["Party ID"], limits=limits)
    assert caught.value.message.endswith(".")
    assert caught.value.hint
    return caught.value.code


def rewritten(path: Path, part: str, change: bytes | None, old: bytes = b"") -> None:
    """A workbook with one part replaced, or with `old` in it replaced."""
    out = io.BytesIO()
    with zipfile.ZipFile(path) as book, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as copy:
        for name in book.namelist():
            content = book.read(name)
            if name == part and change is not None:
                content = content.replace(old, change) if old else change
            copy.writestr(name, content)
    path.write_bytes(out.getvalue())


def test_a_gzip_bomb_is_stopped_while_it_unfolds(file: Path) -> None:
    file.write_bytes(gzip.compress(b"a|b\n" + bytes(1) * (300 << 20), 1))
    began = time.monotonic()
    assert refusal(file) == "unfolds_too_far"
    assert time.monotonic() - began < 5


def test_a_zip_bomb_is_stopped_while_it_unfolds(file: Path) -> None:
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("report.csv", b"a|b\n" * (8 << 20))
    assert refusal(file) == "unfolds_too_far"


def test_an_archive_of_a_million_names_is_not_even_listed(file: Path) -> None:
    with zipfile.ZipFile(file, "w") as archive:
        for number in range(200):
            archive.writestr(f"{number}.csv", b"")
    assert refusal(file, limits=Limits(directory=5000)) == "too_many_files"
    assert refusal(file) == "many_files"


def test_an_archive_inside_an_archive_is_not_opened(file: Path) -> None:
    file.write_bytes(gzip.compress(gzip.compress(b"a|b\n1|2\n")))
    assert refusal(file) == "nested"


@pytest.mark.parametrize("front", ["archive", "program"])
def test_what_stands_in_front_of_an_archive_is_not_left_out_untold(file: Path, front: str) -> None:
    first = io.BytesIO()
    with zipfile.ZipFile(first, "w") as archive:
        archive.writestr("civil.csv", b"Party ID|Name\n1|x\n")
    before = first.getvalue() if front == "archive" else b"PK\x03\x04" + b"MZ" * 50
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("criminal.csv", b"Party ID|Name\n2|y\n")
    alone = file.read_bytes()
    file.write_bytes(before + alone)
    assert refusal(file) == "joined_archives"
    file.write_bytes(alone)
    assert read(file, FileFormat(), ["Party ID"]).rows == [(2, ["2", "y"])]


@pytest.mark.parametrize(("old", "new"), [("xl/workbook.xml", "xl/workbook2.xml"), ("/", "\\")])
def test_a_workbook_with_other_names_inside_is_called_one(file: Path, tmp_path: Path, old: str, new: str) -> None:
    as_xlsx(tmp_path / "ecr.xlsx", {"ECR": [["Party ID", "Name"], ["1", "x"]]})
    with zipfile.ZipFile(tmp_path / "ecr.xlsx") as book, zipfile.ZipFile(file, "w") as copy:
        for name in book.namelist():
            copy.writestr(name.replace(old, new), book.read(name))
    assert refusal(file) == "unusual_workbook"


def test_an_archive_with_a_password_is_told(file: Path) -> None:
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("report.csv", b"a|b\n")
    content = bytearray(file.read_bytes())
    content[6] |= 1
    content[content.rindex(b"PK\x01\x02") + 8] |= 1
    file.write_bytes(content)
    assert refusal(file) == "encrypted_archive"


def test_what_an_archive_says_of_its_size_is_not_believed(file: Path) -> None:
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("report.csv", b"a|b\n" * (8 << 20))
    content = bytearray(file.read_bytes())
    for mark, offset in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
        at = content.rindex(mark) + offset
        content[at : at + 4] = (40).to_bytes(4, "little")
    file.write_bytes(content)
    assert refusal(file) in ("unfolds_too_far", "damaged_archive")


def told(file: Path) -> str:
    with pytest.raises(IngestError) as caught:
        read(file, FileFormat(), ["Party ID"], limits=SMALL)
    return str(caught.value)


@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize("part", [0.1, 0.5, 0.9, 0.99])
def test_a_workbook_that_is_cut_off_is_called_one(file: Path, part: float, shared: bool) -> None:
    as_xlsx(file, {"ECR": [["Party ID", "Name"], ["1", "x"]]}, shared=shared)
    content = file.read_bytes()
    file.write_bytes(content[: int(part * len(content))])
    assert told(file) == "The workbook is cut off or damaged. Save it again in Excel, and send it again."


def test_a_workbook_that_is_cut_off_in_an_archive_is_called_one(file: Path, tmp_path: Path) -> None:
    as_xlsx(tmp_path / "ecr.xlsx", {"ECR": [["Party ID", "Name"], ["1", "x"]]}, shared=True)
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("ecr.xlsx", (tmp_path / "ecr.xlsx").read_bytes()[:-100])
    assert told(file).startswith("The workbook is cut off")


@pytest.mark.parametrize("first", ["report.csv", "ecr.xlsx", "[Content_Types].xml"])
def test_what_else_is_cut_off_is_called_an_archive(file: Path, first: str) -> None:
    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w") as document:
        document.writestr("xl/workbook.xml", b"<workbook/>")
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(first, inner.getvalue())
        archive.writestr("word/document.xml", b"<document/>")
    file.write_bytes(file.read_bytes()[:-10])
    assert told(file) == "The archive is cut off or damaged. Pack the file again, and send it again."


@pytest.mark.parametrize("part", ["workbook", "sharedStrings", "styles", "worksheets/sheet1"])
def test_a_part_that_declares_entities_is_refused(file: Path, part: str) -> None:
    as_xlsx(file, {"ECR": [["Party ID", "Name"], ["1", "x"]]}, shared=True)
    rewritten(file, f"xl/{part}.xml", BILLION + b"<worksheet/>")
    assert refusal(file) == "xml_bomb"


def test_a_part_that_unfolds_too_far_is_refused(file: Path) -> None:
    as_xlsx(file, {"ECR": [["Party ID", "Name"], ["1", "x"]]}, shared=True)
    rewritten(file, "xl/sharedStrings.xml", b"<sst>" + b"<si><t>x</t></si>" * (1 << 18) + b"</sst>")
    assert refusal(file) == "unfolds_too_far"


def test_a_cell_far_away_does_not_take_the_memory_of_all_between(file: Path) -> None:
    book = openpyxl.Workbook()
    for place, value in {"A1": "Party ID", "B1": "Name", "XFD1048576": "stray"}.items():
        book.worksheets[0][place] = value
    book.save(file)
    assert refusal(file) == "sheet_too_large"


def test_a_long_text_in_every_cell_does_not_take_the_memory_of_all(file: Path) -> None:
    as_xlsx(file, {"ECR": [["Party ID", "Name"], *[["1", "x" * 30_000]] * 30_000]}, shared=True)
    assert refusal(file) == "sheet_too_large"


@pytest.mark.parametrize(
    ("begin", "code"),
    [
        (b"Party ID|Name\n1|x\n2|" + b"x" * 2_000_000, "line_too_long"),
        (b"Party ID|" + b"x" * 2_000_000, "line_too_long"),
        (b'Party ID|Name\n1|"x' + b"x" * 2_000_000, "line_too_long"),
        (b'Party ID|Name\n1|"' + b"x\n" * 1_000_000, "unclosed_quote"),
    ],
    ids=["row", "header", "cell", "lines"],
)
def test_a_line_or_a_cell_of_a_gigabyte_is_not_read_to_its_end(file: Path, begin: bytes, code: str) -> None:
    with file.open("wb") as out:
        out.write(begin)
        out.truncate(1 << 30)
    began = time.monotonic()
    tracemalloc.start()
    try:
        assert refusal(file) == code
        assert tracemalloc.get_traced_memory()[1] < 100 << 20
    finally:
        tracemalloc.stop()
    assert time.monotonic() - began < 10


@pytest.mark.parametrize("line", [b"\n", b"1\n", b"1|2\r\n"], ids=["empty", "tiny", "rows"])
def test_a_file_of_very_many_lines_is_not_kept_in_memory(file: Path, line: bytes) -> None:
    file.write_bytes(b"Party ID|Name\n" + line * ((9 << 20) // len(line)))
    tracemalloc.start()
    try:
        assert refusal(file, limits=Limits(records=1_000_000)) == "too_many_rows"
        assert tracemalloc.get_traced_memory()[1] < 250 << 20
    finally:
        tracemalloc.stop()


def test_as_many_lines_as_are_taken_are_taken(file: Path) -> None:
    file.write_bytes(b"Party ID|Name\n\n1|x\n2|y\n")
    assert len(read(file, FileFormat(), ["Party ID"], limits=Limits(records=4)).rows) == 2
    assert refusal(file, limits=Limits(records=3)) == "too_many_rows"


def test_a_formula_with_its_result_is_a_value(file: Path) -> None:
    as_xlsx(file, {"ECR": [["Party ID", "Name"], ["1", "x"], ["2", "y"]]})
    for computed, code in ((b"<v>41</v>", ""), (b"", "uncomputed_formulas"), (b"<v/>", "uncomputed_formulas")):
        with zipfile.ZipFile(file) as archive:
            sheet = archive.read("xl/worksheets/sheet1.xml")
        cell = sheet[sheet.index(b'<c r="A2"') : sheet.index(b"</c>", sheet.index(b'<c r="A2"')) + 4]
        target = file.with_name(f"formula{len(computed)}.xlsx")
        target.write_bytes(file.read_bytes())
        rewritten(target, "xl/worksheets/sheet1.xml", b'<c r="A2"><f>40+1</f>' + computed + b"</c>", cell)
        if code:
            assert refusal(target) == code
        else:
            assert read(target, FileFormat(), ["Party ID"]).rows[0] == (2, ["41", "x"])


SPACES = b" " * 900_000


@pytest.mark.parametrize(
    "cell",
    [
        b"<c><f>1</f>" + SPACES + b"<v>1</v></c>",
        b"<c><f/>" + SPACES + b"<x/></c>",
        b"<c" + SPACES + b"><f>1</f><v>1</v></c>",
        b"<c><f>1</f><v>" + SPACES + b"1</v>" + SPACES + b"</c>",
        b"<c " + b't="e" ' * 150_000 + b"<f/></c>",
        b"<c " + b't="e' * 220_000 + b"></c>",
        b"<c><f>" * 150_000 + b"</c>",
        b"<c" * 450_000 + b"<f></c>",
        b"<" + b"c" * 900_000 + b":c><f/></c>",
    ],
    ids=range(9),
)
def test_a_sheet_of_few_bytes_costs_no_more_than_its_length(cell: bytes) -> None:
    began = time.process_time()
    with suppress(IngestError):
        find_formulas([cell])
    assert time.process_time() - began < 2


@pytest.mark.parametrize(
    "cell", [b'<c t="e"><v>#N/A</v></c>', b'<c r="A0" t="e"><v>#N/A</v></c>', b'<c r="A1" t="e"><v>#SPILL!</v></c>']
)
def test_an_error_of_which_the_place_or_the_name_is_not_known_is_told(cell: bytes) -> None:
    with pytest.raises(IngestError) as caught:
        find_formulas([cell])
    assert caught.value.code == "unread_error"


@pytest.mark.parametrize("prefix", [b"", b"x:"])
def test_formulas_are_found_wherever_the_sheet_is_cut_into_blocks(prefix: bytes) -> None:
    cells = b"""<c r="A1"><f>1</f><v>0</v></c><c r="B1" t='e'><f>1</f><v>#REF!</v></c><c r="C1" t="e"><v>#N/A</v></c>"""
    sheet = cells.replace(b"</", b"</" + prefix).replace(b"<c", b"<" + prefix + b"c")
    sheet = sheet.replace(b"<f", b"<" + prefix + b"f").replace(b"<v", b"<" + prefix + b"v")
    whole = find_formulas([sheet])
    assert (len(whole.errors), whole.zeros, whole.others) == (2, 1, 1)
    for at in range(len(sheet)):
        assert find_formulas([sheet[:at], sheet[at:]]) == whole


@pytest.mark.parametrize("empty", [b"<v></v>", b"<v/>"])
def test_an_empty_text_is_the_result_of_a_formula(file: Path, empty: bytes) -> None:
    as_xlsx(file, {"ECR": [["Party ID", "Name"], ["1", "x"]]})
    with zipfile.ZipFile(file) as archive:
        sheet = archive.read("xl/worksheets/sheet1.xml")
    cell = sheet[sheet.index(b'<c r="B2"') : sheet.index(b"</c>", sheet.index(b'<c r="B2"')) + 4]
    rewritten(file, "xl/worksheets/sheet1.xml", b'<c r="B2" t="str"><f>""</f>' + empty + b"</c>", cell)
    assert read(file, FileFormat(), ["Party ID"]).rows == [(2, ["1", ""])]


def test_the_separators_of_our_own_cannot_be_smuggled_in(file: Path) -> None:
    as_xlsx(file, {"ECR": [["Party ID", "Name"], ["1", "a_x001F_b_x001E_c"], ["2", "y"]]})
    found = read(file, FileFormat(), ["Party ID"])
    assert found.rows == [(2, ["1", "a\ufffdb\ufffdc"]), (3, ["2", "y"])]


def test_the_number_of_open_files_is_the_same_afterwards(file: Path) -> None:
    as_xlsx(file, {"ECR": [["Party ID", "Name"], ["1", "x"]]})
    before = len(list(Path("/proc/self/fd").iterdir()))
    read(file, FileFormat(), ["Party ID"])
    assert len(list(Path("/proc/self/fd").iterdir())) == before
    assert [path.name for path in file.parent.iterdir()] == ["file"]


FORMS = [
    FileFormat(),
    FileFormat(quoting=None, skip_lines=1),
    FileFormat(header=False, quoting=False),
    FileFormat(kind="fixed", widths=(3, 5, 8)),
    FileFormat(header_rows=2, trailer=r"T(\d+)"),
    FileFormat(encoding="latin-1", delimiter="¦"),
    FileFormat(encoding="utf-16", header_row=2),
]


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    name=st.sampled_from(NAMES),
    form=st.sampled_from(FORMS),
    edits=st.lists(st.tuples(st.floats(0, 1), st.integers(0, 8), st.binary(max_size=6)), max_size=4),
)
def test_samples_with_damage_give_rows_or_a_sentence(file: Path, name: str, form: FileFormat, edits: list) -> None:
    content = (FOLDER / name).read_bytes()
    for place, gone, added in edits:
        at = int(place * len(content))
        content = content[:at] + added + content[at + gone :]
    _read_or_told(file, content, form)


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    content=st.binary(max_size=200)
    | st.builds(
        bytes.__add__,
        st.sampled_from([b"PK\x03\x04", b"\x1f\x8b\x08\0", b"\xff\xfe", b"\xfe\xff", b"\xef\xbb\xbf", b"a|b\n"]),
        st.binary(max_size=60),
    )
    | st.text(max_size=60).map(lambda text: gzip.compress(text.encode()))
    | st.text(max_size=60).map(lambda text: text.encode("utf-16")),
    form=st.sampled_from(FORMS),
)
def test_any_bytes_in_any_format_give_rows_or_a_sentence(file: Path, content: bytes, form: FileFormat) -> None:
    _read_or_told(file, content, form)


def _read_or_told(file: Path, content: bytes, form: FileFormat) -> None:
    file.write_bytes(content)
    said = "Nothing."
    with suppress(IngestError):
        try:
            found = read(file, form, ["Party ID"], limits=SMALL)
        except IngestError as error:
            said = error.message
            raise
        assert all(len(cells) == len(found.names) for _, cells in found.rows)
    assert said.endswith(".")
