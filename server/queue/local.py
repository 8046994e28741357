"""The job queue: a table in the database.

Adding and claiming happen under one lock, so two workers never get the same job, nor two jobs of one lane. A claim
waits for nobody who holds a job's row just then (SKIP LOCKED; on SQLite there is nobody). Finished jobs are deleted;
what happened is kept by those who did the work.
"""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    Column,
    ColumnElement,
    FromClause,
    Index,
    Integer,
    String,
    Table,
    UniqueConstraint,
    and_,
    delete,
    exists,
    insert,
    or_,
    select,
    update,
)
from sqlalchemy.exc import IntegrityError

from ingest.databases import insert_missing
from server.clock import new_id, now
from server.db import JOBS, Database
from server.db.metadata import Instant, metadata
from server.queue.port import Job

FARTHEST = 3600.0
"""Seconds: no job is put off or held for longer, so what lies further ahead is of a clock that has been set back."""

jobs = Table(
    "jobs",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("task", String(32), nullable=False),
    Column("subject", String(36), nullable=False),
    Column("lane", String(36), nullable=False),
    Column("state", String(8), nullable=False),
    Column("due_at", Instant, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("deaths", Integer, nullable=False, server_default="0"),
    Column("worker", String(64)),
    Column("lease_until", Instant),
    Column("reason", String(500), nullable=False),
    UniqueConstraint("task", "subject"),
    Index(None, "state", "due_at"),
    Index(None, "lane", "id"),
)


class LocalQueue:
    """`JobQueue` on a table; `clock` can be set by tests."""

    def __init__(self, database: Database, clock: Callable[[], datetime] = now) -> None:
        self._database = database
        self._clock = clock

    def enqueue(self, task: str, subject: str, lane: str = "", delay: float = 0) -> bool:
        """See `JobQueue.enqueue`."""
        row = _new(task, subject, lane, self._clock() + timedelta(seconds=delay), _job_id(subject, new_id()))
        known = select(jobs.c.id).where(jobs.c.task == task, jobs.c.subject == subject)
        with self._database.reading() as conn:  # asking again and again costs no write lock
            if conn.execute(known).first() is not None:
                return False
        try:
            with self._database.writing(JOBS) as conn:
                conn.execute(insert(jobs).values(row))
        except IntegrityError:
            return False
        return True

    def enqueue_all(self, task: str, subjects: Sequence[tuple[str, str]]) -> list[str]:
        """See `JobQueue.enqueue_all`."""
        wanted, due = dict(subjects), self._clock()
        query = select(jobs.c.subject).where(jobs.c.task == task, jobs.c.subject.in_(list(wanted)))
        with self._database.reading() as conn:
            known = set(conn.execute(query).scalars())
        ids = sorted(new_id() for _ in wanted)  # of one millisecond, they would be in no order
        named = [(subject, _job_id(subject, id_)) for subject, id_ in zip(wanted, ids, strict=True)]
        added = [_new(task, subject, wanted[subject], due, id_) for subject, id_ in named if subject not in known]
        if added:
            with self._database.writing(JOBS) as conn:
                insert_missing(conn, jobs, added)
        return [str(row["subject"]) for row in added]

    def claim(self, worker: str, lease: float, subject: str | None = None) -> Job | None:
        """See `JobQueue.claim`."""
        at = self._clock()
        due = or_(
            and_(jobs.c.state == "queued", or_(jobs.c.due_at <= at, jobs.c.due_at > _farthest(at))),
            and_(jobs.c.state == "running", ~_is_held(at)),
        )
        wanted = and_(due, _first_in_lane(at))
        if subject is not None:
            wanted = and_(wanted, jobs.c.subject == subject)
        oldest = select(jobs.c.id).where(wanted).order_by(jobs.c.due_at, jobs.c.id).limit(1)
        with self._database.reading() as conn:  # looking costs no write lock, and mostly there is nothing
            if conn.execute(oldest).first() is None:
                return None
        taken = {"state": "running", "worker": worker, "lease_until": at + timedelta(seconds=lease)}
        counted = {"attempts": jobs.c.attempts + 1, "deaths": jobs.c.deaths + (jobs.c.state == "running").cast(Integer)}
        free = oldest.with_for_update(skip_locked=True, of=jobs)
        statement = update(jobs).where(jobs.c.id == free.scalar_subquery())
        with self._database.writing(JOBS) as conn:
            row = conn.execute(statement.values(**taken, **counted).returning(*_JOB)).one_or_none()
        return _job(row) if row else None

    def extend(self, job: Job, lease: float) -> bool:
        """See `JobQueue.extend`."""
        return self._set(job, lease_until=self._clock() + timedelta(seconds=lease))

    def finish(self, job: Job) -> None:
        """See `JobQueue.finish`."""
        with self._database.writing(JOBS) as conn:
            conn.execute(delete(jobs).where(*_mine(job)))

    def retry(self, job: Job, delay: float, reason: str, lane: str | None = None) -> None:
        """See `JobQueue.retry`."""
        due, moved = self._clock() + timedelta(seconds=delay), {} if lane is None else {"lane": lane}
        self._set(job, **_given_back(due, reason), **moved)

    def bury(self, job: Job, reason: str) -> None:
        """See `JobQueue.bury`."""
        self._set(job, state="dead", worker=None, lease_until=None, reason=reason[:500])

    def release(self, worker: str, died: bool = True) -> int:
        """See `JobQueue.release`."""
        held = and_(jobs.c.worker == worker, jobs.c.state == "running")
        given: dict[str, Any] = {"state": "queued", "worker": None, "lease_until": None}
        if died:
            given |= {"due_at": self._clock(), "deaths": jobs.c.deaths + 1}
        with self._database.writing(JOBS) as conn:
            return conn.execute(update(jobs).where(held).values(given)).rowcount

    def revive(self, subject: str) -> bool:
        """See `JobQueue.revive`."""
        parked = and_(jobs.c.subject == subject, jobs.c.state == "dead")
        with self._database.writing(JOBS) as conn:
            queued = update(jobs).where(parked).values(**_given_back(self._clock(), ""), attempts=0)
            return conn.execute(queued).rowcount > 0

    def dead(self) -> list[tuple[Job, str]]:
        """See `JobQueue.dead`."""
        return self._told(jobs.c.state == "dead")

    def struggling(self, attempts: int) -> list[tuple[Job, str]]:
        """See `JobQueue.struggling`."""
        return self._told(jobs.c.state != "dead", jobs.c.attempts > attempts)

    def _told(self, *wanted: ColumnElement[bool]) -> list[tuple[Job, str]]:
        with self._database.reading() as conn:
            return [(_job(row), row.reason) for row in conn.execute(select(*_JOB).where(*wanted).order_by(jobs.c.id))]

    def _set(self, job: Job, **values: Any) -> bool:
        with self._database.writing(JOBS) as conn:
            return conn.execute(update(jobs).where(*_mine(job)).values(**values)).rowcount == 1


def _new(task: str, subject: str, lane: str, due: datetime, id_: str) -> dict[str, object]:
    asked = {"id": id_, "task": task, "subject": subject, "lane": lane, "due_at": due}
    return {**asked, "state": "queued", "attempts": 0, "reason": ""}


def _given_back(due: datetime, reason: str) -> dict[str, Any]:
    """A job that nobody holds, and of which nobody has died."""
    return {"state": "queued", "due_at": due, "worker": None, "lease_until": None, "deaths": 0, "reason": reason[:500]}


def _mine(job: Job) -> tuple[ColumnElement[bool], ...]:
    """Still this run of the job: each claim counts the attempts up."""
    return jobs.c.id == job.id, jobs.c.attempts == job.attempts, jobs.c.state == "running"


def _job_id(subject: str, id_: str) -> str:
    """An id that sorts by when the subject came (see `ingest.record.new_id`), and only then by when the job did."""
    return f"{subject[:13]}-{id_.replace('-', '')[:22]}"


def _first_in_lane(at: datetime) -> ColumnElement[bool]:
    """Nothing of the lane came before it, and nothing that came later is being worked on."""
    before, running = jobs.alias("before"), jobs.alias("running")
    ahead = and_(before.c.lane == jobs.c.lane, before.c.id < jobs.c.id, before.c.state != "dead")
    taken = select(running.c.lane).where(running.c.state == "running", _is_held(at, running))
    return or_(jobs.c.lane == "", and_(~exists().where(ahead), jobs.c.lane.not_in(taken)))


def _is_held(at: datetime, table: FromClause = jobs) -> ColumnElement[bool]:
    """Whether the lease of a running job holds."""
    return table.c.lease_until.between(at, _farthest(at))


def _farthest(at: datetime) -> datetime:
    return at + timedelta(seconds=FARTHEST)


_JOB = (jobs.c.id, jobs.c.task, jobs.c.subject, jobs.c.attempts, jobs.c.lane, jobs.c.deaths, jobs.c.reason)


def _job(row: Any) -> Job:
    return Job(row.id, row.task, row.subject, row.attempts, row.lane, row.deaths)
