"""The job queue: a narrow port, and the adapter for one machine."""

from server.queue.local import LocalQueue
from server.queue.port import Job, JobQueue

__all__ = ["Job", "JobQueue", "LocalQueue"]
