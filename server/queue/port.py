"""What the program asks of a job queue, whatever engine is behind it.

A job is a task's name and the id of what it works on, nothing more: everything else is read when it runs. A job may
run more than once (a worker can die at any moment), so whoever works must be idempotent; it never runs twice at the
same time. Jobs of one lane run one after another in the order they were added, also when one of them has to wait and
be tried again: yesterday's file must not be processed after today's. A parked job holds up nobody.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class Job:
    """One thing to do: `task` names what, `subject` is the id it is done to, `attempts` counts this run too."""

    id: str
    task: str
    subject: str
    attempts: int


class JobQueue(Protocol):
    """Durable jobs with a lease; all durations in seconds.

    Whoever lost a job to another worker (its lease ran out) can no longer finish, put off or park it: those calls then
    do nothing.
    """

    def enqueue(self, task: str, subject: str, lane: str = "", delay: float = 0) -> bool:
        """Add a job that may run after `delay`; False if that task is queued, running or dead for that subject.

        Jobs without a lane wait for no other.
        """

    def enqueue_all(self, task: str, subjects: Sequence[tuple[str, str]]) -> list[str]:
        """As `enqueue`, for many pairs of subject and lane, in their order; the subjects of the jobs it added."""

    def claim(self, worker: str, lease: float, subject: str | None = None) -> Job | None:
        """Take the oldest job that is due (or the one for `subject`) for `lease`; None if there is none.

        A job whose lease ran out is due again. A worker that has died does not hold a job for longer than that.
        """

    def extend(self, job: Job, lease: float) -> bool:
        """Hold the job for `lease` from now; False if it was lost to another worker meanwhile."""

    def finish(self, job: Job) -> None:
        """The job is done; its subject may be enqueued anew."""

    def retry(self, job: Job, delay: float, reason: str) -> None:
        """Give the job back, to be run after `delay`; `reason` is a code or sentence for the operator."""

    def bury(self, job: Job, reason: str) -> None:
        """Park the job where an operator sees it; it does not run again by itself."""

    def release(self, worker: str) -> int:
        """Give back all jobs that `worker` held: its earlier process is known to be dead. Answers how many."""

    def revive(self, subject: str) -> bool:
        """Queue a parked job again, with its attempts forgotten; False if there is none."""

    def dead(self) -> list[tuple[Job, str]]:
        """The parked jobs with their reasons, oldest first."""
