"""Reaching a server, whatever is behind it."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NoReturn

from keys.cipher import Cipher
from keys.errors import KeysError
from keys.secret import Secret
from keys.sshkey import parse_public
from server.clock import now
from server.db import Database
from server.errors import AppError, Code
from server.logs import Log
from server.remotes.managed import ManagedRemote
from server.remotes.port import Remote
from server.remotes.secrets import open_secret, refuse_without
from server.remotes.server import HostKeyState, Kind, SecretField, Server
from server.remotes.store import note_shown_key, server_by_id


@asynccontextmanager
async def open_remote(
    database: Database, cipher: Callable[[], Cipher], log: Log, server_id: str, home: Path
) -> AsyncIterator[Remote]:
    """A connection to the server of that id, as it is configured just now; `home` is the agency's that asks.

    A host key that is not the trusted one is noted on the server's row, and the scheduler alarms (`SyncRounds`): from
    then on nothing is exchanged until a person has trusted it. Raises `AppError`, and KeysError when it is our own
    master key that is away or does not fit: the server has nothing to do with that.
    """
    server, secrets = await asyncio.to_thread(_read, database, cipher, server_id)
    if server.kind is Kind.MANAGED:
        yield ManagedRemote(home, server.directory, log)
        return
    refuse_untrusted(server)
    refuse_without(server)
    if server.kind is Kind.S3:
        from server.remotes.s3 import open_bucket  # only where there is one

        yield open_bucket(server, secrets, log)
        return
    from server.remotes.sftp import StrangeHostKeyError, connect

    strange: StrangeHostKeyError
    try:
        async with connect(server, secrets, log) as remote:
            yield remote
        return
    except StrangeHostKeyError as error:
        strange = error
    await asyncio.to_thread(_note, database, server, strange.shown)


def refuse_untrusted(server: Server) -> None:
    """Raises `AppError` denied, saying what to do, for a server whose host key is not trusted (any more)."""
    if server.usable:
        return
    test = f"dropslot server test {server.name}"
    if server.host_key_state is HostKeyState.CHANGED:
        raise AppError(
            Code.DENIED,
            f"HOST KEY CHANGED: the server {server.name} shows {fingerprint(server.shown_key)} instead of"
            f" {fingerprint(server.host_key)}. Nothing is exchanged with it.",
            "Somebody may stand between. Ask its administrator for the new fingerprint; if it is this one: "
            f"dropslot server trust {server.name} {fingerprint(server.shown_key)}",
        )
    raise AppError(
        Code.DENIED, f"Nobody has confirmed the host key of the server {server.name}.", f"Look at it: {test}"
    )


def fingerprint(host_key: str | None) -> str:
    """`SHA256:...` of a host key in its one-line form; empty for none."""
    return parse_public(host_key.encode()).fingerprint if host_key else ""


def open_secrets(cipher: Callable[[], Cipher], server: Server) -> dict[SecretField, Secret]:
    """All secrets of the server; the master key is not touched for a server that has none."""
    if not server.sealed:
        return {}
    with_key = cipher()
    opened = {field: open_secret(with_key, server, field) for field in server.sealed}
    return {field: secret for field, secret in opened.items() if secret is not None}


def _read(database: Database, cipher: Callable[[], Cipher], server_id: str) -> tuple[Server, dict[SecretField, Secret]]:
    for again in (True, False):
        with database.reading() as conn:
            server = server_by_id(conn, server_id)
        try:
            return server, open_secrets(cipher, server)
        except KeysError:
            if not again:  # the first time, the master key may have been replaced between our two looks
                raise
    raise AssertionError("not reached")


def _note(database: Database, server: Server, shown: str) -> NoReturn:
    with database.writing() as conn:
        noted = note_shown_key(conn, server.id, shown, now())
    refuse_untrusted(noted)
    raise AppError(Code.UNAVAILABLE, f"The host key of {server.name} was just trusted.", "It is tried again.")
