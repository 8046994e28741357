"""How a server is told, to people and to programs: never with a secret."""

from collections.abc import Mapping, Sequence

from sqlalchemy import Connection

from server.agencies import list_agencies
from server.remotes.reach import fingerprint
from server.remotes.server import MANAGED_ID, HostKeyState, Kind, SecretField, Server
from server.remotes.users import users_of
from server.remotes.wish import is_loopback
from server.sync.places import Standing, standings

_STATES = {
    HostKeyState.UNSEEN: "not seen yet: test it",
    HostKeyState.UNCONFIRMED: "NOT CONFIRMED: nothing is exchanged",
    HostKeyState.CHANGED: "HOST KEY CHANGED: nothing is exchanged",
}


def document(conn: Connection, server: Server) -> dict[str, object]:
    """All that may be known of it, its agency's slug, and the profiles that use it as agency/name."""
    slugs = {agency.id: agency.slug for agency in list_agencies(conn)}
    standing = standings(conn).get(server.id)
    return _told(server, slugs.get(server.agency_id or ""), users_of(conn, server.id), standing)


def _told(server: Server, agency: str | None, profiles: Sequence[str], standing: Standing | None) -> dict[str, object]:
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
    told |= {"state": state(server, standing), "profiles": list(profiles)}
    if standing and standing.failures:
        told |= {"failing_since": standing.failing_since, "error": standing.error, "hint": standing.hint}
    return told if server.id == MANAGED_ID else {**told, "created_at": server.created_at}


_ABSENT = {
    "agency": "all agencies may use it",
    "trusted_fingerprint": "none is trusted",
    "shown_fingerprint": "no other was shown",
    "shown_at": "",
    "profiles": "no profile uses it",
}


def for_people(told: Mapping[str, object]) -> dict[str, object]:
    """A document with words where there is nothing to show, and without what would be a mere blank."""
    profiles = told.get("profiles")
    shown = {**told, "profiles": ", ".join(profiles) if isinstance(profiles, list) else ""}
    shown = {key: _ABSENT.get(key, "") if value in (None, "") else value for key, value in shown.items()}
    return {key: value for key, value in shown.items() if value != ""}


def where(server: Server) -> str:
    """Where it is, in the form people know."""
    if server.kind is Kind.MANAGED:
        return "this dropslot"
    if server.kind is Kind.S3:
        scheme, port = "http" if server.plain_http else "https", f":{server.port}" if server.port else ""
        return f"s3://{server.bucket}{server.directory.rstrip('/')} at {scheme}://{_host(server)}{port}"
    directory = server.directory if server.directory.startswith("/") else f"/{server.directory}"
    return f"sftp://{server.username}@{_host(server)}:{server.port}{directory.removesuffix('/.')}"


def hint_of_tls(server: Server) -> str:
    """What may be wrong with a bucket on this machine: TLS is spoken unless something else is said; else nothing."""
    if server.kind is not Kind.S3 or server.plain_http or not is_loopback(server.host or ""):
        return ""
    port = f":{server.port}" if server.port else ""
    return (
        f"TLS is spoken with it; if it has none: dropslot server edit {server.name} --host http://{_host(server)}{port}"
    )


def state(server: Server, standing: Standing | None) -> str:
    """Whether files may be exchanged with it, and whether that goes well, for people; `standing` None: never tried."""
    if not server.usable:
        return _STATES[server.host_key_state]
    if standing and standing.parked_at:
        return f"PARKED since {standing.parked_at:%Y-%m-%d %H:%M} UTC"
    if standing and standing.failures:
        since = f" since {standing.failing_since:%Y-%m-%d %H:%M} UTC" if standing.failing_since else ""
        return f"FAILING{since}"
    if server.kind is Kind.MANAGED or standing:
        return "ready"
    return "not tested"


def _host(server: Server) -> str:
    return f"[{server.host}]" if ":" in (server.host or "") else server.host or ""


def _is_set(server: Server, field: SecretField) -> bool:
    return field in server.sealed
