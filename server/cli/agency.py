"""`dropslot agency`: the tenants."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
from sqlalchemy import Connection

from server import agencies
from server.cli import password, promotion
from server.cli.kit import connect_kit
from server.cli.output import Json, as_dict, print_list, print_one, printable
from server.cli.quota import change_quota, describe_quota
from server.cli.zone import carry_out, confirm_move, plan_move
from server.errors import AppError, Code
from server.intake.usage import Usage, measure
from server.services.provision import create_agency
from server.settings import Settings
from server.sizes import say_size
from server.state import open_installation, open_state

app = typer.Typer(help="Add, edit, list, show, enable, disable and connect agencies.", no_args_is_help=True)
app.command("password")(password.password)
app.command("promote")(promotion.promote)

Slug = Annotated[str, typer.Argument(help="The agency's login name, such as gwinnett-courts.")]


@app.command()
def add(
    context: typer.Context,
    slug: Slug,
    name: Annotated[str, typer.Option(help="The agency's name for people.")],
    timezone: Annotated[str, typer.Option(help="Zone of its court times, such as America/New_York.")],
    staging: Annotated[bool, typer.Option("--staging", help="For trials: nothing of it ever leaves for real.")] = False,
    as_json: Json = False,
) -> None:
    """Add an agency and make its home."""
    settings: Settings = context.obj
    with open_state(settings) as state, state.database.writing() as conn:
        agency = create_agency(conn, settings.agencies, slug, name, timezone, staging)
    print_one(_document(agency), as_json, f"Agency {slug} is there. Next: dropslot key add {slug} KEY.pub")


@app.command("list")
def list_(context: typer.Context, as_json: Json = False) -> None:
    """List all agencies."""
    with open_installation(context.obj) as state, state.database.reading() as conn:
        rows = [_document(agency) for agency in agencies.list_agencies(conn)]
    columns = ("slug", "name", "timezone", "staging", "enabled", "networks", "quota_bytes", "quota_files", "created_at")
    print_list(rows, as_json, columns, "No agency yet. Add one with: dropslot agency add SLUG --name N --timezone TZ")


@app.command()
def show(context: typer.Context, slug: Slug, as_json: Json = False) -> None:
    """Show one agency."""
    with open_installation(context.obj) as state, state.database.reading() as conn:
        agency = agencies.find_agency(conn, slug)
    home: Path = context.obj.home(slug)
    used = _measure(home / "upload")
    sizes = {"quota_bytes": agency.quota_bytes, "used_bytes": used.size}
    said = {name: None if size is None else say_size(size) for name, size in sizes.items()}
    more = {"used_files": used.files, "password": agency.password_hash is not None, "home": str(home)}
    print_one({**_document(agency), **(sizes if as_json else said), **more}, as_json)


@app.command()
def edit(
    context: typer.Context,
    slug: Slug,
    name: Annotated[str | None, typer.Option(help="The agency's name for people.")] = None,
    timezone: Annotated[str | None, typer.Option(help="Zone of its court times, such as America/New_York.")] = None,
    network: Annotated[
        list[str] | None,
        typer.Option(
            help="Network it may come from, such as 203.0.113.0/24; may be repeated. They replace those set before."
        ),
    ] = None,
    any_network: Annotated[bool, typer.Option("--any-network", help="It may come from anywhere.")] = False,
    quota_bytes: Annotated[
        str | None, typer.Option(help="How much its /upload may hold, such as 10GiB; none: as much as the disk.")
    ] = None,
    quota_files: Annotated[
        str | None, typer.Option(help="How many files and folders its /upload may hold, such as 20000; none: any.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask about hearings of the zone of before.")] = False,
    as_json: Json = False,
) -> None:
    """Change an agency's name, its time zone, from which networks it may log in, and how much it may send.

    Sessions from elsewhere end within five seconds. A quota below what is there stops only what is new. Hearings that
    are there keep their zone until a file names them again.
    """
    wishes = _Wishes(name, network or [], any_network, quota_bytes, quota_files)
    if network and any_network:
        hint = "Name the networks it may come from, or say --any-network."
        raise AppError(Code.INVALID, "--network and --any-network exclude each other.", hint)
    if not any((*vars(wishes).values(), timezone)):
        hint = "Name it: --name, --timezone, --network or --any-network, --quota-bytes, --quota-files"
        raise AppError(Code.INVALID, "What shall change?", hint)
    with open_installation(context.obj) as state:
        with state.database.reading() as conn:
            agency = agencies.find_agency(conn, slug)
        move = plan_move(state, agency, timezone) if timezone and timezone != agency.timezone else None
        if move:
            confirm_move(move, yes, as_json)
        if any(vars(wishes).values()):
            with state.changing_trust() as conn:
                agency = _change(conn, context.obj, slug, wishes)
        agency = carry_out(state, move) if move else agency
    print_one({**_document(agency), **(move.document if move else {})}, as_json, _described(agency))


@dataclass(frozen=True)
class _Wishes:
    """What is to be changed, but the zone."""

    name: str | None
    networks: list[str]
    any_network: bool
    quota_bytes: str | None
    quota_files: str | None


def _change(conn: Connection, settings: Settings, slug: str, wishes: _Wishes) -> agencies.Agency:
    agency = agencies.find_agency(conn, slug)
    if wishes.name is not None:
        agency = agencies.set_name(conn, slug, wishes.name)
    if wishes.networks or wishes.any_network:
        agency = agencies.set_networks(conn, slug, wishes.networks)
    if wishes.quota_bytes or wishes.quota_files:
        agency = change_quota(conn, settings, agency, wishes.quota_bytes, wishes.quota_files)
    return agency


def _described(agency: agencies.Agency) -> str:
    return (
        f"Agency {agency.slug} ({printable(agency.name)}, {agency.timezone}) may log in from "
        f"{agency.networks or 'anywhere'}, and its /upload may hold {describe_quota(agency)}."
    )


app.command("connect-kit")(connect_kit)


@app.command()
def disable(context: typer.Context, slug: Slug, as_json: Json = False) -> None:
    """Let an agency log in no longer; its files and records stay."""
    _switch(context, slug, False, as_json)


@app.command()
def enable(context: typer.Context, slug: Slug, as_json: Json = False) -> None:
    """Let an agency log in again."""
    _switch(context, slug, True, as_json)


def _switch(context: typer.Context, slug: str, enabled: bool, as_json: bool) -> None:
    with open_installation(context.obj) as state, state.changing_trust() as conn:
        agency = agencies.set_enabled(conn, slug, enabled)
    print_one(_document(agency), as_json, f"Agency {slug} is {'enabled' if enabled else 'disabled'}.")


def _measure(uploads: Path) -> Usage:
    try:
        return measure(uploads)
    except OSError as error:
        raise AppError(
            Code.UNAVAILABLE, f"{uploads} cannot be read ({error.strerror}).", "Look at that directory."
        ) from error


def _document(agency: agencies.Agency) -> dict[str, object]:
    """All of it but the hash of its password."""
    return {name: value for name, value in as_dict(agency).items() if name != "password_hash"}
