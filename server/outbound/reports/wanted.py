"""One report as somebody wants it: its name, and perhaps days, filters and what it is sorted by.

A profile keeps it as one line, such as `upcoming-events days=7 type=Arraignment sort=location`; words with spaces stand
in quotes: `location='Courtroom 1A'`. A filter that is given twice lets both through.
"""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from types import MappingProxyType

from server.agencies import Agency
from server.errors import AppError, Code
from server.outbound.reports.catalogue import find_report
from server.outbound.reports.definition import Ask, Report

MOST_DAYS = 3660
_DAYS, _SORT = "days", "sort"
_BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
_TRIAL = Ask(Agency("", "trial", "Trial", "UTC", staging=True, enabled=False, created_at=_BEGIN), _BEGIN)


@dataclass(frozen=True)
class Wanted:
    """A report, and how it is wanted; 0 days and an empty `sort` are the report's own."""

    report: Report
    days: int = 0
    filters: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: MappingProxyType({}))
    sort: str = ""

    def ask(self, agency: Agency, at: datetime, after: int | None = None) -> Ask:
        """The question, put for that agency at that instant."""
        days = self.days or (self.report.days.default if self.report.days else 0)
        return Ask(agency, at, days, self.filters, self.sort, after)


def read_wanted(text: str) -> Wanted:
    """What a profile's line means. Raises `AppError` not_found for an unknown report, invalid for the rest."""
    try:
        name, *words = shlex.split(text)
    except ValueError:
        raise AppError(
            Code.INVALID, f"'{text}' is no report.", "For example: upcoming-events days=7 location='Courtroom 1A'"
        ) from None
    days, sort, pairs = "", "", []
    for word in words:
        key, _, value = word.partition("=")
        if key == _DAYS:
            days = value
        elif key == _SORT:
            sort = value
        else:
            pairs.append(word)
    return want(name, days, pairs, sort)


def want(name: str, days: str | int | None, pairs: Sequence[str], sort: str) -> Wanted:
    """The report of that name with these days, `filter=value` pairs and sorting, all checked.

    Raises `AppError` not_found for an unknown report, invalid for what it does not know.
    """
    report = find_report(name)
    wanted = replace(Wanted(report), days=_read_days(report, days), sort=_read_sort(report, sort))
    return replace(wanted, filters=_read_filters(report, pairs))


def _read_days(report: Report, days: str | int | None) -> int:
    if days is None or days == "":
        return 0
    if report.days is None:
        raise AppError(Code.INVALID, f"The report {report.name} is not about days.", "Leave them out.")
    if not str(days).isdecimal() or not 1 <= int(days) <= MOST_DAYS:
        raise AppError(Code.INVALID, f"'{days}' is no number of days.", f"Give 1 to {MOST_DAYS}.")
    return int(days)


def _read_sort(report: Report, sort: str) -> str:
    if sort and sort.removeprefix("-") not in report.sorts:
        known = ", ".join(report.sorts)
        hint = f"It can be sorted by {known}; with - before it: backwards." if known else "Leave the sorting out."
        raise AppError(Code.INVALID, f"The report {report.name} cannot be sorted by '{sort}'.", hint)
    return sort


def _read_filters(report: Report, pairs: Sequence[str]) -> Mapping[str, tuple[str, ...]]:
    filters: dict[str, tuple[str, ...]] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not value.strip():
            raise AppError(Code.INVALID, f"'{pair}' is no filter.", "Write it as name=value, such as status=Scheduled.")
        if name not in report.filters:
            known = ", ".join(report.filters) or "nothing"
            raise AppError(
                Code.INVALID, f"The report {report.name} has no filter '{name}'.", f"It can be filtered by {known}."
            )
        report.filters[name].clause(value.strip(), _TRIAL)
        filters[name] = (*filters.get(name, ()), value.strip())
    return filters
