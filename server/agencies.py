"""The agencies: tenants with their own home, keys, profiles and records."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Connection,
    Integer,
    Row,
    String,
    Table,
    Text,
    insert,
    select,
    update,
)
from sqlalchemy.exc import IntegrityError

from server.db.metadata import Instant, metadata
from server.errors import AppError, Code
from server.networks import parse_networks
from server.zones import check_zone

LONGEST_NAME = 200

agencies = Table(
    "agencies",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("slug", String(32), nullable=False, unique=True),
    Column("name", String(LONGEST_NAME), nullable=False),
    Column("timezone", String(64), nullable=False),
    Column("staging", Boolean, nullable=False),
    Column("enabled", Boolean, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("networks", Text),
    Column("quota_bytes", BigInteger),
    Column("quota_files", Integer),
    Column("password_hash", Text),
)

# A slug is a login name, a folder name and a word in commands, so it is kept plain in all three.
SLUG = re.compile(r"[a-z][a-z0-9-]{1,30}[a-z0-9]")
MOST_BYTES, MOST_FILES = 2**62, 2**31 - 1  # what the columns hold
RESERVED = frozenset({"root", "admin", "dropslot"})


@dataclass(frozen=True)
class Agency:
    """A tenant; `slug` is its login name, `timezone` the IANA name of the zone its court times are in.

    `networks` are the networks it may come from, in CIDR notation and with spaces between (None: from anywhere);
    `quota_bytes` and `quota_files` bound what its `/upload` may hold (None: nothing does); `password_hash` is
    argon2id's encoded form (None: it has no password, which is the rule).
    """

    id: str
    slug: str
    name: str
    timezone: str
    staging: bool
    enabled: bool
    created_at: datetime
    networks: str | None = None
    quota_bytes: int | None = None
    quota_files: int | None = None
    password_hash: str | None = field(default=None, repr=False)


def add_agency(conn: Connection, agency: Agency) -> Agency:
    """Store a new agency. Raises `AppError` invalid for a bad slug, name or zone, conflict for a slug that is taken."""
    _check(agency)
    try:
        conn.execute(insert(agencies).values(**vars(agency)))
    except IntegrityError as error:
        raise AppError(
            Code.CONFLICT, f"There is an agency '{agency.slug}' already.", "Choose another slug, or use that agency."
        ) from error
    return agency


def find_agency(conn: Connection, slug: str) -> Agency:
    """The agency of that slug. Raises `AppError` not_found."""
    found = look_up(conn, slug)
    if found is None:
        raise AppError(Code.NOT_FOUND, f"There is no agency '{slug}'.", "See: dropslot agency list")
    return found


def look_up(conn: Connection, slug: str) -> Agency | None:
    """The agency of that slug, or None."""
    row = conn.execute(select(agencies).where(agencies.c.slug == slug)).one_or_none()
    return _agency(row) if row else None


def agency_by_id(conn: Connection, agency_id: str) -> Agency:
    """The agency of that id. Raises `AppError` not_found."""
    row = conn.execute(select(agencies).where(agencies.c.id == agency_id)).one_or_none()
    if row is None:
        raise AppError(Code.NOT_FOUND, f"There is no agency with the id {agency_id}.")
    return _agency(row)


def list_agencies(conn: Connection) -> list[Agency]:
    """All agencies by slug, disabled ones too."""
    return [_agency(row) for row in conn.execute(select(agencies).order_by(agencies.c.slug))]


def set_enabled(conn: Connection, slug: str, enabled: bool) -> Agency:
    """Let the agency log in, or no longer. Raises `AppError` not_found."""
    conn.execute(update(agencies).where(agencies.c.slug == slug).values(enabled=enabled))
    return find_agency(conn, slug)


def set_name(conn: Connection, slug: str, name: str) -> Agency:
    """Call the agency so. Raises `AppError` not_found, or invalid for an empty or too long name."""
    _check_name(name)
    conn.execute(update(agencies).where(agencies.c.slug == slug).values(name=name.strip()))
    return find_agency(conn, slug)


def set_timezone(conn: Connection, slug: str, timezone: str) -> Agency:
    """Read the agency's court times in that zone from now on. Raises `AppError` not_found, or invalid for a bad zone.

    What was read already is another matter: see `server.services.provision.move_agency`.
    """
    check_zone(timezone)
    conn.execute(update(agencies).where(agencies.c.slug == slug).values(timezone=timezone))
    return find_agency(conn, slug)


def set_networks(conn: Connection, slug: str, networks: Sequence[str]) -> Agency:
    """Let the agency log in from those networks only (CIDR); none: from anywhere.

    Raises `AppError` not_found, or invalid for what is no network, with the one that was probably meant, and for text
    that names none: it must not let everybody in.
    """
    text = " ".join(networks)
    try:
        found = [str(network) for network in parse_networks(text)]
    except ValueError as error:
        raise AppError(Code.INVALID, str(error)) from error
    if networks and not found:
        raise AppError(Code.INVALID, "That names no network.", "Write it as 203.0.113.0/24 or 2001:db8::/32.")
    conn.execute(update(agencies).where(agencies.c.slug == slug).values(networks=" ".join(found) or None))
    return find_agency(conn, slug)


def set_quota(conn: Connection, slug: str, size: int | None, files: int | None) -> Agency:
    """Let the agency's `/upload` hold so many bytes and files, None for any. Raises `AppError` not_found, invalid."""
    if (size is not None and not 0 < size <= MOST_BYTES) or (files is not None and not 0 < files <= MOST_FILES):
        raise AppError(
            Code.INVALID,
            f"A quota is 1 to {MOST_BYTES} bytes, 1 to {MOST_FILES} files.",
            "For no limit: --quota-bytes none, or --quota-files none.",
        )
    conn.execute(update(agencies).where(agencies.c.slug == slug).values(quota_bytes=size, quota_files=files))
    return find_agency(conn, slug)


def set_password(conn: Connection, slug: str, password_hash: str | None) -> Agency:
    """Let the agency log in with a password too, or (None) no longer. Raises `AppError` not_found."""
    conn.execute(update(agencies).where(agencies.c.slug == slug).values(password_hash=password_hash))
    return find_agency(conn, slug)


def _agency(row: Row[tuple[object, ...]]) -> Agency:
    return Agency(**row._mapping)


def _check(agency: Agency) -> None:
    if not SLUG.fullmatch(agency.slug) or agency.slug in RESERVED:
        raise AppError(
            Code.INVALID,
            f"'{agency.slug}' cannot be a slug.",
            "Use 3 to 32 small letters, digits and dashes, beginning with a letter; not root, admin or dropslot.",
        )
    _check_name(agency.name)
    check_zone(agency.timezone)


def _check_name(name: str) -> None:
    if not name.strip():
        raise AppError(Code.INVALID, "The agency's name is empty.", "Give one with --name.")
    if len(name) > LONGEST_NAME:
        raise AppError(
            Code.INVALID,
            f"The agency's name has more than {LONGEST_NAME} characters.",
            "Give a shorter one with --name.",
        )
