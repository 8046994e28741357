"""What a report is made of: where its rows come from, its columns, and what it may be filtered and sorted by.

A report is a definition and no code: the database selects, joins and sorts, and rows pass through one after the other.
`owner` is the column that says whose a row is; it is compared with the agency for every report in one place.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from types import MappingProxyType
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, Connection, FromClause, Select, func, or_, select

from server.agencies import Agency
from server.errors import AppError, Code
from server.outbound.write import Cell
from server.services.moment import read_beginning, read_end

Clause = ColumnElement[bool]
Source = ColumnElement[Any]
NUMBER = "the record's number, the same as long as the record exists"
"""What a column `id` is."""


@dataclass(frozen=True)
class Ask:
    """One report of one agency, as of `at`.

    `after` is the number of the last write of the agency's that was told before (`ingest.inbox.sequence`); None: none
    was, and `days` says how far to look back.
    """

    agency: Agency
    at: datetime
    days: int = 0
    filters: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: MappingProxyType({}))
    sort: str = ""
    after: int | None = None

    @property
    def zone(self) -> ZoneInfo:
        """The zone of the agency's times."""
        return ZoneInfo(self.agency.timezone)

    @property
    def today(self) -> date:
        """What day it is there."""
        return self.at.astimezone(self.zone).date()

    def day(self, away: int) -> str:
        """The day so many days from today, as days are kept."""
        return (self.today + timedelta(days=away)).isoformat()


Value = Callable[[Any, Ask], Cell]


def plain(value: Any, _ask: Ask) -> Cell:
    """What the database holds, as it is."""
    cell: Cell = value
    return cell


def day(value: str | None, _ask: Ask) -> Cell:
    """A day that is kept as text; what is no whole day stays one."""
    try:
        return date.fromisoformat(value) if value else None
    except ValueError:
        return value


def clock(value: str | None, _ask: Ask) -> Cell:
    """A time of day that is kept as text."""
    return time.fromisoformat(value) if value else None


def money(value: int | None, _ask: Ask) -> Cell:
    """Cents."""
    return None if value is None else Decimal(value).scaleb(-2)


def local(value: datetime | None, ask: Ask) -> Cell:
    """An instant as the clocks of the agency show it, to the second."""
    return None if value is None else value.astimezone(ask.zone).replace(tzinfo=None, microsecond=0)


def present(value: object, _ask: Ask) -> Cell:
    """Whether there is something."""
    return value is not None


@dataclass(frozen=True)
class Column:
    """A column of a report: what is selected for it, and how that becomes a cell."""

    name: str
    meaning: str
    source: Source | None = None
    cell: Value = plain


@dataclass(frozen=True)
class Filter:
    """What a report may be narrowed by. `default` counts where nothing else is said; empty: everything passes."""

    meaning: str
    clause: Callable[[str, Ask], Clause]
    default: str = ""


@dataclass(frozen=True)
class Days:
    """How many days a report is about, and what they are."""

    default: int
    meaning: str


def nothing_more(_ask: Ask) -> Sequence[Clause]:
    """No row is left out."""
    return ()


Rows = Callable[[Connection, Ask], Iterable[Sequence[Cell]]]


@dataclass(frozen=True)
class Report:
    """One report. `sorts` are what it can be sorted by, the first one if nothing is said; each ends with what tells any
    two rows apart, so that the same rows are always in the same order. `rows`, if given, gives them in another way."""

    name: str
    sentence: str
    columns: tuple[Column, ...]
    owner: Source | None = None
    source: Callable[[Ask], FromClause] | None = None
    scope: Callable[[Ask], Sequence[Clause]] = nothing_more
    filters: Mapping[str, Filter] = field(default_factory=lambda: MappingProxyType({}))
    sorts: Mapping[str, tuple[Source, ...]] = field(default_factory=lambda: MappingProxyType({}))
    days: Days | None = None
    rows: Rows | None = None

    @property
    def header(self) -> list[str]:
        """The names of the columns."""
        return [column.name for column in self.columns]


def report_rows(conn: Connection, report: Report, ask: Ask) -> Iterable[Sequence[Cell]]:
    """The rows of a report; they are fetched as they are consumed, so the connection must stay open."""
    if report.rows:
        return report.rows(conn, ask)
    return _selected(conn, report, ask)


def _selected(conn: Connection, report: Report, ask: Ask) -> Iterator[Sequence[Cell]]:
    cells = [column.cell for column in report.columns]
    query = narrow(_query(report, ask), report, ask)
    for row in conn.execution_options(yield_per=1000).execute(query, _named(ask)):
        yield [cell(value, ask) for cell, value in zip(cells, row, strict=True)]


def _named(ask: Ask) -> Mapping[str, object]:
    """What a definition can refer to by name (`bindparam`)."""
    return {"today": ask.day(0)}


def _query(report: Report, ask: Ask) -> Select[Any]:
    assert report.source is not None  # noqa: S101 - a report without one has rows of its own
    sources = [column.source for column in report.columns if column.source is not None]
    query = select(*(source.label(f"c{place}") for place, source in enumerate(sources)))
    return query.select_from(report.source(ask))


def narrow(query: Select[Any], report: Report, ask: Ask) -> Select[Any]:
    """The rows of the agency that are asked for, in the order that is asked for."""
    assert report.owner is not None  # noqa: S101 - as above
    query = query.where(report.owner == ask.agency.id, *report.scope(ask))
    for name, each in report.filters.items():
        values = ask.filters.get(name) or ((each.default,) if each.default else ())
        if values:
            query = query.where(or_(*(each.clause(value, ask) for value in values)))
    return query.order_by(*_sorted(report, ask.sort))


def _sorted(report: Report, sort: str) -> Iterator[Source]:
    down, name = sort.startswith("-"), sort.removeprefix("-") or next(iter(report.sorts))
    for source in report.sorts[name]:
        way = source.desc() if down else source.asc()
        # Where nothing is comes last, whatever the database thinks of it; said of what is never empty, it would keep
        # SQLite from using its index.
        yield way.nulls_last() if getattr(source, "nullable", True) else way


# --- what many filters are like


def same(column: Source, meaning: str, default: str = "") -> Filter:
    """The column has that value; capitals do not matter."""
    return Filter(meaning, lambda value, _ask: or_(column == value, func.lower(column) == value.lower()), default)


def from_day(column: Source, meaning: str) -> Filter:
    """A day that is kept as text is that one or later."""
    return Filter(meaning, lambda value, _ask: column >= read_day(value))


def to_day(column: Source, meaning: str) -> Filter:
    """A day that is kept as text is that one or earlier."""
    return Filter(meaning, lambda value, _ask: column <= read_day(value))


def from_instant(column: Source, meaning: str) -> Filter:
    """An instant is on that day of the agency's or later."""
    return Filter(meaning, lambda value, ask: column >= read_beginning(read_day(value), ask.agency.timezone, ask.at))


def to_instant(column: Source, meaning: str) -> Filter:
    """An instant is on that day of the agency's or earlier."""
    return Filter(meaning, lambda value, ask: column < read_end(read_day(value), ask.agency.timezone, ask.at))


def choice(meaning: str, clauses: Mapping[str, Clause], default: str = "") -> Filter:
    """One of a few words."""

    def clause(value: str, _ask: Ask) -> Clause:
        if value.lower() not in clauses:
            raise AppError(Code.INVALID, f"'{value}' is none of {', '.join(clauses)}.")
        return clauses[value.lower()]

    return Filter(meaning, clause, default)


def read_day(text: str) -> str:
    """A day as people write it, as it is kept. Raises `AppError` invalid."""
    try:
        return date.fromisoformat(text.strip()).isoformat()
    except ValueError:
        raise AppError(Code.INVALID, f"'{text}' is no day.", "Write it as 2027-03-31.") from None
