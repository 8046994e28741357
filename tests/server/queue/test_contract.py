"""What every adapter of the job queue must do; each is run through the same tests."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from server.clock import new_id
from server.db import Database, open_database
from server.db.metadata import metadata
from server.queue import JobQueue, LocalQueue


@dataclass
class Clock:
    """A clock that tests can move."""

    at: datetime = field(default_factory=lambda: datetime(2026, 3, 16, 6, tzinfo=UTC))

    def __call__(self) -> datetime:
        return self.at

    def pass_(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)


@pytest.fixture
def database(database_at: Callable[[Path], str], tmp_path: Path) -> Iterator[Database]:
    database = open_database(database_at(tmp_path))
    metadata.create_all(database.engine)
    yield database
    database.close()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def queue(database: Database, clock: Clock) -> JobQueue:
    return LocalQueue(database, clock)


def test_jobs_are_claimed_in_the_order_they_came(queue: JobQueue, clock: Clock) -> None:
    for subject in ("first", "second", "third"):
        queue.enqueue("ingest", subject)
        clock.pass_(1)
    claimed = [queue.claim("a", 60) for _ in range(4)]
    assert [job and job.subject for job in claimed] == ["first", "second", "third", None]


def test_a_job_of_a_clock_that_was_set_back_runs(queue: JobQueue, clock: Clock) -> None:
    clock.pass_(365 * 86400)
    queue.enqueue("ingest", "of next year")
    clock.pass_(-365 * 86400)
    queue.enqueue("ingest", "put off", delay=120)
    job = queue.claim("a", 60)
    assert job
    assert job.subject == "of next year"
    assert queue.claim("a", 60) is None


def test_a_subject_is_queued_once(queue: JobQueue) -> None:
    assert queue.enqueue("ingest", "x")
    assert not queue.enqueue("ingest", "x")
    job = queue.claim("a", 60)
    assert job is not None
    assert not queue.enqueue("ingest", "x"), "not while it runs either"
    queue.finish(job)
    assert queue.enqueue("ingest", "x"), "but anew once it is done"


def test_a_delayed_job_waits(queue: JobQueue, clock: Clock) -> None:
    queue.enqueue("ingest", "x", delay=10)
    assert queue.claim("a", 60) is None
    clock.pass_(10)
    assert queue.claim("a", 60) is not None


def test_a_job_for_one_subject_can_be_claimed(queue: JobQueue) -> None:
    queue.enqueue("ingest", "x")
    queue.enqueue("ingest", "y")
    job = queue.claim("a", 60, "y")
    assert job is not None
    assert job.subject == "y"
    assert queue.claim("a", 60, "y") is None


def test_a_lease_that_ran_out_frees_the_job(queue: JobQueue, clock: Clock) -> None:
    queue.enqueue("ingest", "x")
    first = queue.claim("a", 60)
    assert first is not None
    assert queue.claim("b", 60) is None
    clock.pass_(61)
    second = queue.claim("b", 60)
    assert second is not None
    assert second.attempts == 2
    assert not queue.extend(first, 60), "it is b's now"
    assert queue.extend(second, 60)
    queue.finish(first)
    queue.retry(first, 0, "late")
    assert queue.claim("c", 60) is None, "who lost it can neither finish it nor give it back"
    queue.finish(second)
    assert queue.enqueue("ingest", "x")


def test_a_lease_that_is_extended_holds(queue: JobQueue, clock: Clock) -> None:
    queue.enqueue("ingest", "x")
    job = queue.claim("a", 60)
    assert job is not None
    for _ in range(5):
        clock.pass_(50)
        assert queue.extend(job, 60)
    assert queue.claim("b", 60) is None


def test_a_job_given_back_waits_and_counts_its_attempts(queue: JobQueue, clock: Clock) -> None:
    queue.enqueue("ingest", "x")
    job = queue.claim("a", 60)
    assert job is not None
    queue.retry(job, 30, "unavailable")
    assert queue.claim("a", 60) is None
    clock.pass_(30)
    again = queue.claim("a", 60)
    assert again is not None
    assert again.attempts == 2


def test_jobs_of_one_lane_run_one_after_another(queue: JobQueue, clock: Clock) -> None:
    for subject, lane in (("x1", "x"), ("x2", "x"), ("y1", "y"), ("free", "")):
        queue.enqueue("ingest", subject, lane=lane)
        clock.pass_(1)
    first = queue.claim("a", 60)
    assert first is not None
    assert [job and job.subject for job in (first, *(queue.claim("b", 60) for _ in range(3)))] == [
        "x1",
        "y1",
        "free",
        None,
    ]
    queue.retry(first, 30, "unavailable")
    assert queue.claim("b", 60) is None, "the one behind does not overtake it"
    assert queue.claim("b", 60, "x2") is None
    clock.pass_(30)
    again = queue.claim("b", 60)
    assert again is not None
    assert again.subject == "x1"
    queue.bury(again, "internal")
    behind = queue.claim("b", 60)
    assert behind is not None
    assert behind.subject == "x2", "a parked job holds up nobody"


def test_a_lane_is_in_the_order_in_which_its_subjects_came(queue: JobQueue, clock: Clock) -> None:
    old, new, newest = (new_id(clock() + timedelta(seconds=number)) for number in range(3))
    queue.enqueue("ingest", newest, lane="x")
    queue.enqueue("ingest", new, lane="x")
    clock.pass_(1)
    assert queue.enqueue_all("ingest", [(old, "x")]) == [old]
    for subject in (old, new, newest):
        job = queue.claim("a", 60)
        assert job
        assert job.subject == subject
        queue.finish(job)


def test_what_came_before_waits_while_a_later_one_runs(queue: JobQueue, clock: Clock) -> None:
    old, new = new_id(clock()), new_id(clock() + timedelta(seconds=1))
    queue.enqueue("ingest", new, lane="x")
    running = queue.claim("a", 60)
    assert running
    queue.enqueue("ingest", old, lane="x")
    assert queue.claim("b", 60) is None, "never two of a lane"
    clock.pass_(61)
    first = queue.claim("b", 60)
    assert first
    assert first.subject == old
    assert queue.claim("c", 60) is None


def test_a_lease_of_a_clock_that_was_set_back_holds_up_nobody(queue: JobQueue, clock: Clock) -> None:
    clock.pass_(30 * 86400)
    queue.enqueue("ingest", "x1", lane="x")
    assert queue.claim("of a machine that is gone", 60)
    clock.pass_(-30 * 86400)
    queue.enqueue("ingest", "x2", lane="x")
    job = queue.claim("a", 60)
    assert job
    assert job.subject == "x1"
    queue.finish(job)
    assert queue.claim("a", 60), "and the next one"


def test_a_parked_job_is_seen_and_can_be_revived(queue: JobQueue, clock: Clock) -> None:
    queue.enqueue("ingest", "x")
    job = queue.claim("a", 60)
    assert job is not None
    queue.bury(job, "internal: KeyError")
    clock.pass_(3600)
    assert queue.claim("a", 60) is None
    assert not queue.enqueue("ingest", "x"), "a parked job is not queued behind the operator's back"
    assert [(dead.subject, reason) for dead, reason in queue.dead()] == [("x", "internal: KeyError")]
    assert queue.revive("x")
    revived = queue.claim("a", 60)
    assert revived is not None
    assert revived.attempts == 1
    assert not queue.revive("nothing")


def test_what_a_dead_worker_held_is_released(queue: JobQueue) -> None:
    queue.enqueue("ingest", "x")
    queue.enqueue("ingest", "y")
    queue.claim("a", 60)
    queue.claim("b", 60)
    assert queue.release("a") == 1
    job = queue.claim("c", 60)
    assert job is not None
    assert job.subject == "x"


def test_deaths_over_a_job_are_counted_until_it_is_given_back(queue: JobQueue, clock: Clock) -> None:
    queue.enqueue("ingest", "x")
    for deaths in range(3):
        job = queue.claim("a", 60)
        assert job
        assert job.deaths == deaths
        queue.release("a")
    assert queue.claim("a", 60)
    clock.pass_(61)
    job = queue.claim("b", 60)
    assert job
    assert job.deaths == 4, "whoever holds it no more counts as dead"
    queue.release("b", died=False)
    job = queue.claim("b", 60)
    assert job
    assert job.deaths == 4
    queue.retry(job, 0, "unavailable")
    job = queue.claim("b", 60)
    assert job
    assert job.deaths == 0


def test_a_job_over_which_a_worker_died_lets_those_go_first_that_are_due(queue: JobQueue, clock: Clock) -> None:
    queue.enqueue("ingest", "x", lane="x")
    clock.pass_(1)
    queue.enqueue("ingest", "y", lane="y")
    assert queue.claim("a", 60)
    clock.pass_(1)
    queue.release("a")
    assert [job and job.subject for job in (queue.claim("a", 60), queue.claim("a", 60))] == ["y", "x"]


def test_many_workers_take_each_job_once_and_one_of_a_lane_at_a_time(database: Database) -> None:
    queue = LocalQueue(database)
    subjects = [f"{lane}{number:02}" for number in range(12) for lane in "abc"]
    for subject in subjects:
        queue.enqueue("ingest", subject, lane=subject[0])
    done: list[str] = []
    running: list[str] = []
    overlaps: list[str] = []
    guard = threading.Lock()

    def work(name: str) -> None:
        until = time.monotonic() + 60
        while len(done) < len(subjects) and time.monotonic() < until:
            job = queue.claim(name, 60)
            if job is None:
                time.sleep(0.002)
                continue
            with guard:
                overlaps.extend(other for other in running if other == job.subject[0])
                running.append(job.subject[0])
            time.sleep(0.002)
            with guard:
                running.remove(job.subject[0])
                done.append(job.subject)
            queue.finish(job)

    threads = [threading.Thread(target=work, args=(f"worker-{i}",)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(done) == sorted(subjects)
    assert overlaps == []
    for lane in "abc":
        assert [subject for subject in done if subject[0] == lane] == [f"{lane}{number:02}" for number in range(12)]


WORKER = """
import sys, time
from server.db import open_database
from server.queue import LocalQueue
queue = LocalQueue(open_database(sys.argv[1]))
with open(sys.argv[2], "a") as done:
    while True:
        job = queue.claim(sys.argv[3], 0.5)
        if job is None:
            time.sleep(0.01)
            continue
        done.write(job.subject + "\\n")
        done.flush()
        queue.finish(job)
"""


def test_workers_that_are_killed_lose_no_job(database: Database, tmp_path: Path) -> None:
    queue, url = LocalQueue(database), str(database.engine.url)
    subjects = {f"subject-{number:03}" for number in range(120)}
    for subject in sorted(subjects):
        queue.enqueue("ingest", subject)
    done = tmp_path / "done"
    done.touch()
    for round_ in range(3):
        command = [sys.executable, "-c", WORKER, url, str(done)]
        workers = [subprocess.Popen([*command, f"{name}-{round_}"]) for name in "ab"]
        if round_ < 2:
            _wait_until(lambda so_far=len(done.read_text().split()): len(done.read_text().split()) >= so_far + 20)
        else:
            _wait_until(lambda: set(done.read_text().split()) == subjects)
        for worker in workers:
            os.kill(worker.pid, signal.SIGKILL)
            worker.wait()
    finished = done.read_text().split()
    assert set(finished) == subjects
    assert len(finished) <= len(subjects) + 6, "only a job that was at hand at a kill may run again"


def _wait_until(condition: object, seconds: float = 60) -> None:
    until = time.monotonic() + seconds
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < until, "it took too long"
        time.sleep(0.02)
