"""What became of an upload, of a file that was renamed, and of one that was deleted."""

import os
from dataclasses import dataclass
from pathlib import PurePosixPath

from asyncssh import SFTPFailure

from server.intake.entry import Entry
from server.intake.names import is_temporary
from server.intake.spool import Manifest
from server.sftp.upload import REPLACED, Judgement, Verdict


@dataclass(frozen=True)
class Outcome:
    """What became of an upload: a manifest (accepted), an entry (torn or held), or neither (dropped).

    `error` is what the disk said when it refused to keep the file.
    """

    judgement: Judgement
    size: int = 0
    manifest: Manifest | None = None
    entry: Entry | None = None
    error: OSError | None = None

    @property
    def path(self) -> str:
        """Where the file lies now, which need not be where it was opened; empty if it was dropped."""
        known = self.manifest or self.entry
        return known.path if known else ""


@dataclass(frozen=True)
class Renamed:
    """What came of a rename: the outcome, if that completed an upload or it is of an unfinished one.

    `status` is that of what was renamed, `replaced` the unfinished upload whose name it took.
    """

    status: os.stat_result
    outcome: Outcome | None = None
    replaced: Entry | None = None


@dataclass(frozen=True)
class Removed:
    """What a deleted file was: its `status`, the unfinished upload, if it was one; and whether it was taken back from
    the spool."""

    status: os.stat_result
    entry: Entry | None
    withdrawn: bool


def is_file(manifest: Manifest, status: os.stat_result) -> bool:
    """Whether `status` is that of the file which was accepted with this manifest."""
    return (manifest.dev, manifest.ino) == (status.st_dev, status.st_ino)


def check_whole(outcome: Outcome, failed: bool = False) -> None:
    """Say no if the file is not whole. A temporary name promises nothing, so it gets a no only if something failed."""
    if outcome.judgement.verdict is not Verdict.PARTIAL:
        return
    if outcome.entry is None:
        raise SFTPFailure(REPLACED)
    if failed or not is_temporary(PurePosixPath(outcome.path).name):
        reason = outcome.judgement.reason
        raise SFTPFailure(
            f"The file is not whole: {reason}. It is kept, but not processed. Send it again or resume it."
        )
