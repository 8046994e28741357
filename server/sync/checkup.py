"""What `dropslot doctor` says of Auto-Sync: places that fail or are parked, profiles with errors, overdue files."""

from collections.abc import Iterator

from sqlalchemy import Connection

from server.checkup import Finding, counted
from server.clock import now
from server.state import State
from server.sync.overdue import overdue_profiles
from server.sync.places import Standing, standings
from server.sync.plan import Place, list_places
from server.sync.runs import last_runs


def examine_sync(state: State) -> list[Finding]:
    """All findings; none where no profile is on another server, has a report or expects a file."""
    with state.database.reading() as conn:
        return [*_places(conn), *_overdue(conn)]


def _places(conn: Connection) -> Iterator[Finding]:
    known, runs = standings(conn), last_runs(conn)
    for place in list_places(conn):
        standing = known.get(place.id, Standing(place.id))
        if standing.parked_at or standing.failures:
            yield _trouble(place, standing)
            continue
        faults = [(one, runs[one.id]) for one in place.active if one.id in runs and runs[one.id].error]
        for profile, run in faults:
            subject = f"sync {place.agencies[profile.agency_id].slug}/{profile.name}"
            when = f"{run.started_at:%Y-%m-%d %H:%M} UTC"
            yield Finding(
                subject,
                False,
                f"its last cycle ({when}) had an error: {run.error}",
                run.hint or "",
            )
        if not faults:
            yield Finding(f"sync {place.name}", True, f"{counted(len(place.active), 'profile')}, well")


def _trouble(place: Place, standing: Standing) -> Finding:
    what = f"{counted(standing.failures, 'cycle')} in a row failed: {standing.error or 'it is tried again'}"
    if standing.failing_since:
        what = f"failing since {standing.failing_since:%Y-%m-%d %H:%M} UTC, {what}"
    if standing.parked_at is None:
        when = f"It is tried again at {standing.retry_at:%H:%M} UTC. " if standing.retry_at else ""
        return Finding(f"sync {place.name}", False, what, f"{when}{standing.hint or ''}".strip())
    again = f"Mend it, then: dropslot sync resume {place.server.name}"
    what = f"parked since {standing.parked_at:%Y-%m-%d %H:%M} UTC, {what}"
    return Finding(f"sync {place.name}", False, what, f"{standing.hint or ''} {again}".strip())


def _overdue(conn: Connection) -> Iterator[Finding]:
    for one in overdue_profiles(conn, now()):
        sentence = f"no file has come that was expected by {one.slot.name}"
        hint = f"Ask the agency; what has come: dropslot arrival list --agency {one.agency.slug}"
        yield Finding(f"profile {one.agency.slug}/{one.profile.name}", False, sentence, hint)
