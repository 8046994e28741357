"""The sweep: finds whole files in the agencies' homes that came past the door, and takes a copy of each.

A file is taken when all of this holds: it has a final name; it is a plain file; neither its content nor its name has
changed for the quiet time; no session writes it, has torn it, or holds it under a temporary name; and it was not taken
before. The order of those looks matters. An upload through the door is first in the journal, then in the spool, then
among the taken files, and leaves each only after it has entered the next; looking in that order misses none. (Most
files were taken long ago, so that is looked at first as well: that a file was taken stays true.)
"""

import fcntl
import os
import stat
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from ingest import inbox
from ingest.arrival import Arrival
from server.agencies import Agency, list_agencies
from server.clock import new_id, now
from server.errors import AppError
from server.intake.archive import hash_file
from server.intake.names import is_temporary
from server.intake.register import Registrar
from server.intake.spool import Manifest
from server.intake.taken import Footprint, find_taken, known_files, miss, take
from server.logs import Log
from server.state import State


@dataclass(frozen=True)
class Found:
    """A file of an agency: its place on disk, its path as the agency sees it, and its stat."""

    place: Path
    path: str
    status: os.stat_result

    @property
    def inode(self) -> tuple[int, int]:
        """Device and inode number."""
        return self.status.st_dev, self.status.st_ino


@dataclass(frozen=True)
class Swept:
    """What a sweep took, and how many files it left because they were not quiet yet."""

    taken: list[Manifest]
    restless: int


def sweep(state: State, registrar: Registrar, log: Log) -> Swept:
    """Take all unannounced whole files of all agencies. Raises `AppError` unavailable when the database is away."""
    began = time.monotonic()
    with state.database.reading() as conn:
        agencies = list_agencies(conn)
    homes = [_sweep_home(state, registrar, agency, log) for agency in agencies]
    swept = Swept([manifest for home in homes for manifest in home.taken], sum(home.restless for home in homes))
    seconds = round(time.monotonic() - began, 3)
    log.info("swept", agencies=len(agencies), taken=len(swept.taken), restless=swept.restless, seconds=seconds)
    return swept


def _sweep_home(state: State, registrar: Registrar, agency: Agency, log: Log) -> Swept:
    with state.database.reading() as conn:
        known = known_files(conn, agency.id)
    seen: set[tuple[int, int]] = set()
    taken, restless = [], 0
    for found in walk(state.settings.home(agency.slug)):
        seen.add(found.inode)
        try:
            if _is_taken(state, agency, found) or not _is_unannounced(state, agency, found):
                continue
        except OSError as error:
            log.warning("file not read", agency=agency.slug, path=found.path, reason=error.strerror)
            continue
        if not _is_quiet(found, state.settings.quiet_time):
            restless += 1
        elif manifest := _copy(state, agency, found, log):
            registrar.register(manifest)
            taken.append(manifest)
    _miss(state, agency, known - seen)
    return Swept(taken, restless)


def _miss(state: State, agency: Agency, gone: set[tuple[int, int]]) -> None:
    if gone:
        with state.database.writing() as conn:
            for dev, ino in gone:
                miss(conn, agency.id, dev, ino)


def walk(home: Path) -> Iterator[Found]:
    """All plain files with final names below `home/upload`; links are not followed, folders that vanish are skipped.

    However deep they lie: by renaming, an agency can nest folders deeper than Python may call itself.
    """
    folders = [(home / "upload", "/upload")]
    while folders:
        folder, path = folders.pop()
        for entry, status in _entries(folder):
            place = folder / entry.name, f"{path}/{entry.name}"
            if stat.S_ISDIR(status.st_mode):
                folders.append(place)
            elif stat.S_ISREG(status.st_mode) and not is_temporary(entry.name):
                yield Found(*place, status)


def _entries(folder: Path) -> Iterator[tuple[os.DirEntry[str], os.stat_result]]:
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError:
        return
    for entry in entries:
        with suppress(OSError):  # it may vanish
            if _is_text(entry.name):
                yield entry, entry.stat(follow_symlinks=False)


def _is_text(name: str) -> bool:
    """Whether a name is UTF-8, and so can be told to anybody."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _is_quiet(found: Found, quiet_time: float) -> bool:
    # A client may set the modification time to anything; the change time is the kernel's own.
    changed = max(found.status.st_mtime, found.status.st_ctime)
    return time.time() - changed >= quiet_time


def _is_unannounced(state: State, agency: Agency, found: Found) -> bool:
    """Whether nobody receives, has torn, has spooled or has taken the file (see the order in the text above)."""
    if state.journal.claims(agency.slug, found.path, found.status) or _is_open(found.place):
        return False
    spooled = {(manifest.dev, manifest.ino) for manifest in state.spool.all()}
    return found.inode not in spooled and not _is_taken(state, agency, found)


def _is_open(place: Path) -> bool:
    """Whether a session holds the lock that it keeps on a file while receiving it; a vanished file counts as open."""
    try:
        descriptor = os.open(place, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def _is_taken(state: State, agency: Agency, found: Found) -> bool:
    present = Footprint.of(found.status)
    with state.database.reading() as conn:
        row = find_taken(conn, agency.id, present)
        if row is not None and row[0] == present:
            return True
        arrival = inbox.find_arrival(conn, row[1]) if row else inbox.newest_at(conn, agency.id, found.path)
    if arrival is None or arrival.size != present.size:
        return False
    if row is None and not _is_moved(found, arrival):
        return False
    if arrival.sha256 is None:
        return row is not None  # not read yet, so nothing to compare with: the next sweep will tell
    if arrival.sha256 != hash_file(found.place):
        return False
    with state.database.writing() as conn:  # touched, renamed or restored, but the same file
        take(conn, agency.id, present, arrival.id)
    return True


def _is_moved(found: Found, arrival: Arrival) -> bool:
    """Whether an unknown inode may be a file that was taken on another disk: the homes were restored, or moved.

    Then it lies where it lay, and was last written before it was taken. The same content written anew is a new arrival
    (and will be called a duplicate).
    """
    return found.status.st_mtime <= arrival.received_at.timestamp()


def _copy(state: State, agency: Agency, found: Found, log: Log) -> Manifest | None:
    at = now()
    manifest = Manifest(
        id=new_id(at),
        agency=agency.slug,
        path=found.path,
        size=found.status.st_size,
        source="sweep",
        session=None,
        client=None,
        opened_at=at,
        closed_at=at,
        not_before=at,
        dev=found.status.st_dev,
        ino=found.status.st_ino,
        mtime_ns=found.status.st_mtime_ns,
    )
    try:
        state.spool.accept_copy(manifest, found.place)
    except (OSError, AppError) as error:
        log.warning("file not taken", agency=agency.slug, path=found.path, reason=str(error))
        return None
    if _changed(found):
        state.spool.retract(manifest.id)
        return None
    return manifest


def _changed(found: Found) -> bool:
    try:
        status = os.lstat(found.place)
    except OSError:
        return True
    return Footprint.of(status) != Footprint.of(found.status) or status.st_ctime_ns != found.status.st_ctime_ns
