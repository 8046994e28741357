"""The files of other servers: which were seen, which version of each was begun, taken, and deleted there.

Before the first byte of a file is brought, its row has the id of the arrival that it will be. So whatever dies when,
one version of a file becomes one arrival.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, and_, delete, exists, insert, or_, select, update

from ingest.arrival import SUCCEEDED, ArrivalState
from ingest.tables import arrivals, profiles, uploads
from server.clock import new_id
from server.remotes.port import RemoteFile
from server.sync.tables import sync_files

FORGET_AFTER = timedelta(days=30)


@dataclass(frozen=True)
class Known:
    """What is remembered of a file on a server, for an agency; see `sync_files` for the fields."""

    agency_id: str
    server_id: str
    path: str
    profile_id: str
    size: int
    modified: datetime
    version: str
    seen_at: datetime
    arrival_id: str | None = None
    taken_at: datetime | None = None
    removed_at: datetime | None = None
    tried_at: datetime | None = None
    gone_at: datetime | None = None

    def is_of(self, file: RemoteFile) -> bool:
        """Whether the file is still as it was then."""
        return (self.size, self.modified, self.version) == (file.size, file.modified, file.version)

    @property
    def file(self) -> RemoteFile:
        """The file as it was then."""
        return RemoteFile(self.path, self.size, self.modified, self.version)


def known_files(conn: Connection, server_id: str) -> dict[tuple[str, str], Known]:
    """All that is remembered of a server, by agency and path."""
    rows = conn.execute(select(sync_files).where(sync_files.c.server_id == server_id))
    return {(row.agency_id, row.path): _known(row) for row in rows}


def note_seen(conn: Connection, known: Known) -> Known:
    """Remember how the file looks now; what was remembered of another version of it is forgotten."""
    conn.execute(delete(sync_files).where(*_key(known)))
    conn.execute(insert(sync_files).values(vars(known)))
    return known


def begin(conn: Connection, known: Known, at: datetime) -> Known:
    """The row of this version, with the id of the arrival that it will be; the same id each time for one version."""
    row = conn.execute(select(sync_files).where(*_key(known))).one_or_none()
    if row is not None and row.arrival_id and _known(row).is_of(known.file):
        return _known(row)
    return note_seen(conn, Known(**{**vars(known), "arrival_id": new_id(at)}))


def begun_elsewhere(conn: Connection, known: Known) -> list[Known]:
    """Rows of other agencies for this very version, which was begun for them."""
    same_path = (sync_files.c.server_id == known.server_id, sync_files.c.path == known.path)
    query = select(sync_files).where(
        *same_path, sync_files.c.agency_id != known.agency_id, sync_files.c.arrival_id.is_not(None)
    )
    return [one for one in map(_known, conn.execute(query)) if one.is_of(known.file)]


def mark(conn: Connection, known: Known, **instants: datetime | None) -> None:
    """Set instants of the row, if it is still of that version."""
    same = sync_files.c.arrival_id == known.arrival_id
    conn.execute(update(sync_files).where(*_key(known), same).values(**instants))


def note_gone(conn: Connection, gone: Iterable[Known], back: Iterable[Known], at: datetime) -> None:
    """Remember since when files are missing, and which are back; forget those that are missing for long."""
    for known in gone:
        conn.execute(update(sync_files).where(*_key(known)).values(gone_at=at))
    for known in back:
        conn.execute(update(sync_files).where(*_key(known)).values(gone_at=None))
    conn.execute(delete(sync_files).where(sync_files.c.gone_at < at - FORGET_AFTER))


def begun(conn: Connection) -> set[str]:
    """The ids of the arrivals that files are to be which were begun and not taken yet."""
    query = select(sync_files.c.arrival_id).where(sync_files.c.arrival_id.is_not(None), sync_files.c.taken_at.is_(None))
    return set(conn.execute(query).scalars())


def to_remove(conn: Connection, server_id: str | None = None, untried: bool = False) -> list[Known]:
    """The files that their profiles want to be deleted and that were processed with success, by path.

    A file whose content had been processed already counts as processed. `untried`: only those where it was not tried.
    """
    again = arrivals.alias("again")
    same_content = exists().where(
        again.c.agency_id == arrivals.c.agency_id,
        again.c.sha256 == arrivals.c.sha256,
        again.c.upload_id == uploads.c.id,
        again.c.state.in_(SUCCEEDED),
    )
    old_news = and_(arrivals.c.state == ArrivalState.DUPLICATE, same_content.correlate(arrivals))
    done = or_(arrivals.c.state.in_(SUCCEEDED), old_news)
    query = (
        select(sync_files)
        .join(arrivals, arrivals.c.id == sync_files.c.arrival_id)
        .join(profiles, profiles.c.id == sync_files.c.profile_id)
        .where(
            sync_files.c.taken_at.is_not(None),
            sync_files.c.removed_at.is_(None),
            sync_files.c.gone_at.is_(None),
            profiles.c.delete_after,
            profiles.c.auto_sync,
            profiles.c.server_id == sync_files.c.server_id,
            done,
        )
        .order_by(sync_files.c.path)
    )
    if server_id is not None:
        query = query.where(sync_files.c.server_id == server_id)
    if untried:
        query = query.where(sync_files.c.tried_at.is_(None))
    return [_known(row) for row in conn.execute(query)]


def forget_server(conn: Connection, server_id: str) -> None:
    """A server is removed: nothing of it is known any more."""
    conn.execute(delete(sync_files).where(sync_files.c.server_id == server_id))


def _key(known: Known) -> tuple[Any, ...]:
    return (
        sync_files.c.agency_id == known.agency_id,
        sync_files.c.server_id == known.server_id,
        sync_files.c.path == known.path,
    )


def _known(row: Row[Any]) -> Known:
    return Known(**row._mapping)
