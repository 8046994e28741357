"""Templates that are proposed for the layouts of real courts, and for files written in every way.

For each layout, the fields that matter are named here with the column that was proposed and reviewed; the proposal must
be a template that is accepted and takes every row that the court's own template takes.
"""

import csv
import io
import json
import tempfile
import tomllib
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.errors import IngestError
from ingest.infer import Draft, infer_template
from ingest.infer.contents import look_at
from ingest.infer.names import fields_named
from ingest.limits import Limits
from ingest.parse import Column
from ingest.template import load_template
from tests.ingest.conftest import CourtAt
from tests.ingest.test_mapping import select
from tests.ingest.test_samples import sent

pytestmark = pytest.mark.sqlite_only  # what is tried here ends before the database

SAMPLES = Path(__file__).parent.parent / "samples"
FORMATS = SAMPLES / "formats"

ECR = {
    "client.reference": "Party ID",
    "client.first_name": "First Name",
    "client.last_name": "Last Name",
    "contact.email": "Email",
    "case.number": "Case Number",
    "case.role": "Party Description",
    "event.date": "Event Date",
    "event.time": "Event Time",
    "event.status": "Event Status",
    "event.location": "Location Name",
    "event.judge": "Judge Name",
}
EXPECTED: dict[str, dict[str, Any]] = {
    "anchorage-criminal": {
        "client.last_name": "last_name",
        "client.first_name": "first_name",
        "case.number": "case_no",
        "event.date": "event_dt",
        "event.time": "start_tm",
        "event.room": "courtroom",
        "event.type": "event",
    },
    "anchorage-headerless": {
        "client.last_name": 2,
        "client.first_name": 3,
        "case.number": 7,
        "event.date": 1,
        "event.time": 6,
        "event.location": 5,
        "event.type": 9,
    },
    "anchorage-minor": {
        "client.last_name": "last_name",
        "case.number": "ticket_nbr",
        "event.date": "event_dt",
        "event.time": "start_tm",
        "event.room": "crtroom",
        "event.type": "actn_description",
    },
    "atlanta": {
        "client.name": "Defendant",
        "case.number": "CitationId",
        "event.date": "Date",
        "event.time": "Time",
        "event.location": "Location",
        "event.room": "Room",
    },
    "dekalb": {
        "case.number": "CaseNumber",
        "case.reference": "CaseId",
        "event.date": "HearingDate",
        "event.time": "HearingTime",
        "event.judge": "JudicialOfficer",
        "event.room": "CourtRoom",
    },
    "georgia": {
        "client.reference": "CasePartyID",
        "client.name": "PartyName",
        "contact.phone": {"column": "PhoneNumber", "values": {"UNKNOWN": ""}},
        "contact.phone_type": "PhoneType",
        "case.number": "CaseNumber",
        "event.datetime": "EventDateTime",
        "event.type": "EventTypeDescription",
    },
    "harris": {
        "client.name": {"column": "Defendant", "order": "last first"},
        "client.dob": {"column": "DOB", "formats": "%m/%d/%y", "pivot": 26},
        "case.number": "Case Number",
        "case.file_date": "Filed Date",
        "payment.amount": "Fine",
        "payment.due_date": "Fine Due",
        "payment.citation": "Citation Number",
    },
    "idaho": {
        "case.number": "CaseNumber",
        "case.style": "CaseStyle ",
        "case.location": "County",
        "event.date": "HearingDate",
        "event.time": "HearingTime",
        "event.type": "HearingType",
        "event.location": "Court",
    },
    "miami": {"case.number": 2, "case.style": 4},
    "odyssey-custom": {
        **ECR,
        "client.dob": "DOB",
        "contact.phone": "Cell Phone",
        "contact.phone_2": "Home Phone",
        "contact.phone_opt_in": "Text OK",
        "event.reference": "Hearing ID",
        "payment.amount": "Balance",
        "payment.due_date": "Due",
    },
    "utah": {
        "client.reference": "ofndr_num",
        "client.last_name": "lname",
        "event.date": "crt_dt",
        "event.time": "crt_tm",
        "event.room": "crt_rm",
    },
    "vermont": {
        "client.last_name": 14,
        "client.first_name": 15,
        "case.number": 11,
        "case.style": 12,
        "case.role": 30,
        "event.date": 3,
        "event.time": 6,
        "event.type": 26,
    },
}
UNDECIDED = {"anchorage-criminal", "anchorage-minor", "harris"}
"""Layouts of whose sample all dates can be read in two ways."""


def sample_of(name: str, folder: Path) -> Path:
    """What the court sends, written into the folder."""
    sample, content = sent(SAMPLES / name)
    (folder / sample).write_bytes(content)
    return folder / sample


def infer(path: Path, name: str = "proposed") -> Draft:
    return infer_template(path, name, Limits(), 2026)


def columns_of(draft: Draft) -> dict[str, Any]:
    tables = tomllib.loads(draft.text).get("columns", {})
    return {f"{kind}.{name}": spec for kind, table in tables.items() for name, spec in table.items()}


def decided(draft: Draft) -> str:
    """The proposal, once somebody has decided that the month comes first."""
    return draft.text.replace("TODO: %m/%d/%Y or %d/%m/%Y", "%m/%d/%Y").replace(
        "TODO: %m/%d/%y or %d/%m/%y", "%m/%d/%y"
    )


def test_every_layout_is_reviewed() -> None:
    assert sorted(EXPECTED) == sorted(path.parent.name for path in SAMPLES.glob("*/expected.json"))


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_the_columns_of_a_layout_are_found(tmp_path: Path, name: str) -> None:
    draft = infer(sample_of(name, tmp_path))
    proposed = columns_of(Draft(decided(draft), ()))
    assert {field: proposed.get(field) for field in EXPECTED[name]} == EXPECTED[name]
    assert bool(draft.undecided) == (name in UNDECIDED)


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_a_proposal_takes_what_the_courts_own_template_takes(bare_court_at: CourtAt, tmp_path: Path, name: str) -> None:
    (tmp_path / "sent").mkdir()
    sample, court = sample_of(name, tmp_path / "sent"), bare_court_at(tmp_path / "court")
    draft = infer(sample)
    if name in UNDECIDED:
        with pytest.raises(IngestError) as refused:
            load_template(draft.text)
        assert refused.value.code == "template_undecided"
    court.template(decided(draft), "/x")
    upload = court.push(sample.read_bytes(), f"/x/{sample.name}")
    expected = json.loads((SAMPLES / name / "expected.json").read_text(encoding="utf-8"))
    left_out = {row for row, _ in expected["excluded"]}
    wrong = {row for row, *_ in expected["errors"]} | left_out
    assert upload.error is None
    assert {error.row for error in court.errors(upload)} <= wrong
    hearings = [event for event in expected.get("events", ()) if event.get("date")]
    if hearings and name != "georgia":
        assert upload.counts["events"].created >= len(hearings)


READ_ALIKE = [
    *("broken_bar.txt", "caret.exp", "carriage_return.txt", "comma.csv", "comma.csv.gz", "cp1252.csv", "fixed.txt"),
    *("header_line.csv", "latin1.txt", "pipe.txt", "pipe_named.csv", "preamble_told.txt", "semicolon.csv", "tab.txt"),
    *("tilde.txt", "trailer.txt", "utf16.txt", "utf16_be_unmarked.csv", "utf8_mark.csv", "workbook.xlsx"),
    "workbook.zip",
]


@pytest.mark.parametrize("name", READ_ALIKE)
def test_the_same_list_is_found_however_it_is_written(bare_court_at: CourtAt, tmp_path: Path, name: str) -> None:
    draft = infer(FORMATS / name)
    assert columns_of(draft) == {
        "client.reference": "Party ID",
        "client.last_name": "Last Name",
        "client.first_name": "First Name",
        "case.number": "Case Number",
        "event.date": "Hearing Date",
        "event.time": "Hearing Time",
        "event.notes": "Note",
    }
    assert draft.undecided == ()
    court = bare_court_at(tmp_path)
    court.template(draft.text, "/x")
    upload = court.push((FORMATS / name).read_bytes(), f"/x/{name}")
    bad = {"workbook.xlsx": 1, "workbook.zip": 1}.get(name, 0)  # one cell there holds a date with a time
    assert (upload.error, upload.error_rows) == (None, bad)


def test_names_under_names_are_put_together() -> None:
    draft = infer(FORMATS / "merged_headings.xlsx")
    assert tomllib.loads(draft.text)["file"]["header_rows"] == 2
    assert columns_of(draft)["client.last_name"] == "Defendant Last"


def table(folder: Path, *rows: str) -> Path:
    """A sample of these rows."""
    (folder / "x.txt").write_text("".join(f"{row}\n" for row in rows), encoding="utf-8")
    return folder / "x.txt"


PEOPLE = (("Avery", "Alder"), ("Kim", "Birch"), ("Lee", "Cedar"), ("Jose", "Dogwood"))


NUMBERED = tuple(enumerate(PEOPLE))


def listed(folder: Path, header: str, row: str) -> Path:
    """A sample of a row for each of the people, with their names and a number from 0 on in it."""
    rows = (row.format(n=n, first=first, last=last, day=16 + n) for n, (first, last) in enumerate(PEOPLE))
    return table(folder, header, *rows)


HEADER = "Case Number|Party ID|First Name|Last Name|Hearing Date|Judge Name"
ROW = "26-CR-000{n}|{n}|{first}|{last}|03/{day}/2026|Oak"


@pytest.mark.parametrize(("head", "tail"), [("", "|"), ("|", ""), ("|", "|")])
def test_a_delimiter_at_the_end_hides_no_header(bare_court_at: CourtAt, tmp_path: Path, head: str, tail: str) -> None:
    (tmp_path / "sent").mkdir()
    sample, court = listed(tmp_path / "sent", HEADER + head, ROW + tail), bare_court_at(tmp_path / "court")
    draft = infer(sample)
    assert columns_of(draft) == columns_of(infer(listed(tmp_path, HEADER, ROW)))
    court.template(draft.text, "/x")
    upload = court.push(sample.read_bytes(), "/x/list.txt")
    assert (upload.error, upload.error_rows, upload.counts["events"].created) == (None, 0, len(PEOPLE))


COMMAS = "Case Number,Name,Party ID,Hearing Date,Note"


@pytest.mark.parametrize(
    ("header", "row"),
    [
        (HEADER, ROW + "|Elm"),
        (COMMAS, "26-CR-{n}00,{last}, {first},{n},03/{day}/2026,"),
        (COMMAS, "26-CR-{n}00,{last}, {first},{n},03/{day}/2026,Oak,"),
    ],
)
def test_rows_that_do_not_fit_their_header_are_told(tmp_path: Path, header: str, row: str) -> None:
    with pytest.raises(IngestError) as refused:
        infer(listed(tmp_path, header, row))
    assert refused.value.code == "uneven_header"


def test_a_comma_inside_names_moves_no_column(bare_court_at: CourtAt, tmp_path: Path) -> None:
    court = bare_court_at(tmp_path / "court")
    named = listed(tmp_path, COMMAS, '26-CR-{n}00,"{last}, {first}",{n},03/{day}/2026,')
    court.template(infer(named).text.replace("required = ", "# "), "/x")
    upload = court.push(listed(tmp_path, COMMAS, "26-CR-{n}00,{last}, {first},{n},03/{day}/2026,").read_bytes(), "/x/x")
    assert upload.error is not None
    assert upload.error.code == "no_good_rows"
    assert "too many columns" in str(upload.error) or "more columns than the header" in str(upload.error)


@pytest.mark.parametrize(
    ("header", "row", "columns", "formats"),
    [
        ("Court Date", "3/{day}/2026 13:30", {"datetime": "Court Date"}, {"date": "%m/%d/%Y", "time": "%H:%M"}),
        (
            "Hearing Date|Court Time",
            "03/{day}/2026 12:00:00 AM|9:00 AM",
            {"date": "Hearing Date", "time": "Court Time"},
            {"date": "%m/%d/%Y %I:%M:%S %p", "time": "%I:%M %p"},
        ),
        ("Hearing Date", "2026-03-{day}T00:00:00", {"date": "Hearing Date"}, {"date": "%Y-%m-%dT%H:%M:%S"}),
    ],
)
def test_a_date_with_a_time_is_found_whatever_it_is_called(
    bare_court_at: CourtAt, tmp_path: Path, header: str, row: str, columns: dict[str, str], formats: dict[str, str]
) -> None:
    sample = listed(tmp_path, f"Case Number|Party ID|Name|{header}", f"26-CR-000{{n}}|{{n}}|{{last}}, {{first}}|{row}")
    draft, court = infer(sample), bare_court_at(tmp_path / "court")
    told = tomllib.loads(draft.text)
    assert (told["columns"]["event"], told["formats"]) == (columns, formats)
    court.template(draft.text, "/x")
    upload = court.push(sample.read_bytes(), "/x/list.txt")
    assert (upload.error, upload.error_rows, upload.counts["events"].created) == (None, 0, len(PEOPLE))


def test_dates_that_may_be_the_hearings_are_named_where_none_is_called_so(tmp_path: Path) -> None:
    [told] = infer(listed(tmp_path, "Case Number|Name|Zweck", "26-CR-00{n}|{last}, {first}|03/{day}/2026")).warnings
    assert "Dates stand in the column 'Zweck'" in told


@pytest.mark.parametrize("path", sorted(FORMATS.iterdir()), ids=lambda path: path.name)
def test_any_file_gives_a_template_or_a_sentence(path: Path) -> None:
    with suppress(IngestError):
        tomllib.loads(infer(path).text)


CELLS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12) | st.sampled_from(
    ["Case Number", "Hearing Date", "Phone", "", "03/04/2026", "9:00 AM", "CR-2026-1", '"', "TODO", "\x7f", "a\nb"]
)


@given(
    rows=st.lists(st.lists(CELLS, min_size=2, max_size=6), min_size=1, max_size=8), delimiter=st.sampled_from(",|\t^")
)
@settings(max_examples=30, deadline=None)
def test_any_table_gives_a_template_that_can_be_read_or_a_sentence(rows: list[list[str]], delimiter: str) -> None:
    out = io.StringIO()
    csv.writer(out, delimiter=delimiter).writerows(rows)
    any_bytes(out.getvalue().encode())


@given(content=st.binary(max_size=300))
@settings(max_examples=30, deadline=None)
def test_any_bytes_give_a_template_that_can_be_read_or_a_sentence(content: bytes) -> None:
    any_bytes(content)


def any_bytes(content: bytes) -> None:
    """A proposal is TOML, and is refused as a template for nothing but what it says is to be decided."""
    with tempfile.TemporaryDirectory() as folder:
        sample = Path(folder) / "sample.csv"
        sample.write_bytes(content)
        try:
            draft = infer(sample)
        except IngestError:
            return
    tomllib.loads(draft.text)
    if draft.undecided:
        with pytest.raises(IngestError):
            load_template(draft.text)
    else:
        load_template(draft.text)


@pytest.mark.parametrize("odd", ["#", "%", "2026", " ", "1"])
def test_a_name_that_is_no_word_hides_no_header(tmp_path: Path, odd: str) -> None:
    draft = infer(listed(tmp_path, f"{odd}|{HEADER}", f"{{n}}|{ROW}"))
    assert tomllib.loads(draft.text)["file"]["header"] is True
    assert columns_of(draft) == columns_of(infer(listed(tmp_path, HEADER, ROW)))


@pytest.mark.parametrize("first", ["1|Court|Room|State", "#|Case Number|Room|Oak", "26|Hearing|Room|Judge|9:00"])
def test_a_row_with_a_number_is_a_header_only_if_much_says_so(tmp_path: Path, first: str) -> None:
    rest = "|".join(["Oak"] * (first.count("|") + 1))
    assert tomllib.loads(infer(table(tmp_path, first, rest, rest)).text)["file"]["header"] is False


def test_columns_of_one_name_are_told_apart_by_their_places(tmp_path: Path) -> None:
    sample = tmp_path / "x.csv"
    sample.write_text("Case Number,Hearing Date,Judge,Judge\nCR-1,03/16/2026,Oak,Elm\nCR-2,03/17/2026,Oak,Elm\n")
    assert columns_of(infer(sample))["event.judge"] == 3


def line_of(draft: Draft, field: str) -> str:
    return next(line for line in draft.text.splitlines() if line.startswith(f"{field} = "))


@pytest.mark.parametrize(
    ("header", "row", "field", "column", "other"),
    [
        ("Scheduled Date|Hearing Date", "02/{day}/2026|03/{day}/2026", "event.date", "Hearing Date", "Scheduled Date"),
        ("Date|Hearing Date", "02/28/2026|03/{day}/2026", "event.date", "Hearing Date", "Date"),
        ("Hearing Date|Court Date", "03/{day}/2026|03/{day}/2026", "event.date", "Hearing Date", "Court Date"),
        ("Next Event|Event Date", "04/{day}/2026|03/{day}/2026", "event.date", "Event Date", "Next Event"),
        ("Docket Number|Cause Number", "26-CR-{n}000|26-CV-{n}111", "case.number", "Docket Number", "Cause Number"),
        ("Date|Date", "03/{day}/2026|02/28/2026", "event.date", 3, "column 4"),
        ("Phone|Phone", "404-555-010{n}|404-555-0199", "contact.phone", 3, "column 4"),
    ],
)
def test_a_column_beside_which_another_may_be_meant_is_not_sure(
    tmp_path: Path, header: str, row: str, field: str, column: str | int, other: str
) -> None:
    draft = infer(listed(tmp_path, f"Party ID|Defendant Name|{header}", f"{{n}}|{{last}}, {{first}}|{row}"))
    assert columns_of(draft)[field] == column
    assert "# low: " in line_of(draft, field)
    [told] = [warning for warning in draft.warnings if warning.startswith(f"{field} is taken from")]
    assert other in told


def test_a_case_called_by_its_style_is_no_number(tmp_path: Path) -> None:
    draft = infer(
        listed(
            tmp_path,
            "Case|Docket Number|Defendant|Hearing Date",
            "State v. {last}|26-CR-000{n}|{last}, {first}|03/{day}/2026",
        )
    )
    assert (columns_of(draft)["case.number"], columns_of(draft)["case.style"]) == ("Docket Number", "Case")


@pytest.mark.parametrize(
    "header",
    [
        *("Last Hearing Date", "Hearing Entered Date", "Court Filing Date", "Previous Court Date"),
        *("Related Case Number", "Prior Case Number"),
    ],
)
def test_a_name_that_says_it_is_another_one_is_not_taken(header: str) -> None:
    assert not {"case.number", "event.date"} & {each.field for each in fields_named(header)}


def test_names_and_phones_of_other_people_are_not_the_clients(tmp_path: Path) -> None:
    others = (
        *(
            "Judge First Name",
            "Judge Last Name",
            "Plaintiff First Name",
            "Plaintiff Last Name",
            "Plaintiff Phone Number",
        ),
        *("Emergency Contact Phone", "Court Phone Number", "Public Defender Phone Number", "Alias First Name"),
        *("Alias Last Name", "Landlord Phone Number", "Complainant Email Address", "Judge Email Address"),
        "Employer Mailing Address",
    )
    cells = ["404-555-0199" if "Phone" in name else "x@court.example" if "Email" in name else "Oak" for name in others]
    sample = listed(
        tmp_path,
        "|".join(("Case Number", "Defendant Name", "Defendant Home Phone", "Hearing Date", *others)),
        "|".join(("26-CR-000{n}", "{last}, {first}", "404-555-010{n}", "03/{day}/2026", *cells)),
    )
    found = {field: column for field, column in columns_of(infer(sample)).items() if not field.startswith("event.")}
    assert found == {
        "case.number": "Case Number",
        "client.name": "Defendant Name",
        "contact.phone": "Defendant Home Phone",
    }


def test_a_phone_behind_another_persons_name_is_not_sure(tmp_path: Path) -> None:
    draft = infer(
        listed(
            tmp_path,
            "Case Number|Defendant|Attorney|Phone",
            "26-CR-000{n}|{last}, {first}|Bob Law|404-555-010{n}",
        )
    )
    assert "# low: " in line_of(draft, "contact.phone")
    assert "whose is it?" in line_of(draft, "contact.phone")


def column(*values: str) -> Column:
    return Column(np.arange(len(values), dtype=np.int32), values)


@pytest.mark.parametrize(
    ("values", "formats", "choices"),
    [
        (("03/16/2026", "04/20/2026"), ("%m/%d/%Y",), ()),
        (("16/03/2026", "20/04/2026"), ("%d/%m/%Y",), ()),
        (("03/04/2026", "05/06/2026"), (), ("%m/%d/%Y", "%d/%m/%Y")),
        (("05/05/2026", "06/06/2026"), (), ("%m/%d/%Y", "%d/%m/%Y")),
        (("03/16/2026", "16/03/2026"), (), ("%m/%d/%Y", "%d/%m/%Y")),
        (("2026-03-04", "2026-05-06"), ("%Y-%m-%d",), ()),
        (("20260304", "20260506"), ("%Y%m%d",), ()),
        (("01/02/65", "03/04/70"), (), ("%m/%d/%y", "%d/%m/%y")),
        (("4-Mar-2026", "6-May-2026"), ("%d-%b-%Y",), ()),
    ],
)
def test_day_and_month_are_never_guessed(
    values: tuple[str, ...], formats: tuple[str, ...], choices: tuple[str, ...]
) -> None:
    dated = look_at(column(*values)).dated
    assert dated is not None
    assert dated.formats == formats
    assert set(dated.choices) >= set(choices)
    assert bool(dated.choices) == bool(choices)


def test_a_column_that_is_certain_decides_for_one_written_alike(tmp_path: Path) -> None:
    sample = tmp_path / "x.csv"
    sample.write_text("Case Number,Hearing Date,DOB\nCR-1,03/16/2026,01/02/1990\nCR-2,04/20/2026,03/04/1985\n")
    draft = infer(sample)
    assert draft.undecided == ()
    assert "day and month as in another column" in draft.text


def test_times_and_names_in_the_words_of_databases_are_found(tmp_path: Path) -> None:
    sample = listed(tmp_path, "case_no|def_nm|hrg_dt|hrg_tm", "26-CR-0{n}|{last}, {first}|03/{day}/2027|0900")
    assert columns_of(infer(sample))["client.name"] == "def_nm"
    assert tomllib.loads(infer(sample).text)["formats"]["time"] == "%H%M"


def timed(folder: Path, *cells: str, header: str = "Hearing Time") -> Path:
    """A sample of hearings at these times."""
    days = enumerate(cells)
    rows = (f"26-CR-000{n}|Alder|Avery|03/{16 + n}/2026|{cell}" for n, cell in days)
    return table(folder, f"Case Number|Last Name|First Name|Hearing Date|{header}", *rows)


@pytest.mark.parametrize(
    ("cells", "time"),
    [
        (("9:00", "1:30", "10:15", "2:45"), "TODO: %H:%M or %I:%M %p"),
        (("0900", "0130"), "TODO: %H%M or %I%M %p"),
        (("09:00:00", "01:30:00"), "TODO: %H:%M:%S or %I:%M:%S %p"),
        (("9:00 AM", "10:00 AM", "1:30"), ["TODO: %H:%M or %I:%M %p", "%I:%M %p"]),
        (("9:00", "1:30", "00:00"), "TODO: %H:%M or %I:%M %p"),
    ],
)
def test_night_and_afternoon_are_never_guessed(tmp_path: Path, cells: tuple[str, ...], time: str | list[str]) -> None:
    draft = infer(timed(tmp_path, *cells))
    assert tomllib.loads(draft.text)["formats"]["time"] == time
    assert "# low: " in line_of(draft, "event.time")
    [told] = draft.undecided
    assert "of the column 'Hearing Time' from 1:00 to 6:59" in told
    with pytest.raises(IngestError) as refused:
        load_template(draft.text)
    assert refused.value.code == "template_undecided"


@pytest.mark.parametrize(
    ("cells", "time", "sure"),
    [
        (("9:00", "13:30"), "%H:%M", "high"),
        (("09:00", "10:15"), "%H:%M", "high"),
        (("9:00", "0:00"), "%H:%M", "high"),
        (("9:00", "10:15", "12:30"), "%H:%M", "medium"),
        (("9:00 AM", "1:30 PM"), "%I:%M %p", "high"),
    ],
)
def test_what_counts_24_hours_shows_it(tmp_path: Path, cells: tuple[str, ...], time: str, sure: str) -> None:
    draft = infer(timed(tmp_path, *cells))
    assert tomllib.loads(draft.text)["formats"]["time"] == time
    assert f"# {sure}: " in line_of(draft, "event.time")
    assert (draft.undecided, draft.warnings) == ((), ())


def test_a_time_at_night_among_those_of_24_hours_is_told(tmp_path: Path) -> None:
    draft = infer(timed(tmp_path, "9:00", "13:30", "1:30"))
    [told] = draft.warnings
    assert told.startswith("1 time of the column 'Hearing Time' from 1:00 to 6:59 says neither AM nor PM")
    assert draft.undecided == ()


@pytest.mark.parametrize("header", ["Hearing Time|AM/PM", "Hearing Time|Session"])
def test_am_and_pm_in_a_column_of_their_own_are_put_behind_the_time(
    bare_court_at: CourtAt, tmp_path: Path, header: str
) -> None:
    (tmp_path / "sent").mkdir()
    sample = timed(tmp_path / "sent", "9:00|AM", "1:30|PM", "10:15|am", "2:45|pm", header=header)
    draft, court = infer(sample), bare_court_at(tmp_path / "court")
    assert columns_of(draft)["event.time"] == {"join": header.split("|")}
    assert (draft.undecided, draft.warnings, "# case" in draft.text) == ((), (), False)
    court.template(draft.text, "/x")
    upload = court.push(sample.read_bytes(), "/x/list.txt")
    assert (upload.error, upload.error_rows, upload.warning_rows) == (None, 0, 0)
    hours = select(court, "SELECT local_time FROM events ORDER BY starts_at")
    assert hours == [("09:00",), ("13:30",), ("10:15",), ("14:45",)]


def test_a_column_that_may_say_am_and_pm_is_named(tmp_path: Path) -> None:
    [told] = infer(timed(tmp_path, "9:00|A", "1:30|P", header="Hearing Time|Half")).undecided
    assert "See whether the column 'Half' says it" in told
    draft = infer(timed(tmp_path, "9:00|AM", "13:30|PM", header="Hearing Time|Half"))
    assert columns_of(draft)["event.time"] == "Hearing Time"


def test_night_and_afternoon_behind_a_date_are_not_guessed_either(tmp_path: Path) -> None:
    rows = ["26-CR-1|Alder|3/16/2026 9:00", "26-CR-2|Birch|3/17/2026 1:30"]
    draft = infer(table(tmp_path, "Case Number|Last Name|Hearing Date", *rows))
    assert tomllib.loads(draft.text)["formats"] == {"date": "%m/%d/%Y", "time": "TODO: %H:%M or %I:%M %p"}
    halves = [f"{row}|{half}" for row, half in zip(rows, ("AM", "PM"), strict=True)]
    draft = infer(table(tmp_path, "Case Number|Last Name|Hearing Date|AM/PM", *halves))
    assert columns_of(draft)["event.datetime"] == {"join": ["Hearing Date", "AM/PM"]}
    assert draft.undecided == ()


def test_several_phones_in_a_cell_are_split(bare_court_at: CourtAt, tmp_path: Path) -> None:
    phones, emails = "404-555-010{n} / 404-555-020{n}", "a{n}@x.example;b{n}@x.example"
    row = f"26-CR-000{{n}}|{{n}}|{{last}}, {{first}}|03/{{day}}/2027|{phones}|{emails}"
    sample = listed(tmp_path, "Case Number|Party ID|Name|Hearing Date|Phone|Email", row)
    draft, court = infer(sample), bare_court_at(tmp_path / "court")
    assert columns_of(draft)["contact.phone_2"] == {"column": "Phone", "split": "/", "take": 2}
    assert columns_of(draft)["contact.email"] == {"column": "Email", "split": ";", "take": 1}
    assert "# low: " in line_of(draft, "contact.phone")
    court.template(draft.text, "/x")
    upload = court.push(sample.read_bytes(), "/x/list.txt")
    assert (upload.error_rows, upload.warning_rows) == (0, 0)
    assert upload.counts["contacts"].created == 4 * len(PEOPLE)


@pytest.mark.parametrize(
    ("days", "date"),
    [
        ([f"04{day}26" for day in range(10, 18)], "%m%d%y"),
        ([f"{day}0426" for day in range(10, 18)], "TODO: %d%m%y or %m%d%y or %y%m%d"),  # of 2010, say
        ([f"2604{day}" for day in range(10, 18)], "TODO: %d%m%y or %y%m%d"),
        (["041026", "041126", "041226"], "TODO: %m%d%y or %d%m%y or %y%m%d"),
        (["46097", "46098", "46101"], "excel"),
        (["41326", "41426", "121526"], "%m%d%y"),
        (["41326", "41426", "41526"], "TODO: %m%d%y or excel"),
    ],
)
def test_dates_in_digits_alone_are_told_from_the_numbers_of_spreadsheets(
    tmp_path: Path, days: list[str], date: str
) -> None:
    draft = infer(table(tmp_path, "Case Number|Hearing Date", *(f"CR-2026-{n}|{day}" for n, day in enumerate(days))))
    assert tomllib.loads(draft.text)["formats"]["date"] == date
    assert (bool(draft.undecided), draft.warnings) == (date.startswith("TODO"), ())
    if date.endswith("or excel"):
        assert "as excel (a spreadsheet's numbers of days)" in draft.undecided[0]


def test_numbers_of_days_that_are_years_away_are_told(tmp_path: Path) -> None:
    [told] = infer(table(tmp_path, "Case Number|Hearing Date", "CR-2026-1|40197", "CR-2026-2|46097")).warnings
    assert told.startswith("1 date of the column 'Hearing Date' would be more than 3 years from now")


def test_numbers_that_may_be_dates_are_none_where_nothing_calls_them_so(tmp_path: Path) -> None:
    rows = (f"{120500 + n}|{110101 + n}|03/16/2026" for n in range(20))
    assert (
        columns_of(infer(table(tmp_path, "Case Number|Party ID|Hearing Date", *rows)))["case.number"] == "Case Number"
    )


def test_without_a_header_no_birth_is_a_hearing(tmp_path: Path) -> None:
    rows = [f"{last}|{first}|01/{20 + n}/1980|9:00 AM|03/{16 + n}/2026|26-CR-000{n}" for n, (first, last) in NUMBERED]
    draft = infer(table(tmp_path, *rows))
    assert columns_of(draft)["event.date"] == 5


def test_without_a_header_two_columns_of_dates_are_both_named(tmp_path: Path) -> None:
    rows = [f"{last}|{first}|03/{16 + n}/2026|9:00 AM|04/{16 + n}/2026|26-CR-000{n}" for n, (first, last) in NUMBERED]
    draft = infer(table(tmp_path, *rows))
    assert "# low: " in line_of(draft, "event.date")
    assert "event.date is taken from column 3, but column 5 may be it too. See which is right." in draft.warnings


def test_no_birth_decides_how_the_dates_of_hearings_are_written(tmp_path: Path) -> None:
    sample = table(
        tmp_path,
        "Case Number|DOB|Hearing Date",
        *("CR-2026-1|13/01/1990|03/04/2026", "CR-2026-2|14/01/1991|05/04/2026", "CR-2026-3|15/01/1991|06/04/2026"),
    )
    [told] = infer(sample).undecided
    assert "Note that the column 'DOB' speaks for %d/%m/%Y, by 3 dates." in told
    assert 'date = "TODO: %m/%d/%Y or %d/%m/%Y"' in infer(sample).text


def test_dates_that_contradict_each_other_are_counted(tmp_path: Path) -> None:
    days = [*(f"03/{day}/2026" for day in range(13, 18)), "16/03/2026", "2026-04-01", "18-Apr-2026"]
    draft = infer(table(tmp_path, "Case Number|Hearing Date", *(f"CR-2026-{n}|{day}" for n, day in enumerate(days))))
    [told] = draft.undecided
    assert "5 only as %m/%d/%Y, 1 only as %d/%m/%Y" in told
    assert tomllib.loads(draft.text)["formats"]["date"] == [
        *("TODO: %m/%d/%Y or %d/%m/%Y", "%Y-%m-%d", "%d-%b-%Y"),
    ]
    with pytest.raises(IngestError) as refused:
        load_template(draft.text)
    assert refused.value.code == "template_undecided"


def test_every_way_in_which_a_date_is_written_is_proposed(tmp_path: Path) -> None:
    days = ["03/16/2026", "2026-03-17", "18-Mar-26", "3/19/26", "Mar 20, 2026", "March 21, 2026"]
    draft = infer(table(tmp_path, "Case Number|Hearing Date", *(f"CR-2026-{n}|{day}" for n, day in enumerate(days))))
    assert "100 % of the filled cells are a date" in draft.text


@pytest.mark.parametrize(
    ("header", "field"),
    [
        ("crt_dt", "event.date"),
        ("HearingDate", "event.date"),
        ("Defendant First Name", "client.first_name"),
        ("CASE_NBR", "case.number"),
        ("Cause #", "case.number"),
        ("Birth Date", "client.dob"),
        ("Mobile", "contact.phone"),
        ("E-Mail Address", "contact.email"),
        ("Court Room", "event.room"),
        ("Decription", "case.description"),
        ("Attorney Email", None),
        ("Bond Agent Phone", None),
        ("Officer Code", None),
    ],
)
def test_the_name_of_a_column_speaks(header: str, field: str | None) -> None:
    named = [each.field for each in fields_named(header)]
    assert named[:1] == ([field] if field else [])


def test_no_value_of_a_cell_stands_in_a_proposal(tmp_path: Path) -> None:
    draft = infer(sample_of("odyssey-custom", tmp_path))
    assert not any(word in draft.text for word in ("Robin", "Reed", "555", "1001", "CR-1", "ana@"))
