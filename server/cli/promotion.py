"""`dropslot agency promote`: what was tried out in one agency, for another."""

from collections.abc import Iterator
from typing import Annotated

import typer

from server.cli.output import Json, counted, print_json, printable, say
from server.errors import AppError, Code
from server.services.promotion import ProfileChange, Promotion, compare
from server.services.promotion import promote as copy
from server.services.provision import make_directory
from server.state import open_installation
from server.sync.profiles import refuse_unfit


def promote(
    context: typer.Context,
    staging: Annotated[str, typer.Argument(metavar="STAGING", help="The agency to copy from.")],
    production: Annotated[str, typer.Argument(metavar="PRODUCTION", help="The agency to copy to.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask: for scripts.")] = False,
    as_json: Json = False,
) -> None:
    """Copy templates and profiles from one agency to another, after showing what differs. Nothing is removed."""
    with open_installation(context.obj) as state:
        with state.database.reading() as conn:
            found = compare(conn, staging, production)
        if not as_json:
            for line in _shown(found):
                say(printable(line))
        if not found:
            if as_json:
                print_json(_document(found))
            else:
                say(f"{production} has all templates and profiles of {staging}, as they are there.")
            return
        if not yes:
            if as_json:
                raise AppError(Code.INVALID, "With --json nobody can be asked.", "Add --yes.")
            if not typer.confirm(f"\nCopy this to {production}?"):
                say("Nothing was copied.")
                raise typer.Exit(1)
        with state.database.writing() as conn:
            copy(conn, staging, production, found)
            refuse_unfit(conn, production, [change.profile.name for change in found.profiles])
            for change in found.profiles:
                make_directory(context.obj.home(production), change.profile)
    if as_json:
        print_json(_document(found))
    else:
        numbers = f"{counted(len(found.templates), 'template')} and {counted(len(found.profiles), 'profile')}"
        say(f"Copied to {production}: {numbers}.")


def _shown(found: Promotion) -> Iterator[str]:
    for template in found.templates:
        yield from template.diff
        yield ""
        for warning in template.warnings:
            yield f"{template.name}: {warning}"
            yield ""
    for change in found.profiles:
        yield f"Profile {change.profile.name}: {'new' if change.was is None else 'changed'}"
        yield from _differing(change)


def _differing(change: ProfileChange) -> Iterator[str]:
    for name, old, new in change.differing:
        words = name.replace("_", " ")
        yield f"  {words}: {new}" if change.was is None else f"  {words}: {old} -> {new}"


def _document(found: Promotion) -> dict[str, object]:
    profiles = [
        {
            "name": change.profile.name,
            "new": change.was is None,
            "changes": {name: [old, new] for name, old, new in change.differing},
        }
        for change in found.profiles
    ]
    return {
        "templates": [
            {"name": each.name, "diff": list(each.diff), "warnings": list(each.warnings)} for each in found.templates
        ],
        "profiles": profiles,
    }
