"""`dropslot sweep` and `dropslot ingest`: files that do not come through the door."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from ingest import inbox
from ingest.answer import RECEIPT_LISTED, Upload, receipt_text
from server.agencies import Agency, find_agency
from server.checkup import how_to_read
from server.cli.job import settled
from server.cli.output import Json, as_dict, counted, print_json, print_list, printable, say
from server.cli.place import is_file
from server.cli.upload import error_document, upload_document
from server.clock import new_id, now
from server.errors import AppError, Code
from server.inbound.reconcile import reconcile
from server.inbound.recount import recount
from server.inbound.sweep import Swept
from server.inbound.sweep import sweep as sweep_homes
from server.intake.register import Registrar
from server.intake.spool import Manifest
from server.logs import Log, open_log
from server.state import State, open_installation


def sweep(context: typer.Context, as_json: Json = False) -> None:
    """Look now for files that nobody announced, for steps that a crash left undone, and for what uploads hold."""
    log = open_log("error")
    with open_installation(context.obj) as state:
        registrar = Registrar(state.database, state.queue, log)
        reconcile(state, registrar, log)
        swept = sweep_homes(state, registrar, log)
        recount(state, log)
    rows = [as_dict(manifest) for manifest in swept.taken]
    print_list(rows, as_json, ("id", "agency", "path", "size"), _nothing(swept, context.obj.quiet_time))
    for unread in swept.unread:
        path, hint = printable(unread.path), printable(how_to_read(state, unread))
        typer.echo(f"{unread.agency}: {path} cannot be read ({unread.reason}). {hint}", err=True)


def _nothing(swept: Swept, quiet_time: float) -> str:
    if swept.restless:
        changed = counted(swept.restless, "new file")
        return f"{changed} changed in the last {quiet_time:g} seconds; such files are taken once they are quiet."
    return "Nothing was taken." if swept.unread else "No file was left behind."


def ingest(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="The file to ingest; it is copied, not moved.")],
    agency: Annotated[str, typer.Option(help="Whose file it is.")],
    profile: Annotated[str, typer.Option(help="The profile whose template it goes through.")],
    as_json: Json = False,
) -> None:
    """Ingest a file now, as if the agency had sent it, and print its receipt."""
    if not is_file(file):
        raise AppError(Code.INVALID, f"{file} is not a file.", "Name the file to ingest.")
    log = open_log("error")
    with open_installation(context.obj) as state:
        owner, upload = _ingest(state, log, file, agency, profile)
        with state.database.reading() as conn:
            errors = inbox.row_errors(conn, upload.id, None if as_json else RECEIPT_LISTED)
    if as_json:
        shown = {"agency": owner.slug, "errors": [error_document(error) for error in errors]}
        print_json({**upload_document(upload), **shown})
    else:
        say(receipt_text(upload, errors, zone=owner.timezone).rstrip())
    if upload.error is not None:
        sys.exit(1)


def _ingest(state: State, log: Log, file: Path, slug: str, profile_name: str) -> tuple[Agency, Upload]:
    with state.database.reading() as conn:
        agency = find_agency(conn, slug)
        profile = inbox.find_profile(conn, agency.id, profile_name)
    at, status = now(), file.stat()
    path = f"{profile.directory.rstrip('/')}/{file.name}"
    manifest = Manifest(
        id=new_id(at),
        agency=slug,
        path=path,
        size=status.st_size,
        source="cli",
        session=None,
        client=None,
        opened_at=at,
        closed_at=at,
        not_before=at,
        profile=profile.id,
    )
    try:
        state.spool.accept_copy(manifest, file)
    except OSError as error:
        raise AppError(
            Code.UNAVAILABLE, f"{file} cannot be copied into the spool ({error.strerror}).", "Check space and owners."
        ) from error
    Registrar(state.database, state.queue, log).register(manifest, chosen=profile)
    return agency, settled(state, log, manifest.id)
