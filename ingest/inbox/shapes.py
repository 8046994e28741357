"""The shape of each template's files, as the last one came or as an operator has accepted it."""

from datetime import datetime

from sqlalchemy import Connection, delete, exists, func, insert, select

from ingest.answer import Upload
from ingest.inbox.uploads import find_upload
from ingest.shape import STOPPED, Shape, read_shape
from ingest.tables import shapes, templates, uploads


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
    """The columns of a file that is undone are expected of nobody."""
    own = shapes.c.agency_id == upload.agency_id, shapes.c.template == upload.template
    conn.execute(delete(shapes).where(*own, shapes.c.changed_at == upload.started_at))
