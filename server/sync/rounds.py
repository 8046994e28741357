"""The scheduler's part of Auto-Sync: sees what is due every few seconds and has it done, all places at once.

Each place has a task of its own, so that one that is slow or dead keeps nobody waiting. Nothing is loaded that talks
to other servers before a profile needs it.
"""

import asyncio
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

from server.clock import now
from server.errors import AppError
from server.logs import Log, trace
from server.remotes.reach import fingerprint
from server.remotes.server import HostKeyState, Server
from server.remotes.store import list_servers
from server.state import State
from server.sync.files import begun
from server.sync.overdue import overdue_profiles
from server.sync.plan import Task, due_tasks
from server.sync.runs import forget_runs
from server.sync.syncer import Syncer

LOOK_EVERY = 2.0
TIDY_EVERY = 600.0
OVERDUE_EVERY = 30.0
DELETE_EVERY = 60.0
RUBBISH_AGE = 3600.0
THREADS = 32
BY = "schedule"


class SyncRounds:
    """Has what is due done until it is told to stop; all waits are seconds."""

    def __init__(self, state: State, log: Log, syncer: Syncer) -> None:
        self._state = state
        self._log = log
        self._syncer = syncer
        self._working: dict[str, asyncio.Task[None]] = {}
        self._tidy_at = self._overdue_at = 0.0
        self._tidied: dict[str, float] = {}
        self._told: set[tuple[str, str]] = set()
        self._strange: set[tuple[str, str | None]] = set()

    def walk(self, stopping: threading.Event) -> None:
        """Go round until `stopping` is set."""
        while not stopping.is_set():
            try:
                asyncio.run(self._walk(stopping))
            except Exception as error:
                self._log.error("round failed", trace=trace(error))
                stopping.wait(LOOK_EVERY)

    async def _walk(self, stopping: threading.Event) -> None:
        # Names are looked up in threads of this pool too, and of a dead server that takes long: asyncio's own would
        # have six of them on two cores.
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(THREADS, "sync"))
        while not stopping.is_set():
            try:
                await self._round()
            except AppError as error:
                self._log.error("round put off", code=error.code, reason=error.message)
            except Exception as error:
                self._log.error("round failed", trace=trace(error))
            try:
                await asyncio.to_thread(stopping.wait, LOOK_EVERY)
            except Exception as error:  # there is no thread to be had just now
                self._log.error("round failed", trace=trace(error))
                await asyncio.sleep(LOOK_EVERY)
        for task in self._working.values():
            task.cancel()
        await asyncio.gather(*self._working.values(), return_exceptions=True)

    async def _round(self) -> None:
        for task in await asyncio.to_thread(self._due):
            if task.place.id not in self._working and (task.profiles or self._may_tidy(task.place.id)):
                self._working[task.place.id] = asyncio.create_task(self._work(task))
        if time.monotonic() >= self._tidy_at:
            self._tidy_at = time.monotonic() + TIDY_EVERY
            await asyncio.to_thread(self._tidy)
        if time.monotonic() >= self._overdue_at:
            self._overdue_at = time.monotonic() + OVERDUE_EVERY
            await asyncio.to_thread(self._tell_overdue)

    def _may_tidy(self, place_id: str) -> bool:
        """Whether to log in only to delete: files are processed one by one, and each login counts over there."""
        at = time.monotonic()
        if at - self._tidied.get(place_id, -DELETE_EVERY) < DELETE_EVERY:
            return False
        self._tidied[place_id] = at
        return True

    def _due(self) -> list[Task]:
        with self._state.database.reading() as conn:
            tasks = due_tasks(conn, now())
            servers = list_servers(conn)
        self._tell_strange([one for one in servers if one.host_key_state is HostKeyState.CHANGED])
        return tasks

    async def _work(self, task: Task) -> None:
        try:
            await self._syncer.work(task, BY)
        except AppError as error:
            self._log.error("sync put off", server=task.place.server.name, code=error.code, reason=error.message)
        except Exception as error:
            self._log.error("sync broke off", server=task.place.server.name, trace=trace(error))
        finally:
            del self._working[task.place.id]

    def _tidy(self) -> None:
        """Forget old runs, and what was brought half of files that nobody brings any more."""
        with self._state.database.writing() as conn:
            forget_runs(conn, now() - timedelta(days=self._state.settings.sync_log_days))
            needed = begun(conn)
        for file in self._state.settings.sync.iterdir():
            if file.name not in needed and time.time() - file.stat().st_mtime > RUBBISH_AGE:
                file.unlink(missing_ok=True)

    def _tell_overdue(self) -> None:
        """Each file that has not come when it was expected is told once."""
        with self._state.database.reading() as conn:
            late = overdue_profiles(conn, now())
        for one in late:
            if (one.profile.id, one.slot.name) not in self._told:
                self._log.warning(
                    "file overdue",
                    agency=one.agency.slug,
                    profile=one.profile.name,
                    expected_at=one.slot.at.isoformat(),
                )
        self._told = {(one.profile.id, one.slot.name) for one in late}

    def _tell_strange(self, servers: list[Server]) -> None:
        """Each host key that changed is told once, whoever saw it first: a cycle here, another machine, a person."""
        for server in servers:
            if (server.id, server.shown_key) not in self._strange:
                self._log.error(
                    "host key changed",
                    server=server.name,
                    host=server.host,
                    port=server.port,
                    trusted=fingerprint(server.host_key),
                    shown=fingerprint(server.shown_key),
                )
        self._strange = {(server.id, server.shown_key) for server in servers}
