"""What is said of a run: its status, its counts, and the sentence that the arrival gets."""

from collections.abc import Sequence
from dataclasses import replace

from ingest.answer import UNREAD, Counts, Upload
from ingest.inbox.renamed import find_renamed
from ingest.inbox.uploads import count_rescheduled
from ingest.ledger import Ledger
from ingest.merge import Outcome, Stage
from ingest.record import KINDS
from ingest.skip import Known
from ingest.tally import Tally, count_records

SHOWN = 3
"""References of whom a sentence speaks."""
_ONE_PERSON = "the hearings and contacts of all are one person's now: give each person a reference of their own."


def counts_of(known: Known, fresh: Ledger, outcome: Outcome, stage: Stage, upload_id: str) -> dict[str, Counts]:
    """In the transaction of the merge. Payments only where the template knows of any, or withdraws them."""
    gone = outcome.withdrawn.total if outcome.withdrawn else {}
    kinds = [kind for kind in KINDS if kind != "payments" or stage.columns["payments"] or gone.get("payments")]
    counts = count_records(known, fresh, {k: (m.created, m.updated) for k, m in outcome.merged.items()}, kinds)
    for kind, told in counts.items():
        back = outcome.merged[kind].restored
        moved = _moved(outcome, stage, upload_id) if kind == "events" else 0
        more = {"restored": back, "withdrawn": gone.get(kind, 0), "moved": moved}
        counts[kind] = replace(told, unchanged=told.unchanged - back, **more)
    return counts


def _moved(outcome: Outcome, stage: Stage, upload_id: str) -> int:
    """Hearings that have another date: new ones instead of others, and those that are known by their reference."""
    instead = outcome.withdrawn.moved if outcome.withdrawn else 0
    touched = outcome.merged["events"].updated + outcome.merged["events"].restored
    return instead + (count_rescheduled(stage.conn, upload_id) if touched else 0)


def notes_of(outcome: Outcome, stage: Stage, upload_id: str, tally: Tally) -> tuple[str, ...]:
    """What the agency should look at, though every row of it is good; in the transaction of the merge."""
    return (*_passed_over(tally), *_shared(tally), *_renamed(outcome, stage, upload_id))


def _passed_over(tally: Tally) -> list[str]:
    """The rows that are no errors, and of which nothing was taken."""
    notes, again, unread = list[str](), tally.repeated, tally.unread
    if again.count:
        more = f" and in {again.count - 1:,} more" if again.count > 1 else ""
        notes.append(f"The header stands again in line {again.first:,}{more}: passed over.")
    if unread.count:
        which = f"1 row (line {unread.first:,})" if unread.count == 1 else f"{unread.count:,} rows"
        first = f"; line {unread.first:,} is the first" if unread.count > 1 else ""
        notes.append(f"{UNREAD} {which}, with nothing in the columns that the template reads{first}.")
    return notes


def _shared(tally: Tally) -> list[str]:
    """References that this file uses for several people."""
    if not tally.shared:
        return []
    number, references = len(tally.shared), list(filter(None, tally.shared.values()))
    who = "1 client has" if number == 1 else f"{number:,} clients have"
    which = f" (reference {_some(references, number)})" if references else ""
    return [f"{who} different first and last names in this file{which}. If those are several people, {_ONE_PERSON}"]


def _some(references: Sequence[str], number: int) -> str:
    return ", ".join(references[:SHOWN]) + (", ..." if number > min(len(references), SHOWN) else "")


def _renamed(outcome: Outcome, stage: Stage, upload_id: str) -> tuple[str, ...]:
    """Clients of another name than before: it may be somebody else."""
    merged = outcome.merged["clients"]
    if not merged.updated and not merged.restored:
        return ()
    number, references = find_renamed(stage.conn, upload_id, SHOWN)
    if not number:
        return ()
    who = f"{number:,} {'client has' if number == 1 else 'clients have'}"
    which = f" (reference {_some(references, number)})" if references else ""
    return (f"{who} another first and last name than before{which}. If that is somebody else, {_ONE_PERSON}",)


def status_of(used: bool, tally: Tally) -> str:
    """Whether all of a file was taken, some of it, or none."""
    if not used:
        return "failed"
    return "partially_processed" if tally.error_rows or tally.warning_rows else "processed"


def detail_of(upload: Upload) -> str:
    """How the arrival stands, in one sentence."""
    if upload.error:
        return upload.error.message
    bad = upload.error_rows + upload.warning_rows
    rows = f"{upload.rows:,} {'row' if upload.rows == 1 else 'rows'}"
    return f"{rows}, {bad:,} of them {'needs' if bad == 1 else 'need'} a look." if bad else f"{rows}."
