"""`dropslot sync`: looking at other servers now, and what the cycles there have done."""

import asyncio
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Annotated
from zoneinfo import ZoneInfo

import typer
from sqlalchemy import Connection

from ingest import inbox
from ingest.arrival import Profile
from server.agencies import Agency, find_agency, list_agencies
from server.cli.numbers import MOST_ROWS
from server.cli.output import Json, as_dict, counted, print_json, print_list, print_one, printable, say, state_word
from server.clock import now
from server.errors import AppError, Code
from server.logs import open_log
from server.remotes.port import RemoteFile
from server.remotes.reach import refuse_untrusted
from server.remotes.server import MANAGED_ID
from server.remotes.store import find_server, list_servers
from server.state import State, open_installation
from server.sync.cycle import Viewer
from server.sync.delivery import deliver_from
from server.sync.files import known_files, to_remove
from server.sync.overdue import overdue_profiles
from server.sync.places import Standing, standing_of, standings
from server.sync.places import resume as resume_place
from server.sync.plan import Place, Task, list_places, narrow, next_run
from server.sync.reach import reach_place
from server.sync.runs import Run, last_runs, list_runs
from server.sync.syncer import Syncer

app = typer.Typer(help="Auto-Sync: files from other servers.", no_args_is_help=True)

OptionalSlug = Annotated[str | None, typer.Argument(metavar="AGENCY", help="Only of this agency.")]
OptionalProfile = Annotated[str | None, typer.Argument(metavar="PROFILE", help="Only this profile of it.")]
COUNTS = ("saw", "took", "waiting", "skipped", "failed", "removed")
BUSY_PATIENCE = 60.0
BY = "person"


@app.command("now")
def now_(
    context: typer.Context, agency: OptionalSlug = None, profile: OptionalProfile = None, as_json: Json = False
) -> None:
    """Look now: bring what is new, process it, delete there what a profile wants deleted, deliver reports, and say
    what came of it. Only profiles whose Auto-Sync is on are looked at. A parked server is tried too, and goes on by
    itself if it answers. A running server need not be stopped. Exit status 1 if a profile ended with an error.
    """
    with open_installation(context.obj) as state:
        tasks = _wanted(state, agency, profile)
        with _bars(not as_json) as viewer:
            runs = asyncio.run(_sync(state, tasks, viewer))
        files = _processed(state, runs)
        runs += asyncio.run(_sync(state, _tidying(state, tasks), Viewer()))
        with state.database.reading() as conn:
            documents = [_document(run, Names.read(conn)) for run in runs]
            alarms = list(_alarms(conn, tasks))
    for sentence in alarms:
        typer.echo(f"dropslot: {printable(sentence)}", err=True)
    if as_json:
        print_json({"runs": documents, "files": files})
    else:
        for line in _summary(documents, files):
            say(printable(line))
    if any(run.error for run in runs):
        sys.exit(1)


@app.command()
def log(
    context: typer.Context,
    agency: OptionalSlug = None,
    profile: OptionalProfile = None,
    limit: Annotated[int, typer.Option(help="At most so many runs, newest first.", min=1, max=MOST_ROWS)] = 20,
    all_: Annotated[bool, typer.Option("--all", help="Also runs in which nothing happened.")] = False,
    as_json: Json = False,
) -> None:
    """Show what the cycles saw, took and left, and why."""
    with open_installation(context.obj) as state, state.database.reading() as conn:
        names = Names.read(conn)
        runs = list_runs(conn, _chosen(conn, agency, profile), limit, eventful=not all_)
        documents = [_document(run, names) for run in runs]
        elsewhere = list(_elsewhere(conn, agency, profile, names)) if agency else []
    if as_json:
        print_json(documents)
    elif not documents:
        say("Nothing has happened yet." if not all_ else "No cycle has run yet.")
    else:
        for document in documents:
            for line in _told(document):
                say(printable(line))
    if not as_json and agency:
        for line in elsewhere:
            say(printable(line))


@app.command("list")
def list_(context: typer.Context, agency: OptionalSlug = None, as_json: Json = False) -> None:
    """List the profiles on other servers, or with a report: how it goes with each, and when it is looked at next."""
    with open_installation(context.obj) as state, state.database.reading() as conn:
        owner = find_agency(conn, agency).id if agency else None
        known, last = standings(conn), last_runs(conn)
        late = {one.profile.id for one in overdue_profiles(conn, now())}
        rows = [
            _listed(place, profile, known.get(place.id, Standing(place.id)), last.get(profile.id), profile.id in late)
            for place in list_places(conn)
            for profile in place.profiles
            if owner in (None, profile.agency_id)
        ]
    if not as_json:
        rows = [{key: _local(value, str(row["timezone"])) or value for key, value in row.items()} for row in rows]
    columns = ("agency", "profile", "server", "state", "auto_sync", "cycle", "last_run", "next_run", "error")
    empty = "No profile is on another server yet. Add a server (dropslot server add), then a profile (profile add)."
    print_list(rows, as_json, columns, empty)


@app.command()
def resume(
    context: typer.Context,
    server: Annotated[str, typer.Argument(metavar="SERVER", help="The parked server; managed for our own endpoint.")],
    as_json: Json = False,
) -> None:
    """Have a parked server tried again: its cause is mended."""
    with open_installation(context.obj) as state, state.database.writing() as conn:
        wanted = find_server(conn, server)
        homes = [agency.id for agency in list_agencies(conn)]  # of our own endpoint, each home stands for itself
        ids = homes if wanted.id == MANAGED_ID else [wanted.id]
        resumed = [id_ for id_ in ids if standing_of(conn, id_).failures]
        for id_ in resumed:
            resume_place(conn, id_, now())
    sentence = f"{server} is tried again now." if resumed else f"{server} was not parked."
    print_one({"server": server, "resumed": bool(resumed)}, as_json, sentence)


# --- looking now


def _wanted(state: State, slug: str | None, name: str | None) -> list[Task]:
    with state.database.reading() as conn:
        owner = find_agency(conn, slug) if slug else None
        profile = inbox.find_profile(conn, owner.id, name) if owner and name else None
        tasks = narrow(list_places(conn), owner.id if owner else None, name)
    if tasks:
        return tasks
    if profile and profile.server_id is None:
        hint = "Files are taken there as they come; those that nobody announced with: dropslot sweep"
        raise AppError(Code.INVALID, f"The profile {name} is on our own endpoint, and has no report.", hint)
    if profile:
        hint = f"Switch it on with: dropslot profile edit {slug} {name} --auto-sync"
        raise AppError(Code.INVALID, f"The Auto-Sync of the profile {name} is off.", hint)
    raise _nothing_on(state, slug)


def _nothing_on(state: State, slug: str | None) -> AppError:
    """No profile is looked at: none is there, or the Auto-Sync of all is off."""
    with state.database.reading() as conn:
        names = Names.read(conn)
    off = [
        f"{names.agencies[one.agency_id].slug} {one.name}"
        for one in names.profiles.values()
        if one.server_id and not one.auto_sync and slug in (None, names.agencies[one.agency_id].slug)
    ]
    sentence = "No profile is on another server with its Auto-Sync on."
    if off:
        hint = "\n".join(f"Switch it on with: dropslot profile edit {one} --auto-sync" for one in off[:3])
        return AppError(Code.INVALID, sentence, hint)
    hint = f"Add one with: dropslot profile add {slug or 'AGENCY'} NAME --template T --server S --auto-sync"
    return AppError(Code.NOT_FOUND, sentence, hint)


def _alarms(conn: Connection, tasks: Sequence[Task]) -> Iterator[str]:
    """What nobody may miss, wherever the rest is written: with these servers nothing goes on by itself."""
    servers = {server.id: server for server in list_servers(conn)}
    for place in (task.place for task in tasks):
        server = servers.get(place.server.id, place.server)
        try:
            refuse_untrusted(server)
        except AppError as refusal:
            yield str(refusal)
        else:
            if standing_of(conn, place.id).parked_at:
                yield f"{server.name} stays parked. Once its cause is mended: dropslot sync resume {server.name}"


def _tidying(state: State, tasks: Sequence[Task]) -> list[Task]:
    """What is to be deleted there now that it is processed."""
    with state.database.reading() as conn:
        return [Task(one.place, ()) for one in tasks if to_remove(conn, one.place.server.id, untried=True)]


async def _sync(state: State, tasks: Sequence[Task], viewer: Viewer) -> list[Run]:
    log = open_log("critical")
    syncer = Syncer(state, log, reach_place(state, log), deliver_from(state), viewer)
    results = await asyncio.gather(*(_work(syncer, task) for task in tasks))
    return [run for runs in results for run in runs]


async def _work(syncer: Syncer, task: Task) -> list[Run]:
    """Do the task, after a cycle that the running server may have at the same place."""
    until = time.monotonic() + BUSY_PATIENCE
    while (runs := await syncer.work(task, BY)) is None:
        if time.monotonic() > until:
            raise AppError(
                Code.CONFLICT,
                f"A cycle of the running server is at {task.place.name} just now, and takes long.",
                "See what comes of it with: dropslot sync log",
            )
        await asyncio.sleep(0.5)
    return runs


@contextmanager
def _bars(wanted: bool) -> Iterator[Viewer]:
    """A progress bar for each file that is brought, on standard error if that is a terminal."""
    if not (wanted and sys.stderr.isatty()):
        yield Viewer()
        return
    from rich.console import Console  # slow to import: the other commands do without
    from rich.markup import escape
    from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn, TransferSpeedColumn

    columns = TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn()
    bars: dict[tuple[str, str], TaskID] = {}
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:

        def begin(place: Place, file: RemoteFile) -> None:
            text = escape(printable(f"{place.server.name}:{file.path}"))
            bars[place.id, file.path] = progress.add_task(text, total=file.size)

        def go_on(place: Place, file: RemoteFile, count: int) -> None:
            progress.update(bars[place.id, file.path], completed=count)

        def end(place: Place, file: RemoteFile) -> None:
            progress.remove_task(bars.pop((place.id, file.path)))

        yield Viewer(begin, go_on, end)


def _processed(state: State, runs: Sequence[Run]) -> list[dict[str, object]]:
    """Have what was brought processed, here or by a running server; what came of each file."""
    from server.cli.job import settled  # with the engine

    log = open_log("critical")
    uploads = [settled(state, log, arrival_id) for run in runs for arrival_id in run.arrivals]
    names = ("id", "arrival_id", "file", "status", "rows", "error_rows")
    return [
        {**{name: getattr(one, name) for name in names}, "error": one.error and one.error.message} for one in uploads
    ]


def _summary(runs: Sequence[dict[str, object]], files: Sequence[dict[str, object]]) -> Iterator[str]:
    for run in runs:
        yield from _told(run)
    for file in files:
        problem = f": {file['error']}" if file["error"] else ""
        rows = counted(int(str(file["rows"] or 0)), "row")
        status = state_word(str(file["status"]))
        yield f"{file['file']}: {status}, {rows}, {file['error_rows'] or 0} with errors{problem}"
    names = ("took", "waiting", "failed", "removed")
    totals = {name: sum(int(str(run[name])) for run in runs) for name in names}
    profiles = len({(run["agency"], run["profile"]) for run in runs})
    errors = sum(bool(run["error"]) for run in runs)
    told = [f"{counted(totals['took'], 'file')} taken", f"{totals['waiting']} waiting"]
    if totals["failed"] or not errors:  # what ended with an error did not count its files
        told.append(f"{totals['failed']} failed")
    told.append(f"{totals['removed']} deleted there")
    failed = f" {counted(errors, 'profile')} ended with an error, see above." if errors else ""
    yield f"{counted(profiles, 'profile')}: {', '.join(told)}.{failed}"


# --- telling


@dataclass(frozen=True)
class Names:
    """What people call the things that have ids."""

    agencies: dict[str, Agency]
    profiles: dict[str, Profile]
    servers: dict[str, str]

    @classmethod
    def read(cls, conn: Connection) -> "Names":
        """All of them."""
        agencies = {agency.id: agency for agency in list_agencies(conn)}
        profiles = {one.id: one for agency_id in agencies for one in inbox.list_profiles(conn, agency_id)}
        return cls(agencies, profiles, {server.id: server.name for server in list_servers(conn)})


def _chosen(conn: Connection, slug: str | None, name: str | None) -> list[str] | None:
    if slug is None:
        return None
    owner = find_agency(conn, slug)
    profiles = [inbox.find_profile(conn, owner.id, name)] if name else inbox.list_profiles(conn, owner.id)
    return [profile.id for profile in profiles]


def _elsewhere(conn: Connection, slug: str, name: str | None, names: Names) -> Iterator[str]:
    """Files on another server that a profile would take, if another one did not take them."""
    chosen = _chosen(conn, slug, name) or []
    for profile in (names.profiles[one] for one in chosen):
        if profile.server_id is None:
            continue
        alone = [replace(profile, auto_sync=True)]
        for known in known_files(conn, profile.server_id).values():
            taker = names.profiles.get(known.profile_id)
            if taker is None or taker.id == profile.id or known.gone_at or known.removed_at:
                continue
            folder = known.path.rsplit("/", 1)[0] or "/"
            if inbox.choose(known.file.name, folder, alone).profile:
                whose = names.agencies[taker.agency_id].slug
                yield f"{known.path}: goes to {whose}/{taker.name}, not to {slug}/{profile.name}"


def _document(run: Run, names: Names) -> dict[str, object]:
    agency, profile = names.agencies.get(run.agency_id), names.profiles.get(run.profile_id)
    return {
        "agency": agency.slug if agency else run.agency_id,
        "profile": profile.name if profile else run.profile_id,
        "server": names.servers.get(run.place_id, MANAGED_ID if run.place_id == run.agency_id else run.place_id),
        **{key: value for key, value in as_dict(run).items() if not key.endswith("_id") and key != "arrivals"},
        "files": [as_dict(note) for note in run.files],
        "timezone": agency.timezone if agency else "UTC",
    }


def _told(document: dict[str, object]) -> Iterator[str]:
    counts = ", ".join(f"{name} {document[name]}" for name in COUNTS if document[name] or name == "saw")
    when = _local(document["started_at"], str(document["timezone"]))
    yield f"{when}  {document['agency']}/{document['profile']} on {document['server']}: {counts}"
    if document["report"]:
        yield f"  report    {document['report']}"
    files = document["files"]
    for note in files if isinstance(files, list) else []:
        yield f"  {note['what']:<8}  {note['path']}" + (f": {note['why']}" if note["why"] else "")
    if document["waiting"] and document["again_at"]:
        again = _local(document["again_at"], str(document["timezone"]), "%H:%M:%S")
        yield f"  looked at again at {again}: a file must not have changed for DROPSLOT_QUIET_TIME"
    if document["error"]:
        yield f"  ERROR     {document['error']} {document['hint'] or ''}".rstrip()


def _listed(place: Place, profile: Profile, standing: Standing, last: Run | None, late: bool) -> dict[str, object]:
    agency = place.agencies[profile.agency_id]
    active = place.is_active(profile) and standing.parked_at is None
    coming = next_run(place, profile, standing, last) or now() if active else None
    usable = place.is_home or place.server.usable
    return {
        "agency": agency.slug,
        "profile": profile.name,
        "server": place.server.name,
        "state": f"host key {place.server.host_key_state}" if not usable else "overdue" if late else standing.state,
        "auto_sync": profile.auto_sync,
        "cycle": profile.cycle,
        "last_run": last.started_at if last else None,
        "next_run": coming,
        "timezone": agency.timezone,
        "error": standing.error or (last.error if last else None),
        "hint": standing.hint or (last.hint if last else None),
    }


def _local(at: object, zone: str, form: str = "%Y-%m-%d %H:%M") -> str:
    return at.astimezone(ZoneInfo(zone)).strftime(f"{form} %Z") if isinstance(at, datetime) else ""
