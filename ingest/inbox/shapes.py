"""The shape of each template's files, as the last one came or as an operator has accepted it."""

from datetime import datetime

from sqlalchemy import Connection, delete, insert, select

from ingest.answer import Upload
from ingest.shape import Shape, read_shape
from ingest.tables import shapes


def find_shape(conn: Connection, agency_id: str, template: str) -> Shape | None:
    """The columns that files of the template are expected to have; None if none has come yet."""
    query = select(shapes.c.shape).where(shapes.c.agency_id == agency_id, shapes.c.template == template)
    text = conn.execute(query).scalar()
    return None if text is None else read_shape(text)


def keep_shape(conn: Connection, agency_id: str, template: str, shape: Shape, at: datetime) -> None:
    """Expect these columns from now on."""
    conn.execute(delete(shapes).where(shapes.c.agency_id == agency_id, shapes.c.template == template))
    values = {"agency_id": agency_id, "template": template, "shape": shape.write(), "changed_at": at}
    conn.execute(insert(shapes).values(values))


def forget_shape(conn: Connection, upload: Upload) -> None:
    """The columns of a file that is undone are expected of nobody."""
    own = shapes.c.agency_id == upload.agency_id, shapes.c.template == upload.template
    conn.execute(delete(shapes).where(*own, shapes.c.changed_at == upload.started_at))
