"""`dropslot host-key`: the keys the server proves itself with."""

import platform
from typing import Annotated

import typer

from keys import store
from keys.sshkey import known_hosts_line, sshfp_record, winscp_fingerprint
from keys.store import KnownHostKey
from server.cli.output import Json, counted, print_json, print_list, say
from server.clock import new_id, now
from server.errors import AppError, Code
from server.services.moment import read_beginning
from server.settings import Settings
from server.state import door_port, open_installation

app = typer.Typer(help="List, rotate, activate and retire the server's own keys.", no_args_is_help=True)

COLUMNS = ("id", "algorithm", "fingerprint", "state", "created_at", "active_from")
Host = Annotated[str | None, typer.Option(help="The name clients connect to.", show_default="this machine's name")]
Port = Annotated[
    int | None, typer.Option(help="The port clients connect to.", min=1, max=65535, show_default="the door's")
]


@app.command("list")
def list_(context: typer.Context, host: Host = None, port: Port = None, as_json: Json = False) -> None:
    """List the host keys, in the forms in which clients and DNS want to be told of them."""
    settings: Settings = context.obj
    with open_installation(settings) as state, state.database.writing() as conn:
        store.ensure_host_keys(conn, state.cipher(), now(), new_id)
        keys = store.order_host_keys(store.list_host_keys(conn), now())
    host, port = host or platform.node(), port or door_port(settings)
    rows = [{**row, **_forms(key, host, port)} for row, key in zip(_rows(keys, keys), keys, strict=True)]
    if as_json:
        print_json(rows)
        return
    print_list(rows, False, COLUMNS, "")
    say("\nknown_hosts (OpenSSH):")
    for row in rows:
        say(f"  {row['known_hosts']}")
    say(f'\nWinSCP:\n  -hostkey="{";".join(str(row["winscp"]) for row in rows)}"')
    say("\nDNS:")
    for row in rows:
        say(f"  {row['sshfp']}")


@app.command()
def rotate(
    context: typer.Context,
    after: Annotated[
        str | None,
        typer.Option(
            "--in", help="Use the new keys after this time (14d) or from this day (UTC) on; else when told to."
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Make new host keys and announce them, so that clients learn them before they are used."""
    begins = store.WHEN_TOLD if after is None else read_beginning(after, "UTC", now())
    if begins <= now():
        raise AppError(Code.INVALID, "This time is in the past.", "Name a later one, such as --in 14d.")
    with open_installation(context.obj) as state, state.database.writing() as conn:
        store.ensure_host_keys(conn, state.cipher(), now(), new_id)
        made = store.rotate_host_keys(conn, state.cipher(), now(), begins, new_id)
        known = store.list_host_keys(conn)
    when = "when you say: dropslot host-key activate" if after is None else f"from {begins:%Y-%m-%d %H:%M} UTC on"
    _tell(
        made, known, as_json, f"New host keys are announced, and used {when}. Tell those who pin a key: host-key list"
    )


@app.command()
def activate(context: typer.Context, as_json: Json = False) -> None:
    """Use the new host keys from now on; the old ones are still announced."""
    with open_installation(context.obj) as state, state.database.writing() as conn:
        changed, known = store.activate_host_keys(conn, now()), store.list_host_keys(conn)
    _tell(changed, known, as_json, "The new host keys are used. When all clients know them: dropslot host-key retire")


@app.command()
def retire(
    context: typer.Context,
    key: Annotated[
        str | None, typer.Argument(help="Its id or the beginning of its fingerprint.", show_default="all past ones")
    ] = None,
    as_json: Json = False,
) -> None:
    """Announce old host keys no longer; or give up a new one that is not used yet."""
    with open_installation(context.obj) as state, state.database.writing() as conn:
        changed, known = store.retire_host_keys(conn, key, now()), store.list_host_keys(conn)
    _tell(changed, known, as_json, f"{counted(len(changed), 'host key')} retired.")


def _tell(keys: list[KnownHostKey], known: list[KnownHostKey], as_json: bool, sentence: str) -> None:
    if as_json:
        print_json(_rows(keys, known))
        return
    print_list(_rows(keys, known), False, ("algorithm", "fingerprint"), "")
    say(sentence)


def _rows(keys: list[KnownHostKey], known: list[KnownHostKey]) -> list[dict[str, object]]:
    """These of all the keys that are known."""
    used = store.used_host_keys(known, now())
    return [
        {
            "id": key.id,
            "algorithm": key.public.algorithm,
            "fingerprint": key.public.fingerprint,
            "state": _state(key, key in used),
            "created_at": key.created_at,
            "active_from": None if key.active_from == store.WHEN_TOLD else key.active_from,
        }
        for key in keys
    ]


def _state(key: KnownHostKey, used: bool) -> str:
    if key.retired_at is not None:
        return "retired"
    if used:
        return "used"
    return "announced" if key.active_from > now() else "past"


def _forms(key: KnownHostKey, host: str, port: int) -> dict[str, str]:
    return {
        "known_hosts": known_hosts_line(key.public, host, port),
        "winscp": winscp_fingerprint(key.public),
        "sshfp": sshfp_record(key.public, host),
    }
