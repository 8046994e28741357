"""What an operator does about an upload that should not have been, or not in that way: undo it, run it again."""

from ingest import inbox
from ingest.answer import Upload
from ingest.arrival import Arrival, Profile
from ingest.inbox.templates import find_template
from ingest.record import records_of
from ingest.undo import Undone, undo
from server.agencies import agency_by_id
from server.clock import now
from server.errors import AppError, Code
from server.intake.archive import hash_file
from server.intake.register import TASK
from server.receipts import drop_receipt
from server.state import State


def undo_upload(state: State, upload_id: str) -> Undone:
    """Put back what an upload has done to the records, all of it or nothing, and tell its agency.

    Raises `AppError` not_found, IngestError `conflict` with the reason.
    """
    agency_id = _find(state, upload_id).agency_id
    with state.database.writing(records_of(agency_id)) as conn:
        undone = undo(conn, upload_id, now())
    _tell(state, undone.upload)
    return undone


def replay_upload(state: State, upload_id: str, version: int | None = None, profile_name: str | None = None) -> Arrival:
    """Have the archived original of an upload run again, through the profile it came by or another one.

    `version` is that of the profile's template; None: the newest. Answers the new arrival, whose job is queued.
    Raises `AppError` not_found or conflict, IngestError `not_found` for a template or version that does not exist.
    """
    upload = _find(state, upload_id)
    with state.database.reading() as conn:
        came = inbox.find_arrival(conn, upload.arrival_id)
    if came is None:
        raise AppError(Code.NOT_FOUND, f"The arrival of the upload {upload_id} is gone.", "Send the file again.")
    with state.database.reading() as conn:
        if profile_name is not None:
            profile: Profile | None = inbox.find_profile(conn, upload.agency_id, profile_name)
        else:
            profile = inbox.profile_by_id(conn, came.profile_id or "")
        if profile is None:
            raise AppError(
                Code.CONFLICT, "The profile of this file is gone.", "Name the one to run it through with --profile."
            )
        find_template(conn, upload.agency_id, profile.template, version)
    _archive_original(state, came, upload)
    with state.database.writing() as conn:
        arrival = inbox.register_replay(conn, upload, came.path, profile, now(), version)
    state.queue.enqueue(TASK, arrival.id, lane=arrival.agency_id)
    return arrival


def _find(state: State, upload_id: str) -> Upload:
    with state.database.reading() as conn:
        upload = inbox.find_upload(conn, upload_id)
    if upload is None:
        raise AppError(Code.NOT_FOUND, f"There is no upload {upload_id}.", "See: dropslot upload list")
    return upload


def _archive_original(state: State, came: Arrival, upload: Upload) -> None:
    """See that the archive has the original as it came; one that the spool alone has is taken into it.

    Raises `AppError` not_found if it is gone, conflict if it has changed.
    """
    state.archive.keep(state.spool.data_path(came.id), upload.sha256)
    original = state.archive.path(upload.sha256)
    if not original.exists():
        raise AppError(
            Code.NOT_FOUND,
            f"The original of {upload.file} is not in the archive any more.",
            "Have the file sent again.",
        )
    if hash_file(original) != upload.sha256:
        raise AppError(
            Code.CONFLICT,
            f"The original of {upload.file} in the archive is not what it was: it has another SHA-256.",
            "Have the file sent again, and look at the disk.",
        )


def _tell(state: State, upload: Upload) -> None:
    """Renew the agency's receipt; if that cannot be done now, a worker does it later."""
    try:
        with state.database.reading() as conn:
            agency = agency_by_id(conn, upload.agency_id)
            errors, home = inbox.each_row_error(conn, upload.id), state.settings.home(agency.slug)
            drop_receipt(home, upload, errors, zone=agency.timezone)
    except AppError:
        state.queue.enqueue(TASK, upload.arrival_id, lane=upload.agency_id)
        return
    with state.database.writing() as conn:
        answered = inbox.mark_answered(conn, upload, now())
    if not answered:
        state.queue.enqueue(TASK, upload.arrival_id, lane=upload.agency_id)
