"""One run of an export: from one moment of the database to a file in the agency's /exports.

     1  claim      the slot, over all nodes
     2  make       in ONE snapshot: the number of the agency's last write, and what was done since the number of the
                   last run; the file is written to the staging folder, durable
     3  keep       in ONE transaction: the slot is finished, the run is known, the export's watermark is the number
     4  deliver    a copy of the staged file, whole or not at all
     5  tell       that it was delivered

Whoever dies before 3 has done nothing: somebody claims the slot again and makes the file anew. Whoever dies after it
has done it all: the file is delivered from the staging folder, under a name that only this run has.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sqlalchemy import Connection

from ingest import inbox
from server.agencies import agency_by_id
from server.clock import new_id
from server.errors import AppError, Code
from server.intake.archive import hash_file
from server.outbound.exports.content import columns_of, tell, tell_all
from server.outbound.exports.place import Known, Sight, parts_of, put, search
from server.outbound.exports.staging import Staging
from server.outbound.exports.store import (
    Export,
    ExportState,
    Run,
    add_run,
    delivered_up_to,
    export_by_id,
    keep_export,
    mark_run,
    moved_to,
    name_is_taken,
)
from server.outbound.write import Form, write_table
from server.schedule.claims import claim, finish, release
from server.schedule.slots import Slot
from server.state import State

LATE = timedelta(minutes=5)


@dataclass(frozen=True)
class Task:
    """The slot that is to run, who runs it and from when on; `note` is told with the run. With `whole` all records are
    told, whatever was told before; and what was deleted since the last file that has arrived."""

    slot: Slot
    owner: str
    at: datetime
    note: str = ""
    whole: bool = False


def staging_of(state: State) -> Staging:
    """Where the files of this installation's exports are made."""
    return Staging(state.settings.staging)


def run_export(state: State, export_id: str, task: Task) -> Run | None:
    """Run the export in that slot, up to 3; None if somebody else does or has done it, or the export was changed.

    Raises `AppError` as the database and the disk give cause to.
    """
    name = f"export {export_id}"
    with state.database.writing() as conn:
        if not claim(conn, name, task.slot.name, task.owner, task.at):
            return None
    run_id = new_id(task.at)
    try:
        run = _make(state, export_id, run_id, task)
        kept = _keep(state, run, name, task)
    except BaseException:
        _give_up(state, run_id, name, task)
        raise
    if kept is None:
        _give_up(state, run_id, name, task)
    return kept


def _give_up(state: State, run_id: str, name: str, task: Task) -> None:
    staging_of(state).drop(run_id)
    with state.database.writing() as conn:
        release(conn, name, task.slot.name, task.owner)


def _make(state: State, export_id: str, run_id: str, task: Task) -> Run:
    staging = staging_of(state)
    target = staging.place(run_id)
    with state.database.reading() as conn:
        export = export_by_id(conn, export_id)
        upto, told = inbox.last_number(conn, export.agency_id), export.watermark
        if task.whole and told is not None:
            rows = tell_all(conn, export.dataset, export.agency_id, delivered_up_to(conn, export), told)
        else:
            rows = tell(conn, export.dataset, export.agency_id, told)
        written = write_table(target, Form(export.form), columns_of(export.dataset), rows)
        slug = agency_by_id(conn, export.agency_id).slug
    staging.settle()
    return Run(
        id=run_id,
        export_id=export.id,
        slot=task.slot.name,
        due_at=task.slot.at,
        started_at=task.at,
        after=export.watermark,
        upto=upto,
        directory=export.directory,
        file=_stem(export, slug, task.at),
        size=target.stat().st_size,
        sha256=hash_file(target),
        rows=written.rows,
        note=task.note,
    )


def _stem(export: Export, slug: str, at: datetime) -> str:
    named = export.dataset if export.name == export.dataset else f"{export.dataset}_{export.name}"
    return f"{slug}_{named}_{at:%Y-%m-%dT%H%M%SZ}"


def _keep(state: State, run: Run, name: str, task: Task) -> Run | None:
    """None if the export is not what it was when the file was made."""
    with state.database.writing() as conn:
        export = export_by_id(conn, run.export_id)
        unchanged = export.watermark == run.after and export.state != ExportState.CANCELLED
        if not unchanged or not finish(conn, name, run.slot, task.at):
            return None
        run = replace(run, file=_free_name(conn, export, run.file), after=None if task.whole else run.after)
        add_run(conn, run)
        keep_export(conn, moved_to(export, run))
    return run


def _free_name(conn: Connection, export: Export, stem: str) -> str:
    """The name of the file: no other of the agency has ever had it."""
    name, number = f"{stem}.{export.form}", 1
    while name_is_taken(conn, export.agency_id, name):
        number += 1
        name = f"{stem}-{number}.{export.form}"
    return name


def deliver(state: State, run: Run, at: datetime, fresh: bool = False) -> Run:
    """Put the file of a run where it belongs; may be done again. Raises `AppError` conflict, unavailable, and OSError.

    Unless the run is `fresh`, somebody may have died once the file was there, and the agency have moved it since.
    """
    staged = staging_of(state).place(run.id)
    if not staged.exists():
        hint = "Have all records written once more: dropslot export run AGENCY NAME --everything"
        raise AppError(Code.UNAVAILABLE, f"The file {run.file} was lost before it was delivered.", hint)
    with state.database.reading() as conn:
        home = state.settings.home(agency_by_id(conn, export_by_id(conn, run.export_id).agency_id).slug)
    there = not fresh and search(home, known(run)) is not None
    if not there and put(home, parts_of(run.directory), known(run), staged) == Sight.ALTERED:
        raise AppError(
            Code.CONFLICT,
            f"{run.directory} has another file named {run.file} already.",
            "Rename that one; the export's file follows by itself.",
        )
    delivered = replace(run, delivered_at=at)
    with state.database.writing() as conn:
        mark_run(conn, delivered)
    return delivered


def known(run: Run) -> Known:
    """How the file of a run is known."""
    return Known(run.file, run.size, run.sha256)


def late_note(slot: Slot, missed: int, at: datetime) -> str:
    """What is to be said of a slot that runs at `at` only, after so many that did not run at all; or nothing."""
    told = []
    if at - slot.at >= LATE:
        told.append(f"Due {slot.at:%Y-%m-%d %H:%M} UTC, run {_length(at - slot.at)} late.")
    if missed:
        slots = "1 earlier slot was" if missed == 1 else f"{missed:,} earlier slots were"
        told.append(f"{slots} missed; what they would have told is in this file.")
    return " ".join(told)


def _length(delay: timedelta) -> str:
    minutes = delay // timedelta(minutes=1)
    days, hours, minutes = minutes // 1440, minutes // 60 % 24, minutes % 60
    parts = [f"{number} {unit}" for number, unit in ((days, "d"), (hours, "h"), (minutes, "min")) if number]
    return " ".join(parts[:2])
