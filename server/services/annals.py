"""What is written down of each agency and forgotten again: the newest rows of a table, for ninety days.

Things come in storms, so those that are alike and are written together are one row, and there is a bound to what an
agency can fill.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Table, delete, insert, select

from server.agencies import agencies
from server.clock import new_id

KEPT = 10_000
"""Rows of one agency."""
KEPT_FOR = timedelta(days=90)


@dataclass(frozen=True)
class Times:
    """How often, and when for the last time."""

    count: int
    last: datetime

    def plus(self, other: "Times | None") -> "Times":
        """Both together."""
        return self if other is None else Times(self.count + other.count, max(self.last, other.last))


@dataclass(frozen=True)
class Note:
    """A row to be: the agency's slug, when, and the columns beside `id`, `agency_id`, `at` and `times`."""

    agency: str
    times: Times
    cells: Mapping[str, Any]


def keep_notes(conn: Connection, table: Table, notes: Sequence[Note]) -> None:
    """Write these down, and forget the oldest of the same agencies. Those of agencies that are gone are left out."""
    if not notes:
        return
    known = select(agencies.c.slug, agencies.c.id).where(agencies.c.slug.in_({note.agency for note in notes}))
    ids = {row.slug: row.id for row in conn.execute(known)}
    rows = [_row(note, ids[note.agency]) for note in notes if note.agency in ids]
    if rows:
        conn.execute(insert(table), rows)
    long_ago = new_id(max(note.times.last for note in notes) - KEPT_FOR)  # ids sort by time
    for agency_id in ids.values():
        own = table.c.agency_id == agency_id
        many = select(table.c.id).where(own).order_by(table.c.id.desc()).offset(KEPT).limit(1)
        last = max(conn.execute(many).scalar() or "", long_ago)
        conn.execute(delete(table).where(own, table.c.id <= last))


def _row(note: Note, agency_id: str) -> dict[str, Any]:
    times = note.times
    return {"id": new_id(times.last), "agency_id": agency_id, "at": times.last, "times": times.count, **note.cells}
