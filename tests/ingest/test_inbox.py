"""Arrivals are registered once, matched with the most specific profile, and never lost or downgraded."""

from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import Connection

from ingest import inbox
from ingest.arrival import ArrivalState, Profile, Received
from ingest.errors import IngestError
from ingest.inbox.arrivals import match
from ingest.record import new_id
from tests.ingest.court import BEGIN, Court, ecr, row

PROFILES = [
    Profile("1", "agency", "all", "odyssey-ecr"),
    Profile("2", "agency", "ecr", "odyssey-ecr", keyword="ECR", blockword="test"),
    Profile("3", "agency", "long", "odyssey-ecr", keyword="ecr_civil"),
    Profile("4", "agency", "jury", "odyssey-ecr", directory="/jury/", keyword="jury", blockword="old"),
]


def received(path: str, name: str = "a") -> Received:
    return Received(f"arrival-{name}", "agency", path, 10, "sftp", "session", BEGIN)


@pytest.mark.parametrize(
    ("path", "state", "profile"),
    [
        ("/upload/x.txt", "received", "1"),
        ("/upload/my_Ecr.txt", "received", "2"),
        ("/upload/ECR_Civil.txt", "received", "3"),
        ("/upload/ecr_TEST.txt", "received", "1"),
        ("/jury/Jury.txt", "received", "4"),
        ("/jury/Jury-OLD.txt", "blocked", "4"),
        ("/jury/x.txt", "unmatched", None),
        ("/upload/deeper/x.txt", "unmatched", None),
        ("/x.txt", "unmatched", None),
    ],
)
def test_the_most_specific_profile_reads_a_file(path: str, state: str, profile: str | None) -> None:
    told, found, detail = match(received(path), PROFILES)
    assert (told, found.id if found else None) == (state, profile)
    assert detail.endswith(".")


@pytest.fixture
def conn(court: Court) -> Connection:
    with court.database.writing() as conn:
        yield conn


def test_registering_twice_is_registering_once(conn: Connection) -> None:
    first = inbox.register(conn, received("/upload/x.txt"))
    assert inbox.register(conn, received("/upload/y.txt")) == first
    assert (first.state, first.name, first.received_at) == (ArrivalState.RECEIVED, "x.txt", BEGIN)
    assert inbox.waiting(conn) == [first.id]
    assert inbox.list_arrivals(conn, "agency", ArrivalState.RECEIVED) == [first]
    assert inbox.list_arrivals(conn, "stranger") == []


def test_a_partial_file_becomes_whole_but_not_the_other_way(conn: Connection) -> None:
    torn = inbox.record_partial(conn, received("/upload/x.txt"), "The connection was lost.")
    assert (torn.state, torn.detail) == (ArrivalState.PARTIAL, "The connection was lost.")
    whole = inbox.register(conn, received("/upload/x.txt"))
    assert whole.state == ArrivalState.RECEIVED
    assert inbox.record_partial(conn, received("/upload/x.txt"), "again") == whole
    inbox.mark_removed(conn, whole.id)
    assert inbox.find_arrival(conn, whole.id) == whole


def test_a_partial_file_may_be_removed(conn: Connection) -> None:
    torn = inbox.record_partial(conn, received("/upload/x.txt"), "The connection was lost.")
    inbox.mark_removed(conn, torn.id)
    arrival = inbox.find_arrival(conn, torn.id)
    assert arrival is not None
    assert arrival.state == ArrivalState.REMOVED
    assert inbox.register(conn, received("/upload/x.txt")) == arrival


def test_profiles_are_found_by_name_or_told(conn: Connection) -> None:
    assert inbox.find_profile(conn, "agency", "daily") == inbox.list_profiles(conn, "agency")[0]
    with pytest.raises(IngestError, match="The agency has: daily") as caught:
        inbox.find_profile(conn, "agency", "nightly")
    assert caught.value.code == "not_found"


@pytest.mark.parametrize(
    ("name", "template", "directory", "code"),
    [
        ("daily", "odyssey-ecr", "/upload", "conflict"),
        ("x", "nothing", "/upload", "not_found"),
        ("x", "odyssey-ecr", "upload", "invalid"),
        ("x", "odyssey-ecr", "/../etc", "invalid"),
        (" ", "odyssey-ecr", "/upload", "invalid"),
    ],
)
def test_a_profile_that_makes_no_sense_is_refused(
    conn: Connection, name: str, template: str, directory: str, code: str
) -> None:
    with pytest.raises(IngestError) as caught:
        inbox.add_profile(conn, "agency", name, template, at=BEGIN, directory=directory)
    assert caught.value.code == code


def test_templates_have_versions(conn: Connection) -> None:
    text = 'name = "t"\n[columns]\ncase.number = 1'
    first = inbox.add_template(conn, "agency", text, BEGIN)
    assert inbox.add_template(conn, "agency", text, BEGIN + timedelta(days=1)) == first
    second = inbox.add_template(conn, "agency", text + "\n", BEGIN)
    assert (first.version, second.version) == (1, 2)
    assert inbox.find_template(conn, "agency", "t") == second
    assert [(t.name, t.version) for t in inbox.list_templates(conn, "agency")] == [("odyssey-ecr", 0), ("t", 2)]
    with pytest.raises(IngestError, match="There are: odyssey-ecr"):
        inbox.find_template(conn, "stranger", "t")


def test_an_own_template_takes_the_place_of_a_builtin_one(conn: Connection) -> None:
    own = inbox.add_template(conn, "agency", 'name = "odyssey-ecr"\n[columns]\ncase.number = 1', BEGIN)
    assert inbox.find_template(conn, "agency", "odyssey-ecr") == own
    assert inbox.find_template(conn, "stranger", "odyssey-ecr").version == 0


def test_uploads_wait_for_their_answer(court: Court) -> None:
    first, second = court.push(ecr(row())), court.push(ecr(row("2", date="x")))
    with court.database.writing() as conn:
        assert [upload.id for upload in inbox.unanswered(conn)] == [first.id, second.id]
        assert inbox.mark_answered(conn, first, BEGIN)
        assert [upload.id for upload in inbox.unanswered(conn)] == [second.id]
        assert not inbox.mark_answered(conn, replace(first, status="awaiting_confirmation"), BEGIN)
        assert [upload.id for upload in inbox.unanswered(conn)] == [first.id, second.id], "it was told something else"
        assert [upload.id for upload in inbox.list_uploads(conn, "agency")] == [second.id, first.id]
        assert len(inbox.row_errors(conn, second.id, limit=1)) == 1
        assert inbox.find_upload(conn, "nothing") is None


def test_row_errors_come_one_by_one_in_the_order_of_the_file(court: Court) -> None:
    upload = court.push(ecr(*(row(str(number), date="x") for number in range(350))))
    with court.database.reading() as conn:
        each = inbox.each_row_error(conn, upload.id)
        assert [next(each).row, next(each).row] == [2, 3]
        assert [error.row for error in each] == list(range(4, 352))
        assert list(inbox.each_row_error(conn, upload.id)) == inbox.row_errors(conn, upload.id)


def test_unknown_kinds_of_records_are_refused(conn: Connection) -> None:
    with pytest.raises(IngestError, match="clients, contacts, cases, events"):
        inbox.records(conn, "warrants", "agency")


def test_new_ids_sort_by_time() -> None:
    ids = [new_id(BEGIN + timedelta(milliseconds=i)) for i in range(50)]
    assert ids == sorted(ids)
    assert {(len(each), each[14], each[19] in "89ab") for each in ids} == {(36, "7", True)}


@pytest.mark.parametrize("name", ["n" * 201, "two\nlines", "\x1b[31mred"], ids=["long", "lines", "escape"])
def test_a_name_that_nobody_can_read_is_none(conn: Connection, name: str) -> None:
    with pytest.raises(IngestError, match="name of a profile cannot be used"):
        inbox.add_profile(conn, "agency", name, "odyssey-ecr", at=BEGIN, directory="/upload/a")
    text = inbox.find_template(conn, "agency", "odyssey-ecr").text
    odd = text.replace('"odyssey-ecr"', f"{name!a}".replace("'", '"').replace("\\x1b", "\\u001b"), 1)
    with pytest.raises(IngestError, match=r"name of a template cannot be used|holds a control character"):
        inbox.add_template(conn, "agency", odd, BEGIN)
