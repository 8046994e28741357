"""Profiles: which files of an agency are read, and by which template."""

from dataclasses import asdict
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, delete, insert, select

from ingest.arrival import Profile
from ingest.errors import IngestError
from ingest.inbox.templates import find_template
from ingest.record import new_id
from ingest.tables import profiles


def add_profile(
    conn: Connection,
    agency_id: str,
    name: str,
    template: str,
    *,
    at: datetime,
    directory: str = "/upload",
    keyword: str | None = None,
    blockword: str | None = None,
    skip_same_name: bool = False,
) -> Profile:
    """Add a profile.

    Raises IngestError: `invalid` (a directory that is not absolute, an empty name), `not_found` (the template),
    `conflict` (the agency has a profile of that name).
    """
    directory = directory.rstrip("/") or "/"
    if not name.strip():
        raise IngestError("invalid", "A profile needs a name.")
    if not directory.startswith("/") or ".." in directory.split("/"):
        raise IngestError("invalid", "The directory must begin with '/'.", "For example: /upload")
    find_template(conn, agency_id, template)
    taken = select(profiles.c.id).where(profiles.c.agency_id == agency_id, profiles.c.name == name)
    if conn.execute(taken).first():
        raise IngestError("conflict", f"There is a profile named {name} already.", "Choose another name.")
    profile = Profile(
        new_id(at), agency_id, name, template, directory, keyword or None, blockword or None, skip_same_name
    )
    conn.execute(insert(profiles).values(asdict(profile)))
    return profile


def keep_profile(conn: Connection, profile: Profile) -> None:
    """Keep a profile as it is, in place of the one with its id if there is one. Raises IngestError `not_found` if the
    agency has no such template."""
    find_template(conn, profile.agency_id, profile.template)
    conn.execute(delete(profiles).where(profiles.c.id == profile.id))
    conn.execute(insert(profiles).values(asdict(profile)))


def list_profiles(conn: Connection, agency_id: str) -> list[Profile]:
    """The agency's profiles, by name."""
    query = select(profiles).where(profiles.c.agency_id == agency_id).order_by(profiles.c.name)
    return [_profile(row) for row in conn.execute(query)]


def find_profile(conn: Connection, agency_id: str, name: str) -> Profile:
    """The agency's profile of that name. Raises IngestError `not_found`."""
    row = conn.execute(select(profiles).where(profiles.c.agency_id == agency_id, profiles.c.name == name)).first()
    if row is None:
        names = ", ".join(profile.name for profile in list_profiles(conn, agency_id)) or "none"
        raise IngestError("not_found", f"There is no profile named {name}.", f"The agency has: {names}.")
    return _profile(row)


def remove_profile(conn: Connection, agency_id: str, name: str) -> Profile:
    """Take a profile away; files that wait for it fail with a sentence. Raises IngestError `not_found`."""
    profile = find_profile(conn, agency_id, name)
    conn.execute(delete(profiles).where(profiles.c.id == profile.id))
    return profile


def profile_by_id(conn: Connection, profile_id: str) -> Profile | None:
    """The profile, or None."""
    row = conn.execute(select(profiles).where(profiles.c.id == profile_id)).first()
    return _profile(row) if row else None


def _profile(row: Row[Any]) -> Profile:
    return Profile(**row._mapping)
