"""An agency's time zone, as an operator changes it."""

from collections.abc import Iterator
from dataclasses import dataclass

import typer

from ingest import inbox
from ingest.record import records_of
from server.agencies import Agency
from server.cli.output import counted, say
from server.clock import now
from server.errors import AppError, Code
from server.outbound.exports.store import list_exports
from server.schedule.slots import Days
from server.services.provision import move_agency
from server.state import State
from server.zones import check_zone


@dataclass(frozen=True)
class Move:
    """An agency that is to have another zone: `kept` are the hearings that go on having theirs until a file names them
    again, `exports` those that go on running by the clock of the zone of before."""

    agency: Agency
    timezone: str
    kept: inbox.Elsewhere
    exports: tuple[str, ...]

    @property
    def document(self) -> dict[str, object]:
        """For programs."""
        return {"hearings_kept": self.kept.hearings, "hearings_kept_to_come": self.kept.to_come}


def plan_move(state: State, agency: Agency, timezone: str) -> Move:
    """What it would mean. Raises `AppError` invalid for what is no zone."""
    check_zone(timezone)
    with state.database.reading() as conn:
        kept = inbox.count_elsewhere(conn, agency.id, timezone, now())
        exports = list_exports(conn, agency.id)
    clocks = ((export.name, export.schedule) for export in exports)
    own = (name for name, schedule in clocks if isinstance(schedule, Days) and schedule.zone == agency.timezone)
    return Move(agency, timezone, kept, tuple(own))


def confirm_move(move: Move, yes: bool, as_json: bool) -> None:
    """Tell what it means, and ask where there are hearings. Raises `typer.Exit` after a no."""
    if not as_json:
        for line in _told(move):
            say(line)
    if yes or not move.kept.hearings:
        return
    if as_json:
        raise AppError(Code.INVALID, "With --json nobody can be asked.", "Add --yes.")
    if not typer.confirm(f"\nRead the court times of {move.agency.slug} as those of {move.timezone}?"):
        say("Nothing was changed.")
        raise typer.Exit(1)


def carry_out(state: State, move: Move) -> Agency:
    """Change the zone."""
    with state.database.writing(records_of(move.agency.id)) as conn:
        return move_agency(conn, move.agency, move.timezone)


def _told(move: Move) -> Iterator[str]:
    slug, zone, kept = move.agency.slug, move.timezone, move.kept
    if kept.hearings:
        were = "was" if kept.hearings == 1 else "were"
        yield (
            f"{counted(kept.hearings, 'hearing')} of {slug}, {kept.to_come:,} of them to come, {were} taken with "
            f"another zone than {zone}. Each keeps it, and the instant it stands for, until a file names it again."
        )
        yield (
            f"The next file of each template is read as a whole, by {zone}. Not to wait for it, run the last one "
            f"again: dropslot upload list --agency {slug}, then dropslot upload replay UPLOAD"
        )
    for name in move.exports:
        yield (
            f"The export {name} goes on running by the clock of {move.agency.timezone}; to change that: "
            f"dropslot export edit {slug} {name} --timezone {zone}"
        )
