"""`dropslot upload`: what was made of the files, with every row that failed."""

from typing import Annotated

import typer

from ingest import inbox
from ingest.answer import RowError, Upload, receipt_text
from server.agencies import find_agency, list_agencies
from server.cli.output import Json, as_dict, print_json, print_list, say
from server.errors import AppError, Code
from server.state import open_state

app = typer.Typer(help="List uploads, and show one with its row errors.", no_args_is_help=True)


@app.command("list")
def list_(
    context: typer.Context,
    agency: Annotated[str | None, typer.Option(help="Only of this agency.")] = None,
    limit: Annotated[int, typer.Option(help="At most so many, newest first.", min=1)] = 100,
    as_json: Json = False,
) -> None:
    """List uploads, newest first."""
    with open_state(context.obj) as state, state.database.reading() as conn:
        owner = find_agency(conn, agency).id if agency else None
        slugs = {known.id: known.slug for known in list_agencies(conn)}
        uploads = inbox.list_uploads(conn, agency_id=owner, limit=limit)
    rows = [{**upload_document(upload), "agency": slugs.get(upload.agency_id)} for upload in uploads]
    columns = ("id", "agency", "file", "status", "rows", "errors", "finished_at")
    print_list(rows, as_json, columns, "No upload yet.")


@app.command()
def show(
    context: typer.Context,
    upload_id: Annotated[
        str, typer.Argument(metavar="ID", help="The upload's id, from its receipt or from upload list.")
    ],
    as_json: Json = False,
) -> None:
    """Show an upload: what was created and updated, and each row that failed with its reason."""
    with open_state(context.obj) as state, state.database.reading() as conn:
        upload = inbox.find_upload(conn, upload_id)
        if upload is None:
            raise AppError(Code.NOT_FOUND, f"There is no upload {upload_id}.", "See: dropslot upload list")
        errors = inbox.row_errors(conn, upload_id)
    if as_json:
        print_json({**upload_document(upload), "errors": [error_document(error) for error in errors]})
    else:
        say(receipt_text(upload, errors).rstrip())


def upload_document(upload: Upload) -> dict[str, object]:
    """An upload as JSON tells it; `errors` is the number of rows that were not taken, unless they are shown."""
    error = upload.error
    return {
        **as_dict(upload),
        "counts": {kind: dict(vars(counts)) for kind, counts in upload.counts.items()},
        "error": error and {"code": error.code, "message": error.message, "hint": error.hint},
        "errors": upload.error_rows,
    }


def error_document(error: RowError) -> dict[str, object]:
    """A row error as JSON tells it."""
    return {name: value for name, value in as_dict(error).items() if name != "raw"}
