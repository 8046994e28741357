"""What the server's own tables share: the names of their constraints, and how an instant is kept."""

from datetime import UTC, datetime

from sqlalchemy import MetaData, String, TypeDecorator
from sqlalchemy.engine import Dialect

# Named, because SQLite can drop a constraint in a migration only by its name.
NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}

metadata = MetaData(naming_convention=NAMING)


class Instant(TypeDecorator[datetime]):
    """An aware datetime, kept as 27 characters of UTC text (`2026-03-16T14:00:00.000000Z`) that sort by time."""

    impl = String(27)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, _dialect: Dialect) -> str | None:
        """Refuse a naive datetime: it would mean another instant on another machine."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("an instant needs a zone")
        return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")

    def process_result_value(self, value: str | None, _dialect: Dialect) -> datetime | None:
        """Read it back as UTC."""
        return None if value is None else datetime.fromisoformat(value)
