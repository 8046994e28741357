"""How a template's rules make fields of columns, end to end: a file is pushed, and records are looked at."""

import json
from typing import Any

import pytest
from sqlalchemy import text

from ingest.answer import Counts, Upload, receipt, receipt_text
from tests.ingest.court import Court, codes

HEAD = 'name = "t"\n[columns]\nclient.reference = "id"\ncase.number = "no"\n'


def load(court: Court, toml: str, *files: str) -> Upload:
    """The upload of the last of the files."""
    court.template(toml, "/t")
    return [court.push(content, f"/t/{number}.csv") for number, content in enumerate(files)][-1]


def select(court: Court, sql: str) -> list[tuple[Any, ...]]:
    with court.database.reading() as conn:
        return [tuple(row) for row in conn.execute(text(sql))]


def customs(court: Court, table: str) -> list[dict[str, str] | None]:
    """The custom fields of the records, in the order in which these came."""
    return [cell and json.loads(cell) for (cell,) in select(court, f"SELECT custom FROM {table} ORDER BY id")]


@pytest.mark.parametrize(
    ("rule", "cells", "value"),
    [
        ('{ first = ["a", "b"] }', "x,y", "x"),
        ('{ first = ["a", "b"] }', " ,y", "y"),
        ('{ first = ["a", "b"] }', ",", None),
        ('{ join = ["a", "b"] }', "x,y", "x y"),
        ('{ join = ["a", "b"], with = ", " }', "x,", "x"),
        ('{ join = ["b", "a"], with = "" }', "x,y", "yx"),
        ('{ column = "a", default = "none" }', ",y", "none"),
        ('{ column = "a", values = { Cancelled = "canceled", gone = "" } }', "CANCELLED,", "canceled"),
        ('{ column = "a", values = { Cancelled = "canceled", gone = "" } }', "Gone,", None),
        ('{ column = "a", values = { gone = "" }, default = "there" }', "Gone,", "there"),
        ('{ column = "a", case = "upper" }', "ab c,", "AB C"),
        ('{ column = "a", case = "lower" }', "AB C,", "ab c"),
        ('{ column = "a", case = "title" }', "JEAN O'BIRCH-DOE'S,", "Jean O'Birch-Doe's"),
        ('{ column = "a" }', "  a   b ,", "a b"),
        ('{ column = "a", spaces = "keep" }', "  a   b ,", "a   b"),
        ('{ column = "a", split = "-", take = 2 }', "CR - 17 - x,", "17"),
        ('{ column = "a", split = "-", take = -1 }', "CR-17-x,", "x"),
        ('{ column = "a", split = "-", take = 4 }', "CR-17-x,", None),
        ('{ column = "a", part = "last" }', '"DOE, JANE ANN",', "DOE"),
        ('{ column = "a", lookup = "places" }', "1873D,", "Littleroot Town"),
        ('{ column = "a", lookup = "places", values = { "littleroot town" = "LT" }, case = "lower" }', "1873D,", "lt"),
        ('{ column = "a", lookup = "places", unknown = "empty" }', "9,", None),
        ('{ column = "a", lookup = "places", unknown = "keep" }', "9,", "9"),
        ('{ first = [["A", "a"], 4] }', ",y", "y"),
    ],
)
def test_a_rule_makes_a_text(court: Court, rule: str, cells: str, value: str | None) -> None:
    toml = f'{HEAD}case.style = {rule}\n[lookups.places]\n1873D = "Littleroot  Town"\n'
    upload = load(court, toml, f"id,no,a,b\n1,C1,{cells}\n")
    assert (upload.status, upload.error) == ("processed", None)
    assert select(court, "SELECT style FROM cases") == [(value,)]


@pytest.mark.parametrize(
    ("name", "order", "parts"),
    [
        ("DOE, JANE ANN", "first last", ("JANE", "ANN", "DOE", None)),
        ("DOE JR, JOHN Q", "first last", ("JOHN", "Q", "DOE", "JR")),
        ("DOE, JOHN Q, JR.", "first last", ("JOHN", "Q", "DOE", "JR")),
        ("Jane Ann Doe", "first last", ("Jane", "Ann", "Doe", None)),
        ("John Doe III", "first last", ("John", None, "Doe", "III")),
        ("DOE JANE ANN", "last first", ("JANE", "ANN", "DOE", None)),
        ("Prince", "first last", (None, None, "Prince", None)),
        ("de la Cruz, Ana", "first last", ("Ana", None, "de la Cruz", None)),
        ("Smith,", "first last", (None, None, "Smith", None)),
    ],
)
def test_a_whole_name_is_split(court: Court, name: str, order: str, parts: tuple[str | None, ...]) -> None:
    load(court, f'{HEAD}client.name = {{ column = "name", order = "{order}" }}', f'id,no,name\n1,C1,"{name}"\n')
    assert select(court, "SELECT first_name, middle_name, last_name, suffix FROM clients") == [parts]


def test_a_part_of_the_name_with_a_column_of_its_own_is_not_split_off(court: Court) -> None:
    load(court, HEAD + 'client.name = "name"\nclient.suffix = "sfx"', "id,no,name,sfx\n1,C1,Bo Pine Jr,Sr\n")
    assert select(court, "SELECT first_name, last_name, suffix FROM clients") == [("Bo", "Pine", "Sr")]


def test_a_code_that_the_table_does_not_hold_is_told_or_refused(court: Court) -> None:
    toml = HEAD + 'case.location = { column = "a", lookup = "l" }\n[lookups.l]\nA = "Ada"'
    upload = load(court, toml, "id,no,a\n1,C1,A\n2,C2,Z\n")
    assert codes(court.errors(upload)) == [(3, "a", "unknown_code", "warning")]
    assert select(court, "SELECT location FROM cases ORDER BY number") == [("Ada",), ("Z",)]
    court.template(toml.replace('"t"', '"u"').replace('"l" }', '"l", unknown = "refuse" }'), "/u")
    upload = court.push("id,no,a\n3,C3,Z\n4,C4,A\n", "/u/a.csv")
    assert codes(court.errors(upload)) == [(2, "a", "refused_code", "error")]


def test_a_lookup_may_be_a_file(court: Court) -> None:
    from ingest.template import with_lookup

    toml = with_lookup(
        HEAD + 'event.location = { column = "a", lookup = "courts" }\nevent.date = "d"\n', "courts", LOCS
    )
    load(court, toml, "id,no,a,d\n1,C1,1867J,03/16/2026\n")
    assert select(court, "SELECT location FROM events") == [("PEWTER CITY, UPSTAIRS",)]


LOCS = '\ufeffcrt_loc_cd,crt_loc_desc,vld_flg\r\n1873D,LITTLEROOT TOWN,Y\r\n1867J,"PEWTER  CITY, UPSTAIRS",Y\r\n'


def test_a_required_field_may_come_from_several_columns(court: Court) -> None:
    toml = 'required = ["client.name", "contact.phone"]\noptional = ["contact.phone"]\n' + HEAD
    toml += 'client.name = "name"\ncontact.phone = { first = ["cell", "home"] }'
    upload = load(court, toml, "id,no,name,home\n1,C1,Bo Pine,404-555-0101\n2,C2,,404-555-0102\n3,C3,Al Oak,\n")
    assert codes(court.errors(upload)) == [
        (3, "name", "missing_required", "error"),
        (4, "home", "missing_required", "error"),
    ]
    error = court.push("id,no,name\n1,C1,Bo Pine\n", "/t/x.csv").error
    assert error is not None
    assert "'cell', 'home'" in error.message


def test_every_field_can_be_mapped(court: Court) -> None:
    from ingest.record import DATE_FIELDS, FIELDS, WHEN_FIELDS

    plain = [field for field in FIELDS if field not in (*WHEN_FIELDS, "payment.amount", *DATE_FIELDS)]
    plain = [field for field in plain if not field.startswith("contact.")]
    dated = [*DATE_FIELDS, "event.date"]
    lines = [
        f'{field} = "{field}"' for field in (*plain, *dated, "payment.amount", "contact.phone", "contact.phone_type")
    ]
    header = ",".join((*plain, *dated, "payment.amount", "contact.phone", "contact.phone_type"))
    cells = ",".join(
        (*(f"x {field}" for field in plain), *["02/16/2026"] * len(dated), "$12.50", "404-555-0101", "CELL")
    )
    upload = load(court, 'name = "t"\n[columns]\n' + "\n".join(lines), f"{header}\n{cells}\n")
    assert (upload.status, court.errors(upload)) == ("processed", [])
    for table in ("clients", "cases", "case_parties", "events", "payments"):
        names = [field.partition(".")[2] for field in plain if _table(field) == table]
        columns = ["group_name" if name == "group" else name for name in names]
        assert columns
        [row] = select(court, f"SELECT {', '.join(columns)} FROM {table}")
        assert row == tuple(f"x {field}" for field in plain if _table(field) == table)
    assert select(court, "SELECT dob FROM clients") == [("2026-02-16",)]
    assert select(court, "SELECT amount, due_date FROM payments") == [(1250, "2026-02-16")]
    assert select(court, "SELECT type FROM contacts") == [("CELL",)]


def _table(field: str) -> str:
    kinds = {"client": "clients", "event": "events", "payment": "payments"}
    return "case_parties" if field == "case.role" else kinds.get(field.partition(".")[0], "cases")


def test_custom_columns_stay_with_their_record(court: Court) -> None:
    toml = (
        HEAD
        + 'event.date = "d"\n[custom]\ncase."Bond Type" = "bond"\ncase.plea = { column = "plea", case = "lower" }\n'
    )
    toml += 'client.spouse = "spouse"\nevent."it\'s" = "x"'
    load(court, toml, "id,no,d,bond,plea,spouse,x\n1,C1,03/16/2026,Cash,GUILTY,Jo,1\n2,C2,03/16/2026,,,,\n")
    assert customs(court, "cases") == [{"Bond Type": "Cash", "plea": "guilty"}, None]
    upload = court.push("id,no,d,bond,plea,spouse,x\n1,C1,03/16/2026,Surety,,,\n2,C2,03/16/2026,,,,\n", "/t/b.csv")
    assert customs(court, "cases") == [{"Bond Type": "Surety", "plea": "guilty"}, None]
    assert {kind: count.updated for kind, count in upload.counts.items()} == {
        "clients": 0,
        "contacts": 0,
        "cases": 1,
        "events": 0,
    }
    assert customs(court, "clients") == [{"spouse": "Jo"}, None]
    assert customs(court, "events") == [{"it's": "1"}, None]


def test_a_hearing_that_cannot_be_told_from_others_is_answered(court: Court) -> None:
    toml = HEAD + 'event.date = "d"\nevent.room = "room"\n[match]\nevent = "date + room"'
    upload = load(court, toml, "id,no,d,room\n1,C1,03/16/2026,\n2,C2,03/16/2026,7\n3,C3,,\n")
    assert codes(court.errors(upload)) == [(2, "d", "no_event", "error")]
    assert select(court, "SELECT count(*) FROM events") == [(1,)]


def test_a_payment_that_cannot_be_told_from_others_is_answered(court: Court) -> None:
    toml = HEAD + 'payment.amount = "sum"\npayment.citation = "cit"\n[match]\npayment = "citation"'
    upload = load(court, toml, "id,no,sum,cit\n1,C1,5,\n2,C2,5,7\n3,C3,,\n")
    assert [(e.row, e.code, e.severity) for e in court.errors(upload)] == [(2, "no_payment", "warning")]
    assert select(court, "SELECT amount FROM payments") == [(500,)]


def test_namesakes_on_cases_of_the_same_number_in_two_counties_are_two(court: Court) -> None:
    toml = 'name = "t"\n[columns]\nclient.last_name = "last"\nclient.first_name = "first"\ncase.number = "no"\n'
    toml += 'case.location = "loc"\n[match]\ncase = "number + location"'
    content = "last,first,no,loc\nSmith,John,26-1,Adams\nSmith,John,26-1,Baker\nSmith,John,26-1,Adams\n"
    load(court, toml, content, content + "Smith,John,26-1,Clay\n")
    assert select(court, "SELECT count(*) FROM clients") == [(3,)]
    assert select(court, "SELECT count(*) FROM case_parties") == [(3,)]


def test_a_reference_of_null_is_none(court: Court) -> None:
    toml = HEAD + 'event.date = "d"\nevent.reference = "ref"\nclient.last_name = "last"'
    load(court, toml, "id,no,d,ref,last\n1,C1,03/16/2026,NULL,A\n1,C1,04/20/2026,n/a,A\n2,NULL,03/16/2026,,B\n")
    assert select(court, "SELECT local_date FROM events ORDER BY 1") == [
        ("2026-03-16",),
        ("2026-03-16",),
        ("2026-04-20",),
    ]
    assert select(court, "SELECT number FROM cases") == [("C1",)]


def test_a_custom_field_may_have_a_colon_beside_a_party(court: Court) -> None:
    toml = HEAD + '[custom]\ncase."Bond: Type" = "bond"\n[[party]]\nname = "lawyer"\ncolumns.client.reference = "aid"'
    load(court, toml, "id,no,bond,aid\n1,C1,Cash,9\n")
    assert customs(court, "cases") == [{"Bond: Type": "Cash"}]


def test_payments_are_owed_by_a_client_on_a_case(court: Court) -> None:
    toml = (
        HEAD + 'payment.amount = "amt"\npayment.due_date = "due"\npayment.description = "what"\npayment.status = "st"'
    )
    upload = load(
        court,
        toml,
        "id,no,amt,due,what,st\n1,C1,$1,200.5,03/16/2026,Fine,pending\n",
        'id,no,amt,due,what,st\n1,C1,"$1,200.5",03/16/2026,Fine,pending\n1,C1,(12),,Refund,\n2,C2,,,nothing,\n3,C3,x,,,\n',
        "id,no,amt,due,what,st\n1,C1,800,03/16/2026,Fine,\n",
    )
    assert upload.counts["payments"] == Counts(0, 1, 0)
    assert select(court, "SELECT amount, due_date, description, status FROM payments ORDER BY amount") == [
        (-1200, None, "Refund", None),
        (80000, "2026-03-16", "Fine", "pending"),
    ]


@pytest.mark.parametrize(
    ("cell", "cents"),
    [
        ("$1,234.50", 123450),
        ("-5", -500),
        ("(5.5)", -550),
        ("0", 0),
        ("$ 7", 700),
        ("1,23", None),
        ("5.123", None),
        ("(5", None),
    ],
)
def test_amounts(cell: str, cents: int | None) -> None:
    from ingest.coerce import read_money

    assert read_money([cell]) == [None if cents is None else str(cents)]


def test_a_row_may_hold_several_contacts_and_what_is_said_of_them(court: Court) -> None:
    toml = (
        HEAD
        + 'contact.phone = "p1"\ncontact.phone_type = "t1"\ncontact.phone_2 = "p2"\ncontact.phone_2_opt_in = "o2"\n'
    )
    toml += 'contact.email = "e1"\ncontact.email_2 = "e2"'
    header = "id,no,p1,t1,p2,o2,e1,e2\n"
    upload = load(
        court, toml, header + "1,C1,404-555-0101,CELL,(404) 555-0102,N,a@x.com,b@x.com\n1,C1,404-555-0102,,,,,\n"
    )
    assert upload.counts["contacts"].created == 4
    query = "SELECT kind, value, type, opt_in FROM contacts ORDER BY value"
    assert select(court, query) == [
        ("phone", "+14045550101", "CELL", None),
        ("phone", "+14045550102", None, "no"),
        ("email", "a@x.com", None, None),
        ("email", "b@x.com", None, None),
    ]
    upload = court.push(header + "1,C1,404-555-0102,HOME,,,,\n1,C1,,,404-555-0102,maybe,,\n", "/t/b.csv")
    assert upload.counts["contacts"].updated == 1
    assert codes(court.errors(upload)) == [(3, "o2", "bad_yes_no", "warning")]
    assert select(court, query)[1] == ("phone", "+14045550102", "HOME", "no")


ATTORNEYS = (
    HEAD
    + """event.date = "d"
client.last_name = "l"
[[party]]
name = "attorney"
columns.client.reference = "aid"
columns.client.name = { column = "aname" }
columns.contact.email = "amail"
constants.case.role = "Attorney"
constants.client.type = "attorney"
[[party]]
hearing = true
columns.client.name = "victim"
columns.contact.phone = "vphone"
columns.case.role = "vrole"
"""
)
ATTORNEYS_HEADER = "id,no,d,l,aid,aname,amail,victim,vphone,vrole\n"


def test_further_parties_of_a_row_are_people_of_the_case(court: Court) -> None:
    rows = (
        '1,C1,03/16/2026,Pine,A7,"BIRCH, ANA",ana@x.com,"Oak, Vic",404-555-0101,Victim\n'
        '2,C1,03/16/2026,Fir,A7,"BIRCH, ANA",,,,\n'
        "3,C2,03/16/2026,Elm,,,lost@x.com,,,\n"
    )
    upload = load(court, ATTORNEYS, ATTORNEYS_HEADER + rows)
    assert codes(court.errors(upload)) == [(4, "amail", "nobody_named", "warning")]
    assert [client[:2] + client[4:5] + client[9:10] for client in court.dump()["clients"]] == [
        ("#1", "1", "Pine", None),
        ("#2", "2", "Fir", None),
        ("#3", "3", "Elm", None),
        ("#A7", "A7", "BIRCH", "attorney"),
        ("oak\x1fvic\x1fC1", None, "Oak", None),
    ]
    assert [party[:3] for party in court.dump()["case_parties"]] == [
        ("C1", "#1", None),
        ("C1", "#2", None),
        ("C1", "#A7", "Attorney"),
        ("C1", "oak\x1fvic\x1fC1", "Victim"),
        ("C2", "#3", None),
    ]
    assert [contact[:3] for contact in court.dump()["contacts"]] == [
        ("#A7", "email", "ana@x.com"),
        ("oak\x1fvic\x1fC1", "phone", "+14045550101"),
    ]
    assert [event[:2] for event in court.dump()["events"]] == [
        ("#1", "C1"),
        ("#2", "C1"),
        ("#3", "C2"),
        ("oak\x1fvic\x1fC1", "C1"),
    ]


def test_the_last_row_wins_whichever_party_it_speaks_of(court: Court) -> None:
    head = "id,no,d,l,aid,aname,amail,victim,vphone,vrole\n"
    load(court, ATTORNEYS, head + '1,C1,03/16/2026,A,7,"First, X",,,,\n7,C2,03/16/2026,Second,,,,,,\n')
    assert select(court, "SELECT last_name FROM clients WHERE reference = '7'") == [("Second",)]
    court.push(head + '7,C2,03/16/2026,Third,,,,,,\n1,C1,03/16/2026,A,7,"Fourth, X",,,,\n', "/t/b.csv")
    assert select(court, "SELECT last_name FROM clients WHERE reference = '7'") == [("Fourth",)]


def test_what_records_are_known_by_is_part_of_the_template(court: Court) -> None:
    toml = (
        'name = "idaho"\n[columns]\ncase.number = "n"\ncase.location = "county"\ncase.style = "s"\nevent.date = "d"\n'
    )
    toml += 'event.type = "t"\n[match]\ncase = "number + location"\nevent = ["date + type"]'
    load(
        court,
        toml,
        "n,county,s,d,t\nC1,Ada,A v B,03/16/2026,Plea\nC1,ADA,A v B,03/16/2026,Plea\nC1,Boise,,03/16/2026,Plea\n",
    )
    assert select(court, "SELECT number, location FROM cases ORDER BY id") == [("C1", "ADA"), ("C1", "Boise")]
    assert len(select(court, "SELECT id FROM events")) == 2


def test_people_may_be_known_by_name_and_birthday(court: Court) -> None:
    toml = 'name = "dob"\n[columns]\ncase.number = "n"\nclient.name = "who"\nclient.dob = "dob"\n'
    toml += '[match]\nclient = ["name + dob", "name + case"]'
    load(
        court,
        toml,
        "n,who,dob\nC1,Bo Pine,01/02/1980\nC2,BO PINE,1/2/1980\nC3,Bo Pine,01/02/1990\nC3,Bo Pine,\n",
        "n,who,dob\nC9,Bo Pine,01/02/1980\n",
    )
    people = "SELECT first_name, dob FROM clients ORDER BY coalesce(dob, '')"
    assert select(court, people) == [("Bo", None), ("Bo", "1980-01-02"), ("Bo", "1990-01-02")]


def test_events_may_be_known_by_room_too(court: Court) -> None:
    toml = HEAD + 'event.date = "d"\nevent.room = "r"\n[match]\nevent = ["date + time + room"]'
    load(court, toml, "id,no,d,r\n1,C1,03/16/2026,A\n1,C1,03/16/2026,a\n1,C1,03/16/2026,B\n")
    assert len(select(court, "SELECT id FROM events")) == 2


def test_filters_leave_rows_out_and_say_so(court: Court) -> None:
    toml = HEAD + 'event.date = "d"\nevent.status = "s"\ncontact.phone = "p"\n' + FILTERS
    header = "id,no,d,s,p,kind\n"
    rows = [
        "1,C1,04/16/2026,Scheduled,404-555-0101,x",
        "2,C2,04/16/2026,VACATED,x,x",
        "3,C3,04/16/2026,Scheduled,,x",
        "4,C4,04/16/2026,Scheduled,404-555-0104,TEST-9",
        "5,C5,02/16/2026,Scheduled,404-555-0105,x",
        "6,C6,04/16/2026,Odd,404-555-0106,x",
        "7,C7,04/16/2026,,404-555-0107,x",
        "8,C8,02/30/2026,Scheduled,404-555-0108,x",
        ",,,,,",
    ]
    upload = load(court, toml, header + "\n".join(rows) + "\n")
    assert [client[0] for client in court.dump()["clients"]] == ["#1", "#7"]
    assert (upload.rows, upload.excluded, upload.error_rows, upload.warning_rows, upload.skipped) == (9, 5, 1, 0, 1)
    errors = court.errors(upload)
    assert [(e.row, e.message) for e in errors if e.severity == "excluded"] == [
        (3, "Left out: event.status is one of those that are left out."),
        (4, "Left out: contact.phone is empty."),
        (5, "Left out: a test case."),
        (6, "Left out: event.date is past."),
        (7, "Left out: event.status is none of those that are taken."),
    ]
    told = receipt(upload, errors)
    assert (told["excluded_rows"], len(told["excluded"]), [e["row"] for e in told["errors"]]) == (5, 5, [9])
    shown = receipt_text(upload, errors)
    assert "5 left out by the template's filters" in shown
    assert "row 5: Left out: a test case." in shown
    from ingest.answer import error_file

    assert error_file(upload, errors).count(b"\r\n") == 2


FILTERS = """
[[exclude]]
field = "event.status"
is = ["Vacated", "closed"]
[[exclude]]
field = "contact.phone"
blank = true
[[exclude]]
column = "kind"
matches = "^(?i)test"
name = "a test case"
[[exclude]]
field = "event.date"
past = true
[[exclude]]
field = "event.status"
is_not = ["Scheduled", "Continued"]
"""


def test_a_file_of_which_everything_is_left_out_is_processed(court: Court) -> None:
    toml = HEAD + '[[exclude]]\ncolumn = "x"\nis = "no"'
    upload = load(court, toml, "id,no,x\n1,C1,no\n")
    assert (upload.status, upload.excluded, upload.error) == ("processed", 1, None)
    assert "every row was read; the template's filters leave out 1 of 1." in receipt_text(upload, [])
    assert court.push("id,no,x\n1,C1,No\n1,C1,no\n", "/t/b.csv").excluded == 2


def test_a_pattern_cannot_hang(court: Court) -> None:
    toml = HEAD + '[[exclude]]\ncolumn = "x"\nmatches = "^(a+)+$"'
    assert load(court, toml, "id,no,x\n1,C1," + "a" * 7000 + "b\n").excluded in (0, 1)


def test_a_template_has_limits_of_its_own(court: Court) -> None:
    upload = load(court, HEAD + "[limits]\nrows = 2", "id,no\n1,C1\n2,C2\n", "id,no\n1,C1\n2,C2\n3,C3\n")
    assert upload.error is not None
    assert (upload.error.code, "3 rows" in upload.error.message) == ("too_many_rows", True)
    court.template(HEAD.replace('"t"', '"u"') + '[limits]\nsize = "1 kB"', "/u")
    assert court.push("id,no\n1,C1\n", "/u/a.csv").status == "processed"
    error = court.push("id,no\n1,C1\n" + "\n" * 1000, "/u/b.csv").error
    assert error is not None
    assert error.code == "too_large"


def test_local_times_that_the_clocks_skip_or_repeat_are_decided_and_told(court: Court) -> None:
    toml = HEAD + 'event.datetime = "d"\n'
    rows = "id,no,d\n1,C1,03/08/2026 2:30 AM\n2,C2,11/01/2026 1:30 AM\n3,C3,11/01/2026\n"
    upload = load(court, toml, rows)
    night = [(line, "d", "night_time", "warning") for line in (2, 3)]
    told = [(2, "d", "time_never", "warning"), (3, "d", "time_twice", "warning")]
    assert codes(court.errors(upload)) == sorted(night + told)
    assert [event[4] for event in court.dump()["events"]] == [
        "2026-03-08T07:30:00.000000Z",
        "2026-11-01T05:30:00.000000Z",
        "2026-11-01T04:00:00.000000Z",
    ]
    court.template(toml.replace('"t"', '"u"') + '[clock]\ntwice = "second"\nnever = "refuse"', "/u")
    upload = court.push(rows.replace("1,C1", "4,C4"), "/u/a.csv")
    told = [(2, "d", "refused_never", "error"), (3, "d", "time_twice", "warning")]
    assert codes(court.errors(upload)) == sorted(night + told)
    assert court.dump()["events"][1][4] == "2026-11-01T06:30:00.000000Z"
    assert "the second." in court.errors(upload)[-1].message


def test_each_date_may_have_formats_of_its_own(court: Court) -> None:
    toml = (
        HEAD + 'event.date = { column = "d", formats = ["excel", "%d.%m.%Y"] }\n'
        'event.time = { column = "t", formats = "excel" }\n'
    )
    toml += 'client.dob = { column = "b", formats = "%m/%d/%y", pivot = 10 }'
    rows = (
        "id,no,d,t,b\n1,C1,46097,0.375,01/02/11\n2,C2,16.03.2026,0.5,01/02/10\n3,C3,03/16/2026,,\n4,C4,46097.5,1.5,\n"
    )
    upload = load(court, toml, rows)
    assert codes(court.errors(upload)) == [
        (4, "d", "bad_date", "error"),
        (5, "d", "date_with_time", "error"),
        (5, "t", "bad_time", "error"),
    ]
    assert [event[5:7] for event in court.dump()["events"]] == [("2026-03-16", "09:00"), ("2026-03-16", "12:00")]
    assert select(court, "SELECT dob FROM clients ORDER BY reference") == [("1911-01-02",), ("2010-01-02",)]


def test_month_day_and_year_may_be_three_columns(court: Court) -> None:
    toml = HEAD + 'event.date = { join = ["m", "d", "y"], with = "/" }'
    load(court, toml, "id,no,m,d,y\n1,C1,3,16,2026\n")
    assert [event[5] for event in court.dump()["events"]] == ["2026-03-16"]


def test_the_time_that_a_format_of_dates_reads_is_not_dropped_from_a_hearing(court: Court) -> None:
    formats = 'date = ["%m/%d/%Y %H:%M"]\n'
    toml = HEAD + f'event.date = "d"\ncase.offense_date = "o"\n[formats]\n{formats}'
    upload = load(
        court, toml, "id,no,d,o\n1,C1,03/16/2026 00:00,03/01/2026 22:15\n2,C2,03/16/2026 13:30,03/01/2026 22:15\n"
    )
    assert codes(court.errors(upload)) == [(3, "d", "date_with_time", "error")]
    assert [event[5:7] for event in court.dump()["events"]] == [("2026-03-16", None)]
    assert select(court, "SELECT offense_date FROM cases") == [("2026-03-01",)]


def test_the_first_reference_of_several_columns_is_none_that_says_null(court: Court) -> None:
    toml = 'name = "t"\n[columns]\nclient.reference = { first = ["dl", "pid"] }\ncase.number = "no"\n'
    toml += 'client.last_name = "last"\nevent.date = "d"\nevent.reference = { join = ["a", "b"], with = "-" }\n'
    rows = "dl,pid,no,last,d,a,b\nNULL,77,C1,Alder,03/16/2026,NULL,N/A\n,77,C1,Alder,03/16/2026,,\n"
    upload = load(court, toml, rows)
    assert court.errors(upload) == []
    assert select(court, "SELECT identity FROM clients") == [("#77",)]
    assert select(court, "SELECT reference FROM events") == [(None,)]
