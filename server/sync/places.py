"""How each place stands: whether it answers, when it is tried again, whether it is parked; and who works there now."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, delete, or_, select, update

from ingest.databases import insert_missing
from server.errors import AppError, Code
from server.sync.tables import sync_places

LEASE = timedelta(seconds=60)
SLACK = timedelta(minutes=5)
"""What is further ahead than could be was kept while the clock was wrong, and does not count."""
FIRST_PAUSE = timedelta(minutes=1)
LONGEST_PAUSE = timedelta(hours=1)
PATIENCE = timedelta(hours=24)
"""A place that is away for so long is parked."""
MOST_REFUSALS = 3
"""So often a place may refuse us, or its settings be wrong, until it is parked: more tries may lock the account."""

_TROUBLE = ("failing_since", "retry_at", "parked_at", "code", "error", "hint")


@dataclass(frozen=True)
class Standing:
    """How a place stands; `failures` counts those in a row. See `sync_places` for the other fields."""

    id: str
    failures: int = 0
    failing_since: datetime | None = None
    retry_at: datetime | None = None
    parked_at: datetime | None = None
    code: str | None = None
    error: str | None = None
    hint: str | None = None
    holder: str | None = None
    held_until: datetime | None = None

    @property
    def state(self) -> str:
        """ok, failing or parked."""
        return "parked" if self.parked_at else "failing" if self.failures else "ok"

    def may_be_tried(self, at: datetime) -> bool:
        """Whether the back-off is over, and nobody has to look first."""
        return self.parked_at is None and (
            self.retry_at is None or self.retry_at <= at or self.retry_at > at + LONGEST_PAUSE + SLACK
        )

    def is_held(self, at: datetime) -> bool:
        """Whether somebody works there."""
        return self.holder is not None and self.held_until is not None and at < self.held_until <= at + LEASE + SLACK


def standings(conn: Connection) -> dict[str, Standing]:
    """All places that anything is known of."""
    return {row.id: _standing(row) for row in conn.execute(select(sync_places))}


def standing_of(conn: Connection, place_id: str) -> Standing:
    """How a place stands; well, if nothing is known of it."""
    row = conn.execute(select(sync_places).where(sync_places.c.id == place_id)).one_or_none()
    return _standing(row) if row else Standing(place_id)


def note_failure(conn: Connection, place_id: str, error: AppError, at: datetime, park: bool = True) -> Standing:
    """The place could not be worked at: back off, or (if `park`) park it."""
    before = standing_of(conn, place_id)
    failures, since = before.failures + 1, min(before.failing_since or at, at)
    refused = error.code is not Code.UNAVAILABLE
    hopeless = failures >= MOST_REFUSALS if refused else at - since >= PATIENCE
    pause = min(FIRST_PAUSE * 2 ** min(before.failures, 10), LONGEST_PAUSE)
    values = {
        "failures": failures,
        "failing_since": since,
        "retry_at": at + pause,
        "parked_at": before.parked_at or (at if hopeless and park else None),
    }
    return _keep(conn, place_id, {**values, **_reason(error)})


def note_vain_try(conn: Connection, place_id: str, error: AppError, at: datetime) -> Standing:
    """A person has tried the place in vain: it is told, and makes no back-off longer and parks nothing.

    Of a place that was well it is the first failure, so that it is tried again soon: the next cycle counts from now.
    """
    before = standing_of(conn, place_id)
    coming = before.retry_at and before.retry_at > at
    values = {
        "failures": max(before.failures, 1),
        "failing_since": before.failing_since or at,
        "retry_at": before.retry_at if coming else at + FIRST_PAUSE,
    }
    return _keep(conn, place_id, {**values, **_reason(error)})


def note_success(conn: Connection, place_id: str) -> None:
    """The place answers: nothing is held against it."""
    if standing_of(conn, place_id).failures:
        _keep(conn, place_id, {"failures": 0, **dict.fromkeys(_TROUBLE)})


def note_tried(conn: Connection, place_id: str) -> None:
    """Somebody has tried the place with success; what is held against it stays."""
    insert_missing(conn, sync_places, [{"id": place_id, "failures": 0}])


def resume(conn: Connection, place_id: str, at: datetime) -> Standing:
    """Somebody has mended it: it is tried again at once. Nothing happens to a place that is well."""
    before = standing_of(conn, place_id)
    if not before.failures:
        return before
    return _keep(conn, place_id, {"failures": 1, **dict.fromkeys(_TROUBLE), "retry_at": at})


def forget_place(conn: Connection, place_id: str) -> None:
    """The place is no more."""
    conn.execute(delete(sync_places).where(sync_places.c.id == place_id))


def hold(conn: Connection, place_id: str, holder: str, at: datetime) -> bool:
    """Work there alone, for `LEASE` from now; False if another does. Asked again, it is held for longer."""
    insert_missing(conn, sync_places, [{"id": place_id, "failures": 0}])
    until = sync_places.c.held_until
    free = or_(sync_places.c.holder.is_(None), sync_places.c.holder == holder, until < at, until > at + LEASE + SLACK)
    query = update(sync_places).where(sync_places.c.id == place_id, free)
    return conn.execute(query.values(holder=holder, held_until=at + LEASE)).rowcount == 1


def let_go(conn: Connection, place_id: str, holder: str) -> None:
    """Work there is done."""
    query = update(sync_places).where(sync_places.c.id == place_id, sync_places.c.holder == holder)
    conn.execute(query.values(holder=None, held_until=None))


def _keep(conn: Connection, place_id: str, values: dict[str, Any]) -> Standing:
    insert_missing(conn, sync_places, [{"id": place_id, "failures": 0}])
    conn.execute(update(sync_places).where(sync_places.c.id == place_id).values(**values))
    return standing_of(conn, place_id)


def _reason(error: AppError) -> dict[str, Any]:
    return {"code": error.code.value, "error": error.message, "hint": error.hint}


def _standing(row: Row[Any]) -> Standing:
    return Standing(**row._mapping)
