"""How a server is told, to people and to programs: never with a secret."""

from collections.abc import Sequence

from sqlalchemy import Connection

from server.agencies import list_agencies
from server.remotes.reach import fingerprint
from server.remotes.server import HostKeyState, Kind, SecretField, Server
from server.remotes.users import users_of

_STATES = {
    HostKeyState.UNSEEN: "not seen yet: test it",
    HostKeyState.UNCONFIRMED: "NOT CONFIRMED: nothing is exchanged",
    HostKeyState.TRUSTED: "trusted",
    HostKeyState.CHANGED: "HOST KEY CHANGED: nothing is exchanged",
}


def document(conn: Connection, server: Server) -> dict[str, object]:
    """All that may be known of it, its agency's slug and the names of the profiles that use it."""
    slugs = {agency.id: agency.slug for agency in list_agencies(conn)}
    return _told(server, slugs.get(server.agency_id or ""), users_of(conn, server.id))


def _told(server: Server, agency: str | None, profiles: Sequence[str]) -> dict[str, object]:
    told: dict[str, object] = {
        "name": server.name,
        "id": server.id,
        "type": server.kind.value,
        "agency": agency,
        "where": where(server),
        "directory": server.directory,
    }
    if server.kind is not Kind.MANAGED:
        told |= {"host": server.host, "port": server.port, "timeout": server.timeout}
    if server.kind is Kind.SFTP:
        told |= {
            "username": server.username,
            "password": _is_set(server, SecretField.PASSWORD),
            "private_key": _is_set(server, SecretField.PRIVATE_KEY),
            "passphrase": _is_set(server, SecretField.PASSPHRASE),
            "host_key": server.host_key_state.value,
            "trusted_fingerprint": fingerprint(server.host_key) or None,
            "shown_fingerprint": fingerprint(server.shown_key) or None,
            "shown_at": server.shown_at,
        }
    if server.kind is Kind.S3:
        told |= {
            "bucket": server.bucket,
            "region": server.region,
            "style": "path" if server.path_style else "virtual",
            "plain_http": server.plain_http,
            "access_key": _is_set(server, SecretField.ACCESS_KEY),
            "secret_key": _is_set(server, SecretField.SECRET_KEY),
        }
    return {**told, "state": state(server), "profiles": list(profiles), "created_at": server.created_at}


def where(server: Server) -> str:
    """Where it is, in the form people know."""
    if server.kind is Kind.MANAGED:
        return "this dropslot"
    if server.kind is Kind.S3:
        return f"s3://{server.bucket}{server.directory.rstrip('/')} at {server.host}"
    host = f"[{server.host}]" if ":" in (server.host or "") else server.host
    directory = server.directory if server.directory.startswith("/") else f"/{server.directory}"
    return f"sftp://{server.username}@{host}:{server.port}{directory.removesuffix('/.')}"


def state(server: Server) -> str:
    """Whether files may be exchanged with it, for people."""
    return _STATES[server.host_key_state] if server.kind is Kind.SFTP else "ready"


def _is_set(server: Server, field: SecretField) -> bool:
    return field in server.sealed
