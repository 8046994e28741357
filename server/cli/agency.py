"""`dropslot agency`: the tenants."""

from pathlib import Path
from typing import Annotated

import typer

from server import agencies
from server.cli import password, promotion
from server.cli.kit import connect_kit
from server.cli.output import Json, as_dict, print_list, print_one
from server.cli.quota import change_quota, describe_quota
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
    network: Annotated[
        list[str] | None, typer.Option(help="Network it may come from, such as 203.0.113.0/24; may be repeated.")
    ] = None,
    any_network: Annotated[bool, typer.Option("--any-network", help="It may come from anywhere.")] = False,
    quota_bytes: Annotated[
        str | None, typer.Option(help="How much its /upload may hold, such as 10GiB; none: as much as the disk.")
    ] = None,
    quota_files: Annotated[
        str | None, typer.Option(help="How many files and folders its /upload may hold, such as 20000; none: any.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Say from which networks an agency may log in, and how much it may send.

    Sessions from elsewhere end within five seconds. A quota below what is there stops only what is new.
    """
    if (network and any_network) or not any((network, any_network, quota_bytes, quota_files)):
        hint = "Name networks with --network, or --any-network; and quotas with --quota-bytes and --quota-files."
        raise AppError(Code.INVALID, "What shall change?", hint)
    with open_installation(context.obj) as state, state.changing_trust() as conn:
        agency = agencies.find_agency(conn, slug)
        if network or any_network:
            agency = agencies.set_networks(conn, slug, network or [])
        if quota_bytes or quota_files:
            agency = change_quota(conn, context.obj, agency, quota_bytes, quota_files)
    sentence = f"Agency {slug} may log in from {agency.networks or 'anywhere'}"
    print_one(_document(agency), as_json, f"{sentence}, and its /upload may hold {describe_quota(agency)}.")


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
