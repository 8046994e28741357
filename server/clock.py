"""The time and the ids that sort by it."""

from datetime import UTC, datetime

from ingest import record


def now() -> datetime:
    """The present instant, in UTC."""
    return datetime.now(UTC)


def new_id(at: datetime | None = None) -> str:
    """A UUID version 7 (RFC 9562 section 5.7): 36 characters of text that sort by time, unique over all nodes."""
    return record.new_id(at or now())
