"""Brings one file from another server to the spool, where it goes the way of a file that was sent to us.

    begin      its row in the database has the id of the arrival that it will be
    fetch      to `sync/<id>`, going on where an earlier try stopped
    accept     linked into the spool with its manifest: now it is safe here
    register   a row in `arrivals`, a job in the queue
    taken      its row says so

Each step can be done again, and finds out what was done of it. Who dies between two of them does no harm: the next
cycle, or the reconciler, goes on.
"""

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ingest import inbox
from ingest.arrival import ArrivalState, Profile
from server.agencies import Agency
from server.clock import now
from server.errors import AppError, Code
from server.intake.register import Registrar
from server.intake.spool import Manifest
from server.remotes.port import RemoteFile
from server.state import State
from server.sync.files import Known, begin, begun_elsewhere, mark
from server.sync.looks import TAKEN_ELSEWHERE


def begin_file(state: State, registrar: Registrar, known: Known) -> tuple[Known, bool]:
    """Give the file its arrival's id; whether an earlier cycle has brought it here already.

    Raises `AppError` denied if another agency has taken it.
    """
    with state.database.writing() as conn:
        for other in begun_elsewhere(conn, known):
            arrival = inbox.find_arrival(conn, other.arrival_id or "")
            if other.taken_at or arrival or state.spool.find(other.arrival_id or ""):
                raise AppError(Code.DENIED, TAKEN_ELSEWHERE)
        known = begin(conn, known, now())
        arrival = inbox.find_arrival(conn, known.arrival_id or "")
    here = arrival is not None and arrival.state is not ArrivalState.PARTIAL
    if not here and (manifest := state.spool.find(known.arrival_id or "")):
        registrar.register(manifest)
        here = True
    if here:
        finish_file(state, known)
    return known, here


@contextmanager
def staged(state: State, known: Known) -> Iterator[Path]:
    """Where the file is brought to, held against other processes. Raises `AppError` conflict if one brings it now,
    internal if our disk fails meanwhile."""
    place = staging(state, known.arrival_id or "")
    try:
        fd = os.open(place, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.fstat(fd).st_size > known.size:
                os.ftruncate(fd, 0)
            yield place
        finally:
            os.close(fd)
    except BlockingIOError:
        raise AppError(Code.CONFLICT, "Another process brings this file just now.") from None
    except OSError as error:
        why = f"It cannot be kept here ({(error.strerror or str(error)).lower()})."
        raise AppError(Code.INTERNAL, why, "Free some space on the disk of the data directory.") from error


def accept_file(
    state: State, registrar: Registrar, known: Known, profile: Profile, agency: Agency, origin: str, place: Path
) -> None:
    """Take what was brought to `place` into the spool, and register it; `origin` names the server.

    Raises `AppError` conflict if it has not the size that it should have; then it is brought anew.
    """
    if place.stat().st_size != known.size:
        size = place.stat().st_size
        place.unlink()
        raise AppError(Code.CONFLICT, f"{size} bytes came, and {known.size} were announced.", "It is brought anew.")
    manifest = _manifest(known, profile, agency, origin)
    try:
        with place.open("rb") as file:
            state.spool.accept_link(manifest, file.fileno())
    except OSError as error:
        if error.errno != errno.EXDEV:  # the spool may be a file system of its own
            raise
        state.spool.accept_copy(manifest, place)
    registrar.register(manifest, profile)
    finish_file(state, known)


def finish_file(state: State, known: Known) -> None:
    """The file is here and registered."""
    with state.database.writing() as conn:
        mark(conn, known, taken_at=now())
    staging(state, known.arrival_id or "").unlink(missing_ok=True)


def staging(state: State, arrival_id: str) -> Path:
    """Where the file that will be that arrival is brought to."""
    return state.settings.sync / arrival_id


def seen(profile: Profile, server_id: str, file: RemoteFile) -> Known:
    """The row of a file that was seen now."""
    return Known(
        profile.agency_id, server_id, file.path, profile.id, file.size, file.modified, file.version, seen_at=now()
    )


def _manifest(known: Known, profile: Profile, agency: Agency, origin: str) -> Manifest:
    at = now()
    return Manifest(
        id=known.arrival_id or "",
        agency=agency.slug,
        path=f"{origin}:{known.path}",
        size=known.size,
        source="sync",
        session=None,
        client=None,
        opened_at=at,
        closed_at=at,
        not_before=at,
        profile=profile.id,
    )
