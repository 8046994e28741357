"""What an export tells, when, and that each write is told once."""

from datetime import timedelta
from pathlib import Path

import pytest

from ingest import inbox
from server.errors import AppError
from server.outbound.exports.plan import Shape, When, cancel_export, change_export, pause_export, resume_export
from server.services.provision import create_agency
from tests.ingest.court import ecr, row
from tests.server.outbound.exports.conftest import Office


def test_the_first_file_holds_all_and_the_next_one_what_is_new(office: Office) -> None:
    office.push(ecr(row("1"), row("2", "CR-2", last="Birch")))
    export = office.export()
    office.go(hours=23)
    assert not office.folder.exists()
    office.go(hours=1)
    (first,) = office.files()
    assert first == "gwinnett_clients_2026-03-03T110000Z.csv"
    rows = office.rows(first)
    assert [(each["reference"], each["last_name"], each["record_state"]) for each in rows] == [
        ("1", "Alder", "active"),
        ("2", "Birch", "active"),
    ]
    office.push(ecr(row("1"), row("2", "CR-2", last="Cedar"), row("3", "CR-3")))
    office.go(days=1)
    (_, second) = office.files()
    assert [each["reference"] for each in office.rows(second)] == ["2", "3"]
    office.go(days=1)
    third = office.files()[-1]
    assert (office.folder / third).read_bytes().count(b"\n") == 1
    assert [run.rows for run in office.runs(export)] == [2, 2, 0]
    assert [run.note for run in office.runs(export)] == ["", "", ""]


def test_withdrawn_and_restored_records_are_told_as_such(office: Office) -> None:
    office.push(ecr(row("1"), row("2", "CR-2")), "/upload/whole/a.txt")
    office.export("clients")
    office.export("parties")
    office.go(days=1)
    office.push(ecr(row("1")), "/upload/whole/b.txt")
    office.go(days=1)
    office.push(ecr(row("1"), row("2", "CR-2")), "/upload/whole/c.txt")
    office.go(days=1)
    clients = [office.rows(name) for name in office.files() if "clients" in name]
    assert [[(each["reference"], each["record_state"]) for each in rows] for rows in clients] == [
        [("1", "active"), ("2", "active")],
        [("2", "withdrawn")],
        [("2", "active")],
    ]
    parties = [office.rows(name) for name in office.files() if "parties" in name]
    assert [
        [(each["case"], each["client"], each["role"], each["record_state"]) for each in rows] for rows in parties[1:]
    ] == [
        [("CR-2", "2", "Defendant", "withdrawn")],
        [("CR-2", "2", "Defendant", "active")],
    ]


def test_the_first_file_holds_withdrawn_records_too(office: Office) -> None:
    office.push(ecr(row("1"), row("2", "CR-2")), "/upload/whole/a.txt")
    office.push(ecr(row("1")), "/upload/whole/b.txt")
    office.export("events")
    office.go(days=1)
    assert [(each["client"], each["record_state"]) for each in office.rows(office.files()[0])] == [
        ("1", "active"),
        ("2", "withdrawn"),
    ]


def test_what_an_undo_puts_back_or_removes_is_told(office: Office) -> None:
    office.push(ecr(row("1")))
    for dataset in ("clients", "cases", "contacts", "events", "parties"):
        office.export(dataset)
    second = office.push(ecr(row("1", last="Cedar"), row("2", "CR-2", phone="404-555-0101")))
    office.go(days=1)
    office.undo(second)
    office.go(days=1)
    told = {name.split("_")[1]: office.rows(name) for name in office.files() if "2026-03-04" in name}
    assert [(each["reference"], each["last_name"], each["record_state"]) for each in told["clients"]] == [
        ("2", "", "removed"),
        ("1", "Alder", "active"),
    ]
    assert [(each["number"], each["record_state"]) for each in told["cases"]] == [("CR-2", "removed")]
    assert [(each["value"], each["record_state"]) for each in told["contacts"]] == [("'+14045550101", "removed")]
    assert (
        [each["record_state"] for each in told["events"]]
        == [each["record_state"] for each in told["parties"]]
        == ["removed"]
    )
    assert all(each["id"] for rows in told.values() for each in rows)
    office.go(days=1)
    assert all(not office.rows(name) for name in office.files() if "2026-03-05" in name)


def test_what_came_and_went_without_being_told_is_not_told(office: Office) -> None:
    office.push(ecr(row("1")))
    office.export()
    office.go(days=1)
    office.undo(office.push(ecr(row("1"), row("2", "CR-2"))))
    office.go(days=1)
    assert office.rows(office.files()[-1]) == []


def test_the_withdrawals_of_a_snapshot_that_is_undone_are_told_again(office: Office) -> None:
    office.push(ecr(row("1"), row("2", "CR-2")), "/upload/whole/a.txt")
    office.export()
    second = office.push(ecr(row("1")), "/upload/whole/b.txt")
    office.go(days=1)
    office.undo(second)
    office.go(days=1)
    assert [(each["reference"], each["record_state"]) for each in office.rows(office.files()[-1])] == [("2", "active")]


def test_a_number_that_is_given_anew_is_told_as_what_it_is(office: Office) -> None:
    """SQLite gives the ids of deleted records to the next ones."""
    office.push(ecr(row("1")))
    office.export()
    second = office.push(ecr(row("1"), row("2", "CR-2")))
    office.go(days=1)
    office.undo(second)
    office.push(ecr(row("1"), row("3", "CR-3")))
    office.go(days=1)
    rows = office.rows(office.files()[-1])
    assert [each["reference"] for each in rows if each["record_state"] == "active"] == ["3"]
    assert len({each["id"] for each in rows}) == len(rows)


def test_a_number_that_another_agency_gets_is_told_as_removed(office: Office) -> None:
    office.export()
    only = office.push(ecr(row("1")))
    office.go(days=1)
    office.undo(only)
    with office.state.database.writing() as conn:
        other = create_agency(conn, office.state.settings.agencies, "other", "Other", "America/Phoenix", False)
        inbox.add_profile(conn, other.id, "daily", "odyssey-ecr", at=office.at)
    Office(office.state, other, office.log, office.at).push(ecr(row("2")))
    office.go(days=1)
    assert [(each["reference"], each["record_state"]) for each in office.rows(office.files()[-1])] == [("1", "removed")]


def test_another_agency_is_not_told(office: Office) -> None:
    office.export()
    office.go(days=1)
    with office.state.database.writing() as conn:
        other = create_agency(conn, office.state.settings.agencies, "other", "Other", "America/Phoenix", False)
    office.push(ecr(row("1")))
    stranger = Office(office.state, other, office.log, office.at)
    stranger.export()
    stranger.go(days=1)
    assert stranger.rows(stranger.files()[0]) == []


def test_a_slot_that_was_missed_runs_late_and_once_and_says_so(office: Office) -> None:
    office.push(ecr(row("1")))
    export = office.export()
    office.at += timedelta(days=3, hours=5)
    office.restart()
    office.go()
    office.go(seconds=5)
    (run,) = office.runs(export)
    assert run.note == (
        "Due 2026-03-05 11:00 UTC, run 5 h late. "
        "2 earlier slots were missed; what they would have told is in this file."
    )
    assert run.slot == "2026-03-05 06:00 America/New_York"
    assert "late" in office.log.getvalue()


def test_a_pause_keeps_what_is_written_for_later(office: Office) -> None:
    export = office.export()
    office.go(days=1)
    with office.state.database.writing() as conn:
        pause_export(conn, office.agency, "clients")
    office.push(ecr(row("1")))
    office.go(days=3)
    assert len(office.runs(export)) == 1
    with office.state.database.writing() as conn:
        resume_export(conn, office.agency, "clients", office.at)
    office.go(minutes=1)
    assert len(office.runs(export)) == 1
    office.go(days=1)
    assert [run.rows for run in office.runs(export)] == [0, 1]
    assert office.runs(export)[1].note == ""


def test_an_export_that_is_cancelled_ends_and_its_name_is_free(office: Office) -> None:
    export = office.export()
    office.go(days=1)
    with office.state.database.writing() as conn:
        cancel_export(conn, office.agency, "clients")
        with pytest.raises(AppError, match="was cancelled"):
            change_export(conn, office.agency, "clients", When("07:00"), Shape(), office.at)
    office.export()
    office.go(days=1)
    assert len(office.runs(export)) == 1
    assert len(office.files()) == 2


def test_an_export_that_fails_delays_no_other_and_is_tried_again(office: Office) -> None:
    office.folder.mkdir()
    (office.folder / "civil").write_text("in the way")
    bad = office.export(directory="/exports/civil", name="a-bad-one")
    good = office.export("cases")
    office.go(days=1)
    assert "is not a folder" in str(office.again(bad).error)
    assert [run.delivered_at is None for run in office.runs(bad)] == [True]
    assert office.runs(good)[0].delivered_at
    (office.folder / "civil").unlink()
    office.go(seconds=5)
    assert office.again(bad).error
    office.go(minutes=2)
    assert office.again(bad).error is None
    assert office.runs(bad)[0].delivered_at
    assert len(office.runs(bad)) == 1


def test_two_exports_at_one_time_have_files_of_their_own(office: Office) -> None:
    office.export()
    office.export(name="clients-too")
    office.export(name="sheet", form="xlsx")
    office.export(name="piped", form="txt")
    office.go(days=1)
    assert office.files() == [
        "gwinnett_clients_2026-03-03T110000Z.csv",
        "gwinnett_clients_clients-too_2026-03-03T110000Z.csv",
        "gwinnett_clients_piped_2026-03-03T110000Z.txt",
        "gwinnett_clients_sheet_2026-03-03T110000Z.xlsx",
    ]


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"at": "06:10"}, "full or half hour"),
        ({"at": "6"}, "no time"),
        ({"timezone": "Mars"}, "no time zone"),
        ({"timezone": "EST"}, "no place"),
        ({"weekdays": "mon,moon"}, "no day of the week"),
        ({"every_days": 0}, "1 to 366"),
        ({"weekdays": "mon", "every_days": 2}, "or neither"),
        ({"directory": "/upload"}, "must be /exports"),
        ({"directory": "/exports/../upload"}, "must be /exports"),
        ({"form": "pdf"}, "no format"),
        ({"dataset": "people"}, "no dataset"),
        ({"name": "../x"}, "cannot be the name"),
    ],
)
def test_what_cannot_be_is_refused(office: Office, options: dict[str, str], sentence: str) -> None:
    with pytest.raises(AppError, match=sentence):
        office.export(**options)


def test_the_state_directory_is_private(office: Office) -> None:
    office.export()
    office.go(days=1)
    staging: Path = office.state.settings.staging
    assert staging.stat().st_mode & 0o077 == 0
