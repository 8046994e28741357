"""The requests that are about names: directories, deleting and renaming; and what all requests of a channel share."""

import time
from collections.abc import Callable
from itertools import islice
from typing import ParamSpec, TypeVar

from asyncssh import (
    SFTPAttrs,
    SFTPFailure,
    SFTPName,
    SFTPNoSuchFile,
    SFTPPermissionDenied,
    SFTPServer,
    SSHServerChannel,
)

from server.intake.names import is_temporary
from server.intake.taken import Footprint
from server.intake.usage import Meter
from server.logs import Log
from server.sftp.desk import Desk
from server.sftp.jail import Jail
from server.sftp.listing import Listing, describe, list_name
from server.sftp.outcome import Outcome, check_whole, is_file
from server.sftp.paths import (
    KNOWN_AREAS,
    UPLOAD,
    AgencyPath,
    check_may_create,
    check_may_remove,
    check_may_rename,
    read_path,
)
from server.sftp.quota import freeing
from server.sftp.reception import Sender
from server.sftp.refusals import LINKS, answered, refusal
from server.sftp.upload import Verdict

P = ParamSpec("P")
R = TypeVar("R")

MOST_REMEMBERED = 10_000
MOST_TOLD = 1000


class Tree(SFTPServer):
    """What an agency can do with the names in its home. Raises `SFTPError` and nothing else.

    `meter` tells who counts for the agency's quota, which an operator may change at any time; None if it has none.
    """

    def __init__(
        self,
        channel: SSHServerChannel[bytes],
        desk: Desk,
        jail: Jail,
        sender: Sender,
        log: Log,
        meter: Callable[[], Meter | None] = lambda: None,
    ) -> None:
        super().__init__(channel)
        self._desk = desk
        self._jail = jail
        self._sender = sender
        self._log = log
        self._meter = meter
        self._open_handles = 0
        self._sent: dict[int, None] = {}  # hashes: paths may be long

    @property
    def agency(self) -> str:
        """The slug of the agency whose files these are."""
        return self._sender.agency

    # Directories

    async def list_directory(self, path: bytes) -> Listing:
        """The entries of a directory, a batch at a time; NO_SUCH_FILE at once if there is none.

        An entry that vanishes meanwhile is left out and ends nothing.
        """
        where = read_path(path)
        names = list(KNOWN_AREAS) if where.is_root else await self._work("OPENDIR", self._jail.names, where)

        async def describe_batch(batch: list[str]) -> list[SFTPName]:
            described = await self._work("READDIR", self._describe, where, batch)
            return [list_name(name, attributes, time.time()) for name, attributes in described]

        return Listing(names, describe_batch)

    def _describe(self, where: AgencyPath, names: list[str]) -> list[tuple[str, SFTPAttrs]]:
        if where.is_root:
            found = ((name, self._jail.find(AgencyPath((name,)))) for name in names)
            return [(name, describe(status)) for name, status in found if status]
        return [(name, describe(status)) for name, status in self._jail.describe(where, names)]

    async def mkdir(self, path: bytes, attrs: SFTPAttrs) -> None:
        """Make a directory."""
        where = read_path(path)
        if where.is_root or (where.is_area and await self._work("MKDIR", self._jail.find, where) is not None):
            raise SFTPFailure("That directory exists already.")
        check_may_create(where, "directory")
        await self._work("MKDIR", self._desk.reception.mkdir, self._jail, self._sender, where, self._meter())
        self._log.info("MKDIR", path=str(where))

    async def rmdir(self, path: bytes) -> None:
        """Delete an empty directory."""
        where = read_path(path)
        check_may_remove(where)
        await self._work("RMDIR", self._rmdir, where, self._meter())
        self._log.info("RMDIR", path=str(where))

    def _rmdir(self, where: AgencyPath, meter: Meter | None) -> None:
        with freeing(meter, self._jail.stat(where) if where.area == UPLOAD else None):
            self._jail.rmdir(where)

    async def remove(self, path: bytes) -> None:
        """Delete a file. Within its settle time that also takes back what was sent: so WinSCP cancels an upload."""
        where = read_path(path)
        check_may_remove(where)
        announcer, reception = self._desk.announcer, self._desk.reception
        settling = announcer.withdraw(self._sender.agency, str(where))
        try:
            removed = await self._work("DELETE", reception.remove, self._jail, self._sender, where, self._meter())
        except BaseException:
            if settling:
                announcer.received(settling)
            raise
        if settling and not is_file(settling, removed.status):  # what was deleted is another that was being sent there
            announcer.received(settling)
            settling = None
        if settling:
            await self._work("DELETE", reception.retract, settling)
        if removed.entry:
            announcer.removed(removed.entry)
        self._log.info("DELETE", path=str(where), withdrawn=settling is not None or removed.withdrawn)

    async def rename(self, oldpath: bytes, newpath: bytes) -> None:
        """Rename; never replaces what has the new name (draft-ietf-secsh-filexfer-02 section 6.5)."""
        await self._rename(read_path(oldpath), read_path(newpath), replacing=False)

    async def posix_rename(self, oldpath: bytes, newpath: bytes) -> None:
        """Rename; replaces a file that has the new name (OpenSSH PROTOCOL, posix-rename@openssh.com)."""
        await self._rename(read_path(oldpath), read_path(newpath), replacing=True)

    async def _rename(self, old: AgencyPath, new: AgencyPath, replacing: bool) -> None:
        check_may_rename(old, new)
        announcer, reception = self._desk.announcer, self._desk.reception
        settling = announcer.withdraw(self._sender.agency, str(old))
        try:
            renamed = await self._work(
                "RENAME", reception.rename, self._jail, self._sender, old, new, replacing, self._meter()
            )
            outcome, is_settling = renamed.outcome, settling is not None and is_file(settling, renamed.status)
            if settling and is_settling and not is_temporary(new.name):
                settling = await self._work("RENAME", reception.renew, settling, new)
        finally:
            if settling:
                announcer.received(settling)
        if renamed.replaced:
            announcer.removed(renamed.replaced)
        is_known = not is_settling and not outcome and old.area == UPLOAD and not is_temporary(new.name)
        if is_known and (files := await self._work("RENAME", self._footprints, new)):
            announcer.renamed(self._sender.agency, files)
        self._log.info("RENAME", path=str(old), new_path=str(new))
        self._remember(new)
        if outcome:
            self._announce(new, outcome, outcome.size)
            if outcome.error:
                raise refusal(outcome.error) from outcome.error
            check_whole(outcome)

    def _footprints(self, where: AgencyPath) -> dict[str, Footprint]:
        """Of the file at that path, or of those below it, by their paths. Of many more, the sweep tells."""
        files = self._jail.files(where)
        final = ((path, status) for path, status in files if not is_temporary(path.rsplit("/", 1)[-1]))
        return {path: Footprint.of(status) for path, status in islice(final, MOST_TOLD)}

    def realpath(self, path: bytes) -> bytes:
        """The path in its normal form; `/` is where everybody starts."""
        return str(read_path(path)).encode()

    def readlink(self, path: bytes) -> bytes:
        """Refused: there are no links."""
        raise SFTPNoSuchFile(LINKS)

    def symlink(self, oldpath: bytes, newpath: bytes) -> None:
        """Refused: a link could lead out of the home."""
        raise SFTPPermissionDenied(LINKS)

    def link(self, oldpath: bytes, newpath: bytes) -> None:
        """Refused, as `symlink`."""
        raise SFTPPermissionDenied(LINKS)

    # For all requests

    def _announce(self, path: AgencyPath, outcome: Outcome, received: int) -> None:
        judgement = outcome.judgement
        event = "PARTIAL_CLOSE" if judgement.verdict is Verdict.PARTIAL else "CLOSE"
        facts = {"reason": judgement.reason} if judgement.reason else {}
        if outcome.manifest:
            self._desk.announcer.received(outcome.manifest)
        elif outcome.entry:
            self._desk.announcer.torn(outcome.entry)
        self._log.info(
            event, path=outcome.path or str(path), verdict=judgement.verdict.value, bytes_in=received, **facts
        )

    async def _work(self, operation: str, call: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        with answered(self._log, operation):
            return await self._desk.run(self.agency, call, *args, **kwargs)

    def _remember(self, path: AgencyPath) -> None:
        self._sent[hash(path)] = None
        if len(self._sent) > MOST_REMEMBERED:
            del self._sent[next(iter(self._sent))]
