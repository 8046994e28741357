"""What was delivered, when and where; and what is being delivered, so that a crash leaves no second copy."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Index,
    Integer,
    Row,
    String,
    Table,
    Text,
    UniqueConstraint,
    delete,
    func,
    insert,
    select,
    update,
)

from server.db.metadata import Instant, metadata

PENDING, DELIVERED, FAILED = "pending", "delivered", "failed"
CHANGED = "changed-events"
"""The report that tells what was done since its last delivery; the others tell what there is."""

deliveries = Table(
    "report_deliveries",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("agency_id", String(36), nullable=False),
    Column("profile_id", String(36), nullable=False),
    Column("report", Text, nullable=False),
    Column("form", String(4), nullable=False),
    Column("directory", Text, nullable=False),
    Column("state", String(16), nullable=False),
    Column("at", Instant, nullable=False),
    Column("name", Text, comment="of the file; NULL: there is none yet"),
    Column("content", String(64), comment="a hash of what the table says; NULL: none was written"),
    Column("rows", Integer, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("last", BigInteger, comment="the number of the agency's last write that it tells"),
    Column("detail", Text, nullable=False),
    UniqueConstraint("agency_id", "name"),
    Index(None, "profile_id", "content"),
)


@dataclass(frozen=True)
class Delivery:
    """One report on its way: pending until the other side has it, then delivered.

    A failed one says in `detail` why there is none, and has neither name nor content. `last` is the number of the
    agency's last write that the report tells.
    """

    id: str
    agency_id: str
    profile_id: str
    report: str
    form: str
    directory: str
    state: str
    at: datetime
    name: str | None = None
    content: str | None = None
    rows: int = 0
    size: int = 0
    last: int | None = None
    detail: str = ""


def keep_delivery(conn: Connection, delivery: Delivery) -> None:
    """Keep it as it is, in place of the one with its id if there is one."""
    conn.execute(delete(deliveries).where(deliveries.c.id == delivery.id))
    conn.execute(insert(deliveries).values(**vars(delivery)))


def mark_delivered(conn: Connection, delivery_id: str) -> None:
    """The other side has it."""
    conn.execute(update(deliveries).where(deliveries.c.id == delivery_id).values(state=DELIVERED))


def drop_delivery(conn: Connection, delivery_id: str) -> None:
    """It is not to be delivered any more."""
    conn.execute(delete(deliveries).where(deliveries.c.id == delivery_id))


def forget_failures(conn: Connection, profile_id: str) -> None:
    """What went wrong before does no more."""
    conn.execute(delete(deliveries).where(deliveries.c.profile_id == profile_id, deliveries.c.state == FAILED))


def give_up(conn: Connection, before: datetime) -> None:
    """What has been on its way since before that instant will not arrive: its profile has gone, say."""
    conn.execute(delete(deliveries).where(deliveries.c.state == PENDING, deliveries.c.at < before))


def find_pending(conn: Connection, profile_id: str) -> Delivery | None:
    """What of this profile's is on its way, if anything."""
    query = select(deliveries).where(deliveries.c.profile_id == profile_id, deliveries.c.state == PENDING)
    row = conn.execute(query).first()
    return _delivery(row) if row else None


def pending_ids(conn: Connection) -> set[str]:
    """Everything that is on its way."""
    return set(conn.execute(select(deliveries.c.id).where(deliveries.c.state == PENDING)).scalars())


def was_delivered(conn: Connection, profile_id: str, directory: str, content: str) -> bool:
    """Whether the profile has brought a report of that content there before."""
    query = select(deliveries.c.id).where(
        deliveries.c.profile_id == profile_id,
        deliveries.c.content == content,
        deliveries.c.directory == directory,
        deliveries.c.state == DELIVERED,
    )
    return conn.execute(query.limit(1)).first() is not None


def is_taken(conn: Connection, agency_id: str, name: str) -> bool:
    """Whether the agency has a report of that name."""
    query = select(deliveries.c.id).where(deliveries.c.agency_id == agency_id, deliveries.c.name == name)
    return conn.execute(query).first() is not None


def told_up_to(conn: Connection, profile_id: str, report: str) -> int | None:
    """The number of the agency's last write that the profile's report of that name has told, whatever it was filtered
    and sorted by; None: it never told any."""
    d = deliveries.c
    query = select(d.report, func.max(d.last)).where(d.profile_id == profile_id, d.state == DELIVERED)
    told = conn.execute(query.where(d.last.is_not(None)).group_by(d.report))
    return max((int(last) for text, last in told if report_in(text) == report), default=None)


def report_in(text: str) -> str:
    """The name of the report in a profile's line, whatever else that says of it."""
    return next(iter(text.split()), "").strip("'\"")


def last_delivery(conn: Connection, profile_id: str) -> Delivery | None:
    """What became of the profile's report the last time that it was written, or could not be; None: never yet."""
    query = select(deliveries).where(deliveries.c.profile_id == profile_id)
    row = conn.execute(query.order_by(deliveries.c.id.desc()).limit(1)).first()
    return _delivery(row) if row else None


def _delivery(row: Row[Any]) -> Delivery:
    return Delivery(**row._mapping)
