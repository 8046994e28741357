"""The journey of a file: bytes -> records -> cells -> checked rows -> staged records -> one transaction -> the answer.

    with a source of bytes that never changes and an arrival that waits:
     1  measure          size and SHA-256
     2  duplicate?       the same name and content for the same profile and template version as the last time, and
                         nothing has touched its records since; or (if the profile says so) the same name at all
     3  tell             how it is written; split it into records; find the template's columns in its header
     4  recall           which rows are as they were in this template's last file; which records are dirty
     5  read, check      the other rows, in chunks: cells, values, keys, row errors
     6  stage            what they say, in temporary tables; nobody is locked out yet
     7  merge            in ONE transaction: records, row errors, counts, skip index, upload, the arrival's last state

A snapshot (`template.Processing`) has every row read, and what it no longer names is withdrawn within step 7; if that
is too much, the transaction is rolled back, and the file waits for a person.

Whatever dies before the commit has changed nothing, and the run is simply done again; an arrival that is settled is
never processed twice. A file that cannot be used ends as a failed upload with a sentence, not as an exception.
"""

import hashlib
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, Engine

from ingest import drift, skip
from ingest.answer import RowError, Upload
from ingest.arrival import DONE, Arrival, ArrivalState, Profile
from ingest.check import Said, key_names, together
from ingest.databases import Rehearsal, backend_of, writing
from ingest.errors import ConfirmationNeeded, IngestError
from ingest.inbox.arrivals import enter, find_arrival, settle
from ingest.inbox.before import refuse_unlike_before
from ingest.inbox.confirmation import is_confirmed, overtake
from ingest.inbox.duplicates import find_duplicate, refuse_overtaken
from ingest.inbox.profiles import profile_by_id
from ingest.inbox.shapes import find_shape, keep_shape
from ingest.inbox.templates import find_template
from ingest.inbox.uploads import find_upload, record_upload, row_errors
from ingest.index import current_index, forget
from ingest.layout import Layout, lay_out
from ingest.mapping import filled_by
from ingest.merge import Snapshot, Stage, is_literal, judge, keep_errors, merge_records, unsaid
from ingest.parse.records import places
from ingest.record import records_of
from ingest.refusals import no_good_rows, refuse_large, refuse_many, refuse_part, rows_refused
from ingest.skip import SkipIndex
from ingest.tally import Tally
from ingest.task import Reading, Task, Work
from ingest.template import REPLACE_TEMPLATE, TemplateVersion, load_template
from ingest.verdict import counts_of, detail_of, notes_of, status_of

VERSION = "8"
"""Raised whenever the meaning of a row changes, so that no skip index of before is used."""


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
        if arrival.state in DONE:
            return _recorded(conn, arrival)
    upload = _begin(work, arrival)
    try:
        with engine.connect() as conn:
            task = _prepare(conn, work, arrival, upload)
            upload = task.upload
            earlier = find_duplicate(conn, arrival, task.profile, upload, task.template, work.zone)
            refuse_overtaken(conn, arrival, upload, task.template.processing)
        if earlier is not None and (duplicate := _close_duplicate(engine, task)):
            return duplicate
        return _process(engine, task)
    except ConfirmationNeeded as error:
        return _close(engine, replace(upload, status=ArrivalState.AWAITING.value, error=error), error.message)
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
    template, profile = load_template(version.text), Profile("", arrival.agency_id, "", version.name)
    upload = replace(_begin(work, arrival), template=version.name, template_version=version.version)
    upload = replace(upload, method=template.processing.method)
    task = Task(work, arrival, profile, version, template, upload)
    try:
        return _process(engine.execution_options(rehearsal=trial), task), errors
    except IngestError as error:
        return _failed(task.upload, error), errors


def _failed(upload: Upload, error: IngestError) -> Upload:
    """The upload of a file of which nothing is taken."""
    return replace(upload, status="failed", error=error, expected=error.expected, header=error.found or upload.header)


def _find_waiting(conn: Connection, arrival_id: str) -> Arrival:
    arrival = find_arrival(conn, arrival_id)
    if arrival is None:
        raise IngestError("not_found", f"There is no arrival {arrival_id}.")
    if arrival.state not in (ArrivalState.RECEIVED, *DONE):
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


def _prepare(conn: Connection, work: Work, arrival: Arrival, upload: Upload) -> Task:
    if upload.size > work.limits.file:
        raise IngestError("too_large", f"The file has more than {work.limits.file:,} bytes.", "Send it in parts.")
    profile = profile_by_id(conn, arrival.profile_id or "")
    if profile is None:
        raise IngestError("no_profile", "The profile of this file is gone.", "Add it again and send the file again.")
    version = find_template(conn, arrival.agency_id, profile.template, arrival.template_version)
    template = load_template(version.text)
    method = template.processing.method
    notes = (f"The original of the upload {arrival.replay_of} was run again.",) if arrival.replay_of else ()
    upload = replace(upload, template=version.name, template_version=version.version, method=method, notes=notes)
    return Task(work, arrival, profile, version, template, upload)


# --- 3 tell


def _process(engine: Engine, task: Task) -> Upload:
    work = task.work
    refuse_large(task.upload.size, task.template)
    with engine.connect() as conn:
        known = find_shape(conn, task.upload.agency_id, task.version.name)
    template = drift.spared(task.template, known, task.version.id)
    comparing = drift.comparing(known, template, work.limits)
    with comparing, lay_out(work.source, template, work.zone, work.region, work.limits) as layout:
        refuse_many(len(layout.rows), template)
        compared = drift.compare(known, layout, task.version.id, task.upload)
        layout, task = replace(layout, notes=layout.notes + compared.notes), replace(task, shape=compared.shape)
        today = work.now.astimezone(ZoneInfo(work.zone)).date()
        return _process_rows(engine, task, replace(layout, rules=replace(layout.rules, today=today)))


def _process_rows(engine: Engine, task: Task, layout: Layout) -> Upload:
    work, plan, shown = task.work, layout.rules.plan, layout.dialect.shown
    template = layout.rules.template
    upload = replace(
        task.upload,
        rows=len(layout.rows) + layout.blank,
        header=plan.header,
        delimiter=shown.delimiter,
        quoting=shown.quoting,
        notes=task.upload.notes + plan.notes + layout.notes,
    )
    task = replace(task, upload=upload, stamp=skip.stamp(VERSION, task.version.id, layout.meaning))
    refuse_part(plan.answered, template)
    with engine.connect() as conn:
        refuse_unlike_before(conn, task.arrival, upload, layout.rules)
        names = key_names(template)
        skipping = work.skipping and not (task.arrival.replay_of or template.processing.replaces)
        index = skip.load_index(conn, upload.agency_id, upload.template, task.stamp, names) if skipping else None
    try:
        return _run(engine, task, layout, index)
    except _StaleIndexError:
        return _run(engine, task, layout, None)


def _run(engine: Engine, task: Task, layout: Layout, index: SkipIndex | None) -> Upload:
    names = key_names(layout.rules.template)
    with _staging(engine, layout) as stage, closing(Tally(layout.records, names)) as tally:
        reading = _read_changes(layout, stage, tally, index) if index else _read_all(layout, stage, tally)
        stage.finish()
        if index is None:  # else the file may have to be read again
            layout.records.let_go()
        if layout.rules.template.all_or_nothing and tally.error_rows:
            return _refuse_rows(task, stage, tally)
        return _merge(stage.conn, task, stage, reading, index)


@contextmanager
def _staging(engine: Engine, layout: Layout) -> Iterator[Stage]:
    """A stage on a connection of its own, which is closed at the end: nothing is left behind, whatever happens."""
    rules = layout.rules
    with engine.connect() as conn:
        raw: Any = conn.connection.dbapi_connection
        conn.detach()
        try:
            with closing(Stage(conn, filled_by(rules.template, rules.plan), rules.zone, rules.template)) as stage:
                yield stage
        finally:
            backend_of(engine).end_stage(conn, raw)


# --- 4 recall, 5 read and check, 6 stage


def _read_all(layout: Layout, stage: Stage, tally: Tally) -> Reading:
    """Every row is read and staged."""
    for batch in layout.batches(layout.rows):
        tally.add(batch)
        stage.add(batch.said)
        stage.add_errors(batch.errors, batch.excluded)
        if batch.refused:
            stage.spare(batch.refused)
    return Reading(skip.nothing(key_names(layout.rules.template)), places(layout.rows[:0]), tally)


def _read_changes(layout: Layout, stage: Stage, tally: Tally, index: SkipIndex) -> Reading:
    """Rows that are new are read first, to learn which records are dirty; then all rows of those are staged. New ones
    are not read again for that, if they are one chunk."""
    rows = places(layout.rows)
    recalled = skip.read_again(index.known, skip.recall(index.known, layout.records.hash[rows]), layout.rules.today)
    same = recalled >= 0
    if same.sum() < skip.WORTHWHILE * len(rows):
        return _read_all(layout, stage, tally)
    said, few = list[Said](), layout.is_chunk(rows[~same])
    for batch in layout.batches(rows[~same]):
        tally.add(batch)
        stage.add_errors(batch.errors, batch.excluded)
        said += [batch.said] if few else []
    known = index.known.take(recalled[same])
    dirty = skip.find_dirty(index.known, recalled[same], tally.rows.known())
    affected = ~same
    affected[same] = skip.touches(known, dirty)
    if few and layout.is_chunk(rows[affected & same]):
        said += [batch.said for batch in layout.batches(rows[affected & same])]
        if said:
            stage.add(together(said), dirty)
    else:
        for batch in layout.batches(rows[affected]):
            stage.add(batch.said, dirty)
    return Reading(known, rows[same], tally)


# --- 7 merge


def _merge(conn: Connection, task: Task, stage: Stage, reading: Reading, index: SkipIndex | None) -> Upload:
    """The one transaction in which the file takes effect; or begins to wait for a person."""
    upload = task.upload
    try:
        with writing(conn, records_of(upload.agency_id)):
            return _take_effect(conn, task, stage, reading, index)
    except _HeldError as held:
        with writing(conn, records_of(upload.agency_id)):
            arrival = _find_waiting(conn, upload.arrival_id)
            if arrival.state in DONE:
                return _recorded(conn, arrival)
            upload = _record(conn, held.upload, detail_of(held.upload))
            keep_errors(stage, upload.id)
            return upload


class _HeldError(Exception):
    """What was merged must not be committed: `upload` tells what it would have done, and why."""

    def __init__(self, upload: Upload) -> None:
        self.upload = upload


def _take_effect(conn: Connection, task: Task, stage: Stage, reading: Reading, index: SkipIndex | None) -> Upload:
    """In the transaction."""
    upload, tally = task.upload, reading.tally
    processing = task.template.processing
    # That a snapshot has no rows may be true; the guard sees to it that nobody loses all by it unasked.
    used = reading.good + reading.left > 0 or (processing.replaces and not tally.error_rows)
    arrival = _find_waiting(conn, upload.arrival_id)
    if arrival.state in DONE:
        return _recorded(conn, arrival)
    if index and current_index(conn, upload.agency_id, upload.template) != index.upload_id:
        raise _StaleIndexError
    snapshot = _snapshot(task, stage) if used else None
    outcome = merge_records(stage, upload.agency_id, upload.template, upload.id, snapshot)
    upload = replace(
        upload,
        status=status_of(used, tally),
        skipped=upload.rows - tally.good - tally.error_rows - reading.left,
        excluded=reading.left,
        error_rows=tally.error_rows,
        warning_rows=tally.warning_rows,
        counts=counts_of(reading.known, tally.rows, outcome, stage, upload.id),
        error=no_good_rows(tally.codes) if not used else None,
        notes=upload.notes + notes_of(outcome, stage, upload.id, tally),
    )
    doubt = judge(outcome.withdrawn, processing.guard, empty=not reading.good) if outcome.withdrawn else None
    if doubt and not is_confirmed(conn, arrival, doubt.code, upload.counts):
        raise _HeldError(replace(upload, status=ArrivalState.AWAITING.value, error=doubt))
    if processing.replaces:
        forget(conn, upload.agency_id, [upload.template])
    elif used:
        remembered = tally.remembered(reading.known, reading.places)
        skip.save_index(conn, upload.agency_id, upload.template, task.stamp, upload.id, remembered, index)
    if used and task.shape and arrival.template_version is None:  # an old version says nothing of the next file
        keep_shape(conn, upload.agency_id, upload.template, task.shape, upload.started_at)
    upload = _record(conn, upload, detail_of(upload))
    keep_errors(stage, upload.id)
    if used and processing.replaces:
        overtake(conn, upload, arrival, processing)
    return upload


def _refuse_rows(task: Task, stage: Stage, tally: Tally) -> Upload:
    """Record a file that changes nothing since not all of its rows are good, and what is wrong with them."""
    error = rows_refused(tally.error_rows, task.upload.rows)
    upload = replace(
        task.upload, status="failed", error_rows=tally.error_rows, warning_rows=tally.warning_rows, error=error
    )
    with writing(stage.conn, records_of(upload.agency_id)):
        arrival = _find_waiting(stage.conn, upload.arrival_id)
        if arrival.state in DONE:
            return _recorded(stage.conn, arrival)
        upload = _record(stage.conn, upload, error.message)
        keep_errors(stage, upload.id, nothing_taken=True)
        return upload


def _snapshot(task: Task, stage: Stage) -> Snapshot | None:
    """What the merge must know of a file that replaces."""
    work, template = task.work, task.template
    if not template.processing.replaces:
        return None
    today = work.now.astimezone(ZoneInfo(work.zone)).date()
    own_alone = template.processing.method == REPLACE_TEMPLATE
    legible = not stage.unread or (stage.is_searchable and is_literal(template))
    return Snapshot(own_alone, work.now, today, legible, unsaid(template, stage.told))


def _close_duplicate(engine: Engine, task: Task) -> Upload | None:
    """Record a duplicate; None if it is none any more, because the earlier file was undone meanwhile."""
    upload, processing = replace(task.upload, status="duplicate"), task.template.processing
    with engine.connect() as conn, writing(conn, records_of(upload.agency_id)):
        arrival = _find_waiting(conn, upload.arrival_id)
        if arrival.state in DONE:
            return _recorded(conn, arrival)
        earlier = find_duplicate(conn, arrival, task.profile, upload, task.template, task.work.zone)
        if earlier and earlier.holds and processing.replaces:  # it says what is: nothing older is to be confirmed
            overtake(conn, upload, arrival, processing)
        return _record(conn, replace(upload, notes=(earlier.told,)), earlier.told) if earlier else None


def _close(engine: Engine, upload: Upload, detail: str) -> Upload:
    """Record an upload that changes no record."""
    with engine.connect() as conn, writing(conn, records_of(upload.agency_id)):
        arrival = _find_waiting(conn, upload.arrival_id)
        return _recorded(conn, arrival) if arrival.state in DONE else _record(conn, upload, detail)


def _record(conn: Connection, upload: Upload, detail: str) -> Upload:
    upload = replace(upload, finished_at=datetime.now(UTC))
    upload = record_upload(conn, upload)
    settle(conn, upload.arrival_id, ArrivalState(upload.status), upload.id, upload.sha256, detail)
    return upload
