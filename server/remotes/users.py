"""Which profiles exchange files with a server."""

from sqlalchemy import Connection, select

from ingest.tables import profiles


def users_of(conn: Connection, server_id: str) -> list[str]:
    """The names of the profiles that use the server."""
    mine = profiles.c.server_id == server_id
    return list(conn.execute(select(profiles.c.name).where(mine).order_by(profiles.c.name)).scalars())
