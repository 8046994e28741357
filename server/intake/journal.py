"""Durable notes about uploads that are in progress, torn, or whole under a temporary name.

One small JSON file per (agency, path), so that a look-up costs one `open` and any process can make it:

    receiving/<sha256 of agency NUL path>.json     an `Entry`
    receiving/lock-<first two hex digits>          serialises changes of one path between threads and processes
    receiving/new-<token>                          an empty file on its way to its name (`server.sftp.staging`)

An entry is written before the first byte of its file, and forgotten when the file is whole and spooled. A file that has
an entry is therefore never one "that nobody announced". While it is being written, its session holds `flock(2)` on it,
and that lock dies with its process: an entry that says `receiving` but whose file nobody holds is torn.
"""

import fcntl
import hashlib
import os
import stat
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from enum import StrEnum
from pathlib import Path, PurePosixPath
from typing import Any

from server.clock import new_id, now
from server.intake.durable import DirectorySync, read_json, write_json
from server.intake.names import is_temporary

Extents = tuple[tuple[int, int], ...]

CRASHED = "the server stopped while the file was being received"


class State(StrEnum):
    """How far an upload has come."""

    RECEIVING = "receiving"
    TORN = "torn"
    HELD = "held"  # closed whole under a temporary name; its rename completes it


@dataclass(frozen=True)
class Entry:
    """One upload that is not an arrival yet.

    `id` is the id of the arrival it will become. `owner` names the handle that writes it; whoever else writes the same
    path later takes the entry over. `size` (bytes) and `covered`, the written extents [start, end), are those of the
    moment when it was torn or held. `replaces` is the inode of a torn file that this one is about to take the name of:
    should the process die just before it does, that file must not pass for one that nobody announced.
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

    def is_of(self, status: os.stat_result) -> bool:
        """Whether `status` is that of the file this entry was written for."""
        return (self.dev, self.ino) == (status.st_dev, status.st_ino)

    def to_json(self) -> dict[str, Any]:
        """A JSON object; instants in ISO 8601."""
        return {**asdict(self), "opened_at": self.opened_at.isoformat()}

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


class Journal:
    """The directory of entries; any number of threads and processes may use it at once.

    Its methods raise OSError when the disk refuses. Those that change an entry belong inside `locked`.
    """

    def __init__(self, root: Path, durable: bool = True) -> None:
        self.root = root
        root.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._sync = DirectorySync(root) if durable else None

    @contextmanager
    def locked(self, agency: str, *paths: str) -> Iterator[None]:
        """Nobody else begins, moves or forgets entries of these paths meanwhile.

        Not reentrant: take all paths in one call, so that two callers never wait for each other.
        """
        with ExitStack() as stack:
            for stripe in sorted({_key(agency, path)[:2] for path in paths}):
                fd = os.open(self.root / f"lock-{stripe}", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
                stack.callback(os.close, fd)
                fcntl.flock(fd, fcntl.LOCK_EX)
            yield

    def begin(self, entry: Entry) -> Entry:
        """Make `entry` durable before the first byte of its file is written; gives it back."""
        return self._write(entry)

    def predecessor(self, agency: str, path: str, status: os.stat_result) -> Entry | None:
        """The unfinished upload that the file at `path` is, so that its sender may resume or replace it; or None.

        `status` is that file's. An entry of another file is stale. A file with a second link has been accepted
        into the spool already (the process died between accepting and forgetting), so its id is used up.
        """
        entry = self.find(agency, path)
        return entry if entry and entry.is_of(status) and status.st_nlink == 1 else None

    def tear(self, entry: Entry, size: int, covered: Extents, reason: str) -> Entry:
        """Note that the upload ended before it was whole."""
        return self._write(replace(entry, state=State.TORN, size=size, covered=covered, reason=reason))

    def hold(self, entry: Entry, size: int, covered: Extents) -> Entry:
        """Note that the upload is whole under a temporary name and waits for its rename."""
        return self._write(replace(entry, state=State.HELD, size=size, covered=covered, reason=""))

    @contextmanager
    def moving(self, agency: str, old: str, new: str) -> Iterator[Entry | None]:
        """The block renames the file `old` to `new`; gives the entry as it will be, or None if there is none.

        Until it is done the entry stands under both paths: whenever the machine dies, the file has its entry. If the
        block fails, everything is as before. An entry of the file that `new` was is gone afterwards.
        """
        entry, replaced = self.find(agency, old), self.find(agency, new)
        moved = self._write(replace(entry, path=new)) if entry else None
        try:
            yield moved
        except BaseException:
            if moved:
                self._write(replaced) if replaced else self.forget(agency, new)
            raise
        self.forget(agency, old if moved else new)

    @contextmanager
    def moving_tree(self, agency: str, old: str, new: str) -> Iterator[None]:
        """The block renames the directory `old` to `new`; as `moving`, for every entry below it."""
        below = [entry for entry in self.entries() if entry.agency == agency and entry.path.startswith(old + "/")]
        with ExitStack() as stack:
            for entry in below:
                stack.enter_context(self.moving(agency, entry.path, new + entry.path[len(old) :]))
            yield

    def forget(self, agency: str, path: str) -> None:
        """There is nothing to note about this path any more."""
        self._file(agency, path).unlink(missing_ok=True)

    def find(self, agency: str, path: str) -> Entry | None:
        """The entry of this path, or None."""
        return _read(self._file(agency, path))

    def locate(self, agency: str, path: str, owner: str) -> Entry | None:
        """The entry that the handle `owner` writes, also when a directory above it was renamed meanwhile."""
        entry = self.find(agency, path)
        if entry and entry.owner == owner:
            return entry
        return next((other for other in self.entries() if other.owner == owner and other.agency == agency), None)

    def entries(self) -> Iterator[Entry]:
        """All entries that can be read, in no order."""
        for file in self.root.glob("*.json"):
            if entry := _read(file):
                yield entry

    def broken(self) -> list[Path]:
        """Files that should be entries and are none: for an operator's eyes."""
        return [file for file in self.root.glob("*.json") if _read(file) is None and file.exists()]

    def torn(self, homes: Path) -> list[Entry]:
        """All torn uploads, those of dead processes among them; `homes` holds one home per agency slug."""
        self.settle_crashed(homes)
        return [entry for entry in self.entries() if entry.state is State.TORN]

    def settle_crashed(self, homes: Path) -> None:
        """Give every entry whose process died its final state: torn, or none if its file is accepted or gone."""
        for entry in list(self.entries()):
            if place := _place(homes, entry):
                self._settle_crashed(place, entry)
        for stray in self.root.glob("*.tmp"):
            _drop_stale(stray)
        for stray in self.root.glob("new-*"):
            _drop_stale(stray)

    def _settle_crashed(self, place: Path, entry: Entry) -> None:
        with self.locked(entry.agency, entry.path), _examined(place, entry) as (found, fd):
            if self.find(entry.agency, entry.path) != entry or found is Found.WRITTEN:
                return
            if found is Found.REPLACED:
                status = os.fstat(fd)
                self.tear(replace(entry, ino=status.st_ino, replaces=None), status.st_size, (), CRASHED)
            elif found is Found.SOMETHING_ELSE or os.fstat(fd).st_nlink > 1 or _is_completed(entry):
                self.forget(entry.agency, entry.path)
            elif entry.state is State.RECEIVING:
                # Its extents were in the memory of the process. Clients write from front to back, so an upload that
                # was cut off is what the file system has as data.
                self.tear(entry, os.fstat(fd).st_size, data_extents(fd), CRASHED)

    def _write(self, entry: Entry) -> Entry:
        write_json(self._file(entry.agency, entry.path), entry.to_json(), self._sync)
        return entry

    def _file(self, agency: str, path: str) -> Path:
        return self.root / f"{_key(agency, path)}.json"


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


class Found(StrEnum):
    """What is at the path of an entry."""

    SOMETHING_ELSE = "something else"  # or nothing
    REPLACED = "replaced"  # the torn file that the entry's file was to replace
    WRITTEN = "written"  # a session holds its lock
    LEFT = "left"


@contextmanager
def _examined(place: Path, entry: Entry) -> Iterator[tuple[Found, int]]:
    try:
        fd = os.open(place, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        yield Found.SOMETHING_ELSE, -1
        return
    try:
        yield _examine(fd, entry), fd
    finally:
        os.close(fd)


def _examine(fd: int, entry: Entry) -> Found:
    status = os.fstat(fd)
    if not stat.S_ISREG(status.st_mode) or not entry.is_of(status):
        return Found.REPLACED if (status.st_dev, status.st_ino) == (entry.dev, entry.replaces) else Found.SOMETHING_ELSE
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return Found.WRITTEN
    return Found.LEFT


def _is_completed(entry: Entry) -> bool:
    """Whether its rename was the last thing that happened: the file is whole, has its final name, and may be swept."""
    return entry.state is State.HELD and not is_temporary(PurePosixPath(entry.path).name)


def _place(homes: Path, entry: Entry) -> Path | None:
    home = homes / entry.agency
    return home / entry.path.lstrip("/") if home.is_dir() else None  # no home: its disk is not mounted, say


def _drop_stale(stray: Path, age: float = 3600) -> None:
    try:
        if now().timestamp() - stray.stat().st_ctime > age:
            stray.unlink()
    except FileNotFoundError:
        return


def _read(file: Path) -> Entry | None:
    try:
        return Entry.from_json(read_json(file))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _key(agency: str, path: str) -> str:
    return hashlib.sha256(f"{agency}\0{path}".encode()).hexdigest()
