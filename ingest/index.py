"""Which skip index a template has, and that it goes when something else touched its records; see `ingest.skip`."""

from collections.abc import Iterable

from sqlalchemy import Connection, delete, select

from ingest.tables import skip_index


def current_index(conn: Connection, agency_id: str, template: str) -> str | None:
    """The upload that left the template's present index, or None."""
    query = select(skip_index.c.upload_id).where(
        skip_index.c.agency_id == agency_id, skip_index.c.template == template, skip_index.c.part == 0
    )
    return conn.execute(query).scalar()


def forget(conn: Connection, agency_id: str, templates: Iterable[str] | None = None, but: str | None = None) -> None:
    """Drop the indexes of these templates of the agency (None: all of them, save that of `but`)."""
    table = skip_index
    query = delete(table).where(table.c.agency_id == agency_id)
    if templates is not None:
        query = query.where(table.c.template.in_(list(templates)))
    if but is not None:
        query = query.where(table.c.template != but)
    conn.execute(query)
