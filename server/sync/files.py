"""The files of other servers: which were seen, which version of each was begun, taken, and deleted there.

Before the first byte of a file is brought, its row has the id of the arrival that it will be. So whatever dies when,
one version of a file becomes one arrival.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Delete, Row, Update, and_, bindparam, delete, exists, insert, or_, select, update

from ingest.arrival import SUCCEEDED, ArrivalState, plain_directory
from ingest.tables import arrivals, profiles, uploads
from server.clock import new_id
from server.remotes.port import RemoteFile
from server.sync.tables import sync_files

NO_TIME = datetime.fromtimestamp(0, UTC)
"""What `server.remotes` says for a file whose server tells no time."""
FORGET_AFTER = timedelta(days=30)
FIRST_PAUSE, LONGEST_PAUSE = timedelta(minutes=1), timedelta(days=1)
"""Between two tries to delete a file."""


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

    @property
    def folder(self) -> str:
        """The directory that it lies in."""
        return self.path.rsplit("/", 1)[0] or "/"


def known_files(conn: Connection, server_id: str) -> dict[tuple[str, str], Known]:
    """All that is remembered of a server, by agency and path."""
    rows = conn.execute(select(sync_files).where(sync_files.c.server_id == server_id))
    return {(row.agency_id, row.path): _known(row) for row in rows}


def note_seen(conn: Connection, known: Known) -> Known:
    """Remember how the file looks now; what was remembered of another version of it is forgotten."""
    conn.execute(delete(sync_files).where(*_key(known)))
    conn.execute(insert(sync_files).values(vars(known)))
    return known


def note_waiting(conn: Connection, files: Sequence[Known]) -> None:
    """As `note_seen`, for many."""
    _each(conn, delete(sync_files), files)
    if files:
        conn.execute(insert(sync_files), [vars(known) for known in files])


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
    """Remember since when files are missing, and which are back; forget those that are missing for long, and at once
    those that nobody has begun to bring."""
    missed = list(gone)
    _each(conn, update(sync_files).values(gone_at=at), [one for one in missed if one.arrival_id])
    _each(conn, delete(sync_files), [one for one in missed if not one.arrival_id])
    _each(conn, update(sync_files).values(gone_at=None), list(back))
    conn.execute(delete(sync_files).where(sync_files.c.gone_at < at - FORGET_AFTER))


def begun(conn: Connection) -> set[str]:
    """The ids of the arrivals that files are to be which were begun and not taken yet."""
    query = select(sync_files.c.arrival_id).where(sync_files.c.arrival_id.is_not(None), sync_files.c.taken_at.is_(None))
    return set(conn.execute(query).scalars())


def to_remove(conn: Connection, server_id: str | None = None, untried: bool = False) -> list[Known]:
    """The files that their profiles want to be deleted and that were processed with success, by path.

    A file whose content had been processed already counts as processed. Left are those that lie where their profile
    does not look any more, and those of which nobody knows whether they are still the same (`is_timeless`).
    `untried`: only those where it was not tried.
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
        .add_columns(profiles.c.directory)
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
    rows = [(_known(row), row.directory) for row in conn.execute(query)]
    return [one for one, place in rows if one.folder == plain_directory(place) and not is_timeless(one.file)]


def is_timeless(file: RemoteFile) -> bool:
    """Whether its server tells no times (`NO_TIME`), nor versions: whether it is still the same cannot be known."""
    return file.modified == NO_TIME and not file.version


def is_tried_now(known: Known, at: datetime) -> bool:
    """Whether to try again to delete it: a refusal is asked for again after twice the time, at last once a day."""
    if known.tried_at is None or known.taken_at is None or known.tried_at > at:
        return True
    pause = min(max(known.tried_at - known.taken_at, FIRST_PAUSE), LONGEST_PAUSE)
    return at - known.tried_at >= pause


def forget_server(conn: Connection, server_id: str) -> None:
    """A server is removed: nothing of it is known any more."""
    conn.execute(delete(sync_files).where(sync_files.c.server_id == server_id))


def _key(known: Known) -> tuple[Any, ...]:
    return (
        sync_files.c.agency_id == known.agency_id,
        sync_files.c.server_id == known.server_id,
        sync_files.c.path == known.path,
    )


def _each(conn: Connection, change: Update | Delete, files: Sequence[Known]) -> None:
    """Change the rows of these files."""
    here = [column == bindparam(f"b_{column.name}") for column in sync_files.primary_key]
    if files:
        rows = [{"b_agency_id": one.agency_id, "b_server_id": one.server_id, "b_path": one.path} for one in files]
        conn.execute(change.where(*here), rows)


def _known(row: Row[Any]) -> Known:
    return Known(**{name: row._mapping[name] for name in sync_files.c.keys()})  # noqa: SIM118
