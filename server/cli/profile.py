"""`dropslot profile`: which files go through which template."""

from typing import Annotated

import typer

from ingest import inbox
from server.agencies import find_agency, list_agencies
from server.cli.output import Json, as_dict, print_list, print_one
from server.services.provision import Wish, create_profile
from server.state import open_state

app = typer.Typer(
    help="Add, list and remove profiles: a directory and words in the name lead to one template.", no_args_is_help=True
)

Slug = Annotated[str, typer.Argument(metavar="AGENCY", help="The agency's slug.")]
OptionalSlug = Annotated[str | None, typer.Argument(metavar="AGENCY", help="Only of this agency.")]


@app.command()
def add(
    context: typer.Context,
    agency: Slug,
    name: Annotated[str, typer.Argument(help="A name for the profile.")],
    template: Annotated[str, typer.Option(help="Upload Template, such as odyssey-ecr.")],
    directory: Annotated[str, typer.Option(help="Directory of the agency's files.")] = "/upload",
    keyword: Annotated[str | None, typer.Option(help="Only files with this word in their name.")] = None,
    blockword: Annotated[str | None, typer.Option(help="No file with this word in its name.")] = None,
    skip_same_name: Annotated[
        bool, typer.Option("--skip-same-name", help="Take a file name once only, even with new content.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Add a profile to an agency."""
    wish = Wish(directory, keyword, blockword, skip_same_name)
    with open_state(context.obj) as state, state.database.writing() as conn:
        profile = create_profile(conn, agency, name, template, wish)
    sentence = f"Profile {name}: files in {profile.directory} go through {template}."
    print_one(as_dict(profile), as_json, sentence)


@app.command()
def remove(context: typer.Context, agency: Slug, name: str, as_json: Json = False) -> None:
    """Remove a profile; what came through it stays."""
    with open_state(context.obj) as state, state.database.writing() as conn:
        removed = inbox.remove_profile(conn, find_agency(conn, agency).id, name)
    print_one(as_dict(removed), as_json, f"Profile {name} is removed.")


@app.command("list")
def list_(context: typer.Context, agency: OptionalSlug = None, as_json: Json = False) -> None:
    """List the profiles of an agency, or of all."""
    with open_state(context.obj) as state, state.database.reading() as conn:
        chosen = [find_agency(conn, agency)] if agency else list_agencies(conn)
        rows = [
            {**as_dict(profile), "agency": owner.slug}
            for owner in chosen
            for profile in inbox.list_profiles(conn, owner.id)
        ]
    columns = ("agency", "name", "template", "directory", "keyword", "blockword", "skip_same_name")
    empty = "No profile yet. Add one with: dropslot profile add AGENCY NAME --template odyssey-ecr"
    print_list(rows, as_json, columns, empty)
