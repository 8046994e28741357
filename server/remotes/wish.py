"""What an operator says of a server, checked: so that what can be told wrong at once is not found out at night."""

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from urllib.parse import urlsplit

from keys.cipher import Cipher
from keys.secret import Secret
from server.clock import new_id, now
from server.errors import AppError, Code
from server.remotes.places import parts_of
from server.remotes.secrets import seal_secret
from server.remotes.server import SSH_PORT, Kind, SecretField, Server

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,252}[A-Za-z0-9])?")
BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,62}")
REGION = re.compile(r"[A-Za-z0-9-]{1,64}")
AMAZON = re.compile(r"s3(?:-fips)?(?:\.dualstack)?(?:[.-](?P<region>[a-z0-9-]+))?\.amazonaws\.com(?:\.cn)?")
LONGEST_TIMEOUT = 300.0
LONGEST_SECRET = {SecretField.PRIVATE_KEY: 64 * 1024}
LONGEST_LINE = 1024

OF_KIND = {
    Kind.MANAGED: (),
    Kind.SFTP: ("host", "port", "timeout", "username", "directory"),
    Kind.S3: ("host", "port", "timeout", "bucket", "region", "directory", "path_style", "plain_http"),
}
SECRETS_OF_KIND = {
    Kind.MANAGED: (),
    Kind.SFTP: (SecretField.PASSWORD, SecretField.PRIVATE_KEY, SecretField.PASSPHRASE),
    Kind.S3: (SecretField.ACCESS_KEY, SecretField.SECRET_KEY),
}


@dataclass(frozen=True)
class ServerWish:
    """What a server is to be like; None leaves a thing as it is. `host` may be an address with a port."""

    host: str | None = None
    port: int | None = None
    timeout: float | None = None
    username: str | None = None
    directory: str | None = None
    bucket: str | None = None
    region: str | None = None
    path_style: bool | None = None
    plain_http: bool | None = None
    secrets: Mapping[SecretField, Secret] = field(default_factory=dict, repr=False)

    @property
    def is_empty(self) -> bool:
        """Whether nothing is wished for."""
        return not self.secrets and all(getattr(self, name) is None for name in vars(self) if name != "secrets")


def make_server(name: str, kind: Kind, agency_id: str | None, wish: ServerWish, cipher: Cipher) -> Server:
    """A new server as wished. Raises `AppError` invalid, and what `read_private_key` raises."""
    if not NAME.fullmatch(name):
        raise AppError(
            Code.INVALID,
            f"'{name}' cannot be a server's name.",
            "Use letters, digits, dots, dashes and underscores, at most 64, beginning with a letter or digit.",
        )
    usual = "." if kind is Kind.SFTP else "/"
    port = SSH_PORT if kind is Kind.SFTP else None
    made = Server(new_id(), name, kind, now(), agency_id, directory=usual, port=port)
    return change_server(made, wish, cipher)


def change_server(server: Server, wish: ServerWish, cipher: Cipher) -> Server:
    """The server as wished; at another address, its host key must be looked at anew. Raises `AppError` invalid."""
    _refuse_other_kinds(server, wish)
    changed = _at(server, wish)
    said = {name: getattr(wish, name) for name in ("username", "bucket", "region", "path_style", "timeout")}
    changed = replace(changed, **{name: value for name, value in said.items() if value is not None})
    if wish.directory is not None:
        changed = replace(changed, directory=_directory(server.kind, wish.directory))
    changed = replace(changed, sealed=_sealed(changed, wish, cipher))
    if server.kind is Kind.S3:
        changed = _settle_bucket(changed, wish)
    if (changed.host, changed.port) != (server.host, server.port):
        changed = replace(changed, host_key=None, shown_key=None, shown_at=None)
    _check(changed)
    return changed


def _refuse_other_kinds(server: Server, wish: ServerWish) -> None:
    fits = OF_KIND[server.kind]
    odd = [name for name in vars(wish) if name not in (*fits, "secrets") and getattr(wish, name) is not None]
    odd += [name.value for name in wish.secrets if name not in SECRETS_OF_KIND[server.kind]]
    if odd:
        has = ", ".join(name.replace("_", " ") for name in (*fits, *SECRETS_OF_KIND[server.kind]))
        raise AppError(
            Code.INVALID,
            f"A server of type {server.kind} has no {odd[0].replace('_', ' ')}.",
            f"It has: {has or 'nothing to be set'}.",
        )


def _at(server: Server, wish: ServerWish) -> Server:
    """The server at the address wished for, which may be written as `https://host:port`."""
    if wish.host is None:
        plain = server.plain_http if wish.plain_http is None else wish.plain_http
        return replace(server, port=server.port if wish.port is None else wish.port, plain_http=plain)
    scheme, _, rest = wish.host.strip().rpartition("://")
    try:
        parts = urlsplit(f"//{_bracketed(rest)}")
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise _no_host(wish.host) from None
    if parts.path.strip("/") or parts.query or parts.username or (scheme and scheme not in ("https", "http", "sftp")):
        raise _no_host(wish.host)
    plain = wish.plain_http if wish.plain_http is not None else scheme == "http" and is_loopback(host)
    if scheme == "http" and not plain:
        raise AppError(
            Code.INVALID,
            "Without TLS, keys and files could be read on the way.",
            "Write https://, or say --plain-http if that network is safe.",
        )
    usual = SSH_PORT if server.kind is Kind.SFTP else None
    return replace(server, host=host, port=(port or usual) if wish.port is None else wish.port, plain_http=plain)


def _bracketed(host: str) -> str:
    """An IPv6 address as it is written in front of a port."""
    try:
        return f"[{ipaddress.IPv6Address(host)}]"
    except ValueError:
        return host


def is_loopback(host: str) -> bool:
    """Whether the host is this machine."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _no_host(host: str) -> AppError:
    return AppError(
        Code.INVALID, f"'{host}' is no host.", "Write a name or an address, such as sftp.example.gov or 203.0.113.7."
    )


def _directory(kind: Kind, directory: str) -> str:
    parts = parts_of(directory)
    if any(not character.isprintable() for character in directory):
        raise AppError(Code.INVALID, "A directory cannot have control characters.", "Write it as the server shows it.")
    relative = kind is Kind.SFTP and not directory.startswith("/")
    return ("" if relative else "/") + "/".join(parts) or "."


def _sealed(server: Server, wish: ServerWish, cipher: Cipher) -> Mapping[SecretField, bytes]:
    """Its secrets with those wished for; a password takes the place of a key, and the other way round."""
    kept = dict(server.sealed)
    for field_, secret in wish.secrets.items():
        _check_secret(field_, secret)
        kept[field_] = seal_secret(cipher, server.id, field_, secret)
    if SecretField.PASSWORD in wish.secrets and SecretField.PRIVATE_KEY in wish.secrets:
        raise AppError(Code.INVALID, "A server has a password or a private key, not both.", "Give one of them.")
    if SecretField.PASSWORD in wish.secrets:
        gone: tuple[SecretField, ...] = (SecretField.PRIVATE_KEY, SecretField.PASSPHRASE)
    elif SecretField.PRIVATE_KEY in wish.secrets:
        from server.remotes.sftp import check_private_key  # asyncssh: only where it is needed

        check_private_key(wish.secrets[SecretField.PRIVATE_KEY], wish.secrets.get(SecretField.PASSPHRASE))
        gone = (SecretField.PASSWORD, *({SecretField.PASSPHRASE} - set(wish.secrets)))
    elif SecretField.PASSPHRASE in wish.secrets:
        raise AppError(
            Code.INVALID, "A passphrase comes with its private key.", "Give both: --private-key and --passphrase-file."
        )
    else:
        gone = ()
    return {name: value for name, value in kept.items() if name not in gone}


def _check_secret(field_: SecretField, secret: Secret) -> None:
    text = secret.reveal()
    what = field_.value.replace("_", " ")
    if not text:
        raise AppError(Code.INVALID, f"The {what} is empty.", "Look at the file it is read from.")
    if len(text) > LONGEST_SECRET.get(field_, LONGEST_LINE):
        raise AppError(Code.INVALID, f"The {what} is too long.", "Look at the file it is read from.")
    try:
        plain = text.decode()
    except UnicodeDecodeError:
        raise AppError(Code.INVALID, f"The {what} is no text.", "Look at the file it is read from.") from None
    if field_ is not SecretField.PRIVATE_KEY and any(ord(character) < 0x20 for character in plain):
        raise AppError(
            Code.INVALID, f"The {what} has a line break or a control character in it.", "Give one line of text."
        )


def _settle_bucket(server: Server, wish: ServerWish) -> Server:
    """What follows from the rest: host from region, region from host, the style from both."""
    region = wish.region or _region_of(server.host) or server.region or "us-east-1"
    host = server.host or f"s3.{region}.amazonaws.com"
    style = wish.path_style
    if style is None:
        told_before = server.bucket and server.region and wish.host is None and wish.bucket is None
        style = server.path_style if told_before and wish.region is None else not _is_virtual(host, server.bucket or "")
    return replace(server, host=host, region=region, path_style=style)


def _region_of(host: str | None) -> str | None:
    found = AMAZON.fullmatch(host or "")
    return found["region"] if found else None


def _is_virtual(host: str, bucket: str) -> bool:
    """Amazon wants the bucket in the host's name; with a dot in it, no certificate would fit."""
    return bool(AMAZON.fullmatch(host)) and "." not in bucket


def _check(server: Server) -> None:
    if server.kind is not Kind.MANAGED and not (
        server.host and (HOST.fullmatch(server.host) or _is_address(server.host))
    ):
        raise _no_host(server.host or "")
    if server.port is not None and not 0 < server.port < 65536:
        raise AppError(Code.INVALID, f"{server.port} is no port.", "A port is a number from 1 to 65535.")
    if not 0.1 <= server.timeout <= LONGEST_TIMEOUT:
        raise AppError(
            Code.INVALID, "This timeout cannot be used.", f"Give 0.1 to {LONGEST_TIMEOUT:g} seconds; 10 is usual."
        )
    if server.kind is Kind.SFTP and not (server.username and server.username.isprintable()):
        raise AppError(Code.INVALID, "The server has no username.", "Give it with --username; case matters.")
    if server.kind is Kind.S3:
        _check_bucket(server)


def _check_bucket(server: Server) -> None:
    if not (server.bucket and BUCKET.fullmatch(server.bucket)):
        raise AppError(Code.INVALID, "The server has no bucket, or its name cannot be one.", "Give it with --bucket.")
    if not REGION.fullmatch(server.region or ""):
        raise AppError(Code.INVALID, f"'{server.region}' is no region.", "Write it as us-gov-west-1.")
    if not server.path_style and _is_address(server.host or ""):
        raise AppError(
            Code.INVALID, "With an address for a host, the bucket cannot be part of its name.", "Say: --style path"
        )
    if server.plain_http is False and server.port == 80:
        raise AppError(Code.INVALID, "Port 80 is for requests without TLS.", "Leave it away, or add --plain-http.")
