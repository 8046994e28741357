"""Files that came and were not taken, and that nobody has done anything about yet."""

from datetime import datetime

from sqlalchemy import ColumnElement, Connection, exists, func, select

from ingest.answer import Upload
from ingest.arrival import Arrival, ArrivalState
from ingest.inbox.arrivals import find_arrivals
from ingest.inbox.uploads import find_upload
from ingest.shape import STOPPED
from ingest.tables import arrivals, shapes, templates, uploads

_SETTLED = ("rejected", "overtaken")
"""Codes of files that failed and need nobody any more: a person has said so, or a newer one had come."""
_PASSING = (ArrivalState.PARTIAL, ArrivalState.REMOVED)


def stopped_uploads(conn: Connection, since: datetime) -> list[Upload]:
    """Files that were stopped for their columns, of each template the newest, and that nobody has done anything about:
    none was taken since, nothing was accepted, and the template is as it was."""
    accepted = exists().where(
        shapes.c.agency_id == uploads.c.agency_id,
        shapes.c.template == uploads.c.template,
        shapes.c.changed_at >= uploads.c.started_at,
    )
    return _uploads(conn, uploads.c.error_code.in_(STOPPED), ~accepted, uploads.c.started_at >= since)


def failed_uploads(conn: Connection, since: datetime) -> list[Upload]:
    """Files that could not be taken as a whole for another reason, of each template the newest: none was taken since,
    and the template is as it was."""
    others = uploads.c.error_code.not_in((*STOPPED, *_SETTLED))
    return _uploads(conn, uploads.c.status == "failed", others, uploads.c.started_at >= since)


def _uploads(conn: Connection, *which: ColumnElement[bool]) -> list[Upload]:
    """Those uploads, without such as another one of the same template came after, or another version of it."""
    later = uploads.alias("later")
    over = exists().where(
        later.c.agency_id == uploads.c.agency_id,
        later.c.template == uploads.c.template,
        later.c.status.not_in(("duplicate", "undone")),
        later.c.started_at > uploads.c.started_at,
    )
    version = select(func.max(templates.c.version)).where(
        templates.c.agency_id == uploads.c.agency_id, templates.c.name == uploads.c.template
    )
    unchanged = func.coalesce(version.scalar_subquery(), 0) <= uploads.c.template_version
    query = select(uploads.c.id).where(*which, ~over, unchanged).order_by(uploads.c.id)
    found = (find_upload(conn, id_) for id_ in conn.execute(query).scalars().all())
    return [upload for upload in found if upload is not None]


def unmatched_arrivals(conn: Connection, since: datetime) -> list[Arrival]:
    """Files that no profile reads, the oldest first, without such as another one came after by the same path."""
    later = arrivals.alias("later")
    over = exists().where(
        later.c.agency_id == arrivals.c.agency_id,
        later.c.name == arrivals.c.name,  # which has an index
        later.c.path == arrivals.c.path,
        later.c.state.not_in(_PASSING),
        later.c.id > arrivals.c.id,
    )
    query = select(arrivals.c.id).where(
        arrivals.c.state == ArrivalState.UNMATCHED, arrivals.c.received_at >= since, ~over
    )
    ids = conn.execute(query).scalars().all()
    return sorted(find_arrivals(conn, ids), key=lambda arrival: arrival.id)
