"""The shape of each template's files, as the last one came or as an operator has accepted it."""

from datetime import datetime

from sqlalchemy import Connection, delete, insert, select

from ingest.answer import Upload
from ingest.shape import History, Shape, leave_out, read_history, read_shape, write_history
from ingest.tables import shapes


def find_shape(conn: Connection, agency_id: str, template: str) -> Shape | None:
    """The columns that files of the template are expected to have; None if none has come yet."""
    query = select(shapes.c.shape).where(shapes.c.agency_id == agency_id, shapes.c.template == template)
    text = conn.execute(query).scalar()
    return None if text is None else read_shape(text)


def keep_shape(conn: Connection, agency_id: str, template: str, shape: Shape, at: datetime) -> None:
    """Expect these columns from now on."""
    before = leave_out(_history(conn, agency_id, template), at)
    _write(conn, agency_id, template, [(at, shape), *before])


def _history(conn: Connection, agency_id: str, template: str) -> History:
    query = select(shapes.c.shape, shapes.c.changed_at)
    row = conn.execute(query.where(shapes.c.agency_id == agency_id, shapes.c.template == template)).first()
    return () if row is None else read_history(row.shape, row.changed_at)


def _write(conn: Connection, agency_id: str, template: str, history: History) -> None:
    conn.execute(delete(shapes).where(shapes.c.agency_id == agency_id, shapes.c.template == template))
    if history:
        values = {"agency_id": agency_id, "template": template, "changed_at": history[0][0]}
        conn.execute(insert(shapes).values(**values, shape=write_history(history)))


def forget_shape(conn: Connection, upload: Upload) -> None:
    """The columns of a file that is undone are expected of nobody; those of the file before it are again."""
    own = upload.agency_id, upload.template
    history = _history(conn, *own)
    if any(at == upload.started_at for at, _ in history):
        _write(conn, *own, leave_out(history, upload.started_at))
