"""The log of Auto-Sync: each run of a profile with what it saw, took, left, and why."""

import json
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, delete, insert, select

from server.errors import AppError
from server.sync.tables import sync_runs, sync_turns

TIDY = "tidy"
"""Who starts a run that only deletes: it is no cycle, so the next one comes as if it had not been."""
PERSON = "person"
"""Who starts a run that somebody asks for."""
LONGEST_PAUSE = timedelta(hours=1)
SHOWN = 200
"""Files of one run that are named; all are counted."""


@dataclass(frozen=True)
class FileNote:
    """What became of a file in a run: `taken`, `waiting`, `skipped`, `failed` or `removed`; and why."""

    path: str
    what: str
    why: str


@dataclass
class Run:
    """A run of a profile at a place, while it is made and afterwards. Counts are of files, `size` is bytes taken.

    `skipped` are new files that are not for this profile to take; what was taken before is in `saw` alone. `code`,
    `error` and `hint` say what ended it early; `again_at` when to look again before the cycle says so. `arrivals` are
    those that it made, told to whoever made it and not kept.
    """

    id: str
    agency_id: str
    profile_id: str
    place_id: str
    started_by: str
    started_at: datetime
    finished_at: datetime
    saw: int = 0
    took: int = 0
    size: int = 0
    waiting: int = 0
    skipped: int = 0
    failed: int = 0
    removed: int = 0
    code: str | None = None
    error: str | None = None
    hint: str | None = None
    report: str | None = None
    files: list[FileNote] = field(default_factory=list)
    again_at: datetime | None = None
    arrivals: list[str] = field(default_factory=list)

    def note(self, path: str, what: str, why: str) -> None:
        """Count a file, and name it while there is room."""
        counter = "took" if what == "taken" else what
        setattr(self, counter, getattr(self, counter) + 1)
        if len(self.files) < SHOWN:
            self.files.append(FileNote(path, what, why))

    def fail(self, error: AppError) -> None:
        """Something ended it early, or kept a part of it from being done; the first such thing is told."""
        if self.error is None:
            self.code, self.error, self.hint = error.code.value, error.message, error.hint

    def look_again(self, at: datetime) -> None:
        """Look again at `at`, if not before."""
        self.again_at = min(self.again_at, at) if self.again_at else at

    def be_patient(self, before: "Run | None") -> None:
        """A file that grows for long, or for ever, is looked at less and less often: at last once an hour."""
        if not (self.again_at and before and before.again_at) or self.took:
            return
        pause = min(2 * (before.again_at - before.finished_at), LONGEST_PAUSE)
        self.again_at = max(self.again_at, self.finished_at + pause)

    @property
    def eventful(self) -> bool:
        """Whether anything happened that a person may want to know."""
        return bool(self.took or self.waiting or self.failed or self.removed or self.error or self.report)


def keep_run(conn: Connection, run: Run) -> None:
    """Keep a run that has ended."""
    files = json.dumps([[note.path, note.what, note.why] for note in run.files])
    values = {name: value for name, value in vars(run).items() if name != "arrivals"}
    conn.execute(insert(sync_runs).values({**values, "files": files}))
    if run.started_by != TIDY:
        conn.execute(delete(sync_turns).where(sync_turns.c.profile_id == run.profile_id))
        conn.execute(insert(sync_turns).values(profile_id=run.profile_id, run_id=run.id))


def list_runs(
    conn: Connection, profile_ids: list[str] | None = None, limit: int = 50, eventful: bool = False
) -> list[Run]:
    """Runs, the newest first; `eventful`: only those in which anything happened."""
    query = select(sync_runs).order_by(sync_runs.c.started_at.desc(), sync_runs.c.id.desc()).limit(limit)
    if profile_ids is not None:
        query = query.where(sync_runs.c.profile_id.in_(profile_ids))
    if eventful:
        counts = sync_runs.c.took + sync_runs.c.waiting + sync_runs.c.failed + sync_runs.c.removed
        query = query.where((counts > 0) | sync_runs.c.error.is_not(None) | sync_runs.c.report.is_not(None))
    return [_run(row) for row in conn.execute(query)]


def last_runs(conn: Connection) -> dict[str, Run]:
    """The last cycle of each profile, without its files."""
    query = select(sync_runs).join(sync_turns, sync_turns.c.run_id == sync_runs.c.id)
    return {row.profile_id: replace(_run(row), files=[]) for row in conn.execute(query)}


def failed_paths(conn: Connection, profile_ids: list[str]) -> set[str]:
    """The files that failed in the last cycles of these profiles."""
    query = select(sync_runs).join(sync_turns, sync_turns.c.run_id == sync_runs.c.id)
    rows = conn.execute(query.where(sync_turns.c.profile_id.in_(profile_ids), sync_runs.c.failed > 0))
    return {note.path for row in rows for note in _run(row).files if note.what == "failed"}


def forget_runs(conn: Connection, before: datetime) -> int:
    """Forget what is older, but of each profile the last run; how many those were."""
    last = select(sync_turns.c.run_id)
    return conn.execute(delete(sync_runs).where(sync_runs.c.started_at < before, sync_runs.c.id.not_in(last))).rowcount


def _run(row: Row[Any]) -> Run:
    return Run(**{**row._mapping, "files": [FileNote(*note) for note in json.loads(row.files)]})
