"""Whether a file says nothing new, or comes too late to say anything."""

from sqlalchemy import Connection

from ingest.answer import Upload
from ingest.arrival import Arrival, Profile
from ingest.errors import IngestError
from ingest.inbox.arrivals import latest_success
from ingest.inbox.confirmation import newest_success
from ingest.inbox.uploads import find_upload
from ingest.template import Processing


def find_duplicate(
    conn: Connection, arrival: Arrival, profile: Profile, upload: Upload, processing: Processing
) -> str | None:
    """A sentence about the earlier file of which this one is a duplicate, or None.

    A snapshot is one only if nothing came after that file: else it says again what has changed since.
    """
    earlier = latest_success(conn, arrival)
    if earlier is None:
        return None
    when = f"{earlier.received_at:%Y-%m-%d %H:%M} UTC"
    if earlier.sha256 == upload.sha256 and _read_alike(find_upload(conn, earlier.upload_id or ""), upload):
        newest = newest_success(conn, arrival.agency_id)
        if not processing.replaces or (newest is not None and newest.id == earlier.upload_id):
            return f"The same content came under the same name on {when} and was processed then."
    if profile.skip_same_name:
        return f"A file of the same name was processed on {when}, and this profile takes each name once."
    return None


def refuse_overtaken(conn: Connection, arrival: Arrival, upload: Upload, processing: Processing) -> None:
    """Raises IngestError `overtaken` for a snapshot older than one that its template has processed.

    It would bring back what that one has withdrawn. Where a template says in which order files are taken, the one that
    came first need not be the oldest.
    """
    if not (processing.replaces and processing.as_they_come):
        return
    newest = newest_success(conn, arrival.agency_id, upload.template)
    if newest is not None and newest.arrival_id > arrival.id:
        raise IngestError(
            "overtaken",
            f"A newer file of the same template, {newest.file}, was processed before this one.",
            "There is nothing to do; send it again if it is the right one.",
        )


def _read_alike(earlier: Upload | None, upload: Upload) -> bool:
    """Whether the same version of the same template read both: another one may read other things in the same bytes."""
    if earlier is None:
        return False
    return (earlier.template, earlier.template_version) == (upload.template, upload.template_version)
