"""What Auto-Sync remembers: the files it has seen, the runs it has made, and how each place stands.

A place is a server or, for our own endpoint, the home of one agency: its id is the server's, or the agency's.
"""

from sqlalchemy import BigInteger, Column, Index, Integer, PrimaryKeyConstraint, String, Table, Text

from server.db.metadata import Instant, metadata

LONGEST_PATH = 1024
"""Characters; a bucket has no longer keys, and an index of PostgreSQL takes no more than 2,700 bytes."""

sync_files = Table(
    "sync_files",
    metadata,
    Column("agency_id", String(36), nullable=False),
    Column("server_id", String(36), nullable=False),
    Column("path", String(LONGEST_PATH), nullable=False),
    Column("profile_id", String(36), nullable=False, index=True),
    Column("size", BigInteger, nullable=False),
    Column("modified", Instant, nullable=False),
    Column("version", Text, nullable=False),
    Column("seen_at", Instant, nullable=False, comment="when it was first seen with this size and time"),
    Column("arrival_id", String(36), index=True, comment="what it becomes; NULL: nobody has begun to bring it"),
    Column("taken_at", Instant, comment="when it was registered"),
    Column("removed_at", Instant, comment="when it was deleted there"),
    Column("tried_at", Instant, comment="when deleting it there was tried last"),
    Column("gone_at", Instant, comment="when it was missed first; NULL while it is there"),
    PrimaryKeyConstraint("agency_id", "server_id", "path"),
    Index(None, "server_id"),
)

sync_runs = Table(
    "sync_runs",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("agency_id", String(36), nullable=False),
    Column("profile_id", String(36), nullable=False),
    Column("place_id", String(36), nullable=False),
    Column("started_by", String(8), nullable=False),
    Column("started_at", Instant, nullable=False),
    Column("finished_at", Instant, nullable=False),
    Column("saw", Integer, nullable=False),
    Column("took", Integer, nullable=False),
    Column("size", BigInteger, nullable=False, comment="bytes of what was taken"),
    Column("waiting", Integer, nullable=False),
    Column("skipped", Integer, nullable=False),
    Column("failed", Integer, nullable=False),
    Column("removed", Integer, nullable=False),
    Column("code", String(16), comment="of the error that ended it; NULL: it went well"),
    Column("error", Text),
    Column("hint", Text),
    Column("report", Text, comment="the file that was delivered"),
    Column("files", Text, nullable=False, comment="JSON: path, what became of it, why"),
    Column("again_at", Instant, comment="when to look again, before the cycle says so"),
    Index(None, "profile_id", "started_at"),
    Index(None, "started_at"),
)

sync_turns = Table(
    "sync_turns",
    metadata,
    Column("profile_id", String(36), primary_key=True),
    Column("run_id", String(36), nullable=False),
)
"""The last cycle of each profile."""

sync_places = Table(
    "sync_places",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("failures", Integer, nullable=False, comment="in a row"),
    Column("failing_since", Instant),
    Column("retry_at", Instant),
    Column("parked_at", Instant),
    Column("code", String(16)),
    Column("error", Text),
    Column("hint", Text),
    Column("holder", String(64), comment="who works there just now"),
    Column("held_until", Instant),
)
