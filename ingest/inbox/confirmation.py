"""Files that wait for a person: to be confirmed, rejected, or overtaken by a newer one.

Whoever calls these holds the lock of the agency's records (`record.records_of`), so that no worker is in the middle of
the same file.
"""

from collections.abc import Mapping
from datetime import datetime
from math import inf

from sqlalchemy import Connection, func, select, update

from ingest.answer import Counts, Upload
from ingest.arrival import SUCCEEDED, Arrival, ArrivalState
from ingest.errors import IngestError
from ingest.inbox.uploads import find_upload
from ingest.record import new_id
from ingest.tables import arrivals, uploads
from ingest.template import Processing

_AWAITING = ArrivalState.AWAITING
CONFIRMED = "confirmed"


def confirm_upload(conn: Connection, upload_id: str, at: datetime) -> Upload:
    """Let the file of this upload run again, with what it waited for confirmed; the upload is over, a new one comes.

    The caller enqueues its arrival. Raises IngestError `not_found`, or `conflict` for one that does not wait.
    """
    upload = _find_awaiting(conn, upload_id)
    row = conn.execute(select(arrivals.c.confirmed).where(arrivals.c.id == upload.arrival_id)).one()
    codes = {*(row.confirmed or "").split(), upload.error.code if upload.error else ""} - {""}
    waiting = {"state": ArrivalState.RECEIVED, "upload_id": None, "detail": "A person has confirmed it."}
    conn.execute(
        update(arrivals).where(arrivals.c.id == upload.arrival_id).values(confirmed=" ".join(sorted(codes)), **waiting)
    )
    # Its receipt is worth delivering once it can name the upload which follows.
    over = {"status": CONFIRMED, "answered_at": at, "error_hint": ""}
    conn.execute(update(uploads).where(uploads.c.id == upload_id).values(**over))
    return upload


def reject_upload(conn: Connection, upload_id: str, reason: str) -> Upload:
    """Settle the file as failed; nothing was changed. Its receipt is due again: the caller enqueues its arrival.

    Raises IngestError as `confirm_upload`.
    """
    upload = _find_awaiting(conn, upload_id)
    told = f"A person looked at the file and rejected it{f': {reason}' if reason else '.'}"
    _fail(conn, upload, "rejected", told, "Correct what was wrong and send it again.")
    return upload


def awaiting_uploads(conn: Connection, agency_id: str | None = None) -> list[Upload]:
    """Uploads that wait for a person, the oldest first."""
    query = select(uploads.c.id).where(uploads.c.status == _AWAITING).order_by(uploads.c.id)
    if agency_id is not None:
        query = query.where(uploads.c.agency_id == agency_id)
    found = (find_upload(conn, id_) for id_ in conn.execute(query).scalars().all())
    return [upload for upload in found if upload is not None]


def is_confirmed(conn: Connection, arrival: Arrival, code: str, counts: Mapping[str, Counts]) -> bool:
    """Whether a person has let the file pass, and saw at least what it would withdraw now: others may have brought
    more since."""
    if code not in arrival.confirmed.split():
        return False
    query = select(uploads.c.id).where(uploads.c.arrival_id == arrival.id, uploads.c.status == CONFIRMED)
    newest = conn.execute(query.order_by(uploads.c.id.desc()).limit(1)).scalar()
    seen = find_upload(conn, newest) if newest else None
    if seen is None:
        return False
    return all(kind in seen.counts and told.withdrawn <= seen.counts[kind].withdrawn for kind, told in counts.items())


def overtake(conn: Connection, upload: Upload, arrival: Arrival, processing: Processing) -> None:
    """A newer snapshot was processed, or says what is there already: older ones of its template that still wait can be
    confirmed no more.

    What is run again is as old as it was the first time. Where the template says in which order files are taken, the
    one that was taken first is the older one, whichever came first.
    """
    first = _first_arrival(conn, arrival)
    for other in awaiting_uploads(conn, upload.agency_id):
        if other.template == upload.template and _is_older(conn, other.arrival_id, first, processing):
            told = f"A newer file of the same template, {upload.file}, has come in the meantime, and counts."
            _fail(conn, other, "overtaken", told, "There is nothing to do; send it again if it is the right one.")


def _is_older(conn: Connection, arrival_id: str, than: str, processing: Processing) -> bool:
    if processing.as_they_come:
        return arrival_id < than
    return _first_taken(conn, arrival_id) < _first_taken(conn, than)


def _first_arrival(conn: Connection, arrival: Arrival) -> str:
    """The id of the arrival; of what is run again, that of the arrival with which it came."""
    id_, replayed = arrival.id, arrival.replay_of
    while replayed:
        query = select(arrivals.c.id, arrivals.c.replay_of).join(uploads, uploads.c.arrival_id == arrivals.c.id)
        came = conn.execute(query.where(uploads.c.id == replayed)).first()
        if came is None:
            break
        id_, replayed = came
    return id_


def _first_taken(conn: Connection, arrival_id: str) -> float:
    """The number of the write that took the file for the first time, be it that it has waited since; beyond all others
    while it is being taken."""
    numbers = select(func.min(func.coalesce(uploads.c.sequence, 0))).where(uploads.c.arrival_id == arrival_id)
    first = conn.execute(numbers).scalar()
    return inf if first is None else float(first)


def newest_success(
    conn: Connection, agency_id: str, template: str | None = None, came_before: datetime | None = None
) -> Upload | None:
    """The upload of the agency that was processed last; or of that template of it, of files that came before then, and
    not of what was run again, which is no newer for that.

    Clocks are set back: so the order of the writes decides, and not the order of the ids.
    """
    query = select(uploads.c.id).where(uploads.c.agency_id == agency_id, uploads.c.status.in_(SUCCEEDED))
    if template is not None:
        query = query.join(arrivals, arrivals.c.id == uploads.c.arrival_id)
        query = query.where(uploads.c.template == template, arrivals.c.replay_of.is_(None))
    if came_before is not None:
        query = query.where(uploads.c.arrival_id < new_id(came_before))
    newest = query.order_by(uploads.c.sequence.desc().nulls_last(), uploads.c.id.desc()).limit(1)
    found = conn.execute(newest).scalar()
    return find_upload(conn, found) if found else None


def _find_awaiting(conn: Connection, upload_id: str) -> Upload:
    upload = find_upload(conn, upload_id)
    if upload is None:
        raise IngestError("not_found", f"There is no upload {upload_id}.", "See: dropslot upload list")
    if upload.status != _AWAITING:
        why = f" {upload.error.message}" if upload.error else ""
        status = upload.status.replace("_", " ")
        raise IngestError("conflict", f"The upload {upload_id} is {status} and waits for nobody.{why}")
    return upload


def _fail(conn: Connection, upload: Upload, code: str, message: str, hint: str) -> None:
    error = {"error_code": code, "error_message": message, "error_hint": hint}
    failed = ArrivalState.FAILED
    conn.execute(update(uploads).where(uploads.c.id == upload.id).values(status=failed, answered_at=None, **error))
    conn.execute(update(arrivals).where(arrivals.c.id == upload.arrival_id).values(state=failed, detail=message))
