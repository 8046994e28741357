"""What operators decide about exports: that there is one, when it runs, that it rests, that it ends."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import Connection

from server.agencies import Agency
from server.clock import new_id
from server.errors import AppError, Code
from server.outbound.exports.content import DATASETS
from server.outbound.exports.place import parts_of
from server.outbound.exports.store import Export, ExportState, add_export, find_export, keep_export
from server.outbound.write import Form
from server.schedule.slots import MOST_DAYS, Days, Slot, last_slot, read_time, read_weekdays
from server.zones import check_zone

STEP = 30
"""Minutes between the times that an export may have."""
PATIENCE = timedelta(minutes=10)
"""So long a slot may be late before it is called overdue."""


@dataclass(frozen=True)
class When:
    """When an export is to run, as people write it; None leaves what is. At most one of `weekdays` (mon,wed),
    `every_days` and `daily` is given."""

    at: str | None = None
    timezone: str | None = None
    weekdays: str | None = None
    every_days: int | None = None
    daily: bool = False


@dataclass(frozen=True)
class Shape:
    """What an export's files are to be and where; None leaves what is."""

    form: str | None = None
    directory: str | None = None


def create_export(
    conn: Connection, agency: Agency, dataset: str, name: str, when: When, shape: Shape, at: datetime
) -> Export:
    """Keep a new export of the agency. Raises `AppError` invalid, or conflict for a name that is taken."""
    if dataset not in DATASETS:
        raise AppError(Code.INVALID, f"There is no dataset '{dataset}'.", f"Choose one of {', '.join(DATASETS)}.")
    if when.at is None:
        raise AppError(Code.INVALID, "An export needs a time.", "For example: --at 06:00")
    schedule = _changed(Days(read_time(when.at), agency.timezone), when, at)
    form, directory = _read_shape(shape, Form.CSV, "/exports")
    export = Export(
        id=new_id(at),
        agency_id=agency.id,
        name=name or dataset,
        dataset=dataset,
        schedule=schedule,
        form=form,
        directory=directory,
        state=ExportState.ACTIVE,
        created_at=at,
        since=at,
    )
    return add_export(conn, export)


def change_export(conn: Connection, agency: Agency, name: str, when: When, shape: Shape, at: datetime) -> Export:
    """Change when an export runs, or its files from now on; slots before now are not made up for.

    Raises `AppError` not_found, invalid, or conflict for one that was cancelled.
    """
    export = _living(conn, agency, name)
    form, directory = _read_shape(shape, export.form, export.directory)
    changed = replace(export, form=form, directory=directory)
    if when != When():
        assert isinstance(export.schedule, Days)  # noqa: S101  no other is made here
        changed = replace(changed, schedule=_changed(export.schedule, when, at), since=at)
    return keep_export(conn, changed)


def pause_export(conn: Connection, agency: Agency, name: str) -> Export:
    """Let an export rest; what is written meanwhile is told when it runs again. Raises as `change_export`."""
    return keep_export(conn, replace(_living(conn, agency, name), state=ExportState.PAUSED))


def resume_export(conn: Connection, agency: Agency, name: str, at: datetime) -> Export:
    """Let an export run again from its next slot on. Raises as `change_export`."""
    export = _living(conn, agency, name)
    if export.state == ExportState.ACTIVE:
        return export
    return keep_export(conn, replace(export, state=ExportState.ACTIVE, since=at))


def cancel_export(conn: Connection, agency: Agency, name: str) -> Export:
    """End an export for good; its files stay until their time is over. Raises as `change_export`."""
    ended = replace(_living(conn, agency, name), state=ExportState.CANCELLED)
    return keep_export(conn, replace(ended, error=None, error_hint=None, error_at=None))


def overdue(export: Export, at: datetime) -> Slot | None:
    """The slot that should have run by now and has not; None if there is none."""
    if export.state != ExportState.ACTIVE:
        return None
    found = last_slot(export.schedule, export.since, at - PATIENCE)
    return found[0] if found else None


def _living(conn: Connection, agency: Agency, name: str) -> Export:
    export = find_export(conn, agency.id, name)
    if export.state == ExportState.CANCELLED:
        raise AppError(Code.CONFLICT, f"The export '{name}' was cancelled.", "Add another: dropslot export add")
    return export


def _read_shape(shape: Shape, form: str, directory: str) -> tuple[str, str]:
    wanted = (shape.form or form).lower()
    if wanted not in list(Form):
        raise AppError(Code.INVALID, f"'{wanted}' is no format.", f"Choose one of {', '.join(Form)}.")
    return Form(wanted).value, "/" + "/".join(parts_of(shape.directory or directory))


def _changed(schedule: Days, when: When, at: datetime) -> Days:
    if when.at is not None:
        schedule = replace(schedule, at=read_time(when.at))
        if schedule.at.minute % STEP:
            raise AppError(Code.INVALID, f"Exports run every full or half hour, not at {when.at}.", "Such as: 06:30")
    if when.timezone is not None:
        check_zone(when.timezone)
        schedule = replace(schedule, zone=when.timezone)
    if sum((when.weekdays is not None, when.every_days is not None, when.daily)) > 1:
        raise AppError(Code.INVALID, "Choose days of the week, or an interval of days, or neither.")
    plain = replace(schedule, weekdays=(), every=1, since=None)
    if when.weekdays is not None:
        return replace(plain, weekdays=read_weekdays(when.weekdays))
    if when.every_days is not None:
        if not 1 <= when.every_days <= MOST_DAYS:
            raise AppError(Code.INVALID, f"An interval is 1 to {MOST_DAYS} days.")
        return replace(plain, every=when.every_days, since=at.astimezone(ZoneInfo(schedule.zone)).date())
    return plain if when.daily else schedule
