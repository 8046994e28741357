"""Instants as people write them: a day, a day and a time, or a length of time from now.

Days and times are those of a zone, the agency's mostly. A day that something ends on belongs to it as a whole: what
expires on 2027-03-31 is good until midnight after that day, there.
"""

import re
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from server.errors import AppError, Code

_LENGTH = re.compile(r"(\d{1,5}) ?(H|D|W)")
_UNITS = {"H": timedelta(hours=1), "D": timedelta(days=1), "W": timedelta(weeks=1)}
_HINT = "Write a day (2027-03-31), a day and time (2027-03-31T18:00), or a length of time from now (90d, 12h, 4w)."


def read_beginning(text: str, zone: str, at: datetime) -> datetime:
    """The instant that `text` means as a beginning: a day begins at its midnight. Raises `AppError` invalid."""
    return _read(text, zone, at, days_more=0)


def read_end(text: str, zone: str, at: datetime) -> datetime:
    """The instant that `text` means as an end: a day ends at the midnight after it. Raises `AppError` invalid."""
    return _read(text, zone, at, days_more=1)


def _read(text: str, zone: str, at: datetime, days_more: int) -> datetime:
    text = text.strip().upper()
    try:
        if length := _LENGTH.fullmatch(text):
            return at + int(length[1]) * _UNITS[length[2]]
        if len(text) == len("2027-03-31"):
            day = date.fromisoformat(text) + timedelta(days=days_more)
            return datetime.combine(day, time(), ZoneInfo(zone)).astimezone(UTC)
        moment = datetime.fromisoformat(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=ZoneInfo(zone))).astimezone(UTC)
    except (ValueError, OverflowError):
        raise AppError(Code.INVALID, f"'{text.lower()}' is no day and no length of time.", _HINT) from None
