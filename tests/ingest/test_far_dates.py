"""Years that were mistyped are told, and hours of the night; and what a dot or a day to come must not do to people."""

import pytest

from tests.ingest.court import Court, codes, ecr, row
from tests.ingest.test_mapping import HEAD, load, select


@pytest.mark.parametrize("day", ["03/16/1926", "03/17/2062", "12/31/1995", "01/01/2032"])
def test_a_hearing_far_from_today_is_taken_and_told(court: Court, day: str) -> None:
    upload = court.push(ecr(row("1", date=day), row("2")))
    assert codes(court.errors(upload)) == [(2, "Event Date", "far_date", "warning")]
    assert court.errors(upload)[0].value == day
    assert "look at the year" in court.errors(upload)[0].message
    assert len(court.dump()["events"]) == 2


@pytest.mark.parametrize("day", ["01/01/1996", "12/31/2031"])
def test_a_hearing_some_years_away_is_not_told(court: Court, day: str) -> None:
    assert court.push(ecr(row("1", date=day))).status == "processed"


def test_a_mistyped_year_beside_its_time_is_told(court: Court) -> None:
    upload = load(court, HEAD + 'event.datetime = "d"\n', "id,no,d\n1,C1,03/16/2062 9:00 AM\n")
    assert codes(court.errors(upload)) == [(2, "d", "far_date", "warning")]


def test_a_hearing_at_night_is_taken_and_told_each_time(court: Court) -> None:
    rows = [row("1", time="1:30"), row("2", time="05:59"), row("3", time="12:01 AM"), row("4", time="9:00 AM")]
    for rest in ((), (row("5", time="06:00"), row("6", time="12:00 AM"), row("7", time="00:00"), row("8", time=""))):
        upload = court.push(ecr(*rows, *rest))
        assert codes(court.errors(upload)) == [(line, "Event Time", "night_time", "warning") for line in (2, 3, 4)]
    told = court.errors(upload)[0]
    assert (told.value, told.message) == (
        "1:30",
        "The hearing was taken for the night; if the afternoon is meant, its time must be written like "
        "1:30 PM or 13:30.",
    )
    assert select(court, "SELECT count(*) FROM events WHERE local_time = '01:30'") == [(1,)]


@pytest.mark.parametrize(("time", "like"), [('"%H%M"', "1330"), ('["excel", "%H.%M"]', "13.30"), ('"excel"', "0.5625")])
def test_an_hour_at_night_beside_its_date_is_told_in_the_formats_of_the_template(
    court: Court, time: str, like: str
) -> None:
    cell = {"1330": "0130", "13.30": "1.30"}.get(like, "0.0625")
    toml = HEAD + f'event.date = "d"\nevent.time = "h"\n[formats]\ntime = {time}\n'
    upload = load(court, toml, f"id,no,d,h\n1,C1,03/16/2026,{cell}\n")
    assert [(e.column, e.value, e.code) for e in court.errors(upload)] == [("h", cell, "night_time")]
    assert court.errors(upload)[0].message.endswith(f"must be written like {like}.")


def test_a_moment_at_night_is_told_of_its_cell(court: Court) -> None:
    toml = HEAD + 'event.datetime = "d"\n'
    upload = load(court, toml, "id,no,d\n1,C1,03/16/2026 1:30\n2,C2,03/16/2026 00:00:00\n3,C3,03/16/2026\n")
    assert codes(court.errors(upload)) == [(2, "d", "night_time", "warning")]


def test_a_date_of_birth_to_come_is_not_taken(court: Court) -> None:
    upload = load(court, HEAD + 'client.dob = "b"\n', "id,no,b\n1,C1,01/02/2048\n2,C2,01/02/1980\n3,C3,x\n")
    assert codes(court.errors(upload)) == [(2, "b", "unborn", "warning"), (4, "b", "bad_date", "warning")]
    assert select(court, "SELECT dob FROM clients ORDER BY reference") == [(None,), ("1980-01-02",), (None,)]


def test_nobody_is_known_by_a_date_of_birth_to_come(court: Court) -> None:
    toml = 'name = "t"\n[columns]\nclient.last_name = "n"\nclient.dob = "b"\ncase.number = "no"\n'
    toml += '[match]\nclient = ["name + dob", "name + case"]\n'
    upload = load(court, toml, "n,b,no\nOak,01/02/2048,C1\nElm,01/02/1980,C2\n")
    assert codes(court.errors(upload)) == [(2, "b", "key_bad_date", "error")]


def test_a_dot_behind_a_suffix_makes_no_second_person(court: Court) -> None:
    toml = 'name = "t"\n[columns]\nclient.name = "n"\ncase.number = "no"\nevent.date = "d"\n'
    files = [f'n,no,d\n"{name}",C1,03/16/2026\n' for name in ("SMITH, JOHN JR", "SMITH, JOHN, JR.", "Smith Jr., John")]
    load(court, toml, *files)
    assert select(court, "SELECT identity FROM clients") == [("smith\x1fjohn\x1f\x1fjr\x1fC1",)]
    assert select(court, "SELECT count(*) FROM events") == [(1,)]


def test_a_column_of_suffixes_is_read_so_too(court: Court) -> None:
    toml = 'name = "t"\n[columns]\nclient.last_name = "n"\nclient.suffix = "s"\ncase.number = "no"\n'
    load(court, toml, "n,s,no\nPine,Jr,C1\n", "n,s,no\nPine,JR.,C1\n")
    assert select(court, "SELECT suffix FROM clients") == [("JR",)]
