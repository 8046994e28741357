"""Durable notes about uploads that are in progress, torn, or whole under a temporary name.

One small JSON file per (agency, path), so that a look-up costs one `open` and any process can make it:

    receiving/<sha256 of agency NUL path>.json     an `Entry`
    receiving/locks                                serialises changes of one path, and of a directory above it
    receiving/new-<token>                          an empty file that is to replace another (`server.sftp.staging`)

An entry is written before the first byte of its file. When the file is whole, its manifest is added to the entry as a
second line, and then the entry is renamed into the spool: in one step the file is accepted, and nothing is noted of it
any more. A file that has an entry is therefore never one "that nobody announced". While it is being written, its
session holds `flock(2)` on it, and that lock dies with its process: an entry that says `receiving` but whose file
nobody holds is torn.

A file is known by its inode. When a data directory is copied, restored or moved to another disk, every file gets
another one; then the entry speaks for the file at its path as long as that looks like the one it was written for.
"""

import hashlib
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Any

from server.clock import new_id
from server.errors import AppError
from server.intake.durable import DirectorySync, append_json, create_json, is_there, line, read_bytes, write_json
from server.intake.entry import (
    CRASHED,
    DamagedError,
    Entry,
    Extents,
    Moved,
    State,
    data_extents,
    entry_line,
    is_broken,
    is_empty,
    read_entry,
    unfinished,
)
from server.intake.locks import EXCLUSIVE, SHARED, LockFile, Locks
from server.intake.names import is_temporary
from server.intake.remains import Found, examined
from server.intake.rubbish import drop_stale
from server.intake.spares import Note, Spares

TREES = 1 << 60  # the lock of an agency's directories is no path's
HELD_BACK = "it is whole, but has a temporary name: its rename completes it"

Settled = Callable[[str], bool]
"""Whether an arrival of that id exists that is more than a partial one.

It is asked about files that were whole and offered to the spool, and are not there (any more).
"""
Left = Callable[[Entry, Exception], None]
"""Is told of an entry that is left as it is, and why."""


def _never(_: str) -> bool:
    return False


def _unsaid(_entry: Entry, _error: Exception) -> None:
    """Nobody asks."""


class Journal:
    """The directory of entries; any number of threads and processes may use it at once.

    Its methods raise OSError when the disk refuses. Those that change an entry belong inside `locked`. `spool` is where
    the manifests of accepted files are: the directory above, unless told otherwise.
    """

    def __init__(self, root: Path, durable: bool = True, spool: Path | None = None) -> None:
        self.root = root
        root.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._spool = spool or root.parent
        self._folder = str(root)
        self._locks = LockFile(f"{self._folder}/locks")
        self._sync = DirectorySync(root) if durable else None
        self._later = _Later(root) if durable else None
        self._spares = None if durable else Spares(self._spool)

    def locked(self, agency: str, *paths: str, tree: bool = False, wait: bool = True) -> Locks:
        """Nobody else begins, moves or forgets entries of these paths meanwhile, nor renames a directory above them.

        With `tree` (who renames a directory needs it) that holds for all paths of the agency. Not reentrant: take all
        paths in one call, so that two callers never wait for each other. Without `wait`, `BusyError` if another has it.
        """
        above = TREES | _number(agency, ""), EXCLUSIVE if tree else SHARED
        numbers = sorted({_number(agency, path) for path in paths})
        return Locks(self._locks, [above, *((number, EXCLUSIVE) for number in numbers)], wait)

    def begin(self, entry: Entry) -> Entry:
        """Make `entry` durable before the first byte of its file is written; gives it back."""
        if note := self.begin_note(entry):
            note.close()
        return entry

    def begin_note(self, entry: Entry) -> Note | None:
        """As `begin`; gives the open note, which is the caller's to close, or None: not all notes stay open.

        Who has it open can tell by it at once whether it `says` the same, and `offer` the file.
        """
        file = self._file(entry.agency, entry.path)
        note = self._spares.write(file, entry_line(entry)) if self._spares else None
        if note is None:
            create_json(file, entry.to_json(), self._sync)
        return note

    def prepare(self, count: int) -> bool:
        """Have up to `count` notes made ahead, for `begin_note`; False if there are no such here. Raises OSError."""
        if self._spares is None:
            return False
        return all(self._spares.prepare() for _ in range(count - self._spares.ready))

    def finish(self) -> None:
        """Nobody needs what was made ahead, and kept open."""
        self._locks.close()
        if self._spares:
            self._spares.drop()

    def predecessor(self, agency: str, path: str, status: os.stat_result) -> Entry | None:
        """The unfinished upload that the file at `path` is, so that its sender may resume or replace it; or None.

        `status` is that file's. An entry of another file is stale. A file that was offered to the spool (the process
        died before it could forget the entry) was whole, and its id is used up: no other file may ever have it.
        """
        entry = self.find(agency, path)
        if entry is None or not self._speaks_for(entry, status) or self._is_offered(entry):
            return None
        return entry.adopting(status)

    def claims(self, agency: str, path: str, status: os.stat_result) -> bool:
        """Whether an entry speaks for the plain file that now lies at `path`, so that nobody may take it as it is.

        `status` is that file's. It does if the file has the inode that the entry was written for; and with an inode
        that nobody knows (the data directory was copied or restored) unless the file was put there since: that is, has
        another size than it had when it was noted and is newer than the note. Of a file that was being received no
        size was noted, so its entry speaks for whatever is there. So does one that cannot be read, or is damaged.
        """
        try:
            entry = read_entry(self._file(agency, path))
        except (OSError, DamagedError):
            return stat.S_ISREG(status.st_mode)
        return entry is not None and self._speaks_for(entry, status)

    def tear(self, entry: Entry, size: int, covered: Extents, reason: str) -> Entry:
        """Note that the upload ended before it was whole."""
        return self._write(entry.ended(State.TORN, size, covered, reason))

    def hold(self, entry: Entry, size: int, covered: Extents) -> Entry:
        """Note that the upload is whole under a temporary name and waits for its rename."""
        return self._write(entry.ended(State.HELD, size, covered, HELD_BACK))

    def offer(self, entry: Entry, manifest: dict[str, Any], note: Note | None = None) -> str:
        """Note that the whole file is about to be accepted into the spool, with that manifest (see `Manifest.to_json`).

        `note` is that of the entry, if it is open and still `says` so. Gives the file that holds the note, durably.
        Renamed into the spool it is the manifest, and no entry any more.
        """
        file = self._file(entry.agency, entry.path)
        if note:
            note.append(line(manifest))
            return file
        try:
            append_json(file, manifest, self._sync is not None)
        except FileNotFoundError:  # a file that did not pass the door
            write_json(file, entry.to_json(), self._later)
            append_json(file, manifest, self._sync is not None)
        return file

    @contextmanager
    def moving(
        self, agency: str, old: str, new: str, status: os.stat_result, present: os.stat_result | None
    ) -> Iterator[Moved]:
        """The block renames the file `old`, which `status` describes, to `new`, where `present` lies now.

        Until it is done the entry stands under both paths: whenever the machine dies, the file has its entry, and so
        has an unfinished one whose name it is to take. If the block fails, everything is as before. An entry of the
        file that `new` was is gone afterwards.
        """
        entry, known = self.find(agency, old), self.find(agency, new)
        if entry and entry.is_to_replace(status):
            entry = entry.adopting(status)
        moved = self._write(self._moved(entry, new, known, present)) if entry else None
        try:
            yield Moved(moved, unfinished(known, entry))
        except BaseException:
            if moved:
                self._write(known) if known else self.forget(agency, new)
            raise
        self.forget(agency, old if moved else new)

    def _moved(self, entry: Entry, path: str, known: Entry | None, present: os.stat_result | None) -> Entry:
        moved, replaced = replace(entry, path=path), unfinished(known, entry)
        if replaced and present is None:  # or it cannot be looked at just now
            return moved.over(replaced.ino, replaced.id)
        if present and (replaced or not known) and self.claims(entry.agency, path, present):
            return moved.over(present.st_ino, replaced.id if replaced else new_id())
        return moved

    @contextmanager
    def moving_tree(self, agency: str, old: str, new: str) -> Iterator[None]:
        """The block renames the directory `old` to `new`; as `moving`, for every entry below it."""
        below = [entry for entry in self._all_entries() if entry.agency == agency and entry.path.startswith(old + "/")]
        moved = [replace(entry, path=new + entry.path[len(old) :]) for entry in below]
        replaced = [self.find(agency, entry.path) for entry in moved]
        pairs = [(entry, unfinished(other, entry)) for entry, other in zip(moved, replaced, strict=True)]
        self._write_all([entry.over(other.ino, other.id) if other else entry for entry, other in pairs])
        try:
            yield
        except BaseException:
            for entry in moved:
                self.forget(agency, entry.path)
            self._write_all([entry for entry in replaced if entry])
            raise
        for entry in below:
            self.forget(agency, entry.path)

    def forget(self, agency: str, path: str) -> None:
        """There is nothing to note about this path any more."""
        Path(self._file(agency, path)).unlink(missing_ok=True)

    def find(self, agency: str, path: str) -> Entry | None:
        """The entry of this path, or None; one that is damaged is none. Raises OSError if it cannot be read."""
        try:
            return read_entry(self._file(agency, path))
        except DamagedError:
            return None

    def says(self, entry: Entry, note: Note | None = None) -> bool:
        """Whether what is noted of its path is just this entry, as it began; with its `note` that is told by a look.

        Notes are replaced and not changed, but by who offers the file that they are of.
        """
        file = self._file(entry.agency, entry.path)
        if note:
            return note.is_at(file)
        try:
            return read_bytes(file) == entry_line(entry)
        except FileNotFoundError:
            return False

    def locate(self, agency: str, path: str, owner: str) -> Entry | None:
        """The entry that the handle `owner` writes, also when a directory above it was renamed meanwhile."""
        entry = self.find(agency, path)
        if entry and entry.owner == owner:
            return entry
        return next((other for other in self.entries() if other.owner == owner and other.agency == agency), None)

    def entries(self) -> Iterator[Entry]:
        """All entries that can be read, in no order."""
        for file in self.root.glob("*.json"):
            with suppress(OSError, DamagedError):
                if entry := read_entry(str(file)):
                    yield entry

    def _all_entries(self) -> Iterator[Entry]:
        """As `entries`, for who must not miss one: raises OSError if one cannot be read just now."""
        for file in self.root.glob("*.json"):
            with suppress(DamagedError):
                if entry := read_entry(str(file)):
                    yield entry

    def broken(self) -> list[Path]:
        """Files that should be entries and cannot be read, or are damaged: an operator must see them."""
        return [file for file in sorted(self.root.glob("*.json")) if is_broken(file)]

    def torn(self, homes: Path, settled: Settled = _never, left: Left = _unsaid) -> list[Entry]:
        """All uploads that wait for their sender, torn or held; `homes` holds one home per agency slug.

        Those of dead processes are among them (see `settle_crashed`).
        """
        self.settle_crashed(homes, settled, left)
        return [entry for entry in self.entries() if entry.state in (State.TORN, State.HELD)]

    def settle_crashed(self, homes: Path, settled: Settled = _never, left: Left = _unsaid) -> None:
        """Give every entry whose process died its final state: torn, or none if its file is accepted or gone.

        An entry of which that cannot be told, since its file cannot be looked at, say, stays as it is, and is `left`.
        Raises `AppError` as `settled` does.
        """
        for entry in list(self.entries()):
            try:
                self._settle_crashed(homes, entry, settled)
            except AppError:
                raise
            except Exception as error:  # one file is at fault: all others go on
                left(entry, error)
        drop_stale([*self.root.glob("*.tmp"), *self.root.glob("new-*")])
        drop_stale(file for file in self.root.glob("*.json") if is_empty(file))

    def _settle_crashed(self, homes: Path, entry: Entry, settled: Settled) -> None:
        place = _place(homes, entry)
        if place is None:
            return
        with self.locked(entry.agency, entry.path), examined(place, entry) as (found, fd):
            if self.find(entry.agency, entry.path) != entry or found is Found.WRITTEN:
                return
            if found is Found.NOTHING or self._is_over(place, entry, os.fstat(fd), settled):
                self.forget(entry.agency, entry.path)
            elif found is Found.REPLACED or entry.state in (State.RECEIVING, State.ACCEPTING):
                self._tear_crashed(entry, found, fd)
            elif (same := entry.adopting(os.fstat(fd))) != entry:
                self._write(same)

    def _is_over(self, place: Path, entry: Entry, status: os.stat_result, settled: Settled) -> bool:
        """Whether there is nothing left to note: the file at `place` is accepted, complete, or another one."""
        if entry.is_to_replace(status):
            return False
        if not self._speaks_for(entry, status) or _is_completed(entry) or self._has_manifest(entry):
            return True
        if entry.state is State.ACCEPTING:  # asked after the spool: a manifest goes only when its arrival has come
            return settled(entry.id)
        return not entry.is_of(status) and self._stands_elsewhere(place, entry)

    def _stands_elsewhere(self, place: Path, entry: Entry) -> bool:
        """Whether the rename that brought `entry` to this path did not happen: its file still has the other name."""
        home = Path(str(place).removesuffix(entry.path))
        twins = (other for other in self._all_entries() if other.id == entry.id and other.path != entry.path)
        return any(is_there(home / other.path.lstrip("/")) for other in twins)

    def _tear_crashed(self, entry: Entry, found: Found, fd: int) -> None:
        # Its extents were in the memory of the process. Clients write from front to back, so an upload that was cut off
        # is what the file system has as data. Not so a file that was about to be replaced: that is an older version.
        status = os.fstat(fd)
        older = found is Found.REPLACED or (entry.replaces is not None and not entry.is_of(status))
        self.tear(entry.adopting(status), status.st_size, () if older else data_extents(fd), CRASHED)

    def _speaks_for(self, entry: Entry, status: os.stat_result) -> bool:
        if not stat.S_ISREG(status.st_mode):
            return False
        if entry.is_of(status) or entry.is_to_replace(status):
            return True
        if entry.state is State.RECEIVING or entry.size == status.st_size:
            return True
        try:
            return status.st_mtime <= Path(self._file(entry.agency, entry.path)).stat().st_mtime
        except FileNotFoundError:
            return False

    def _is_offered(self, entry: Entry) -> bool:
        return entry.state is State.ACCEPTING or self._has_manifest(entry)

    def _has_manifest(self, entry: Entry) -> bool:
        return is_there(self._spool / f"{entry.id}.json")

    def _write_all(self, entries: list[Entry]) -> None:
        """Write many entries with one fsync of the directory."""
        for entry in entries:
            write_json(self._file(entry.agency, entry.path), entry.to_json(), self._later)
        if entries and self._sync:
            self._sync.flush()

    def _write(self, entry: Entry) -> Entry:
        write_json(self._file(entry.agency, entry.path), entry.to_json(), self._sync)
        return entry

    def _file(self, agency: str, path: str) -> str:
        return f"{self._folder}/{_key(agency, path)}.json"


class _Later(DirectorySync):
    """Leaves the fsync of the directory to whoever has several names to write."""

    def flush(self) -> None:
        """Not now."""


def _is_completed(entry: Entry) -> bool:
    """Whether its rename was the last thing that happened: the file is whole, has its final name, and may be swept."""
    return entry.state is State.HELD and not is_temporary(PurePosixPath(entry.path).name)


def _place(homes: Path, entry: Entry) -> Path | None:
    home = homes / entry.agency
    return home / entry.path.lstrip("/") if home.is_dir() else None  # no home: its disk is not mounted, say


@lru_cache(1024)
def _key(agency: str, path: str) -> str:
    return hashlib.sha256(f"{agency}\0{path}".encode()).hexdigest()


@lru_cache(1024)
def _number(agency: str, path: str) -> int:
    """The number of a path's lock, below `TREES`; should it be another path's too, one waits for the other."""
    return int(_key(agency, path)[:15], 16)
