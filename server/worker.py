"""The worker: takes one job after the other and carries a registered arrival through the engine to its answer.

Each step can be done again: the engine settles an arrival in one transaction and answers with the recorded upload when
it is asked once more, receipts have the upload's id in their name, the archive is named by content. So a worker that
is killed at any moment loses nothing and doubles nothing: the job runs again.
"""

import errno
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from ingest import inbox
from ingest.answer import Upload
from ingest.arrival import Arrival, ArrivalState
from ingest.engine import ingest
from ingest.errors import IngestError
from ingest.limits import Limits
from ingest.task import Work
from server import agencies
from server.agencies import Agency
from server.clock import new_id, now
from server.db import translated
from server.errors import AppError, Code
from server.intake.register import Registrar
from server.logs import Log, trace
from server.queue import Job
from server.receipts import drop_notice, drop_receipt
from server.state import State

LEASE = 60.0
ATTEMPTS = 5
FIRST_WAIT = 2.0
LONGEST_WAIT = 120.0
LOOK_EVERY = 0.1
PASSING = (Code.UNAVAILABLE, Code.CONFLICT)  # a full disk, an agency's file in the place of its receipts: they pass
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)
STUCK = "The file is safe here but could not be processed. The operators of this server see it and will run it again."


def work(state: State, log: Log, name: str, stopping: threading.Event) -> None:
    """Run jobs until `stopping` is set; the job at hand is finished first.

    `name` must be one worker's alone, over its restarts: what it held when it died, or when the database went away, is
    given back at once.
    """
    holding, died = True, True
    while not stopping.is_set():
        try:
            if holding:
                state.queue.release(name, died)
                holding, died = False, False
            busy = work_once(state, log, name)
        except AppError as error:  # the database is away: nothing is lost, look again later
            log.error("worker waits", code=error.code, reason=error.message)
            holding = True
            busy = stopping.wait(FIRST_WAIT)
        if not busy:
            stopping.wait(LOOK_EVERY)


def work_once(state: State, log: Log, name: str, subject: str | None = None) -> bool:
    """Run the oldest due job (or the one for `subject`); False if there is none."""
    job = state.queue.claim(name, LEASE, subject)
    if job is None:
        return False
    if job.deaths >= ATTEMPTS:
        _park(state, log, job, Code.INTERNAL, f"{job.deaths} workers died over it")
        return True
    with _held(state, log, job):
        try:
            if _stands_back(state, log, job):
                return True
            settle(state, log, job.subject, alone=job.deaths == ATTEMPTS - 1)
        except AppError as error:
            _put_off(state, log, job, error.code, error.message)
        except Exception as error:
            log.error("job failed", task=job.task, arrival=job.subject, trace=trace(error))
            _put_off(state, log, job, Code.INTERNAL, type(error).__name__)
        else:
            state.queue.finish(job)
    return True


def _stands_back(state: State, log: Log, job: Job) -> bool:
    """Give the job back if files of its agency go first: of some that came before, there are no jobs yet, or its own
    had left the lane, as only an answer was due, and a person has had the file run again since."""
    arrival = _waiting(state, job.subject)
    if arrival is None:
        return False
    queue_older = Registrar(state.database, state.queue, log).queue_older
    if job.lane and not queue_older(state.spool, arrival):
        return False
    state.queue.retry(job, 0, "files that came before it go first", lane=arrival.agency_id)
    return True


def _waiting(state: State, arrival_id: str) -> Arrival | None:
    """The arrival if it has not been processed yet."""
    with state.database.reading() as conn:
        arrival = inbox.find_arrival(conn, arrival_id)
    return arrival if arrival and arrival.state == ArrivalState.RECEIVED else None


def settle(state: State, log: Log, arrival_id: str, alone: bool = False) -> None:
    """Carry one arrival to its end: ingest, answer, archive. Raises `AppError` unavailable if it must wait.

    What its template wants to be taken before it goes first, of the files that wait as well; nobody else works on
    those, since they are of one lane. But not if it goes `alone`, since workers may have died over one of those.
    """
    for earlier in [] if alone else _earlier(state, arrival_id):
        try:
            _settle_one(state, log, earlier)
        except AppError as error:
            if error.code in PASSING:
                raise
            log.error("file passed over", arrival=earlier, code=error.code)
        except Exception as error:
            # Its own job is tried again, and parked if need be; a parked job holds up nobody.
            log.error("file passed over", arrival=earlier, trace=trace(error))
    _settle_one(state, log, arrival_id)


def _earlier(state: State, arrival_id: str) -> list[str]:
    with state.database.reading() as conn:
        arrival = inbox.find_arrival(conn, arrival_id)
        if arrival is None or arrival.state != ArrivalState.RECEIVED:
            return []
        try:
            before = inbox.taken_before(conn, arrival)
        except IngestError:  # there is no such template: each of the files is told so
            return []
    parked = {job.subject for job, _ in state.queue.dead()} if before else set()
    return [id_ for id_ in before if id_ not in parked]


def _settle_one(state: State, log: Log, arrival_id: str) -> None:
    try:
        _carry_on(state, log, arrival_id)
    except OSError as error:
        if error.errno not in FULL:
            raise
        raise AppError(
            Code.UNAVAILABLE, f"The disk takes nothing ({error.strerror}).", "Free some space; it is tried again."
        ) from error


def _carry_on(state: State, log: Log, arrival_id: str) -> None:
    with state.database.reading() as conn:
        arrival = inbox.find_arrival(conn, arrival_id)
        if arrival is None:  # its job outlived it
            return
        agency = agencies.agency_by_id(conn, arrival.agency_id)
    if arrival.state in (ArrivalState.PARTIAL, ArrivalState.REMOVED):
        return
    if arrival.state in (ArrivalState.UNMATCHED, ArrivalState.BLOCKED):
        drop_notice(state.settings.home(agency.slug), arrival, now())
        _keep_unused(state, arrival)
        return
    _answer(state, log, agency, _ingest(state, log, agency, arrival))


def _ingest(state: State, log: Log, agency: Agency, arrival: Arrival) -> Upload:
    source = state.spool.data_path(arrival.id)
    if not source.exists() and arrival.sha256:  # it was kept before it was matched
        source = state.archive.path(arrival.sha256)
    began = time.monotonic()
    with translated():
        upload = ingest(state.database.engine, _work(state, agency, arrival.id, source))
    log.info(
        "file ingested",
        agency=agency.slug,
        arrival=arrival.id,
        upload=upload.id,
        status=upload.status,
        rows=upload.rows,
        errors=upload.error_rows,
        seconds=round(time.monotonic() - began, 3),
    )
    return upload


def _work(state: State, agency: Agency, arrival_id: str, source: Path) -> Work:
    return Work(
        upload_id=new_id(),
        arrival_id=arrival_id,
        source=source,
        zone=agency.timezone,
        region=state.settings.region,
        now=now(),
        limits=Limits(file=state.settings.file_limit),
    )


def _answer(state: State, log: Log, agency: Agency, upload: Upload) -> None:
    """Deliver the receipt, and those of earlier uploads of the same file that have become other ones.

    One that becomes another while its receipt is written, by a person's word, is answered once more.
    """
    while waiting := _unanswered(state, upload.arrival_id):
        for each in waiting:
            with state.database.reading() as conn:
                moved = inbox.moved_hearings(conn, each.id)
                errors, home = inbox.each_row_error(conn, each.id), state.settings.home(agency.slug)
                drop_receipt(home, each, errors, moved, agency.timezone)
            _keep(state, log, each)
            with state.database.writing() as conn:
                inbox.mark_answered(conn, each, now())


def _unanswered(state: State, arrival_id: str) -> list[Upload]:
    with state.database.reading() as conn:
        return inbox.unanswered(conn, arrival_id)


def _keep(state: State, log: Log, upload: Upload) -> None:
    """Move the original from the spool to the archive. Done before, it is done."""
    if state.archive.keep(state.spool.data_path(upload.arrival_id), upload.sha256) is None:
        log.error("original not kept, somebody has written over it", arrival=upload.arrival_id, upload=upload.id)
    state.spool.remove(upload.arrival_id)


def _keep_unused(state: State, arrival: Arrival) -> None:
    """The same where there is no upload: the arrival alone tells by what name the original is found in the archive, so
    that is noted before the spool lets go of it."""
    kept = state.archive.keep(state.spool.data_path(arrival.id), arrival.sha256)
    if kept:
        with state.database.writing() as conn:
            inbox.note_content(conn, arrival.id, kept)
    state.spool.remove(arrival.id)


@contextmanager
def _held(state: State, log: Log, job: Job) -> Iterator[None]:
    """Keep the lease of a job alive while it runs."""
    done = threading.Event()

    def beat() -> None:
        while not done.wait(LEASE / 3):
            try:
                state.queue.extend(job, LEASE)
            except AppError as error:
                log.warning("lease not extended", arrival=job.subject, code=error.code)

    heart = threading.Thread(target=beat, name="lease", daemon=True)
    heart.start()
    try:
        yield
    finally:
        done.set()
        heart.join()


def _put_off(state: State, log: Log, job: Job, code: Code, reason: str) -> None:
    """Try again with growing pauses; after the last try park the job, and tell the agency that its file is stuck.

    Where only the answer is due, the job leaves its lane: the agency's further files do not wait for that.
    """
    if code in PASSING or job.attempts < ATTEMPTS:
        wait = min(FIRST_WAIT * 2 ** min(job.attempts, 8), LONGEST_WAIT)
        log.warning("job put off", task=job.task, arrival=job.subject, code=code, wait=wait)
        lane = None if _waiting(state, job.subject) else ""
        state.queue.retry(job, wait, f"{code}: {reason}", lane)
        return
    _park(state, log, job, code, reason)


def _park(state: State, log: Log, job: Job, code: Code, reason: str) -> None:
    log.error("job parked", task=job.task, arrival=job.subject, code=code)
    _say_stuck(state, log, job.subject)
    state.queue.bury(job, f"{code}: {reason}")


def _say_stuck(state: State, log: Log, arrival_id: str) -> None:
    arrival = _waiting(state, arrival_id)
    if arrival is None:  # it was taken, or it was told that it is not; all that is missing is that answer
        return
    with state.database.reading() as conn:
        agency = agencies.agency_by_id(conn, arrival.agency_id)
    try:
        drop_notice(state.settings.home(agency.slug), replace(arrival, detail=STUCK), now())
    except AppError as error:
        log.error("notice not dropped", arrival=arrival_id, code=error.code, reason=error.message)
