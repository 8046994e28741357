"""A server's secrets: each sealed for its server and its field, so that none can be put where another one belongs."""

from collections.abc import Iterable
from dataclasses import replace

from sqlalchemy import Connection

from keys.cipher import Cipher
from keys.secret import Secret
from server.errors import AppError, Code
from server.remotes.server import Kind, SecretField, Server
from server.remotes.store import list_servers, update_server


def seal_secret(cipher: Cipher, server_id: str, field: SecretField, secret: Secret) -> bytes:
    """The secret as it may be stored."""
    return cipher.seal(secret.reveal(), purpose(server_id, field))


def open_secret(cipher: Cipher, server: Server, field: SecretField) -> Secret | None:
    """The secret itself, None if the server has none of that kind. Raises KeysError denied, see `Cipher.open`."""
    sealed = server.sealed.get(field)
    return None if sealed is None else Secret(cipher.open(sealed, purpose(server.id, field)))


def refuse_without(server: Server) -> None:
    """Raises `AppError` invalid, saying what to do, for a server that has nothing we could prove ourselves with."""
    if not server.missing_secrets:
        return
    sftp = server.kind is Kind.SFTP
    files = "--password-file FILE (or --private-key FILE)" if sftp else "--access-key-file FILE --secret-key-file FILE"
    raise AppError(
        Code.INVALID,
        f"The server {server.name} has {server.missing_secrets}.",
        f"Give {'one' if sftp else 'both'}: dropslot server edit {server.name} {files}",
    )


def reseal_servers(conn: Connection, cipher: Cipher) -> int:
    """Seal all secrets of all servers under the master key that seals now; how many were not.

    Raises KeysError denied when one was sealed with a master key that `cipher` does not have.
    """
    changed = 0
    for server in list_servers(conn):
        old = {field: value for field, value in server.sealed.items() if not cipher.is_current(value)}
        if old:
            new = {field: cipher.reseal(value, purpose(server.id, field)) for field, value in old.items()}
            update_server(conn, replace(server, sealed={**server.sealed, **new}))
            changed += len(new)
    return changed


def find_unopened(conn: Connection, cipher: Cipher | None) -> list[tuple[Server, SecretField]]:
    """The secrets, each with its server, that `cipher` does not open; without one: all."""
    sealed = [(server, field, value) for server in list_servers(conn) for field, value in server.sealed.items()]
    return [
        (server, field)
        for server, field, value in sealed
        if cipher is None or not cipher.opens(value, purpose(server.id, field))
    ]


def forget_secrets(conn: Connection, secrets: Iterable[tuple[Server, SecretField]]) -> None:
    """The servers stay without them."""
    lost: dict[str, tuple[Server, set[SecretField]]] = {}
    for server, field in secrets:
        lost.setdefault(server.id, (server, set()))[1].add(field)
    for server, fields in lost.values():
        kept = {field: value for field, value in server.sealed.items() if field not in fields}
        update_server(conn, replace(server, sealed=kept))


def purpose(server_id: str, field: SecretField) -> str:
    """What a sealed secret is bound to."""
    return f"server {server_id} {field.value}"
