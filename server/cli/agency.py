"""`dropslot agency`: the tenants."""

from typing import Annotated

import typer

from server import agencies
from server.cli import password
from server.cli.output import Json, as_dict, print_list, print_one
from server.services.provision import create_agency
from server.settings import Settings
from server.state import open_state

app = typer.Typer(help="Add, list, show, enable and disable agencies.", no_args_is_help=True)
app.command("password")(password.password)

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
    print_one(as_dict(agency), as_json, f"Agency {slug} is there. Next: dropslot key add {slug} KEY.pub")


@app.command("list")
def list_(context: typer.Context, as_json: Json = False) -> None:
    """List all agencies."""
    with open_state(context.obj) as state, state.database.reading() as conn:
        rows = [as_dict(agency) for agency in agencies.list_agencies(conn)]
    columns = ("slug", "name", "timezone", "staging", "enabled", "created_at")
    print_list(rows, as_json, columns, "No agency yet. Add one with: dropslot agency add SLUG --name N --timezone TZ")


@app.command()
def show(context: typer.Context, slug: Slug, as_json: Json = False) -> None:
    """Show one agency."""
    with open_state(context.obj) as state, state.database.reading() as conn:
        agency = agencies.find_agency(conn, slug)
    more = {"password": agency.password_hash is not None, "home": str(context.obj.home(slug))}
    print_one({**as_dict(agency), **more}, as_json)


@app.command()
def disable(context: typer.Context, slug: Slug, as_json: Json = False) -> None:
    """Let an agency log in no longer; its files and records stay."""
    _switch(context, slug, False, as_json)


@app.command()
def enable(context: typer.Context, slug: Slug, as_json: Json = False) -> None:
    """Let an agency log in again."""
    _switch(context, slug, True, as_json)


def _switch(context: typer.Context, slug: str, enabled: bool, as_json: bool) -> None:
    with open_state(context.obj) as state, state.database.writing() as conn:
        agency = agencies.set_enabled(conn, slug, enabled)
    print_one(as_dict(agency), as_json, f"Agency {slug} is {'enabled' if enabled else 'disabled'}.")
