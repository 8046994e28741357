"""`dropslot export`: what was written to an agency's records since the last time, as a file in its /exports."""

import os
import socket
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated
from zoneinfo import ZoneInfo

import typer

from server.agencies import Agency, find_agency, list_agencies
from server.cli.numbers import MOST_ROWS
from server.cli.output import Json, as_dict, print_json, print_list, print_one, say
from server.clock import now
from server.errors import AppError, Code
from server.outbound.exports.plan import (
    Shape,
    When,
    cancel_export,
    change_export,
    create_export,
    overdue,
    pause_export,
    resume_export,
)
from server.outbound.exports.run import Task, deliver, run_export
from server.outbound.exports.store import Export, ExportState, Run, find_export, list_exports, list_runs, note_error
from server.schedule.slots import Days, Slot, next_slot
from server.state import State, open_installation

app = typer.Typer(
    help="Scheduled exports: what was written to an agency's records since the last time, as a file in its /exports.",
    no_args_is_help=True,
)

SHOWN = 10
_PLACED = "{when}, {place}"
Slug = Annotated[str, typer.Argument(metavar="AGENCY", help="The agency's slug.")]
Name = Annotated[str, typer.Argument(metavar="NAME", help="The export's name: its dataset, or another.")]
OptionalSlug = Annotated[str | None, typer.Argument(metavar="AGENCY", help="Only of this agency.")]
Zone = Annotated[str | None, typer.Option(help="IANA time zone of that time.", show_default="the agency's")]
Weekdays = Annotated[str | None, typer.Option(help="Only on these days, such as mon,wed,fri.")]
EveryDays = Annotated[int | None, typer.Option(help="Only every so many days, from today on.")]
Format = Annotated[str | None, typer.Option("--format", help="csv, txt (with pipes) or xlsx.", show_default="csv")]
Directory = Annotated[str | None, typer.Option(help="Directory of the agency for the files.", show_default="/exports")]


@app.command()
def add(
    context: typer.Context,
    agency: Slug,
    dataset: Annotated[str, typer.Argument(help="clients, contacts, cases, events, payments or parties.")],
    at: Annotated[str, typer.Option(help="Local time as HH:MM, a full or half hour.")],
    timezone: Zone = None,
    weekdays: Weekdays = None,
    every_days: EveryDays = None,
    form: Format = None,
    directory: Directory = None,
    name: Annotated[str, typer.Option(help="A name for the export.", show_default="the dataset")] = "",
    as_json: Json = False,
) -> None:
    """Export a dataset at a time of each day, or of some days; the first file holds everything."""
    with open_installation(context.obj) as state, state.database.writing() as conn:
        owner, when = find_agency(conn, agency), When(at, timezone, weekdays, every_days)
        export = create_export(conn, owner, dataset, name, when, Shape(form, directory), now())
    _tell(export, owner, as_json, f"Export {export.name} of {agency}: {_PLACED}.")


@app.command()
def edit(
    context: typer.Context,
    agency: Slug,
    name: Name,
    at: Annotated[str | None, typer.Option(help="Local time as HH:MM, a full or half hour.")] = None,
    timezone: Annotated[str | None, typer.Option(help="IANA time zone of that time.")] = None,
    weekdays: Weekdays = None,
    every_days: EveryDays = None,
    daily: Annotated[bool, typer.Option("--daily", help="On each day again.")] = False,
    form: Annotated[str | None, typer.Option("--format", help="csv, txt (with pipes) or xlsx.")] = None,
    directory: Annotated[str | None, typer.Option(help="Directory of the agency for the files.")] = None,
    as_json: Json = False,
) -> None:
    """Change when an export runs, or what its next files are."""
    with open_installation(context.obj) as state, state.database.writing() as conn:
        owner, when = find_agency(conn, agency), When(at, timezone, weekdays, every_days, daily)
        export = change_export(conn, owner, name, when, Shape(form, directory), now())
        if (when, form, directory) == (When(), None, None):
            raise AppError(Code.INVALID, "Nothing to change.", "Name what is to be otherwise, such as --at 06:30.")
    _tell(export, owner, as_json, f"Export {name} of {agency}: {_PLACED}.")


@app.command()
def pause(context: typer.Context, agency: Slug, name: Name, as_json: Json = False) -> None:
    """Let an export rest; what is written meanwhile is in the first file afterwards."""
    with open_installation(context.obj) as state, state.database.writing() as conn:
        owner = find_agency(conn, agency)
        rests = find_export(conn, owner.id, name).state == ExportState.PAUSED
        export = pause_export(conn, owner, name)
    since = "paused already" if rests else "paused"
    _tell(
        export,
        owner,
        as_json,
        f"Export {name} of {agency} is {since}. Go on with: dropslot export resume {agency} {name}",
    )


@app.command()
def resume(context: typer.Context, agency: Slug, name: Name, as_json: Json = False) -> None:
    """Let an export run again, from its next time on."""
    with open_installation(context.obj) as state, state.database.writing() as conn:
        owner = find_agency(conn, agency)
        export = resume_export(conn, owner, name, now())
    _tell(export, owner, as_json, f"Export {name} of {agency} runs again: {{when}}.")


@app.command()
def cancel(context: typer.Context, agency: Slug, name: Name, as_json: Json = False) -> None:
    """End an export for good; its files stay until they are too old."""
    with open_installation(context.obj) as state, state.database.writing() as conn:
        owner = find_agency(conn, agency)
        export = cancel_export(conn, owner, name)
    _tell(export, owner, as_json, f"Export {name} of {agency} is cancelled.")


@app.command()
def run(
    context: typer.Context,
    agency: Slug,
    name: Name,
    everything: Annotated[
        bool, typer.Option("--everything", help="All records, also those that were exported before.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Run an export now, beside its schedule: the next file goes on where this one ends."""
    with open_installation(context.obj) as state:
        with state.database.reading() as conn:
            export = find_export(conn, find_agency(conn, agency).id, name)
        if export.state == ExportState.CANCELLED:
            raise AppError(Code.CONFLICT, f"The export '{name}' was cancelled.", "Add another: dropslot export add")
        done = _run_now(state, export, everything)
    rows = f"{done.rows:,} row{'' if done.rows == 1 else 's'}" if done.rows else "no news, the header alone"
    print_one(as_dict(done), as_json, f"{done.directory}/{done.file}: {rows}.")


def _run_now(state: State, export: Export, everything: bool) -> Run:
    at = now()
    slot = Slot(at, f"by hand {at:%Y-%m-%dT%H:%M:%S.%fZ}")
    task = Task(slot, f"{socket.gethostname()}-{os.getpid()}", at, "Run by hand.", everything)
    done = run_export(state, export.id, task)
    if done is None:
        raise AppError(Code.CONFLICT, "The export ran or was changed just now.", "Try again.")
    done = deliver(state, done, now(), fresh=True)
    with state.database.writing() as conn:
        note_error(conn, export.id, None, now())
    return done


@app.command("list")
def list_(
    context: typer.Context,
    agency: OptionalSlug = None,
    cancelled: Annotated[bool, typer.Option("--cancelled", help="Also those that were cancelled.")] = False,
    as_json: Json = False,
) -> None:
    """List the exports of an agency, or of all."""
    with open_installation(context.obj) as state, state.database.reading() as conn:
        owners = {one.id: one for one in ([find_agency(conn, agency)] if agency else list_agencies(conn))}
        found = [one for one in list_exports(conn, cancelled=cancelled) if one.agency_id in owners]
        documents = [
            _document(export, owners[export.agency_id]) | _last(list_runs(conn, export.id, 1)) for export in found
        ]
    rows = documents if as_json else [_spoken(*pair) for pair in zip(documents, found, strict=True)]
    columns = (
        "agency",
        "name",
        "dataset",
        "schedule",
        "format",
        "directory",
        "state",
        "last",
        "next",
        "overdue",
        "error",
    )
    empty = "No export yet. Add one with: dropslot export add AGENCY DATASET --at HH:MM"
    print_list(rows, as_json, columns, empty)


@app.command()
def show(
    context: typer.Context,
    agency: Slug,
    name: Name,
    limit: Annotated[int, typer.Option(help="At most so many runs.", min=1, max=MOST_ROWS)] = SHOWN,
    as_json: Json = False,
) -> None:
    """Show an export, what went wrong last, and its last runs."""
    with open_installation(context.obj) as state, state.database.reading() as conn:
        owner = find_agency(conn, agency)
        export = find_export(conn, owner.id, name)
        runs = list_runs(conn, export.id, limit)
    document = _document(export, owner)
    if as_json:
        print_json({**document, "runs": [as_dict(one) for one in runs]})
        return
    print_one({key: value for key, value in _spoken(document, export).items() if value is not None}, False)
    say("")
    rows = [_told(one, export) for one in runs]
    print_list(rows, False, ("run", "rows", "file", "state", "put_back", "note"), "It has not run yet.")


def _document(export: Export, owner: Agency) -> dict[str, object]:
    runs = export.state == ExportState.ACTIVE and owner.enabled
    following = next_slot(export.schedule, max(export.since, now())) if runs else None
    late = overdue(export, now()) if runs else None
    return {
        "agency": owner.slug,
        "name": export.name,
        "dataset": export.dataset,
        "schedule": str(export.schedule),
        "format": export.form,
        "directory": export.directory,
        "state": export.state,
        "next": following and following.at,
        "overdue": late and late.at,
        "error": export.error and f"{export.error} {export.error_hint or ''}".strip(),
        "error_at": export.error_at,
        "upto": export.watermark,
        "id": export.id,
    }


def _spoken(document: Mapping[str, object], export: Export) -> dict[str, object]:
    """A document for people: instants in the export's zone."""
    shown = {key: _local(value, export) if isinstance(value, datetime) else value for key, value in document.items()}
    late = shown["overdue"]
    return {**shown, "overdue": late and f"since {late}: is the server running?"}


def _last(runs: list[Run]) -> dict[str, object]:
    return {"last": runs[0].started_at if runs else None}


def _told(run: Run, export: Export) -> dict[str, object]:
    state = "removed" if run.removed_at else "delivered" if run.delivered_at else "on its way"
    return {
        "run": _local(run.started_at, export),
        "rows": run.rows,
        "file": f"{run.directory}/{run.file}",
        "state": state,
        "put_back": {0: None, 1: "once", 2: "twice"}.get(run.copies, f"{run.copies} times"),
        "note": run.note,
    }


def _local(at: datetime, export: Export) -> str:
    zone = export.schedule.zone if isinstance(export.schedule, Days) else "UTC"
    return at.astimezone(ZoneInfo(zone)).strftime("%Y-%m-%d %H:%M %Z")


def _tell(export: Export, owner: Agency, as_json: bool, sentence: str) -> None:
    document = _document(export, owner)
    following = _spoken(document, export)["next"]
    when = f"{export.schedule} (next: {following})" if following else f"{export.schedule} (it is {export.state})"
    said = sentence.replace("{when}", when).replace("{place}", f"into {export.directory} as {export.form}")
    print_one(document, as_json, said)
