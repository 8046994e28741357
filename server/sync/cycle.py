"""One cycle at one place: look, bring what is new, delete what was processed, deliver reports.

    look       each directory once; what may still be growing is looked at twice, or waits for the next cycle
    bring      one file after the other, in the profile's order (`server.sync.pull`)
    remove     what was processed with success, if the profile says so and it is still the same file
    deliver    the profile's report

What concerns one file, or one profile, ends nothing else. What concerns the place as a whole (it is away, it does not
let us in) ends the cycle: `AppError` from `work`, with what was done until then in the runs. Whether a failure is one
or the other shows the next question: a place that still answers has refused one file. Trouble of our own (a full disk,
a database that is locked) ends the cycle as `OwnTroubleError`, and is not held against the place.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import TypeVar

from ingest import inbox
from ingest.arrival import Profile
from server.agencies import Agency
from server.clock import new_id, now
from server.errors import AppError, Code
from server.intake.register import Registrar
from server.logs import Log
from server.remotes.port import Remote, RemoteFile
from server.state import State
from server.sync import looks
from server.sync.files import Known, is_timeless, is_tried_now, known_files, mark, note_gone, note_waiting, to_remove
from server.sync.looks import Found, View
from server.sync.plan import Place, Task, list_places
from server.sync.pull import accept_file, begin_file, seen, staged
from server.sync.runs import PERSON, TIDY, Run, failed_paths
from server.sync.slots import Slots, watched

T = TypeVar("T")
Deliver = Callable[[Remote, Agency, Profile], Awaitable[str | None]]
"""Delivers a profile's report; the name of the file, None if there was nothing new. Raises `AppError`."""


@dataclass(frozen=True)
class Viewer:
    """Who watches a cycle: told of each file that is brought, how many bytes of it are there, and that it has ended."""

    file: Callable[[Place, RemoteFile], None] = lambda place, file: None
    progress: Callable[[Place, RemoteFile, int], None] = lambda place, file, count: None
    done: Callable[[Place, RemoteFile], None] = lambda place, file: None


@dataclass(frozen=True)
class Tools:
    """What all cycles of a process share."""

    state: State
    registrar: Registrar
    slots: Slots
    log: Log
    deliver: Deliver | None = None
    viewer: Viewer = field(default_factory=Viewer)


class OwnTroubleError(AppError):
    """The fault is here: the place has nothing to do with it."""


LIST_LIMIT, REMOVE_LIMIT = 600.0, 60.0  # seconds
DISK_PAUSE = timedelta(minutes=1)
PIECE = 500
MOST_WAITING = 2000
TOO_MANY = AppError(
    Code.CONFLICT,
    f"More than {MOST_WAITING} new files of this server wait; only so many are remembered.",
    "The others are looked at again in the next cycles.",
)
MOST_IN_A_ROW = 3
"""So many files of a profile may fail one after the other without an answer; the rest waits for the next cycle."""


class Cycle:
    """The cycle of a task; `runs` are its records, by profile, while it works and afterwards."""

    def __init__(self, tools: Tools, task: Task, by: str) -> None:
        self._tools = tools
        self._place = task.place
        self._by = by
        self._profiles = task.profiles
        self._waiting: list[Found] = []
        self._failed: set[str] = set()
        self.runs: dict[str, Run] = {}
        for profile in task.profiles:
            self._run(profile.id, profile.agency_id)

    async def work(self, remote: Remote) -> None:
        """Do it all. Raises `AppError` when the place fails as a whole."""
        await ours(self._read_again)
        if not self._place.is_home:
            views = await self._look(remote)
            for profile in self._profiles:
                if profile.auto_sync:
                    await self._bring(remote, profile, views)
            await self._remove(remote)
        for profile in self._profiles:
            await self._report(remote, profile)

    def _read_again(self) -> None:
        """The profiles as they are now; some time may have passed since the cycle was planned."""
        with self._tools.state.database.reading() as conn:
            self._failed = failed_paths(conn, [one.id for one in self._profiles])
            place = next((one for one in list_places(conn) if one.id == self._place.id), None)
        wanted = {one.id for one in self._profiles}
        self._profiles = tuple(one for one in place.active if one.id in wanted) if place else ()
        self._place = place or replace(self._place, profiles=())
        self.runs = {one.id: self.runs[one.id] for one in self._profiles}

    # Looking

    async def _look(self, remote: Remote) -> dict[str, View]:
        """The directories of the profiles; what must be seen twice has been seen twice."""
        views = await self._views(remote, {one.directory for one in self._profiles if one.auto_sync})
        quiet, at = timedelta(seconds=self._tools.state.settings.quiet_time), now()
        doubtful: dict[str, list[Found]] = {}
        for directory, view in views.items():
            fresh = [one for one in view.found if self._is_mine(one.profile) and not one.is_taken]
            doubtful[directory] = [one for one in fresh if not looks.is_whole(one, at, quiet)]
            for one in doubtful[directory]:
                if why := looks.restless(one, at, quiet):
                    self._wait(one, why, at + quiet)
                    view.found.remove(one)
        again = {place for place, ones in doubtful.items() if any(one in views[place].found for one in ones)}
        if again:
            await asyncio.sleep(self._tools.state.settings.sync_settle)
            for directory in again:
                await self._compare(remote, views[directory], directory, doubtful[directory])
        await ours(self._note_seen, views, at)
        return views

    async def _views(self, remote: Remote, directories: set[str]) -> dict[str, View]:
        known = await ours(self._known)
        views = {}
        for directory in sorted(directories):
            concerned = [one for one in self._profiles if one.directory == directory]
            try:
                files = await bounded(remote.list(directory), LIST_LIMIT)
            except AppError as error:
                await self._refuse_dead(remote, error)
                for profile in concerned:
                    self.runs[profile.id].fail(error)
                continue
            views[directory] = looks.view(directory, files, self._place.profiles, known)
            for profile in concerned:
                self._note_left(profile, views[directory])
                self._note_timeless(profile, views[directory])
        return views

    def _known(self) -> dict[tuple[str, str], Known]:
        with self._tools.state.database.reading() as conn:
            return known_files(conn, self._place.server.id)

    def _note_left(self, profile: Profile, view: View) -> None:
        run = self.runs[profile.id]
        run.saw = len(view.files)
        for left in view.left:
            if left.profile in (None, profile):
                run.note(left.file.path, "skipped", left.why)

    def _note_timeless(self, profile: Profile, view: View) -> None:
        ours = (one.file for one in view.found if one.profile.id == profile.id and is_timeless(one.file))
        if first := next(ours, None):
            why = "Its server tells no times: another file of the same name and size is not seen to be new"
            more = ", and none is deleted." if profile.delete_after else "."
            self.runs[profile.id].note(first.path, "skipped", why + more)

    async def _compare(self, remote: Remote, view: View, directory: str, doubtful: list[Found]) -> None:
        """The second look: what has changed since the first one waits."""
        try:
            there = {file.path: file for file in await bounded(remote.list(directory), LIST_LIMIT)}
        except AppError as error:
            await self._refuse_dead(remote, error)
            for run in {one.profile.id: self.runs[one.profile.id] for one in doubtful}.values():
                run.fail(error)
            view.found = [one for one in view.found if one not in doubtful]
            return
        for one in [one for one in doubtful if one in view.found]:
            file = there.get(one.file.path)
            if file != one.file:
                grown = f"It grows: {one.file.size} bytes, then {file.size}." if file else "It vanished again."
                self._wait(one, grown, now() + timedelta(seconds=self._tools.state.settings.quiet_time))
                view.found.remove(one)

    def _wait(self, one: Found, why: str, until: datetime) -> None:
        run = self.runs[one.profile.id]
        run.note(one.file.path, "waiting", f"{why} It is looked at again.")
        run.look_again(until + timedelta(seconds=1))
        # Seen now, so that the next look knows since when it has not changed.
        self._waiting.append(one)

    def _note_seen(self, views: dict[str, View], at: datetime) -> None:
        """Keep what waits, for the next look; and what is missing, or back."""
        server_id, present = self._place.server.id, {file.path for view in views.values() for file in view.files}
        known = [one for one in self._known().values() if one.folder in views]
        gone = [one for one in known if one.path not in present and one.gone_at is None]
        back = [one for one in known if one.path in present and one.gone_at is not None]
        news = [one for one in self._waiting if not (one.known and one.known.is_of(one.file))]
        room = MOST_WAITING - sum(1 for one in known if not one.arrival_id and one.path in present)
        for one in news[max(room, 0) :]:
            self.runs[one.profile.id].fail(TOO_MANY)
        rows = [seen(one.profile, server_id, one.file) for one in news[: max(room, 0)]]
        # In pieces, as everybody who registers a file waits meanwhile.
        for part in batched(rows):
            with self._tools.state.database.writing() as conn:
                note_waiting(conn, part)
        for part in batched(gone):
            with self._tools.state.database.writing() as conn:
                note_gone(conn, part, (), at)
        for part in batched(back):
            with self._tools.state.database.writing() as conn:
                note_gone(conn, (), part, at)

    # Bringing

    async def _bring(self, remote: Remote, profile: Profile, views: dict[str, View]) -> None:
        run = self.runs[profile.id]
        view, silent = views.get(profile.directory, View()), 0
        mine = looks.in_order((one for one in view.found if one.profile.id == profile.id), profile.order)
        # What failed the last time comes last: else three such files would keep all others waiting for ever.
        for one in sorted(mine, key=lambda one: one.file.path in self._failed):
            if one.is_taken:
                continue
            try:
                arrival_id, took = await self._bring_one(remote, one)
            except AppError as error:
                self._note_failed(run, one, error)
                if error.code is Code.INTERNAL:  # the fault is here, and all other files would meet it too
                    run.look_again(now() + DISK_PAUSE)
                    raise OwnTroubleError(error.code, error.message, error.hint) from error
                await self._refuse_dead(remote, error)
                if error.code is Code.UNAVAILABLE:
                    run.look_again(now() + DISK_PAUSE)
                silent = silent + 1 if error.code is Code.UNAVAILABLE else 0
                if silent == MOST_IN_A_ROW:
                    return
            else:
                silent = 0
                run.note(one.file.path, "taken", "" if took else "An earlier cycle had brought it, and was cut off.")
                run.size += one.file.size
                run.arrivals.append(arrival_id)

    def _note_failed(self, run: Run, one: Found, error: AppError) -> None:
        if error.code is Code.CONFLICT:
            run.note(one.file.path, "waiting", str(error))
            run.look_again(now() + timedelta(seconds=self._tools.state.settings.quiet_time))
        elif error.code is Code.NOT_FOUND:
            run.note(one.file.path, "skipped", "It vanished before it could be brought.")
        else:
            run.note(one.file.path, "failed", str(error))
            run.fail(error)

    async def _bring_one(self, remote: Remote, one: Found) -> tuple[str, bool]:
        """The id of its arrival, and whether it was brought now; an earlier cycle may have done it."""
        tools, profile = self._tools, one.profile
        if one.file.size > tools.state.settings.file_limit:
            limit = tools.state.settings.file_limit
            raise AppError(Code.INVALID, f"It is larger than {limit} bytes.", "DROPSLOT_FILE_LIMIT sets the limit.")
        fresh = seen(profile, self._place.server.id, one.file)
        await ours(self._refuse_unwanted, profile)
        known, here = await ours(begin_file, tools.state, tools.registrar, fresh)
        if here:
            return known.arrival_id or "", False
        tools.viewer.file(self._place, one.file)
        async with tools.slots.slot() as slot:
            with staged(tools.state, known) as target:
                await watched(
                    slot,
                    lambda tell: remote.fetch(one.file, target, tell),
                    lambda count: tools.viewer.progress(self._place, one.file, count),
                )
                await ours(self._accept, known, profile, target)
        tools.viewer.done(self._place, one.file)
        return known.arrival_id or "", True

    def _accept(self, known: Known, profile: Profile, target: Path) -> None:
        self._refuse_unwanted(profile)
        agency, origin = self._place.agencies[profile.agency_id], self._place.server.name
        accept_file(self._tools.state, self._tools.registrar, known, profile, agency, origin, target)

    def _refuse_unwanted(self, profile: Profile) -> None:
        """Raise `AppError` conflict if the profile does not take the file any more."""
        with self._tools.state.database.reading() as conn:
            present = inbox.profile_by_id(conn, profile.id)
        if present is None or (present.auto_sync, present.server_id, present.directory) != (
            True,
            profile.server_id,
            profile.directory,
        ):
            raise AppError(Code.CONFLICT, "Its profile was changed, switched off or removed meanwhile.")

    # Removing

    async def _remove(self, remote: Remote) -> None:
        for known in await ours(self._removable):
            run = self._run(known.profile_id, known.agency_id)
            try:
                await bounded(remote.remove(known.file), REMOVE_LIMIT)
            except AppError as error:
                await self._refuse_dead(remote, error)
                await ours(self._mark_tried, known, error.code is Code.NOT_FOUND)
                if error.code is Code.CONFLICT:
                    run.note(known.path, "skipped", "It was processed, and is another file by now: it stays there.")
                elif error.code is not Code.NOT_FOUND:
                    run.note(known.path, "failed", f"It was processed, and cannot be deleted there: {error}")
                    run.fail(error)
            else:
                await ours(self._mark_tried, known, True)
                run.note(known.path, "removed", "It was processed.")

    def _removable(self) -> list[Known]:
        with self._tools.state.database.reading() as conn:
            # Without profiles the cycle is there for what was processed since; what was refused then is not its matter.
            found = to_remove(conn, self._place.server.id, untried=not self._profiles)
        return found if self._by == PERSON else [one for one in found if is_tried_now(one, now())]

    def _mark_tried(self, known: Known, removed: bool) -> None:
        with self._tools.state.database.writing() as conn:
            mark(conn, known, tried_at=now(), removed_at=now() if removed else None)

    # Reports

    async def _report(self, remote: Remote, profile: Profile) -> None:
        if not profile.report or self._tools.deliver is None:
            return
        run, agency = self.runs[profile.id], self._place.agencies[profile.agency_id]
        try:
            run.report = await self._tools.deliver(remote, agency, profile)
        except AppError as error:
            run.fail(error)
            if error.code is Code.UNAVAILABLE:
                run.look_again(now() + DISK_PAUSE)
            if not self._place.is_home:
                await self._refuse_dead(remote, error)

    # What all share

    async def _refuse_dead(self, remote: Remote, error: AppError) -> None:
        """Raise the error if it is of the place as a whole."""
        if isinstance(error, OwnTroubleError):
            raise error
        if error.code is not Code.UNAVAILABLE:
            return
        try:
            await bounded(remote.has_directory("/"), REMOVE_LIMIT)
        except AppError as now_too:
            if now_too.code is Code.UNAVAILABLE:
                raise error from now_too

    def _is_mine(self, profile: Profile) -> bool:
        return profile.id in {one.id for one in self._profiles}

    def _run(self, profile_id: str, agency_id: str) -> Run:
        if profile_id not in self.runs:
            at = now()
            by = self._by if self._is_listed(profile_id) else TIDY
            self.runs[profile_id] = Run(new_id(at), agency_id, profile_id, self._place.id, by, at, at)
        return self.runs[profile_id]

    def _is_listed(self, profile_id: str) -> bool:
        return any(one.id == profile_id for one in self._profiles)


async def bounded(asked: Awaitable[T], seconds: float) -> T:
    """What was asked for. Raises `AppError` unavailable if the answer takes too long."""
    try:
        async with asyncio.timeout(seconds):
            return await asked
    except TimeoutError as error:
        sentence = f"The server did not answer within {seconds:g} seconds."
        raise AppError(Code.UNAVAILABLE, sentence, "It is tried again.") from error


def batched(rows: Sequence[T]) -> list[Sequence[T]]:
    """The rows in pieces that are written in one transaction each."""
    return [rows[start : start + PIECE] for start in range(0, len(rows), PIECE)]


async def ours(act: Callable[..., T], *args: object) -> T:
    """What is done in our own files and database. Raises `OwnTroubleError` if they are away."""
    try:
        return await asyncio.to_thread(act, *args)
    except AppError as error:
        if error.code in (Code.UNAVAILABLE, Code.INTERNAL):
            raise OwnTroubleError(error.code, error.message, error.hint) from error
        raise
