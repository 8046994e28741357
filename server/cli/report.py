"""`dropslot report`: what the reports hold, and one of them as a file."""

import shutil
import sys
from pathlib import Path
from typing import Annotated

import typer

from server.agencies import find_agency
from server.cli.output import Json, print_json, print_list, say
from server.cli.written import closed_file
from server.clock import new_id, now
from server.errors import AppError, Code
from server.outbound.delivery import FOLDER
from server.outbound.reports.catalogue import CATALOGUE, find_report
from server.outbound.reports.definition import Report
from server.outbound.reports.run import run_report
from server.outbound.reports.wanted import want
from server.outbound.write import Form
from server.sizes import say_size
from server.state import open_installation

app = typer.Typer(
    help="List the reports, show their columns, and write one; a profile delivers one on each cycle.",
    no_args_is_help=True,
)

STANDARD_OUTPUT = "-"
Name = Annotated[str, typer.Argument(metavar="NAME", help="The report, such as upcoming-events.")]


@app.command("list")
def list_(as_json: Json = False) -> None:
    """List the reports with what each holds."""
    rows = [{"name": report.name, "holds": report.sentence} for report in CATALOGUE.values()]
    print_list(rows, as_json, ("name", "holds"), "")


@app.command()
def columns(name: Name, as_json: Json = False) -> None:
    """Show the columns of a report, in order, and what it can be filtered and sorted by."""
    report = find_report(name)
    if as_json:
        print_json(_document(report))
        return
    say(report.sentence)
    say("")
    print_list([{"column": c.name, "meaning": c.meaning} for c in report.columns], False, ("column", "meaning"), "")
    filters = [
        {"filter": f"{name}=", "meaning": each.meaning, "without_it": each.default}
        for name, each in report.filters.items()
    ]
    if report.days:
        filters.insert(0, {"filter": "days=", "meaning": report.days.meaning, "without_it": str(report.days.default)})
    if filters:
        say("")
        print_list(filters, False, ("filter", "meaning", "without_it"), "")
    if report.sorts:
        say("")
        say(f"Sorted by {', or by '.join(report.sorts)}; with - before it: backwards.")


def _document(report: Report) -> dict[str, object]:
    filters = [
        {"name": name, "meaning": each.meaning, "default": each.default} for name, each in report.filters.items()
    ]
    return {
        "name": report.name,
        "holds": report.sentence,
        "columns": [{"name": column.name, "meaning": column.meaning} for column in report.columns],
        "days": report.days and {"default": report.days.default, "meaning": report.days.meaning},
        "filters": filters,
        "sorts": list(report.sorts),
    }


@app.command()
def run(
    context: typer.Context,
    agency: Annotated[str, typer.Argument(metavar="AGENCY", help="The agency's slug.")],
    name: Name,
    wished: Annotated[
        Form | None,
        typer.Option("--format", help="Comma, pipe, or a workbook.", show_default="the ending of --output, or csv"),
    ] = None,
    days: Annotated[
        int | None, typer.Option(help="How many days it is about.", show_default="the report's own", min=1)
    ] = None,
    filters: Annotated[
        list[str] | None,
        typer.Option("--filter", metavar="NAME=VALUE", help="Only such rows; twice with one name: both values."),
    ] = None,
    sort: Annotated[str, typer.Option(help="What to sort by; with - before it: backwards.")] = "",
    output: Annotated[str, typer.Option(help="The file to write; - is standard output.")] = STANDARD_OUTPUT,
    as_json: Json = False,
) -> None:
    """Write a report of an agency, as of now; see what it knows with: dropslot report columns NAME."""
    form = wished or _form_of(output)
    wanted = want(name, days, filters or [], sort)
    if output == STANDARD_OUTPUT and form == Form.XLSX and sys.stdout.isatty():
        raise AppError(Code.INVALID, "A workbook is not for a terminal.", "Name a file: --output report.xlsx")
    if output == STANDARD_OUTPUT and as_json:
        raise AppError(Code.INVALID, "The report itself would stand among the JSON.", "Name a file with --output.")
    with open_installation(context.obj) as state:
        with state.database.reading() as conn:
            owner = find_agency(conn, agency)
        staged = state.settings.data / FOLDER / f"{new_id()}.{form}"
        try:
            ran = run_report(state.database, wanted.report, wanted.ask(owner, now()), staged, form)
            _hand_over(staged, output)
        finally:
            staged.unlink(missing_ok=True)
    if as_json:
        print_json({"report": name, "file": output, "rows": ran.rows, "size": ran.size})
    elif output != STANDARD_OUTPUT:
        say(f"{ran.rows:,} row{'' if ran.rows == 1 else 's'} of {name} are in {output} ({say_size(ran.size)}).")


def _form_of(output: str) -> Form:
    """The format that a file's name asks for; CSV if it has no ending. Raises `AppError` invalid for any other one."""
    suffix = Path(output).suffix
    ending = suffix.lower().removeprefix(".")
    if ending and ending not in list(Form):
        *others, last = (f".{form}" for form in Form)
        hint = f"Name it {', '.join(others)} or {last}; or say how it is written, with --format."
        raise AppError(Code.INVALID, f"No report is written as {suffix}.", hint)
    return Form(ending or Form.CSV)


def _hand_over(staged: Path, output: str) -> None:
    if output == STANDARD_OUTPUT:
        with staged.open("rb") as source:
            shutil.copyfileobj(source, sys.stdout.buffer)
        sys.stdout.buffer.flush()
        return
    with staged.open("rb") as source, closed_file(Path(output)) as target:
        shutil.copyfileobj(source, target)
