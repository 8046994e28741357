"""`dropslot agency password`: for an agency that cannot use keys."""

import sys
from typing import Annotated

import typer

from keys.password import hash_password, make_password
from keys.secret import Secret
from server.agencies import set_password
from server.cli.output import Json, print_one
from server.errors import AppError, Code
from server.state import open_installation

LONGEST_LINE = 1024


def password(
    context: typer.Context,
    slug: Annotated[str, typer.Argument(help="The agency's login name.")],
    generate: Annotated[bool, typer.Option("--generate", help="Make one, and print it once.")] = False,
    stdin: Annotated[bool, typer.Option("--stdin", help="Read it from the first line of standard input.")] = False,
    off: Annotated[bool, typer.Option("--off", help="Let the agency use keys only, as all others do.")] = False,
    as_json: Json = False,
) -> None:
    """Let an agency log in with a password too, or no longer; sessions with another one end."""
    if generate + stdin + off != 1:
        raise AppError(Code.INVALID, "Say what is wanted.", "Give one of --generate, --stdin and --off.")
    chosen = None if off else make_password() if generate else _read()
    with open_installation(context.obj) as state, state.database.writing() as conn:
        set_password(conn, slug, None if chosen is None else hash_password(chosen))
    document: dict[str, object] = {"agency": slug, "password_login": not off}
    if generate and chosen:
        shown = chosen.reveal().decode()
        sentence = f"The password of {slug} is {shown} and is shown this once. Hand it over on a safe way."
        print_one({**document, "password": shown}, as_json, sentence)
        return
    print_one(document, as_json, f"{slug} logs in with {'keys only' if off else 'its password, or a key'}.")


def _read() -> Secret:
    return Secret(sys.stdin.buffer.readline(LONGEST_LINE).rstrip(b"\r\n"))
