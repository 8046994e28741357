"""`dropslot upload`: what was made of the files, with every row that failed."""

from typing import Annotated

import typer

from ingest import inbox
from ingest.answer import RowError, Upload, receipt_text
from server.agencies import find_agency, list_agencies
from server.cli.output import Json, as_dict, print_json, print_list, say
from server.cli.waiting import settled
from server.corrections import replay_upload, undo_upload
from server.errors import AppError, Code
from server.logs import open_log
from server.state import open_state

app = typer.Typer(help="List uploads, show one with its row errors, undo one, run one again.", no_args_is_help=True)

UploadId = Annotated[str, typer.Argument(metavar="ID", help="The upload's id, from its receipt or from upload list.")]


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
    upload_id: UploadId,
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


@app.command()
def undo(context: typer.Context, upload_id: UploadId, as_json: Json = False) -> None:
    """Put back every record that an upload has changed, and remove those that it has created; all or nothing."""
    with open_state(context.obj) as state:
        undone = undo_upload(state, upload_id)
    upload = undone.upload
    if as_json:
        counts = {"put_back": dict(undone.put_back), "removed": dict(undone.removed)}
        print_json({"id": upload.id, "file": upload.file, **counts, "since": [later.id for later in undone.since]})
        return
    say(f"{upload.file}: {upload.notes[-1]}")
    say("The same file may be sent again; the original runs again with: dropslot upload replay " + upload.id)
    if undone.since:
        newest = undone.since[0]
        count = f"{len(undone.since):,} later upload{'s' if len(undone.since) > 1 else ''}"
        say(
            f"{count} may name the same records and have found them as they were. So that nothing they name is missing,"
        )
        say(f"run the newest again, which is {newest.file}: dropslot upload replay {newest.id}")


@app.command()
def replay(
    context: typer.Context,
    upload_id: UploadId,
    template_version: Annotated[
        int | None, typer.Option(help="Version of the template to read it with.", show_default="the newest", min=0)
    ] = None,
    profile: Annotated[
        str | None, typer.Option(help="Profile to run it through.", show_default="the one it came by")
    ] = None,
    as_json: Json = False,
) -> None:
    """Run the archived original of an upload again, every row of it, and print its receipt."""
    log = open_log("error")
    with open_state(context.obj) as state:
        arrival = replay_upload(state, upload_id, template_version, profile)
        upload = settled(state, log, arrival.id)
        with state.database.reading() as conn:
            errors = inbox.row_errors(conn, upload.id)
    if as_json:
        print_json({**upload_document(upload), "errors": [error_document(error) for error in errors]})
    else:
        say(receipt_text(upload, errors).rstrip())
    if upload.error is not None:
        raise typer.Exit(1)


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
