"""What all sessions of one process share in receiving files: journal, spool, locks, and what becomes of an upload.

    begin    the journal knows the file, durably; its lock is held        (before its first byte)
    close    judged: complete -> spool, held or torn -> journal           (before CLOSE is answered)
    rename   a held file gets its final name -> spool                     (before RENAME is answered)
    remove   whatever was noted of the file is forgotten

All methods block (they belong in a thread) and may raise OSError or `SFTPError`. Changes of one path are serialised by
the journal's lock, so that the journal, the lock of the file and its name always change together.

Beginning a new file and ending one mostly touch a few names and nothing else, which takes less time than a thread takes
to wake. In a `hurry` they do that, or raise `BusyError` before they have changed anything.
"""

import os
import stat
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from errno import EEXIST, EISDIR

from asyncssh import SFTPFailure

from server.clock import new_id, now
from server.intake.entry import CRASHED, Entry, State, data_extents, new_entry, unfinished
from server.intake.journal import Journal
from server.intake.locks import BusyError
from server.intake.names import is_temporary
from server.intake.spares import Note
from server.intake.spool import Manifest, Spool
from server.intake.usage import Meter
from server.sftp.coverage import Coverage
from server.sftp.depth import check_depth
from server.sftp.jail import Jail, stat_or_none
from server.sftp.outcome import Outcome, Removed, Renamed
from server.sftp.paths import UPLOAD, AgencyPath, read_path
from server.sftp.quota import adding_directory, beginning, freeing
from server.sftp.settling import follow, follow_known, follow_tree
from server.sftp.staging import Staged, Stock, copy_content, is_locked, settle, staged, try_lock
from server.sftp.upload import REPLACED, RUNNING, Judgement, Upload, Verdict, manifest_of

AHEAD = 128  # so many files and notes are made before anybody sends one
FEW = 96
FULL = "the disk did not take all of it"
CHANGED = "Another session changed this name just now. Look again, and try again."


@dataclass(frozen=True)
class Sender:
    """Who sends: the agency's slug, the session's id and the client's banner, for journal and manifest."""

    agency: str
    session: str
    client: str


class Reception:
    """Receives files for the sessions of one process."""

    def __init__(self, journal: Journal, spool: Spool, settle_time: float, quiet_time: float) -> None:
        self._journal = journal
        self._spool = spool
        self._settle_time = settle_time
        self._quiet_time = quiet_time
        self._uploads: dict[str, Upload] = {}
        self._stock = Stock(journal.root)

    @property
    def running(self) -> int:
        """How many uploads have begun and not ended."""
        return len(self._uploads)

    # Ahead

    @property
    def is_short(self) -> bool:
        """Whether so many of the files that `prepare` makes are used up that it is worth a thread to make more."""
        return self._stock.ready <= FEW

    def prepare(self) -> bool:
        """Make ahead what new files need; False if that cannot be here. Raises OSError."""
        return self._stock.prepare(AHEAD) and (self._spool.durable or self._journal.prepare(AHEAD))

    def finish(self) -> None:
        """No more files come."""
        self._stock.drop()
        self._journal.finish()

    # Beginning

    def begin_new(self, jail: Jail, sender: Sender, upload: Upload, replacing: bool, hurry: bool = False) -> None:
        """Give `upload` a new, empty file under its path. EEXIST if there is one and it is not to be replaced."""
        path, patient = str(upload.path), not hurry
        with self._journal.locked(sender.agency, path, wait=patient), jail.parent(upload.path) as (directory, name):
            present = stat_or_none(directory, name)
            if present and not replacing:
                raise OSError(EEXIST, "taken")
            if present and hurry:
                raise BusyError  # letting go of a large file takes its time
            before = self._resumable(sender.agency, path, directory, name, present) if present else None
            room = beginning(upload.allowance, present, wait=patient)
            with room, staged(self._journal.root, present is not None, self._stock) as new:
                self._announce(sender, upload, new.fd, before, present)
                self._settle(upload, before, new, directory, name, replacing)
            upload.fd = new.fd
        self._uploads[upload.token] = upload

    def begin_existing(self, jail: Jail, sender: Sender, upload: Upload) -> None:
        """Make the file that `upload` has open its own, before it writes the first byte.

        If the spool still links that inode, or another session is writing it, a copy takes its place.
        """
        path = str(upload.path)
        with self._journal.locked(sender.agency, path), jail.parent(upload.path) as (directory, name):
            present = stat_or_none(directory, name)
            if present is None or not os.path.samestat(present, os.fstat(upload.fd)):
                raise SFTPFailure(REPLACED)
            before = self._resumable(sender.agency, path, directory, name, present)
            self._inherit(upload, before, present)
            with beginning(upload.allowance, present, wait=True):
                if try_lock(upload.fd) and present.st_nlink == 1:
                    self._announce(sender, upload, upload.fd, before, None)
                else:
                    self._move_to_copy(sender, upload, directory, name, before)
        self._uploads[upload.token] = upload

    def _move_to_copy(self, sender: Sender, upload: Upload, directory: int, name: str, before: Entry | None) -> None:
        with staged(self._journal.root, replacing=True) as new:
            copy_content(upload.fd, new.fd)
            self._announce(sender, upload, new.fd, before, os.fstat(upload.fd))
            self._settle(upload, before, new, directory, name, replacing=True)
        os.close(upload.fd)
        upload.fd = new.fd

    def _announce(
        self, sender: Sender, upload: Upload, fd: int, before: Entry | None, replaced: os.stat_result | None
    ) -> None:
        path = str(upload.path)
        entry = new_entry(sender.agency, path, upload.token, sender.session, sender.client, os.fstat(fd))
        if before or replaced or upload.declared is not None:
            known = self._journal.find(sender.agency, path) if replaced else None
            torn = before is not None or (known is not None and known.state is not State.ACCEPTING)
            id_, replaces = before.id if before else entry.id, replaced.st_ino if replaced and torn else None
            entry = replace(entry, id=id_, declared_size=upload.declared, replaces=replaces)
        upload.note = self._journal.begin_note(entry)
        upload.entry = entry

    def _settle(
        self, upload: Upload, before: Entry | None, new: Staged, directory: int, name: str, replacing: bool
    ) -> None:
        """Give the file its name. If it does not get it after all, the journal says again what it said before."""
        try:
            settle(self._journal.root, new, directory, name, replacing)
        except OSError:
            entry, upload.entry = upload.entry, None
            _let_go(upload)
            if before:
                self._journal.begin(before)
            elif entry:
                self._journal.forget(entry.agency, entry.path)
            raise

    def _resumable(self, agency: str, path: str, directory: int, name: str, present: os.stat_result) -> Entry | None:
        """The unfinished upload that is there, unless a session is still at it: that one keeps its id."""
        if not stat.S_ISREG(present.st_mode):
            raise OSError(EISDIR, "a directory")
        entry = self._journal.predecessor(agency, path, present)
        if entry and entry.state is State.RECEIVING and is_locked(directory, name):
            return None
        return entry

    def _inherit(self, upload: Upload, before: Entry | None, present: os.stat_result) -> None:
        """Take over what is known about the bytes that are there."""
        running = next((other for other in self._uploads.values() if _writes(other, present)), None)
        if running:
            upload.gap = RUNNING
            upload.old, upload.declared = Coverage(running.covered(torn=True)), upload.declared or running.declared
        elif before:
            upload.gap = "" if before.state is State.HELD else before.reason or CRASHED
            known = before.covered if before.state is not State.RECEIVING else data_extents(upload.fd)
            upload.old, upload.declared = Coverage(known), upload.declared or before.declared_size
        elif present.st_nlink == 1 and not try_lock(upload.fd):  # another process receives it
            upload.old, upload.gap = Coverage(data_extents(upload.fd)), RUNNING
        else:
            upload.old, upload.intact = Coverage(((0, present.st_size),)), True

    # Ending

    def close(self, jail: Jail, upload: Upload, hurry: bool = False) -> Outcome:
        """Judge the upload, do what follows from it durably, and close its file.

        If the disk refuses to keep it, it is torn and the outcome holds the error.
        """
        if not hurry:
            return self._closed(upload, lambda: self._conclude(jail, upload))
        entry = upload.entry
        if entry is None or upload.torn or self._spool.durable or os.fstat(upload.fd).st_nlink != 1:
            raise BusyError
        with self._journal.locked(entry.agency, entry.path, wait=False):
            if not self._journal.says(entry, upload.note) or not _is_at(jail, entry):  # renamed since it began
                raise BusyError
            return self._closed(upload, lambda: self._record(upload, entry, upload.note))

    def _closed(self, upload: Upload, conclude: Callable[[], Outcome]) -> Outcome:
        try:
            return conclude()
        except OSError as error:
            upload.failure = FULL
            with suppress(OSError):  # failing again, its entry says `receiving` and its lock goes: torn all the same
                return replace(conclude(), error=error)
            return Outcome(Judgement(Verdict.PARTIAL, FULL), error=error)
        finally:
            self._uploads.pop(upload.token, None)
            _let_go(upload)
            if upload.allowance:
                upload.allowance.settle(os.fstat(upload.fd).st_size)
            fd, upload.fd = upload.fd, -1  # that number is somebody else's file soon
            os.close(fd)

    def _conclude(self, jail: Jail, upload: Upload) -> Outcome:
        if not upload.torn and not upload.failure:
            self._spool.flush(upload.fd)  # before the lock: this is what may take long
        begun = upload.entry
        while begun and (entry := self._journal.locate(begun.agency, begun.path, upload.token)):
            with self._journal.locked(entry.agency, entry.path):
                if self._journal.find(entry.agency, entry.path) != entry:
                    continue  # it was renamed, or a directory above it, before we had the lock
                if _is_at(jail, entry):
                    return self._record(upload, entry)
                break
        return Outcome(Judgement(Verdict.PARTIAL, REPLACED))

    def _record(self, upload: Upload, entry: Entry, note: Note | None = None) -> Outcome:
        size = (status := os.fstat(upload.fd)).st_size
        judgement = upload.judge(read_path(entry.path.encode()), size)
        if judgement.verdict is Verdict.COMPLETE:
            wait = 0.0 if upload.declared else self._settle_time
            manifest = manifest_of(entry, status, upload.declared, wait)
            self._accept(entry, upload.fd, manifest, note)
            return Outcome(judgement, size, manifest=manifest)
        if judgement.verdict is Verdict.HELD:
            return Outcome(judgement, size, entry=self._journal.hold(entry, size, upload.covered(torn=False)))
        entry = self._with_free_id(entry)
        return Outcome(
            judgement, size, entry=self._journal.tear(entry, size, upload.covered(torn=True), judgement.reason)
        )

    def _with_free_id(self, entry: Entry) -> Entry:
        """A fresh id for an upload whose acceptance failed only after its manifest had its name: that one is used."""
        return replace(entry, id=new_id()) if self._spool.find(entry.id) else entry

    def _accept(self, entry: Entry, fd: int, manifest: Manifest, note: Note | None = None) -> None:
        """Accept the file, whose content has been flushed."""
        self._spool.accept_link(manifest, fd, self._journal.offer(entry, manifest.to_json(), note))

    # Directories, renaming and removing

    def mkdir(self, jail: Jail, sender: Sender, path: AgencyPath, meter: Meter | None = None) -> None:
        """Make a directory, while nobody moves one above it to where it would be too deep."""
        with self._journal.locked(sender.agency, str(path)), adding_directory(meter, jail, path):
            jail.mkdir(path)

    def rename(
        self,
        jail: Jail,
        sender: Sender,
        old: AgencyPath,
        new: AgencyPath,
        replacing: bool,
        meter: Meter | None = None,
    ) -> Renamed:
        """Rename, and take the file if that is what completes it.

        A directory takes along what is noted of the files below it, accepted a moment ago or not yet whole, and nobody
        begins or ends one meanwhile.
        """
        if old == new:
            jail.rename(old, new, replacing)
            return Renamed(jail.stat(new))
        is_directory = stat.S_ISDIR(jail.stat(old).st_mode)
        with self._journal.locked(sender.agency, str(old), str(new), tree=is_directory):
            status, present = jail.stat(old), jail.find(new)
            if stat.S_ISDIR(status.st_mode) != is_directory:
                raise SFTPFailure(CHANGED)
            replaced = present if replacing and new.area == UPLOAD else None
            if is_directory:
                check_depth(jail, old, new)
                with freeing(meter, replaced), self._journal.moving_tree(sender.agency, str(old), str(new)):
                    jail.rename(old, new, replacing)
                follow_tree(self._spool, jail, sender.agency, old, new)
                return Renamed(status)
            moving = self._journal.moving(sender.agency, str(old), str(new), status, present)
            with freeing(meter, replaced), moving as moved:
                jail.rename(old, new, replacing)
            if moved.entry is None and not is_temporary(new.name):
                follow(self._spool, jail, new)
            outcome = self._renamed(jail, sender, old, new, moved.entry) if old.area == UPLOAD else None
            return Renamed(status, outcome, moved.replaced)

    def _renamed(
        self, jail: Jail, sender: Sender, old: AgencyPath, new: AgencyPath, entry: Entry | None
    ) -> Outcome | None:
        completes = is_temporary(old.name) and not is_temporary(new.name)
        if entry is None and completes:
            entry = self._unannounced(jail, sender, new)
        if entry and entry.state is State.HELD and completes:
            return self._complete(jail, entry)
        if entry and entry.state in (State.TORN, State.HELD):
            verdict = Verdict.PARTIAL if entry.state is State.TORN else Verdict.HELD
            return Outcome(Judgement(verdict, entry.reason), entry.size, entry=entry)
        return None

    def _complete(self, jail: Jail, entry: Entry) -> Outcome:
        fd = jail.open(read_path(entry.path.encode()), os.O_RDONLY)
        try:
            self._spool.flush(fd)
            manifest = manifest_of(entry, os.fstat(fd), entry.declared_size, wait=0)
            self._accept(entry, fd, manifest)
        except OSError as error:
            # The name is given and cannot be taken back safely, so it is torn under that name until it is sent again.
            entry = self._journal.tear(self._with_free_id(entry), os.fstat(fd).st_size, (), FULL)
            return Outcome(Judgement(Verdict.PARTIAL, FULL), entry.size, entry=entry, error=error)
        finally:
            os.close(fd)
        return Outcome(Judgement(Verdict.COMPLETE), manifest.size, manifest=manifest)

    def _unannounced(self, jail: Jail, sender: Sender, path: AgencyPath) -> Entry | None:
        """An entry for a file that lay under a temporary name without passing the door, if it is quiet and unlocked.

        One that the spool or the archive links was taken under an earlier name. What is not quiet is left to the sweep.
        """
        fd = jail.open(path, os.O_RDONLY)
        try:
            status = os.fstat(fd)
            quiet = abs(time.time() - status.st_mtime) >= self._quiet_time  # as set by whoever: also ahead of us
            if not quiet or status.st_nlink > 1 or not try_lock(fd):
                return None
            entry = new_entry(sender.agency, str(path), "", sender.session, sender.client, status)
            return replace(entry, state=State.HELD)
        finally:
            os.close(fd)

    def renew(self, settling: Manifest, path: AgencyPath) -> Manifest:
        """A file that nobody was told of yet has been renamed: it arrives under its new name; its manifest then."""
        return follow_known(self._spool, settling, path)

    def remove(self, jail: Jail, sender: Sender, path: AgencyPath, meter: Meter | None = None) -> Removed:
        """Delete the file, and take it back if its settle time is not over, whichever process accepted it."""
        with self._journal.locked(sender.agency, str(path)):
            status = jail.stat(path)
            with freeing(meter, status if path.area == UPLOAD else None):
                jail.unlink(path)
            entry = self._journal.find(sender.agency, str(path))
            if entry:
                self._journal.forget(sender.agency, str(path))
            settling = self._spool.find_settling(status, now()) if status.st_nlink > 1 else None
            if settling:
                self._spool.retract(settling.id)
        return Removed(status, unfinished(entry, None), settling is not None)

    def retract(self, manifest: Manifest) -> None:
        """The sender took back a file within its settle time."""
        self._spool.retract(manifest.id)


def _let_go(upload: Upload) -> None:
    note, upload.note = upload.note, None
    if note:
        note.close()


def _is_at(jail: Jail, entry: Entry) -> bool:
    """Whether the entry's path still leads to its file."""
    try:
        return entry.is_of(jail.stat(read_path(entry.path.encode())))
    except OSError:
        return False


def _writes(upload: Upload, status: os.stat_result) -> bool:
    return upload.entry is not None and upload.entry.is_of(status)
