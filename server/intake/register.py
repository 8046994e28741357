"""Registering: from a file in the spool to a row in the database and a job in the queue.

Idempotent on the file's id, so it may be tried by the door, again by the scheduler, and again after any crash.
"""

from ingest import inbox
from ingest.arrival import Arrival, Profile, Received
from server.agencies import look_up
from server.db import Database
from server.errors import AppError
from server.intake.entry import Entry
from server.intake.spool import Manifest
from server.intake.taken import take
from server.logs import Log
from server.queue import JobQueue

TASK = "ingest"


class Registrar:
    """The door's `Intake`: what it is told never raises for a database that is away; the scheduler tells it again."""

    def __init__(self, database: Database, queue: JobQueue, log: Log) -> None:
        self._database = database
        self._queue = queue
        self._log = log

    def received(self, manifest: Manifest) -> None:
        """A whole file is in the spool."""
        try:
            self.register(manifest)
        except AppError as error:
            self._log.warning("registration put off", arrival=manifest.id, code=error.code, reason=error.message)

    def torn(self, entry: Entry) -> None:
        """An upload was torn; its file waits for its sender."""
        try:
            self.record_torn(entry)
        except AppError as error:
            self._log.warning("registration put off", arrival=entry.id, code=error.code, reason=error.message)

    def removed(self, entry: Entry) -> None:
        """The sender deleted a file that was torn."""
        try:
            with self._database.writing() as conn:
                inbox.mark_removed(conn, entry.id)
        except AppError as error:
            self._log.warning("registration put off", arrival=entry.id, code=error.code, reason=error.message)

    def renamed(self, agency: str, old: str, new: str) -> None:
        """The sender renamed a file, or a folder: what nobody took by its old name may have a taker now."""
        try:
            with self._database.writing() as conn:
                owner = look_up(conn, agency)
                moved = inbox.rename_refused(conn, owner.id, old, new) if owner else []
            for arrival in moved:
                self._queue.enqueue(TASK, arrival.id, lane=arrival.agency_id)
        except AppError as error:
            self._log.warning("rename not told", agency=agency, code=error.code, reason=error.message)

    def register(self, manifest: Manifest, chosen: Profile | None = None) -> Arrival | None:
        """Register a spooled file and queue its job; None if its agency is not known here.

        Raises `AppError` unavailable when the database is away.
        """
        with self._database.writing() as conn:
            agency = look_up(conn, manifest.agency)
            if agency is None:
                self._log.error("spooled file of an unknown agency", arrival=manifest.id, agency=manifest.agency)
                return None
            arrival = inbox.register(conn, _received(agency.id, manifest), chosen)
            if manifest.footprint:
                take(conn, agency.id, manifest.footprint, manifest.id)
        if arrival.upload_id is None and self._queue.enqueue(TASK, arrival.id, lane=agency.id):
            self._log.info(
                "file registered", agency=agency.slug, arrival=arrival.id, path=arrival.path, state=arrival.state
            )
        return arrival

    def record_torn(self, entry: Entry) -> None:
        """Make a torn upload visible. Raises `AppError` unavailable."""
        with self._database.writing() as conn:
            agency = look_up(conn, entry.agency)
            if agency is not None:
                inbox.record_partial(conn, _torn(agency.id, entry), entry.reason)


def _received(agency_id: str, manifest: Manifest) -> Received:
    return Received(
        id=manifest.id,
        agency_id=agency_id,
        path=manifest.path,
        size=manifest.size,
        source=manifest.source,
        session=manifest.session,
        received_at=manifest.closed_at,
    )


def _torn(agency_id: str, entry: Entry) -> Received:
    return Received(
        id=entry.id,
        agency_id=agency_id,
        path=entry.path,
        size=entry.size,
        source="sftp",
        session=entry.session,
        received_at=entry.opened_at,
    )
