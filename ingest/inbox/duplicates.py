"""Whether a file says nothing new, or comes too late to say anything."""

from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import Connection, exists, select

from ingest.answer import Upload
from ingest.arrival import Arrival, Profile
from ingest.errors import IngestError
from ingest.inbox.arrivals import latest_success
from ingest.inbox.confirmation import newest_success
from ingest.inbox.uploads import find_upload
from ingest.index import current_index
from ingest.moments import clock_time, day_of
from ingest.tables import uploads
from ingest.template import Processing, Template

_SLACK = timedelta(minutes=1)
"""By so much the clocks of two machines may differ."""


@dataclass(frozen=True)
class Duplicate:
    """A file that is not taken: the sentence that says why, and whether all that it holds is there already."""

    told: str
    holds: bool


def find_duplicate(
    conn: Connection, arrival: Arrival, profile: Profile, upload: Upload, template: Template, zone: str
) -> Duplicate | None:
    """Whether the file is a duplicate of an earlier one. What is run again never is one. `zone` is the agency's."""
    earlier = latest_success(conn, arrival)
    if earlier is None or arrival.replay_of:
        return None
    when = clock_time(earlier.received_at, zone)
    made = find_upload(conn, earlier.upload_id or "")
    alike = made is not None and _read_alike(made, upload) and not _judges_anew(made, upload, template, zone)
    if made and alike and _still_holds(conn, made, template.processing):
        return Duplicate(f"The same content came under the same name on {when} and was processed then.", holds=True)
    if profile.skip_same_name:
        told = f"A file of the same name was processed on {when}, and this profile takes each name once."
        return Duplicate(told, holds=False)
    return None


def _read_alike(earlier: Upload, upload: Upload) -> bool:
    """Whether the same version of the same template read the same bytes: another one may read other things in them."""
    return (earlier.sha256, earlier.template, earlier.template_version) == (
        upload.sha256,
        upload.template,
        upload.template_version,
    )


def _judges_anew(earlier: Upload, upload: Upload, template: Template, zone: str) -> bool:
    """Whether by now filters leave out other rows of a snapshot: what has no row any more is withdrawn."""
    ageing = template.processing.replaces and any(exclude.test == "past" for exclude in template.excludes)
    return ageing and day_of(earlier.started_at, zone) != day_of(upload.started_at, zone)


def _still_holds(conn: Connection, earlier: Upload, processing: Processing) -> bool:
    """Whether what the upload left behind is what is there.

    Last Monday's `mon.txt` is news again after the files of the other days, whatever their names, and so it is after
    another template, or a person, has changed its records: all of them replace the skip index, or drop it. A snapshot
    leaves no index, and is news as soon as any other file has been taken.
    """
    if not processing.replaces:
        return current_index(conn, earlier.agency_id, earlier.template) == earlier.id
    newest = newest_success(conn, earlier.agency_id)
    since = select(exists().where(uploads.c.agency_id == earlier.agency_id, uploads.c.undone_at >= earlier.started_at))
    return newest is not None and newest.id == earlier.id and not conn.execute(since).scalar()


def refuse_overtaken(conn: Connection, arrival: Arrival, upload: Upload, processing: Processing) -> None:
    """Raises IngestError `overtaken` for a snapshot older than one that its template has processed.

    It would bring back what that one has withdrawn. Where a template says in which order files are taken, the one that
    came first need not be the oldest. A file that came in the future came by a clock that was wrong and has been set
    back since: it tells nothing about which of them is older.
    """
    if not (processing.replaces and processing.as_they_come):
        return
    newest = newest_success(conn, arrival.agency_id, upload.template, came_before=upload.started_at + _SLACK)
    if newest is not None and newest.arrival_id > arrival.id:
        raise IngestError(
            "overtaken",
            f"A newer file of the same template, {newest.file}, was processed before this one.",
            "There is nothing to do; send it again if it is the right one.",
        )
