"""What this installation is: its data directory, prepared and checked, and the stores in it."""

import errno
import fcntl
import json
import os
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from sqlalchemy import Connection

from keys.cipher import Cipher
from keys.masters import MasterKeys
from keys.store import list_host_keys
from server.db import Database, is_behind, is_empty, migrate, open_database
from server.errors import AppError, Code
from server.installation import belongs, settle
from server.intake.archive import Archive
from server.intake.journal import Journal
from server.intake.spool import Spool
from server.queue import JobQueue, LocalQueue
from server.remotes.store import list_servers
from server.services.standby import Standby
from server.settings import Settings

PRIVATE = 0o700
FOLDERS = ("run", "agencies", "spool", "archive", "keys", "logs", "reports", "sync")


@dataclass(frozen=True)
class State:
    """The stores of one installation, open."""

    settings: Settings
    database: Database
    queue: JobQueue
    spool: Spool
    journal: Journal
    archive: Archive
    masters: MasterKeys
    standby: Standby

    def cipher(self) -> Cipher:
        """The cipher of what is sealed at rest; reads the master key, or makes it on the first start.

        Who is to seal something asks for it inside the write transaction: then no rotation comes in between.
        """
        return self.masters.cipher()

    @contextmanager
    def changing_trust(self) -> Iterator[Connection]:
        """A write transaction after which somebody may come in no longer: no door that begins shall go by what was.

        It is forgotten once more after the commit, since a door that runs may keep again what it has read before.
        """
        self.standby.forget()
        with self.database.writing() as conn:
            yield conn
        self.standby.forget()


@contextmanager
def open_state(settings: Settings) -> Iterator[State]:
    """Prepare the data directory, bring the database to the present schema, and open the stores.

    Raises `AppError` unavailable with what to do if the directory or the database cannot be used, conflict if they do
    not belong together, or if a server of an older release runs.
    """
    with open_stores(settings) as state:
        _refuse_older_server(state)
        bring_up_to_date(state)
        yield state


@contextmanager
def open_installation(settings: Settings) -> Iterator[State]:
    """As `open_state`, of an installation that is there: a wrong directory does not become one.

    Raises `AppError` not_found if there is none.
    """
    require_installation(settings.data)
    with open_state(settings) as state:
        yield state


def bring_up_to_date(state: State) -> None:
    """See that the database is there, is ours, and has the present schema. Raises `AppError` as `open_state`."""
    migrate(state.database, state.settings.run / "migrate.lock")
    if not state.database.is_vetted:
        with _using(state.settings.data):
            settle(state.settings, state.database)


@contextmanager
def open_stores(settings: Settings) -> Iterator[State]:
    """As `open_state`, but the database is not touched: it may be away.

    Whoever uses it as soon as it answers gets the `AppError` conflict then.
    """
    prepare_folders(settings.data)
    database = open_database(_database_url(settings), lambda conn: _belongs(settings, conn))
    masters = MasterKeys(settings.data / "keys", settings.masters, lambda: _holds_sealed(database))
    durable = settings.durability == "fsync"
    try:
        yield State(
            settings=settings,
            database=database,
            queue=LocalQueue(database),
            spool=Spool(settings.spool, durable=durable),
            journal=Journal(settings.spool / "receiving", durable=durable),
            archive=Archive(settings.archive, durable=durable),
            masters=masters,
            standby=Standby(settings.run / "standby", masters.cipher),
        )
    finally:
        database.close()


def _refuse_older_server(state: State) -> None:
    """Its workers are amid their files, and know nothing of the present schema."""
    if is_behind(state.database) and is_served(state.settings.data):
        raise AppError(
            Code.CONFLICT,
            f"A server of an older dropslot is running on {state.settings.data}.",
            "Start it again first: that brings the database up to date.",
        )


def _holds_sealed(database: Database) -> bool:
    """Whether there is anything that only the master key opens."""
    if is_empty(database):
        return False
    with database.reading() as conn:
        return bool(list_host_keys(conn)) or any(server.sealed for server in list_servers(conn))


def _belongs(settings: Settings, conn: Connection) -> bool:
    with _using(settings.data):
        return belongs(settings, conn)


def _database_url(settings: Settings) -> str:
    try:
        return settings.database_url
    except (OSError, ValueError) as error:
        why = (error.strerror or "unknown").lower() if isinstance(error, OSError) else "it is not text"
        raise AppError(
            Code.UNAVAILABLE,
            f"{settings.database_file} cannot be read: {why}.",
            "DROPSLOT_DATABASE_FILE names the file that holds the database's address.",
        ) from error


def prepare_folders(data: Path) -> None:
    """Create what is missing of the data directory and close it to other users of the machine.

    Raises `AppError` invalid for a directory that is not ours, denied for root where another user runs the server,
    unavailable for one that cannot be used.
    """
    with _using(data):
        _refuse_foreign(data)
        _refuse_root(data)
        data.mkdir(mode=PRIVATE, parents=True, exist_ok=True)
        for name in FOLDERS:
            (data / name).mkdir(mode=PRIVATE, exist_ok=True)
        for path in (data, *(data / name for name in FOLDERS)):
            if stat.S_IMODE(path.stat().st_mode) & 0o077:
                path.chmod(PRIVATE)
        probe = data / "run" / f".probe-{os.getpid()}"
        probe.touch()
        probe.unlink()


@contextmanager
def _using(data: Path) -> Iterator[None]:
    """Turn what the disk says into `unavailable`, with what to do."""
    try:
        yield
    except OSError as error:
        raise AppError(
            Code.UNAVAILABLE,
            f"The data directory {data} cannot be used: {(error.strerror or 'unknown').lower()}"
            f" ({error.filename or data}).",
            _cure(error, data),
        ) from error


def require_installation(data: Path) -> None:
    """Raises `AppError` not_found if `data` is no installation's; what cannot be looked into may be one."""
    try:
        found = _is_ours(data)
    except PermissionError:
        return
    if not found:
        raise AppError(
            Code.NOT_FOUND,
            f"There is no installation in {data}.",
            "Name its directory: dropslot --data DIR ... (sudo does not hand DROPSLOT_DATA on). "
            "To begin one: dropslot agency add",
        )


def _refuse_foreign(data: Path) -> None:
    """A mistyped name must not turn somebody's folder into ours, closed to its owner's other programs."""
    ours = not data.exists() or not any(data.iterdir()) or _is_ours(data)  # last: another may just make it ours
    if not ours or data.resolve() == Path("/"):
        raise AppError(
            Code.INVALID,
            f"{data.absolute()} holds other things than dropslot's.",
            "Name an empty or a new directory with --data.",
        )


def _is_ours(data: Path) -> bool:
    """Whether this is a data directory, or what a backup without `run` has of one."""
    kept = all((data / name).is_dir() for name in ("agencies", "spool", "keys"))
    return kept or (data / "run").is_dir() or (data / "dropslot.db").is_file()


def _refuse_root(data: Path) -> None:
    """Root gets in everywhere, but what it makes the server cannot open: quota counters, locks, copies in the spool.

    Whose the directory is, tells the folder that was made by dropslot itself: it may be a mount point, and anybody's.
    """
    folder = data / "run" if (data / "run").exists() else data / "keys"
    if os.geteuid() != 0 or not folder.exists() or folder.stat().st_uid in (0, _made_in(folder)):
        return
    try:
        owner = folder.owner()
    except KeyError:  # it has a number and no name
        owner = f"#{folder.stat().st_uid}"
    raise AppError(
        Code.DENIED,
        f"The data directory {data} belongs to {owner}, and what root makes there the server could not open.",
        f"Run the command as that user: sudo -u '{owner}' dropslot --data {data} ... "
        f"(If root runs the server: chown -R root {data})",
    )


def _made_in(folder: Path) -> int:
    """Whose a file is that we make there: on some mounts everything is one user's, whoever made it."""
    probe = folder / f".probe-{os.getpid()}"
    probe.touch()
    try:
        return probe.stat().st_uid
    finally:
        probe.unlink()


def _cure(error: OSError, data: Path) -> str:
    if error.errno == errno.EROFS:
        return "Look why its disk is mounted read-only (dmesg), or name another directory with --data."
    if error.errno in (errno.EACCES, errno.EPERM):
        return f"Give it to the user that runs dropslot (chown -R {os.geteuid()} {data}), or name another with --data."
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "Free some space on that disk, or name another directory with --data."
    return "Name another directory with --data."


@contextmanager
def hold_data(data: Path) -> Iterator[None]:
    """Be the only server on this data directory while the block runs. Raises `AppError` conflict if another is."""
    prepare_folders(data)
    with _lock_file(data) as lock:
        if not _lock(lock, fcntl.LOCK_EX, tries=3):
            raise AppError(
                Code.CONFLICT,
                f"A server is running on {data} already.",
                "Stop that one first, or name another directory with --data.",
            )
        yield


def is_served(data: Path) -> bool:
    """Whether a server runs on this data directory, on this machine."""
    with _lock_file(data) as lock:
        return not _lock(lock, fcntl.LOCK_SH)


def door_port(settings: Settings) -> int:
    """The port of the door that is open, or else the one that is set."""
    try:
        if is_served(settings.data):
            return int(json.loads((settings.run / "serve.json").read_text())["sftp_port"])
    except (OSError, ValueError, KeyError):
        pass  # it starts just now
    return settings.sftp_port


def _lock_file(data: Path) -> IO[str]:
    return (data / "run" / "serve.lock").open("a+")


def _lock(file: IO[str], kind: int, tries: int = 1) -> bool:
    """Whether the lock could be had. Who only looks whether a server runs has it for a moment: hence several tries."""
    for _ in range(tries):
        try:
            fcntl.flock(file, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(0.05)
        else:
            return True
    return False
