"""Files that came: registered once, matched with a profile, and settled by the engine."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, insert, select, update

from ingest.answer import Upload
from ingest.arrival import SUCCEEDED, Arrival, ArrivalState, Profile, Received
from ingest.errors import IngestError
from ingest.inbox.choice import choose
from ingest.inbox.profiles import list_profiles
from ingest.record import new_id
from ingest.tables import arrivals

REFUSED = (ArrivalState.UNMATCHED, ArrivalState.BLOCKED)


def register(conn: Connection, received: Received, chosen: Profile | None = None) -> Arrival:
    """Enter a whole file, once: told again, the row that is there is returned. A `partial` one becomes whole.

    The verdict is `received` (a profile will read it), `blocked` (its blockword is in the name) or `unmatched`.
    A person who hands over a file by hand has `chosen` the profile; then nothing is matched.
    """
    known = find_arrival(conn, received.id)
    if known is not None and known.state != ArrivalState.PARTIAL:
        return known
    if chosen is not None:
        return _enter(
            conn, _values(received, ArrivalState.RECEIVED, chosen, f"Profile {chosen.name} was chosen for it.")
        )
    return _enter(conn, _values(received, *match(received, list_profiles(conn, received.agency_id))))


def register_all(conn: Connection, received: Sequence[Received]) -> list[Arrival]:
    """As `register`, for several files of one agency at once, in their order; no two of them have one id."""
    ids = [file.id for file in received]
    known = set(conn.execute(select(arrivals.c.id).where(arrivals.c.id.in_(ids))).scalars())
    profiles = list_profiles(conn, received[0].agency_id)
    fresh = {file.id: _values(file, *match(file, profiles)) for file in received if file.id not in known}
    if fresh:
        conn.execute(insert(arrivals), list(fresh.values()))
    return [
        Arrival(**fresh[file.id], sha256=None, upload_id=None) if file.id in fresh else register(conn, file)
        for file in received
    ]


def register_replay(
    conn: Connection, upload: Upload, path: str, profile: Profile, at: datetime, version: int | None = None
) -> Arrival:
    """Enter the archived original of an upload, which came to `path`, as an arrival that waits for a worker.

    It is neither a duplicate nor are rows of it skipped. `version` is that of the profile's template; None: the newest.
    """
    received = Received(new_id(at), upload.agency_id, path, upload.size, "replay", None, at)
    values = _values(received, ArrivalState.RECEIVED, profile, f"The original of the upload {upload.id} runs again.")
    return _enter(conn, values | {"sha256": upload.sha256, "replay_of": upload.id, "template_version": version})


def record_partial(conn: Connection, received: Received, detail: str) -> Arrival:
    """Enter a file that was torn off, with the reason. One that is already whole stays so."""
    known = find_arrival(conn, received.id)
    if known is not None and known.state != ArrivalState.PARTIAL:
        return known
    return _enter(conn, _values(received, ArrivalState.PARTIAL, None, detail))


def enter(conn: Connection, arrival: Arrival) -> None:
    """Enter an arrival as it is."""
    conn.execute(insert(arrivals).values({name: getattr(arrival, name) for name in arrivals.c.keys()}))  # noqa: SIM118


def mark_removed(conn: Connection, arrival_id: str) -> None:
    """A partial file whose sender removed or replaced it; any other state stays."""
    query = update(arrivals).where(arrivals.c.id == arrival_id, arrivals.c.state == ArrivalState.PARTIAL)
    conn.execute(query.values(state=ArrivalState.REMOVED, detail="Its sender removed or replaced the unfinished file."))


def match_again(conn: Connection, arrival_id: str) -> Arrival:
    """Match a file anew that was unmatched or blocked, after somebody changed the profiles; any other stays as it is.

    Raises IngestError `not_found`.
    """
    known = find_arrival(conn, arrival_id)
    if known is None:
        raise IngestError("not_found", f"There is no arrival {arrival_id}.")
    if known.state not in REFUSED:
        return known
    came = {field.name: getattr(known, field.name) for field in fields(Received)}
    return _enter(conn, _values(Received(**came), *match(Received(**came), list_profiles(conn, known.agency_id))))


def find_refused(conn: Connection, ids: Iterable[str]) -> dict[str, str]:
    """Those of the ids whose files nobody took, the oldest first, with the path by which each is known."""
    query = select(arrivals.c.id, arrivals.c.path).where(arrivals.c.id.in_(ids), arrivals.c.state.in_(REFUSED))
    return {row.id: row.path for row in conn.execute(query.order_by(arrivals.c.id))}


def rename_refused(conn: Connection, paths: Mapping[str, str]) -> list[Arrival]:
    """Their sender renamed files (`paths` by the ids of their arrivals): match those anew that nobody took."""
    moved = []
    for id_, known in find_refused(conn, paths).items():
        if (path := paths[id_]) != known:
            name = path.rsplit("/", 1)[-1]
            conn.execute(update(arrivals).where(arrivals.c.id == id_).values(path=path, name=name))
            moved.append(match_again(conn, id_))
    return moved


def note_content(conn: Connection, arrival_id: str, sha256: str) -> None:
    """Note the SHA-256 of a file that no upload was made of: under it, the file is in the archive."""
    conn.execute(update(arrivals).where(arrivals.c.id == arrival_id).values(sha256=sha256))


def match(received: Received, profiles: list[Profile]) -> tuple[ArrivalState, Profile | None, str]:
    """The verdict on a file that came to our own endpoint, the profile that reads it, and a sentence that says why."""
    own = [profile for profile in profiles if profile.server_id is None]
    choice = choose(received.name, received.directory, own)
    return choice.state, choice.profile, choice.detail


def _values(received: Received, state: ArrivalState, profile: Profile | None, detail: str) -> dict[str, Any]:
    chosen = profile.id if profile else None
    return vars(received) | {"name": received.name, "state": state, "profile_id": chosen, "detail": detail}


def _enter(conn: Connection, values: dict[str, Any]) -> Arrival:
    changed = conn.execute(update(arrivals).where(arrivals.c.id == values["id"]).values(values)).rowcount
    if not changed:
        conn.execute(insert(arrivals).values(values))
    entered = find_arrival(conn, values["id"])
    assert entered is not None  # noqa: S101 - it was written a line ago
    return entered


def find_arrival(conn: Connection, arrival_id: str) -> Arrival | None:
    """The arrival, or None."""
    row = conn.execute(select(arrivals).where(arrivals.c.id == arrival_id)).first()
    return _arrival(row) if row else None


def find_arrivals(conn: Connection, ids: Sequence[str]) -> list[Arrival]:
    """Those of the ids that there are, in no order."""
    return [_arrival(row) for row in conn.execute(select(arrivals).where(arrivals.c.id.in_(ids)))]


def newest_at(conn: Connection, agency_id: str, path: str) -> Arrival | None:
    """The last whole file that came to that path of the agency, or None; a replay has not come."""
    unfinished = (ArrivalState.PARTIAL, ArrivalState.REMOVED)
    query = select(arrivals).where(
        arrivals.c.agency_id == agency_id,
        arrivals.c.path == path,
        arrivals.c.state.not_in(unfinished),
        arrivals.c.replay_of.is_(None),
    )
    row = conn.execute(query.order_by(arrivals.c.id.desc()).limit(1)).first()
    return _arrival(row) if row else None


def list_arrivals(
    conn: Connection, agency_id: str | None = None, state: ArrivalState | None = None, limit: int | None = 100
) -> list[Arrival]:
    """Arrivals, the newest first."""
    query = select(arrivals).order_by(arrivals.c.id.desc()).limit(limit)
    if agency_id is not None:
        query = query.where(arrivals.c.agency_id == agency_id)
    if state is not None:
        query = query.where(arrivals.c.state == state)
    return [_arrival(row) for row in conn.execute(query)]


def waiting(conn: Connection) -> list[str]:
    """The ids of arrivals that need a worker, the oldest first."""
    query = select(arrivals.c.id).where(arrivals.c.state == ArrivalState.RECEIVED).order_by(arrivals.c.id)
    return list(conn.execute(query).scalars())


def latest_success(conn: Connection, arrival: Arrival) -> Arrival | None:
    """The agency's arrival of the same name and for the same profile that was processed last."""
    query = select(arrivals).where(
        arrivals.c.agency_id == arrival.agency_id,
        arrivals.c.profile_id == arrival.profile_id,
        arrivals.c.name == arrival.name,
        arrivals.c.state.in_(SUCCEEDED),
        arrivals.c.id != arrival.id,
    )
    row = conn.execute(query.order_by(arrivals.c.upload_id.desc()).limit(1)).first()
    return _arrival(row) if row else None


def settle(conn: Connection, arrival_id: str, state: ArrivalState, upload_id: str, sha256: str, detail: str) -> bool:
    """Give a waiting arrival its last state; False if it was not waiting any more."""
    query = update(arrivals).where(arrivals.c.id == arrival_id, arrivals.c.state == ArrivalState.RECEIVED)
    values = {"state": state, "upload_id": upload_id, "sha256": sha256 or None, "detail": detail}
    return conn.execute(query.values(values)).rowcount == 1


def _arrival(row: Row[Any]) -> Arrival:
    return Arrival(**{**row._mapping, "state": ArrivalState(row.state), "confirmed": row.confirmed or ""})
