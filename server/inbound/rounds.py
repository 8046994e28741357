"""The scheduler's rounds: reconcile often, sweep and count at start and every so often, and when a home stirs.

Counted is also when a door has died.
"""

import math
import threading
import time
from collections.abc import Callable
from pathlib import Path

from watchfiles import watch

from server.errors import AppError
from server.inbound.deletion import delete_processed
from server.inbound.reconcile import LeftAlone, reconcile
from server.inbound.recount import recount
from server.inbound.sweep import sweep
from server.intake.register import Registrar
from server.intake.usage import is_recount_asked
from server.logs import Log, trace
from server.state import State

RECONCILE_EVERY = 5.0
RECOUNT_AGAIN = 5.0
DELETE_EVERY = 5.0
LOOK_EVERY = 0.25
PAUSE = 1.0
TRY_AGAIN = 5.0


class Rounds:
    """Walks the rounds; all waits are seconds of the monotonic clock."""

    def __init__(self, state: State, log: Log) -> None:
        self._state = state
        self._log = log
        self._registrar = Registrar(state.database, state.queue, log)
        self._left = LeftAlone(log)
        self._reconcile_at = 0.0
        self._sweep_at = 0.0
        self._recount_at = 0.0
        self._delete_at = 0.0
        self._uncounted: list[str] | None = None
        self._stirred = threading.Event()

    def walk(self, stopping: threading.Event) -> None:
        """Go round until `stopping` is set."""
        watcher = threading.Thread(target=self._watch, args=(stopping,), name="watch", daemon=True)
        watcher.start()
        while not stopping.wait(LOOK_EVERY):
            try:
                self.round(time.monotonic())
            except AppError as error:
                self._log.error("round put off", code=error.code, reason=error.message)
                stopping.wait(TRY_AGAIN)

    def round(self, at: float) -> None:
        """Do what is due at `at`; a duty that fails is tried again soon, and keeps no other from being done.

        Raises `AppError`: while the database is away, there is no point in going on.
        """
        if self._stirred.is_set():
            self._stirred.clear()
            # What stirred may be a file that is still being written: look once it has been quiet long enough.
            self._sweep_at = min(self._sweep_at, at + self._state.settings.quiet_time + LOOK_EVERY)
        if at >= self._reconcile_at:
            self._reconcile_at = at + RECONCILE_EVERY
            self._attempt(lambda: reconcile(self._state, self._registrar, self._log, self._left))
        if at >= self._delete_at:
            self._delete_at = at + DELETE_EVERY
            self._attempt(lambda: delete_processed(self._state, self._log))
        if at >= self._sweep_at:
            self._sweep_at = at + TRY_AGAIN
            self._attempt(lambda: self._sweep(at))
        if is_recount_asked(self._state.settings.run):
            self._recount_at, self._uncounted = at, None
        if at >= self._recount_at:
            self._recount_at = at + RECOUNT_AGAIN
            self._attempt(self._recount)

    def _attempt(self, duty: Callable[[], object]) -> None:
        try:
            duty()
        except AppError:
            raise
        except Exception as error:
            # One file, or a full disk, must not keep all other files of all agencies from being found.
            self._log.error("round failed", trace=trace(error))

    def _sweep(self, at: float) -> None:
        settings = self._state.settings
        swept = sweep(self._state, self._registrar, self._log)
        soon = settings.quiet_time + LOOK_EVERY
        wait = max(soon, TRY_AGAIN) if swept.missed else soon if swept.restless else settings.sweep_every
        self._sweep_at = at + min(wait, settings.sweep_every)
        self._recount_at, self._uncounted = at, None

    def _recount(self) -> None:
        self._uncounted = recount(self._state, self._log, self._uncounted)
        if not self._uncounted:
            self._recount_at = math.inf  # until the next sweep

    def _watch(self, stopping: threading.Event) -> None:
        while not stopping.is_set():
            try:
                self._watch_homes(stopping)
            except Exception as error:
                # A name that is no UTF-8, say. Something did stir; and without a watch the sweeps go on.
                self._log.warning("watch begins anew", trace=trace(error))
                self._stirred.set()
                stopping.wait(PAUSE)

    def _watch_homes(self, stopping: threading.Event) -> None:
        # watchfiles cannot tell a file that is whole from one that grows, so it only wakes the sweep.
        agencies = self._state.settings.agencies.resolve()
        for changes in watch(agencies, stop_event=stopping, yield_on_timeout=False):
            if any(_is_upload(agencies, Path(place)) for _, place in changes):
                self._stirred.set()


def _is_upload(agencies: Path, place: Path) -> bool:
    """Whether `place` is below an agency's /upload: our own receipts must not wake a sweep."""
    parts = place.relative_to(agencies).parts if place.is_relative_to(agencies) else ()
    return len(parts) > 2 and parts[1] == "upload"
