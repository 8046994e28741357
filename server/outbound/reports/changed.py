"""What has become of hearings since the last time: new, moved, cancelled, changed, withdrawn, and back again.

One row tells what one upload did to one hearing. What an undo has put back is told as such, and what it has removed by
the reference of the hearing alone: nothing else is left of it. A filter lets a hearing through that is what it wants,
or was until then: who was told of it hears that it has gone elsewhere.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from heapq import merge
from itertools import groupby
from operator import attrgetter
from types import MappingProxyType
from typing import Any

from sqlalchemy import Connection, Row, Select, Text, and_, cast, func, literal, null, or_, select, true, union_all

from ingest.record import CUSTOM
from ingest.tables import cases, changes, clients, events, moved_events, removed, uploads
from server.outbound.reports.definition import (
    NUMBER,
    Ask,
    Clause,
    Column,
    Days,
    Report,
    choice,
    clock,
    day,
    local,
    same,
)
from server.outbound.reports.files import beginning
from server.outbound.write import Cell

CANCELLED = ("cancel", "vacat", "stricken", "called off", "dismiss")
"""A status with one of these in it means that the hearing does not take place."""
KINDS = ("new", "moved", "cancelled", "changed", "withdrawn", "restored", "put back", "removed")
_WITHDRAWN = "withdrawn_upload"
_OWN = frozenset({"updated_upload", "starts_at", _WITHDRAWN, "slot"})
"""Columns that say nothing of their own."""
_ORDER = [column.name for column in events.c]
_NAMES = MappingProxyType({"local_date": "date", "local_time": "time"})
_FILTERED = ("type", "status", "location", "judge")
"""Columns by which a hearing may come to be what a report is narrowed to, or cease to be."""
_WAS = ("local_date", "local_time", *_FILTERED)
"""What is asked of a hearing that another one has come instead of."""

_MOVED = moved_events.alias("moved")
_INSTEAD = moved_events.alias("instead")
_OLD = events.alias("old")


@dataclass
class _Told:
    """What one upload has done to one hearing, put together from all that is kept of it."""

    created: bool = False
    before: dict[str, Any] = field(default_factory=dict)
    after: dict[str, Any] = field(default_factory=dict)

    def add(self, row: Row[Any]) -> None:
        """One more thing that it did, in order."""
        if row.before is None:
            self.created = True
            return
        before, after = json.loads(row.before), json.loads(row.after)
        if row.undo:  # the last of them was put back first
            before, after = after, before
            self.before, self.after = {**self.before, **before}, {**after, **self.after}
        else:
            self.before, self.after = {**before, **self.before}, {**self.after, **after}

    def differs(self, *names: str) -> bool:
        """Whether one of these columns holds something else than before."""
        return any(self.before.get(name) != self.after.get(name) for name in names)


@dataclass(frozen=True)
class _News:
    """One row: its place among all, what it tells, and what it would have told of the hearing as it was `before`."""

    place: tuple[int, datetime]
    cells: Mapping[str, Cell]
    before: Mapping[str, Cell]

    def fits(self, wanted: Mapping[str, set[str]]) -> bool:
        """Whether the hearing is what is wanted, or was; what nobody knows any more of one that is removed may be."""
        return any(
            all(name not in side or str(side[name] or "").lower() in values for name, values in wanted.items())
            for side in (self.cells, self.before)
        )


def _rows(conn: Connection, ask: Ask) -> Iterator[Sequence[Cell]]:
    wanted = {name: {value.lower() for value in values} for name, values in ask.filters.items() if values}
    told = (_laid_out(news.cells) for news in _all(conn, ask) if news.fits(wanted))
    return _in_order(told, ask.sort.removeprefix("-"), ask.sort.startswith("-"))


def _in_order(rows: Iterator[Sequence[Cell]], sort: str, down: bool) -> Iterator[Sequence[Cell]]:
    """As they come, in the order of the uploads; any other way they have all to be there first."""
    by = [_PLACES[name] for name in _SORTS.get(sort, ())]
    if not by:
        return reversed(list(rows)) if down else rows

    def key(row: Sequence[Cell]) -> list[tuple[bool, str]]:
        """What is empty comes last, either way."""
        return [((row[at] is None) is not down, str(row[at]).lower()) for at in by]

    return iter(sorted(rows, key=key, reverse=down))


def _all(conn: Connection, ask: Ask) -> Iterator[_News]:
    """In the order in which it happened: SQLite may give the number of what was removed to what comes after."""
    conn = conn.execution_options(yield_per=1000)
    return merge(_done(conn, ask), _gone(conn, ask), key=attrgetter("place"))


def _done(conn: Connection, ask: Ask) -> Iterator[_News]:
    for _, group in groupby(conn.execute(_query(ask)), key=lambda row: (row.upload, row.undo, row.event)):
        yield from _news(group, ask)


def _gone(conn: Connection, ask: Ask) -> Iterator[_News]:
    for row in conn.execute(_removed(ask)):
        told: dict[str, Cell] = {"change": "removed", "reference": row.reference, "id": row.record_id}
        told |= {"file": row.file, "upload": row.upload_id}
        told |= {"changed_at": local(row.undone_at, ask), "changed_at_utc": row.undone_at}
        yield _News((row.sequence, row.undone_at), told, told)


def _query(ask: Ask) -> Select[Any]:
    """What was created, changed and put back, upload by upload, hearing by hearing."""
    nothing = cast(null(), Text)
    done = (_within(ask, uploads.c.sequence, uploads.c.finished_at), uploads.c.undone_at.is_(None))
    undone = (_within(ask, uploads.c.undone_sequence, uploads.c.undone_at), _heard_of(ask))
    own = uploads.c.agency_id == ask.agency.id
    made = select(events.c.id.label("event"), uploads.c.id.label("upload"), literal(0).label("step"))
    made = made.add_columns(nothing.label("before"), nothing.label("after"), literal(0).label("undo"))
    made = made.join_from(events, uploads, uploads.c.id == events.c.created_upload)
    made = made.where(events.c.agency_id == ask.agency.id)
    told = [made.where(own, *done)]
    for undo, which in ((0, done), (1, undone)):
        changed = select(changes.c.record_id, uploads.c.id, changes.c.id, changes.c.before, changes.c.after)
        changed = changed.add_columns(literal(undo)).join_from(changes, uploads, uploads.c.id == changes.c.upload_id)
        told.append(changed.where(changes.c.kind == "events", own, *which))
    return _described(union_all(*told).subquery("told"))


def _within(ask: Ask, number: Any, at: Any) -> Clause:
    """It was since the last delivery; or, where there was none, within the days."""
    clause: Clause = number > ask.after if ask.after is not None else at >= beginning(ask)
    return clause


def _heard_of(ask: Ask) -> Clause:
    """It was told before that this was done, which is undone now."""
    if ask.after is None:
        return uploads.c.finished_at < beginning(ask)
    return or_(uploads.c.sequence <= ask.after, uploads.c.sequence.is_(None))


def _described(told: Any) -> Select[Any]:
    own = (*(column for column in events.c if column.name not in ("id", CUSTOM)),)
    columns = (
        *(told.c.event, told.c.upload, told.c.undo, told.c.before, told.c.after),
        *own,
        clients.c.reference.label("client"),
        *(clients.c.last_name, clients.c.first_name, clients.c.business_name),
        cases.c.number.label("case"),
        *(uploads.c.file, uploads.c.finished_at, uploads.c.undone_at),
        *(_OLD.c[name].label(f"old_{name}") for name in _WAS),
        _INSTEAD.c.new_event.label("instead"),
    )
    came = and_(_MOVED.c.upload_id == told.c.upload, _MOVED.c.new_event == told.c.event)
    went = and_(_INSTEAD.c.upload_id == told.c.upload, _INSTEAD.c.old_event == told.c.event)
    joined = (
        told.join(events, events.c.id == told.c.event)
        .join(uploads, uploads.c.id == told.c.upload)
        .join(clients, clients.c.id == events.c.client_id, isouter=True)
        .join(cases, cases.c.id == events.c.case_id, isouter=True)
        .join(_MOVED, came, isouter=True)
        .join(_OLD, _OLD.c.id == _MOVED.c.old_event, isouter=True)
        .join(_INSTEAD, went, isouter=True)
    )
    number = func.coalesce(uploads.c.undone_sequence, uploads.c.sequence, 0).label("number")
    at = func.coalesce(uploads.c.undone_at, uploads.c.finished_at)
    order = (number, at, told.c.upload, told.c.undo, told.c.event, told.c.step)
    return select(*columns, number).select_from(joined).order_by(*order)


def _removed(ask: Ask) -> Select[Any]:
    """Hearings that an undo has deleted and that somebody was told of, also those whose number SQLite gave anew."""
    r = removed.c
    columns = (r.sequence, r.record_id, r.reference, r.upload_id, uploads.c.file, uploads.c.undone_at)
    query = select(*columns).join_from(removed, uploads, uploads.c.id == r.upload_id)
    query = query.where(r.agency_id == ask.agency.id, r.kind == "events", _heard_of(ask))
    return query.where(_within(ask, r.sequence, uploads.c.undone_at)).order_by(r.sequence, r.id)


def _news(group: Iterable[Row[Any]], ask: Ask) -> Iterator[_News]:
    """The row of the report, or none if nothing is to be told."""
    told = _Told()
    row: Any = None
    for row in group:
        told.add(row)
    change = _kind(row, told)
    if change is None:
        return
    at = row.undone_at if row.undo else row.finished_at
    held = {**row._mapping, **told.after}
    was = {name: row._mapping[f"old_{name}"] for name in _WAS} if row.old_local_date else told.before
    cells: dict[str, Cell] = {name: held[name] for name in _AS_HELD}
    cells |= {"date": day(held["local_date"], ask), "time": clock(held["local_time"], ask)}
    if change == "moved":
        cells |= {"old_date": day(was.get("local_date", row.local_date), ask)}
        cells |= {"old_time": clock(was.get("local_time", row.local_time), ask)}
    cells |= {"change": change, "changes": "" if told.created else _differences(told), "id": row.event}
    cells |= {"changed_at": local(at, ask), "changed_at_utc": at}
    yield _News((row.number, at), cells, {**cells, **{name: was[name] for name in _FILTERED if name in was}})


def _kind(row: Row[Any], told: _Told) -> str | None:
    if row.undo:
        if told.after.get(_WITHDRAWN):  # it was on again only by the file that is undone
            return "withdrawn"
        return "put back" if _differences(told) or told.differs(_WITHDRAWN) else None
    if told.created:
        return "moved" if row.old_local_date else "new"
    if told.after.get(_WITHDRAWN):
        return None if row.instead else "withdrawn"  # the hearing that came instead tells of both
    if told.before.get(_WITHDRAWN):
        return "restored"
    if told.differs("local_date", "local_time"):
        return "moved"
    if told.differs("status") and any(word in (told.after["status"] or "").lower() for word in CANCELLED):
        return "cancelled"
    return "changed" if _differences(told) else None


def _differences(told: _Told) -> str:
    """What differs, such as `status: Scheduled -> Continued; room: 2 -> 3`."""
    found = []
    for name in sorted(told.before, key=_ORDER.index):  # databases write them in their own orders
        if name == CUSTOM:
            old, new = json.loads(told.before[name] or "{}"), json.loads(told.after.get(name) or "{}")
            found += [(each, old.get(each), new.get(each)) for each in {**old, **new}]
        elif name not in _OWN:
            found.append((_NAMES.get(name, name), told.before[name], told.after.get(name)))
    return "; ".join(f"{name}: {old or 'nothing'} -> {new or 'nothing'}" for name, old, new in found if old != new)


_COLUMNS: Mapping[str, str] = MappingProxyType(
    {
        "change": "new, moved, cancelled, changed, withdrawn, restored, put back (by an undo) or removed (by an undo)",
        "date": "the day of the hearing now, at the court",
        "time": "its time of day, at the court",
        "zone": "the zone that day and time are in",
        "old_date": "the day before it was moved",
        "old_time": "the time before it was moved",
        "changes": "what differs, each as `column: old -> new`",
        "client": "the court's own id of the person",
        "last_name": "the person's last name",
        "first_name": "the person's first name",
        "business_name": "or the name of an organisation",
        "case": "the case's number",
        "type": "type of the event",
        "status": "status of the event",
        "location": "where it is",
        "room": "room, or the like",
        "judge": "the judge",
        "reference": "the court's own id of the event",
        "changed_at": "when the file was processed that said so, in the agency's time",
        "file": "that file",
        "upload": "its upload",
        "changed_at_utc": "the instant",
        "id": NUMBER,
    }
)
_PLACES = MappingProxyType({name: place for place, name in enumerate(_COLUMNS)})
_SORTS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "changed": (),
        "date": ("date", "time"),
        "name": ("last_name", "first_name", "business_name", "date", "time"),
        "case": ("case", "date", "time"),
        "location": ("location", "room", "date", "time"),
    }
)
"""The columns to sort by; none: the order in which it happened."""
_AS_HELD = (
    *("zone", "client", "last_name", "first_name", "business_name", "case"),
    *("type", "status", "location", "room", "judge", "reference", "file", "upload"),
)


def _laid_out(cells: Mapping[str, Cell]) -> Sequence[Cell]:
    return [cells.get(name) for name in _COLUMNS]


CHANGED = Report(
    name="changed-events",
    sentence="Hearings that are new, moved, cancelled or otherwise changed since the last delivery.",
    columns=tuple(Column(name, meaning) for name, meaning in _COLUMNS.items()),
    days=Days(7, "how many days to look back, today included, where nothing was delivered before"),
    filters={
        "change": choice("one of the words of that column", dict.fromkeys(KINDS, true())),
        "type": same(events.c.type, "type of the event, now or before"),
        "status": same(events.c.status, "status of the event, now or before"),
        "location": same(events.c.location, "where it is, or was before"),
        "judge": same(events.c.judge, "the judge, now or before"),
    },
    sorts=dict.fromkeys(_SORTS, ()),
    rows=_rows,
)
