"""Who runs a slot: each is claimed once over all nodes, by the row (name, slot).

A claim is a lease. Whoever dies over it is followed by another one, who finds that it has run out; and a slot is
finished once, in the transaction that keeps what the run has done. So a slot runs late rather than never, and takes
effect once, whoever has begun it how often.
"""

from datetime import datetime, timedelta

from sqlalchemy import Column, Connection, Index, String, Table, delete, update

from ingest.databases import insert_missing
from server.db.metadata import Instant, metadata

LEASE = timedelta(minutes=10)
FARTHEST = timedelta(hours=1)
"""No lease is longer, so one that ends later is of a clock that has been set back."""

slots = Table(
    "slots",
    metadata,
    Column("name", String(100), primary_key=True),
    Column("slot", String(100), primary_key=True),
    Column("owner", String(100), nullable=False),
    Column("lease_until", Instant, nullable=False),
    Column("done_at", Instant),
    Index(None, "done_at"),
)


def claim(conn: Connection, name: str, slot: str, owner: str, at: datetime, lease: timedelta = LEASE) -> bool:
    """Take a slot, or keep it for longer; False if it is finished, or another one's whose lease has not run out.

    An owner who has died and come back under the same name has it again at once. In a write transaction.
    """
    row = {"name": name, "slot": slot, "owner": owner, "lease_until": at + lease}
    insert_missing(conn, slots, [row])
    mine = (slots.c.name == name, slots.c.slot == slot, slots.c.done_at.is_(None))
    free = (slots.c.owner == owner) | (slots.c.lease_until < at) | (slots.c.lease_until > at + FARTHEST)
    return conn.execute(update(slots).where(*mine, free).values(owner=owner, lease_until=at + lease)).rowcount == 1


def finish(conn: Connection, name: str, slot: str, at: datetime) -> bool:
    """The slot has run; False if it had already: then nothing of this run may be kept.

    In the write transaction that keeps what the run has done. Whoever comes first has run it: a lease that has run out
    meanwhile does not matter.
    """
    open_ = (slots.c.name == name, slots.c.slot == slot, slots.c.done_at.is_(None))
    return conn.execute(update(slots).where(*open_).values(done_at=at)).rowcount == 1


def release(conn: Connection, name: str, slot: str, owner: str) -> None:
    """The run has failed; anybody may try it again."""
    mine = (slots.c.name == name, slots.c.slot == slot, slots.c.owner == owner, slots.c.done_at.is_(None))
    conn.execute(delete(slots).where(*mine))


def forget(conn: Connection, before: datetime) -> int:
    """Forget slots that have run before that instant; how many."""
    return conn.execute(delete(slots).where(slots.c.done_at < before)).rowcount
