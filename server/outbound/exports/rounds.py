"""What the scheduler does for exports, again and again: run what is due, deliver, look after the files, tidy up.

Whatever fails of one export is kept with it, shown to operators, and tried again after a while that grows; the others
go on meanwhile. An agency's exports follow one another, and agencies are served beside each other: a home that hangs,
or a very large file, keeps one place for a while.
"""

import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial

from server.agencies import list_agencies
from server.clock import now
from server.errors import AppError, Code
from server.logs import Log, trace
from server.outbound.exports.desks import Desks
from server.outbound.exports.place import Parts, Sight, look, parts_of, put, remove, search
from server.outbound.exports.run import Task, deliver, known, late_note, run_export, staging_of
from server.outbound.exports.store import (
    Export,
    ExportState,
    Run,
    last_runs,
    list_exports,
    mark_run,
    note_error,
    outdated,
    runs_by_id,
    settle_clock,
    undelivered,
)
from server.outbound.pruning import prune
from server.schedule.claims import forget
from server.schedule.slots import last_slot
from server.state import State

LOOK_EVERY = 5.0
TIDY_EVERY = timedelta(hours=1)
STEADY = 600.0
"""Seconds by which a clock that nobody sets may wander off in the hour between two tidyings."""
PLACES = 4
"""Agencies that are served at once."""
LAST_WORDS = 8.0
"""Seconds for what was begun, when the server is to stop."""
SLOTS_KEPT = timedelta(days=100)
FIRST_PAUSE, LONGEST_PAUSE = timedelta(minutes=1), timedelta(minutes=30)


@dataclass(frozen=True)
class _Trouble:
    """An export that has failed so often without success, the last time at `at`, and is let alone until then."""

    tries: int
    at: datetime
    until: datetime


@dataclass(frozen=True)
class _Visit:
    """What is to be looked at for an agency: its exports, by id; their runs that wait for delivery, their newest ones,
    and those whose time is over. One that is disabled gets nothing, but what is old is deleted."""

    slug: str
    is_enabled: bool
    own: Mapping[str, Export]
    waiting: Sequence[Run]
    last: Sequence[Run]
    old: Sequence[Run]


class ExportRounds:
    """Walks the rounds. What it remembers saves work; nothing is lost with it."""

    def __init__(
        self,
        state: State,
        log: Log,
        clock: Callable[[], datetime] = now,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._state = state
        self._log = log
        self._clock = clock
        self._monotonic = monotonic
        self._desks = Desks(PLACES)
        self._owner = f"{socket.gethostname()}-scheduler"
        self._troubled: dict[str, _Trouble] = {}
        self._looked: dict[str, datetime] = {}
        self._seen: dict[str, Parts] = {}
        self._unseen: set[str] = set()
        self._offset: float | None = None
        self._tidied = self._settled = datetime.min.replace(tzinfo=UTC)

    def walk(self, stopping: threading.Event) -> None:
        """Go round until `stopping` is set."""
        while not stopping.wait(LOOK_EVERY):
            with self._told():
                self._begin(self._clock())
        self._desks.close(LAST_WORDS)

    def round(self, at: datetime) -> None:
        """Do what is due at `at`, and wait until it is done."""
        self._begin(at)
        self._desks.wait()

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except AppError as error:
            self._log.error("exports put off", code=error.code, reason=error.message)
        except Exception as error:
            self._log.error("exports failed", trace=trace(error))

    def _begin(self, at: datetime) -> None:
        """Have done what is due at `at`, but for agencies that are being served still."""
        self._settle_clock(at)
        with self._state.database.reading() as conn:
            exports = {export.id: export for export in list_exports(conn, cancelled=True)}
            agencies = {agency.id: agency for agency in list_agencies(conn)}
            waiting, last = undelivered(conn), last_runs(conn)
            tidying = not self._tidied <= at < self._tidied + TIDY_EVERY
            steady = tidying and self._is_steady(at)
            old = outdated(conn, at - timedelta(days=self._state.settings.export_days)) if steady else []
        for agency_id in dict.fromkeys(export.agency_id for export in exports.values()):
            own = {id_: export for id_, export in exports.items() if export.agency_id == agency_id}
            mine = [[run for run in runs if run.export_id in own] for runs in (waiting, list(last.values()), old)]
            agency = agencies[agency_id]
            self._desks.serve(agency_id, partial(self._serve, _Visit(agency.slug, agency.enabled, own, *mine), at))
        if tidying:
            self._tidied, self._offset = at, self._offset_of(at)
            self._tidy(exports)
            if steady:
                self._forget(at)

    def _serve(self, visit: _Visit, at: datetime) -> None:
        """Do what is due for one agency."""
        with self._told():
            if visit.is_enabled:
                self._provide(visit, at)
            if visit.old:
                self._remove(visit.slug, visit.old, at)

    def _provide(self, visit: _Visit, at: datetime) -> None:
        """Make the files that are due, deliver what waits, and look after the newest ones."""
        fresh = [self._run(each, visit.slug, at) for each in visit.own.values() if each.state == ExportState.ACTIVE]
        made = [run for run in fresh if run]
        for run in (*visit.waiting, *made):
            self._deliver(visit.own[run.export_id], visit.slug, run, at)
        followed = {run.export_id for run in made}
        for run in visit.last:
            export = visit.own[run.export_id]
            if run.delivered_at and export.state != ExportState.CANCELLED and export.id not in followed:
                self._look_after(export, visit.slug, run, at)

    def _settle_clock(self, at: datetime) -> None:
        if self._settled <= at < self._settled + TIDY_EVERY:
            return
        with self._state.database.writing() as conn:
            found = settle_clock(conn, at)
        self._settled = at
        if found:
            self._log.warning("exports of the future", exports=len(found))

    def _run(self, export: Export, slug: str, at: datetime) -> Run | None:
        found = last_slot(export.schedule, export.since, at)
        if found is None:
            return None
        slot, missed = found
        if self._is_troubled(export, slot.at, at):
            return None
        note = late_note(slot, missed, at)
        try:
            run = run_export(self._state, export.id, Task(slot, self._owner, at, note))
        except Exception as error:
            self._put_off(export, slug, at, error)
            return None
        if run is not None:
            facts = {"late": note} if note else {}
            self._log.info(
                "exported", agency=slug, export=export.name, file=run.file, rows=run.rows, upto=run.upto, **facts
            )
        return run

    def _deliver(self, export: Export, slug: str, run: Run, at: datetime) -> None:
        if self._is_troubled(export, run.started_at, at):
            return
        try:
            deliver(self._state, run, at, fresh=run.started_at == at)
            self._recover(export, at)
        except Exception as error:
            self._put_off(export, slug, at, error)
            return
        self._log.info("export delivered", agency=slug, export=export.name, file=f"{run.directory}/{run.file}")

    def _look_after(self, export: Export, slug: str, run: Run, at: datetime) -> None:
        """See that the newest file is still there, in its folder or another one; if not, put it back."""
        every = timedelta(seconds=self._state.settings.export_check)
        looked = self._looked.get(run.id)
        if looked and looked <= at < looked + every:
            return
        self._looked[run.id] = at
        try:
            self._keep_there(export, slug, run)
            if export.id in self._unseen:
                self._recover(export, at)
        except Exception as error:
            self._unseen.add(export.id)
            self._put_off(export, slug, at, error)

    def _keep_there(self, export: Export, slug: str, run: Run) -> None:
        home, folder, file = self._state.settings.home(slug), parts_of(run.directory), known(run)
        if look(home, folder, file) != Sight.GONE:
            return
        if look(home, self._seen.get(run.id, folder), file) == Sight.THERE:
            return
        elsewhere = search(home, file)
        if elsewhere is not None:
            self._seen[run.id] = elsewhere
        elif put(home, folder, file, staging_of(self._state).place(run.id)) == Sight.THERE:
            with self._state.database.writing() as conn:
                mark_run(conn, replace(run, copies=run.copies + 1))
            self._log.info("export put back", agency=slug, export=export.name, file=f"{run.directory}/{run.file}")

    def _recover(self, export: Export, at: datetime) -> None:
        """What has failed does so no more."""
        self._troubled.pop(export.id, None)
        self._unseen.discard(export.id)
        with self._state.database.writing() as conn:
            note_error(conn, export.id, None, at)

    def _offset_of(self, at: datetime) -> float:
        """How far the clock is from the kernel's own, which nobody sets, in seconds."""
        return at.timestamp() - self._monotonic()

    def _is_steady(self, at: datetime) -> bool:
        """Whether the clock has not been set since the last tidying, an hour ago.

        If it has, nothing is too old: what is deleted does not come back when a clock that was ahead is right again.
        """
        return self._offset is not None and abs(self._offset_of(at) - self._offset) < STEADY

    def _tidy(self, exports: Mapping[str, Export]) -> None:
        """Delete staged copies that nobody needs."""
        with self._state.database.reading() as conn:
            alive = {export.id for export in exports.values() if export.state != ExportState.CANCELLED}
            needed = [run.id for run in last_runs(conn).values() if run.export_id in alive]
            needed += [run.id for run in undelivered(conn)]
            staging_of(self._state).tidy(needed, lambda ids: runs_by_id(conn, ids))

    def _forget(self, at: datetime) -> None:
        """Forget what nobody needs to know any more."""
        with self._state.database.writing() as conn:
            forget(conn, at - SLOTS_KEPT)
            prune(conn, at)

    def _remove(self, slug: str, runs: Sequence[Run], at: datetime) -> None:
        try:
            paths = remove(self._state.settings.home(slug), {run.file: known(run) for run in runs})
        except OSError as error:
            self._log.warning("old exports not removed", agency=slug, reason=error.strerror)
            return
        with self._state.database.writing() as conn:
            for run in runs:
                mark_run(conn, replace(run, removed_at=at))
        self._log.info("old exports removed", agency=slug, files=len(paths))

    def _is_troubled(self, export: Export, due: datetime, at: datetime) -> bool:
        """Whether it is let alone; not with what has become due since it failed."""
        trouble = self._troubled.get(export.id)
        return trouble is not None and trouble.at <= at < trouble.until and due <= trouble.at

    def _put_off(self, export: Export, slug: str, at: datetime, error: Exception) -> None:
        """What was done for an export has failed: keep that with it, and let it alone for a while."""
        refused = self._refusal(export, slug, error)
        tries = self._troubled[export.id].tries + 1 if export.id in self._troubled else 1
        self._troubled[export.id] = _Trouble(tries, at, at + min(FIRST_PAUSE * 2 ** min(tries - 1, 9), LONGEST_PAUSE))
        self._log.warning("export put off", agency=slug, export=export.name, code=refused.code, reason=refused.message)
        with self._state.database.writing() as conn:
            note_error(conn, export.id, refused, at)

    def _refusal(self, export: Export, slug: str, error: Exception) -> AppError:
        """What is to be told of an error; all of one of our own is told to the log."""
        if isinstance(error, AppError):
            return error
        if isinstance(error, OSError):
            why = (error.strerror or "unknown").lower()
            return AppError(Code.UNAVAILABLE, f"The disk refused it: {why}.", "Look at the agency's /exports.")
        self._log.error("export failed", agency=slug, export=export.name, trace=trace(error))
        return AppError(Code.INTERNAL, "Internal error; the log tells more.")
