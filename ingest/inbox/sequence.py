"""The numbers of an agency's writes: 1, 2, 3, ... in the order in which they are committed.

A number is drawn in the transaction that writes the records, under the lock of the agency's records, which is let go
of only once what was written is there for everybody. So whoever sees number 7 in one moment of the database sees all
that the writes 1 to 7 have done, and nothing of later ones. A clock could not say that.
"""

from sqlalchemy import Connection, insert, select, update

from ingest.tables import sequences


def draw_number(conn: Connection, agency_id: str) -> int:
    """The number of the write that this transaction is, which holds the lock of the agency's records (`records_of`)."""
    raised = update(sequences).where(sequences.c.agency_id == agency_id).values(last=sequences.c.last + 1)
    number = conn.execute(raised.returning(sequences.c.last)).scalar()
    if number is None:
        number = 1
        conn.execute(insert(sequences).values(agency_id=agency_id, last=number))
    return int(number)


def last_number(conn: Connection, agency_id: str) -> int:
    """The number of the agency's last write that this connection sees; 0: there was none."""
    return conn.execute(select(sequences.c.last).where(sequences.c.agency_id == agency_id)).scalar() or 0
