"""`dropslot server`: where files are exchanged."""

from typing import Annotated

import typer

from server.agencies import find_agency
from server.cli import server_edit, server_trial
from server.cli.output import Json, counted, print_list, print_one
from server.cli.server_edit import Name, refuse_default
from server.cli.server_words import document, for_people
from server.errors import AppError, Code
from server.remotes import store
from server.remotes.users import users_of
from server.state import open_installation
from server.sync.files import forget_server
from server.sync.places import forget_place

app = typer.Typer(
    help="Add, list, show, test, trust, edit and remove servers: where files are exchanged.", no_args_is_help=True
)
app.command("add")(server_edit.add)


@app.command("list")
def list_(
    context: typer.Context,
    agency: Annotated[str | None, typer.Argument(metavar="AGENCY", help="Those its profiles may use.")] = None,
    as_json: Json = False,
) -> None:
    """List the servers."""
    with open_installation(context.obj) as state, state.database.reading() as conn:
        chosen = find_agency(conn, agency).id if agency else None
        rows = [document(conn, server) for server in store.list_servers(conn, chosen)]
    print_list(rows, as_json, ("name", "type", "agency", "where", "state"), "")


@app.command()
def show(context: typer.Context, name: Name, as_json: Json = False) -> None:
    """Show one server, without its secrets."""
    with open_installation(context.obj) as state, state.database.reading() as conn:
        told = document(conn, store.find_server(conn, name))
    if not as_json:
        told = for_people(told)
    print_one(told, as_json)


app.command("test")(server_trial.try_out)
app.command("trust")(server_trial.trust)
app.command("edit")(server_edit.edit)


@app.command()
def remove(context: typer.Context, name: Name, as_json: Json = False) -> None:
    """Forget a server and its secrets; no profile may use it any more."""
    with open_installation(context.obj) as state, state.database.writing() as conn:
        server = store.find_server(conn, name)
        refuse_default(server)
        if used := users_of(conn, server.id):
            raise AppError(
                Code.CONFLICT,
                f"The server {name} is used by {counted(len(used), 'profile')}: {', '.join(used)}.",
                "Give them another server or remove them first.",
            )
        told = document(conn, server)
        store.remove_server(conn, server)
        forget_server(conn, server.id)
        forget_place(conn, server.id)
    print_one(told, as_json, f"Server {name} is removed.")
