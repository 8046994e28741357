"""The requests of one SFTP channel: what an agency can do with its files, and what each refusal says.

Nothing that may wait for a disk runs on the event loop, except what mostly takes microseconds: copying to and from the
page cache, looking up a name, and in a hurry beginning and ending a file (`Desk` notices when it takes longer).
"""

import os
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Any

from asyncssh import (
    FXF_APPEND,
    FXF_CREAT,
    FXF_EXCL,
    FXF_TRUNC,
    FXF_WRITE,
    SFTPAttrs,
    SFTPConnectionLost,
    SFTPFailure,
    SFTPNoSuchFile,
    SFTPPermissionDenied,
)

from server.sftp.checking import Wish, check, held_open
from server.sftp.events import describe_change, describe_mode
from server.sftp.listing import describe, describe_root
from server.sftp.outcome import check_whole
from server.sftp.paths import AREAS, AgencyPath, check_may_create, read_path
from server.sftp.quota import Allowance
from server.sftp.reading import Readable, Reading
from server.sftp.refusals import answered, refusal
from server.sftp.tree import Tree
from server.sftp.upload import Upload

MOST_HANDLES = 128
STOPPING = "The server is about to restart. Try again in a minute."


class Files(Tree):
    """What asyncssh calls for each request. Raises `SFTPError` and nothing else."""

    # Opening and closing

    async def open(self, path: bytes, pflags: int, attrs: SFTPAttrs) -> Upload | Reading:
        """Open a file for reading or for sending."""
        where = read_path(path)
        if self._open_handles >= MOST_HANDLES:
            raise SFTPFailure(f"This session has {MOST_HANDLES} files open. Close one first.")
        writing = bool(pflags & (FXF_WRITE | FXF_APPEND))
        if writing and path.endswith(b"/"):  # that is what comes if somebody sends into a directory that is not there
            raise SFTPFailure("That is the name of a directory, not of a file. If it is not there, make it first.")
        handle = await (self._open_upload(where, pflags, attrs) if writing else self._open_reading(where))
        self._open_handles += 1
        self._log.info("OPEN", path=str(where), mode=describe_mode(pflags))
        return handle

    async def _open_reading(self, path: AgencyPath) -> Reading:
        if path.is_root or path.is_area:
            raise SFTPFailure("That is a directory, not a file.")
        return Reading(await self._work("OPEN", self._jail.open, path, os.O_RDONLY), path)

    async def _open_upload(self, path: AgencyPath, pflags: int, attrs: SFTPAttrs) -> Upload:
        check_may_create(path, "file")
        if self._desk.draining:
            raise SFTPFailure(STOPPING)
        creating = bool(pflags & FXF_CREAT)
        declared = attrs.size if creating and pflags & FXF_TRUNC else None
        limit = self._desk.settings.file_limit
        meter, append = self._meter(), bool(pflags & FXF_APPEND)
        allowance = Allowance(meter) if meter else None
        upload = Upload(-1, path, declared=declared, append=append, limit=limit, allowance=allowance)
        with answered(self._log, "OPEN"):
            await self._desk.hurry(self.agency, self._begin, upload, pflags)
        self._desk.restock()
        return upload

    def _begin(self, upload: Upload, pflags: int, hurry: bool) -> None:
        reception, creating = self._desk.reception, bool(pflags & FXF_CREAT)
        if creating and pflags & FXF_EXCL:
            reception.begin_new(self._jail, self._sender, upload, replacing=False, hurry=hurry)
        elif pflags & FXF_TRUNC:
            if not creating:
                self._jail.stat(upload.path)
            reception.begin_new(self._jail, self._sender, upload, replacing=True, hurry=hurry)
        else:
            try:
                upload.fd = self._jail.open(upload.path, os.O_RDWR)
            except FileNotFoundError:
                if not creating:
                    raise
                reception.begin_new(self._jail, self._sender, upload, replacing=False, hurry=hurry)

    async def close(self, file_obj: object) -> None:
        """Close a handle: the client's CLOSE, or (with `torn` set) the end of its session. Then it never raises."""
        self._open_handles -= 1
        if isinstance(file_obj, Upload) and file_obj.begun:
            await self._close_upload(file_obj)
        elif isinstance(file_obj, Upload | Reading):
            fd, file_obj.fd = file_obj.fd, -1  # that number is somebody else's file soon
            os.close(fd)
            self._desk.sent[self._sender.session] += file_obj.sent
            self._log.info("CLOSE", path=str(file_obj.path), bytes_out=file_obj.sent)
            if file_obj.sent:
                who, path = self._sender, str(file_obj.path)
                self._desk.gate.fetched(who.agency, who.session, who.client, path, file_obj.sent)

    async def _close_upload(self, upload: Upload) -> None:
        try:
            self._desk.received[self._sender.session] += upload.received
            self._desk.sent[self._sender.session] += upload.sent
            with answered(self._log, "CLOSE"):
                outcome = await self._desk.hurry(self.agency, self._desk.reception.close, self._jail, upload)
        except Exception:
            if not upload.torn:
                raise
            return
        self._announce(upload.path, outcome, upload.received)
        if not upload.torn:
            self._remember(upload.path)
            if outcome.error:
                raise refusal(outcome.error) from outcome.error
            check_whole(outcome, failed=bool(upload.failure))

    def exit(self) -> None:
        """The channel has ended, and all its handles are closed.

        scp takes a session without an exit status for a failed one.
        """
        self._jail.close()
        with suppress(OSError):
            self.channel.exit(0)

    # Reading and writing

    def read(self, file_obj: object, offset: int, size: int) -> bytes | Awaitable[bytes]:
        """Read at most `MOST_READ` bytes; short only at the end of the file."""
        handle = _handle(file_obj)
        with answered(self._log, "READ"):
            data = handle.read_cached(offset, size)
        return data if data is not None else self._work("READ", handle.read, offset, size)

    def write(self, file_obj: object, offset: int, data: bytes) -> int | Awaitable[int]:
        """Write all of `data`."""
        if not isinstance(file_obj, Upload):
            raise SFTPPermissionDenied("This file was opened for reading only.")
        if not file_obj.begun and not data:
            return 0  # nothing changes, so nothing has begun
        if not file_obj.begun or not self.writes_at_once():
            return self.write_in_thread(file_obj, offset, data)
        self.write_pieces(file_obj, offset, [memoryview(data)])
        return len(data)

    def writes_at_once(self) -> bool:
        """Whether what is sent may be written on the event loop: only into the page cache, in microseconds."""
        return not self._desk.disk_is_slow

    def write_pieces(self, upload: Upload, offset: int, pieces: Sequence[memoryview]) -> None:
        """Write pieces that lie one behind the other."""
        watch = self._desk.watch()
        with answered(self._log, "WRITE"):
            upload.write_pieces(offset, pieces)
        self._desk.note(watch)
        self._desk.write_back(upload)

    def read_into(self, handle: Readable, offset: int, size: int, gaps: Sequence[memoryview]) -> bool:
        """Read `size` bytes into `gaps`; False if that would have to wait, or the file ends before.

        Some file systems (tmpfs, for one) cannot tell whether it would. Of them that is thought what is thought of
        writes: that it takes microseconds, until once it does not.
        """
        if not handle.cannot_tell and handle.read_into(offset, size, gaps):
            return True
        if not handle.cannot_tell or not self.writes_at_once():
            return False
        watch = self._desk.watch()
        is_read = handle.read_into_waiting(offset, size, gaps)
        self._desk.note(watch)
        return is_read

    async def write_in_thread(self, upload: Upload, offset: int, data: bytes) -> int:
        """Write all of `data` in a thread; the first time, the upload is made known before."""
        await self._make_own(upload)
        written = await self._work("WRITE", upload.write, offset, data)
        self._desk.write_back(upload)
        return written

    async def _make_own(self, upload: Upload) -> None:
        """Announce an upload that opened an existing file, before its first change."""
        if not upload.begun:
            await self._work("WRITE", self._desk.reception.begin_existing, self._jail, self._sender, upload)

    async def fsync(self, file_obj: object) -> None:
        """Put what was written so far on the disk."""
        await self._work("FSYNC", os.fsync, _handle(file_obj).fd)

    # Checksums

    async def check(self, file_obj: object, wish: Wish) -> tuple[str, bytes]:
        """Algorithm and digests of a stretch of an open file; few of these run at a time (see `checking`)."""
        with answered(self._log, "CHECK"), held_open(_handle(file_obj).fd) as fd:
            async with self._desk.checking:
                return await check(self._check_on, fd, wish)

    async def _check_on(self, call: Callable[[], None]) -> None:
        if self.channel.is_closing():
            raise SFTPConnectionLost("Nobody waits for this any more.")
        await self._desk.run(self.agency, call)

    # Attributes

    async def stat(self, path: bytes) -> SFTPAttrs:
        """The attributes of a file or directory."""
        where = read_path(path)
        if where.is_root:
            return describe_root(time.time())
        with answered(self._log, "STAT"):
            return describe(await self._desk.glance(self.agency, self._jail.stat, where))

    lstat = stat

    def fstat(self, file_obj: object) -> SFTPAttrs:
        """The attributes of an open file; also of one that is being written."""
        with answered(self._log, "FSTAT"):
            return describe(os.fstat(_handle(file_obj).fd))

    async def setstat(self, path: bytes, attrs: SFTPAttrs) -> None:
        """Set what can be set (times and size) and say yes to the rest: WinSCP and sshj fail their batch on a no.

        Also for a file that this session has just sent and that is gone by now.
        """
        where = read_path(path)
        try:
            if attrs.size is not None:
                await self._resize(path, attrs.size)
            if (times := _times(attrs)) and where.is_inside:
                await self._work("SETSTAT", self._jail.set_times, where, times)
            elif not where.is_root:
                await self._work("SETSTAT", self._jail.stat, where)
        except SFTPNoSuchFile:
            if hash(where) not in self._sent:
                raise
        self._log.info("SETSTAT", path=str(where), changes=describe_change(attrs))

    lsetstat = setstat

    async def _resize(self, path: bytes, size: int) -> None:
        handle = await self.open(path, FXF_WRITE, SFTPAttrs())
        try:
            await self._change(handle, SFTPAttrs(size=size))
            if isinstance(handle, Upload):
                handle.torn = handle.gap  # a torn file stays torn, and that is no reason to say no
        finally:
            await self.close(handle)

    async def fsetstat(self, file_obj: object, attrs: SFTPAttrs) -> None:
        """As `setstat`, for an open file. Setting the size changes the file and counts as writing."""
        handle = _handle(file_obj)
        await self._change(handle, attrs)
        self._log.info("SETSTAT", path=str(handle.path), changes=describe_change(attrs))

    async def _change(self, handle: Upload | Reading, attrs: SFTPAttrs) -> None:
        if attrs.size is not None:
            if not isinstance(handle, Upload):
                raise SFTPPermissionDenied("This file was opened for reading only.")
            if handle.begun or attrs.size != os.fstat(handle.fd).st_size:
                await self._make_own(handle)
                await self._work("FSETSTAT", handle.truncate, attrs.size)
        if times := _times(attrs):
            await self._work("FSETSTAT", os.utime, handle.fd, times)

    async def statvfs(self, path: bytes) -> os.statvfs_result:
        """Size and free space of the disk."""
        where = read_path(path)
        return await self._work("STATVFS", self._jail.statvfs, where if where.parts else AgencyPath(AREAS[:1]))

    async def fstatvfs(self, file_obj: object) -> os.statvfs_result:
        """As `statvfs`, for an open file."""
        return await self._work("STATVFS", os.fstatvfs, _handle(file_obj).fd)


def _handle(file_obj: object) -> Upload | Reading:
    if not isinstance(file_obj, Upload | Reading):
        raise SFTPFailure("That handle is not an open file.")
    return file_obj


def _times(attrs: Any) -> tuple[float, float] | None:
    if attrs.mtime is None:
        return None
    return float(attrs.atime if attrs.atime is not None else attrs.mtime), float(attrs.mtime)
