"""What a file says nothing of stays, in a snapshot too: cells that cannot be read, and columns that are not there."""

import json
from typing import Any

import pytest
from sqlalchemy import text

from ingest.limits import Limits
from ingest.record import CLEARED, UNSAID, UNSAID_NUMBER
from tests.ingest.court import Court, codes
from tests.ingest.test_matching import load, select

WHOLE = '\n[processing]\nmethod = "replace_template"\nguard = 100\n'
RECORDS = ("clients", "cases", "case_parties", "contacts", "events", "payments", "changes")


def marks(court: Court) -> list[Any]:
    """Cells of the database that hold a mark of the stage."""
    with court.database.reading() as conn:
        cells = [cell for table in RECORDS for row in conn.execute(text(f"SELECT * FROM {table}")) for cell in row]
    written = (CLEARED, UNSAID, json.dumps(CLEARED)[1:-1], json.dumps(UNSAID)[1:-1], str(UNSAID_NUMBER)[:6])
    return [cell for cell in cells if any(mark in str(cell) for mark in written)]


ABOUT = """name = "t"
[columns]
client.reference = "id"
client.dob = "dob"
client.language = "lang"
contact.phone = "tel"
contact.phone_opt_in = "opt"
contact.email = "mail"
case.number = "no"
case.file_date = "filed"
payment.reference = "ref"
payment.amount = "due"
"""
HEADER = "id,dob,lang,tel,opt,mail,no,filed,ref,due\n"
TOLD = (
    "SELECT dob, language FROM clients ORDER BY reference",
    "SELECT opt_in FROM contacts WHERE kind = 'phone' ORDER BY value",
    "SELECT file_date FROM cases ORDER BY number",
    "SELECT amount FROM payments ORDER BY reference",
)


def told(court: Court) -> list[tuple[Any, ...]]:
    return [row for sql in TOLD for row in select(court, sql)]


@pytest.mark.parametrize("chunk", [1, 100])
def test_a_cell_that_cannot_be_read_empties_nothing(court: Court, chunk: int) -> None:
    court.limits = Limits(chunk=chunk)
    full = "1,01/02/1990,fr,404-555-0101,N,a@example.com,C1,02/03/2020,R1,50\n"
    bad = "1,01/32/1990,,404-555-0101,nn,a@example.com,C1,02/30/2020,R1,5O\n"
    fresh = "2,01/32/1990,de,404-555-0102,nn,,C2,02/30/2020,R2,5O\n"
    upload = load(court, ABOUT + WHOLE, HEADER + full, HEADER + bad + fresh)
    assert told(court) == [
        *[("1990-01-02", None), (None, "de")],
        *[("no",), (None,)],
        *[("2020-02-03",), (None,)],
        *[(5000,), (None,)],
    ]
    assert {kind: (count.created, count.updated) for kind, count in upload.counts.items()} == {
        **dict.fromkeys(("cases", "payments", "contacts"), (1, 0)),
        "clients": (1, 1),
        "events": (0, 0),
    }
    assert marks(court) == []
    court.push(HEADER + "1,,,404-555-0101,,,C1,,R1,\n", "/t/3.csv")
    assert told(court)[0] == (None, None)
    assert told(court)[2] == (None,)
    assert marks(court) == []


@pytest.mark.parametrize("chunk", [1, 100])
def test_of_several_rows_a_text_counts_most_and_an_unread_cell_least(court: Court, chunk: int) -> None:
    court.limits = Limits(chunk=chunk)
    born = {"1": ["01/02/1990", "", "x"], "2": ["x", ""], "3": ["", "x"], "4": ["x", "01/02/1991", ""], "5": ["x", "x"]}
    before = "".join(f"{who},05/06/1970,,,,,,,,\n" for who in born)
    rows = "".join(f"{who},{cell},,,,,,,,\n" for who, cells in born.items() for cell in cells)
    load(court, ABOUT + WHOLE, HEADER + before, HEADER + rows)
    assert select(court, "SELECT dob FROM clients ORDER BY reference") == [
        ("1990-01-02",),
        (None,),
        (None,),
        ("1991-01-02",),
        ("1970-05-06",),
    ]
    assert marks(court) == []


PEOPLE = """name = "t"
optional = ["client.language", "case.role", "contact.phone", "contact.phone_2"]
[columns]
client.reference = "id"
client.language = "lang"
contact.phone = "cell"
contact.phone_type = "kind"
contact.phone_2 = "home"
contact.email = "mail"
case.number = "no"
case.role = "role"
[custom]
client.pet = "pet"
[[party]]
name = "attorney"
columns.client.reference = "aid"
columns.client.language = "alang"
columns.client.zip = "azip"
columns.contact.phone = "acell"
constants.case.role = "Attorney"
"""
ROWS = {
    "id": "1",
    "lang": "fr",
    "cell": "404-555-0101",
    "kind": "CELL",
    "home": "404-555-0102",
    "mail": "a@example.com",
    "no": "C1",
    "role": "Defendant",
    "pet": "cat",
    "aid": "9",
    "alang": "de",
    "azip": "30301",
    "acell": "404-555-0109",
}


def without(*names: str, **changed: str) -> str:
    cells = {name: cell for name, cell in (ROWS | changed).items() if name not in names}
    return f"{','.join(cells)}\n{','.join(cells.values())}\n"


def test_a_column_of_another_person_says_nothing_of_the_rows_own(court: Court) -> None:
    upload = load(court, PEOPLE + WHOLE, without(), without("lang", "role", "cell"))
    assert select(court, "SELECT language FROM clients ORDER BY reference") == [("fr",), ("de",)]
    assert select(court, "SELECT role FROM case_parties ORDER BY role") == [("Attorney",), ("Defendant",)]
    assert {kind: (count.updated, count.withdrawn) for kind, count in upload.counts.items()} == dict.fromkeys(
        ("clients", "contacts", "cases", "events"), (0, 0)
    )
    court.push(without(lang="", role="", cell=""), "/t/3.csv")
    assert select(court, "SELECT language FROM clients ORDER BY reference") == [(None,), ("de",)]
    assert select(court, "SELECT role FROM case_parties ORDER BY role IS NULL") == [("Attorney",), (None,)]
    gone = "SELECT value FROM contacts WHERE withdrawn_upload IS NOT NULL"
    assert select(court, gone) == [("+14045550101",)]
    assert marks(court) == []


def test_a_missing_column_of_phones_spares_all_phones_and_no_address(court: Court) -> None:
    load(court, PEOPLE + WHOLE, without(), without("home", acell="", mail=""))
    assert select(court, "SELECT value FROM contacts WHERE withdrawn_upload IS NOT NULL") == [("a@example.com",)]


def test_what_a_snapshot_does_not_map_for_a_further_party_stays(court: Court) -> None:
    court.template(
        'name = "lawyers"\n[columns]\nclient.reference = "id"\nclient.zip = "zip"\nclient.address = "street"\n'
        'contact.phone = "cell"\ncontact.phone_type = "kind"\n[custom]\nclient.pet = "pet"\nclient.bar = "bar"\n',
        "/lawyers",
    )
    court.push("id,zip,street,cell,kind,pet,bar\n9,30309,1 Main St,404-555-0109,DESK,dog,GA\n", "/lawyers/1.csv")
    extra = PEOPLE.replace('case.number = "no"', 'case.number = "no"\nclient.address = "addr"')
    court.template(extra + WHOLE, "/t")
    file = without(azip="").replace("\n", ",addr\n", 1).rstrip("\n") + ",2 Oak\n"
    upload = court.push(file, "/t/1.csv")
    found = select(court, "SELECT zip, address, language, custom FROM clients ORDER BY reference")
    assert [row[:3] for row in found] == [(None, "2 Oak", "fr"), (None, "1 Main St", "de")]
    assert [json.loads(row[3]) for row in found] == [{"pet": "cat"}, {"pet": "dog", "bar": "GA"}]
    assert select(court, "SELECT value, type FROM contacts WHERE kind = 'phone' ORDER BY value") == [
        ("+14045550101", "CELL"),
        ("+14045550102", None),
        ("+14045550109", "DESK"),
    ]
    assert (upload.counts["clients"].created, upload.counts["clients"].updated) == (1, 1)
    assert upload.counts["contacts"].updated == 0
    assert marks(court) == []
    upload = court.push(file.replace("cat", "").replace("2 Oak", "3 Oak"), "/t/2.csv")
    assert select(court, "SELECT custom FROM clients ORDER BY reference")[0] == (None,)
    assert upload.counts["clients"].updated == 1
    assert marks(court) == []


# --- the time of a hearing that is known by its reference


HEARING = """name = "{name}"
optional = ["event.time", "event.status"]
[columns]
client.reference = "id"
case.number = "no"
event.reference = "ref"
event.date = "day"
{time}
event.status = "status"
[match]
event = "reference"
"""
WHEN = "SELECT local_date, local_time, starts_at, zone, status FROM events"
NINE = ("2026-03-16", "09:00", "2026-03-16T13:00:00.000000Z", "America/New_York")
FIRST = "id,no,ref,day,time,status\n1,C1,H1,03/16/2026,9:00 AM,Set\n"


def hearing(whole: bool = False, name: str = "t", time: str = 'event.time = "time"') -> str:
    return HEARING.format(name=name, time=time) + whole * WHOLE


@pytest.mark.parametrize("whole", [False, True], ids=["update", "snapshot"])
@pytest.mark.parametrize("chunk", [1, 100])
@pytest.mark.parametrize(
    ("rows", "time"),
    [
        ([("16", "9:00 AM"), ("16", "")], "09:00"),
        ([("16", "9:00 AM"), ("16", ""), ("16", "")], "09:00"),
        ([("16", "9:00 AM"), ("16", "10:00 AM"), ("16", "")], "10:00"),
        ([("16", "9:00 AM"), ("17", "")], None),
        ([("16", "9:00 AM"), ("17", ""), ("16", "")], None),
        ([("16", "9:00 AM"), ("17", ""), ("17", "11:00 AM"), ("17", "")], "11:00"),
        ([("17", ""), ("16", "9:00 AM")], "09:00"),
        ([("17", ""), ("16", "")], None),
    ],
)
def test_the_last_row_that_tells_a_time_for_the_date_counts(
    court: Court, rows: list[tuple[str, str]], time: str | None, chunk: int, whole: bool
) -> None:
    court.limits = Limits(chunk=chunk)
    lines = "".join(f"1,C1,H1,03/{day}/2026,{hour},Set\n" for day, hour in rows)
    load(court, hearing(whole), FIRST, FIRST.splitlines(keepends=True)[0] + lines)
    ((day, hour, instant, *_),) = select(court, WHEN)
    assert (day, hour) == (f"2026-03-{rows[-1][0]}", time)
    assert instant.startswith(f"{day}T{int((time or '00:00')[:2]) + 4:02}")
    assert marks(court) == []


def test_a_hearing_keeps_its_time_where_an_update_tells_none(court: Court) -> None:
    upload = load(court, hearing(), FIRST, FIRST.replace("9:00 AM", ""))
    assert select(court, WHEN) == [(*NINE, "Set")]
    assert (upload.counts["events"].updated, upload.counts["events"].moved) == (0, 0)
    upload = court.push("id,no,ref,day,status\n1,C1,H1,03/16/2026,Held\n", "/t/3.csv")
    assert select(court, WHEN) == [(*NINE, "Held")]
    assert (upload.counts["events"].updated, upload.counts["events"].moved) == (1, 0)
    upload = court.push("id,no,ref,day,status\n1,C1,H1,03/17/2026,Held\n", "/t/4.csv")
    assert select(court, WHEN)[0][:2] == ("2026-03-17", None)
    assert upload.counts["events"].moved == 1


@pytest.mark.parametrize("whole", [False, True], ids=["update", "snapshot"])
def test_a_template_without_times_takes_none_away(court: Court, whole: bool) -> None:
    court.template(hearing(), "/t")
    court.template(hearing(whole, "other", ""), "/other")
    court.push(FIRST, "/t/1.csv")
    court.push("id,no,ref,day,status\n1,C1,H1,03/16/2026,Held\n", "/other/1.csv")
    assert select(court, WHEN) == [(*NINE, "Held")]


def test_a_date_alone_in_a_column_of_dates_with_times_takes_no_time_away(court: Court) -> None:
    toml = hearing(True, time="").replace("event.date", "event.datetime")
    head = "id,no,ref,day,status\n"
    load(court, toml, f"{head}1,C1,H1,03/16/2026 9:00 AM,Set\n", f"{head}1,C1,H1,03/16/2026,Held\n")
    assert select(court, WHEN) == [(*NINE, "Held")]


def test_a_snapshot_empties_the_time_where_its_cell_is_empty(court: Court) -> None:
    upload = load(court, hearing(True), FIRST, FIRST.replace("9:00 AM", ""))
    assert select(court, WHEN)[0][:3] == ("2026-03-16", None, "2026-03-16T04:00:00.000000Z")
    assert upload.counts["events"].updated == 1
    court.push(FIRST, "/t/3.csv")
    court.push("id,no,ref,day,status\n1,C1,H1,03/16/2026,\n", "/t/4.csv")
    assert select(court, WHEN) == [(*NINE, None)]


# --- what is named and cannot be taken


@pytest.mark.parametrize("whole", [False, True], ids=["update", "snapshot"])
def test_a_row_that_names_a_hearing_without_its_date_is_answered(court: Court, whole: bool) -> None:
    upload = load(court, hearing(whole), FIRST, f"{FIRST.replace('Set', 'Held')}1,C1,H2,,10:00 AM,Vacated\n2,C2,,,,\n")
    assert codes(court.errors(upload)) == [(3, "day", "no_date", "error")]
    assert select(court, WHEN) == [(*NINE, "Held")]
    assert select(court, "SELECT reference FROM clients ORDER BY 1") == [("1",), ("2",)]


def test_where_no_file_column_has_dates_no_row_is_refused_for_it(court: Court) -> None:
    toml = hearing().replace("optional = [", 'optional = ["event.date", ')
    upload = load(court, toml, FIRST, "id,no,ref,status\n1,C1,H1,Held\n")
    assert (upload.status, codes(court.errors(upload))) == ("processed", [])


def test_who_is_spared_for_the_case_alone_keeps_phones_too(court: Court) -> None:
    toml = 'name = "t"\n[columns]\nclient.reference = "id"\nclient.last_name = "last"\ncontact.phone = "cell"\n'
    toml += f'case.number = "no"\nevent.date = "day"\n{WHOLE}'
    head = "id,last,cell,no,day\n"
    rows = [f"{i},L{i},404-555-010{i},C{i},04/0{i}/2026\n" for i in range(1, 5)]
    nobody, torn = ",,404-555-0101,C1,04/01/2026\n", "C2,04/02/2026\n"
    load(court, toml, head + "".join(rows), head + nobody + torn + rows[2].replace("0103", "0193"))
    live = "SELECT value FROM contacts WHERE withdrawn_upload IS NULL ORDER BY value"
    assert select(court, live) == [("+14045550101",), ("+14045550102",), ("+14045550193",)]


def test_a_cell_of_which_a_rule_makes_nothing_empties_nothing(court: Court) -> None:
    toml = 'name = "t"\n[columns]\nclient.reference = "id"\nclient.zip = { column = "zip", split = "-", take = 2 }\n'
    toml += 'client.language = { column = "lang", lookup = "tongues", unknown = "empty", values = { None = "" } }\n'
    toml += f'[lookups.tongues]\nF = "French"\nN = "None"\n{WHOLE}'
    load(court, toml, "id,zip,lang\n1,A-30301,F\n2,A-30302,F\n3,A-30303,F\n", "id,zip,lang\n1,A,X\n2,,N\n3,,\n")
    found = select(court, "SELECT zip, language FROM clients ORDER BY reference")
    assert found == [("30301", "French"), (None, None), (None, None)]
