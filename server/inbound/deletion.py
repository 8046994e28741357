"""Delete File After Upload on our own endpoint: what was processed with success leaves the agency's /upload.

A client must not see its file vanish while it still looks at what it has sent, so the file stays for five minutes. It
goes only if it is the very file that was processed (device, inode, size and time) under the name by which it came, and
nobody writes it. A copy is in the archive.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from sqlalchemy import Connection, and_, exists, or_, select

from ingest.arrival import SUCCEEDED, ArrivalState
from ingest.tables import arrivals, profiles
from server.agencies import Agency, list_agencies
from server.clock import now
from server.intake.taken import Footprint, forget, taken_files
from server.intake.usage import Meter, Quota
from server.logs import Log
from server.state import State

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


@dataclass(frozen=True)
class Processed:
    """A file that its profile wants to be deleted: where it came to, and how it is known again."""

    agency: Agency
    arrival_id: str
    path: str
    footprint: Footprint


def delete_processed(state: State, log: Log) -> int:
    """Delete what is due; how many files that were. Raises `AppError` unavailable when the database is away."""
    with state.database.reading() as conn:
        due = _due(conn, now() - timedelta(seconds=state.settings.delete_delay))
    return sum(_delete(state, log, file) for file in due)


def _due(conn: Connection, before: datetime) -> list[Processed]:
    """A duplicate counts where the same content was processed with success."""
    wanted = exists().where(profiles.c.delete_after, profiles.c.server_id.is_(None))
    if not conn.execute(select(wanted)).scalar():
        return []
    twin = arrivals.alias("twin")
    same_content = exists().where(
        twin.c.agency_id == arrivals.c.agency_id, twin.c.sha256 == arrivals.c.sha256, twin.c.state.in_(SUCCEEDED)
    )
    old_news = and_(arrivals.c.state == ArrivalState.DUPLICATE, same_content.correlate(arrivals))
    query = (
        select(arrivals.c.id, arrivals.c.path, arrivals.c.agency_id, taken_files)
        .join(taken_files, taken_files.c.arrival_id == arrivals.c.id)
        .join(profiles, profiles.c.id == arrivals.c.profile_id)
        .where(
            profiles.c.delete_after,
            profiles.c.server_id.is_(None),
            taken_files.c.missed == 0,
            arrivals.c.received_at <= before,
            or_(arrivals.c.state.in_(SUCCEEDED), old_news),
        )
        .order_by(arrivals.c.id)
    )
    owners = {agency.id: agency for agency in list_agencies(conn)}
    rows = conn.execute(query).all()
    return [
        Processed(owners[row.agency_id], row.id, row.path, Footprint(row.dev, row.ino, row.size, row.mtime_ns))
        for row in rows
        if row.agency_id in owners and row.path.startswith("/upload/")
    ]


def _delete(state: State, log: Log, file: Processed) -> bool:
    home, slug = state.settings.home(file.agency.slug), file.agency.slug
    try:
        with state.journal.locked(slug, file.path), _opened(home, file.path) as (folder, fd, name):
            status = os.fstat(fd)
            if Footprint.of(status) != file.footprint or state.journal.claims(slug, file.path, status):
                return False
            with _counted(state, file.agency, status.st_size):
                os.unlink(name, dir_fd=folder)
    except FileNotFoundError:
        return False  # its sender has renamed or deleted it
    except BlockingIOError:
        return False  # somebody writes it just now
    except OSError as error:
        log.warning("processed file not deleted", agency=slug, arrival=file.arrival_id, reason=error.strerror)
        return False
    with state.database.writing() as conn:
        forget(conn, file.agency.id, file.footprint.dev, file.footprint.ino)  # it may be another file's soon
    log.info("processed file deleted", agency=slug, arrival=file.arrival_id, path=file.path)
    return True


@contextmanager
def _counted(state: State, agency: Agency, size: int) -> Iterator[None]:
    """The block frees so many bytes of the agency's quota, if it has one."""
    if not Quota(agency.quota_bytes, agency.quota_files):
        yield
        return
    meter = Meter(state.settings.run, agency.slug, state.settings.home(agency.slug) / "upload")
    with meter.joined():
        yield
        with suppress(OSError):  # the deed is done; it is counted anew sooner or later
            meter.give(size, 1)


@contextmanager
def _opened(home: Path, path: str) -> Iterator[tuple[int, int, str]]:
    """Its folder, the file itself (held against writers), its name. No link is followed. Raises OSError."""
    *parts, name = path.strip("/").split("/")
    folder = os.open(home, _FOLDER)
    try:
        for part in parts:
            deeper = os.open(part, _FOLDER, dir_fd=folder)
            os.close(folder)
            folder = deeper
        fd = os.open(name, _FILE, dir_fd=folder)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield folder, fd, name
        finally:
            os.close(fd)
    finally:
        os.close(folder)
