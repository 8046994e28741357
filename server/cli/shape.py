"""`dropslot template accept`: the columns of a court's files have changed, and an operator says that this is right."""

from typing import Annotated

import typer
from sqlalchemy import Connection

from ingest import inbox
from ingest.answer import Upload
from ingest.limits import Limits
from ingest.sides import side_by_side
from server.agencies import find_agency
from server.cli.output import Json, print_json, printable, say
from server.errors import AppError, Code
from server.state import open_installation


def accept(
    context: typer.Context,
    agency: Annotated[str, typer.Argument(metavar="AGENCY", help="The agency's slug.")],
    template: Annotated[str, typer.Argument(metavar="TEMPLATE", help="The template whose files have changed.")],
    upload_id: Annotated[
        str | None,
        typer.Argument(metavar="UPLOAD", help="The stopped upload; else the template's last one."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Accept the columns of a file that was stopped, or that came without some: files may come so from now on."""
    from ingest import drift  # what reads files takes seconds to import: other commands do without
    from ingest.record import records_of

    with open_installation(context.obj) as state:
        with state.database.reading() as conn:
            owner = find_agency(conn, agency)
        with state.database.writing(records_of(owner.id)) as conn:
            version = inbox.find_template(conn, owner.id, template)
            upload = _find(conn, owner.id, template, upload_id)
            known = inbox.find_shape(conn, owner.id, template)
            shape, spared = drift.accept(known, upload, version, Limits(), owner.timezone)
            inbox.keep_shape(conn, owner.id, template, shape, upload.started_at)
    before = known.columns if known else upload.expected
    if as_json:
        print_json({"upload": upload.id, "before": before, "columns": shape.columns, "spared": spared})
        return
    say(f"From now on, files of {template} are expected as {upload.file} came (upload {upload.id}).")
    for line in side_by_side(before, shape.columns) if before != shape.columns else ():
        say(line)
    if spared:
        say(f"\nNothing is read any more for {', '.join(spared)}; what is kept of it stays as it is.")
    new = [printable(name) for name in shape.names if name not in before]
    if spared and new:
        say(f"New: {', '.join(new)}. If one of these stands for what is gone, name it in the template:")
        say(f"  dropslot template show {agency} {template}, change it, then template add")
    if upload.error is not None:
        say("\nNothing of that file was taken. Send it again.")


def _find(conn: Connection, agency_id: str, template: str, upload_id: str | None) -> Upload:
    """The upload that is meant. Raises `AppError` not_found."""
    if upload_id is not None:
        upload = inbox.find_upload(conn, upload_id)
        if upload is None or upload.agency_id != agency_id or upload.template != template:
            raise AppError(
                Code.NOT_FOUND, f"There is no upload {upload_id} of this template.", "See: dropslot upload list"
            )
        return upload
    own = (each for each in inbox.list_uploads(conn, agency_id, limit=None) if each.template == template)
    upload = next((each for each in own if each.status != "duplicate"), None)
    if upload is None:
        raise AppError(Code.NOT_FOUND, f"No file of the template {template} has come yet.", "See: dropslot upload list")
    return upload
