"""Reports on their way: where they go, when they stay, and what a crash leaves behind."""

import asyncio
import io
import os
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import openpyxl
import pytest

from ingest import inbox
from ingest.arrival import Profile
from server.errors import AppError, Code
from server.logs import open_log
from server.outbound.deliveries import Delivery, find_pending, keep_delivery, last_delivery, told_up_to
from server.outbound.delivery import Outcome, deliver_report
from server.remotes.managed import ManagedRemote
from server.remotes.port import Remote
from server.state import State
from tests.ingest.court import ecr, row
from tests.server.outbound.house import AT, EMPTY, GWINNETT, House

AWAY = AppError(Code.UNAVAILABLE, "The server does not answer.")


class Shaky(ManagedRemote):
    """An agency's home; `before` and `after` run around each placing, and may fail."""

    before: Callable[[], None] | None = None
    after: Callable[[], None] | None = None

    async def place(self, source: Path, directory: str, name: str) -> None:
        if self.before:
            self.before()
        await super().place(source, directory, name)
        if self.after:
            self.after()


class Killed(BaseException):
    """The process dies here."""


@pytest.fixture
def court(state: State) -> House:
    house = House(state, GWINNETT)
    house.push(GWINNETT, ecr(row("1", "CR-1"), row("2", "CR-2")))
    return house


@pytest.fixture
def folder(court: House) -> Path:
    folder = court.state.settings.home(GWINNETT) / "download" / "reports"
    folder.mkdir()
    return folder


@pytest.fixture
def remote(court: House) -> Shaky:
    return Shaky(court.state.settings.home(GWINNETT), "/", open_log("error", io.StringIO()))


def profile(court: House, **terms: object) -> Profile:
    with court.state.database.reading() as conn:
        found = inbox.find_profile(conn, court.agencies[GWINNETT].id, "daily")
    usual = {"report": "events", "report_directory": "/download/reports"}
    return replace(found, **{**usual, **terms})  # type: ignore[arg-type]


def deliver(court: House, remote: Remote, hour: int = 0, **terms: object) -> Outcome:
    at = AT + timedelta(hours=hour)
    return asyncio.run(deliver_report(court.state, court.agencies[GWINNETT], profile(court, **terms), remote, at))


def staged(court: House) -> list[str]:
    return [path.name for path in (court.state.settings.data / "reports").iterdir()]


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_report_is_brought_with_agency_report_and_time_in_its_name(court: House, folder: Path, remote: Shaky) -> None:
    told = deliver(court, remote)
    assert told.sentence == "The report events was delivered as gwinnett_events_20260302T140000Z.csv (2 rows)."
    assert names(folder) == ["gwinnett_events_20260302T140000Z.csv"]
    assert (folder / names(folder)[0]).read_bytes().count(b"\r\n") == 3
    assert staged(court) == []


@pytest.mark.sqlite_only
@pytest.mark.parametrize("form", ["csv", "txt", "xlsx"])
def test_the_same_is_not_brought_again_but_something_new_is(
    court: House, folder: Path, remote: Shaky, form: str
) -> None:
    for hour, expected in ((0, 1), (1, 1), (2, 1)):
        told = deliver(court, remote, hour, report_format=form)
        assert len(names(folder)) == expected
    assert told.name is None
    assert told.sentence == "The report events says the same as one that was delivered before; it was left out."
    court.push(GWINNETT, ecr(row("1", "CR-1"), row("2", "CR-2", status="Continued")))
    assert deliver(court, remote, 3, report_format=form).rows == 2
    assert names(folder) == [f"gwinnett_events_20260302T1{n}0000Z.{form}" for n in (4, 7)]
    if form == "xlsx":
        sheet = openpyxl.load_workbook(folder / names(folder)[1]).worksheets[0]
        assert [cell.value for cell in sheet["A"]] == ["date", datetime(2026, 3, 16), datetime(2026, 3, 16)]
    assert staged(court) == []


def test_without_skipping_every_cycle_brings_one(court: House, folder: Path, remote: Shaky) -> None:
    for hour in range(3):
        deliver(court, remote, hour, skip_past_reports=False)
    assert len(names(folder)) == 3
    assert len({path.read_bytes() for path in folder.iterdir()}) == 1


@pytest.mark.sqlite_only
def test_what_was_delivered_elsewhere_is_new_here(court: House, folder: Path, remote: Shaky) -> None:
    deliver(court, remote)
    (folder.parent / "other").mkdir()
    deliver(court, remote, 1, report_directory="/download/other")
    assert names(folder.parent / "other") == ["gwinnett_events_20260302T150000Z.csv"]


def test_a_missing_directory_is_named_and_not_made(court: House, remote: Shaky) -> None:
    with pytest.raises(AppError, match="The directory /download/reports is not there, so the report events") as caught:
        deliver(court, remote)
    assert caught.value.code == Code.NOT_FOUND
    home = court.state.settings.home(GWINNETT)
    assert not (home / "download" / "reports").exists()
    with court.state.database.reading() as conn:
        kept = last_delivery(conn, profile(court).id)
    assert kept is not None
    assert (kept.state, kept.detail) == ("failed", str(caught.value))
    with pytest.raises(AppError):
        deliver(court, remote, 1)
    (home / "download" / "reports").mkdir()
    deliver(court, remote, 2)
    with court.state.database.reading() as conn:
        kept = last_delivery(conn, profile(court).id)
    assert kept is not None
    assert (kept.state, kept.detail) == ("delivered", "")


@pytest.mark.sqlite_only
def test_a_directory_that_vanishes_meanwhile_is_named_too(court: House, folder: Path, remote: Shaky) -> None:
    remote.before = folder.rmdir
    with pytest.raises(AppError, match="The directory /download/reports is not there"):
        deliver(court, remote)
    assert not folder.exists()


@pytest.mark.parametrize("moment", ["before", "after"])
def test_after_a_crash_the_same_bytes_come_under_the_same_name(
    court: House, folder: Path, remote: Shaky, moment: str
) -> None:
    def die() -> None:
        raise Killed

    setattr(remote, moment, die)
    with pytest.raises(Killed):
        deliver(court, remote)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert len(before) == (moment == "after")
    assert len(staged(court)) == 1
    setattr(remote, moment, None)
    court.push(GWINNETT, ecr(row("1", "CR-1"), row("2", "CR-2", status="Continued")))
    deliver(court, remote, 1)
    assert names(folder) == ["gwinnett_events_20260302T140000Z.csv", "gwinnett_events_20260302T150000Z.csv"]
    assert before.items() <= {path.name: path.read_bytes() for path in folder.iterdir()}.items()
    assert b"Continued" not in (folder / names(folder)[0]).read_bytes()
    assert staged(court) == []


def test_a_server_that_is_away_gets_the_report_of_then_and_that_of_now(
    court: House, folder: Path, remote: Shaky
) -> None:
    def away() -> None:
        raise AWAY

    remote.before = away
    for hour in range(3):
        with pytest.raises(AppError, match="does not answer"):
            deliver(court, remote, hour)
    with court.state.database.reading() as conn:
        pending = find_pending(conn, profile(court).id)
    assert pending is not None
    assert pending.name == "gwinnett_events_20260302T140000Z.csv"
    assert len(staged(court)) == 1
    remote.before = None
    assert deliver(court, remote, 3).name == pending.name  # there is nothing newer
    assert deliver(court, remote, 4).name is None
    assert names(folder) == [pending.name]
    assert staged(court) == []


@pytest.mark.sqlite_only
def test_what_was_on_its_way_for_another_directory_is_dropped(court: House, folder: Path, remote: Shaky) -> None:
    def away() -> None:
        raise AWAY

    remote.before = away
    with pytest.raises(AppError):
        deliver(court, remote)
    remote.before = None
    deliver(court, remote, 1, report="clients")
    assert names(folder) == ["gwinnett_clients_20260302T150000Z.csv"]
    assert staged(court) == []


def test_two_profiles_with_one_report_in_one_second_have_two_names(court: House, folder: Path, remote: Shaky) -> None:
    deliver(court, remote)
    deliver(court, remote, id="another", report="events status=Continued")
    assert names(folder) == ["gwinnett_events_20260302T140000Z.csv", "gwinnett_events_20260302T140001Z.csv"]


def test_the_report_of_deliveries_does_not_become_news_by_being_delivered(
    court: House, folder: Path, remote: Shaky
) -> None:
    deliver(court, remote, report="events")
    assert [deliver(court, remote, hour, report="activity days=3000").name is None for hour in (1, 2, 3)] == [
        False,
        True,
        True,
    ]


def test_changed_events_go_on_where_the_last_delivery_ended(court: House, folder: Path, remote: Shaky) -> None:
    def told(hour: int) -> list[bytes]:
        found = deliver(court, remote, hour, report="changed-events")
        return (folder / found.name).read_bytes().splitlines()[1:] if found.name else []

    assert [line.split(b",")[0] for line in told(0)] == [b"new", b"new"]
    assert told(1) == []
    assert told(2) == []
    assert len(names(folder)) == 2, "a header alone, once"
    for hour, status in ((3, "Cancelled"), (4, "Scheduled"), (5, "Cancelled")):
        court.push(GWINNETT, ecr(row("1", "CR-1"), row("2", "CR-2", status=status)))
        assert len(told(hour)) == 1
    assert len(names(folder)) == 5


def test_changed_events_go_on_there_whatever_else_the_profile_says_of_them(
    court: House, folder: Path, remote: Shaky
) -> None:
    words = ("changed-events", "changed-events sort=name", " 'changed-events' days=30", "changed-events change=moved")
    assert [deliver(court, remote, hour, report=report).rows for hour, report in enumerate(words)] == [2, 0, 0, 0]
    with court.state.database.reading() as conn:
        assert told_up_to(conn, profile(court).id, "changed-events") == court.number(GWINNETT)
    court.push(GWINNETT, ecr(row("1", "CR-1"), row("2", "CR-2"), row("3", "CR-3")))
    assert deliver(court, remote, 5, report="clients").rows == 3
    assert deliver(court, remote, 6, report="changed-events sort=name").rows == 1


@pytest.mark.sqlite_only
@pytest.mark.parametrize(
    ("terms", "complaint"),
    [
        ({"report": None}, "has no report"),
        ({"report_directory": None}, "has no report, or no directory"),
        ({"report_directory": "/upload/answers"}, "would be taken for a file"),
        ({"directory": "/in", "report_directory": "/in", "server_id": "x"}, "would be taken for a file"),
        ({"directory": "/in", "report_directory": "//IN/./", "server_id": "x"}, "would be taken for a file"),
        ({"report_directory": "//upload"}, "would be taken for a file"),
        ({"report": "everything"}, "There is no report 'everything'"),
        ({"report": "events color=red"}, "no filter 'color'"),
    ],
)
def test_a_profile_that_cannot_be_right_is_told(
    court: House, remote: Shaky, terms: dict[str, object], complaint: str
) -> None:
    with pytest.raises(AppError, match=complaint):
        deliver(court, remote, **terms)


@pytest.mark.sqlite_only
def test_what_a_crash_left_in_the_folder_goes_once_it_is_old(court: House, folder: Path, remote: Shaky) -> None:
    place = court.state.settings.data / "reports"
    (place / "old.csv").write_text("x")
    (place / "old.xlsx.parts").mkdir()
    (place / "young.csv").write_text("x")
    for name in ("old.csv", "old.xlsx.parts"):
        os.utime(place / name, (0, 0))
    deliver(court, remote)
    assert staged(court) == ["young.csv"]


def test_an_agency_without_anything_gets_a_header(state: State) -> None:
    agency = House(state, EMPTY).agencies[EMPTY]
    home = state.settings.home(EMPTY)
    with state.database.reading() as conn:
        found = inbox.find_profile(conn, agency.id, "daily")
    remote = ManagedRemote(home, "/", open_log("error", io.StringIO()))
    for name in ("activity", "upcoming-events", "messages"):
        wish = replace(found, report=name, report_directory="/download")
        assert asyncio.run(deliver_report(state, agency, wish, remote, datetime.now(UTC))).rows == 0
    assert all(path.read_bytes().count(b"\r\n") == 1 for path in (home / "download").glob("*.csv"))


def test_what_was_told_is_the_last_write_whatever_the_clock_said(court: House) -> None:
    ids = {"future": 3, "past": 7, "between": 5}
    with court.state.database.writing() as conn:
        for (name, last), id_ in zip(ids.items(), ("9", "0", "5"), strict=True):
            keep_delivery(conn, Delivery(id_, "a", "p", "r", "csv", "/", "delivered", AT, name, name, last=last))
        assert told_up_to(conn, "p", "r") == 7
        assert told_up_to(conn, "p", "other") is None
