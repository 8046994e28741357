"""Profiles as an operator sets them up: checked against their server, their agency's zone and all other profiles."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection

from ingest import inbox
from ingest.arrival import Profile
from server.agencies import Agency, agency_by_id, find_agency
from server.clock import now
from server.errors import AppError, Code
from server.outbound.reports.wanted import read_wanted
from server.remotes.server import MANAGED, MANAGED_ID, Kind, Server
from server.remotes.store import find_server, server_by_id
from server.schedule.cycle import read_cycle, write_cycle

SERVER = "server"
"""The name of a server in `terms`, where a profile has its id."""
FOR_CYCLES = ("cycle", "expected")


def create_profile(conn: Connection, slug: str, name: str, template: str, **terms: Any) -> Profile:
    """Store a profile of the agency; `terms` are fields of `Profile`, and the name of its `server`.

    Without a word on it, a profile of another server looks at its top and begins with its Auto-Sync off. Raises
    `AppError` invalid, not_found, conflict (another profile would take the same files); `IngestError` likewise.
    """
    agency = find_agency(conn, slug)
    settled = _settled(conn, agency, terms)
    if settled.get("server_id"):
        settled = {"directory": "/", "auto_sync": False, **settled}
    profile = inbox.add_profile(conn, agency.id, name, template, at=now(), **settled)
    check_profile(conn, profile)
    return profile


def edit_profile(conn: Connection, slug: str, name: str, terms: Mapping[str, Any]) -> Profile:
    """Change those fields of a profile. Raises as `create_profile`."""
    agency = find_agency(conn, slug)
    profile = inbox.find_profile(conn, agency.id, name)
    changed = inbox.settle_profile(replace(profile, **_settled(conn, agency, terms)))
    check_profile(conn, changed)
    inbox.keep_profile(conn, changed)
    return changed


def check_profile(conn: Connection, profile: Profile) -> None:
    """Raise `AppError` if it cannot be as it is: its directories, its server, or who else would take its files."""
    agency, server = agency_by_id(conn, profile.agency_id), server_of(conn, profile)
    if server.agency_id not in (None, agency.id):
        raise AppError(
            Code.DENIED,
            f"The server {server.name} is another agency's.",
            f"Add one for {agency.slug}, or one for all agencies: dropslot server add",
        )
    if server.kind is Kind.MANAGED:
        _refuse_odd_home(profile)
    if bool(profile.report) != bool(profile.report_directory):
        raise AppError(
            Code.INVALID,
            "A report needs a directory, and a directory a report.",
            "Give --report and --report-directory.",
        )
    if profile.report:
        read_wanted(profile.report)
    others = profiles_beside(conn, profile)
    _refuse_tie(conn, profile, others)
    _refuse_loop(profile, others)


def refuse_unfit(conn: Connection, slug: str, names: Sequence[str]) -> None:
    """Check these profiles of an agency, which were copied from another one. Raises as `check_profile`."""
    agency = find_agency(conn, slug)
    for name in names:
        check_profile(conn, inbox.find_profile(conn, agency.id, name))


def server_of(conn: Connection, profile: Profile) -> Server:
    """The profile's server; our own endpoint if it has none. Raises `AppError` not_found if it is gone."""
    return MANAGED if profile.server_id is None else server_by_id(conn, profile.server_id)


def profiles_beside(conn: Connection, profile: Profile) -> list[Profile]:
    """All profiles that see the same directories: those of its server, or of its agency's home."""
    if profile.server_id is None:
        return [one for one in inbox.list_profiles(conn, profile.agency_id) if one.server_id is None]
    return inbox.profiles_of_server(conn, profile.server_id)


def _settled(conn: Connection, agency: Agency, terms: Mapping[str, Any]) -> dict[str, Any]:
    """The fields as they are kept: a server's id, times in one form."""
    settled = {name: value for name, value in terms.items() if name != SERVER}
    if SERVER in terms:
        server = find_server(conn, terms[SERVER] or MANAGED_ID)
        if server.kind is Kind.MANAGED and server.id != MANAGED_ID:
            raise AppError(
                Code.INVALID,
                f"The server {server.name} is our own endpoint under another name, and takes no profiles.",
                f"Use {MANAGED_ID}, and give the profile its directory below /upload.",
            )
        settled["server_id"] = None if server.kind is Kind.MANAGED else server.id
    for name in FOR_CYCLES:
        if settled.get(name):
            settled[name] = write_cycle(read_cycle(settled[name], agency.timezone))
    return settled


def _refuse_odd_home(profile: Profile) -> None:
    if profile.directory.split("/")[1] != "upload":
        raise AppError(Code.INVALID, "A profile's directory must be /upload or below it.", "For example: /upload/civil")
    if profile.report_directory and profile.report_directory.split("/")[1] == "upload":
        raise AppError(
            Code.INVALID,
            "A report in /upload would be taken for a file of the agency.",
            "Choose a directory below /download.",
        )


def _refuse_tie(conn: Connection, profile: Profile, others: list[Profile]) -> None:
    other = inbox.find_tie(profile, others)
    if other is None:
        return
    whose = "" if other.agency_id == profile.agency_id else f" of the agency {_slug(conn, other)}"
    what = f"the keyword {other.keyword!r}" if other.keyword else "no keyword"
    raise AppError(
        Code.CONFLICT,
        f"The profile {other.name}{whose} takes the same files of {other.directory} with equal right: it has {what}.",
        "Each file goes to one profile, the most specific: give this one another directory, or a longer keyword.",
    )


def _refuse_loop(profile: Profile, others: list[Profile]) -> None:
    """What is delivered must not come back as a file of the agency."""
    for one in others:
        for source, target in ((profile, one), (one, profile)):
            if inbox.is_same_place(profile, source.directory, target.report_directory):
                raise AppError(
                    Code.INVALID,
                    f"Reports of {target.name} in {source.directory} would be taken for files of {source.name}.",
                    "Choose another directory for reports.",
                )
    if inbox.is_same_place(profile, profile.directory, profile.report_directory):
        raise AppError(
            Code.INVALID,
            f"Reports in {profile.directory} would be taken for files of the profile itself.",
            "Choose another directory for reports.",
        )


def _slug(conn: Connection, profile: Profile) -> str:
    return agency_by_id(conn, profile.agency_id).slug
