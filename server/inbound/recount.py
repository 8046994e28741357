"""What the uploads of agencies with a quota hold, counted anew: also what came and went past the door."""

from collections.abc import Collection

from server.agencies import list_agencies
from server.intake.usage import Meter, Quota
from server.logs import Log
from server.state import State


def recount(state: State, log: Log, slugs: Collection[str] | None = None) -> list[str]:
    """Count for those agencies (None: for all) that have a quota; which of them could not be counted just now.

    That is so while they are sending: ask again for them. Raises `AppError` unavailable when the database is away.
    """
    with state.database.reading() as conn:
        agencies = [one for one in list_agencies(conn) if Quota(one.quota_bytes, one.quota_files)]
    due = [agency.slug for agency in agencies if slugs is None or agency.slug in slugs]
    return [slug for slug in due if not _recount_one(state, log, slug)]


def _recount_one(state: State, log: Log, slug: str) -> bool:
    try:
        return Meter(state.settings.run, slug, state.settings.home(slug) / "upload").recount()
    except OSError as error:
        log.error("uploads not counted", agency=slug, reason=error.strerror)
        return False
