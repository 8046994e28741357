"""`dropslot profile`: which files go through which template, from where, and what is delivered there."""

from collections.abc import Iterator
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any
from zoneinfo import ZoneInfo

import typer
from sqlalchemy import Connection

from ingest import inbox
from ingest.arrival import Profile
from server.agencies import Agency, find_agency, list_agencies
from server.cli.output import Json, as_dict, print_json, print_list, print_one, printable, say
from server.clock import now
from server.errors import AppError, Code
from server.outbound.deliveries import CHANGED, report_in, told_up_to
from server.remotes.server import MANAGED_ID
from server.services.provision import make_directory
from server.state import open_installation
from server.sync.overdue import find_overdue
from server.sync.overlap import tell_overlaps
from server.sync.places import Standing, standing_of
from server.sync.plan import list_places, next_run
from server.sync.profiles import create_profile, edit_profile, server_of
from server.sync.runs import Run, last_runs

app = typer.Typer(
    help="Add, change and list profiles: a directory and words in the name lead to one template.", no_args_is_help=True
)

Slug = Annotated[str, typer.Argument(metavar="AGENCY", help="The agency's slug.")]
OptionalSlug = Annotated[str | None, typer.Argument(metavar="AGENCY", help="Only of this agency.")]
NONE = "none"
CLEARABLE = ("keyword", "blockword", "expect", "report", "report_directory")


class Order(StrEnum):
    """`ingest.arrival.ORDERS` for the command line."""

    OLDEST = "oldest"
    NEWEST = "newest"
    NAME = "name"
    NAME_DESCENDING = "name-descending"


class Format(StrEnum):
    """`ingest.arrival.REPORT_FORMATS` for the command line."""

    CSV = "csv"
    TXT = "txt"
    XLSX = "xlsx"


Server = Annotated[
    str | None, typer.Option(help="Where the files are; managed is our own endpoint.", show_default="managed")
]
Directory = Annotated[
    str | None, typer.Option(help="Directory of the files.", show_default="/upload; on another server /")
]
Keyword = Annotated[
    str | None, typer.Option(help="Only names with this in them; glob:ecr_*.txt and re:^ecr_[0-9]+ are patterns.")
]
Blockword = Annotated[str | None, typer.Option(help="No name with this in it; patterns as for --keyword.")]
SameName = Annotated[
    bool | None, typer.Option("--skip-same-name/--no-skip-same-name", help="Take a file name once only.")
]
AutoSync = Annotated[
    bool | None,
    typer.Option(
        "--auto-sync/--no-auto-sync",
        help="The master switch: off, the profile takes no file, and keeps those that fit it from less specific ones.",
        show_default="on; on another server off",
    ),
]
DeleteAfter = Annotated[
    bool | None,
    typer.Option("--delete-after/--no-delete-after", help="Delete a file there once it was processed with success."),
]
Every = Annotated[int | None, typer.Option(help="Look there every so many minutes, from 1 on.", show_default="60")]
At = Annotated[
    str | None,
    typer.Option(
        help='Look there at a time in the agency\'s zone: "daily at 06:00", "weekly mon,thu at 06:00", "monthly 1 at '
        '06:00" (31: the last day of each month). On our own endpoint: when a report is delivered.'
    ),
]
OrderOption = Annotated[
    Order | None,
    typer.Option(
        help="Which of several new files on another server is taken first: by modification time, or by name.",
        show_default="oldest",
    ),
]
Expect = Annotated[
    str | None,
    typer.Option(help='By when a file must have come, such as "daily at 06:00" (forms of --at); else doctor tells.'),
]
Report = Annotated[str | None, typer.Option(help="Report to deliver on each cycle.")]
ReportDirectory = Annotated[str | None, typer.Option(help="Directory for it on the same server; it must exist.")]
ReportFormat = Annotated[Format | None, typer.Option(help="How it is written.", show_default="csv")]
PastReports = Annotated[
    bool | None,
    typer.Option(
        "--skip-past-reports/--all-reports", help="No report with the content of an earlier one.", show_default="skip"
    ),
]


@app.command()
def add(
    context: typer.Context,
    agency: Slug,
    name: Annotated[str, typer.Argument(help="A name for the profile.")],
    template: Annotated[str, typer.Option(help="Upload Template, such as odyssey-ecr.")],
    server: Server = None,
    directory: Directory = None,
    keyword: Keyword = None,
    blockword: Blockword = None,
    skip_same_name: SameName = None,
    auto_sync: AutoSync = None,
    delete_after: DeleteAfter = None,
    every: Every = None,
    at: At = None,
    order: OrderOption = None,
    expect: Expect = None,
    report: Report = None,
    report_directory: ReportDirectory = None,
    report_format: ReportFormat = None,
    skip_past_reports: PastReports = None,
    as_json: Json = False,
) -> None:
    """Add a profile to an agency."""
    terms = _terms(context.params)
    with open_installation(context.obj) as state, state.database.writing() as conn:
        profile = create_profile(conn, agency, name, **terms)
        make_directory(context.obj.home(agency), profile)
        document, overlaps = _document(conn, profile), tell_overlaps(conn, profile)
    place = profile.directory if profile.server_id is None else f"{profile.directory} on {document['server']}"
    sentence = f"Profile {name}: files in {place} go through {template}."
    if not profile.auto_sync:
        sentence += f" Its Auto-Sync is off; switch it on with: dropslot profile edit {agency} {name} --auto-sync"
    print_one({**document, "overlaps": overlaps}, as_json, "\n".join([sentence, *overlaps]))


@app.command()
def edit(
    context: typer.Context,
    agency: Slug,
    name: Annotated[str, typer.Argument(help="The profile's name.")],
    template: Annotated[str | None, typer.Option(help="Upload Template.")] = None,
    server: Server = None,
    directory: Directory = None,
    keyword: Keyword = None,
    blockword: Blockword = None,
    skip_same_name: SameName = None,
    auto_sync: AutoSync = None,
    delete_after: DeleteAfter = None,
    every: Every = None,
    at: At = None,
    order: OrderOption = None,
    expect: Expect = None,
    report: Report = None,
    report_directory: ReportDirectory = None,
    report_format: ReportFormat = None,
    skip_past_reports: PastReports = None,
    as_json: Json = False,
) -> None:
    """Change what is named; the rest stays. `none` takes a keyword, blockword, expectation or report away."""
    terms = _terms(context.params)
    if not terms:
        raise AppError(Code.INVALID, "Nothing to change.", "Name what is to be otherwise, such as --auto-sync.")
    with open_installation(context.obj) as state, state.database.writing() as conn:
        before = inbox.find_profile(conn, find_agency(conn, agency).id, name)
        profile = edit_profile(conn, agency, name, terms)
        make_directory(context.obj.home(agency), profile)
        document, overlaps = _document(conn, profile), tell_overlaps(conn, profile, before)
        going_on = _tell_going_on(conn, agency, before, profile)
    sentence = f"Profile {name} of {agency} is changed."
    print_one({**document, "overlaps": overlaps}, as_json, "\n".join([sentence, *overlaps, *going_on]))


def _tell_going_on(conn: Connection, slug: str, before: Profile, after: Profile) -> list[str]:
    """What an operator may not expect of a report that tells what is new, once it is otherwise."""
    other = after.report != before.report and report_in(after.report or "") == CHANGED
    if not other or told_up_to(conn, after.id, CHANGED) is None:
        return []
    return [
        f"The report {CHANGED} goes on where its last delivery ended: what a filter left out until then is not told "
        f"later. All that happened lately is in: dropslot report run {slug} {CHANGED} --days 30"
    ]


def _terms(given: dict[str, Any]) -> dict[str, Any]:
    """The fields of a profile that were named on the command line."""
    if given["every"] is not None and given["at"] is not None:
        raise AppError(Code.INVALID, "Either --every or --at says when to look.", "Give one of them.")
    for key in (*CLEARABLE, "directory"):
        _refuse_odd(key, given[key], given["server"])
    renamed = {"expect": "expected", "at": "cycle"}
    other = ("agency", "name", "every", "as_json")
    named = {key: value for key, value in given.items() if key not in other and value is not None}
    terms = {renamed.get(key, key): _plain(key, value) for key, value in named.items()}
    if given["every"] is not None:
        terms["cycle"] = f"every {given['every']} minutes"
    if "report" in terms and terms["report"] is None:  # without one, no directory for it is needed
        terms.setdefault("report_directory", None)
    return terms


def _refuse_odd(key: str, value: str | None, server: str | None) -> None:
    """Raise `AppError` for directories that cannot be."""
    if value is None or "directory" not in key or value == NONE:
        return
    remote = bool(server) and server != MANAGED_ID
    own = "/download/reports" if key == "report_directory" else "/upload/civil"
    example = "/outgoing" if remote else own if server else f"{own} (on another server: /outgoing)"
    if ".." in value.split("/"):
        hint = f"Write it from / down, for example: {example}"
        raise AppError(Code.INVALID, "A directory cannot have '..' in it.", hint)
    if not value.startswith("/"):
        raise AppError(Code.INVALID, f"The directory '{value}' does not begin with '/'.", f"For example: {example}")


def _plain(key: str, value: object) -> object:
    if key in CLEARABLE and value == NONE:
        return None
    return str(value) if isinstance(value, StrEnum) else value


@app.command()
def remove(context: typer.Context, agency: Slug, name: str, as_json: Json = False) -> None:
    """Remove a profile; what came through it stays."""
    with open_installation(context.obj) as state, state.database.writing() as conn:
        removed = inbox.remove_profile(conn, find_agency(conn, agency).id, name)
    print_one(as_dict(removed), as_json, f"Profile {name} is removed.")


@app.command("list")
def list_(context: typer.Context, agency: OptionalSlug = None, as_json: Json = False) -> None:
    """List the profiles of an agency, or of all."""
    with open_installation(context.obj) as state, state.database.reading() as conn:
        chosen = [find_agency(conn, agency)] if agency else list_agencies(conn)
        rows = [
            {**_document(conn, profile), "agency": owner.slug}
            for owner in chosen
            for profile in inbox.list_profiles(conn, owner.id)
        ]
    columns = ("agency", "name", "template", "server", "directory", "keyword", "blockword", "auto_sync", "report")
    empty = "No profile yet. Add one with: dropslot profile add AGENCY NAME --template odyssey-ecr"
    print_list(rows, as_json, columns, empty)


@app.command()
def show(context: typer.Context, agency: Slug, name: str, as_json: Json = False) -> None:
    """Show a profile: what it takes and delivers, its last cycle, what went wrong, and when it is looked at next."""
    with open_installation(context.obj) as state, state.database.reading() as conn:
        owner = find_agency(conn, agency)
        profile = inbox.find_profile(conn, owner.id, name)
        document = {**_document(conn, profile), "agency": owner.slug, **_condition(conn, profile, owner)}
    if as_json:
        print_json(document)
        return
    zone = ZoneInfo(owner.timezone)
    for line in _lines(_concerning(document), zone):
        say(printable(line))


def _document(conn: Connection, profile: Profile) -> dict[str, object]:
    """The profile's fields, with the name of its server."""
    return {**as_dict(profile), "server": server_of(conn, profile).name}


def _condition(conn: Connection, profile: Profile, agency: Agency) -> dict[str, object]:
    """How it goes with the profile just now."""
    place = next((one for one in list_places(conn) if any(own.id == profile.id for own in one.profiles)), None)
    standing = standing_of(conn, place.id) if place else Standing("")
    last = last_runs(conn).get(profile.id)
    active = place is not None and place.is_active(profile) and standing.parked_at is None
    coming = next_run(place, profile, standing, last) if place and active else None
    late = find_overdue(conn, profile, agency, now()) if profile.expected else None
    return {
        "state": standing.state,
        "last_run": _told(last) if last else None,
        "next_run": (coming or now()) if active else None,
        "overdue_since": late.slot.at if late else None,
        "error": standing.error or (last.error if last else None),
        "hint": standing.hint if standing.error else (last.hint if last else None),
    }


def _told(run: Run) -> dict[str, object]:
    hidden = ("agency_id", "profile_id", "place_id", "files", "arrivals")
    return {key: value for key, value in as_dict(run).items() if key not in hidden}


def _concerning(document: dict[str, object]) -> dict[str, object]:
    """What concerns the profile: our own endpoint has no cycle for files, and no report needs no format."""
    hidden: tuple[str, ...] = ()
    if not document["report"]:
        hidden += ("report_directory", "report_format", "skip_past_reports")
        if document["server_id"] is None:
            hidden += ("cycle", "order")
    return {key: value for key, value in document.items() if key not in hidden}


def _lines(document: dict[str, object], zone: ZoneInfo) -> Iterator[str]:
    hidden = ("id", "agency_id", "server_id", "last_run")
    width = max(map(len, document))
    for key, value in document.items():
        if key not in hidden and value is not None:
            yield f"{key.replace('_', ' '):<{width}}  {_shown(value, zone)}"
    last = document["last_run"]
    if isinstance(last, dict):
        counts = ", ".join(f"{key} {last[key]}" for key in ("saw", "took", "waiting", "skipped", "failed", "removed"))
        yield f"{'last run':<{width}}  {_shown(last['started_at'], zone)}: {counts}"


def _shown(value: object, zone: ZoneInfo) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, datetime):
        return f"{value.astimezone(zone):%Y-%m-%d %H:%M:%S %Z}"
    return str(value)
