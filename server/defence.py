"""What addresses did wrong of late, and which of them are banned: a small SQLite file that all processes share.

Faults are scored as SFTPGo's defender does it: each kind has its points, and an address whose points reach the
threshold within the window is banned, each time for longer. IPv6 addresses count by their /64 (`networks.group`).

A bad key weighs less than an unknown name, since courts do mix up keys. But an outsider must not learn which names
exist by counting how soon he is banned: so it weighs less only where somebody has logged in from before.

The file is apart from the database of the records: an ingest may hold that one's writer for seconds, and nobody who
knocks may wait for it, nor it for them. Nothing in it is missed: it is written without waiting for the disk
(`synchronous` is off), and a broken one is replaced by a new one. It is bounded, whatever comes: the oldest faults and
the bans that end first make room.
"""

import sqlite3
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from server.errors import AppError, Code
from server.settings import Settings

BUSY_SECONDS = 2.0
HABIT = 40  # connections without a login attempt that mean nothing: a monitor looks every minute whether we live
ONE_BURST = 10.0  # running into limits within this time is one fault, whichever process saw it
VISITS = 30 * 24 * 3600.0  # for how long an address is known by a login
FORGIVEN = 3  # faults that a login makes undone
REMEMBERED = 24 * 3600.0  # after its end, for how long a ban still makes the next one longer
LONGEST = 24 * 3600.0
AHEAD = 60.0  # what is noted as of later than that was noted by a clock that was ahead
MOST_FAULTS = 100_000
MOST_BANS = 10_000
MOST_VISITORS = 10_000

_SCHEMA = """
PRAGMA journal_mode=WAL;
PRAGMA synchronous=OFF;
CREATE TABLE IF NOT EXISTS faults (address TEXT NOT NULL, at REAL NOT NULL, kind TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS faults_of_address ON faults (address, at);
CREATE INDEX IF NOT EXISTS faults_by_age ON faults (at);
CREATE TABLE IF NOT EXISTS bans (
    address TEXT PRIMARY KEY, since REAL NOT NULL, until REAL NOT NULL, times INTEGER NOT NULL, reason TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS bans_by_end ON bans (until);
CREATE TABLE IF NOT EXISTS visitors (address TEXT PRIMARY KEY, at REAL NOT NULL);
CREATE INDEX IF NOT EXISTS visitors_by_age ON visitors (at);
"""


class Fault(StrEnum):
    """What a connection did wrong; `login` is what speaks for its address."""

    UNKNOWN_USER = "unknown user"
    BAD_KEY = "bad key"
    NO_AUTH = "no login"
    LIMIT = "limit"
    LOGIN = "login"


@dataclass(frozen=True)
class Ban:
    """A banned address or /64; instants are seconds since 1970. `times` is which of its bans in a row this is."""

    address: str
    since: float
    until: float
    times: int
    reason: str


@dataclass(frozen=True)
class Rules:
    """What each kind of fault weighs, and what follows. Durations are seconds."""

    points: dict[Fault, int]
    threshold: int
    window: float
    first: float
    growth: float

    @classmethod
    def of(cls, settings: Settings) -> "Rules":
        """The rules that the settings say."""
        points = {
            Fault.UNKNOWN_USER: settings.score_unknown_user,
            Fault.BAD_KEY: settings.score_bad_key,
            Fault.NO_AUTH: settings.score_no_auth,
            Fault.LIMIT: settings.score_limit,
        }
        return cls(points, settings.ban_threshold, settings.ban_window, settings.ban_time, settings.ban_growth)

    def score(self, counts: dict[Fault, int]) -> int:
        """The points of that many faults of each kind."""
        counted = {**counts, Fault.NO_AUTH: max(0, counts.get(Fault.NO_AUTH, 0) - HABIT)}
        return sum(points * counted.get(kind, 0) for kind, points in self.points.items())

    def length(self, times: int) -> float:
        """How long the ban is that is the `times`th in a row."""
        return min(self.first * (1 + self.growth) ** min(times - 1, 100), max(LONGEST, self.first))


class Defence:
    """The file, open; belongs to one thread at a time. Its methods block, and raise sqlite3.Error."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._path = path
        self._version: object = None
        try:
            self._conn = self._open()
        except sqlite3.DatabaseError as error:
            if not discard_broken(path, error):
                raise
            self._conn = self._open()
        self._inode = path.stat().st_ino

    def is_gone(self) -> bool:
        """Whether somebody has deleted or replaced the file: then nobody else sees what is written here."""
        try:
            return self._path.stat().st_ino != self._inode
        except FileNotFoundError:
            return True

    def _open(self) -> sqlite3.Connection:
        conn = sqlite3.connect(self._path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
        try:
            conn.executescript(_SCHEMA)
        except sqlite3.Error:
            conn.close()
            raise
        return conn

    def close(self) -> None:
        """Close the file."""
        self._conn.close()

    # What the door tells and asks

    def note(self, faults: Iterable[tuple[str, Fault]], rules: Rules) -> list[Ban]:
        """Note what addresses did; the bans that follow from it."""
        at, bans = time.time(), []
        with self._writing():
            self._set_right(at)
            for address, fault in faults:
                if fault is Fault.LOGIN:
                    self._welcome(address, at)
                    continue
                if fault is Fault.LIMIT and self._has_lately(address, fault, at):
                    continue
                counted = Fault.UNKNOWN_USER if fault is Fault.BAD_KEY and not self._is_known(address) else fault
                self._conn.execute("INSERT INTO faults VALUES (?, ?, ?)", (address, at, counted.value))
                if self._score(address, at, rules) >= rules.threshold and not self._banned(address, at):
                    bans.append(self._ban(address, at, rules, fault.value))
            self._make_room(at, rules)
        return bans

    def follow_clock(self) -> None:
        """After a clock that was ahead was set right: bans of the future count from now on, and faults not at all."""
        at = time.time()
        if self._conn.execute("SELECT 1 FROM bans WHERE since > ?", (at + AHEAD,)).fetchone():
            with self._writing():
                self._set_right(at)

    def changed(self) -> bool:
        """Whether another process (or this one, by `note`) has changed anything since this was last asked."""
        version = self._conn.execute("PRAGMA data_version").fetchone(), self._conn.total_changes
        if version == self._version:
            return False
        self._version = version
        return True

    def bans(self) -> list[Ban]:
        """All bans that last, the longest last."""
        self.follow_clock()
        rows = self._conn.execute("SELECT * FROM bans WHERE until > ? ORDER BY until", (time.time(),))
        return [Ban(*row) for row in rows]

    # What an operator does

    def add(self, address: str, seconds: float) -> Ban:
        """Ban an address from now on; a ban that lasts longer already stays as long."""
        at = time.time()
        with self._writing():
            self._set_right(at)
            until = max(at + seconds, self._ends(address))
            ban = Ban(address, at, until, self._times(address, at), "operator")
            self._store(ban)
        return ban

    def lift(self, address: str) -> bool:
        """End the ban of an address and forget what it did; whether it was banned."""
        with self._writing():
            banned = self._banned(address, time.time())
            self._conn.execute("DELETE FROM bans WHERE address = ?", (address,))
            self._conn.execute("DELETE FROM faults WHERE address = ?", (address,))
        return banned

    def lift_all(self) -> int:
        """End all bans and forget everything; how many were banned."""
        with self._writing():
            (count,) = self._conn.execute("SELECT count(*) FROM bans WHERE until > ?", (time.time(),)).fetchone()
            self._conn.execute("DELETE FROM bans")
            self._conn.execute("DELETE FROM faults")
        return int(count)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        self._conn.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            with suppress(sqlite3.Error):
                self._conn.execute("ROLLBACK")
            raise
        self._conn.execute("COMMIT")

    def _set_right(self, at: float) -> None:
        ahead = at + AHEAD
        self._conn.execute("DELETE FROM faults WHERE at > ?", (ahead,))
        self._conn.execute("UPDATE bans SET since = ?, until = until - since + ? WHERE since > ?", (at, at, ahead))
        self._conn.execute("UPDATE visitors SET at = ? WHERE at > ?", (at, ahead))

    def _score(self, address: str, at: float, rules: Rules) -> int:
        query = "SELECT kind, count(*) FROM faults WHERE address = ? AND at > ? GROUP BY kind"
        rows = self._conn.execute(query, (address, at - rules.window))
        return rules.score({Fault(kind): count for kind, count in rows})

    def _has_lately(self, address: str, fault: Fault, at: float) -> bool:
        query = "SELECT 1 FROM faults WHERE address = ? AND at > ? AND kind = ?"
        return self._conn.execute(query, (address, at - ONE_BURST, fault.value)).fetchone() is not None

    def _banned(self, address: str, at: float) -> bool:
        query = "SELECT 1 FROM bans WHERE address = ? AND until > ?"
        return self._conn.execute(query, (address, at)).fetchone() is not None

    def _ends(self, address: str) -> float:
        row = self._conn.execute("SELECT until FROM bans WHERE address = ?", (address,)).fetchone()
        return float(row[0]) if row else 0.0

    def _times(self, address: str, at: float) -> int:
        query = "SELECT times FROM bans WHERE address = ? AND until > ?"
        row = self._conn.execute(query, (address, at - REMEMBERED)).fetchone()
        return int(row[0]) + 1 if row else 1

    def _ban(self, address: str, at: float, rules: Rules, reason: str) -> Ban:
        times = self._times(address, at)
        ban = Ban(address, at, at + rules.length(times), times, reason)
        self._store(ban)
        self._conn.execute("DELETE FROM faults WHERE address = ?", (address,))
        return ban

    def _store(self, ban: Ban) -> None:
        values = (ban.address, ban.since, ban.until, ban.times, ban.reason)
        self._conn.execute("INSERT OR REPLACE INTO bans VALUES (?, ?, ?, ?, ?)", values)

    def _welcome(self, address: str, at: float) -> None:
        latest = "SELECT rowid FROM faults WHERE address = ? ORDER BY at DESC LIMIT ?"
        self._conn.execute(f"DELETE FROM faults WHERE rowid IN ({latest})", (address, FORGIVEN))  # noqa: S608
        # Once a day is enough to be remembered; every change has all processes read the bans again.
        self._conn.execute(
            "INSERT INTO visitors VALUES (?, ?)"
            " ON CONFLICT (address) DO UPDATE SET at = excluded.at WHERE at < excluded.at - 86400",
            (address, at),
        )

    def _is_known(self, address: str) -> bool:
        return self._conn.execute("SELECT 1 FROM visitors WHERE address = ?", (address,)).fetchone() is not None

    def _make_room(self, at: float, rules: Rules) -> None:
        self._conn.execute("DELETE FROM faults WHERE at <= ?", (at - rules.window,))
        self._conn.execute("DELETE FROM bans WHERE until <= ?", (at - REMEMBERED,))
        self._conn.execute("DELETE FROM visitors WHERE at <= ?", (at - VISITS,))
        bounds = (("faults", "at", MOST_FAULTS), ("bans", "until", MOST_BANS), ("visitors", "at", MOST_VISITORS))
        for table, order, most in bounds:
            (count,) = self._conn.execute(f"SELECT count(*) FROM {table}").fetchone()  # noqa: S608
            if count > most:
                oldest = f"SELECT rowid FROM {table} ORDER BY {order} LIMIT ?"  # noqa: S608
                self._conn.execute(f"DELETE FROM {table} WHERE rowid IN ({oldest})", (count - most,))  # noqa: S608


def discard_broken(path: Path, error: sqlite3.Error) -> bool:
    """Delete the file if the error says that it is broken; whether it is so (and not only locked, or its disk full)."""
    if isinstance(error, sqlite3.OperationalError) or not isinstance(error, sqlite3.DatabaseError):
        return False
    for end in ("", "-wal", "-shm"):
        path.with_name(path.name + end).unlink(missing_ok=True)
    return True


@contextmanager
def open_defence(settings: Settings) -> Iterator[Defence]:
    """The file of this installation. Raises `AppError` unavailable if it cannot be used."""
    try:
        defence = Defence(settings.defence)
        try:
            yield defence
        finally:
            defence.close()
    except (sqlite3.Error, OSError) as error:
        raise AppError(
            Code.UNAVAILABLE,
            f"The bans cannot be read or changed just now ({error}).",
            f"Check the owner of {settings.defence} and the free space.",
        ) from error
