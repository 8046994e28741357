"""`dropslot serve`: run the server."""

from enum import StrEnum
from typing import Annotated, Any

import typer

from server.loading import loading
from server.settings import Policy, Settings


class RoleName(StrEnum):
    """One part of the server, run by itself."""

    SFTP = "sftp"
    WORKER = "worker"
    SCHEDULER = "scheduler"


Descriptor = Annotated[int | None, typer.Option(hidden=True)]


def serve(
    context: typer.Context,
    sftp_port: Annotated[
        int | None, typer.Option(help="Port of the SFTP door (0: the system chooses).  [2022]")
    ] = None,
    sftp_host: Annotated[str | None, typer.Option(help="Address to listen on.  [0.0.0.0]")] = None,
    sftp_processes: Annotated[int | None, typer.Option(help="SFTP processes (else: one per core).")] = None,
    policy: Annotated[Policy | None, typer.Option(help="Which algorithms the door offers.  [2025-03]")] = None,
    workers: Annotated[int | None, typer.Option(help="Ingest workers.  [1]")] = None,
    sweep_every: Annotated[float | None, typer.Option(help="Seconds between two sweeps.  [3600]")] = None,
    drain: Annotated[
        float | None, typer.Option(help="Seconds running uploads may take to end when stopping.  [20]")
    ] = None,
    role: Annotated[RoleName | None, typer.Option(help="Run this part only.")] = None,
    number: Annotated[int, typer.Option(help="Which worker this is.", hidden=True)] = 0,
    socket_fd: Descriptor = None,
    ready_fd: Descriptor = None,
    lifeline_fd: Descriptor = None,
) -> None:
    """Run the server until it is told to stop (Ctrl-C or SIGTERM); running uploads may end first."""
    with loading():
        from server import app  # importing the whole server would slow down every other command

    given: dict[str, Any] = {
        "sftp_port": sftp_port,
        "sftp_host": sftp_host,
        "sftp_processes": sftp_processes,
        "policy": policy,
        "workers": workers,
        "sweep_every": sweep_every,
        "drain": drain,
    }
    flags = {name: value for name, value in given.items() if value is not None}
    settings = Settings(data=context.obj.data, **flags)
    child = app.Child(ready_fd=ready_fd, lifeline_fd=lifeline_fd, socket_fd=socket_fd, number=number)
    match role:
        case RoleName.SFTP:
            app.run_sftp(settings, child)
        case RoleName.WORKER:
            app.run_worker(settings, child)
        case RoleName.SCHEDULER:
            app.run_scheduler(settings, child)
        case None:
            app.serve(settings)
