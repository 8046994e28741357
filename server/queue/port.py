"""What the program asks of a job queue, whatever engine is behind it.

A job is a task's name and the id of what it works on, nothing more: everything else is read when it runs. A job may
run more than once (a worker can die at any moment), so whoever works must be idempotent; it never runs twice at the
same time. Jobs of one lane run one after another in the order in which their subjects came (an id begins with the time;
of one millisecond: in which they were added), also when one was added late, or has to wait and be tried again:
yesterday's file must not be processed after today's. A parked job holds up nobody.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class Job:
    """One thing to do: `task` names what, `subject` is the id it is done to, `attempts` counts this run too.

    `deaths` is how many workers have died over it, one after the other; "" is the `lane` of a job that has none.
    """

    id: str
    task: str
    subject: str
    attempts: int
    lane: str
    deaths: int


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

    def retry(self, job: Job, delay: float, reason: str, lane: str | None = None) -> None:
        """Give the job back, to be run after `delay`; `reason` is a code or sentence for the operator.

        With a `lane` it changes to that one, with "" it leaves its own: then nobody waits for it any more.
        """

    def bury(self, job: Job, reason: str) -> None:
        """Park the job where an operator sees it; it does not run again by itself."""

    def release(self, worker: str, died: bool = True) -> int:
        """Give back all jobs that `worker` held: its earlier process is known to be dead. Answers how many.

        Jobs that are due already go first: if it has died of one, it may again. If it has not `died` but lost its hold
        on them, that counts as no death.
        """

    def revive(self, subject: str) -> bool:
        """Queue a parked job again, with its attempts forgotten; False if there is none."""

    def dead(self) -> list[tuple[Job, str]]:
        """The parked jobs with their reasons, oldest first."""

    def struggling(self, attempts: int) -> list[tuple[Job, str]]:
        """Those that are not parked but were begun more than so many times, with the last reason, oldest first."""
