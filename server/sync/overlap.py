"""Which files go to another profile than before once a profile is added or changed: nobody is to lose them unseen."""

from collections.abc import Iterator

from sqlalchemy import Connection

from ingest.arrival import Profile
from ingest.inbox import is_same_place
from ingest.inbox.rules import measure_of, overlap
from server.agencies import agency_by_id
from server.sync.profiles import profiles_beside


def tell_overlaps(conn: Connection, profile: Profile, before: Profile | None = None) -> list[str]:
    """A sentence for each profile beside it that takes files of it, or loses files to it, and did not `before`."""
    told = list(_overlaps(conn, before)) if before else []
    return [sentence for sentence in _overlaps(conn, profile) if sentence not in told]


def _overlaps(conn: Connection, profile: Profile) -> Iterator[str]:
    for other in profiles_beside(conn, profile):
        if (
            other.id == profile.id
            or not is_same_place(profile, other.directory, profile.directory)
            or not overlap(profile.keyword, other.keyword)
        ):
            continue
        mine, theirs = measure_of(profile.keyword), measure_of(other.keyword)
        name = f"{agency_by_id(conn, other.agency_id).slug}/{other.name}"
        if mine > theirs and other.auto_sync:
            where = "come here" if profile.auto_sync else "are nobody's while its Auto-Sync is off"
            yield f"Files that {name} takes{_fitting(profile, other)} {where}: this keyword is the more specific one."
        elif theirs > mine and profile.auto_sync:
            where = f"go to {name}" if other.auto_sync else f"are nobody's while the Auto-Sync of {name} is off"
            yield f"Files{_fitting(other, profile)} {where}, not here: its keyword is the more specific one."


def _fitting(winner: Profile, loser: Profile) -> str:
    """Which names both fit, in words."""
    both = f" and {loser.keyword!r}" if loser.keyword else ""
    return f" whose names fit {winner.keyword!r}{both}"
