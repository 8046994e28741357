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
