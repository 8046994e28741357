"""Which profiles exchange files with a server."""

from sqlalchemy import Connection, select

from ingest.tables import profiles


def users_of(conn: Connection, server_id: str) -> list[str]:
    """The names of the profiles that use the server."""
    column = profiles.c.get("server_id")
    if column is None:
        return []
    return list(conn.execute(select(profiles.c.name).where(column == server_id).order_by(profiles.c.name)).scalars())
