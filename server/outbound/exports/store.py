"""The exports of the agencies, and the runs of each: which writes are in which file, and what became of the file."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    Connection,
    ForeignKey,
    Index,
    Integer,
    Row,
    String,
    Table,
    Text,
    UniqueConstraint,
    delete,
    exists,
    func,
    insert,
    literal,
    or_,
    select,
    tuple_,
    update,
)

from server.db.metadata import Instant, metadata
from server.errors import AppError, Code
from server.schedule.claims import slots
from server.schedule.slots import Schedule, parse_schedule

exports = Table(
    "exports",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("agency_id", String(36), nullable=False, index=True),
    Column("name", String(40), nullable=False),
    Column("dataset", String(16), nullable=False),
    Column("schedule", Text, nullable=False),
    Column("form", String(8), nullable=False),
    Column("directory", Text, nullable=False),
    Column("state", String(16), nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("since", Instant, nullable=False, comment="later slots are due"),
    Column("watermark", BigInteger, comment="the agency's last write that was told; NULL: nothing was told yet"),
    Column("error", Text),
    Column("error_hint", Text),
    Column("error_at", Instant),
)

export_runs = Table(
    "export_runs",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("export_id", String(36), ForeignKey("exports.id"), nullable=False),
    Column("slot", String(100), nullable=False),
    Column("due_at", Instant, nullable=False),
    Column("started_at", Instant, nullable=False),
    Column("after", BigInteger, comment="the last write that was told before; NULL: the first run, it tells all"),
    Column("upto", BigInteger, nullable=False, comment="the last write that it tells"),
    Column("directory", Text, nullable=False),
    Column("file", Text, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("rows", Integer, nullable=False),
    Column("note", Text, nullable=False),
    Column("delivered_at", Instant),
    Column("copies", Integer, nullable=False, server_default="0", comment="how often it was put back"),
    Column("removed_at", Instant),
    UniqueConstraint("export_id", "slot"),
    Index(None, "removed_at"),
)

AHEAD = timedelta(hours=1)
"""What is later than now by more was written by a clock that was wrong."""
_AGE = (export_runs.c.started_at, export_runs.c.id)
NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,38}[a-z0-9])?")


class ExportState(StrEnum):
    """Whether an export runs by itself."""

    ACTIVE = "active"
    PAUSED = "paused"
    CANCELLED = "cancelled"


@dataclass(frozen=True)
class Export:
    """What is told (`dataset`), when, as what (`form`) and where (`directory`, as the agency sees it).

    Slots later than `since` are due. `watermark` is the number of the agency's last write that was told, None before
    the first run. `error` is why the last try failed, None if it did not; they have failed since `error_at`.
    """

    id: str
    agency_id: str
    name: str
    dataset: str
    schedule: Schedule
    form: str
    directory: str
    state: str
    created_at: datetime
    since: datetime
    watermark: int | None = None
    error: str | None = None
    error_hint: str | None = None
    error_at: datetime | None = None


@dataclass(frozen=True)
class Run:
    """One file: it tells the agency's writes later than `after` (None: everything) up to `upto`.

    It was due at `due_at` in the slot of that name, and `note` says if it is late. It lies in `directory` under the
    name `file`, was put back there `copies` times, and was deleted at `removed_at` when its time was over.
    """

    id: str
    export_id: str
    slot: str
    due_at: datetime
    started_at: datetime
    after: int | None
    upto: int
    directory: str
    file: str
    size: int
    sha256: str
    rows: int
    note: str
    delivered_at: datetime | None = None
    copies: int = 0
    removed_at: datetime | None = None


def add_export(conn: Connection, export: Export) -> Export:
    """Keep a new export. Raises `AppError` invalid for a bad name, conflict for one that is taken."""
    if not NAME.fullmatch(export.name):
        hint = "Use 1 to 40 small letters, digits and dashes; no dash at either end."
        raise AppError(Code.INVALID, f"'{export.name}' cannot be the name of an export.", hint)
    if any(other.name == export.name for other in list_exports(conn, export.agency_id)):
        hint = "Give this one another with --name, or change that one with: dropslot export edit"
        raise AppError(Code.CONFLICT, f"The agency has an export '{export.name}' already.", hint)
    conn.execute(insert(exports).values(_values(export)))
    return export


def find_export(conn: Connection, agency_id: str, name: str) -> Export:
    """The agency's export of that name; the last of them if all were cancelled. Raises `AppError` not_found."""
    query = select(exports).where(exports.c.agency_id == agency_id, exports.c.name == name)
    found = [_export(row) for row in conn.execute(query.order_by(exports.c.id.desc()))]
    if not found:
        raise AppError(Code.NOT_FOUND, f"The agency has no export '{name}'.", "See: dropslot export list")
    return next((export for export in found if export.state != ExportState.CANCELLED), found[0])


def export_by_id(conn: Connection, export_id: str) -> Export:
    """The export of that id, which exists."""
    return _export(conn.execute(select(exports).where(exports.c.id == export_id)).one())


def list_exports(conn: Connection, agency_id: str | None = None, cancelled: bool = False) -> list[Export]:
    """Exports by agency and name; without those that are cancelled, unless wanted."""
    query = select(exports).order_by(exports.c.agency_id, exports.c.name, exports.c.id)
    if agency_id is not None:
        query = query.where(exports.c.agency_id == agency_id)
    if not cancelled:
        query = query.where(exports.c.state != ExportState.CANCELLED)
    return [_export(row) for row in conn.execute(query)]


def keep_export(conn: Connection, export: Export) -> Export:
    """Keep what was changed in an export."""
    conn.execute(update(exports).where(exports.c.id == export.id).values(_values(export)))
    return export


def note_error(conn: Connection, export_id: str, error: AppError | None, at: datetime) -> None:
    """Keep why a try has failed, and since when tries do; None: the last one has not."""
    values: dict[str, Any] = {"error": None, "error_hint": None, "error_at": None}
    if error is not None:
        since = func.coalesce(exports.c.error_at, literal(at, Instant))
        values |= {"error": error.message, "error_hint": error.hint, "error_at": since}
    conn.execute(update(exports).where(exports.c.id == export_id).values(values))


def add_run(conn: Connection, run: Run) -> None:
    """Keep a run: its file is on its way."""
    conn.execute(insert(export_runs).values(vars(run)))


def mark_run(conn: Connection, run: Run) -> None:
    """Keep what became of a run's file."""
    values = {"delivered_at": run.delivered_at, "copies": run.copies, "removed_at": run.removed_at}
    conn.execute(update(export_runs).where(export_runs.c.id == run.id).values(values))


def list_runs(conn: Connection, export_id: str, limit: int | None = None) -> list[Run]:
    """The runs of an export, the newest first."""
    order = (export_runs.c.started_at.desc(), export_runs.c.id.desc())
    query = select(export_runs).where(export_runs.c.export_id == export_id).order_by(*order)
    return [_run(row) for row in conn.execute(query.limit(limit))]


def last_runs(conn: Connection) -> dict[str, Run]:
    """The newest run of each export, by the export's id; those whose time is over are left out."""
    c = export_runs.c
    newest = select(c.export_id, func.max(c.started_at).label("at")).where(c.removed_at.is_(None)).group_by(c.export_id)
    found = newest.subquery()
    query = select(export_runs).join(found, (found.c.export_id == c.export_id) & (found.c.at == c.started_at))
    query = query.where(c.removed_at.is_(None)).order_by(c.id)
    return {run.export_id: run for run in map(_run, conn.execute(query))}


def undelivered(conn: Connection) -> list[Run]:
    """Runs whose file is not where it belongs yet, the oldest first; but for those before one that tells all."""
    waiting = (export_runs.c.delivered_at.is_(None), export_runs.c.removed_at.is_(None), ~_followed_by_all())
    return [_run(row) for row in conn.execute(select(export_runs).where(*waiting).order_by(*_AGE))]


def delivered_up_to(conn: Connection, export: Export) -> int:
    """The agency's last write up to which all files of the export have arrived; 0: not even the first one."""
    waiting = [run.after or 0 for run in undelivered(conn) if run.export_id == export.id]
    return min(waiting, default=export.watermark or 0)


def outdated(conn: Connection, before: datetime) -> list[Run]:
    """Runs whose file was delivered before that instant and not deleted yet, the oldest first.

    A file that waits to be delivered has all the time; but not if none wants it any more: one that tells all has
    followed it, or the export was cancelled.
    """
    c = export_runs.c
    ended = c.export_id.in_(select(exports.c.id).where(exports.c.state == ExportState.CANCELLED))
    over = or_(c.delivered_at.is_not(None), _followed_by_all(), ended)
    old = (c.removed_at.is_(None), func.coalesce(c.delivered_at, c.started_at) < before, over)
    return [_run(row) for row in conn.execute(select(export_runs).where(*old).order_by(*_AGE))]


def _followed_by_all() -> ColumnElement[bool]:
    later = export_runs.alias("later")
    same, whole = later.c.export_id == export_runs.c.export_id, later.c.after.is_(None)
    newer = tuple_(later.c.started_at, later.c.id) > tuple_(*_AGE)
    return exists().where(same, newer, whole)


def settle_clock(conn: Connection, at: datetime) -> list[str]:
    """Have what a clock that was ahead has left count as of `at`, in a write transaction; the exports concerned, by id.

    Else nothing would be due until that clock was right. Their slots are still to come, so the runs let go of them.
    """
    ahead = at + AHEAD
    found = set(conn.execute(select(exports.c.id).where(exports.c.since > ahead)).scalars())
    found |= set(conn.execute(select(export_runs.c.export_id).where(export_runs.c.started_at > ahead)).scalars())
    conn.execute(delete(slots).where(func.coalesce(slots.c.done_at, slots.c.lease_until) > ahead))
    if found:
        run = export_runs.c
        early = update(export_runs).where(run.started_at > ahead, run.due_at > ahead)
        conn.execute(early.values(slot=literal("early ") + run.id, due_at=at))
        for column in (exports.c.since, exports.c.error_at, run.started_at, run.delivered_at):
            conn.execute(update(column.table).where(column > ahead).values({column: at}))
    return sorted(found)


def name_is_taken(conn: Connection, agency_id: str, file: str) -> bool:
    """Whether a file of the agency has had that name."""
    query = select(export_runs.c.id).join(exports, exports.c.id == export_runs.c.export_id)
    found = query.where(exports.c.agency_id == agency_id, export_runs.c.file == file)
    return conn.execute(found.limit(1)).first() is not None


def runs_by_id(conn: Connection, ids: Iterable[str]) -> set[str]:
    """Those of the ids that are runs."""
    return set(conn.execute(select(export_runs.c.id).where(export_runs.c.id.in_(list(ids)))).scalars())


def _values(export: Export) -> dict[str, Any]:
    return {**vars(export), "schedule": str(export.schedule)}


def _export(row: Row[Any]) -> Export:
    return Export(**{**row._mapping, "schedule": parse_schedule(row.schedule)})


def _run(row: Row[Any]) -> Run:
    return Run(**row._mapping)


def moved_to(export: Export, run: Run) -> Export:
    """The export after that run; what has failed before does until a file has been delivered."""
    return replace(export, watermark=run.upto, since=max(export.since, run.due_at))
