"""Files that are renamed within their settle time, by whichever process: they arrive under their new names.

Whoever accepted one and waits to tell of it reads its manifest again then.
"""

from dataclasses import replace

from server.clock import now
from server.intake.spool import Manifest, Spool
from server.sftp.jail import Jail
from server.sftp.paths import AgencyPath


def follow(spool: Spool, jail: Jail, path: AgencyPath) -> None:
    """If the file that has been renamed to `path` was accepted a moment ago, it arrives under that name."""
    status = jail.stat(path)
    settling = spool.find_settling(status, now()) if status.st_nlink > 1 else None
    if settling:
        spool.renew(replace(settling, path=str(path)))


def follow_known(spool: Spool, settling: Manifest, path: AgencyPath) -> Manifest:
    """As `follow`, where it is known which file it is: also if its settle time has ended while it was renamed.

    Gives its manifest as it should be now. If the file was taken back meanwhile, or renamed again, nothing is written.
    """
    written, renamed = spool.find(settling.id), replace(settling, path=str(path))
    if written and written.path == settling.path:
        spool.renew(renamed)
    return renamed


def follow_tree(spool: Spool, jail: Jail, agency: str, old: AgencyPath, new: AgencyPath) -> None:
    """As `follow`, for all files below the directory that has been renamed from `old` to `new`."""
    for settling in list(spool.settling(now())):
        if settling.agency == agency and settling.path.startswith(f"{old}/"):
            path = AgencyPath((*new.parts, *settling.path.split("/")[1 + len(old.parts) :]))
            status = jail.find(path)
            if status and (status.st_dev, status.st_ino) == (settling.dev, settling.ino):
                spool.renew(replace(settling, path=str(path)))
