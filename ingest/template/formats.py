"""How dates and times are written: strptime directives, and `excel` for the numbers that spreadsheets keep."""

import re
from datetime import datetime
from types import MappingProxyType
from typing import Any

from ingest.record import EXCEL
from ingest.template.place import Path, TemplateError

DATE_FORMATS = ("%m/%d/%Y", "%Y-%m-%d")
TIME_FORMATS = ("%I:%M %p", "%H:%M", "%H:%M:%S", "%I:%M%p")

UNDECIDED = "TODO"
"""How a format begins that a person has still to decide."""

_DIRECTIVES = MappingProxyType(
    {
        "MM/DD/YYYY": "%m/%d/%Y",
        "M/D/YYYY": "%m/%d/%Y",
        "MM-DD-YYYY": "%m-%d-%Y",
        "DD/MM/YYYY": "%d/%m/%Y",
        "YYYY-MM-DD": "%Y-%m-%d",
        "YYYYMMDD": "%Y%m%d",
        "MM/DD/YY": "%m/%d/%y",
        "HH:MM": "%H:%M",
        "HH:MM:SS": "%H:%M:%S",
        "HH:MM AM": "%I:%M %p",
        "HH:MM AM/PM": "%I:%M %p",
    }
)
"""What people write who have not met strptime."""


def read_formats(value: Any, key: str, default: tuple[str, ...], path: Path) -> tuple[str, ...]:
    """The formats of a template for dates or times (`key`), each tried out. Raises TemplateError."""
    formats = [value] if isinstance(value, str) else value
    if not isinstance(formats, list | tuple) or not formats:
        raise TemplateError(
            "template_format", f"formats.{key} must be a list of formats.", f'For example: ["{default[0]}"]', path
        )
    for form in formats:
        if form != EXCEL:
            _try(form, key, default, path)
    return tuple(formats)


def _try(form: Any, key: str, default: tuple[str, ...], path: Path) -> None:
    if isinstance(form, str) and form.startswith(UNDECIDED):
        raise TemplateError(
            "template_undecided",
            f"It is not decided yet how {key}s are written:{form.removeprefix(UNDECIDED).removeprefix(':')}?",
            "Ask the court, and write the right one alone.",
            path,
        )
    probe = datetime(2026, 11, 23, 13, 45, 59)
    if isinstance(form, str) and "%" not in form:
        raise TemplateError(
            "template_format",
            f"formats.{key} holds a format without directives: {form}.",
            f"Write {_DIRECTIVES.get(form.upper(), default[0])}",
            path,
        )
    try:
        read = datetime.strptime(probe.strftime(form), form)
    except (ValueError, TypeError, re.error) as error:
        raise TemplateError(
            "template_format", f"formats.{key} holds a format that cannot be read back.", path=path
        ) from error
    if (read.date() != probe.date()) if key == "date" else (read.hour != 13):
        hint = "A date needs year, month and day." if key == "date" else "A 12-hour clock (%I) needs %p."
        raise TemplateError("template_format", f"formats.{key} holds an incomplete format: {form}.", hint, path)
    plain = form.replace("%%", "")
    if "%p" in plain and "%I" not in plain:
        problem = f"formats.{key} holds a format in which AM and PM change nothing: {form}."
        raise TemplateError("template_format", problem, "With AM/PM the hour is %I.", path)


def refuse_clashing(dates: tuple[str, ...], times: tuple[str, ...], path: Path) -> None:
    """A combined column is read by a date's and a time's format in one, so they must not say the same thing twice."""
    for date in (form for form in dates if form != EXCEL):
        for time in (form for form in times if form != EXCEL):
            try:
                datetime.strptime("", f"{date} {time}")
            except re.error as error:
                raise TemplateError(
                    "template_format",
                    f"event.datetime is read as a date and a time, but {date} and {time} overlap.",
                    "Give formats.date year, month and day alone, and formats.time the hour.",
                    path,
                ) from error
            except ValueError:
                continue  # of course: there is nothing to read
