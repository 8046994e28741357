"""What people are told of a row: the right column, what stands there, and how it should be written."""

import pytest

from tests.ingest.court import Court
from tests.ingest.test_mapping import HEAD, load

Told = tuple[str, str, str]


def told(court: Court, toml: str, content: str) -> list[Told]:
    return [(error.column, error.value, error.message) for error in court.errors(load(court, toml, content))]


def test_who_is_nobody_is_told_by_what_the_template_knows_people_by(court: Court) -> None:
    toml = 'name = "t"\n[columns]\nclient.last_name = "last"\nclient.dob = "dob"\ncase.number = "no"\n'
    toml += '[match]\nclient = "name + dob"\n'
    [(column, _, sentence)] = told(court, toml, "last,dob,no\nAlder,,C1\n")
    assert column == "last"
    assert sentence == "The row names no client: what the template knows people by is empty (name + dob)."


def test_a_format_is_told_by_how_it_looks(court: Court) -> None:
    [(_, _, sentence)] = told(
        court, f'{HEAD}event.date = "d"\n[formats]\ndate = "%d.%m.%Y"\n', "id,no,d\n1,C1,03/16/2026\n"
    )
    assert "written like 16.03.2026" in sentence


def test_a_time_of_a_spreadsheet_is_told_by_a_number_that_is_one(court: Court) -> None:
    toml = f'{HEAD}event.date = "d"\nevent.time = "h"\n[formats]\ndate = ["excel"]\ntime = ["excel", "%H:%M"]\n'
    found = told(court, toml, "id,no,d,h\n1,C1,soon,9:00\n2,C2,46097,9:0x\n")
    assert [sentence.partition("written ")[2] for _, _, sentence in found] == ["like 46097.", "like 0.375."]


@pytest.mark.parametrize(
    ("cell", "wrong"),
    [("03/16/2026 25:99", "time"), ("03/16/2026T9 o'clock", "time"), ("03/36/2026 9:00 AM", "date"), ("soon", "date")],
)
def test_of_a_combined_column_it_is_told_what_is_wrong(court: Court, cell: str, wrong: str) -> None:
    [(column, value, sentence)] = told(court, f'{HEAD}event.datetime = "when"\n', f"id,no,when\n1,C1,{cell}\n")
    assert (column, value) == ("when", cell)
    assert sentence.startswith(f"The cell holds no {wrong} that exists")


def test_an_hour_that_comes_twice_is_told_of_the_cell_that_holds_it(court: Court) -> None:
    toml = f'{HEAD}event.datetime = "when"\nevent.date = "d"\nevent.time = {{ join = ["h", "m"], with = ":" }}\n'
    rows = "id,no,when,d,h,m\n1,C1,,11/01/2026,1,30\n2,C2,11/01/2026 1:30 AM,,,\n3,C3,11/01/2026,,1,45\n"
    cells = [(column, value) for column, value, sentence in told(court, toml, rows) if "comes twice" in sentence]
    assert cells == [("h", "1:30"), ("when", "11/01/2026 1:30 AM"), ("h", "1:45")]


def test_of_several_columns_the_one_is_told_that_counts(court: Court) -> None:
    toml = f'{HEAD}contact.phone = {{ first = ["cell", "home"] }}\n'
    found = told(court, toml, "id,no,cell,home\n1,C1, ,55-12\n2,C2,55-13,55-12\n")
    assert [cell[:2] for cell in found] == [("home", "55-12"), ("cell", "55-13")]
