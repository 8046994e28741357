"""The files that came, what became of each, and the rows that need a look."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime, time, timedelta
from functools import lru_cache
from typing import Any

from sqlalchemy import func

from ingest.tables import arrivals, profiles, row_errors, uploads
from server.outbound.reports.definition import (
    Ask,
    Clause,
    Column,
    Days,
    Filter,
    Report,
    Value,
    from_instant,
    local,
    plain,
    same,
    to_instant,
)
from server.outbound.write import Cell

_STATUS = func.coalesce(uploads.c.status, arrivals.c.state)
_TOLD = (
    ("clients", "created"),
    ("clients", "updated"),
    ("clients", "withdrawn"),
    ("contacts", "created"),
    ("cases", "created"),
    ("cases", "updated"),
    ("cases", "withdrawn"),
    ("events", "created"),
    ("events", "updated"),
    ("events", "withdrawn"),
    ("events", "moved"),
    ("payments", "created"),
    ("payments", "updated"),
    ("payments", "withdrawn"),
)
_WORDS = {"created": "new", "updated": "changed", "withdrawn": "withdrawn", "moved": "moved"}


@lru_cache(maxsize=4)
def _counts(text: str) -> Mapping[str, Mapping[str, int]]:
    """The same text is asked about once for each column."""
    found: Mapping[str, Mapping[str, int]] = json.loads(text)
    return found


def _counted(kind: str, what: str) -> Value:
    def cell(value: Any, _ask: Ask) -> Cell:
        return _counts(value).get(kind, {}).get(what, 0) if value else None

    return cell


def _sentences(value: str | None, _ask: Ask) -> Cell:
    return " ".join(json.loads(value)) if value else None


def _recent(ask: Ask) -> Sequence[Clause]:
    """Of the last days; a day begins at the agency's midnight."""
    return (arrivals.c.received_at >= beginning(ask),)


def beginning(ask: Ask) -> datetime:
    """The midnight that so many days began with: one day is today."""
    return datetime.combine(ask.today - timedelta(days=ask.days - 1), time(), ask.zone)


def _when() -> dict[str, Filter]:
    return {
        "from": from_instant(arrivals.c.received_at, "came on this day or later, within the days above"),
        "to": to_instant(arrivals.c.received_at, "came on this day or earlier"),
    }


UPLOAD_RESULTS = Report(
    name="upload-results",
    sentence="Every file that came, and what became of it.",
    columns=(
        Column("received_at", "when it was whole, in the agency's time", arrivals.c.received_at, local),
        Column("file", "its name", arrivals.c.name),
        Column("path", "where it was put", arrivals.c.path),
        Column("size", "bytes", arrivals.c.size),
        Column("status", "processed, partially_processed, failed, duplicate, unmatched, partial, ...", _STATUS),
        Column("result", "a sentence that says why", arrivals.c.detail),
        Column("rows", "rows under the header", uploads.c.rows),
        Column("unchanged_rows", "rows that were blank, or the same as last time", uploads.c.skipped),
        Column("error_rows", "rows that were not taken", uploads.c.error_rows),
        Column("warning_rows", "rows that were taken but for a cell", uploads.c.warning_rows),
        Column("excluded_rows", "rows that the template's filters left out", uploads.c.excluded),
        *(
            Column(f"{kind}_{_WORDS[what]}", f"{kind} that are {_WORDS[what]}", uploads.c.counts, _counted(kind, what))
            for kind, what in _TOLD
        ),
        Column("error", "why nothing at all was taken", uploads.c.error_message),
        Column("hint", "what to do about it", uploads.c.error_hint),
        Column("notes", "what else there is to say", uploads.c.notes, _sentences),
        Column("profile", "the profile that it came by", profiles.c.name),
        Column("template", "the template that read it", uploads.c.template),
        Column("template_version", "and its version", uploads.c.template_version),
        Column("method", "update, replace_template or replace_all", uploads.c.method),
        Column("finished_at", "when it was done, in the agency's time", uploads.c.finished_at, local),
        Column("undone_at", "when a person has undone it, in the agency's time", uploads.c.undone_at, local),
        Column("sha256", "of the file", func.coalesce(uploads.c.sha256, arrivals.c.sha256)),
        Column("source", "how it came: sftp, sweep, sync, cli or replay", arrivals.c.source),
        Column("received_at_utc", "the instant when it was whole", arrivals.c.received_at),
        Column("upload", "the id that receipts have in their name", uploads.c.id),
        Column("arrival", "the id of the file", arrivals.c.id),
    ),
    owner=arrivals.c.agency_id,
    source=lambda _ask: arrivals.join(uploads, uploads.c.id == arrivals.c.upload_id, isouter=True).join(
        profiles, profiles.c.id == arrivals.c.profile_id, isouter=True
    ),
    scope=_recent,
    days=Days(30, "how many days to look back, today included"),
    filters={
        "status": same(_STATUS, "one of the words of that column"),
        "template": same(uploads.c.template, "the template that read it"),
        "profile": same(profiles.c.name, "the profile that it came by"),
        **_when(),
    },
    sorts={
        "received": (arrivals.c.received_at, arrivals.c.id),
        "file": (arrivals.c.name, arrivals.c.received_at, arrivals.c.id),
        "status": (_STATUS, arrivals.c.received_at, arrivals.c.id),
    },
)


def _counting(ask: Ask) -> Sequence[Clause]:
    """Not of what was undone: those rows are nobody's concern any more."""
    return (*_recent(ask), uploads.c.undone_at.is_(None))


def _severity() -> Filter:
    column = row_errors.c.severity

    def clause(value: str, _ask: Ask) -> Clause:
        return column != "excluded" if value == "wrong" else column == value

    return Filter(
        "error, warning, or excluded (left out by the template's filters); wrong: the first two", clause, "wrong"
    )


ROW_ERRORS = Report(
    name="row-errors",
    sentence="Every row that could not be taken, or not as a whole, with what to do about it.",
    columns=(
        Column("received_at", "when the file was whole, in the agency's time", arrivals.c.received_at, local),
        Column("file", "its name", arrivals.c.name),
        Column("row", "the line on which the row begins; the first of the file is 1", row_errors.c.row_number),
        Column("column", "the column; empty: the row as a whole", row_errors.c.column_name),
        Column("value", "what stands there", row_errors.c.value),
        Column("severity", "error: nothing of the row was taken; warning: all but this cell", row_errors.c.severity),
        Column("message", "what is wrong", row_errors.c.message),
        Column("code", "the same in a word, for programs", row_errors.c.code),
        Column("template", "the template that read it", uploads.c.template),
        Column("received_at_utc", "the instant when the file was whole", arrivals.c.received_at),
        Column("upload", "the id that receipts have in their name", uploads.c.id),
        Column("number", "counts what is told of an upload, from 0", row_errors.c.position, plain),
    ),
    owner=uploads.c.agency_id,
    source=lambda _ask: row_errors.join(uploads, uploads.c.id == row_errors.c.upload_id).join(
        arrivals, arrivals.c.id == uploads.c.arrival_id
    ),
    scope=_counting,
    days=Days(30, "how many days to look back, today included"),
    filters={
        "severity": _severity(),
        "code": same(row_errors.c.code, "one kind of fault"),
        "column": same(row_errors.c.column_name, "one column"),
        "template": same(uploads.c.template, "the template that read it"),
        "file": same(arrivals.c.name, "the file's name"),
        **_when(),
    },
    sorts={
        "received": (arrivals.c.received_at, uploads.c.id, row_errors.c.position),
        "code": (row_errors.c.code, arrivals.c.received_at, uploads.c.id, row_errors.c.position),
        "column": (row_errors.c.column_name, arrivals.c.received_at, uploads.c.id, row_errors.c.position),
    },
)
