"""What is due: which profiles at which places, and when each is looked at next."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, or_, select

from ingest.arrival import Profile
from ingest.tables import profiles
from server.agencies import Agency, list_agencies
from server.clock import now
from server.remotes.server import MANAGED, Server
from server.remotes.store import list_servers
from server.schedule.cycle import read_cycle
from server.schedule.slots import next_slot
from server.sync.files import to_remove
from server.sync.places import SLACK, Standing, standing_of, standings
from server.sync.runs import Run, last_runs


@dataclass(frozen=True)
class Place:
    """Where files are exchanged: a server, or our own endpoint for the one agency in `agencies`.

    `profiles` are all those on it, `agencies` all whose they are, by id.
    """

    server: Server
    agencies: Mapping[str, Agency]
    profiles: tuple[Profile, ...]

    @property
    def id(self) -> str:
        """The server's id, or that of the agency whose home it is."""
        return next(iter(self.agencies)) if self.is_home else self.server.id

    @property
    def is_home(self) -> bool:
        """Whether it is our own endpoint, where files come by themselves."""
        return self.server.id == MANAGED.id

    @property
    def name(self) -> str:
        """What people call it."""
        return f"{self.server.name} ({next(iter(self.agencies.values())).slug})" if self.is_home else self.server.name

    def is_active(self, profile: Profile) -> bool:
        """Whether the cycle has anything to do for the profile."""
        agency = self.agencies[profile.agency_id]
        pulls = profile.auto_sync and not self.is_home
        return agency.enabled and (pulls or bool(profile.report))

    @property
    def active(self) -> list[Profile]:
        """The profiles that the cycle has anything to do for."""
        return [profile for profile in self.profiles if self.is_active(profile)]


@dataclass(frozen=True)
class Task:
    """What is to be done at a place now: the cycle of these profiles; none: only deleting what was processed."""

    place: Place
    profiles: tuple[Profile, ...]


def list_places(conn: Connection) -> list[Place]:
    """All places that the cycle has anything to do at, by name."""
    agencies = {agency.id: agency for agency in list_agencies(conn)}
    servers = {server.id: server for server in list_servers(conn)}
    wanted = or_(profiles.c.server_id.is_not(None), profiles.c.report.is_not(None))
    found: dict[tuple[str, str], list[Profile]] = {}
    for row in conn.execute(select(profiles).where(wanted).order_by(profiles.c.name)):
        profile = Profile(**row._mapping)
        if profile.agency_id in agencies and (profile.server_id or MANAGED.id) in servers:
            key = (profile.server_id, "") if profile.server_id else (MANAGED.id, profile.agency_id)
            found.setdefault(key, []).append(profile)
    places = [
        Place(servers[server_id], {one.agency_id: agencies[one.agency_id] for one in group}, tuple(group))
        for (server_id, _), group in found.items()
    ]
    return sorted((place for place in places if place.active), key=lambda place: place.name)


def due_tasks(conn: Connection, at: datetime) -> list[Task]:
    """What is due at `at`; nothing at places that are parked, or are not to be tried again yet."""
    places = list_places(conn)
    if not places:
        return []
    known, runs, removable = (
        standings(conn),
        last_runs(conn),
        {file.server_id for file in to_remove(conn, untried=True)},
    )
    tasks = []
    for place in places:
        standing = known.get(place.id, Standing(place.id))
        due = _due_profiles(place, standing, runs, at)
        tidy = place.server.id in removable and standing.state == "ok"
        if (due or tidy) and not standing.is_held(at):
            tasks.append(Task(place, tuple(due)))
    return tasks


def due_at(conn: Connection, place: Place, at: datetime) -> list[Profile]:
    """The profiles of one place that are due at `at`."""
    return _due_profiles(place, standing_of(conn, place.id), last_runs(conn), at)


def _due_profiles(place: Place, standing: Standing, runs: Mapping[str, Run], at: datetime) -> list[Profile]:
    if not standing.may_be_tried(at):
        return []
    return [one for one in place.active if (next_run(place, one, standing, runs.get(one.id), at) or at) <= at]


def next_run(
    place: Place, profile: Profile, standing: Standing, last: Run | None, at: datetime | None = None
) -> datetime | None:
    """When the profile is looked at next, as of `at`: None for as soon as possible, or (parked, or not active) never.

    A run of the future was made while the clock was wrong, and says nothing.
    """
    if standing.parked_at or not place.is_active(profile) or last is None:
        return None
    if last.started_at > (at or now()) + SLACK:
        return None
    if standing.failures and standing.retry_at:
        # Tried since then, and nothing is held against it: the trouble was ours, and that has a pause of its own.
        pause = last.again_at if last.started_at >= standing.retry_at else None
        return max(standing.retry_at, pause or standing.retry_at)
    slot = next_slot(read_cycle(profile.cycle, place.agencies[profile.agency_id].timezone), last.started_at).at
    return min(slot, last.again_at) if last.again_at else slot


def narrow(places: Iterable[Place], agency_id: str | None, profile_name: str | None) -> list[Task]:
    """What a person asks for: the active profiles of an agency, or one of them, or all."""
    tasks = []
    for place in places:
        chosen = [
            one
            for one in place.active
            if (agency_id is None or one.agency_id == agency_id) and profile_name in (None, one.name)
        ]
        if chosen:
            tasks.append(Task(place, tuple(chosen)))
    return tasks
