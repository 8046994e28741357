"""`dropslot key rotate-master` and `replace-lost-master`: a new master key, and what becomes of what is sealed."""

from collections.abc import Iterator
from typing import Annotated

import typer

from keys.errors import KeysError
from server.cli.output import Json, as_dict, counted, print_json, print_one, printable, say
from server.errors import AppError, Code
from server.rotation import Loss, find_loss, replace_lost, rotate_master
from server.state import State, open_installation


def rotate(context: typer.Context, as_json: Json = False) -> None:
    """Replace the master key, and seal everything anew; the server may run meanwhile.

    A backup of the database from before opens only with the master key of its time: keep that one with it.
    """
    with open_installation(context.obj) as state:
        done = rotate_master(state)
    sentence = (
        f"The master key is {done.key_id} now, in {done.place}. Sealed anew with it: "
        f"{counted(done.host_keys, 'host key')}, {counted(done.server_secrets, 'secret')} of servers."
    )
    if done.left_over:
        sentence += f" {done.left_over} is not needed any more: delete it, or keep it with old backups."
    print_one(as_dict(done), as_json, sentence)


def replace(
    context: typer.Context,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask: for scripts.")] = False,
    as_json: Json = False,
) -> None:
    """Go on without a master key that is lost for good: what it alone opens is given up, after showing what that is.

    Keys that agencies log in with, and all records, are not sealed, and stay.
    """
    with open_installation(context.obj) as state:
        lost = find_loss(state)
        if not lost:
            raise AppError(Code.INVALID, "The master key is not lost: it opens all that is sealed.")
        if not as_json:
            for line in _shown(state, lost):
                say(printable(line))
        if not yes:
            if as_json:
                raise AppError(Code.INVALID, "With --json nobody can be asked.", "Add --yes.")
            if not typer.confirm("\nGive all this up?"):
                say("Nothing was changed.")
                raise typer.Exit(1)
        lost = replace_lost(state)
        key_id, place = state.cipher().key_id, state.masters.place
    if as_json:
        print_json(_document(lost) | {"key_id": key_id, "place": place})
        return
    say(f"The master key is {key_id}, in {place}.")
    if lost.host_keys:
        say("The host keys are new: tell the courts before they send again, with what dropslot host-key list shows.")
    for name in sorted({server.name for server, _ in lost.secrets}):
        say(printable(f"Give its secrets again: dropslot server edit {name} ..."))


def _shown(state: State, lost: Loss) -> Iterator[str]:
    try:
        yield f"The master key {state.cipher().key_id} in {state.masters.place} does not open:"
    except KeysError as error:
        yield f"{error.message} Without it, these cannot be opened:"
    present = [key for key in lost.host_keys if key.retired_at is None]
    for key in present:
        yield f"  host key {key.public.algorithm} {key.public.fingerprint}"
    for server, field in lost.secrets:
        yield f"  {field.value.replace('_', ' ')} of the server {server.name}"
    if present:
        yield "Clients know the server by its host keys: with new ones, most refuse to connect until they are told."
    yield "If the right key may still be found (a backup, another shell's settings), put it back instead."


def _document(lost: Loss) -> dict[str, object]:
    return {
        "host_keys": [key.public.fingerprint for key in lost.host_keys if key.retired_at is None],
        "secrets": [{"server": server.name, "secret": field.value} for server, field in lost.secrets],
    }
