"""The sweep: finds whole files in the agencies' homes that came past the door, and takes a copy of each.

A file is taken when all of this holds: it has a final name; it is a plain file; neither its content nor its name has
changed for the quiet time; no session writes it, has torn it, or holds it under a temporary name; and it was not taken
before. The order of those looks matters. An upload through the door is first in the journal, then in the spool, then
among the taken files, and leaves each only after it has entered the next; looking in that order misses none. (Most
files were taken long ago, so that is looked at first as well: that a file was taken stays true.)

A file that was taken, and then refused because of its name, is told by the name that it has now.
"""

import fcntl
import os
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from ingest import inbox
from server.agencies import Agency, list_agencies
from server.clock import new_id, now
from server.errors import AppError
from server.inbound.homes import BATCH, Found, Seen, Unread, walk
from server.inbound.recognition import Likeness, recognise
from server.intake.register import Registrar
from server.intake.spool import Manifest
from server.intake.taken import Footprint, count_known, find_all_taken, known_files, miss
from server.logs import Log
from server.state import State


@dataclass(frozen=True)
class Swept:
    """What a sweep took, how many files it left because they were not quiet yet, and what it may not read; and how many
    it could not copy, or that changed meanwhile."""

    taken: list[Manifest]
    restless: int
    unread: tuple[Unread, ...] = ()
    missed: int = 0

    def __add__(self, other: "Swept") -> "Swept":
        unread = (*self.unread, *other.unread)
        missed = self.missed + other.missed
        return Swept([*self.taken, *other.taken], self.restless + other.restless, unread, missed)


def sweep(state: State, registrar: Registrar, log: Log) -> Swept:
    """Take all unannounced whole files of all agencies. Raises `AppError` unavailable when the database is away."""
    began = time.monotonic()
    with state.database.reading() as conn:
        agencies = list_agencies(conn)
    swept = sum((_sweep_home(state, registrar, agency, log) for agency in agencies), Swept([], 0))
    seconds = round(time.monotonic() - began, 3)
    taken, unread = len(swept.taken), len(swept.unread)
    log.info("swept", agencies=len(agencies), taken=taken, restless=swept.restless, unread=unread, seconds=seconds)
    return swept


class _Trouble:
    """What of an agency cannot be read: logged and kept."""

    def __init__(self, agency: Agency, log: Log) -> None:
        self.unread: list[Unread] = []
        self._agency = agency.slug
        self._log = log

    def note(self, path: str, error: OSError) -> None:
        """The file or folder at `path` cannot be read."""
        reason = error.strerror or str(error)
        self.unread.append(Unread(self._agency, path, reason))
        self._log.warning("file not read", agency=self._agency, path=path, reason=reason)

    def holds(self, look: Callable[[Found], bool], found: Found) -> bool:
        """Whether it looks so; not if it cannot be read, or has vanished."""
        try:
            return look(found)
        except FileNotFoundError:
            return False
        except OSError as error:
            self.note(found.path, error)
            return False


def _sweep_home(state: State, registrar: Registrar, agency: Agency, log: Log) -> Swept:
    seen, known, swept, trouble = Seen(), 0, Swept([], 0), _Trouble(agency, log)
    fresh: list[Found] = []
    for batch in walk(state.settings.home(agency.slug), trouble.note):
        seen.add(batch)
        with state.database.reading() as conn:
            taken = find_all_taken(conn, agency.id, [found.inode for found in batch])
        known += len(taken)
        same = {}
        for found in batch:
            if id_ := _same(found, taken.get(found.inode)):
                same[id_] = found
            else:
                fresh.append(found)
        if same:
            _tell_renamed(state, registrar, agency, same)
        if len(fresh) >= BATCH or (fresh and len(batch) < BATCH):
            swept += _take_all(state, registrar, agency, fresh, trouble, log)
            fresh = []
    if not trouble.unread:  # or else what was not met may be in there
        _miss(state, agency, seen, known)
    swept += _take_all(state, registrar, agency, fresh, trouble, log)
    return swept + Swept([], 0, tuple(trouble.unread))


def _same(found: Found, known: tuple[Footprint, str] | None) -> str | None:
    """The arrival of a file that is just as it was taken."""
    return known[1] if known and known[0] == Footprint.of(found.status) else None


def _tell_renamed(state: State, registrar: Registrar, agency: Agency, same: dict[str, Found]) -> None:
    """Nobody took it, and it has another name now of which nobody has told: its sender need not rename it again.

    The database was away just then, say, or somebody renamed it past the door.
    """
    home = state.settings.home(agency.slug)
    with state.database.reading() as conn:
        refused = inbox.find_refused(conn, same)
    moved = [same[id_] for id_, path in refused.items() if path != same[id_].path and not _is_at(home, path, same[id_])]
    if moved:
        registrar.renamed(agency.slug, {found.path: Footprint.of(found.status) for found in moved})


def _is_at(home: Path, path: str, found: Found) -> bool:
    """Whether it has that name as well: then it was not renamed."""
    with suppress(OSError):
        status = os.lstat(f"{home}{path}")
        return (status.st_dev, status.st_ino) == found.inode
    return False


def _take_all(
    state: State, registrar: Registrar, agency: Agency, fresh: list[Found], trouble: _Trouble, log: Log
) -> Swept:
    """Of files that are not known as they are: take those that nobody announced and that are quiet, by name."""
    taken, restless, missed = [], 0, 0
    for found in _unannounced(state, agency, sorted(fresh, key=lambda found: found.path), trouble, log):
        if not _is_quiet(found, state.settings.quiet_time):
            restless += 1
        elif manifest := _copy(state, agency, found, log):
            registrar.register(manifest)
            taken.append(manifest)
        else:
            missed += 1
    return Swept(taken, restless, missed=missed)


def _unannounced(state: State, agency: Agency, fresh: list[Found], trouble: _Trouble, log: Log) -> list[Found]:
    """Those that nobody receives, has torn, has spooled or has taken (see the order in the text above)."""

    def is_new(found: Found) -> bool:
        return recognise(state, agency, found, log) is Likeness.NEW

    def is_unclaimed(found: Found) -> bool:
        claims = state.journal.claims
        return is_new(found) and not claims(agency.slug, found.path, found.status) and not _is_open(found.place)

    candidates = [found for found in fresh if trouble.holds(is_unclaimed, found)]
    spooled = {(manifest.dev, manifest.ino) for manifest in state.spool.all()} if candidates else set()
    return [found for found in candidates if found.inode not in spooled and trouble.holds(is_new, found)]


def _miss(state: State, agency: Agency, seen: Seen, met: int) -> None:
    """Note which of the known files are gone; `met` of them were seen, which are mostly all."""
    with state.database.reading() as conn:
        if met >= count_known(conn, agency.id):
            return
        gone = [inode for known in known_files(conn, agency.id, BATCH) for inode in seen.missing(known)]
    with state.database.writing() as conn:
        for dev, ino in gone:
            miss(conn, agency.id, dev, ino)


def _is_quiet(found: Found, quiet_time: float) -> bool:
    # A client may set the modification time to anything; the change time is the kernel's own, and never before a write.
    # One that lies in the future is of a clock that was ahead, so it is not of just now either.
    return abs(time.time() - found.status.st_ctime) >= quiet_time


def _is_open(place: Path) -> bool:
    """Whether a session holds the lock that it keeps on a file while receiving it. Raises OSError."""
    descriptor = os.open(place, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


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
