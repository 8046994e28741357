"""Brings a profile's report to where the agency wants it, on each cycle.

What is on its way has a row and a file of its own in the data directory before anything leaves: whoever died half-way
is followed by somebody who brings the same bytes under the same name, so that there is never a second, differing copy.

    write     the report, into the data directory
    compare   has the profile brought the same there before? then it stays here (Skip Past Reports)
    note      name and content: the delivery is pending
    place     beside and renamed, by the adapter of the server
    mark      it was delivered; the file here goes
"""

import asyncio
import shlex
import shutil
import time
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

from ingest.arrival import Profile, plain_directory
from ingest.inbox import is_same_place
from server.agencies import Agency
from server.clock import new_id, now
from server.db import Database
from server.errors import AppError, Code
from server.outbound import deliveries as kept
from server.outbound.deliveries import FAILED, PENDING, Delivery
from server.outbound.reports.run import run_report
from server.outbound.reports.wanted import Wanted, read_wanted
from server.outbound.write import Form
from server.remotes.port import Remote
from server.state import State

FOLDER = "reports"
LEFT_OVER = 3600
"""Seconds after which a file in the folder that nobody knows of is taken for what a crash has left."""
GIVEN_UP = timedelta(days=30)
BUSY = timedelta(minutes=10)


@dataclass(frozen=True)
class Outcome:
    """What came of a delivery: the file's name and its rows, or no name: the agency has all of it already."""

    report: str
    name: str | None = None
    rows: int = 0

    @property
    def sentence(self) -> str:
        """For a log and for people."""
        if self.name is None:
            return f"The report {self.report} says the same as one that was delivered before; it was left out."
        return f"The report {self.report} was delivered as {self.name} ({self.rows:,} rows)."


async def deliver_report(state: State, agency: Agency, profile: Profile, remote: Remote, at: datetime) -> Outcome:
    """Bring the profile's report, as of now, to its directory on the other side; `at` gives the file its name.

    What was on its way goes first, and is told if there is nothing newer.

    Raises `AppError` not_found if there is no such directory (none is made), invalid for a profile that cannot be
    right, unavailable and others as the other side does. All of these are kept for `deliveries.last_delivery` as well.
    """
    order = _order(agency, profile)
    try:
        if not await remote.has_directory(order.directory):
            raise _missing(order)
        begun = await _finish(state, order, profile, remote)
        ready = await asyncio.to_thread(_prepare, state, agency, profile, order, at)
        if ready:
            await _carry(state, order, remote, ready)
    except AppError as error:
        await asyncio.to_thread(_note_failure, state.database, agency, profile, order, error)
        raise
    await asyncio.to_thread(_note_success, state.database, profile)
    last = ready or begun
    return Outcome(order.wanted.report.name, last.name, last.rows) if last else Outcome(order.wanted.report.name)


@dataclass(frozen=True)
class _Order:
    """What the profile says of its report, read."""

    text: str
    wanted: Wanted
    form: Form
    directory: str
    edit: str
    """What an operator types to change it."""


def _order(agency: Agency, profile: Profile) -> _Order:
    edit = f"dropslot profile edit {agency.slug} {shlex.quote(profile.name)}"
    if not profile.report or not profile.report_directory:
        raise AppError(
            Code.INVALID,
            f"The profile {profile.name} has no report, or no directory for it.",
            f"Give it both: {edit} --report NAME --report-directory /DIRECTORY",
        )
    target, source = plain_directory(profile.report_directory), plain_directory(profile.directory)
    upload = profile.server_id is None and f"{target}/".startswith("/upload/")
    if upload or is_same_place(profile, source, target):
        raise AppError(
            Code.INVALID,
            f"In {target} the report would be taken for a file that is to be ingested.",
            f"Name another: {edit} --report-directory /DIRECTORY",
        )
    wanted, form = read_wanted(profile.report), Form(profile.report_format)
    return _Order(profile.report, wanted, form, target, edit)


def _missing(order: _Order) -> AppError:
    return AppError(
        Code.NOT_FOUND,
        f"The directory {order.directory} is not there, so the report {order.wanted.report.name} is not delivered.",
        f"Make it there, or name another: {order.edit} --report-directory /DIRECTORY",
    )


# --- what somebody has begun before


async def _finish(state: State, order: _Order, profile: Profile, remote: Remote) -> Delivery | None:
    """Bring what was on its way when somebody died, or when the other side was away, before anything newer."""
    pending = await asyncio.to_thread(_pending, state, order, profile)
    if pending:
        await _carry(state, order, remote, pending)
    return pending


def _pending(state: State, order: _Order, profile: Profile) -> Delivery | None:
    with state.database.writing(_lock(profile)) as conn:
        found = kept.find_pending(conn, profile.id)
        if found is None:
            return None
        wanted = (found.directory, found.report, found.form) == (order.directory, order.text, order.form)
        if wanted and _staged(state, found).exists():
            return found
        if wanted and abs(now() - found.at) < BUSY:
            raise AppError(Code.CONFLICT, f"The report {order.wanted.report.name} is being delivered by another node.")
        kept.drop_delivery(conn, found.id)
    _staged(state, found).unlink(missing_ok=True)
    return None


def _lock(profile: Profile) -> str:
    return f"reports of {profile.id}"


def _staged(state: State, delivery: Delivery) -> Path:
    return state.settings.data / FOLDER / f"{delivery.id}.{delivery.form}"


# --- write, compare, note


def _prepare(state: State, agency: Agency, profile: Profile, order: _Order, at: datetime) -> Delivery | None:
    """Write the report and note that it is on its way; None if it says what was delivered before."""
    _tidy(state)
    fresh = Delivery(new_id(at), agency.id, profile.id, order.text, order.form, order.directory, PENDING, at)
    staged = _staged(state, fresh)
    try:
        with state.database.reading() as conn:
            after = kept.told_up_to(conn, profile.id, order.wanted.report.name)
        ask = order.wanted.ask(agency, now(), after)
        ran = run_report(state.database, order.wanted.report, ask, staged, order.form)
        fresh = replace(fresh, content=ran.content, rows=ran.rows, size=ran.size, last=ran.last)
        noted = _note(state.database, agency, profile, order, fresh)
    except BaseException:
        staged.unlink(missing_ok=True)
        raise
    if noted is None:
        staged.unlink(missing_ok=True)
    return noted


def _name(agency: Agency, order: _Order, at: datetime) -> str:
    return f"{agency.slug}_{order.wanted.report.name}_{at:%Y%m%dT%H%M%SZ}.{order.form}"


def _note(database: Database, agency: Agency, profile: Profile, order: _Order, fresh: Delivery) -> Delivery | None:
    with database.writing(_lock(profile)) as conn:
        if kept.find_pending(conn, profile.id):
            raise AppError(Code.CONFLICT, f"The report {order.wanted.report.name} is being delivered already.")
        past = kept.was_delivered(conn, profile.id, order.directory, fresh.content or "")
        if past and profile.skip_past_reports:
            return None
        at = fresh.at
        while kept.is_taken(conn, agency.id, _name(agency, order, at)):  # by another profile with the same report
            at += timedelta(seconds=1)
        fresh = replace(fresh, name=_name(agency, order, at))
        kept.keep_delivery(conn, fresh)
        return fresh


def _tidy(state: State) -> None:
    """Remove what crashes have left in the folder, and what nobody will ever bring."""
    with state.database.writing() as conn:
        kept.give_up(conn, now() - GIVEN_UP)
        known = kept.pending_ids(conn)
    for path in (state.settings.data / FOLDER).iterdir():
        with suppress(OSError):
            if path.name.split(".")[0] not in known and path.stat().st_mtime < time.time() - LEFT_OVER:
                shutil.rmtree(path) if path.is_dir() else path.unlink()


# --- place, mark


async def _carry(state: State, order: _Order, remote: Remote, delivery: Delivery) -> None:
    staged = _staged(state, delivery)
    try:
        await remote.place(staged, delivery.directory, delivery.name or "")
    except AppError as error:
        if error.code != Code.NOT_FOUND:
            raise
        raise _missing(order) from error
    await asyncio.to_thread(_mark, state.database, delivery)
    staged.unlink(missing_ok=True)


def _mark(database: Database, delivery: Delivery) -> None:
    with database.writing() as conn:
        kept.mark_delivered(conn, delivery.id)


def _note_failure(database: Database, agency: Agency, profile: Profile, order: _Order, error: AppError) -> None:
    """Keep why, for whoever looks at the profile; if the database is away, the caller's log has to do."""
    with suppress(AppError), database.writing() as conn:
        kept.forget_failures(conn, profile.id)
        at = now()
        failed = Delivery(new_id(at), agency.id, profile.id, order.text, order.form, order.directory, FAILED, at)
        kept.keep_delivery(conn, replace(failed, detail=str(error)))


def _note_success(database: Database, profile: Profile) -> None:
    with database.writing() as conn:
        kept.forget_failures(conn, profile.id)
