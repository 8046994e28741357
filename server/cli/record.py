"""`dropslot record`: the clients, contacts, cases, events and payments that came out of the files."""

import enum
import itertools
from typing import Annotated

import typer

from ingest import inbox
from ingest.inbox import Change
from server.agencies import find_agency
from server.cli.numbers import MOST_ID, MOST_ROWS
from server.cli.output import Json, print_csv, print_json, print_list, say
from server.state import open_installation

app = typer.Typer(help="List the records of an agency, and show the history of one.", no_args_is_help=True)


class Kind(enum.StrEnum):
    """The kinds of record."""

    CLIENTS = "clients"
    CONTACTS = "contacts"
    CASES = "cases"
    EVENTS = "events"
    PAYMENTS = "payments"


@app.command("list")
def list_(
    context: typer.Context,
    kind: Kind,
    agency: Annotated[str, typer.Option(help="The agency's slug.")],
    as_csv: Annotated[bool, typer.Option("--csv", help="All of them as CSV.")] = False,
    withdrawn: Annotated[bool, typer.Option("--withdrawn", help="Also those that a snapshot has withdrawn.")] = False,
    limit: Annotated[
        int, typer.Option(help="At most so many in the table (JSON and CSV hold all).", min=1, max=MOST_ROWS)
    ] = 100,
    as_json: Json = False,
) -> None:
    """List records: a table, or everything with --json or --csv."""
    with open_installation(context.obj) as state, state.database.reading() as conn:
        columns = (*inbox.COLUMNS[kind], *([inbox.WITHDRAWN] if withdrawn else []))
        rows = inbox.records(conn, kind, find_agency(conn, agency).id, withdrawn=withdrawn)
        if as_csv:
            print_csv(columns, rows)
        elif as_json:
            print_json(list(rows))
        else:
            shown = list(itertools.islice(rows, limit + 1))
            print_list(shown[:limit], False, columns, f"{agency} has no {kind} yet.")
            if len(shown) > limit:
                say(f"... and more; see all with --csv, or raise --limit {limit}.")


@app.command()
def history(
    context: typer.Context,
    kind: Kind,
    record_id: Annotated[
        int,
        typer.Argument(metavar="ID", help="The record's number: the last column of record list.", min=1, max=MOST_ID),
    ],
    as_json: Json = False,
) -> None:
    """Show which upload has set which field of a record, when, and from what to what."""
    with open_installation(context.obj) as state, state.database.reading() as conn:
        changes = inbox.record_history(conn, kind, record_id)
    columns = ("at", "action", "field", "from", "to", "file", "upload")
    print_list([_told(change) for change in changes], as_json, columns, "Nothing is known of it.")


def _told(change: Change) -> dict[str, object]:
    told = {"from": change.old, "to": change.new, "file": change.file, "upload": change.upload}
    return {"at": change.at, "action": change.action, "field": change.field, **told}
