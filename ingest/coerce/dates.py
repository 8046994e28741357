"""Dates, times of day, and the instants that local times are."""

import re
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from functools import cache
from itertools import islice, pairwise
from types import MappingProxyType
from zoneinfo import ZoneInfo

import pandas as pd

from ingest.record import EXCEL, EXCEL_1904

YEARS = (1850, 2200)
"""Dates outside are typing errors."""

_TIGHT = re.compile("(?:%[mdHMSIyY]){2,}")
_MARK, _WHOLE = "\x01", "\x02"  # no format holds them
_PLACED = re.compile("(?:%[mdHMSIyY])+")
_TOKEN = re.compile("%.|[^%]")
_LONG = MappingProxyType({"%X": "%H:%M:%S", "%c": "%a %b %d %H:%M:%S %Y"})  # directives that hold others
_SERIAL = re.compile(r"(0|[1-9]\d{0,6})(?:\.(\d{1,15}))?", re.ASCII)  # 041626 is no number, but a date
_JOINED = re.compile(r"[\sT]")  # what stands between a date and a time
_GAPS = 10  # more than stand in any moment
_EPOCH = datetime(1899, 12, 30)
_FIRST_SERIAL = 61  # Excel counts a February 29 of 1900 that never was
_LAST_SERIAL = 2_958_465  # 9999-12-31, where time ends
_1904 = 1462  # days from one beginning to the other
_DAY = 24 * 60 * 60
_FEW = 200  # texts that strptime has tried by itself while pandas gets ready


def read_dates(texts: Sequence[str], formats: Sequence[str], pivot: int | None = None) -> list[str | None]:
    """ISO dates; `formats` are tried in order on what the ones before could not read.

    With `pivot`, a two-digit year up to it is one of this century and a later one of the last; without, POSIX's rule
    is taken (68 is 2068, 69 is 1969). A number of `excel` must be a whole one.
    """
    return [None if at is None else _day(at) for at in _read_days(texts, formats, pivot)]


def read_days(texts: Sequence[str], formats: Sequence[str], pivot: int | None = None) -> list[str | None]:
    """The same, but a date with another time than midnight is none, though a format has a place for it."""
    read = _read_days(texts, formats, pivot)
    return [None if at is None or _hour(at) else _day(at) for at in read]


def _read_days(texts: Sequence[str], formats: Sequence[str], pivot: int | None) -> list[datetime | None]:
    low, high = YEARS
    read = _read(texts, formats, pivot)
    return [
        at if at is not None and low <= at.year <= high and not _timed(text, at, formats) else None
        for text, at in zip(texts, read, strict=True)
    ]


def _hour(at: datetime | None) -> str | None:
    """The time of a date, where a format of dates has a place for one; midnight is how systems write that there is
    none."""
    return None if at is None or (at.hour, at.minute, at.second) == (0, 0, 0) else _time(at)


def _timed(text: str, at: datetime, formats: Sequence[str]) -> bool:
    """Whether a number has a fraction, which a date has not."""
    return (
        bool(_serials(formats)) and _SERIAL.fullmatch(text) is not None and (at.hour, at.minute, at.second) != (0, 0, 0)
    )


def _serials(formats: Sequence[str]) -> list[str]:
    """Those of the formats that are numbers."""
    return [form for form in formats if form in (EXCEL, EXCEL_1904)]


def read_times(texts: Sequence[str], formats: Sequence[str]) -> list[str | None]:
    """Times of day as `HH:MM`, or `HH:MM:SS` if there are seconds. A number of `excel` must be below 1."""
    plain = [form for form in formats if form != EXCEL]
    read = [None if at is None else _time(at) for at in _read([text.upper() for text in texts], plain)]
    if EXCEL not in formats:
        return read
    return [_fraction(text) if time is None else time for text, time in zip(texts, read, strict=True)]


def _fraction(text: str) -> str | None:
    match = _SERIAL.fullmatch(text)
    at = _serial(match) if match and int(match[1]) == 0 else None
    return None if at is None or at.date() != _EPOCH.date() else _time(at)


def read_moments(
    texts: Sequence[str], dates: Sequence[str], times: Sequence[str], pivot: int | None = None
) -> tuple[list[str | None], list[str | None]]:
    """Dates and times of a combined column: a date, a space or T, and a time; or a date alone, whose format may have a
    place for a time."""
    pairs = [(date, time) for date in dates for time in times if not _serials((date, time))]
    formats = [f"{date} {time}" for date, time in pairs] + [f"{date}T{time}" for date, time in pairs]
    joined = {text: upper for text in texts if _JOINED.search(upper := text.upper())}
    moments = dict(zip(joined, _read(list(joined.values()), formats, pivot), strict=True))
    read = [moments.get(text) for text in texts]
    for form in _serials(dates):
        read = [_fractional(text, form) if at is None else at for text, at in zip(texts, read, strict=True)]
    left = [text for text, at in zip(texts, read, strict=True) if at is None]
    alone = dict(zip(left, _read_days(left, dates, pivot), strict=True))
    low, high = YEARS
    whole = [alone[text] if at is None else at for text, at in zip(texts, read, strict=True)]
    days = [_day(at) if at is not None and low <= at.year <= high else None for at in whole]
    return days, [_hour(alone[text]) if at is None else _time(at) for text, at in zip(texts, read, strict=True)]


def beginning_with_dates(texts: Sequence[str], formats: Sequence[str], pivot: int | None = None) -> list[str | None]:
    """The texts that begin with a date and go on with something else, behind a space or T."""
    heads = [[text[: gap.start()] for gap in islice(_JOINED.finditer(text.upper()), _GAPS)] for text in texts]
    return [text if any(read_dates(head, formats, pivot)) else None for text, head in zip(texts, heads, strict=True)]


def _fractional(text: str, form: str) -> datetime | None:
    """A number with a fraction; one without is a date alone."""
    match = _SERIAL.fullmatch(text)
    return _excel(text, form) if match and int(match[2] or 0) else None


def _serial(match: re.Match[str]) -> datetime:
    """To the second: spreadsheets keep 9:00 as 0.375, and 8:20 as 0.347222222222222."""
    fraction = float(f"0.{match[2] or 0}")
    return _EPOCH + timedelta(days=int(match[1]), seconds=round(fraction * _DAY))


def _day(at: datetime) -> str:
    return at.date().isoformat()


def _time(at: datetime) -> str:
    return at.time().isoformat("seconds" if at.second else "minutes")


def _read(texts: Sequence[str], formats: Sequence[str], pivot: int | None = None) -> list[datetime | None]:
    """What `strptime` reads; of many texts pandas sieves first, for it is fast where nothing fits.

    Alone, pandas takes "today" for a date in any format and makes a minute of 60 seconds; pyarrow makes March 2 of
    February 30.
    """
    read: list[datetime | None] = [None] * len(texts)
    left = list(range(len(texts)))
    for form in formats:
        if not left:
            break
        number = bool(_serials((form,)))
        for place in left if number else _sieved(texts, left, form):
            read[place] = _excel(texts[place], form) if number else _strptime(texts[place], form, pivot)
        left = [place for place in left if read[place] is None]
    return read


def _excel(text: str, form: str) -> datetime | None:
    match, later = _SERIAL.fullmatch(text), _1904 if form == EXCEL_1904 else 0
    if match is None or not _FIRST_SERIAL <= int(match[1]) + later < _LAST_SERIAL:
        return None
    return _serial(match) + timedelta(days=later)


def _sieved(texts: Sequence[str], places: list[int], form: str) -> list[int]:
    """The places of texts that may fit the format; all of them if they are few, or if it has a directive that pandas
    does not know."""
    if len(places) < _FEW:
        return places
    try:
        parsed = pd.to_datetime(pd.Series([texts[i] for i in places], dtype=object), format=form, errors="coerce")
    except (ValueError, re.error):
        return places
    return [place for place, fits in zip(places, parsed.notna(), strict=True) if fits]


def _strptime(text: str, form: str, pivot: int | None) -> datetime | None:
    try:
        at, odd = datetime.strptime(text, form), _uncertain(form)
        if odd is not None and odd.search(text) and not _is_certain(text, form, at):
            return None
        if pivot is None or not re.search("%[yxcD]", form.replace("%%", "")):
            return at
        short = at.year % 100
        return at.replace(year=(2000 if short <= pivot else 1900) + short)
    except (ValueError, re.error):  # a date's format that has a place for a time cannot have another one behind
        return None


@cache
def _uncertain(form: str) -> re.Pattern[str] | None:
    """What is found in texts that must be looked at once more: in any, where nothing parts numbers in the format; else
    one digit alone behind the sign that stands before minutes or seconds."""
    if _TIGHT.search(form.replace("%%", "  ")):
        return re.compile("")
    tokens = _TOKEN.findall(_spelled(form))
    before = {one for one, token in pairwise(["%d", *tokens]) if token in ("%M", "%S")}
    signs = {r"\s" if one.isspace() else re.escape(one[-1]) for one in before if len(one) == 1 or one == "%%"}
    behind = f"(?:{'|'.join(sorted(signs))})" if len(signs) == len(before) else ""
    return re.compile(rf"{behind}\d(?!\d)", re.IGNORECASE) if before else None


def _spelled(form: str) -> str:
    """The format without directives that hold several."""
    return re.sub("%.", lambda match: _LONG.get(match[0], match[0]), form)


def _is_certain(text: str, form: str, at: datetime) -> bool:
    """Where nothing parts numbers, 1112026 may be two days, and 10 be 1:00 or 10:00. They are certain in their full
    width, of which the first zero alone may be lost; numbers that stand apart may lack theirs. Minutes and seconds may
    not: of 9.3 a spreadsheet may have cut a zero at the end, and of 9:5 nobody knows what it lacks."""
    plain = _spelled(form).replace("%%", "  ")
    whole = re.findall(rf"([{_MARK}{_WHOLE}]?)(\d+)", at.strftime(_PLACED.sub(_marked, plain)))
    told = re.findall(r"\d+", text)
    if len(told) != len(whole):
        return at.strftime(form).casefold() == text.casefold()
    return all(
        full == each or (mark == _MARK and full == f"0{each}")
        for each, (mark, full) in zip(told, whole, strict=True)
        if mark
    )


def _marked(match: re.Match[str]) -> str:
    """A place of numbers, with a mark in front where its width counts."""
    place = match[0]
    return (_WHOLE if place[1] in "MS" else _MARK if len(place) > len("%d") else "") + place


def instants(days: Sequence[str], times: Sequence[str | None], zone: str, fold: int = 0) -> list[str]:
    """The UTC instants, as text, at which these local times are in `zone`; without a time, when the day begins.

    An hour that comes twice (clocks set back) is its first, or with `fold` = 1 its second; one that never comes (set
    forward) is moved on by the gap: PEP 495.
    """
    where = ZoneInfo(zone)
    utc = (at - _offset(at, where, fold) for at in _locals(days, times))
    return [f"{at.isoformat(timespec='microseconds')}Z" for at in utc]


def clock_oddities(days: Sequence[str], times: Sequence[str | None], zone: str) -> list[str]:
    """For each local time `twice` if it comes twice in `zone`, `never` if it never comes, else ''."""
    where = ZoneInfo(zone)
    told = []
    for at, time in zip(_locals(days, times), times, strict=True):
        first, second = (_offset(at, where, fold) for fold in (0, 1))
        told.append("" if first == second or time is None else "twice" if first > second else "never")
    return told


def _locals(days: Sequence[str], times: Sequence[str | None]) -> list[datetime]:
    return [datetime.fromisoformat(f"{day}T{time or '00:00'}") for day, time in zip(days, times, strict=True)]


def _offset(at: datetime, zone: ZoneInfo, fold: int) -> timedelta:
    """How much the clocks are ahead of UTC then."""
    return at.replace(tzinfo=zone, fold=fold).utcoffset() or timedelta()


def ordinals(days: Sequence[str]) -> list[int]:
    """The days, ISO dates, as numbers that can be compared."""
    return [date.fromisoformat(day).toordinal() for day in days]
