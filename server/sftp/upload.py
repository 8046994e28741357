"""One file being received through one handle, and the judgement when it ends."""

import os
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from asyncssh import SFTPFailure

from server.clock import now
from server.intake.entry import Entry, Extents
from server.intake.names import is_temporary
from server.intake.spares import Note
from server.intake.spool import Manifest
from server.sftp.coverage import Coverage
from server.sftp.paths import AgencyPath
from server.sftp.quota import Allowance
from server.sftp.reading import Readable
from server.sftp.staging import write_all

REPLACED = "This file was deleted, or another session replaced it, while it was being sent. Send it again."
RUNNING = "its sender has not closed it"
SCATTERED = "This file is written in too many separate pieces. Send it from beginning to end."


class Verdict(StrEnum):
    """What an upload turned out to be."""

    COMPLETE = "complete"
    HELD = "held"
    PARTIAL = "partial"


@dataclass(frozen=True)
class Judgement:
    """A verdict and, for a partial upload, the reason in words."""

    verdict: Verdict
    reason: str = ""


def judge(name: str, size: int, declared: int | None, whole: bool, failure: str) -> Judgement:
    """Grade an upload whose handle its client has closed (a torn one is partial without asking).

    `size` and `declared` are bytes, `whole` says that every byte was written, `failure` that a write went wrong.
    WinSCP declares the file's size when it opens it. A declared zero with content says nothing: some clients fill the
    field without knowing.
    """
    if failure:
        return Judgement(Verdict.PARTIAL, failure)
    if declared and declared != size:
        return Judgement(Verdict.PARTIAL, f"{size} of {declared} bytes arrived")
    if not whole:
        return Judgement(Verdict.PARTIAL, "some parts of the file were never written")
    if is_temporary(name):
        return Judgement(Verdict.HELD)
    return Judgement(Verdict.COMPLETE)


def manifest_of(entry: Entry, status: os.stat_result, declared: int | None, wait: float) -> Manifest:
    """That of the whole file which `status` describes, and which may be taken back for `wait` seconds."""
    at = now()
    return Manifest(
        id=entry.id,
        agency=entry.agency,
        path=entry.path,
        size=status.st_size,
        source="sftp",
        session=entry.session,
        client=entry.client,
        opened_at=entry.opened_at,
        closed_at=at,
        not_before=at + timedelta(seconds=wait),
        declared_size=declared,
        dev=status.st_dev,
        ino=status.st_ino,
        mtime_ns=status.st_mtime_ns,
    )


class Upload(Readable):
    """A handle open for writing.

    It has not `begun` until it is about to change something: then it has an `entry` in the journal and the lock of its
    file; `note` is where the journal has that entry, if it is kept open. `old` is what was written by predecessors: of
    an upload that is resumed, or (`intact`) of a whole file. `gap` is why that upload was not whole, if it was not: it
    does not become whole through a handle that sends nothing. `allowance` is its part of the agency's quota (None:
    there is no quota).
    """

    def __init__(
        self,
        fd: int,
        path: AgencyPath,
        *,
        declared: int | None,
        append: bool,
        limit: int,
        allowance: Allowance | None = None,
    ) -> None:
        self.fd = fd
        self.path = path
        self.declared = declared
        self.allowance = allowance
        self.token = secrets.token_hex(8)
        self.opened_at: datetime = now()
        self.entry: Entry | None = None
        self.note: Note | None = None
        self.old = Coverage()
        self.intact = False
        self.gap = ""
        self.failure = ""
        self.torn = ""
        self.received = 0
        self.sent_to_disk = 0
        self._fresh = Coverage()
        self._first: int | None = None
        self._append = append
        self._limit = limit

    @property
    def begun(self) -> bool:
        """Whether this handle has changed, or is about to change, its file."""
        return self.entry is not None

    def write(self, offset: int, data: bytes) -> int:
        """Write all of `data` at `offset`; the number of bytes. Blocks, mostly for microseconds.

        Raises `SFTPFailure` if the file has been replaced, grows too large or finds the agency's quota used up, OSError
        if the disk refuses; either way this upload can never become complete.
        """
        return self.write_pieces(offset, [data])

    def write_pieces(self, offset: int, pieces: Sequence[bytes | memoryview]) -> int:
        """As `write`, of many pieces that lie one behind the other."""
        size = sum(map(len, pieces))
        self._check_writable()
        if not size:
            return 0
        if self._append:
            offset = os.fstat(self.fd).st_size
        if offset + size > self._limit:
            self._fail("the file is too large", f"Files may have {self._limit} bytes here. This one is larger.")
        if self.allowance is not None:
            self._make_room(self.allowance, offset + size)
        try:
            write_all(self.fd, pieces, offset)
            self._fresh.add(offset, offset + size)
        except OSError:
            self.failure = "the disk did not take all of it"
            raise
        except OverflowError:
            self._fail("it was written in too many pieces", SCATTERED)
        except BaseException:
            self.failure = "the server failed to write it"  # whatever it was: no part may be missing in silence
            raise
        self.received += size
        if self._first is None:
            self._first = offset
        return size

    def truncate(self, size: int) -> None:
        """Make the file `size` bytes long; errors as with `write`."""
        self._check_writable()
        if size > self._limit:
            self._fail("the file is too large", f"Files may have {self._limit} bytes here. This one is larger.")
        if self.allowance is not None:
            self._make_room(self.allowance, size)
        os.ftruncate(self.fd, size)
        self.old.cut(size)
        self._fresh.cut(size)

    def covered(self, torn: bool) -> Extents:
        """Which bytes can be trusted to be this file's.

        What a predecessor wrote counts up to where this handle first wrote: behind that may be the tail of an older
        version. A whole file that its client then changed in places and closed properly counts as it is.
        """
        kept = Coverage(self.old.extents)
        if torn or not self.intact:
            kept.cut(self._first if self._first is not None else os.fstat(self.fd).st_size)
        for start, end in self._fresh.extents:
            kept.add(start, end)
        return kept.extents

    def judge(self, path: AgencyPath, size: int) -> Judgement:
        """Grade this upload, whose file is called `path` and has `size` bytes now.

        Programs such as lftp hang up after a refused write without a CLOSE: the refusal is the reason then.
        """
        if self.torn:
            return Judgement(Verdict.PARTIAL, self.failure or self.torn)
        if self.gap and not self.received:
            return Judgement(Verdict.PARTIAL, self.failure or self.gap)
        whole = Coverage(self.covered(torn=False)).has_all(size)
        return judge(path.name, size, self.declared, whole, self.failure)

    def _check_writable(self) -> None:
        if self.failure:
            raise SFTPFailure("An earlier part of this file could not be written. Send it again.")
        if os.fstat(self.fd).st_nlink == 0:
            self._fail("the file was deleted or replaced", REPLACED)

    def _make_room(self, allowance: Allowance, size: int) -> None:
        try:
            allowance.reach(size)
        except SFTPFailure:
            self.failure = "there was no more room for it in /upload"
            raise
        except OSError:
            self.failure = "the server could not count it"
            raise

    def _fail(self, reason: str, sentence: str) -> None:
        self.failure = reason
        raise SFTPFailure(sentence)
