"""`dropslot template`: how a file's columns become fields."""

from pathlib import Path
from typing import Annotated

import typer

from ingest import inbox
from server.agencies import find_agency
from server.cli.output import Json, as_dict, print_list, print_one
from server.errors import AppError, Code
from server.services.provision import create_template
from server.state import open_state

app = typer.Typer(help="Add, list and show Upload Templates.", no_args_is_help=True)

Slug = Annotated[str, typer.Argument(metavar="AGENCY", help="The agency's slug.")]


@app.command()
def add(
    context: typer.Context,
    agency: Slug,
    file: Annotated[Path, typer.Argument(help="TOML file; see: dropslot template show AGENCY odyssey-ecr")],
    as_json: Json = False,
) -> None:
    """Add an Upload Template, or the next version of one."""
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise AppError(Code.INVALID, f"{file} cannot be read ({reason}).", "Name a TOML file.") from error
    with open_state(context.obj) as state, state.database.writing() as conn:
        version = create_template(conn, agency, text)
    print_one(as_dict(version), as_json, f"Template {version.name} version {version.version} is there.")


@app.command("list")
def list_(context: typer.Context, agency: Slug, as_json: Json = False) -> None:
    """List an agency's templates, and the built-in ones."""
    with open_state(context.obj) as state, state.database.reading() as conn:
        versions = inbox.list_templates(conn, find_agency(conn, agency).id)
    rows = [as_dict(version) for version in versions]
    print_list(rows, as_json, ("name", "version", "builtin", "created_at"), "No template.")


@app.command()
def show(context: typer.Context, agency: Slug, name: str, as_json: Json = False) -> None:
    """Show a template as TOML, ready to be changed and added under another name."""
    with open_state(context.obj) as state, state.database.reading() as conn:
        version = inbox.find_template(conn, find_agency(conn, agency).id, name)
    print_one(as_dict(version), as_json, version.text.rstrip())
