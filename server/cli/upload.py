"""`dropslot upload`: what was made of the files, with every row that failed; and those that wait for a person."""

from typing import Annotated

import typer
from sqlalchemy import Connection

from ingest import inbox
from ingest.answer import RECEIPT_LISTED, Moved, RowError, Upload, receipt_text
from ingest.record import records_of
from server.agencies import agency_by_id, find_agency, list_agencies
from server.cli.job import settled
from server.cli.numbers import MOST_ROWS
from server.cli.output import Json, as_dict, print_json, print_list, printable, say, state_word
from server.clock import now
from server.corrections import replay_upload, undo_upload
from server.errors import AppError, Code
from server.intake.register import TASK
from server.logs import open_log
from server.state import State, open_installation

app = typer.Typer(
    help="List uploads, show one with its row errors, confirm or reject one that waits, undo one, run one again.",
    no_args_is_help=True,
)

UploadId = Annotated[str, typer.Argument(metavar="ID", help="The upload's id, from its receipt or from upload list.")]


@app.command("list")
def list_(
    context: typer.Context,
    agency: Annotated[str | None, typer.Option(help="Only of this agency.")] = None,
    limit: Annotated[int, typer.Option(help="At most so many, newest first.", min=1, max=MOST_ROWS)] = 100,
    as_json: Json = False,
) -> None:
    """List uploads, newest first."""
    with open_installation(context.obj) as state, state.database.reading() as conn:
        owner = find_agency(conn, agency).id if agency else None
        slugs = {known.id: known.slug for known in list_agencies(conn)}
        uploads = inbox.list_uploads(conn, agency_id=owner, limit=limit)
    rows = [{**upload_document(upload), "agency": slugs.get(upload.agency_id)} for upload in uploads]
    if not as_json:
        rows = [{**row, "status": state_word(str(row["status"])), "warnings": row["warning_rows"]} for row in rows]
    columns = ("id", "agency", "file", "template", "status", "rows", "errors", "warnings", "finished_at")
    print_list(rows, as_json, columns, "No upload yet.")


@app.command()
def show(
    context: typer.Context,
    upload_id: UploadId,
    as_json: Json = False,
) -> None:
    """Show an upload: what was created and updated, and each row that failed with its reason."""
    with open_installation(context.obj) as state, state.database.reading() as conn:
        upload = inbox.find_upload(conn, upload_id)
        if upload is None:
            raise AppError(Code.NOT_FOUND, f"There is no upload {upload_id}.", "See: dropslot upload list")
        _print(conn, upload, as_json)


def _print(conn: Connection, upload: Upload, as_json: bool) -> None:
    errors = inbox.row_errors(conn, upload.id, None if as_json else RECEIPT_LISTED)
    moved = inbox.moved_hearings(conn, upload.id)
    if as_json:
        shown = {"errors": [error_document(error) for error in errors], "moved": [moved_document(one) for one in moved]}
        print_json({**upload_document(upload), **shown})
    else:
        say(receipt_text(upload, errors, moved, agency_by_id(conn, upload.agency_id).timezone).rstrip())


@app.command()
def confirm(context: typer.Context, upload_id: UploadId, as_json: Json = False) -> None:
    """Let a file take effect that waits for a person; it is run again, from the archive, as a new upload."""
    with open_installation(context.obj) as state:
        with state.database.writing(_records_of(state, upload_id)) as conn:
            upload = inbox.confirm_upload(conn, upload_id, now())
        done = _run(state, upload, as_json)
    if done.error is not None:
        raise typer.Exit(1)


@app.command()
def reject(
    context: typer.Context,
    upload_id: UploadId,
    reason: Annotated[str, typer.Option(help="A sentence that the agency is told.")] = "",
    as_json: Json = False,
) -> None:
    """Settle a file that waits for a person as failed; nothing of it takes effect, and the agency is told."""
    with open_installation(context.obj) as state:
        with state.database.writing(_records_of(state, upload_id)) as conn:
            upload = inbox.reject_upload(conn, upload_id, reason.strip())
        _run(state, upload, as_json)


def _run(state: State, upload: Upload, as_json: bool) -> Upload:
    """Run the file's job, and show what came of it."""
    state.queue.enqueue(TASK, upload.arrival_id, lane=upload.agency_id)
    done = settled(state, open_log("error"), upload.arrival_id)
    with state.database.reading() as conn:
        _print(conn, done, as_json)
    return done


def _records_of(state: State, upload_id: str) -> str:
    """The lock of the records that the upload may change."""
    with state.database.reading() as conn:
        upload = inbox.find_upload(conn, upload_id)
    if upload is None:
        raise AppError(Code.NOT_FOUND, f"There is no upload {upload_id}.", "See: dropslot upload list")
    return records_of(upload.agency_id)


@app.command()
def undo(context: typer.Context, upload_id: UploadId, as_json: Json = False) -> None:
    """Put back every record that an upload has changed, and remove those that it has created; all or nothing."""
    with open_installation(context.obj) as state:
        undone = undo_upload(state, upload_id)
    upload = undone.upload
    if as_json:
        counts = {"put_back": dict(undone.put_back), "removed": dict(undone.removed)}
        print_json({"id": upload.id, "file": upload.file, **counts, "since": [later.id for later in undone.since]})
        return
    say(printable(f"{upload.file}: {upload.notes[-1]}"))
    say("The same file may be sent again; the original runs again with: dropslot upload replay " + upload.id)
    if undone.since:
        newest = undone.since[0]
        count = f"{len(undone.since):,} later upload{'s' if len(undone.since) > 1 else ''}"
        say(
            f"{count} may name the same records and have found them as they were. So that nothing they name is missing,"
        )
        say(f"run the newest again, which is {printable(newest.file)}: dropslot upload replay {newest.id}")


@app.command()
def replay(
    context: typer.Context,
    upload_id: UploadId,
    template_version: Annotated[
        int | None,
        typer.Option(help="Version of the template to read it with.", show_default="the newest", min=0, max=MOST_ROWS),
    ] = None,
    profile: Annotated[
        str | None, typer.Option(help="Profile to run it through.", show_default="the one it came by")
    ] = None,
    as_json: Json = False,
) -> None:
    """Run the archived original of an upload again, every row of it, and print its receipt."""
    log = open_log("error")
    with open_installation(context.obj) as state:
        arrival = replay_upload(state, upload_id, template_version, profile)
        upload = settled(state, log, arrival.id)
        with state.database.reading() as conn:
            _print(conn, upload, as_json)
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


def moved_document(moved: Moved) -> dict[str, object]:
    """A hearing that was moved as JSON tells it."""
    return dict(as_dict(moved))


def error_document(error: RowError) -> dict[str, object]:
    """A row error as JSON tells it."""
    return {name: value for name, value in as_dict(error).items() if name != "raw"}
