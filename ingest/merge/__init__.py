"""From checked rows to records: first into temporary tables, then set by set into the real ones."""

from ingest.merge.records import Merged, keep_errors, merge_records
from ingest.merge.stage import Stage

__all__ = ["Merged", "Stage", "keep_errors", "merge_records"]
