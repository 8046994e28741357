"""What is kept about files: arrivals, the profiles that match them, templates, uploads, and the records they became.

Every function takes the connection first; the transaction belongs to the caller.
"""

from ingest.inbox.arrivals import (
    find_arrival,
    list_arrivals,
    mark_removed,
    match_again,
    newest_at,
    note_content,
    record_partial,
    register,
    register_all,
    rename_refused,
    waiting,
)
from ingest.inbox.listing import COLUMNS, records
from ingest.inbox.profiles import add_profile, find_profile, keep_profile, list_profiles, remove_profile
from ingest.inbox.shapes import find_shape, keep_shape
from ingest.inbox.templates import add_template, find_template, list_templates
from ingest.inbox.uploads import find_upload, list_uploads, mark_answered, record_upload, row_errors, unanswered

__all__ = [
    "COLUMNS",
    "add_profile",
    "add_template",
    "find_arrival",
    "find_profile",
    "find_shape",
    "find_template",
    "find_upload",
    "keep_profile",
    "keep_shape",
    "list_arrivals",
    "list_profiles",
    "list_templates",
    "list_uploads",
    "mark_answered",
    "mark_removed",
    "match_again",
    "newest_at",
    "note_content",
    "record_partial",
    "record_upload",
    "records",
    "register",
    "register_all",
    "remove_profile",
    "rename_refused",
    "row_errors",
    "unanswered",
    "waiting",
]
