"""Where arrivals, templates, uploads and records are kept.

Ids of what is named across nodes and in file names (arrivals, templates, profiles, uploads) are UUIDv7 text made by
the caller. Records (clients, contacts, cases, events, payments) are bulk and never leave one database, so they have
integers that the database gives. `agency_id` is plain text: agencies belong to the server. Instants are UTC, kept as
text that sorts by time. In records, an absent text is NULL and never '' (the merge relies on it).

`template` on a record names the template whose files alone have touched it, or `*` once a second one has: it tells
which skip index must go when the record changes (see `ingest.skip`). `withdrawn_upload` marks a record that a snapshot
no longer held; it counts again as soon as a file names it (see `ingest.merge.withdrawal`).
"""

from typing import Any

from sqlalchemy import (
    DDL,
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    event,
    false,
    text,
    true,
)

from ingest.column_types import CustomFields, Instant

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)


# SQLite numbers the rows of a column that is called INTEGER by itself, and any of its integers has 64 bits.
Number = BigInteger().with_variant(Integer, "sqlite")


def _id() -> Column[Any]:
    return Column("id", String(36), primary_key=True)


def _agency() -> Column[Any]:
    return Column("agency_id", String(36), nullable=False)


def _touched() -> tuple[Column[Any], ...]:
    return (
        Column("template", Text, nullable=False),
        Column("created_upload", String(36), nullable=False),
        Column("updated_upload", String(36), nullable=False),
        Column("withdrawn_upload", String(36), comment="the snapshot that no longer held it; NULL while it counts"),
    )


def _custom() -> Column[Any]:
    return Column("custom", CustomFields)


def _texts(*names: str) -> tuple[Column[Any], ...]:
    return tuple(Column(name, Text) for name in names)


def _dates(*names: str) -> tuple[Column[Any], ...]:
    return tuple(Column(name, String(10)) for name in names)


arrivals = Table(
    "arrivals",
    metadata,
    _id(),
    _agency(),
    Column("path", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("sha256", String(64)),
    Column("source", String(16), nullable=False),
    Column("state", String(24), nullable=False),
    Column("profile_id", String(36)),
    Column("session", Text),
    Column("received_at", Instant, nullable=False),
    Column("upload_id", String(36)),
    Column("detail", Text, nullable=False),
    Column("replay_of", String(36), comment="the upload whose archived original this is; NULL: a file that came"),
    Column("template_version", Integer, comment="of a replay: the version that was asked for; NULL: the newest"),
    Column("confirmed", Text, comment="what a person let pass: codes, spaced"),
    Index(None, "agency_id", "name"),
    Index(None, "state"),
)

templates = Table(
    "templates",
    metadata,
    _id(),
    _agency(),
    Column("name", Text, nullable=False),
    Column("version", Integer, nullable=False),
    Column("text", Text, nullable=False),
    Column("created_at", Instant, nullable=False),
    UniqueConstraint("agency_id", "name", "version"),
)

profiles = Table(
    "profiles",
    metadata,
    _id(),
    _agency(),
    Column("name", Text, nullable=False),
    Column("template", Text, nullable=False),
    Column("directory", Text, nullable=False),
    Column("keyword", Text),
    Column("blockword", Text),
    Column("skip_same_name", Boolean, nullable=False),
    Column("server_id", String(36), comment="of `servers`; NULL: our own endpoint"),
    Column("auto_sync", Boolean, nullable=False, server_default=true()),
    Column("delete_after", Boolean, nullable=False, server_default=false()),
    Column("cycle", Text, nullable=False, server_default="hourly"),
    Column("order", String(16), nullable=False, server_default="oldest"),
    Column("expected", Text, comment="when a file is to have come; NULL: whenever"),
    Column("report", Text),
    Column("report_directory", Text),
    Column("report_format", String(8), nullable=False, server_default="csv"),
    Column("skip_past_reports", Boolean, nullable=False, server_default=true()),
    UniqueConstraint("agency_id", "name"),
    Index(None, "server_id"),
)

uploads = Table(
    "uploads",
    metadata,
    _id(),
    Column("arrival_id", String(36), ForeignKey("arrivals.id"), nullable=False, index=True),
    _agency(),
    Column("file", Text, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("status", String(24), nullable=False),
    Column("template", Text, nullable=False),
    Column("template_version", Integer, nullable=False),
    Column("rows", Integer, nullable=False),
    Column("skipped", Integer, nullable=False),
    Column("error_rows", Integer, nullable=False),
    Column("warning_rows", Integer, nullable=False),
    Column("excluded", Integer, nullable=False, server_default="0"),
    Column("method", String(16), nullable=False, server_default="update"),
    Column("counts", Text, nullable=False),
    Column("header", Text, nullable=False),
    Column("delimiter", String(1), nullable=False),
    Column("quoting", Boolean, nullable=False),
    Column("notes", Text, nullable=False),
    Column("started_at", Instant, nullable=False),
    Column("finished_at", Instant, nullable=False),
    Column("error_code", Text),
    Column("error_message", Text),
    Column("error_hint", Text),
    Column("answered_at", Instant),
    Column("changed", Integer, comment="its rows in `changes`; NULL: it ran before such were kept"),
    Column("undone_at", Instant),
    Column("expected", Text, comment="JSON: the columns that a file should have had which was not taken for them"),
    Column("sequence", BigInteger, comment="its number among the agency's writes; NULL: before such were counted"),
    Column("undone_sequence", BigInteger, comment="the number of its undo"),
    Index(None, "agency_id"),
    Index(None, "answered_at"),
)

shapes = Table(
    "shapes",
    metadata,
    _agency(),
    Column("template", Text, nullable=False),
    Column("shape", Text, nullable=False, comment="JSON; see ingest.shape"),
    Column("changed_at", Instant, nullable=False),
    UniqueConstraint("agency_id", "template"),
)
"""The columns of the last file of each template, or those that an operator has accepted."""

row_errors = Table(
    "row_errors",
    metadata,
    Column("upload_id", String(36), ForeignKey("uploads.id"), primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("row_number", Integer, nullable=False),
    Column("column_name", Text, nullable=False),
    Column("value", Text, nullable=False),
    Column("code", Text, nullable=False),
    Column("message", Text, nullable=False),
    Column("severity", String(8), nullable=False),
    Column("raw", Text, nullable=False),
)

clients = Table(
    "clients",
    metadata,
    Column("id", Number, primary_key=True),
    _agency(),
    Column("identity", Text, nullable=False),
    Column("reference", Text),
    Column("first_name", Text),
    Column("middle_name", Text),
    Column("last_name", Text),
    Column("suffix", Text),
    Column("dob", String(10)),
    Column("gender", Text),
    Column("language", Text),
    Column("type", Text),
    Column("group_name", Text),
    *_texts("title", "nickname", "business_name", "race", "status", "officer", "address", "city", "state", "zip"),
    _custom(),
    *_touched(),
    UniqueConstraint("agency_id", "identity"),
)

contacts = Table(
    "contacts",
    metadata,
    Column("id", Number, primary_key=True),
    _agency(),
    Column("client_id", Number, ForeignKey("clients.id"), nullable=False),
    Column("kind", String(8), nullable=False),
    Column("value", Text, nullable=False),
    *_texts("type", "opt_in", "status"),
    *_touched(),
    UniqueConstraint("client_id", "kind", "value"),
)

cases = Table(
    "cases",
    metadata,
    Column("id", Number, primary_key=True),
    _agency(),
    Column("identity", Text, nullable=False),  # the number, or all that the template matches cases by
    Column("number", Text),
    Column("style", Text),
    Column("type", Text),
    Column("status", Text),
    Column("location", Text),
    Column("file_date", String(10)),
    *_dates("arrest_date", "offense_date", "plea_date", "judgment_date"),
    *_texts("reference", "agency", "judge", "attorney", "judgment_status", "arrest_tracking", "charge_number"),
    *_texts("codes", "conditions", "description", "offense_type", "offense_description", "victim_name"),
    *_texts("offender_name", "warrant_status", "security_group", "notes"),
    _custom(),
    *_touched(),
    UniqueConstraint("agency_id", "identity", name="uq_cases_agency_id_number"),  # the column once had that name
)

case_parties = Table(
    "case_parties",
    metadata,
    Column("id", Number, primary_key=True),
    _agency(),
    Column("case_id", Number, ForeignKey("cases.id"), nullable=False),
    Column("client_id", Number, ForeignKey("clients.id"), nullable=False),
    Column("role", Text),
    *_touched(),
    UniqueConstraint("case_id", "client_id"),
)

events = Table(
    "events",
    metadata,
    Column("id", Number, primary_key=True),
    _agency(),
    Column("client_id", Number, ForeignKey("clients.id")),
    Column("case_id", Number, ForeignKey("cases.id")),
    Column("slot", Text, nullable=False, comment="what makes it this event among those of its client and case"),
    Column("reference", Text),
    Column("starts_at", Instant, nullable=False, comment="without a time: the beginning of the day"),
    Column("local_date", String(10), nullable=False),
    Column("local_time", String(8)),
    Column("zone", Text, nullable=False),
    Column("type", Text),
    Column("status", Text),
    Column("location", Text),
    Column("judge", Text),
    Column("room", Text),
    Column("notes", Text),
    *_texts("location_notes", "description", "flow", "calendar", "session", "result"),
    _custom(),
    *_touched(),
    # An event may lack a client or a case, never both; NULLs would all be different in a plain unique index.
    Index("uq_events_identity", text("coalesce(client_id, 0)"), text("coalesce(case_id, 0)"), "slot", unique=True),
    Index(None, "agency_id", "starts_at"),
)

payments = Table(
    "payments",
    metadata,
    Column("id", Number, primary_key=True),
    _agency(),
    Column("client_id", Number, ForeignKey("clients.id")),
    Column("case_id", Number, ForeignKey("cases.id")),
    Column("slot", Text, nullable=False, comment="what makes it this payment among those of its client and case"),
    Column("reference", Text),
    Column("amount", BigInteger, comment="cents"),
    *_dates("due_date"),
    *_texts("type", "status", "description", "citation", "flow", "portal", "location_notes"),
    _custom(),
    *_touched(),
    Index("uq_payments_identity", text("coalesce(client_id, 0)"), text("coalesce(case_id, 0)"), "slot", unique=True),
    Index(None, "agency_id", "due_date"),
)

holders = Table(
    "holders",
    metadata,
    Column("kind", String(16), primary_key=True, comment="the record's table"),
    Column("record_id", Number, primary_key=True),
    Column("template", Text, primary_key=True),
    Column("since_upload", String(36), primary_key=True, comment="since which it does; '': nobody knows"),
    Column("gone_upload", String(36), comment="the one that let go of it; NULL while it is held"),
)
"""Of records that the files of several templates have named (template `*`): who brought them, and the snapshots that
name them. A template has several rows for a record that it let go of and named again. See `ingest.merge.withdrawal`."""

moved_events = Table(
    "moved_events",
    metadata,
    Column("upload_id", String(36), primary_key=True),
    Column("old_event", Number, primary_key=True),
    Column("new_event", Number, nullable=False),
    Index(None, "new_event"),
)
"""Hearings that a snapshot gave another date: the one that it withdrew, and the one that came instead."""

changes = Table(
    "changes",
    metadata,
    Column("id", Number, primary_key=True),
    Column("upload_id", String(36), nullable=False, index=True),
    Column("kind", String(16), nullable=False, comment="the record's table"),
    Column("record_id", Number, nullable=False),
    Column("before", Text, nullable=False, comment="JSON: the columns that were changed, with what they held"),
    Column("after", Text, nullable=False, comment="JSON: the same columns, with what they hold since"),
    Index(None, "kind", "record_id"),
)
"""What uploads have changed in records that were there; what created a record is told by the record."""

sequences = Table(
    "sequences",
    metadata,
    Column("agency_id", String(36), primary_key=True),
    Column("last", BigInteger, nullable=False),
)
"""The number of each agency's last write. See `ingest.inbox.sequence`."""

removed = Table(
    "removed",
    metadata,
    Column("id", Number, primary_key=True),
    _agency(),
    Column("sequence", BigInteger, nullable=False, comment="of the undo that deleted it"),
    Column("upload_id", String(36), nullable=False, comment="the upload that had created it"),
    Column("kind", String(16), nullable=False, comment="the record's table"),
    Column("record_id", Number, nullable=False),
    Column("reference", Text, comment="what people know it by"),
    Index(None, "agency_id", "sequence"),
)
"""Records that an undo has deleted: whoever was told of them must be told of that."""

for _records in (clients, contacts, cases, case_parties, events, payments):
    _gone = _records.c.withdrawn_upload.is_not(None)  # few or none, so that looking for them costs nothing
    Index(f"ix_{_records.name}_withdrawn", _records.c.agency_id, sqlite_where=_gone, postgresql_where=_gone)

skip_index = Table(
    "skip_index",
    metadata,
    _agency(),
    Column("template", Text, nullable=False),
    Column("part", Integer, nullable=False),
    Column("stamp", String(64), nullable=False),
    Column("upload_id", String(36), nullable=False),
    Column("rows", Integer, nullable=False),
    Column("data", LargeBinary, nullable=False),
    UniqueConstraint("agency_id", "template", "part"),
)
# Hashes cannot be compressed, and PostgreSQL takes as long to find that out as to write them.
_AS_IT_IS = DDL("ALTER TABLE skip_index ALTER COLUMN data SET STORAGE EXTERNAL")  # type: ignore[no-untyped-call]
event.listen(skip_index, "after_create", _AS_IT_IS.execute_if(dialect="postgresql"))
