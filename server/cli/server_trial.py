"""`dropslot server test` and `trust`: who answers there, and is it the one we mean."""

import asyncio
import re
import sys
from contextlib import AbstractAsyncContextManager
from typing import Annotated

import typer

from server.agencies import agency_by_id, find_agency
from server.cli.output import Json, counted, print_json, print_one, printable, say
from server.cli.server_edit import Name
from server.cli.server_words import document, hint_of_tls, where
from server.clock import now
from server.errors import AppError, Code
from server.logs import open_log
from server.remotes import store
from server.remotes.port import Remote
from server.remotes.reach import fingerprint, open_remote, refuse_untrusted
from server.remotes.server import HostKeyState, Kind, Server
from server.remotes.trial import Trial, try_server
from server.sizes import say_size
from server.state import State, open_installation
from server.sync.places import note_tried, resume

FINGERPRINT = re.compile(r"SHA256:[A-Za-z0-9+/]{43}")


def try_out(
    context: typer.Context,
    name: Name,
    directory: Annotated[str, typer.Option(help="Directory of a profile, below the server's own.")] = "/",
    write: Annotated[bool, typer.Option("--write", help="Also place a small file there, and delete it.")] = False,
    agency: Annotated[str | None, typer.Option(help="Whose home, of a managed server.")] = None,
    as_json: Json = False,
) -> None:
    """Connect to a server, look into a directory, and say what was seen and what is not allowed.

    The first time, a remote SFTP server shows its host key: compare the fingerprint with what its administrator says,
    and confirm it, here or with `dropslot server trust`. Until then nothing is exchanged with it.
    """
    with open_installation(context.obj) as state:
        with state.database.reading() as conn:
            server = store.find_server(conn, name)
            owner = find_agency(conn, agency) if agency else None
            if owner is None and server.agency_id:
                owner = agency_by_id(conn, server.agency_id)
        if server.kind is Kind.SFTP and not server.usable:
            server = _introduce(state, server, as_json)
        if server.kind is Kind.MANAGED and owner is None:
            raise AppError(Code.INVALID, "In whose home shall be looked?", f"Say: server test {name} --agency SLUG")
        home = state.settings.home(owner.slug) if owner else state.settings.agencies
        log = open_log("critical")  # what is to be said is said below

        def reach() -> AbstractAsyncContextManager[Remote]:
            return open_remote(state.database, state.cipher, log, server.id, home)

        try:
            trial = asyncio.run(try_server(reach, directory, write))
        except AppError as error:
            if error.code is not Code.UNAVAILABLE or not hint_of_tls(server):
                raise
            raise AppError(error.code, error.message, f"{error.hint or ''} {hint_of_tls(server)}".strip()) from error
    if trial.good and server.kind is not Kind.MANAGED:
        with state.database.writing() as conn:
            note_tried(conn, server.id)
    _tell(server, trial, as_json)
    sys.exit(0 if trial.good else 1)


def trust(
    context: typer.Context,
    name: Name,
    fingerprint_: Annotated[
        str, typer.Argument(metavar="FINGERPRINT", help="SHA256:..., as its administrator says it.")
    ],
    as_json: Json = False,
) -> None:
    """Trust a server's host key, and no other: the one that has this fingerprint."""
    with open_installation(context.obj) as state:
        with state.database.reading() as conn:
            server = store.find_server(conn, name)
        if server.kind is not Kind.SFTP:
            raise AppError(Code.INVALID, f"A server of type {server.kind} has no host key.", "There is nothing to do.")
        wanted = f"SHA256:{fingerprint_.strip().removeprefix('SHA256:').rstrip('=')}"
        if not FINGERPRINT.fullmatch(wanted):
            raise AppError(
                Code.INVALID,
                f"'{fingerprint_}' is no fingerprint.",
                "It is SHA256: and 43 letters, digits, + or /, as ssh-keygen -lf shows it.",
            )
        if wanted == fingerprint(server.host_key) and server.shown_key is None:
            since = "already"
        else:
            since = "from now on"
            if wanted not in (fingerprint(server.shown_key), fingerprint(server.host_key)):
                server = _learn(state, server)
            server = _trust(state, server, wanted)
        with state.database.reading() as conn:
            told = document(conn, server)
    print_one(told, as_json, f"The host key {wanted} of {name} is trusted {since}.")


def _trust(state: State, server: Server, wanted: str) -> Server:
    known = {fingerprint(key): key for key in (server.host_key, server.shown_key) if key}
    if wanted not in known:
        raise AppError(
            Code.CONFLICT,
            f"{server.name} shows another host key: {fingerprint(server.shown_key)}.",
            "Ask its administrator which one is right. Nothing was changed.",
        )
    with state.database.writing() as conn:
        resume(conn, server.id, now())
        return store.trust_key(conn, server.id, known[wanted])


def _learn(state: State, server: Server) -> Server:
    """Ask the server for its host key, and remember it as one that waits for a person."""
    from server.remotes.sftp import learn_host_key

    shown = asyncio.run(learn_host_key(server))
    with state.database.writing() as conn:
        return store.note_shown_key(conn, server.id, shown, now())


def _introduce(state: State, server: Server, as_json: bool) -> Server:
    """Show a person the host key, and ask whether it is the right one. Raises `AppError` if nobody says so."""
    server = _learn(state, server)
    if server.host_key_state is HostKeyState.CHANGED:
        refuse_untrusted(server)
    shown, kind = fingerprint(server.shown_key), (server.shown_key or "").partition(" ")[0]
    confirm = f"dropslot server trust {server.name} {shown}"
    if as_json or not sys.stdin.isatty():
        raise AppError(
            Code.DENIED,
            f"{where(server)} shows the host key {shown} ({kind}), which nobody has confirmed yet.",
            f"Compare it with what its administrator says; if it is the same: {confirm}",
        )
    say(f"{where(server)} shows this host key ({kind}):\n\n  {shown}\n")
    say("Compare it with what its administrator says. Somebody between could show another one.")
    if not typer.confirm("Is it the same?", err=True):
        raise AppError(Code.DENIED, "The host key is not trusted, and nothing is exchanged.", f"Later: {confirm}")
    return _trust(state, server, shown)


def _tell(server: Server, trial: Trial, as_json: bool) -> None:
    if as_json:
        files = [{"name": file.name, "size": file.size, "modified": file.modified} for file in trial.newest]
        print_json(
            {
                "server": server.name,
                "where": where(server),
                "fingerprint": fingerprint(server.host_key) or None,
                "directory": trial.directory,
                "files": trial.files,
                "bytes": trial.size,
                "newest": files,
                "rights": trial.rights,
                "good": trial.good,
            }
        )
        return
    say(f"Connected to {where(server)}.")
    if server.kind is Kind.SFTP:
        say(f"Its host key is the trusted one ({fingerprint(server.host_key)}).")
    held = f"{counted(trial.files, 'file')}, {say_size(trial.size)}"
    say(f"{trial.directory} has {held}; folders and links are not counted.")
    for file in trial.newest:
        say(f"  {file.modified:%Y-%m-%d %H:%M:%SZ}  {say_size(file.size):>10}  {printable(file.name)}")
    for right in trial.rights:
        word = {True: "may", False: "MAY NOT", None: "not tried:"}[right.allowed]
        say(f"{word} {right.what}{f' ({right.why})' if right.why else ''}")
