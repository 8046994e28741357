"""Which profiles exchange files with a server."""

from sqlalchemy import Connection, select

from ingest.tables import profiles
from server.agencies import list_agencies
from server.remotes.server import MANAGED_ID


def users_of(conn: Connection, server_id: str) -> list[str]:
    """The profiles that use the server, as agency/name."""
    slugs = {agency.id: agency.slug for agency in list_agencies(conn)}
    mine = profiles.c.server_id.is_(None) if server_id == MANAGED_ID else profiles.c.server_id == server_id
    rows = conn.execute(select(profiles.c.agency_id, profiles.c.name).where(mine))
    return sorted(f"{slugs.get(row.agency_id, row.agency_id)}/{row.name}" for row in rows)
