"""`dropslot doctor`: is everything as it should be, and if not, what to do."""

import sys

import typer

from server.checkup import examine, examine_shut
from server.cli.output import Json, print_json, printable, say
from server.errors import AppError, Code
from server.state import open_installation
from server.sync.checkup import examine_sync


def doctor(context: typer.Context, as_json: Json = False) -> None:
    """Check this installation; exit status 1 if something needs a person."""
    try:
        with open_installation(context.obj) as state:
            findings = [*examine(state), *examine_sync(state)]
    except AppError as error:
        if error.code is not Code.UNAVAILABLE:
            raise
        findings = examine_shut(context.obj, error)
    healthy = all(finding.good for finding in findings)
    if as_json:
        print_json({"healthy": healthy, "findings": findings})
    else:
        for finding in findings:
            say(printable(f"{'ok  ' if finding.good else 'MEND'}  {finding.subject}: {finding.sentence}"))
            if finding.hint and not finding.good:
                for line in finding.hint.splitlines():
                    say(f"      {line}")
    sys.exit(0 if healthy else 1)
