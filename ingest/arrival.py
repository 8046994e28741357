"""A file that came: what registration is given, what it becomes, and the profile that says how it is read."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class ArrivalState(StrEnum):
    """Where an arrival stands. `received` waits for a worker, `awaiting_confirmation` for a person; those that have
    ended never change again."""

    PARTIAL = "partial"
    RECEIVED = "received"
    AWAITING = "awaiting_confirmation"
    UNMATCHED = "unmatched"
    BLOCKED = "blocked"
    DUPLICATE = "duplicate"
    PROCESSED = "processed"
    PARTIALLY_PROCESSED = "partially_processed"
    FAILED = "failed"
    REMOVED = "removed"
    UNDONE = "undone"


SUCCEEDED = (ArrivalState.PROCESSED, ArrivalState.PARTIALLY_PROCESSED)
SETTLED = (*SUCCEEDED, ArrivalState.DUPLICATE, ArrivalState.FAILED, ArrivalState.UNDONE)
DONE = (*SETTLED, ArrivalState.AWAITING)
"""Those that have an upload and wait for no worker."""


@dataclass(frozen=True)
class Received:
    """What registration is given: a file, whole or torn. `path` is as the agency sees it (`/upload/x.txt`)."""

    id: str
    agency_id: str
    path: str
    size: int
    source: str
    session: str | None
    received_at: datetime

    @property
    def name(self) -> str:
        """The file's own name."""
        return self.path.rsplit("/", 1)[-1]

    @property
    def directory(self) -> str:
        """The folder it lies in, without a slash at the end (`/` for the top)."""
        return self.path.rsplit("/", 1)[0] or "/"


@dataclass(frozen=True)
class Arrival:
    """A file that came, and its state; `detail` says why the state is so. `source` is sftp, sweep, cli,
    sync or replay.

    A replay is the archived original of the upload `replay_of`, perhaps for another `template_version` than the newest.
    `confirmed` holds the codes, with spaces between, of what a person has let pass (`errors.ConfirmationNeeded`).
    """

    id: str
    agency_id: str
    path: str
    name: str
    size: int
    sha256: str | None
    source: str
    state: ArrivalState
    profile_id: str | None
    session: str | None
    received_at: datetime
    upload_id: str | None
    detail: str
    replay_of: str | None = None
    template_version: int | None = None
    confirmed: str = ""


@dataclass(frozen=True)
class Profile:
    """Which template reads the files of one directory, and what is done there on each cycle.

    `server_id` names the server of the directory; None: our own endpoint. `keyword` must fit, `blockword` must not fit
    the file's name (`ingest.inbox.rules`). `skip_same_name` refuses a name that was processed before, even with new
    content. `auto_sync` is the master switch: off, nothing is taken. `delete_after` removes a file where it came from
    once it was processed with success. `cycle` says when a server is looked at, and a report is delivered, `expected`
    when a file is to have come: both as `server.schedule.cycle` reads them, in the agency's zone. Of several files, the
    cycle takes those first that `order` says, one of `ORDERS`.

    `report` is the report that each cycle delivers to `report_directory`, in `report_format` csv, txt or xlsx; with
    `skip_past_reports` not what was delivered there before.
    """

    id: str
    agency_id: str
    name: str
    template: str
    directory: str = "/upload"
    keyword: str | None = None
    blockword: str | None = None
    skip_same_name: bool = False
    server_id: str | None = None
    auto_sync: bool = True
    delete_after: bool = False
    cycle: str = "hourly"
    order: str = "oldest"
    expected: str | None = None
    report: str | None = None
    report_directory: str | None = None
    report_format: str = "csv"
    skip_past_reports: bool = True

    def __post_init__(self) -> None:
        # Here, so that a row of an earlier version is compared in the same form as a new one.
        object.__setattr__(self, "directory", plain_directory(self.directory))
        if self.report_directory:
            object.__setattr__(self, "report_directory", plain_directory(self.report_directory))


def plain_directory(directory: str) -> str:
    """The one spelling of a directory: no slash at its end or twice, no `.` in it; `..` and relative ones stay."""
    if not directory.startswith("/"):
        return directory
    return "/" + "/".join(part for part in directory.split("/") if part not in ("", "."))


ORDERS = ("oldest", "newest", "name", "name-descending")
"""By modification time, or by name."""
REPORT_FORMATS = ("csv", "txt", "xlsx")
