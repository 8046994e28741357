"""The shape of each template's files, as the last one came or as an operator has accepted it."""

from datetime import datetime

from sqlalchemy import Connection, delete, exists, func, insert, select

from ingest.answer import Upload
from ingest.inbox.uploads import find_upload
from ingest.shape import STOPPED, History, Shape, leave_out, read_history, read_shape, write_history
from ingest.tables import shapes, templates, uploads


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


def stopped_uploads(conn: Connection, since: datetime) -> list[Upload]:
    """Files that were stopped for their columns, of each template the newest, and that nobody has done anything about:
    none was taken since, nothing was accepted, and the template is as it was."""
    later, query = uploads.alias("later"), select(uploads.c.id).where(uploads.c.error_code.in_(STOPPED))
    same = later.c.agency_id == uploads.c.agency_id, later.c.template == uploads.c.template
    over = later.c.status.not_in(("duplicate", "undone")), later.c.started_at > uploads.c.started_at
    version = select(func.max(templates.c.version)).where(
        templates.c.agency_id == uploads.c.agency_id, templates.c.name == uploads.c.template
    )
    accepted = exists().where(
        shapes.c.agency_id == uploads.c.agency_id,
        shapes.c.template == uploads.c.template,
        shapes.c.changed_at >= uploads.c.started_at,
    )
    query = query.where(
        uploads.c.started_at >= since,
        ~exists().where(*same, *over),
        ~accepted,
        func.coalesce(version.scalar_subquery(), 0) <= uploads.c.template_version,
    )
    found = (find_upload(conn, id_) for id_ in conn.execute(query.order_by(uploads.c.id)).scalars().all())
    return [upload for upload in found if upload is not None]


def forget_shape(conn: Connection, upload: Upload) -> None:
    """The columns of a file that is undone are expected of nobody; those of the file before it are again."""
    own = upload.agency_id, upload.template
    history = _history(conn, *own)
    if any(at == upload.started_at for at, _ in history):
        _write(conn, *own, leave_out(history, upload.started_at))
