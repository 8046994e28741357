"""Instants as people in a zone know them."""

from datetime import datetime
from zoneinfo import ZoneInfo


def clock_time(at: datetime, zone: str, seconds: bool = False) -> str:
    """An instant as clocks show it: `2026-11-22 19:21 EST`."""
    local = at.astimezone(ZoneInfo(zone))
    return f"{local:%Y-%m-%d %H:%M:%S %Z}" if seconds else f"{local:%Y-%m-%d %H:%M %Z}"


def day_of(at: datetime, zone: str) -> str:
    """The day of an instant: `2026-11-22`."""
    return f"{at.astimezone(ZoneInfo(zone)):%Y-%m-%d}"
