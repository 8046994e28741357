"""What the journal notes of one upload that is not an arrival yet."""

import os
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from functools import lru_cache
from pathlib import Path
from typing import Any

from server.clock import new_id, now
from server.intake.durable import line, parse_lines, read_bytes

CRASHED = "it was cut off: the server stopped, or its disk was full"

Extents = tuple[tuple[int, int], ...]


class State(StrEnum):
    """How far an upload has come."""

    RECEIVING = "receiving"
    TORN = "torn"
    HELD = "held"  # closed whole under a temporary name; its rename completes it
    ACCEPTING = "accepting"  # whole, and offered to the spool: its id is used up


@dataclass(frozen=True)
class Entry:
    """One upload that is not an arrival yet.

    `id` is the id of the arrival it will become. `owner` names the handle that writes it; whoever else writes the same
    path later takes the entry over. `size` (bytes) and `covered`, the written extents [start, end), are those of the
    moment when it was torn, held or offered to the spool. `replaces` is the inode of a torn file that this one is about
    to take the name of: should the process die just before it does, that file must not pass for one that nobody
    announced. `replaces_id` is the id of that one's upload, if this one does not have it too.
    """

    id: str
    agency: str
    path: str
    owner: str
    session: str
    client: str
    dev: int
    ino: int
    opened_at: datetime
    declared_size: int | None = None
    size: int = 0
    state: State = State.RECEIVING
    covered: Extents = ()
    reason: str = ""
    replaces: int | None = None
    replaces_id: str | None = None

    def is_of(self, status: os.stat_result) -> bool:
        """Whether `status` is that of the file this entry was written for."""
        return (self.dev, self.ino) == (status.st_dev, status.st_ino)

    def is_to_replace(self, status: os.stat_result) -> bool:
        """Whether `status` is that of the torn file that this entry's own was to take the name of."""
        begun = self.state is State.RECEIVING or self.replaces_id is not None
        return begun and not self.is_of(status) and (status.st_dev, status.st_ino) == (self.dev, self.replaces)

    def adopting(self, status: os.stat_result) -> "Entry":
        """This entry for the file that `status` describes: the same one, with another inode; or the one it replaces.

        Of that one, nothing is known that could be trusted.
        """
        same = replace(self, dev=status.st_dev, ino=status.st_ino, replaces=None, replaces_id=None)
        if not self.is_to_replace(status):
            return same
        id_, size = self.replaces_id or self.id, status.st_size
        return replace(same, id=id_, declared_size=None, size=size, state=State.TORN, covered=(), reason=CRASHED)

    def over(self, ino: int, id_: str) -> "Entry":
        """This entry, whose file is about to take the name of the torn one with that inode and that id."""
        return replace(self, replaces=ino, replaces_id=id_)

    def ended(self, state: State, size: int, covered: Extents, reason: str) -> "Entry":
        """This entry once its upload has ended; its file has its name, so it is about to replace nothing."""
        return replace(self, state=state, size=size, covered=covered, reason=reason, replaces=None, replaces_id=None)

    def to_json(self) -> dict[str, Any]:
        """A JSON object; instants in ISO 8601."""
        known = {**vars(self), "opened_at": self.opened_at.isoformat()}
        if self.replaces_id is None:
            del known["replaces_id"]  # older versions do not know it
        return known

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> "Entry":
        """The reverse of `to_json`; raises KeyError, TypeError or ValueError on anything else."""
        known = {
            **data,
            "opened_at": datetime.fromisoformat(data["opened_at"]),
            "state": State(data["state"]),
            "covered": tuple((int(start), int(end)) for start, end in data["covered"]),
        }
        return cls(**known)


def new_entry(agency: str, path: str, owner: str, session: str, client: str, status: os.stat_result) -> Entry:
    """A fresh entry, with a fresh id, for the file that `status` describes."""
    at = now()
    return Entry(new_id(at), agency, path, owner, session, client, status.st_dev, status.st_ino, at)


@dataclass(frozen=True)
class Moved:
    """What is noted of a file that is renamed, and of the unfinished one that it replaces; None: nothing."""

    entry: Entry | None
    replaced: Entry | None


def unfinished(known: Entry | None, moved: Entry | None) -> Entry | None:
    """What is noted of an unfinished file whose name the file of `moved` takes; `known` is what is noted of that name.

    If a crash cut the same rename off before, `known` is of the same upload, and tells what it was to replace.
    """
    if known is None or known.state is State.ACCEPTING:
        return None
    if moved is None or known.id != moved.id:
        return known
    return replace(known, id=known.replaces_id) if known.replaces_id else None


def data_extents(fd: int) -> Extents:
    """Where the file system keeps data of this file (lseek(2), SEEK_DATA), as extents [start, end) in bytes."""
    extents, at, size = [], 0, os.fstat(fd).st_size
    while at < size:
        try:
            start = os.lseek(fd, at, os.SEEK_DATA)
        except OSError:  # ENXIO: only a hole is left
            break
        at = os.lseek(fd, start, os.SEEK_HOLE)
        extents.append((start, at))
    return tuple(extents)


class DamagedError(Exception):
    """What the file of an entry holds is no entry."""


def read_entry(file: str) -> Entry | None:
    """The entry in `file`, or None if there is none. Raises OSError, DamagedError.

    An empty one is none: the file that it is of has no name yet, and never had if its process is dead.
    """
    try:
        content = read_bytes(file)
    except FileNotFoundError:
        return None
    return _parse(content) if content else None


def _parse(content: bytes) -> Entry:
    try:
        first, *manifests = parse_lines(content)
        entry = Entry.from_json(first)
        return replace(entry, state=State.ACCEPTING, size=manifests[-1]["size"]) if manifests else entry
    except (ValueError, KeyError, TypeError) as error:
        raise DamagedError from error


def is_broken(file: Path) -> bool:
    """Whether the entry in `file` cannot be read, or is damaged."""
    try:
        read_entry(str(file))
    except (OSError, DamagedError):
        return True
    return False


def is_empty(file: Path) -> bool:
    """Whether there is nothing in `file`, or no such file; not if that cannot be told."""
    try:
        return file.stat().st_size == 0
    except FileNotFoundError:
        return True
    except OSError:
        return False


@lru_cache(256)
def entry_line(entry: Entry) -> bytes:
    """The entry as it stands in its file."""
    return line(entry.to_json())
