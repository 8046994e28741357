"""What nobody needs any more of what was told: forgotten, so that the tables do not grow for ever."""

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Select, delete, func, select

from ingest import inbox
from ingest.tables import removed, uploads
from server.outbound.deliveries import CHANGED, DELIVERED, deliveries, report_in, told_up_to
from server.outbound.exports.store import delivered_up_to, export_runs, list_exports

KEPT = timedelta(days=400)
"""How long it is known what was delivered, and which records were removed."""
DELIVERIES_KEPT = 100
"""Of each profile's report these are known longer, so that Skip Past Reports knows them."""
RUNS_KEPT = 10
"""Of each export these are known longer."""


def prune(conn: Connection, at: datetime) -> int:
    """Forget deliveries, runs and removed records of long ago, in a write transaction; how many."""
    before = at - KEPT
    d, r = deliveries.c, export_runs.c
    delivered = select(d.id).where(d.state == DELIVERED)
    past = _past(delivered, (d.profile_id, d.report), (func.coalesce(d.last, 0).desc(), d.at.desc()), DELIVERIES_KEPT)
    over = _past(select(r.id), (r.export_id,), (r.started_at.desc(),), RUNS_KEPT)
    forgotten: int = conn.execute(delete(deliveries).where(d.at < before, d.id.in_(past))).rowcount
    forgotten += conn.execute(delete(export_runs).where(r.removed_at < before, r.id.in_(over))).rowcount
    for agency_id in list(conn.execute(select(removed.c.agency_id).distinct()).scalars()):
        forgotten += _prune_removed(conn, agency_id, before)
    return forgotten


def _past(rows: Select[Any], group: tuple[Any, ...], newest: tuple[Any, ...], kept: int) -> Select[Any]:
    """The ids of the rows but for the newest of each group."""
    placed = rows.add_columns(func.row_number().over(partition_by=group, order_by=newest).label("place")).subquery()
    return select(placed.c.id).where(placed.c.place > kept)


def _prune_removed(conn: Connection, agency_id: str, before: datetime) -> int:
    """Forget records that were removed before that instant, if everybody who is told of them has been."""
    told = [delivered_up_to(conn, each) for each in list_exports(conn, agency_id) if each.watermark is not None]
    told += _reported(conn, agency_id)
    long_ago = select(uploads.c.id).where(uploads.c.agency_id == agency_id, uploads.c.undone_at < before)
    query = delete(removed).where(removed.c.agency_id == agency_id, removed.c.upload_id.in_(long_ago))
    if told:
        query = query.where(removed.c.sequence <= min(told))
    return conn.execute(query).rowcount


def _reported(conn: Connection, agency_id: str) -> list[int]:
    """The last write that each profile's report of changed events has told."""
    telling = [each.id for each in inbox.list_profiles(conn, agency_id) if report_in(each.report or "") == CHANGED]
    return [last for last in (told_up_to(conn, each, CHANGED) for each in telling) if last is not None]
