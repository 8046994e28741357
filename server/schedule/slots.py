"""When something is due: a schedule, its slots as instants, and its text. Pure.

Local times are those of clocks in the schedule's zone, and clocks are set: a time that they skip is due when they run
on, at the first moment after the gap; a time that they show twice is due the first time only.

A slot's name is what the schedule means, not when that was: it stays the same when a zone's rules change, and in the
hour that clocks repeat. So whoever keeps the names of slots runs each of them once.
"""

import re
from calendar import monthrange
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from itertools import takewhile
from zoneinfo import ZoneInfo, available_timezones

from server.errors import AppError, Code

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
MOST_MINUTES = 7 * 24 * 60
MOST_DAYS = 366
_DAY = timedelta(days=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FORMS = (
    "every 15 minutes; daily at 06:00 America/Phoenix; weekly mon,wed at 06:00 America/Phoenix; "
    "every 3 days at 06:00 America/Phoenix from 2026-01-05; monthly 1 at 06:00 America/Phoenix"
)


@dataclass(frozen=True)
class Slot:
    """An instant (UTC) at which something is due, and a name that no other slot of its schedule has."""

    at: datetime
    name: str


@dataclass(frozen=True)
class Minutes:
    """Every so many minutes, counted through all days; those that divide an hour fall on full hours."""

    every: int

    def __str__(self) -> str:
        return f"every {self.every} minute{'s' if self.every > 1 else ''}"


@dataclass(frozen=True)
class Days:
    """At a local time of certain days: all, `weekdays` (0 is Monday), each `every`-th counted from `since`, or one day
    of the `month` (the last one of those that are shorter). At most one of the three is given."""

    at: time
    zone: str
    weekdays: tuple[int, ...] = ()
    every: int = 1
    since: date | None = None
    month: int = 0

    def __str__(self) -> str:
        when = f"at {self.at:%H:%M} {self.zone}"
        if self.weekdays:
            return f"weekly {','.join(DAYS[day] for day in self.weekdays)} {when}"
        if self.month:
            return f"monthly {self.month} {when}"
        if self.since:
            return f"every {self.every} day{'s' if self.every > 1 else ''} {when} from {self.since.isoformat()}"
        return f"daily {when}"


Schedule = Minutes | Days


def next_slot(schedule: Schedule, after: datetime) -> Slot:
    """The first slot later than the instant `after`."""
    return next(_slots(schedule, after))


def slots_between(schedule: Schedule, after: datetime, until: datetime) -> list[Slot]:
    """The slots later than `after` and not later than `until`, in their order."""
    return list(takewhile(lambda slot: slot.at <= until, _slots(schedule, after)))


def last_slot(schedule: Schedule, after: datetime, until: datetime) -> tuple[Slot, int] | None:
    """The last of `slots_between`, and how many were before it; None if there is none."""
    found, passed = None, -1
    for slot in takewhile(lambda slot: slot.at <= until, _slots(schedule, after)):
        found, passed = slot, passed + 1
    return (found, passed) if found else None


def _slots(schedule: Schedule, after: datetime) -> Iterator[Slot]:
    slots = _of_minutes(schedule, after) if isinstance(schedule, Minutes) else _of_days(schedule, after)
    return (slot for slot in slots if slot.at > after)


def _of_minutes(schedule: Minutes, after: datetime) -> Iterator[Slot]:
    step = timedelta(minutes=schedule.every)
    at = _EPOCH + (after - _EPOCH) // step * step
    while True:
        yield Slot(at, f"{at:%Y-%m-%dT%H:%MZ}")
        at += step


def _of_days(schedule: Days, after: datetime) -> Iterator[Slot]:
    zone = ZoneInfo(schedule.zone)
    # Clocks may be set over midnight, so the day before may still have a slot to come.
    day = after.astimezone(zone).date() - _DAY
    while True:
        day = _day_from(schedule, day)
        at = _instant(datetime.combine(day, schedule.at), zone)
        yield Slot(at, f"{day.isoformat()} {schedule.at:%H:%M} {schedule.zone}")
        day += _DAY


def _day_from(schedule: Days, day: date) -> date:
    """The first day of the schedule that is not before `day`."""
    if schedule.since:
        return max(day, schedule.since) + (schedule.since - max(day, schedule.since)) % (_DAY * schedule.every)
    while not _is_due(schedule, day):
        day += _DAY
    return day


def _is_due(schedule: Days, day: date) -> bool:
    if schedule.weekdays:
        return day.weekday() in schedule.weekdays
    return not schedule.month or day.day == min(schedule.month, monthrange(day.year, day.month)[1])


def _instant(local: datetime, zone: ZoneInfo) -> datetime:
    """When clocks of the zone show `local` for the first time, or, if they skip it, when they have skipped it."""
    first, second = (local.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))
    if first.astimezone(zone).replace(tzinfo=None) == local:
        return first
    # In a gap, the offset after it (fold 1) gives an instant before it, and the other way round (PEP 495).
    before, after = second, first
    offset = after.astimezone(zone).utcoffset()
    while after - before > timedelta(seconds=1):
        middle = before + (after - before) // 2
        middle = middle.replace(microsecond=0)
        if middle.astimezone(zone).utcoffset() == offset:
            after = middle
        else:
            before = middle
    return after


# --- the text


def parse_schedule(text: str) -> Schedule:
    """Read what `str` of a schedule gives; case and spaces do not matter. Raises `AppError` invalid."""
    words = " ".join(text.split())
    for pattern, read in _READERS:
        if match := re.fullmatch(pattern, words, re.IGNORECASE):
            return read(match)
    raise AppError(Code.INVALID, f"'{text}' is no schedule.", f"Forms: {_FORMS}.")


def read_time(text: str) -> time:
    """A local time as HH:MM, from 00:00 to 23:59. Raises `AppError` invalid."""
    match = re.fullmatch(r"([01]?[0-9]|2[0-3]):([0-5][0-9])", text.strip(), re.ASCII)
    if match is None:
        raise AppError(Code.INVALID, f"'{text}' is no time.", "Write it as HH:MM, from 00:00 to 23:59.")
    return time(int(match[1]), int(match[2]))


def read_zone(text: str) -> str:
    """The name of an IANA time zone. Raises `AppError` invalid."""
    if text in _zones():
        return text
    found = [zone for zone in _zones() if zone.lower() == text.lower()]
    if not found:
        hint = "Use a name such as America/New_York, America/Phoenix or Pacific/Honolulu."
        raise AppError(Code.INVALID, f"'{text}' is no time zone.", hint)
    return found[0]


def read_weekdays(text: str) -> tuple[int, ...]:
    """Days of the week as `mon,wed`, in any order; 0 is Monday. Raises `AppError` invalid."""
    names = [name.strip().lower() for name in text.split(",")]
    odd = [name for name in names if len(name) < 3 or not any(_FULL[day].startswith(name) for day in DAYS)]
    if odd:
        raise AppError(Code.INVALID, f"'{odd[0]}' is no day of the week.", f"Write days as {','.join(DAYS)}.")
    return tuple(sorted({DAYS.index(name[:3]) for name in names}))


@cache
def _zones() -> frozenset[str]:
    return frozenset(available_timezones())


_FULL = dict(zip(DAYS, ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"), strict=True))
_AT = r"at ([0-9:]+) (\S+)"


def _read_minutes(match: re.Match[str]) -> Schedule:
    return Minutes(_between(match[1], MOST_MINUTES, "minutes"))


def _read_daily(match: re.Match[str]) -> Schedule:
    return Days(read_time(match[1]), read_zone(match[2]))


def _read_weekly(match: re.Match[str]) -> Schedule:
    return Days(read_time(match[2]), read_zone(match[3]), weekdays=read_weekdays(match[1]))


def _read_interval(match: re.Match[str]) -> Schedule:
    try:
        since = date.fromisoformat(match[4])
    except ValueError as error:
        raise AppError(Code.INVALID, f"'{match[4]}' is no day.", "Write it as 2026-01-05.") from error
    every = _between(match[1], MOST_DAYS, "days")
    return Days(read_time(match[2]), read_zone(match[3]), every=every, since=since)


def _read_monthly(match: re.Match[str]) -> Schedule:
    return Days(read_time(match[2]), read_zone(match[3]), month=_between(match[1], 31, "as the day of the month"))


def _between(text: str, most: int, what: str) -> int:
    if not 1 <= int(text) <= most:
        raise AppError(Code.INVALID, f"{text} is out of range.", f"From 1 to {most} {what}.")
    return int(text)


_READERS = (
    (r"every ([0-9]{1,9}) minutes?", _read_minutes),
    (rf"daily {_AT}", _read_daily),
    (rf"weekly ([a-z, ]+?) {_AT}", _read_weekly),
    (rf"every ([0-9]{{1,9}}) days? {_AT} from ([0-9-]+)", _read_interval),
    (rf"monthly ([0-9]{{1,9}}) {_AT}", _read_monthly),
)
