"""Schedules over whole years of clocks: when their slots are, and what they are called."""

from collections import Counter
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from server.errors import AppError
from server.schedule.slots import (
    Days,
    Minutes,
    Schedule,
    last_slot,
    next_slot,
    parse_schedule,
    read_weekdays,
    slots_between,
)

NEW_YORK, PHOENIX, HONOLULU = "America/New_York", "America/Phoenix", "Pacific/Honolulu"
ZONES = (NEW_YORK, PHOENIX, HONOLULU)
HALF_HOURS = [time(hour, minute) for hour in range(24) for minute in (0, 30)]


def year(zone: str, number: int = 2026) -> tuple[datetime, datetime]:
    """From just before the first midnight of a year to just before that of the next one."""
    begin, end = (datetime(each, 1, 1, tzinfo=ZoneInfo(zone)).astimezone(UTC) for each in (number, number + 1))
    return begin - timedelta(seconds=1), end - timedelta(seconds=1)


@pytest.mark.parametrize("zone", ZONES)
def test_each_day_of_a_year_has_one_slot_at_each_half_hour(zone: str) -> None:
    days = [date(2026, 1, 1) + timedelta(days=n) for n in range(365)]
    for at in HALF_HOURS:
        slots = slots_between(Days(at, zone), *year(zone))
        assert [slot.name for slot in slots] == [f"{day} {at:%H:%M} {zone}" for day in days]
        local = Counter(slot.at.astimezone(ZoneInfo(zone)).time() for slot in slots)
        skipped = zone == NEW_YORK and time(2) <= at < time(3)
        assert local == (Counter({at: 364}) + Counter([time(3)]) if skipped else Counter({at: 365}))


def test_what_clocks_skip_is_due_when_they_run_on() -> None:
    for at in (time(2, 0), time(2, 30), time(2, 59)):
        (slot,) = slots_between(Days(at, NEW_YORK), *spring())
        assert slot.at == datetime(2026, 3, 8, 7, tzinfo=UTC)
        assert slot.name == f"2026-03-08 {at:%H:%M} {NEW_YORK}"


def spring() -> tuple[datetime, datetime]:
    return datetime(2026, 3, 8, 5, tzinfo=UTC), datetime(2026, 3, 9, 4, 0, tzinfo=UTC)


def test_what_clocks_show_twice_is_due_once_the_first_time() -> None:
    day = datetime(2026, 11, 1, 4, tzinfo=UTC), datetime(2026, 11, 2, 5, tzinfo=UTC)
    (slot,) = slots_between(Days(time(1, 30), NEW_YORK), *day)
    assert slot.at == datetime(2026, 11, 1, 5, 30, tzinfo=UTC)
    assert next_slot(Days(time(1, 30), NEW_YORK), slot.at).at == datetime(2026, 11, 2, 6, 30, tzinfo=UTC)


@pytest.mark.parametrize("zone", ZONES)
def test_a_clock_that_ticks_through_a_year_meets_each_slot_once(zone: str) -> None:
    """As the scheduler does it: it looks now and then, at any moment, and asks what has become due since."""
    schedule, (at, end) = Days(time(2, 30), zone), year(zone)
    met: list[str] = []
    step = timedelta(minutes=47, seconds=13)
    while at < end:
        until = min(at + step, end)
        met += [slot.name for slot in slots_between(schedule, at, until)]
        at = until
    assert len(met) == len(set(met)) == 365


@pytest.mark.parametrize(
    ("zone", "offsets"),
    [(NEW_YORK, {4, 5}), (PHOENIX, {7}), (HONOLULU, {10})],
)
def test_six_in_the_morning_is_six_in_the_morning(zone: str, offsets: set[int]) -> None:
    slots = slots_between(Days(time(6), zone), *year(zone))
    assert {slot.at.hour - 6 for slot in slots} == offsets


def test_a_day_that_a_zone_never_had_is_due_as_the_next_one_begins() -> None:
    """Samoa went over the date line and had no 30 December 2011."""
    slots = slots_between(
        Days(time(12), "Pacific/Apia"), datetime(2011, 12, 29, 12, tzinfo=UTC), datetime(2011, 12, 31, tzinfo=UTC)
    )
    assert [(slot.at, slot.name[:10]) for slot in slots] == [
        (datetime(2011, 12, 29, 22, tzinfo=UTC), "2011-12-29"),
        (datetime(2011, 12, 30, 10, tzinfo=UTC), "2011-12-30"),
        (datetime(2011, 12, 30, 22, tzinfo=UTC), "2011-12-31"),
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("weekly mon,fri at 06:00 America/Phoenix", ["03-02", "03-06", "03-09"]),
        ("every 3 days at 06:00 America/Phoenix from 2026-02-25", ["03-03", "03-06", "03-09"]),
        ("every 3 days at 06:00 America/Phoenix from 2026-03-20", ["03-20", "03-23", "03-26"]),
        ("every 1 day at 06:00 America/Phoenix from 2026-02-25", ["03-01", "03-02", "03-03"]),
        ("monthly 31 at 06:00 America/Phoenix", ["03-31", "04-30", "05-31"]),
        ("monthly 1 at 06:00 America/Phoenix", ["03-01", "04-01", "05-01"]),
        ("daily at 06:00 America/Phoenix", ["03-01", "03-02", "03-03"]),
    ],
)
def test_the_days_of_a_schedule(text: str, expected: list[str]) -> None:
    schedule, at, found = parse_schedule(text), datetime(2026, 3, 1, 7, tzinfo=UTC), []
    for _ in expected:
        slot = next_slot(schedule, at)
        at = slot.at
        found.append(slot.name[5:10])
    assert found == expected
    assert str(schedule) == text


def test_the_29th_of_february_comes_on_the_28th_in_other_years() -> None:
    slots = slots_between(Days(time(6), PHOENIX, month=29), *year(PHOENIX, 2027))
    assert [slot.name[5:10] for slot in slots[:3]] == ["01-29", "02-28", "03-29"]


def test_minutes_are_counted_through_all_days() -> None:
    at = datetime(2026, 3, 8, 6, 59, 59, tzinfo=UTC)
    assert next_slot(Minutes(60), at).name == "2026-03-08T07:00Z"
    assert len(slots_between(Minutes(7), at, at + timedelta(minutes=70))) == 10
    assert len(slots_between(Minutes(60), *year(NEW_YORK))) == 365 * 24


def test_of_what_was_missed_the_last_slot_is_given_and_the_others_are_counted() -> None:
    schedule = Days(time(6), NEW_YORK)
    since = datetime(2026, 3, 5, 12, tzinfo=UTC)
    found = last_slot(schedule, since, since + timedelta(days=4))
    assert found is not None
    assert (found[0].name[:10], found[1]) == ("2026-03-09", 3)
    assert last_slot(schedule, since, since + timedelta(hours=1)) is None


def schedules() -> st.SearchStrategy[Schedule]:
    at, zone = st.builds(time, st.integers(0, 23), st.integers(0, 59)), st.sampled_from([*ZONES, "Australia/Lord_Howe"])
    weekdays = st.sets(st.integers(0, 6), min_size=1).map(lambda days: tuple(sorted(days)))
    return st.one_of(
        st.builds(Minutes, st.integers(1, 10_080)),
        st.builds(Days, at, zone),
        st.builds(Days, at, zone, weekdays=weekdays),
        st.builds(Days, at, zone, every=st.integers(1, 366), since=st.dates(date(2020, 1, 1), date(2030, 1, 1))),
        st.builds(Days, at, zone, month=st.integers(1, 31)),
    )


@given(schedules(), st.datetimes(datetime(2025, 1, 1), datetime(2027, 1, 1)), st.integers(0, 40 * 24 * 60))
@example(Days(time(2), "Australia/Lord_Howe"), datetime(2026, 10, 3, 12), 1440)
@settings(max_examples=60, deadline=None)
def test_looking_twice_finds_what_looking_once_does(schedule: Schedule, since: datetime, minutes: int) -> None:
    after = since.replace(tzinfo=UTC)
    middle, until = after + timedelta(minutes=minutes // 2), after + timedelta(minutes=minutes)
    whole = slots_between(schedule, after, until)
    assert whole == slots_between(schedule, after, middle) + slots_between(schedule, middle, until)
    assert whole == sorted(whole, key=lambda slot: slot.at)
    assert len({slot.name for slot in whole}) == len(whole)
    assert all(after < slot.at <= until for slot in whole)


@given(schedules())
@settings(max_examples=60, deadline=None)
def test_what_is_written_is_read(schedule: Schedule) -> None:
    assert parse_schedule(str(schedule)) == schedule


@pytest.mark.parametrize(
    "text",
    [
        "",
        "hourly",
        "every 0 minutes",
        "every 10081 minutes",
        "daily at 24:00 America/Phoenix",
        "daily at 6 America/Phoenix",
        "daily at 06:00 Phoenix",
        "daily at 06:00",
        "weekly at 06:00 America/Phoenix",
        "weekly moon at 06:00 America/Phoenix",
        "every 367 days at 06:00 America/Phoenix from 2026-01-05",
        "every 3 days at 06:00 America/Phoenix from 2026-02-30",
        "monthly 0 at 06:00 America/Phoenix",
        "monthly 32 at 06:00 America/Phoenix",
    ],
)
def test_what_is_no_schedule_is_refused_with_a_hint(text: str) -> None:
    with pytest.raises(AppError) as refused:
        parse_schedule(text)
    assert refused.value.hint


def test_people_may_write_it_in_their_way() -> None:
    assert parse_schedule(" Every  15 Minutes ") == Minutes(15)
    assert parse_schedule("daily at 6:00 america/phoenix") == Days(time(6), PHOENIX)
    assert read_weekdays("Wednesday, mon,MON") == (0, 2)
