"""The time and the ids that sort by it."""

import secrets
from datetime import UTC, datetime, timedelta

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def now() -> datetime:
    """The present instant, in UTC."""
    return datetime.now(UTC)


def new_id(at: datetime | None = None) -> str:
    """A UUID version 7 (RFC 9562 section 5.7): 36 characters of text that sort by time, unique over all nodes."""
    milliseconds = ((at or now()) - EPOCH) // timedelta(milliseconds=1)
    value = (milliseconds & (1 << 48) - 1) << 80 | 0x7 << 76 | secrets.randbits(12) << 64
    value |= 0b10 << 62 | secrets.randbits(62)
    text = f"{value:032x}"
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))
