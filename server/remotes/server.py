"""What is known of a server where files are exchanged, and the table that keeps it.

A server belongs to one agency, or (no `agency_id`) to the installation: then the profiles of several agencies may use
it, each with its own directory. Its secrets are sealed, each for its server and field; see `server.remotes.secrets`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum

from sqlalchemy import Boolean, Column, Float, Integer, LargeBinary, String, Table, Text

from server.db.metadata import Instant, metadata

DEFAULT_TIMEOUT = 10.0  # seconds
SSH_PORT = 22
MANAGED_ID = "managed"


class Kind(StrEnum):
    """What is behind a server."""

    MANAGED = "managed"
    SFTP = "sftp"
    S3 = "s3"


class HostKeyState(StrEnum):
    """What is known of the host key of a server of kind sftp; only with a `trusted` one are files exchanged."""

    UNSEEN = "unseen"
    """Nobody has connected yet: `dropslot server test` does."""
    UNCONFIRMED = "unconfirmed"
    """It was seen, and waits for a person to say that it is the right one."""
    TRUSTED = "trusted"
    CHANGED = "changed"
    """Another one than the trusted one was seen: nothing is exchanged until a person has looked at it."""


class SecretField(StrEnum):
    """The secrets a server may have; each is the name of its column."""

    PASSWORD = "password"  # noqa: S105
    PRIVATE_KEY = "private_key"
    PASSPHRASE = "passphrase"  # noqa: S105
    ACCESS_KEY = "access_key"
    SECRET_KEY = "secret_key"  # noqa: S105


servers = Table(
    "servers",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("agency_id", String(36), index=True),
    Column("name", String(64), nullable=False, unique=True),
    Column("kind", String(8), nullable=False),
    Column("directory", Text, nullable=False),
    Column("host", String(255)),
    Column("port", Integer),
    Column("timeout", Float, nullable=False),
    Column("username", Text),
    Column("bucket", String(255)),
    Column("region", String(64)),
    Column("path_style", Boolean, nullable=False),
    Column("plain_http", Boolean, nullable=False),
    Column("password", LargeBinary),
    Column("private_key", LargeBinary),
    Column("passphrase", LargeBinary),
    Column("access_key", LargeBinary),
    Column("secret_key", LargeBinary),
    Column("host_key", Text),
    Column("shown_key", Text),
    Column("shown_at", Instant),
    Column("created_at", Instant, nullable=False),
)


@dataclass(frozen=True)
class Server:
    """A place where files are exchanged.

    `directory` begins with `/`; all directories of profiles are below it (of a bucket: it is the prefix of all keys).
    `timeout` is in seconds, for connecting and for each silent stretch. `host`, `port` and `username` are those of
    kind sftp; of kind s3 `host` and `port` are the endpoint, with `bucket`, `region`, `path_style` (else the bucket is
    part of the host's name) and `plain_http` (no TLS). `host_key` is the trusted host key in OpenSSH's one-line form,
    `shown_key` another one that was seen at `shown_at` and waits for a person. `sealed` holds the secrets there are.
    """

    id: str
    name: str
    kind: Kind
    created_at: datetime
    agency_id: str | None = None
    directory: str = "/"
    host: str | None = None
    port: int | None = None
    timeout: float = DEFAULT_TIMEOUT
    username: str | None = None
    bucket: str | None = None
    region: str | None = None
    path_style: bool = False
    plain_http: bool = False
    host_key: str | None = None
    shown_key: str | None = None
    shown_at: datetime | None = None
    sealed: Mapping[SecretField, bytes] = field(default_factory=dict, repr=False)

    @property
    def host_key_state(self) -> HostKeyState:
        """Whether its host key is known, and trusted."""
        if self.host_key:
            return HostKeyState.CHANGED if self.shown_key else HostKeyState.TRUSTED
        return HostKeyState.UNCONFIRMED if self.shown_key else HostKeyState.UNSEEN

    @property
    def usable(self) -> bool:
        """Whether files may be exchanged with it as far as its host key goes."""
        return self.kind is not Kind.SFTP or self.host_key_state is HostKeyState.TRUSTED

    @property
    def missing_secrets(self) -> str:
        """What it needs to let us in and does not have, for people; empty if nothing."""
        if self.kind is Kind.SFTP and not {SecretField.PASSWORD, SecretField.PRIVATE_KEY} & self.sealed.keys():
            return "neither a password nor a private key"
        if self.kind is Kind.S3 and not {SecretField.ACCESS_KEY, SecretField.SECRET_KEY} <= self.sealed.keys():
            return "no access key or no secret key"
        return ""


MANAGED = Server(id=MANAGED_ID, name=MANAGED_ID, kind=Kind.MANAGED, created_at=datetime(2026, 1, 1, tzinfo=UTC))
"""Our own endpoint: there for everyone, without a row."""
