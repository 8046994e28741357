"""Works at places: holds each alone, connects, runs the cycle, and keeps what came of it."""

import asyncio
import os
import secrets
import socket
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, suppress

from sqlalchemy import Connection

from ingest.errors import IngestError
from keys.errors import KeysError
from server.clock import now
from server.errors import AppError, Code
from server.intake.register import Registrar
from server.logs import Log, trace
from server.remotes.port import Remote
from server.remotes.store import server_by_id
from server.state import State
from server.sync.cycle import DISK_PAUSE, Cycle, Deliver, OwnTroubleError, Tools, Viewer
from server.sync.places import LEASE, Standing, hold, let_go, note_failure, note_success, note_vain_try
from server.sync.plan import Place, Task
from server.sync.runs import PERSON, Run, keep_run, last_runs
from server.sync.slots import Slots

Reach = Callable[[Place], AbstractAsyncContextManager[Remote]]
SPARE = 5.0
"""Seconds that connecting may take beyond twice the server's timeout."""
CLOSING = 5.0


class Syncer:
    """Works at places, any number of them at once in one event loop."""

    def __init__(
        self, state: State, log: Log, reach: Reach, deliver: Deliver | None = None, viewer: Viewer | None = None
    ) -> None:
        self._state = state
        self._log = log
        self._reach = reach
        registrar = Registrar(state.database, state.queue, log)
        slots = Slots(state.settings.sync_downloads)
        self._tools = Tools(state, registrar, slots, log, deliver, viewer or Viewer())

    async def work(self, task: Task, by: str) -> list[Run] | None:
        """Do the task; its runs, or None if somebody else works at the place just now.

        What goes wrong is in the runs. Raises `AppError` unavailable when the database is away.
        """
        holder = f"{socket.gethostname()[:32]}-{os.getpid()}-{secrets.token_hex(4)}"
        if not await asyncio.to_thread(self._hold, task.place.id, holder):
            return None
        try:
            working = asyncio.create_task(self._cycle(task, by))
            beating = asyncio.create_task(self._beat(task.place.id, holder))
            try:
                await asyncio.wait({working, beating}, return_when=asyncio.FIRST_COMPLETED)
                if not working.done():  # the lease is lost: another works there, and will do the rest
                    return None
                return working.result()
            finally:
                for one in (working, beating):
                    one.cancel()
                await asyncio.gather(working, beating, return_exceptions=True)
        finally:
            with suppress(AppError):  # the lease ends by itself
                await asyncio.to_thread(self._let_go, task.place.id, holder)

    def _let_go(self, place_id: str, holder: str) -> None:
        with self._state.database.writing() as conn:
            let_go(conn, place_id, holder)

    def _hold(self, place_id: str, holder: str) -> bool:
        with self._state.database.writing() as conn:
            return hold(conn, place_id, holder, now())

    async def _beat(self, place_id: str, holder: str) -> None:
        """Ends when the lease is lost."""
        held = True
        while held:
            await asyncio.sleep(LEASE.total_seconds() / 3)
            try:
                held = await asyncio.to_thread(self._hold, place_id, holder)
            except AppError:  # the database is away: what is done meanwhile is safe to do twice
                continue
            except Exception as error:
                self._log.error("sync lease not renewed", place=place_id, trace=trace(error))
        self._log.warning("sync lease lost", place=place_id)

    async def _cycle(self, task: Task, by: str) -> list[Run]:
        began, cycle, error = time.monotonic(), Cycle(self._tools, task, by), None
        try:
            async with self._connected(task.place) as remote:
                await cycle.work(remote)
        except AppError as caught:
            error = caught
        except KeysError as caught:  # the master key is ours: no server is parked since it is away
            error = OwnTroubleError(Code.INTERNAL, caught.message, caught.hint)
        except IngestError as caught:
            error = AppError(
                Code(caught.code) if caught.code in set(Code) else Code.INVALID, caught.message, caught.hint
            )
        except Exception as caught:
            self._log.error("sync broke off", server=task.place.server.name, trace=trace(caught))
            error = OwnTroubleError(Code.INTERNAL, "Internal error.", "The log of the server has its trace.")
        runs = list(cycle.runs.values())
        await asyncio.to_thread(self._keep, task.place, runs, error, by)
        for run in runs:
            self._tell(task.place, run, time.monotonic() - began)
        return runs

    @asynccontextmanager
    async def _connected(self, place: Place) -> AsyncIterator[Remote]:
        stack, limit = AsyncExitStack(), 2 * place.server.timeout + SPARE
        try:
            try:
                async with asyncio.timeout(limit):
                    remote = await stack.enter_async_context(self._reach(place))
            except TimeoutError as error:
                raise AppError(
                    Code.UNAVAILABLE,
                    f"The server {place.server.name} did not answer within {limit:g} seconds.",
                    f"Look at it with: dropslot server test {place.server.name}",
                ) from error
            yield remote
        finally:
            with suppress(Exception):  # whatever it says in the end, its work is done
                async with asyncio.timeout(CLOSING):
                    await stack.aclose()

    def _keep(self, place: Place, runs: list[Run], error: AppError | None, by: str) -> None:
        at, ours = now(), isinstance(error, OwnTroubleError)
        for run in runs:
            run.finished_at = at
            if error:
                run.fail(error)
            if ours:
                run.look_again(at + DISK_PAUSE)
        with self._state.database.writing() as conn:
            before = last_runs(conn) if any(run.again_at for run in runs) else {}
            for run in runs:
                if not (ours and by == PERSON):  # trouble of a person's shell keeps no cycle from coming
                    run.be_patient(before.get(run.profile_id))
                keep_run(conn, run)
            standing = None if ours else self._note(conn, place, error, by)
        if error and ours:
            self._log.error("sync put off", server=place.server.name, code=error.code, reason=error.message)
        if standing:
            self._alarm(place, standing)

    def _note(self, conn: Connection, place: Place, error: AppError | None, by: str) -> Standing | None:
        """Keep how the place has answered; how it stands then, if it has failed."""
        if error is None:
            note_success(conn, place.id)
            return None
        if by == PERSON:
            return note_vain_try(conn, place.id, error, now())
        usable = place.is_home or server_by_id(conn, place.server.id).usable
        return note_failure(conn, place.id, error, now(), park=usable)

    def _alarm(self, place: Place, standing: Standing) -> None:
        told = {"server": place.server.name, "code": standing.code, "reason": standing.error}
        if standing.parked_at:
            self._log.error("sync parked", failures=standing.failures, **told)
        else:
            retry = standing.retry_at.isoformat() if standing.retry_at else None
            self._log.warning("sync failed", failures=standing.failures, retry_at=retry, **told)

    def _tell(self, place: Place, run: Run, seconds: float) -> None:
        if not run.eventful:
            return
        profile = next((one.name for one in place.profiles if one.id == run.profile_id), run.profile_id)
        counts = {name: getattr(run, name) for name in ("saw", "took", "waiting", "skipped", "failed", "removed")}
        self._log.info(
            "synced",
            agency=place.agencies[run.agency_id].slug if run.agency_id in place.agencies else run.agency_id,
            profile=profile,
            server=place.server.name,
            **counts,
            report=run.report,
            code=run.code,
            seconds=round(seconds, 3),
        )
