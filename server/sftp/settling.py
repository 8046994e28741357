"""Files that are renamed within their settle time, by whichever process: they arrive under their new names."""

from dataclasses import replace

from server.clock import now
from server.intake.spool import Spool
from server.sftp.jail import Jail
from server.sftp.paths import AgencyPath


def follow(spool: Spool, jail: Jail, path: AgencyPath) -> None:
    """If the file that has been renamed to `path` was accepted a moment ago, it arrives under that name."""
    status = jail.stat(path)
    settling = spool.find_settling(status, now()) if status.st_nlink > 1 else None
    if settling:
        spool.renew(replace(settling, path=str(path)))
