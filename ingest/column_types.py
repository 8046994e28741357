"""Types of columns that every database keeps alike."""

import json
from datetime import datetime

from sqlalchemy import Dialect, String, Text, TypeDecorator

from ingest.record import read_instant, write_instant


class Instant(TypeDecorator[datetime]):
    """An aware datetime, kept as `2026-03-16T13:00:00.000000Z`."""

    impl = String(27)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> str | None:
        """To the column."""
        return None if value is None else write_instant(value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> datetime | None:
        """From the column."""
        return None if value is None else read_instant(value)


class CustomFields(TypeDecorator[str]):
    """Custom fields: a JSON object of texts. Databases write it in their own ways; it is read in one."""

    impl = Text
    cache_ok = True

    def process_result_value(self, value: str | None, dialect: Dialect) -> str | None:
        """From the column."""
        if value is None:
            return None
        return json.dumps(json.loads(value), ensure_ascii=False, separators=(",", ":"), sort_keys=True)
