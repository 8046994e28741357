"""`dropslot sync`: looking at other servers now, and what the cycles there have done."""

import asyncio
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Annotated

import typer

from ingest import inbox
from server.agencies import find_agency
from server.cli.output import Json, print_json
from server.errors import AppError, Code
from server.logs import open_log
from server.remotes.port import RemoteFile
from server.state import State, open_state
from server.sync.cycle import Viewer
from server.sync.places import resume as resume_place
from server.sync.places import standing_of
from server.sync.plan import Place, Task, list_places, narrow
from server.sync.reach import reach_place
from server.sync.runs import Run
from server.sync.syncer import Syncer

app = typer.Typer(help="Auto-Sync: files from other servers.", no_args_is_help=True)

OptionalSlug = Annotated[str | None, typer.Argument(metavar="[AGENCY]", help="Only of this agency.")]
OptionalProfile = Annotated[str | None, typer.Argument(metavar="[PROFILE]", help="Only this profile of it.")]
COUNTS = ("saw", "took", "waiting", "skipped", "failed", "removed")
BUSY_PATIENCE = 60.0
PROCESSING_PATIENCE = 600.0
BY = "person"


@app.command("now")
def now_(
    context: typer.Context, agency: OptionalSlug = None, profile: OptionalProfile = None, as_json: Json = False
) -> None:
    """Look now: bring what is new, process it, and say what came of it. A running server need not be stopped."""
    with open_state(context.obj) as state:
        tasks = _wanted(state, agency, profile)
        _refuse_parked(state, tasks)
        with _bars(not as_json) as viewer:
            runs = asyncio.run(_sync(state, tasks, viewer))
        taken = _settle(state, runs)
        with state.database.reading() as conn:
            rows = [row for run in runs for row in _row(conn, run)]
    if as_json:
        print_json({"runs": rows, "files": taken})
    else:
        _say_summary(runs, rows, taken)
    if any(run.error for run in runs):
        sys.exit(1)


def _wanted(state: State, slug: str | None, name: str | None) -> list[Task]:
    with state.database.reading() as conn:
        owner = find_agency(conn, slug) if slug else None
        profile = inbox.find_profile(conn, owner.id, name) if owner and name else None
        tasks = narrow(list_places(conn), owner.id if owner else None, name)
    if tasks:
        return tasks
    if profile and profile.server_id is None:
        hint = "Files of the managed endpoint are taken as they come; for those that nobody announced: dropslot sweep"
        raise AppError(Code.INVALID, f"The profile {name} is on our own endpoint.", hint)
    if profile:
        hint = f"Switch it on with: dropslot profile edit {slug} {name} --auto-sync"
        raise AppError(Code.INVALID, f"The Auto-Sync of the profile {name} is off.", hint)
    hint = "Add one with: dropslot profile add AGENCY NAME --template T --server S --auto-sync"
    raise AppError(Code.NOT_FOUND, "No profile is on another server with its Auto-Sync on.", hint)


def _refuse_parked(state: State, tasks: Sequence[Task]) -> None:
    """A person who asks for it has a parked place tried again."""
    with state.database.writing() as conn:
        for task in tasks:
            if standing_of(conn, task.place.id).parked_at:
                resume_place(conn, task.place.id)


async def _sync(state: State, tasks: Sequence[Task], viewer: Viewer) -> list[Run]:
    log = open_log("critical")
    syncer = Syncer(state, log, reach_place(state, log), viewer=viewer)
    results = await asyncio.gather(*(_work(syncer, task) for task in tasks))
    return [run for runs in results for run in runs]


async def _work(syncer: Syncer, task: Task) -> list[Run]:
    """Do the task, after a cycle of the running server at the same place."""
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
    from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn, TransferSpeedColumn

    columns = TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn()
    bars: dict[tuple[str, str], TaskID] = {}
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:

        def begin(place: Place, file: RemoteFile) -> None:
            text = f"{place.server.name}:{file.path}".replace("[", "\\[")
            bars[place.id, file.path] = progress.add_task(text, total=file.size)

        def go_on(place: Place, file: RemoteFile, count: int) -> None:
            progress.update(bars[place.id, file.path], completed=count)

        def end(place: Place, file: RemoteFile) -> None:
            progress.remove_task(bars.pop((place.id, file.path)))

        yield Viewer(begin, go_on, end)


def _settle(state: State, runs: Sequence[Run]) -> list[dict[str, object]]:
    """Have what was taken processed, here or by a running server; what came of each file."""
    from server.cli.job import settled  # with the engine

    log, documents = open_log("critical"), []
    for arrival_id in _fresh(state, runs):
        upload = settled(state, log, arrival_id)
        documents.append(
            {
                "arrival": arrival_id,
                "file": upload.file,
                "status": str(upload.status),
                "rows": upload.rows,
                "error_rows": upload.error_rows,
                "upload": upload.id,
            }
        )
    return documents


def _fresh(state: State, runs: Sequence[Run]) -> list[str]:
    """The arrivals that these runs have made, in their order."""
    with state.database.reading() as conn:
        return arrivals_since(conn, runs)
