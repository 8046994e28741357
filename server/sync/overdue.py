"""Files that were expected and have not come."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, exists, select

from ingest.arrival import ArrivalState, Profile
from ingest.tables import arrivals, profiles
from server.agencies import Agency, list_agencies
from server.clock import new_id
from server.schedule.cycle import read_cycle
from server.schedule.slots import Schedule, Slot, slots_between

FURTHEST = timedelta(days=63)
"""So far back is looked for the slot before: further than any schedule's slots lie apart."""


@dataclass(frozen=True)
class Overdue:
    """A profile for which no file has come by `slot`."""

    profile: Profile
    agency: Agency
    slot: Slot


def overdue_profiles(conn: Connection, at: datetime) -> list[Overdue]:
    """Those whose file should be here at `at`, of agencies that may log in."""
    rows = conn.execute(select(profiles).where(profiles.c.expected.is_not(None), profiles.c.auto_sync)).all()
    if not rows:
        return []
    agencies = {agency.id: agency for agency in list_agencies(conn) if agency.enabled}
    found = []
    for profile in (Profile(**row._mapping) for row in rows):
        agency = agencies.get(profile.agency_id)
        if agency and (late := find_overdue(conn, profile, agency, at)):
            found.append(late)
    return found


def find_overdue(conn: Connection, profile: Profile, agency: Agency, at: datetime) -> Overdue | None:
    """Whether its file should be here at `at`, and is not.

    A file counts for the slot that is nearest: what comes late has come, and is not what is expected the next day.
    """
    schedule = read_cycle(profile.expected or "", agency.timezone)
    slot, before = _last_two(schedule, at)
    if slot is None or before is None or profile.id > new_id(slot.at):  # ids begin with their time
        return None
    early = slot.at - (slot.at - before.at) / 2
    return None if _came_since(conn, profile.id, early) else Overdue(profile, agency, slot)


def _came_since(conn: Connection, profile_id: str, early: datetime) -> bool:
    unfinished = (ArrivalState.PARTIAL, ArrivalState.REMOVED, ArrivalState.BLOCKED)
    query = exists().where(
        arrivals.c.id >= new_id(early)[:13],  # ids begin with their time: so few rows are looked at
        arrivals.c.profile_id == profile_id,
        arrivals.c.state.not_in(unfinished),
        arrivals.c.replay_of.is_(None),
    )
    return bool(conn.execute(select(query)).scalar())


def _last_two(schedule: Schedule, at: datetime) -> tuple[Slot | None, Slot | None]:
    """The last slot that is over at `at`, and the one before it."""
    for span in (timedelta(hours=3), timedelta(days=15), FURTHEST):
        slots = slots_between(schedule, at - span, at)
        if len(slots) > 1:
            return slots[-1], slots[-2]
    return None, None
