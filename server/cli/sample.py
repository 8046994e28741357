"""`dropslot template infer` and `dropslot template check`: what a sample tells. Nothing is written."""

import re
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Any

import typer
from sqlalchemy import Engine

from ingest import inbox, tables
from ingest.answer import RowError, Upload, error_file, left_out, wrong
from ingest.arrival import Arrival, ArrivalState
from ingest.limits import Limits
from ingest.sides import side_by_side
from ingest.template import TemplateVersion, load_template
from server.agencies import find_agency
from server.cli.output import Json, aligned, counted, print_json, print_text, printable, say, state_word
from server.cli.place import is_file
from server.cli.upload import error_document, upload_document
from server.cli.written import closed_file
from server.clock import new_id, now
from server.db import open_database, translated
from server.errors import AppError, Code
from server.settings import Settings
from server.state import open_installation
from server.zones import check_zone

if TYPE_CHECKING:
    from ingest.preview import Preview

SHOWN = 20
_CELL = 28
_NOTHING = "Nothing was written."

Sample = Annotated[Path, typer.Argument(metavar="SAMPLE", help="A file as the court sends it.")]


def infer(
    context: typer.Context,
    sample: Sample,
    name: Annotated[str | None, typer.Option(help="The template's name; else that of the file.")] = None,
    as_json: Json = False,
) -> None:
    """Propose a template for a sample: print it, to be looked at, saved and added."""
    from ingest.infer import infer_template  # what reads files takes seconds to import: other commands do without

    settings: Settings = context.obj
    with _within_reach(sample) as path:
        draft = infer_template(path, name or _named(sample), Limits(file=settings.file_limit), now().year)
    if as_json:
        print_json(
            {"template": draft.text, "undecided": list(draft.undecided), "warnings": list(draft.warnings)},
        )
        return
    print_text(draft.text)
    for sentence in (*(f"To be decided: {each}" for each in draft.undecided), *draft.warnings):
        typer.echo(printable(sentence), err=True)  # beside the template, which may go to a file


def _named(sample: Path) -> str:
    """The name of a file as that of a template: without endings and the date of the day."""
    stem = re.sub(r"(\.(csv|txt|xlsx|xlsm|exp|dat|zip|gz|tsv))+$", "", sample.name, flags=re.IGNORECASE)
    words = re.sub(r"[\s._-]*\d{6,14}[\s._-]*", "-", stem).strip("-_. ")
    return re.sub(r"[^\w-]+", "-", words).strip("-").lower() or "template"


@contextmanager
def _within_reach(sample: Path) -> Iterator[Path]:
    """The sample, beside which what is unpacked of it may lie. Raises `AppError` invalid."""
    if not is_file(sample):
        raise AppError(Code.INVALID, f"{sample} is not a file.", "Name the sample.")
    try:
        sample.open("rb").close()
    except OSError as error:
        raise AppError(Code.INVALID, f"{sample} cannot be read ({error.strerror}).") from error
    with TemporaryDirectory(prefix="dropslot-") as folder:
        link = Path(folder) / sample.name
        link.symlink_to(sample.resolve())
        yield link


@dataclass(frozen=True)
class _Stand:
    """Against what the sample is tried: a database, whose records, in which zone."""

    engine: Engine
    agency_id: str
    zone: str
    version: TemplateVersion
    against: str


def check(
    context: typer.Context,
    template: Annotated[str, typer.Argument(metavar="TEMPLATE", help="A template's file, or its name.")],
    sample: Sample,
    agency: Annotated[str | None, typer.Option(help="Try it against the records of this agency.")] = None,
    timezone: Annotated[str | None, typer.Option(help="Zone of the court's times, where no agency says it.")] = None,
    rows: Annotated[int, typer.Option(help="So many rows are shown as records.", min=0, max=20)] = 3,
    every: Annotated[bool, typer.Option("--all", help="List all row errors, not the first 20.")] = False,
    errors: Annotated[Path | None, typer.Option(help="Write the error file here.")] = None,
    as_json: Json = False,
) -> None:
    """Try a template on a sample: the first rows as records, what would change, all errors. Nothing is written."""
    from ingest.engine import rehearse  # see `infer`
    from ingest.errors import IngestError
    from ingest.preview import preview
    from ingest.task import Work

    settings: Settings = context.obj
    with ExitStack() as opened:
        path = opened.enter_context(_within_reach(sample))
        stand = opened.enter_context(_against(settings, agency, template, _zone(agency, timezone)))
        limits, shown = Limits(file=settings.file_limit), None
        read = load_template(stand.version.text)
        with suppress(IngestError):  # the trial says it, with all that is known by then
            shown = preview(path, read, stand.zone, settings.region, limits, rows)
        work = Work(new_id(), new_id(), path, stand.zone, now(), settings.region, limits)
        arrival = Arrival(
            id=work.arrival_id,
            agency_id=stand.agency_id,
            path=f"/upload/{sample.name}",
            name=sample.name,
            size=path.stat().st_size,
            sha256=None,
            source="check",
            state=ArrivalState.RECEIVED,
            profile_id=None,
            session=None,
            received_at=work.now,
            upload_id=None,
            detail="",
        )
        with translated():
            upload, found = rehearse(stand.engine, work, arrival, stand.version)
    if errors is not None:
        with closed_file(errors) as file:
            file.write(error_file(upload, found))
    if as_json:
        print_json(_document(upload, found, shown, stand))
    else:
        for line in _report(upload, found, shown, stand, None if every else SHOWN):
            say(line)
    if upload.error is not None:
        raise typer.Exit(1)


def _zone(agency: str | None, timezone: str | None) -> str:
    if agency and timezone:
        raise AppError(Code.INVALID, "The agency says the zone.", "Leave --timezone away, or --agency.")
    zone = timezone or "UTC"
    check_zone(zone)
    return zone


@contextmanager
def _against(settings: Settings, agency: str | None, template: str, zone: str) -> Iterator[_Stand]:
    """The records of an agency, or none at all, in a database of its own that is gone afterwards."""
    text = _text_of(Path(template))
    if agency is not None:
        with open_installation(settings) as state:
            with state.database.reading() as conn:
                owner = find_agency(conn, agency)
                version = _version(template, text) if text else inbox.find_template(conn, owner.id, template)
            against = f"the records of {agency} as they are now"
            yield _Stand(state.database.engine, owner.id, owner.timezone, version, against)
        return
    with TemporaryDirectory(prefix="dropslot-") as folder:
        database = open_database(f"sqlite:///{folder}/empty.db")
        try:
            with database.writing() as conn:
                tables.metadata.create_all(conn)
            with database.reading() as conn:
                version = _version(template, text) if text else inbox.find_template(conn, "", template)
            against = f"no records at all, times of {zone}; --agency names those of an agency"
            yield _Stand(database.engine, new_id(), zone, version, against)
        finally:
            database.close()


def _text_of(file: Path) -> str:
    """The template's text if this is a file, else ""."""
    if not is_file(file):
        return ""
    try:
        return file.read_text(encoding="utf-8-sig") or "\n"
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise AppError(Code.INVALID, f"{file} cannot be read ({reason}).", "Name a TOML file.") from error


def _version(file: str, text: str) -> TemplateVersion:
    return TemplateVersion(f"check:{file}", None, load_template(text).name, 0, text, None)


def _document(upload: Upload, errors: Sequence[RowError], shown: "Preview | None", stand: _Stand) -> dict[str, Any]:
    told = {key: value for key, value in upload_document(upload).items() if key not in ("id", "arrival_id")}
    lines = [vars(line) for line in shown.lines] if shown else []
    return {
        **told,
        "against": stand.against,
        "written": shown.written if shown else {},
        "preview": {"rows": shown.rows, "fates": shown.fates, "fields": lines} if shown else {},
        "row_errors": [error_document(error) for error in errors],
    }


def _report(
    upload: Upload, errors: Sequence[RowError], shown: "Preview | None", stand: _Stand, most: int | None
) -> Iterator[str]:
    yield f"Template:  {stand.version.name}{f', version {stand.version.version}' if stand.version.version else ''}"
    yield f"Sample:    {upload.file} ({upload.size:,} bytes)"
    if shown:
        yield f"Written:   {_written(shown.written)}"
    yield f"Against:   {stand.against}"
    if shown and shown.rows:
        yield ""
        yield from _table(shown)
    yield ""
    if upload.error is not None and upload.status == ArrivalState.AWAITING:
        yield "Result:    The file would wait for a person; nothing would change until it is confirmed."
        yield f"{upload.error.message} It would wait for: dropslot upload confirm ID (or upload reject ID)."
        yield "Once it is confirmed:"
        yield from _counts(upload)
    elif upload.error is not None:
        yield "Result:    The file would not be taken; nothing would change."
        yield from (line for line in (upload.error.message, upload.error.hint) if line)
        yield from side_by_side(upload.expected, upload.header)
    else:
        yield from _outcome(upload)
    yield from _listed(errors, most)
    yield ""
    yield _NOTHING


def _written(told: dict[str, str]) -> str:
    """How the sample is written, in a sentence."""
    words = [told["kind"]]
    if "delimiter" in told:
        named = {"\t": "tab", "|": "pipe", ",": "comma", ";": "semicolon", "^": "caret"}
        words[0] += f" by {named.get(told['delimiter'], told['delimiter'])}"
        words.append("quotes enclose cells" if told["quoting"] == "yes" else "quotes are data")
    words += [told[key] for key in ("encoding",) if key in told]
    words += ["with a header" if told["header"] == "yes" else "without a header", f"{told['columns']} columns"]
    return ", ".join(words)


def _table(shown: "Preview") -> Iterator[str]:
    """Fields below each other, rows beside each other."""
    heads = [
        f"ROW {row:,}" + ("" if fate == "taken" else f" ({fate})")
        for row, fate in zip(shown.rows, shown.fates, strict=True)
    ]
    cells = [["FIELD", "COLUMN", *heads]]
    for line in shown.lines:
        field = f"{line.who}: {line.field}" if line.who else line.field
        cells.append([field, line.source, *line.values])
    return aligned([[row[0], *map(_cut, row[1:])] for row in cells])


def _cut(cell: str) -> str:
    return cell if len(cell) <= _CELL else cell[: _CELL - 1] + "…"


_WORDS = {"created": "new", "updated": "changed", "unchanged": "as before"}


def _outcome(upload: Upload) -> Iterator[str]:
    """What would become of it, in numbers."""
    taken = upload.rows - upload.skipped - upload.error_rows - upload.excluded
    yield f"Result:    {taken:,} of {counted(upload.rows, 'row')} would be taken ({state_word(upload.status)})."
    if upload.skipped:
        yield f"           {upload.skipped:,} blank, or the same as in the last file"
    if upload.error_rows or upload.warning_rows or upload.excluded:
        bad = f"{upload.error_rows:,} not taken, {upload.warning_rows:,} taken but for a cell"
        yield f"           {bad}, {upload.excluded:,} left out by filters"
    yield from _counts(upload)
    for note in upload.notes:
        yield f"Note:      {note}"


def _counts(upload: Upload) -> Iterator[str]:
    """What would become of the records; of what only snapshots do, that of which there is any."""
    for kind, counts in upload.counts.items():
        told = {name: number for name, number in vars(counts).items() if number or name in _WORDS}
        numbers = ", ".join(f"{number:,} {_WORDS.get(name, name)}" for name, number in told.items())
        yield f"{kind.capitalize() + ':':<11}{numbers}"


def _listed(errors: Sequence[RowError], most: int | None) -> Iterator[str]:
    """The rows to look at, and those left out, as many as are wanted."""
    for title, rows in (("Rows to look at:", wrong(errors)), ("Rows that would be left out:", left_out(errors))):
        if not rows:
            continue
        yield ""
        yield title
        for error in rows[:most]:
            where = f", {error.column}" if error.column else ""
            value = f' "{_cut(error.value)}"' if error.value else ""
            yield printable(f"  row {error.row:,}{where}{value}: {error.message}")
        if most is not None and len(rows) > most:
            yield f"  and {len(rows) - most:,} more: --all lists them, --errors FILE writes them down"
