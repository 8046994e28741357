"""Cells that are filled and of which a rule makes nothing: they are not taken for empty ones."""

import pytest

from tests.ingest.court import Court, codes
from tests.ingest.test_mapping import HEAD, load, select

NAMED = 'name = "t"\n[columns]\nclient.last_name = "last"\ncase.number = "no"\nevent.date = "d"\n'
LOOKUP = '[lookups.people]\n"GA-77" = "77"\n'


@pytest.mark.parametrize("rule", ['split = "-", take = 2', 'lookup = "people", unknown = "empty"'])
def test_a_reference_that_a_rule_makes_nothing_of_makes_no_second_person(court: Court, rule: str) -> None:
    toml = f'{NAMED}client.reference = {{ column = "id", {rule} }}\n{LOOKUP}'
    rows = "id,last,no,d\nGA-77,Alder,C1,03/16/2026\n77,Alder,C1,03/16/2026\nNULL,Oak,C2,03/16/2026\n"
    upload = load(court, toml, rows)
    assert codes(court.errors(upload)) == [(3, "id", "key_nothing", "error")]
    assert "makes nothing of this cell" in court.errors(upload)[0].message
    assert select(court, "SELECT identity FROM clients ORDER BY 1") == [("#77",), ("oak\x1f\x1fC2",)]


def test_a_reference_that_says_nothing_by_its_values_is_none(court: Court) -> None:
    toml = f'{NAMED}client.reference = {{ column = "id", split = "-", take = 2, values = {{ "0" = "" }} }}\n'
    upload = load(court, toml, "id,last,no,d\nGA-0,Oak,C2,03/16/2026\n")
    assert (upload.status, select(court, "SELECT identity FROM clients")) == ("processed", [("oak\x1f\x1fC2",)])


def test_a_type_or_a_part_of_a_name_may_be_none(court: Court) -> None:
    toml = f'{HEAD}client.first_name = {{ column = "n", split = ",", take = 2 }}\nevent.date = "d"\n'
    toml += 'event.type = { column = "t", split = "-", take = 2 }\n'
    upload = load(court, toml, "id,no,n,d,t\n1,C1,Oak,03/16/2026,Plea\n")
    assert (upload.status, court.errors(upload)) == ("processed", [])


def test_a_hearing_of_which_the_reference_is_lost_is_answered(court: Court) -> None:
    toml = f'{HEAD}event.date = "d"\nevent.reference = {{ column = "ref", split = "-", take = 2 }}\n'
    upload = load(court, toml, "id,no,d,ref\n1,C1,03/16/2026,H7\n2,C2,,H7\n")
    assert codes(court.errors(upload)) == [(2, "ref", "key_nothing", "error"), (3, "ref", "nothing", "warning")]


def test_a_filled_cell_empties_no_field_where_empty_ones_do(court: Court) -> None:
    toml = f'empty = "clear"\n{HEAD}event.date = "d"\nevent.room = {{ column = "room", split = "-", take = 2 }}\n'
    toml += (
        'event.judge = { column = "judge", lookup = "judges", unknown = "empty" }\n[lookups.judges]\nA = "Alvarez"\n'
    )
    header = "id,no,d,room,judge\n"
    load(court, toml, f"{header}1,C1,03/16/2026,CH-4B,A\n", f"{header}1,C1,03/16/2026,CH 4B,B\n")
    assert select(court, "SELECT room, judge FROM events") == [("4B", "Alvarez")]
    court.push(f"{header}1,C1,03/16/2026,,\n", "/t/c.csv")
    assert select(court, "SELECT room, judge FROM events") == [(None, None)]


def test_a_filled_cell_empties_no_field_of_a_snapshot(court: Court) -> None:
    toml = f'{HEAD}event.date = "d"\nevent.room = {{ column = "room", split = "-", take = 2 }}\n'
    toml += '[processing]\nmethod = "replace_template"\n'
    load(court, toml, "id,no,d,room\n1,C1,03/16/2026,CH-4B\n", "id,no,d,room\n1,C1,03/16/2026,CH 4B\n")
    assert select(court, "SELECT room FROM events") == [("4B",)]
    court.push("id,no,d,room\n1,C1,03/16/2026,\n", "/t/c.csv")
    assert select(court, "SELECT room FROM events") == [(None,)]
