"""The journey of a file: bytes -> records -> cells -> checked rows -> staged records -> one transaction -> the answer.

    with a source of bytes that never changes and an arrival that waits:
     1  measure          size and SHA-256
     2  duplicate?       the same name and content for the same profile and template version as the last time, or (if
                         the profile says so) the same name for it at all
     3  tell             how it is written; split it into records; find the template's columns in its header
     4  recall           which rows are as they were in this template's last file; which records are dirty
     5  read, check      the other rows, in chunks: cells, values, keys, row errors
     6  stage            what they say, in temporary tables; nobody is locked out yet
     7  merge            in ONE transaction: records, row errors, counts, skip index, upload, the arrival's last state

Whatever dies before the commit has changed nothing, and the run is simply done again; an arrival that is settled is
never processed twice. A file that cannot be used ends as a failed upload with a sentence, not as an exception.
"""

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, Engine

from ingest import drift, skip
from ingest.answer import Counts, RowError, Upload
from ingest.arrival import SETTLED, Arrival, ArrivalState, Profile
from ingest.check import WORDS, key_names
from ingest.databases import Rehearsal, writing
from ingest.errors import IngestError
from ingest.inbox.arrivals import enter, find_arrival, latest_success, settle
from ingest.inbox.profiles import profile_by_id
from ingest.inbox.shapes import find_shape, keep_shape
from ingest.inbox.templates import find_template
from ingest.inbox.uploads import find_upload, record_upload, row_errors
from ingest.layout import Layout, lay_out, refuse_large, refuse_many
from ingest.limits import Limits
from ingest.merge import Merged, Stage, keep_errors, merge_records
from ingest.parse.records import Ints
from ingest.record import KINDS
from ingest.shape import Shape
from ingest.skip import Known, SkipIndex
from ingest.tally import Tally, count_records
from ingest.template import TemplateVersion, load_template

VERSION = "3"
"""Raised whenever the meaning of a row changes, so that no skip index of before is used."""


@dataclass(frozen=True)
class Work:
    """One file to ingest: `source` holds its bytes and never changes, `zone` is the agency's (IANA), `now` is aware."""

    upload_id: str
    arrival_id: str
    source: Path
    zone: str
    now: datetime
    region: str = "US"
    limits: Limits = field(default_factory=Limits)
    skipping: bool = True


@dataclass(frozen=True)
class _Task:
    """What is known before the file is opened."""

    work: Work
    arrival: Arrival
    profile: Profile
    version: TemplateVersion
    upload: Upload
    stamp: str = ""
    shape: Shape | None = None


@dataclass(frozen=True)
class _Reading:
    """What was read: rows `known` from the last file (with their `places` in this one), and the others."""

    known: Known
    places: Ints
    tally: Tally


def records_of(agency_id: str) -> str:
    """The lock (`ingest.databases.writing`) of an agency's records: whoever changes any must hold it."""
    return f"records of {agency_id}"


class _StaleIndexError(Exception):
    """The skip index that was used is not the current one any more."""


def ingest(engine: Engine, work: Work) -> Upload:
    """Turn a waiting arrival into records and record the outcome; return the upload.

    Safe to call again, from any process, after any crash: an arrival that is settled gives the upload it was settled
    with. Raises IngestError `not_found` or `conflict` for an arrival that does not exist or does not wait; OSError if
    the source cannot be read, so that it is tried again.
    """
    with engine.connect() as conn:
        arrival = _find_waiting(conn, work.arrival_id)
        if arrival.state in SETTLED:
            return _recorded(conn, arrival)
    upload = _begin(work, arrival)
    try:
        with engine.connect() as conn:
            task = _prepare(conn, work, arrival, upload)
            upload = task.upload
            earlier = _find_duplicate(conn, task)
        if earlier is not None:
            return _close(engine, replace(upload, status="duplicate", notes=(earlier,)), earlier)
        return _process(engine, task)
    except IngestError as error:
        return _close(engine, _failed(upload, error), error.message)


def rehearse(engine: Engine, work: Work, arrival: Arrival, version: TemplateVersion) -> tuple[Upload, list[RowError]]:
    """What `ingest` would make of a file, as the database is now: the upload, and all its row errors.

    It goes the same way, up to the end of the transaction, which is then rolled back; nothing is written. Neither the
    arrival nor the version need be in the database; the upload's id must be `work`'s. Of an upload that fails as a
    whole, there is no row error. Raises OSError if the source cannot be read.
    """
    errors: list[RowError] = []
    trial = Rehearsal(
        before=lambda conn: enter(conn, arrival),
        after=lambda conn: errors.extend(row_errors(conn, work.upload_id)),
    )
    upload = replace(_begin(work, arrival), template=version.name, template_version=version.version)
    profile = Profile("", arrival.agency_id, "", version.name)
    try:
        return _process(
            engine.execution_options(rehearsal=trial), _Task(work, arrival, profile, version, upload)
        ), errors
    except IngestError as error:
        return _failed(upload, error), errors


def _failed(upload: Upload, error: IngestError) -> Upload:
    """The upload of a file of which nothing is taken."""
    return replace(upload, status="failed", error=error, expected=error.expected, header=error.found or upload.header)


def _find_waiting(conn: Connection, arrival_id: str) -> Arrival:
    arrival = find_arrival(conn, arrival_id)
    if arrival is None:
        raise IngestError("not_found", f"There is no arrival {arrival_id}.")
    if arrival.state not in (ArrivalState.RECEIVED, *SETTLED):
        raise IngestError("conflict", f"The arrival {arrival_id} is {arrival.state} and does not wait for a worker.")
    return arrival


def _recorded(conn: Connection, arrival: Arrival) -> Upload:
    upload = find_upload(conn, arrival.upload_id or "")
    if upload is None:
        raise IngestError("not_found", f"The upload of the arrival {arrival.id} is gone.")
    return upload


# --- 1 measure, 2 duplicate?


def _begin(work: Work, arrival: Arrival) -> Upload:
    """The upload as far as it is known from the bytes alone."""
    with work.source.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        size = file.tell()
    return Upload(
        id=work.upload_id,
        arrival_id=arrival.id,
        agency_id=arrival.agency_id,
        file=arrival.name,
        size=size,
        sha256=sha256,
        status="",
        template="",
        template_version=0,
        started_at=work.now,
        finished_at=work.now,
    )


def _prepare(conn: Connection, work: Work, arrival: Arrival, upload: Upload) -> _Task:
    if upload.size > work.limits.file:
        raise IngestError("too_large", f"The file has more than {work.limits.file:,} bytes.", "Send it in parts.")
    profile = profile_by_id(conn, arrival.profile_id or "")
    if profile is None:
        raise IngestError("no_profile", "The profile of this file is gone.", "Add it again and send the file again.")
    version = find_template(conn, arrival.agency_id, profile.template)
    upload = replace(upload, template=version.name, template_version=version.version)
    return _Task(work, arrival, profile, version, upload)


def _find_duplicate(conn: Connection, task: _Task) -> str | None:
    """A sentence about the earlier file of which this one is a duplicate, or None."""
    earlier = latest_success(conn, task.arrival)
    if earlier is None:
        return None
    when = f"{earlier.received_at:%Y-%m-%d %H:%M} UTC"
    if earlier.sha256 == task.upload.sha256 and _read_alike(find_upload(conn, earlier.upload_id or ""), task.upload):
        return f"The same content came under the same name on {when} and was processed then."
    if task.profile.skip_same_name:
        return f"A file of the same name was processed on {when}, and this profile takes each name once."
    return None


def _read_alike(earlier: Upload | None, upload: Upload) -> bool:
    """Whether the same version of the same template read both: another one may read other things in the same bytes."""
    if earlier is None:
        return False
    return (earlier.template, earlier.template_version) == (upload.template, upload.template_version)


# --- 3 tell


def _process(engine: Engine, task: _Task) -> Upload:
    work = task.work
    template = load_template(task.version.text)
    refuse_large(task.upload.size, template)
    with engine.connect() as conn:
        known = find_shape(conn, task.upload.agency_id, task.version.name)
    template = drift.spared(template, known, task.version.id)
    with (
        drift.comparing(known),
        lay_out(work.source, template, work.zone, work.region, work.limits) as layout,
    ):
        refuse_many(len(layout.rows), template)
        compared = drift.compare(known, layout, task.version.id, task.upload)
        layout, task = replace(layout, notes=layout.notes + compared.notes), replace(task, shape=compared.shape)
        today = work.now.astimezone(ZoneInfo(work.zone)).date()
        return _process_rows(engine, task, replace(layout, rules=replace(layout.rules, today=today)))


def _process_rows(engine: Engine, task: _Task, layout: Layout) -> Upload:
    work, plan, shown = task.work, layout.rules.plan, layout.dialect.shown
    template = layout.rules.template
    upload = replace(
        task.upload,
        rows=len(layout.rows) + layout.blank,
        header=plan.header,
        delimiter=shown.delimiter,
        quoting=shown.quoting,
        notes=plan.notes + layout.notes,
    )
    task = replace(task, upload=upload, stamp=skip.stamp(VERSION, task.version.id, layout.meaning))
    with engine.connect() as conn:
        names = key_names(template)
        owner = upload.agency_id, upload.template
        index = skip.load_index(conn, *owner, task.stamp, names) if work.skipping else None
    try:
        return _run(engine, task, layout, index)
    except _StaleIndexError:
        return _run(engine, task, layout, None)


def _run(engine: Engine, task: _Task, layout: Layout, index: SkipIndex | None) -> Upload:
    with _staging(engine, layout) as stage:
        reading = _read_all(layout, stage) if index is None else _read_changes(layout, stage, index)
        stage.close()
        return _merge(stage.conn, task, stage, reading, index)


@contextmanager
def _staging(engine: Engine, layout: Layout) -> Iterator[Stage]:
    """A stage on a connection of its own, which is closed at the end: nothing is left behind, whatever happens."""
    rules = layout.rules
    with engine.connect() as conn:
        raw: Any = conn.connection.dbapi_connection
        conn.detach()
        try:
            yield Stage(conn, rules.template.filled, rules.zone, rules.template.match)
        finally:
            conn.close()
            raw.close()  # SQLAlchemy forgets a detached connection that was interrupted, and its lock would stay


# --- 4 recall, 5 read and check, 6 stage


def _read_all(layout: Layout, stage: Stage) -> _Reading:
    """Every row is read and staged."""
    names = key_names(layout.rules.template)
    tally = Tally(layout.records, names)
    for batch in layout.batches(layout.rows):
        tally.add(batch)
        stage.add(batch.said)
        stage.add_errors(batch.errors, batch.excluded)
    return _Reading(skip.nothing(names), layout.rows[:0], tally)


def _read_changes(layout: Layout, stage: Stage, index: SkipIndex) -> _Reading:
    """Rows that are new are read first, to learn which records are dirty; then all rows of those are staged."""
    rows = layout.rows
    recalled = skip.recall(index.known, layout.records.hash[rows])
    recalled = skip.read_again(index.known, recalled, layout.rules.today)
    same = recalled >= 0
    if same.sum() < skip.WORTHWHILE * len(rows):
        return _read_all(layout, stage)
    tally = Tally(layout.records, index.known.names)
    for batch in layout.batches(rows[~same]):
        tally.add(batch)
        stage.add_errors(batch.errors, batch.excluded)
    known = index.known.take(recalled[same])
    dirty = skip.find_dirty(index.known, recalled[same], tally.good)
    affected = ~same
    affected[same] = skip.touches(known, dirty)
    for batch in layout.batches(rows[affected]):
        stage.add(batch.said, dirty)
    return _Reading(known, rows[same], tally)


# --- 7 merge


def _merge(conn: Connection, task: _Task, stage: Stage, reading: _Reading, index: SkipIndex | None) -> Upload:
    """The one transaction in which the file takes effect."""
    upload, tally = task.upload, reading.tally
    fresh = tally.good
    left = tally.excluded + int((reading.known.mark < 0).sum())
    good = len(reading.known) + len(fresh) + tally.excluded - left
    used = good + left
    remembered = tally.remembered(reading.known, reading.places)
    with writing(conn, records_of(upload.agency_id)):
        arrival = _find_waiting(conn, upload.arrival_id)
        if arrival.state in SETTLED:
            return _recorded(conn, arrival)
        if index and skip.current_index(conn, upload.agency_id, upload.template) != index.upload_id:
            raise _StaleIndexError
        merged = merge_records(stage, upload.agency_id, upload.template, upload.id)
        upload = replace(
            upload,
            status=_status(used, tally),
            skipped=upload.rows - len(fresh) - tally.error_rows - left,
            excluded=left,
            error_rows=tally.error_rows,
            warning_rows=tally.warning_rows,
            counts=_counts(reading, fresh, merged, stage),
            error=_no_good_rows(tally) if not used else None,
        )
        if used:
            new = SkipIndex(upload.id, remembered)
            skip.save_index(conn, upload.agency_id, upload.template, task.stamp, new)
        if used and task.shape:
            keep_shape(conn, upload.agency_id, upload.template, task.shape, upload.started_at)
        upload = _record(conn, upload, _detail(upload))
        keep_errors(stage, upload.id)
        return upload


def _counts(reading: _Reading, fresh: Known, merged: Mapping[str, Merged], stage: Stage) -> dict[str, Counts]:
    """Payments only where the template knows of any."""
    kinds = [kind for kind in KINDS if kind != "payments" or stage.columns["payments"]]
    return count_records(reading.known, fresh, {k: (m.created, m.updated) for k, m in merged.items()}, kinds)


def _status(used: int, tally: Tally) -> str:
    if not used:
        return "failed"
    return "partially_processed" if tally.error_rows or tally.warning_rows else "processed"


def _no_good_rows(tally: Tally) -> IngestError:
    causes = ", ".join(f"{WORDS[code]} ({count:,})" for code, count in tally.codes.most_common(3))
    return IngestError(
        "no_good_rows",
        f"Not one row of the file could be taken: {causes}." if causes else "The file has no rows.",
        "Look at the first of them; the template may not fit the file."
        if causes
        else "Look at the export: it found nothing to send.",
    )


def _detail(upload: Upload) -> str:
    if upload.error:
        return upload.error.message
    bad = upload.error_rows + upload.warning_rows
    rows = f"{upload.rows:,} {'row' if upload.rows == 1 else 'rows'}"
    return f"{rows}, {bad:,} of them {'needs' if bad == 1 else 'need'} a look." if bad else f"{rows}."


def _close(engine: Engine, upload: Upload, detail: str) -> Upload:
    """Record an upload that changes no record."""
    with engine.connect() as conn, writing(conn, records_of(upload.agency_id)):
        arrival = _find_waiting(conn, upload.arrival_id)
        return _recorded(conn, arrival) if arrival.state in SETTLED else _record(conn, upload, detail)


def _record(conn: Connection, upload: Upload, detail: str) -> Upload:
    upload = replace(upload, finished_at=datetime.now(UTC))
    record_upload(conn, upload)
    settle(conn, upload.arrival_id, ArrivalState(upload.status), upload.id, upload.sha256, detail)
    return upload
