"""What is kept about files: arrivals, the profiles that match them, templates, uploads, and the records they became.

Every function takes the connection first; the transaction belongs to the caller.
"""

from ingest.inbox.arrivals import (
    find_arrival,
    find_arrivals,
    find_refused,
    list_arrivals,
    mark_removed,
    match_again,
    newest_at,
    note_content,
    record_partial,
    register,
    register_all,
    register_replay,
    rename_refused,
    waiting,
)
from ingest.inbox.choice import Choice, choose, find_tie, is_same_place
from ingest.inbox.confirmation import awaiting_uploads, confirm_upload, reject_upload
from ingest.inbox.history import Change, record_history
from ingest.inbox.listing import COLUMNS, WITHDRAWN, records
from ingest.inbox.order import taken_before, waiting_before
from ingest.inbox.profiles import (
    add_profile,
    find_profile,
    keep_profile,
    list_profiles,
    profile_by_id,
    profiles_of_server,
    remove_profile,
    settle_profile,
)
from ingest.inbox.sequence import draw_number, last_number
from ingest.inbox.shapes import find_shape, keep_shape
from ingest.inbox.since import TOLD, deleted_since, records_since
from ingest.inbox.templates import add_template, find_template, list_templates, warnings
from ingest.inbox.trouble import failed_uploads, stopped_uploads, unmatched_arrivals
from ingest.inbox.uploads import (
    each_row_error,
    find_upload,
    in_vain_since,
    list_uploads,
    mark_answered,
    moved_hearings,
    record_upload,
    row_errors,
    unanswered,
)
from ingest.inbox.zones import Elsewhere, count_elsewhere

__all__ = [
    "COLUMNS",
    "TOLD",
    "WITHDRAWN",
    "Change",
    "Choice",
    "Elsewhere",
    "add_profile",
    "add_template",
    "awaiting_uploads",
    "choose",
    "confirm_upload",
    "count_elsewhere",
    "deleted_since",
    "draw_number",
    "each_row_error",
    "failed_uploads",
    "find_arrival",
    "find_arrivals",
    "find_profile",
    "find_refused",
    "find_shape",
    "find_template",
    "find_tie",
    "find_upload",
    "in_vain_since",
    "is_same_place",
    "keep_profile",
    "keep_shape",
    "last_number",
    "list_arrivals",
    "list_profiles",
    "list_templates",
    "list_uploads",
    "mark_answered",
    "mark_removed",
    "match_again",
    "moved_hearings",
    "newest_at",
    "note_content",
    "profile_by_id",
    "profiles_of_server",
    "record_history",
    "record_partial",
    "record_upload",
    "records",
    "records_since",
    "register",
    "register_all",
    "register_replay",
    "reject_upload",
    "remove_profile",
    "rename_refused",
    "row_errors",
    "settle_profile",
    "stopped_uploads",
    "taken_before",
    "unanswered",
    "unmatched_arrivals",
    "waiting",
    "waiting_before",
    "warnings",
]
