"""`dropslot key audit`: which keys somebody should look after."""

from datetime import timedelta
from typing import Annotated

import typer

from server.agencies import find_agency, list_agencies
from server.cli.output import Json, as_dict, print_list
from server.clock import now
from server.services.audit import audit as find
from server.state import open_installation


def audit(
    context: typer.Context,
    agency: Annotated[str | None, typer.Argument(metavar="AGENCY", help="Only of this agency.")] = None,
    days: Annotated[int, typer.Option(min=1, max=3650, help="A key is unused after so many days.")] = 90,
    as_json: Json = False,
) -> None:
    """Say which keys expire, have expired, lie unused or are weak, and what to do; exit status 1 if there are any."""
    with open_installation(context.obj) as state, state.database.reading() as conn:
        chosen = [find_agency(conn, agency)] if agency else list_agencies(conn)
        findings = find(conn, chosen, now(), timedelta(days=days))
    print_list(
        [as_dict(finding) for finding in findings],
        as_json,
        ("agency", "code", "key", "sentence"),
        "Nothing needs to be done about the keys.",
    )
    if findings:
        raise typer.Exit(1)
