"""The tables of the key store. Instants are kept as text in UTC that sorts by time, the same on every database."""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Column, Dialect, Integer, LargeBinary, MetaData, String, Table, Text, UniqueConstraint
from sqlalchemy.types import TypeDecorator


class Instant(TypeDecorator[datetime]):
    """An aware datetime, stored as `YYYY-MM-DDTHH:MM:SS.ffffffZ`; comes back in UTC."""

    impl = String(27)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> str | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("an instant needs a time zone")
        return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")

    def process_result_value(self, value: Any | None, dialect: Dialect) -> datetime | None:
        return None if value is None else datetime.fromisoformat(value)


metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)

#: Public keys that may log in, or might once. One row per key for ever: a revoked key stays, so that it cannot return.
ssh_keys = Table(
    "ssh_keys",
    metadata,
    Column("id", String(36), primary_key=True),
    # No foreign key: agencies belong to the server, which this package does not know.
    Column("agency_id", String(36), nullable=False, index=True),
    Column("fingerprint", String(50), nullable=False, unique=True),
    Column("algorithm", String(64), nullable=False),
    Column("bits", Integer, nullable=False),
    Column("blob", LargeBinary, nullable=False),
    Column("label", String(100), nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("revoked_at", Instant),
    Column("not_before", Instant),
    Column("expires_at", Instant),
    Column("last_used_at", Instant),
    Column("last_used_from", String(45)),
    Column("last_used_client", String(255)),
)

#: The server's own pairs; the private half is sealed under the master key.
host_keys = Table(
    "host_keys",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("algorithm", String(64), nullable=False),
    Column("fingerprint", String(50), nullable=False, unique=True),
    Column("public", Text, nullable=False),
    Column("sealed", LargeBinary, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("retired_at", Instant),
    # A key is announced to clients from its making, and proves the server from this instant (none: from its making).
    Column("active_from", Instant),
)

#: Who may sign OpenSSH certificates for an agency, or for any (no `agency_id`): a certificate's principal names it.
certificate_authorities = Table(
    "certificate_authorities",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("agency_id", String(36)),
    Column("fingerprint", String(50), nullable=False, unique=True),
    Column("algorithm", String(64), nullable=False),
    Column("bits", Integer, nullable=False),
    Column("blob", LargeBinary, nullable=False),
    Column("label", String(100), nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("removed_at", Instant),
    Column("last_used_at", Instant),
    Column("last_used_from", String(45)),
    Column("last_used_client", String(255)),
    Column("last_used_serial", String(20)),
)

#: Certificates that let nobody in any more, by the serial number (64 bits, kept as decimal text) of their authority.
revoked_certificates = Table(
    "revoked_certificates",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("authority_id", String(36), nullable=False),
    Column("serial", String(20), nullable=False),
    Column("revoked_at", Instant, nullable=False),
    UniqueConstraint("authority_id", "serial"),
)
