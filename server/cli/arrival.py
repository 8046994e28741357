"""`dropslot arrival`: the files that came, and what became of each."""

from typing import Annotated

import typer

from ingest import inbox
from ingest.arrival import ArrivalState
from server.agencies import find_agency, list_agencies
from server.cli.numbers import MOST_ROWS
from server.cli.output import Json, as_dict, print_list, print_one, state_word
from server.errors import AppError, Code
from server.intake.register import TASK
from server.state import open_installation

app = typer.Typer(help="List the files that came.", no_args_is_help=True)


@app.command("list")
def list_(
    context: typer.Context,
    agency: Annotated[str | None, typer.Option(help="Only of this agency.")] = None,
    state: Annotated[ArrivalState | None, typer.Option(help="Only in this state.")] = None,
    limit: Annotated[int, typer.Option(help="At most so many, newest first.", min=1, max=MOST_ROWS)] = 100,
    as_json: Json = False,
) -> None:
    """List arrivals, newest first."""
    with open_installation(context.obj) as opened, opened.database.reading() as conn:
        owner = find_agency(conn, agency).id if agency else None
        slugs = {known.id: known.slug for known in list_agencies(conn)}
        found = inbox.list_arrivals(conn, agency_id=owner, state=state, limit=limit)
    rows = [{**as_dict(arrival), "agency": slugs.get(arrival.agency_id)} for arrival in found]
    if not as_json:
        rows = [{**row, "state": state_word(str(row["state"]))} for row in rows]
    columns = ("id", "agency", "path", "state", "received_at", "detail")
    print_list(rows, as_json, columns, "No such file has come." if agency or state else "No file has come yet.")


@app.command()
def retry(
    context: typer.Context,
    arrival_id: Annotated[str, typer.Argument(metavar="ID", help="The arrival's id, from arrival list or doctor.")],
    as_json: Json = False,
) -> None:
    """Run an arrival again that was parked after failing too often, or match it anew after a profile was added."""
    with open_installation(context.obj) as state:
        revived = state.queue.revive(arrival_id)
        with state.database.writing() as conn:
            arrival = inbox.match_again(conn, arrival_id)
        if arrival.state == ArrivalState.RECEIVED:
            state.queue.enqueue(TASK, arrival.id, lane=arrival.agency_id)
        elif not revived:
            raise AppError(
                Code.CONFLICT, f"It is {state_word(arrival.state)}. {arrival.detail}", "There is nothing to run again."
            )
    print_one({"id": arrival_id, "state": arrival.state}, as_json, f"Arrival {arrival_id} is queued again.")
