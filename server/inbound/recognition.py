"""Whether a file in an agency's home is one that was taken before, though something about it is another.

same        its inode was taken, with that size and that time
unread      its inode was taken, and has that size, but no worker has read it yet: the next sweep can tell
touched     its inode was taken, and it has the same content: its time was set, or it was copied over itself
moved       it has the content, the place and a time of before of a file that was taken: the homes were restored
new         all else; also what was written once more after what it had become failed or was undone
"""

from datetime import datetime
from enum import Enum

from ingest import inbox
from ingest.arrival import Arrival
from server.agencies import Agency
from server.inbound.homes import Found
from server.intake.archive import hash_file
from server.intake.taken import Footprint, find_taken, take
from server.logs import Log
from server.state import State


class Likeness(Enum):
    """What a file is to those that were taken (see above)."""

    SAME = "same"
    UNREAD = "unread"
    TOUCHED = "touched"
    MOVED = "moved"
    NEW = "new"


def recognise(state: State, agency: Agency, found: Found, log: Log) -> Likeness:
    """Say it, and remember the file as it is now. Raises OSError if that cannot be told, since it cannot be read."""
    present = Footprint.of(found.status)
    with state.database.reading() as conn:
        row = find_taken(conn, agency.id, present)
        if row is not None and row[0] == present:
            return Likeness.SAME
        arrival = inbox.find_arrival(conn, row[1]) if row else inbox.newest_at(conn, agency.id, found.path)
        vain = inbox.in_vain_since(conn, arrival) if arrival and arrival.sha256 else None
    likeness = _compare(found, arrival, is_inode=row is not None, vain=vain)
    if arrival and likeness in (Likeness.TOUCHED, Likeness.MOVED):
        with state.database.writing() as conn:
            take(conn, agency.id, present, arrival.id)
        if vain is not None:  # it may have been meant to be taken; but old files are not to come back by themselves
            reason = f"it is the one that came before and is {arrival.state.value}; touch it if it is to be taken"
            log.warning("file not taken", agency=agency.slug, path=found.path, reason=reason)
    return likeness


def _compare(found: Found, arrival: Arrival | None, is_inode: bool, vain: datetime | None) -> Likeness:
    if arrival is None or arrival.size != found.status.st_size:
        return Likeness.NEW
    if not is_inode and _is_written_since(found, arrival.received_at):  # the same once more: it is called a duplicate
        return Likeness.NEW
    if arrival.sha256 is None:
        return Likeness.UNREAD if is_inode else Likeness.NEW
    if vain is not None and _is_written_since(found, vain):
        return Likeness.NEW
    if arrival.sha256 != hash_file(found.place):
        return Likeness.NEW
    return Likeness.TOUCHED if is_inode else Likeness.MOVED


def _is_written_since(found: Found, then: datetime) -> bool:
    """Also by the kernel's own clock: clients set the time to anything."""
    return min(found.status.st_mtime, found.status.st_ctime) > then.timestamp()
