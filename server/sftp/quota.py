"""What one upload takes of its agency's quota, what deleting gives back, and what is said when it is used up."""

import os
import stat
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress

from asyncssh import SFTPFailure

from server.intake.usage import FullError, Meter
from server.sftp.jail import Jail
from server.sftp.paths import UPLOAD, AgencyPath
from server.sizes import say_size

STEP = 4 * 1024 * 1024  # an upload takes so much ahead where there is room, so that not every write has to ask


class Allowance:
    """The room that one upload has, `taken` bytes; from its beginning to `settle`.

    A file that replaces another has the other's room from the beginning: so it fits if it is no larger, however little
    is free. Whoever takes away a file's name gives its size back, whether or not its upload still runs; that gives back
    what it took beyond it.
    """

    def __init__(self, meter: Meter) -> None:
        self.taken = 0
        self._meter = meter
        self._joined = -1

    @contextmanager
    def begin(self, replaced: os.stat_result | None, wait: bool) -> Iterator[None]:
        """In the block the file gets its name, or keeps the one that `replaced` has. If it fails, nothing is taken.

        Raises `SFTPFailure` if there may be no more files, and what `Meter.join` does.
        """
        joined, files = self._meter.join(wait), 0 if replaced else 1
        try:
            with _told():
                self._meter.take(0, files)
            self.taken = replaced.st_size if replaced else 0
            try:
                yield
            except BaseException:
                with suppress(OSError):
                    self._meter.give(0, files)
                raise
        except BaseException:
            os.close(joined)
            raise
        self._joined = joined

    def reach(self, size: int) -> None:
        """The file is about to have `size` bytes. Raises `SFTPFailure` if there is no room for them, OSError."""
        if size > self.taken:
            with _told():
                self.taken += self._meter.take(size - self.taken, ahead=STEP)

    def settle(self, size: int) -> None:
        """The upload is over, and its file has (or had, when it lost its name) `size` bytes."""
        if self._joined < 0:
            return
        try:
            with suppress(OSError):  # it is counted anew sooner or later
                self._meter.give(self.taken - size)
        finally:
            os.close(self._joined)
            self._joined = -1


def beginning(allowance: Allowance | None, replaced: os.stat_result | None, wait: bool) -> AbstractContextManager[None]:
    """As `Allowance.begin`, for an agency that may have no quota."""
    return nullcontext() if allowance is None else allowance.begin(replaced, wait)


@contextmanager
def adding_directory(meter: Meter | None, jail: Jail, path: AgencyPath) -> Iterator[None]:
    """The directory `path` is made in the block. Raises what `Allowance.begin` does."""
    if meter and path.area != UPLOAD:
        _check_aside(meter, jail, path.area)
    allowance = Allowance(meter) if meter and path.area == UPLOAD else None
    with beginning(allowance, None, wait=True):
        yield
    if allowance:
        allowance.settle(0)


def _check_aside(meter: Meter, jail: Jail, area: str) -> None:
    """Where only the server puts files, directories are not metered: they are counted whenever one more is made.

    Those that are made at this very moment are not seen, which makes one too many for each session at most.
    """
    most = meter.quota.files
    if most is not None and jail.count_directories(AgencyPath((area,))) >= most:
        raise SFTPFailure(
            f"You may have {most} directories in /{area}, and this would be one more."
            " Delete some that are done with, or ask the operator for more room."
        )


@contextmanager
def freeing(meter: Meter | None, status: os.stat_result | None) -> Iterator[None]:
    """What has that status, if anything, loses its name in the block. Raises what the block does, OSError."""
    if meter is None or status is None or not (stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode)):
        yield
        return
    with meter.joined():
        yield
        with suppress(OSError):  # the deed is done; it is counted anew sooner or later
            meter.give(status.st_size if stat.S_ISREG(status.st_mode) else 0, 1)


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except FullError as error:
        if error.size:
            limit = say_size(error.quota.size or 0)
            raise SFTPFailure(
                f"Your files in /upload may have {limit} together, and this would be more."
                " Delete some that are done with, or ask the operator for more room."
            ) from error
        raise SFTPFailure(
            f"You may have {error.quota.files} files and directories in /upload, and this would be one more."
            " Delete some that are done with, or ask the operator for more room."
        ) from error
