"""Files that come in another shape than the last one of their template."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ingest import drift, inbox
from ingest.answer import Upload, receipt, receipt_text, side_by_side
from ingest.errors import IngestError
from ingest.limits import Limits
from ingest.record import records_of
from ingest.shape import Shape, leave_out, read_history, read_shape, write_history
from ingest.undo import undo
from tests.ingest.conftest import CourtAt
from tests.ingest.court import ZONE, Court

NAMED = """
name = "named"
required = ["case.number", "event.date"]
optional = ["contact.phone"]
[columns]
client.reference = "Party ID"
contact.phone = ["Phone", "Cell"]
case.number = "Case Number"
event.date = "Date"
event.time = "Time"
event.judge = "Judge"
"""
PLACED = """
name = "placed"
required = ["case.number", "event.date"]
[file]
header = false
[columns]
client.reference = 1
case.number = 2
event.date = 3
event.time = 4
"""
HEAD = ("Party ID", "Phone", "Case Number", "Date", "Time", "Judge")
ROW = ("1", "404-555-0101", "CR-1", "03/16/2026", "9:00 AM", "Oak")


def table(*rows: tuple[str, ...]) -> str:
    return "".join("|".join(row) + "\r\n" for row in rows)


def without(name: str, rename: str = "") -> str:
    """The named file without a column, or with another name for it."""
    place = HEAD.index(name)
    if rename:
        return table((*HEAD[:place], rename, *HEAD[place + 1 :]), ROW)
    return table((*HEAD[:place], *HEAD[place + 1 :]), (*ROW[:place], *ROW[place + 1 :]))


def accepted(court: Court, upload: Upload, template: str) -> tuple[str, ...]:
    with court.database.writing() as conn:
        version = inbox.find_template(conn, court.agency, template)
        known = inbox.find_shape(conn, court.agency, template)
        shape, spared = drift.accept(known, upload, version, Limits(), ZONE)
        inbox.keep_shape(conn, court.agency, template, shape, court.at)
    return spared


CourtOf = Callable[..., Court]


@pytest.fixture
def court_of(bare_court_at: CourtAt, tmp_path: Path) -> CourtOf:
    """Makes a court with one template."""

    def make(toml: str, name: str = "court") -> Court:
        court = bare_court_at(tmp_path / name)
        court.template(toml, "/upload")
        return court

    return make


@pytest.fixture
def named(court_of: CourtOf) -> Court:
    return court_of(NAMED)


@pytest.fixture
def placed(court_of: CourtOf) -> Court:
    return court_of(PLACED)


def notes(upload: Upload, word: str) -> list[str]:
    assert upload.error is None, upload.error
    return [note for note in upload.notes if word in note]


def test_the_same_shape_is_nothing_to_tell(named: Court) -> None:
    assert named.push(table(HEAD, ROW)).notes == ()
    assert named.push(table(HEAD, (*ROW[:4], "10:00 AM", "Oak"))).notes == ()


def test_new_columns_are_told_once(named: Court) -> None:
    named.push(table(HEAD, ROW))
    upload = named.push(table((*HEAD, "Room", "Bond"), (*ROW, "1A", "x")))
    assert notes(upload, "New since") == ["New since the last file: 'Room', 'Bond'."]
    assert notes(named.push(table((*HEAD, "Room", "Bond"), (*ROW, "1B", "x"))), "New since") == []


def test_columns_in_another_order_are_found_by_their_names(named: Court) -> None:
    named.push(table(HEAD, ROW))
    upload = named.push(table(HEAD[::-1], ROW[::-1]))
    assert (upload.notes, upload.counts["events"].unchanged) == ((), 1)


def test_an_optional_column_that_is_gone_is_told_until_somebody_accepts_it(named: Court) -> None:
    named.push(table(HEAD, ROW))
    for name in ("a", "b"):
        [note] = notes(named.push(without("Phone"), f"/upload/{name}.txt"), "'Phone' is gone; the file of 2026-03-02")
        assert "Nothing is read for contact.phone" in note
    accepted(named, named.push(without("Phone"), "/upload/c.txt"), "named")
    assert notes(named.push(without("Phone"), "/upload/d.txt"), "gone") == []


def test_a_column_that_came_back_or_under_its_other_name_is_not_gone(named: Court) -> None:
    named.push(table(HEAD, ROW))
    assert notes(named.push(without("Phone", "Cell")), "is gone; the file") == []
    named.push(without("Phone"), "/upload/b.txt")
    assert notes(named.push(table(HEAD, ROW), "/upload/c.txt"), "gone") == []


def test_a_required_column_that_is_gone_stops_the_file_before_any_row(named: Court) -> None:
    named.push(table(HEAD, ROW))
    before = named.dump()
    upload = named.push(without("Time", "Hour"), "/upload/b.txt")
    assert upload.status == "failed"
    assert upload.error is not None
    assert (upload.error.code, upload.expected) == ("drift", HEAD)
    assert upload.header == ("Party ID", "Phone", "Case Number", "Date", "Hour", "Judge")
    assert named.dump() == before
    text = receipt_text(upload, [])
    lines = [line.split() for line in text.splitlines()]
    assert ["expected", "found"] in lines
    assert ["Time", "-", "missing"] in lines
    assert ["-", "Hour", "new"] in lines
    assert ["Case", "Number", "Case", "Number"] in lines
    document = json.loads(json.dumps(receipt(upload, [])))
    assert document["error"]["expected"] == list(HEAD)
    assert document["error"]["found"][4] == "Hour"
    with named.database.reading() as conn:
        kept = inbox.find_upload(conn, upload.id)
    assert kept is not None
    assert (kept.expected, kept.header) == (upload.expected, upload.header)


def test_the_first_file_of_a_template_is_compared_with_the_template(named: Court) -> None:
    upload = named.push(without("Time"))
    assert upload.error is not None
    assert upload.error.code == "missing_column"
    assert upload.expected == ("Party ID", "Case Number", "Date", "Time", "Judge")
    assert "missing" in receipt_text(upload, [])


def test_what_is_gone_can_be_accepted_and_the_file_sent_again(named: Court) -> None:
    named.push(table(HEAD, ROW))
    upload = named.push(without("Judge"), "/upload/b.txt")
    assert accepted(named, upload, "named") == ("event.judge",)
    again = named.push(without("Judge"), "/upload/b.txt")
    assert (again.status, again.error) == ("processed", None)
    assert notes(again, "is gone;") == []
    assert notes(named.push(table(HEAD, ROW), "/upload/c.txt"), "New since") == ["New since the last file: 'Judge'."]


def test_a_new_version_of_the_template_forgets_what_was_accepted(named: Court) -> None:
    named.push(table(HEAD, ROW))
    accepted(named, named.push(without("Judge"), "/upload/b.txt"), "named")
    with named.database.writing() as conn:
        inbox.add_template(conn, named.agency, NAMED + "# 2\n", named.at)
    upload = named.push(without("Judge"), "/upload/b.txt")
    assert upload.error is not None
    assert upload.error.code == "drift"


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (without("Case Number"), "cannot do without"),
        (without("Time", "TIME"), "Is 'TIME' meant for 'Time'?"),
        (without("Time"), "Records are matched by 'Time'"),
        (table(("x", "y", "z"), ("1", "2", "3")), "does not look like a header"),
    ],
    ids=["required", "alike", "matched", "no header"],
)
def test_what_the_template_needs_cannot_be_accepted_away(named: Court, content: str, sentence: str) -> None:
    named.push(table(HEAD, ROW))
    upload = named.push(content, "/upload/b.txt")
    with pytest.raises(IngestError) as refused:
        accepted(named, upload, "named")
    assert refused.value.code == "conflict"
    assert sentence in str(refused.value)


@pytest.mark.parametrize(
    ("content", "can"),
    [
        (without("Judge"), True),
        (without("Case Number"), False),
        (without("Time", "TIME"), False),
        (without("Time"), False),
        (table(("x", "y", "z"), ("1", "2", "3")), False),
    ],
    ids=["may go", "required", "alike", "matched", "no header"],
)
def test_a_stopped_file_is_told_what_the_operators_can_do(named: Court, content: str, can: bool) -> None:
    named.push(table(HEAD, ROW))
    upload = named.push(content, "/upload/b.txt")
    assert upload.error is not None
    assert ("operators of this server can accept it" in upload.error.hint) == can
    assert ("operators of this server must change the template" in upload.error.hint) != can


def test_a_file_that_lost_its_header_is_told_so(named: Court) -> None:
    named.push(table(HEAD, ROW))
    error = named.push(table(ROW, ROW), "/upload/b.txt").error
    assert error is not None
    assert error.message.startswith(f"The first line does not look like a header ({len(ROW)} columns). The last file,")
    assert error.hint.startswith("Send the file with its header, the names of the columns, in the first line.")


def test_where_nothing_has_changed_nothing_is_accepted(named: Court) -> None:
    upload = named.push(table(HEAD, ROW))
    with pytest.raises(IngestError, match="shape that is expected"):
        accepted(named, upload, "named")


def test_a_file_that_was_not_stopped_is_not_accepted_for_another(named: Court) -> None:
    first = named.push(table(HEAD, ROW))
    named.push(without("Phone"), "/upload/b.txt")
    with pytest.raises(IngestError, match=r"ecr\.txt was not stopped: it is processed") as refused:
        accepted(named, first, "named")
    assert "leave it away" in refused.value.hint
    bad = named.push(table(HEAD, ("1", "", "CR-1", "soon", "", "")), "/upload/bad.txt")
    with pytest.raises(IngestError, match=r"bad\.txt was not stopped for columns.* Not one row of the file"):
        accepted(named, bad, "named")


def test_what_was_accepted_is_not_told_when_the_column_has_been_there_once_more(named: Court) -> None:
    named.push(table(HEAD, ROW))
    accepted(named, named.push(without("Phone"), "/upload/b.txt"), "named")
    named.push(table(HEAD, ROW), "/upload/c.txt")
    assert notes(named.push(without("Phone"), "/upload/d.txt"), "is gone;") == []
    accepted(named, named.push(without("Judge"), "/upload/e.txt"), "named")
    named.push(table(HEAD, ROW), "/upload/f.txt")
    assert notes(named.push(without("Judge"), "/upload/g.txt"), "is gone;") == []


def rows(*columns: Any, count: int = 8) -> str:
    return table(*(tuple(column.format(i=i) for column in columns) for i in range(1, count + 1)))


PLAIN = ("{i}", "CR-{i}", "03/1{i}/2026", "9:0{i} AM", "x")


def test_another_number_of_columns_without_a_header_stops_the_file(placed: Court) -> None:
    placed.push(rows(*PLAIN))
    before = placed.dump()
    upload = placed.push(rows(*PLAIN, "y"), "/upload/b.txt")
    assert upload.error is not None
    assert (upload.error.code, len(upload.expected), len(upload.header)) == ("drift", 5, 6)
    assert placed.dump() == before
    assert "column 6" in receipt_text(upload, [])
    accepted(placed, upload, "placed")
    with placed.database.reading() as conn:
        shape = inbox.find_shape(conn, placed.agency, "placed")
    assert shape is not None
    assert shape.columns == upload.header
    assert placed.push(rows(*PLAIN, "y"), "/upload/b.txt").status == "processed"


def test_columns_that_have_moved_without_a_header_stop_the_file(placed: Court) -> None:
    placed.push(rows(*PLAIN))
    moved = (PLAIN[0], PLAIN[1], PLAIN[3], PLAIN[2], PLAIN[4])
    upload = placed.push(rows(*moved), "/upload/b.txt")
    assert upload.error is not None
    assert (upload.error.code, upload.error_rows) == ("drift", 0)
    assert "columns 3, 4" in upload.error.message
    assert upload.expected[2] == "column 3 (date)"
    assert upload.header[2] == "column 3 (time)"
    with pytest.raises(IngestError, match="would go into the wrong field"):
        accepted(placed, upload, "placed")


def test_columns_without_a_header_are_compared_place_by_place() -> None:
    expected = ("column 1", "column 2 (date)", "column 3 (text)")
    lines = side_by_side(expected, ("column 1 (text)", "column 2 (time)", "column 3 (text)", "column 4"))
    assert [line.split() for line in lines[3:]] == [
        ["column", "1", "column", "1", "(text)"],
        ["column", "2", "(date)", "column", "2", "(time)", "other"],
        ["column", "3", "(text)", "column", "3", "(text)"],
        ["-", "column", "4", "new"],
    ]
    assert lines[-1].endswith("new")
    assert side_by_side(("column 1", "column 2"), ("column 1",))[-1].split() == ["column", "2", "-", "missing"]


def test_a_few_bad_dates_do_not_stop_a_file_without_a_header(placed: Court) -> None:
    placed.push(rows(*PLAIN))
    upload = placed.push(rows("{i}", "CR-{i}", "soon", "9:0{i} AM", "x", count=3), "/upload/b.txt")
    assert (upload.error is None or upload.error.code != "drift", upload.error_rows) == (True, 3)


def test_columns_by_position_under_a_header_must_keep_their_names(bare_court_at: CourtAt, tmp_path: Path) -> None:
    court = bare_court_at(tmp_path / "court")
    court.template(PLACED.replace("header = false", "header = true"), "/upload")
    court.push(table(("ID", "Case", "Date", "Time"), ROW[:1] + ROW[2:5]))
    upload = court.push(table(("ID", "Date", "Case", "Time"), ("1", "03/16/2026", "CR-1", "9:00 AM")), "/upload/b.txt")
    assert upload.error is not None
    assert (upload.error.code, upload.expected[1], upload.header[1]) == ("drift", "Case", "Date")
    with pytest.raises(IngestError, match="would go into the wrong field"):
        accepted(court, upload, "placed")


def test_a_column_put_in_before_others_is_not_read_as_them_though_its_number_was_accepted(placed: Court) -> None:
    placed.push(rows(*PLAIN))
    other = (*PLAIN[:2], "z", *PLAIN[2:])
    accepted(placed, placed.push(rows(*other), "/upload/b.txt"), "placed")
    again = placed.push(rows(*other), "/upload/c.txt")
    assert again.error is not None
    assert again.error.code == "drift"


def test_another_version_of_the_template_may_count_other_columns(placed: Court) -> None:
    placed.push(rows(*PLAIN))
    with placed.database.writing() as conn:
        inbox.add_template(conn, placed.agency, PLACED.replace("event.time = 4", "event.time = 5"), placed.at)
    moved = (*PLAIN[:3], "y", PLAIN[3], "x")
    assert placed.push(rows(*moved), "/upload/b.txt").status == "processed"


def test_a_file_that_failed_is_not_what_the_next_one_is_compared_with(named: Court) -> None:
    named.push(table(HEAD, ROW))
    named.push(table((*HEAD, "Room"), ("", "", "", "", "", "", "")), "/upload/b.txt")
    assert notes(named.push(table((*HEAD, "Room"), (*ROW, "1A")), "/upload/c.txt"), "New since")


def test_our_error_file_is_no_new_shape(named: Court) -> None:
    from ingest.answer import error_file

    upload = named.push(table(HEAD, ROW, ("2", "", "CR-2", "soon", "9:00 AM", "Elm")))
    answer = error_file(upload, named.errors(upload)).replace(b"soon", b"03/17/2026")
    again = named.push(answer, "/upload/errors.csv")
    assert (again.error, again.counts["events"].created) == (None, 1)
    assert named.push(table(HEAD, ROW), "/upload/c.txt").notes == ()


SEVERAL = """
name = "named"
[columns]
client.reference = "ID"
contact.phone = { first = ["Cell", "Home"] }
case.number = "No"
[[party]]
name = "attorney"
columns.client.reference = "AID"
columns.contact.phone = "APhone"
[[exclude]]
column = "Sealed"
is = "Y"
[[exclude]]
column = "Status"
is = "Vacated"
"""
SEVERAL_HEAD = ("ID", "Cell", "Home", "No", "AID", "APhone", "Sealed", "Status")
SEVERAL_ROW = ("1", "404-555-0101", "404-555-0102", "C1", "9", "404-555-0103", "N", "Set")


def lacking(*names: str) -> str:
    kept = [place for place, name in enumerate(SEVERAL_HEAD) if name not in names]
    return table(*(tuple(row[place] for place in kept) for row in (SEVERAL_HEAD, SEVERAL_ROW)))


@pytest.fixture
def several(court_of: CourtOf) -> Court:
    court = court_of(SEVERAL)
    court.push(lacking())
    return court


@pytest.mark.parametrize(
    ("first", "second", "spared"),
    [
        ("Status", "Sealed", ("the filter 'Status is one of those that are left out'",)),
        ("Cell", "Home", ()),
        ("APhone", "Cell", ("contact.phone of 'attorney'",)),
    ],
)
def test_what_is_accepted_is_one_column_and_no_other(
    several: Court, first: str, second: str, spared: tuple[str, ...]
) -> None:
    assert accepted(several, several.push(lacking(first), "/upload/b.txt"), "named") == spared
    assert several.push(lacking(first), "/upload/c.txt").status == "processed"
    upload = several.push(lacking(first, second), "/upload/d.txt")
    assert upload.error is not None
    assert (upload.error.code, second in upload.error.message) == ("drift", True)


def test_what_earlier_releases_have_accepted_still_is(several: Court) -> None:
    with several.database.writing() as conn:
        version = inbox.find_template(conn, several.agency, "named")
        old = {"names": [n for n in SEVERAL_HEAD if n not in ("Status", "Cell")], "width": 6, "file": "x", "day": "d"}
        old |= {"kinds": [], "lost": {}, "spared": ["contact.phone", "exclude"], "version": version.id}
        inbox.keep_shape(conn, several.agency, "named", read_shape(json.dumps(old)), several.at)
    assert several.push(lacking("Status", "Cell", "Home", "APhone"), "/upload/b.txt").status == "processed"
    assert several.push(lacking("Status", "Cell", "Home", "APhone"), "/upload/c.txt").notes
    upload = several.push(lacking("Status", "Sealed"), "/upload/d.txt")
    assert upload.error is not None
    assert "Sealed" in upload.error.message


def test_what_was_accepted_and_came_back_is_not_told_as_not_read(named: Court) -> None:
    named.push(table(HEAD, ROW))
    accepted(named, named.push(without("Judge"), "/upload/b.txt"), "named")
    named.push(table(HEAD, ROW), "/upload/c.txt")
    upload = named.push(without("Judge"), "/upload/d.txt")
    assert notes(upload, "not read") == []
    assert notes(upload, "which an operator has accepted: 'Judge'.")


def test_a_whole_name_that_people_are_matched_by_cannot_be_accepted_away(court_of: CourtOf) -> None:
    court = court_of('name = "named"\n[columns]\nclient.reference = "ID"\nclient.name = "Name"\ncase.number = "No"\n')
    court.push("ID|Name|No\n1|Avery Alder|C1\n")
    upload = court.push("ID|No\n1|C1\n", "/upload/b.txt")
    assert upload.error is not None
    assert "operators of this server must change the template" in upload.error.hint
    with pytest.raises(IngestError, match="Records are matched by 'Name'"):
        accepted(court, upload, "named")
    court = court_of(
        'name = "named"\nrequired = ["client.reference"]\n[columns]\nclient.reference = "ID"\nclient.name = "Name"\n'
        'case.number = "No"\n[match]\nclient = "reference"\n',
        "sure",
    )
    court.push("ID|Name|No\n1|Avery Alder|C1\n")
    assert accepted(court, court.push("ID|No\n1|C1\n", "/upload/b.txt"), "named") == ("client.name",)
    assert court.push("ID|No\n1|C1\n", "/upload/c.txt").status == "processed"


def undone(court: Court, upload: Upload) -> None:
    with court.database.writing(records_of(court.agency)) as conn:
        undo(conn, upload.id, court.at)


UNDER_A_HEADER = PLACED.replace("header = false", "header = true")


def test_an_undone_file_is_not_what_the_next_one_is_compared_with_but_the_one_before(court_of: CourtOf) -> None:
    court = court_of(UNDER_A_HEADER)
    head, swapped = ("ID", "Case", "Date", "Time"), ("ID", "Date", "Case", "Time")
    cells = ("1", "CR-1", "03/{}/2026", "9:00 AM")
    files = [table(head, (*cells[:2], f"03/1{day}/2026", cells[3])) for day in range(4)]
    uploads = [court.push(file, f"/upload/{day}.txt") for day, file in enumerate(files)]
    for upload in (uploads[1], uploads[3], uploads[2]):
        undone(court, upload)
        stopped = court.push(table(swapped, ("1", "03/19/2026", "CR-1", "9:00 AM")), f"/upload/{upload.id}.txt")
        assert stopped.error is not None
        assert stopped.error.code == "drift"
    assert "0.txt of 2026-03-02" in stopped.error.message
    undone(court, uploads[0])
    with court.database.reading() as conn:
        assert inbox.find_shape(conn, court.agency, "placed") is None


def test_what_was_accepted_is_not_undone_with_the_file_that_came_so(named: Court) -> None:
    named.push(table(HEAD, ROW))
    upload = named.push(without("Phone"), "/upload/b.txt")
    accepted(named, upload, "named")
    undone(named, upload)
    assert notes(named.push(without("Phone"), "/upload/c.txt"), "is gone;") == []


def test_what_was_accepted_is_not_forgotten_when_an_old_version_runs_again(named: Court) -> None:
    first = named.push(table(HEAD, ROW))
    with named.database.writing() as conn:
        inbox.add_template(conn, named.agency, NAMED + "# 2\n", named.at)
    named.push(table(HEAD, ROW).replace("Oak", "Elm"), "/upload/b.txt")
    accepted(named, named.push(without("Judge"), "/upload/c.txt"), "named")
    assert named.replay(first, 1).status == "processed"
    upload = named.push(without("Judge"), "/upload/d.txt")
    assert (upload.status, upload.error) == ("processed", None)


def test_so_many_shapes_are_kept_and_no_more() -> None:
    begin = datetime(2026, 3, 1, tzinfo=UTC)
    shapes = [Shape(("a", "b")[: 1 + day % 2], 1 + day % 2, f"{day}.txt", f"{day}") for day in range(20)]
    history = [(begin + timedelta(days=20 - day), shape) for day, shape in enumerate(shapes)]
    kept = read_history(write_history(history), history[0][0])
    assert kept == history[:11]
    assert leave_out(kept, kept[1][0]) == [kept[0], *kept[2:]]
    assert read_shape(write_history(history)) == shapes[0]
