"""From checked rows to records: first into temporary tables, then set by set into the real ones."""

from ingest.merge.records import Merged, Outcome, keep_errors, merge_records
from ingest.merge.snapshot import Snapshot, Withdrawn, is_literal, judge, unsaid
from ingest.merge.stage import Stage

__all__ = [
    "Merged",
    "Outcome",
    "Snapshot",
    "Stage",
    "Withdrawn",
    "is_literal",
    "judge",
    "keep_errors",
    "merge_records",
    "unsaid",
]
