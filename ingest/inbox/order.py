"""In which order files are taken that wait at the same time."""

from sqlalchemy import Connection, select

from ingest.arrival import Arrival, ArrivalState
from ingest.inbox.profiles import profile_by_id
from ingest.inbox.templates import find_template
from ingest.tables import arrivals, profiles
from ingest.template import load_template


def taken_before(conn: Connection, arrival: Arrival) -> list[str]:
    """The ids of files of the same template that wait as well and are to be taken before this one, in their order.

    Without a word of the template there is none: files are taken as they came. Raises IngestError `not_found` if the
    template is gone.
    """
    profile = profile_by_id(conn, arrival.profile_id or "")
    if profile is None:
        return []
    owner, waiting = arrival.agency_id, ArrivalState.RECEIVED
    alike = select(profiles.c.id).where(profiles.c.agency_id == owner, profiles.c.template == profile.template)
    query = select(arrivals.c.id, arrivals.c.name).where(
        arrivals.c.agency_id == owner, arrivals.c.state == waiting, arrivals.c.profile_id.in_(alike)
    )
    files = [(row.name, row.id) for row in conn.execute(query)]
    if len(files) < 2:
        return []
    processing = load_template(find_template(conn, owner, profile.template).text).processing
    if processing.as_they_come:
        return []
    by_name = processing.by == "name"
    files.sort(key=lambda file: (file[0] if by_name else "", file[1]), reverse=processing.order == "descending")
    ids = [id_ for _, id_ in files]
    return ids[: ids.index(arrival.id)] if arrival.id in ids else []


def waiting_before(conn: Connection, arrival: Arrival) -> list[str]:
    """The ids of the agency's files that wait and came before this one, in their order."""
    mine = (arrivals.c.agency_id == arrival.agency_id, arrivals.c.state == ArrivalState.RECEIVED)
    query = select(arrivals.c.id).where(*mine, arrivals.c.id < arrival.id).order_by(arrivals.c.id)
    return list(conn.execute(query).scalars())
