"""What an empty cell means: it leaves its field alone, or empties it, as the template says."""

import json
from typing import Any

import pytest

from ingest.errors import IngestError
from ingest.limits import Limits
from ingest.template import load_template
from tests.ingest.court import Court
from tests.ingest.test_matching import HEAD, load, select

CLEAR = f"""empty = "clear"
optional = ["client.gender"]
required = ["client.reference"]
{HEAD}
client.dob = "dob"
client.gender = "gender"
client.language = {{ column = "lang", values = {{ "?" = "" }} }}
contact.phone = "tel"
contact.phone_type = "kind"
case.role = "role"
event.date = "d"
event.room = "room"
payment.description = "what"
payment.amount = "sum"
payment.due_date = "due"
payment.citation = "cit"
[custom]
case."Bond \\"é\\" Type" = "bond"
case.plea = "plea"
"""
CLEAR_HEADER = "id,last,no,dob,gender,lang,tel,kind,role,d,room,what,sum,due,cit,bond,plea\n"
FULL = "1,Pine,C1,02/03/1990,F,fr,404-555-0101,CELL,Defendant,03/16/2026,7,Fine,12.5,04/01/2026,X,"
ABOUT = (
    "SELECT last_name, dob, gender, language FROM clients",
    "SELECT type FROM contacts",
    "SELECT role FROM case_parties",
    "SELECT room, slot FROM events",
    "SELECT description, amount, citation FROM payments",
    "SELECT custom FROM cases",
)


def told(court: Court) -> list[tuple[Any, ...]]:
    return [row for sql in ABOUT for row in select(court, sql)]


def test_an_empty_cell_empties_its_field_where_the_template_says_so(court: Court) -> None:
    court.template(CLEAR, "/t")
    court.push(CLEAR_HEADER + FULL + "cash,guilty\n", "/t/1.csv")
    full = [
        ("Pine", "1990-02-03", "F", "fr"),
        ("CELL",),
        ("Defendant",),
        ("7", "2026-03-16"),
        ("Fine", 1250, "X"),
    ]
    assert told(court)[:-1] == full
    assert json.loads(told(court)[-1][0]) == {'Bond "é" Type': "cash", "plea": "guilty"}
    upload = court.push(f"{CLEAR_HEADER}{FULL[:-2]}Y,,x\n", "/t/2.csv")
    assert json.loads(told(court)[-1][0]) == {"plea": "x"}
    assert {kind: count.updated for kind, count in upload.counts.items()} == {
        **dict.fromkeys(("clients", "contacts", "events"), 0),
        **dict.fromkeys(("cases", "payments"), 1),
    }
    emptied = "1,,C1,,,?,404-555-0101,,,03/16/2026,,Fine,,04/01/2026,Y,,\n"
    upload = court.push(CLEAR_HEADER + emptied, "/t/3.csv")
    assert told(court) == [(None,) * 4, (None,), (None,), (None, "2026-03-16"), ("Fine", None, "Y"), (None,)]
    assert all(count.updated == 1 and count.created == 0 for count in upload.counts.values())
    upload = court.push(CLEAR_HEADER + emptied, "/t/4.csv", skipping=False)
    assert all(count.updated == count.created == 0 for count in upload.counts.values())


def test_a_column_that_is_not_there_and_a_cell_that_cannot_be_read_empty_nothing(court: Court) -> None:
    court.template(CLEAR, "/t")
    court.push(CLEAR_HEADER + FULL + "cash,guilty\n", "/t/1.csv")
    court.push(
        CLEAR_HEADER.replace("gender,", "") + FULL.replace("F,", "").replace("02/03", "02/33") + ",\n", "/t/2.csv"
    )
    assert told(court)[0] == ("Pine", "1990-02-03", "F", "fr")
    assert told(court)[-1] == (None,)


def test_what_records_are_matched_by_is_never_emptied(court: Court) -> None:
    toml = f'empty = "clear"\n{HEAD}client.dob = "dob"\nevent.date = "d"\nevent.type = "type"\n'
    toml += '[match]\nclient = ["reference", "name + dob"]\n'
    load(court, toml, "id,last,no,dob,d,type\n1,A,C1,02/03/1990,,\n", "id,last,no,dob,d,type\n1,,C1,,03/16/2026,\n")
    assert select(court, "SELECT last_name, dob FROM clients") == [("A", "1990-02-03")]


def test_a_further_party_without_the_column_keeps_what_it_has(court: Court) -> None:
    toml = f'empty = "clear"\n{HEAD}client.language = "lang"\n[[party]]\ncolumns.client.reference = "aid"\n'
    load(court, toml, "id,last,no,lang,aid\n9,Elm,C1,fr,\n", "id,last,no,lang,aid\n1,A,C2,,9\n")
    assert select(court, "SELECT reference, language FROM clients ORDER BY 1") == [("1", None), ("9", "fr")]


def test_of_several_rows_the_last_one_empties(court: Court) -> None:
    court.limits = Limits(chunk=1)
    toml = f'empty = "clear"\n{HEAD}client.language = "lang"\n'
    load(court, toml, "id,last,no,lang\n1,A,C1,fr\n1,A,C1,\n2,A,C1,\n2,A,C1,de\n")
    assert select(court, "SELECT reference, language FROM clients ORDER BY 1") == [("1", None), ("2", "de")]


def test_empty_leaves_or_clears_and_nothing_else() -> None:
    with pytest.raises(IngestError, match="empty"):
        load_template(f'empty = "delete"\n{HEAD}')
