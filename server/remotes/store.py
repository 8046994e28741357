"""The servers: added, found, changed, removed; and what host keys they showed."""

from dataclasses import fields
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from server.errors import AppError, Code
from server.remotes.server import MANAGED, MANAGED_ID, Kind, SecretField, Server, servers


def add_server(conn: Connection, server: Server) -> Server:
    """Store a new server. Raises `AppError` conflict for a name that is taken."""
    taken = AppError(
        Code.CONFLICT, f"There is a server '{server.name}' already.", "Choose another name, or use that server."
    )
    if server.name == MANAGED_ID:
        raise taken
    try:
        conn.execute(insert(servers).values(**_values(server)))
    except IntegrityError as error:
        raise taken from error
    return server


def find_server(conn: Connection, name: str) -> Server:
    """The server of that name. Raises `AppError` not_found."""
    return _one(conn, servers.c.name == name, f"There is no server '{name}'.") if name != MANAGED_ID else MANAGED


def server_by_id(conn: Connection, server_id: str) -> Server:
    """The server of that id. Raises `AppError` not_found."""
    if server_id == MANAGED_ID:
        return MANAGED
    return _one(conn, servers.c.id == server_id, f"There is no server with the id {server_id}.")


def list_servers(conn: Connection, agency_id: str | None = None) -> list[Server]:
    """All servers, or only those an agency may use: its own and those of the installation. `managed` comes first."""
    query = select(servers).order_by(servers.c.name)
    if agency_id is not None:
        query = query.where((servers.c.agency_id == agency_id) | servers.c.agency_id.is_(None))
    return [MANAGED, *map(_server, conn.execute(query))]


def update_server(conn: Connection, server: Server) -> Server:
    """Keep all of `server` as it is now. Raises `AppError` not_found."""
    done = conn.execute(update(servers).where(servers.c.id == server.id).values(**_values(server)))
    if not done.rowcount:
        raise AppError(Code.NOT_FOUND, f"There is no server '{server.name}'.", "See: dropslot server list")
    return server


def remove_server(conn: Connection, server: Server) -> None:
    """Forget the server and its secrets; the caller has made sure that nothing uses it."""
    conn.execute(delete(servers).where(servers.c.id == server.id))


def note_shown_key(conn: Connection, server_id: str, shown_key: str, at: datetime) -> Server:
    """Remember a host key that is not the trusted one: until a person has looked at it, nothing is exchanged."""
    server = server_by_id(conn, server_id)
    if shown_key in (server.host_key, server.shown_key):
        return server
    conn.execute(update(servers).where(servers.c.id == server_id).values(shown_key=shown_key, shown_at=at))
    return server_by_id(conn, server_id)


def trust_key(conn: Connection, server_id: str, host_key: str) -> Server:
    """Trust that host key and no other from now on."""
    values = {"host_key": host_key, "shown_key": None, "shown_at": None}
    conn.execute(update(servers).where(servers.c.id == server_id).values(**values))
    return server_by_id(conn, server_id)


def _one(conn: Connection, condition: Any, missing: str) -> Server:
    row = conn.execute(select(servers).where(condition)).one_or_none()
    if row is None:
        raise AppError(Code.NOT_FOUND, missing, "See: dropslot server list")
    return _server(row)


def _server(row: Row[Any]) -> Server:
    values = dict(row._mapping)
    found = {name: values.pop(name) for name in SecretField}
    sealed = {name: bytes(value) for name, value in found.items() if value is not None}
    return Server(**{**values, "kind": Kind(values["kind"])}, sealed=sealed)


def _values(server: Server) -> dict[str, Any]:
    plain = {one.name: getattr(server, one.name) for one in fields(server) if one.name != "sealed"}
    return {**plain, "kind": server.kind.value, **{name.value: server.sealed.get(name) for name in SecretField}}
