"""Profiles: which files of an agency are read, and by which template."""

from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, delete, insert, select

from ingest.arrival import ORDERS, REPORT_FORMATS, Profile, plain_directory
from ingest.errors import IngestError
from ingest.inbox.names import refuse_odd_name
from ingest.inbox.rules import refuse_unfit
from ingest.inbox.templates import find_template
from ingest.record import new_id
from ingest.tables import profiles


def add_profile(conn: Connection, agency_id: str, name: str, template: str, *, at: datetime, **terms: Any) -> Profile:
    """Add a profile; `terms` are the other fields of `Profile`.

    Raises IngestError: `invalid` (a directory that is not absolute, an odd name), `not_found` (the template),
    `conflict` (the agency has a profile of that name).
    """
    profile = settle_profile(Profile(new_id(at), agency_id, name, template, **terms))
    refuse_odd_name(name, "profile")
    find_template(conn, agency_id, template)
    taken = select(profiles.c.id).where(profiles.c.agency_id == agency_id, profiles.c.name == name)
    if conn.execute(taken).first():
        raise IngestError("conflict", f"There is a profile named {name} already.", "Choose another name.")
    conn.execute(insert(profiles).values(vars(profile)))
    return profile


def settle_profile(profile: Profile) -> Profile:
    """The profile as it is kept: no slash at the end of a directory, None for what is empty.

    Raises IngestError `invalid` for what makes no sense.
    """
    if not profile.name.strip():
        raise IngestError("invalid", "A profile needs a name.")
    for what in ("keyword", "blockword"):
        if text := getattr(profile, what):
            refuse_unfit(text, what)
    if profile.order not in ORDERS:
        raise IngestError("invalid", f"There is no order {profile.order}.", f"Choose one of {', '.join(ORDERS)}.")
    if profile.report_format not in REPORT_FORMATS:
        raise IngestError(
            "invalid",
            f"A report cannot be written as {profile.report_format}.",
            f"Choose one of {', '.join(REPORT_FORMATS)}.",
        )
    return replace(
        profile,
        directory=_settle_directory(profile.directory),
        keyword=profile.keyword or None,
        blockword=profile.blockword or None,
        expected=profile.expected or None,
        report=profile.report or None,
        report_directory=_settle_directory(profile.report_directory) if profile.report_directory else None,
    )


def _settle_directory(directory: str) -> str:
    if not directory.startswith("/") or ".." in directory.split("/"):
        raise IngestError("invalid", "The directory must begin with '/', and have no '..'.", "For example: /upload")
    return plain_directory(directory)


def keep_profile(conn: Connection, profile: Profile) -> None:
    """Keep a profile as it is, in place of the one with its id if there is one. Raises IngestError `not_found` if the
    agency has no such template."""
    find_template(conn, profile.agency_id, profile.template)
    conn.execute(delete(profiles).where(profiles.c.id == profile.id))
    conn.execute(insert(profiles).values(vars(profile)))


def list_profiles(conn: Connection, agency_id: str) -> list[Profile]:
    """The agency's profiles, by name."""
    query = select(profiles).where(profiles.c.agency_id == agency_id).order_by(profiles.c.name)
    return [_profile(row) for row in conn.execute(query)]


def profiles_of_server(conn: Connection, server_id: str) -> list[Profile]:
    """The profiles of all agencies on that server, by agency and name."""
    query = select(profiles).where(profiles.c.server_id == server_id).order_by(profiles.c.agency_id, profiles.c.name)
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
