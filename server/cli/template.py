"""`dropslot template`: how a file's columns become fields."""

from pathlib import Path
from typing import Annotated

import typer

from ingest import inbox
from ingest.template import with_files, with_lookup
from server.agencies import find_agency, list_agencies
from server.cli import sample, shape
from server.cli.output import Json, as_dict, print_json, print_list, print_one, print_text
from server.errors import AppError, Code
from server.services.provision import create_template
from server.state import open_installation

app = typer.Typer(help="Add, list and show Upload Templates, propose one, and try one out.", no_args_is_help=True)
app.command("infer")(sample.infer)
app.command("check")(sample.check)
app.command("accept")(shape.accept)

Slug = Annotated[str, typer.Argument(metavar="AGENCY", help="The agency's slug.")]
OptionalSlug = Annotated[str | None, typer.Argument(metavar="AGENCY", help="Only of this agency.")]


@app.command()
def add(
    context: typer.Context,
    agency: Slug,
    file: Annotated[Path, typer.Argument(help="TOML file; see: dropslot template show AGENCY odyssey-ecr")],
    lookup: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=FILE", help="A CSV of codes and texts that becomes \\[lookups.NAME] of this version."
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Add an Upload Template, or the next version of one."""
    text = _read(file, "a TOML file")
    for each in lookup or []:
        name, _, csv = each.partition("=")
        text = with_lookup(text, name, _read(Path(csv), "a CSV file, as NAME=FILE"))
    text = with_files(text, lambda name: _read(file.parent / name, "a CSV file beside the template"))
    with open_installation(context.obj) as state, state.database.writing() as conn:
        warnings = inbox.warnings(conn, find_agency(conn, agency).id, text)
        version = create_template(conn, agency, text)
    told = " ".join([f"Template {version.name} version {version.version} is there.", *warnings])
    print_one({**as_dict(version), "warnings": list(warnings)}, as_json, told)


def _read(file: Path, what: str) -> str:
    try:
        return file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise AppError(Code.INVALID, f"{file} cannot be read ({reason}).", f"Name {what}.") from error


@app.command("list")
def list_(context: typer.Context, agency: OptionalSlug = None, as_json: Json = False) -> None:
    """List the built-in templates, and those of an agency (or of all)."""
    with open_installation(context.obj) as state, state.database.reading() as conn:
        slugs = {owner.id: owner.slug for owner in list_agencies(conn)}
        owners = [find_agency(conn, agency).id] if agency else [*slugs, ""]
        found = {version.id: version for owner in owners for version in inbox.list_templates(conn, owner)}
    rows = [
        {**as_dict(version), "agency": slugs.get(version.agency_id or "", "(built in)")} for version in found.values()
    ]
    print_list(rows, as_json, ("name", "agency", "version", "created_at"), "No template.")


@app.command()
def show(context: typer.Context, agency: Slug, name: str, as_json: Json = False) -> None:
    """Show a template as TOML, ready to be changed and added under another name."""
    with open_installation(context.obj) as state, state.database.reading() as conn:
        version = inbox.find_template(conn, find_agency(conn, agency).id, name)
    if as_json:
        print_json(as_dict(version))
    else:
        print_text(version.text)
