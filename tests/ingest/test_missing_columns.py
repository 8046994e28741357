"""What a file says that lacks a column of its template: nothing for what is made of it, and nothing wrong."""

from ingest.answer import Upload
from tests.ingest.court import Court
from tests.ingest.test_mapping import HEAD, load, select

DATED = HEAD + 'event.date = "d"\n'
STATUS = 'event.status = { column = "st", values = { Cancelled = "canceled" }, default = "scheduled" }\n'


def optional(*fields: str) -> str:
    return f"optional = {list(fields)}\n"


def told(upload: Upload, word: str) -> list[str]:
    assert upload.error is None, upload.error
    return [note for note in upload.notes if word in note]


def test_a_default_is_for_empty_cells_and_not_for_a_column_that_is_gone(court: Court) -> None:
    rows = "id,no,d,st\n1,C1,03/16/2026,Cancelled\n2,C2,03/16/2026,\n"
    load(court, optional("event.status") + DATED + STATUS, rows, "id,no,d\n1,C1,03/16/2026\n2,C2,03/16/2026\n")
    assert select(court, "SELECT status FROM events ORDER BY case_id") == [("canceled",), ("scheduled",)]


def test_a_snapshot_without_the_column_of_a_default_leaves_the_field(court: Court) -> None:
    toml = optional("event.status") + DATED + STATUS + '[processing]\nmethod = "replace_template"\n'
    load(court, toml, "id,no,d,st\n1,C1,03/16/2026,Cancelled\n", "id,no,d\n1,C1,03/16/2026\n")
    assert select(court, "SELECT status FROM events") == [("canceled",)]


def test_a_filter_on_a_field_with_a_default_leaves_nothing_out_without_its_column(court: Court) -> None:
    toml = optional("event.status") + DATED + STATUS + '[[exclude]]\nfield = "event.status"\nis = "scheduled"\n'
    upload = load(court, toml, "id,no,d\n1,C1,03/16/2026\n")
    assert (upload.excluded, len(told(upload, "No row was left out"))) == (0, 1)


def test_a_filter_by_day_looks_at_a_date_that_is_put_together(court: Court) -> None:
    toml = (
        HEAD + 'event.date = { join = ["m", "d", "y"], with = "/" }\n[[exclude]]\nfield = "event.date"\npast = true\n'
    )
    upload = load(court, toml, "id,no,m,d,y\n1,C1,3,16,2020\n2,C2,3,16,2027\n")
    assert (upload.excluded, told(upload, "No row was left out")) == (1, [])


STYLE = 'case.style = { join = ["a", "b"], with = " v " }\n'


def test_what_is_joined_is_not_overwritten_by_a_half_of_it(court: Court) -> None:
    toml = optional("case.style") + HEAD + STYLE
    upload = load(court, toml, "id,no,a,b\n1,C1,State,Alder\n", "id,no,a\n1,C1,State\n2,C2,State\n")
    assert select(court, "SELECT style FROM cases ORDER BY number") == [("State v Alder",), (None,)]
    [note] = told(upload, "'b' is gone")
    assert "Nothing is read for case.style" in note
    assert told(upload, "Not put together") == ["Not put together, since a column of it is missing: case.style."]


def test_a_snapshot_that_lacks_a_part_leaves_what_is_joined(court: Court) -> None:
    toml = optional("case.style") + HEAD + STYLE + '[processing]\nmethod = "replace_template"\n'
    load(court, toml, "id,no,a,b\n1,C1,State,Alder\n", "id,no,a\n1,C1,State\n")
    assert select(court, "SELECT style FROM cases") == [("State v Alder",)]


def test_what_is_read_from_another_column_is_not_told_to_be_left(court: Court) -> None:
    toml = optional("contact.phone") + HEAD + 'contact.phone = { first = ["cell", "home"] }\n'
    upload = load(court, toml, "id,no,cell,home\n1,C1,404-555-0101,\n", "id,no,home\n1,C1,404-555-0102\n")
    [note] = told(upload, "'cell' is gone")
    assert "contact.phone is read from its other columns alone." in note
    assert "Nothing is read" not in note


def test_a_required_field_that_is_joined_needs_all_of_its_columns(court: Court) -> None:
    toml = 'required = ["case.number"]\n' + optional("case.number")
    toml += 'name = "t"\n[columns]\nclient.reference = "id"\ncase.number = { join = ["year", "seq"], with = "-" }\n'
    upload = load(court, toml, "id,year,seq\n1,26,7\n", "id,year\n1,26\n")
    assert upload.error is not None
    assert "seq" in upload.error.message
    assert select(court, "SELECT number FROM cases") == [("26-7",)]
