"""Hearings that were read by another time zone than their agency has now."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, case, func, select

from ingest.tables import events


@dataclass(frozen=True)
class Elsewhere:
    """How many hearings have another zone, and how many of them are still to come."""

    hearings: int
    to_come: int


def count_elsewhere(conn: Connection, agency_id: str, zone: str, at: datetime) -> Elsewhere:
    """Those of the agency that are not withdrawn; to come is what begins after `at`."""
    later = func.coalesce(func.sum(case((events.c.starts_at > at, 1), else_=0)), 0)
    query = select(func.count(), later).where(
        events.c.agency_id == agency_id, events.c.zone != zone, events.c.withdrawn_upload.is_(None)
    )
    hearings, to_come = conn.execute(query).one()
    return Elsewhere(hearings, to_come)
