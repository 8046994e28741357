"""Registering: from a file in the spool to a row in the database and a job in the queue.

Idempotent on the file's id, so it may be tried by the door, again by the scheduler, and again after any crash.
"""

from collections.abc import Iterator, Mapping, Sequence

from ingest import inbox
from ingest.arrival import Arrival, ArrivalState, Profile, Received
from server.agencies import agency_by_id, look_up
from server.clock import now
from server.db import Database
from server.errors import AppError
from server.intake.entry import Entry
from server.intake.spool import Manifest, Spool
from server.intake.taken import Footprint, find_renamed, take, take_all
from server.logs import Log
from server.queue import JobQueue

TASK = "ingest"
AT_ONCE = 256


class Registrar:
    """The door's `Intake`: what it is told never raises for a database that is away; the scheduler tells it again."""

    def __init__(self, database: Database, queue: JobQueue, log: Log) -> None:
        self._database = database
        self._queue = queue
        self._log = log
        self._unknown: set[str] = set()

    def received(self, manifests: Sequence[Manifest]) -> None:
        """Whole files are in the spool."""
        try:
            self.register_all(manifests)
        except AppError as error:
            ids = [manifest.id for manifest in manifests]
            self._log.warning("registration put off", arrivals=ids, code=error.code, reason=error.message)
        except Exception:
            # One of them is at fault (or we are): it must not keep the others from being registered.
            for manifest in manifests:
                self._register_alone(manifest)

    def _register_alone(self, manifest: Manifest) -> None:
        try:
            self.register(manifest)
        except AppError as error:
            self._log.warning("registration put off", arrival=manifest.id, code=error.code, reason=error.message)
        except Exception:
            self._log.exception("ERROR", operation="register", arrival=manifest.id)

    def torn(self, entry: Entry) -> None:
        """An upload was torn; its file waits for its sender."""
        try:
            self.record_torn(entry)
        except AppError as error:
            self._log.warning("registration put off", arrival=entry.id, code=error.code, reason=error.message)

    def removed(self, entry: Entry) -> None:
        """The sender deleted or replaced a file that was torn."""
        try:
            with self._database.writing() as conn:
                inbox.mark_removed(conn, entry.id)
        except AppError as error:
            self._log.warning("registration put off", arrival=entry.id, code=error.code, reason=error.message)

    def renamed(self, agency: str, files: Mapping[str, Footprint]) -> None:
        """Files have other names: what nobody took by its old name may have a taker now. The sweep tells it again."""
        try:
            with self._database.writing() as conn:
                owner = look_up(conn, agency)
                moved = inbox.rename_refused(conn, find_renamed(conn, owner.id, files)) if owner else []
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
                self._tell_unknown(manifest.agency, [manifest])
                return None
            if chosen is None and manifest.profile:
                chosen = inbox.profile_by_id(conn, manifest.profile)
            arrival = inbox.register(conn, _received(agency.id, manifest), chosen)
            if manifest.footprint:
                take(conn, agency.id, manifest.footprint, manifest.id)
        if arrival.upload_id is None and self._queue.enqueue(TASK, arrival.id, lane=agency.id):
            self._log.info(
                "file registered", agency=agency.slug, arrival=arrival.id, path=arrival.path, state=arrival.state
            )
        return arrival

    def register_all(self, manifests: Sequence[Manifest]) -> list[Arrival]:
        """As `register`, for several files in one transaction, or none of them; those of unknown agencies left out.

        Their jobs come in the order of the files.
        """
        arrivals: list[Arrival] = []
        with self._database.writing() as conn:
            for slug, group in _by_agency(manifests).items():
                if agency := look_up(conn, slug):
                    arrivals += inbox.register_all(conn, [_received(agency.id, manifest) for manifest in group])
                    known = {manifest.id: manifest.footprint for manifest in group if manifest.footprint}
                    take_all(conn, agency.id, known)
                else:
                    self._tell_unknown(slug, group)
        waiting = {arrival.id: arrival for arrival in arrivals if arrival.upload_id is None}
        for id_ in self._queue.enqueue_all(TASK, [(id_, waiting[id_].agency_id) for id_ in waiting]):
            self._log.info("file registered", arrival=id_, path=waiting[id_].path, state=waiting[id_].state)
        return arrivals

    def _tell_unknown(self, slug: str, manifests: Sequence[Manifest]) -> None:
        """Each file once: they lie there until an operator has done something."""
        for manifest in manifests:
            if manifest.id not in self._unknown:
                self._unknown.add(manifest.id)
                self._log.error("spooled file of an unknown agency", arrival=manifest.id, agency=slug)

    def queue_older(self, spool: Spool, arrival: Arrival) -> bool:
        """See that all files of the agency that came before this one are registered and have their jobs.

        The door may not have told of one yet, or could not, since the database was away. False if there was nothing to
        do. Raises `AppError` unavailable.
        """
        late = list(self._unregistered(spool, arrival))
        for manifest in late:
            self._register_alone(manifest)
        with self._database.reading() as conn:
            older = inbox.waiting_before(conn, arrival)
        if older and self._queue.enqueue_all(TASK, [(id_, arrival.agency_id) for id_ in older]):
            return True
        return any(manifest.id in older for manifest in late)

    def _unregistered(self, spool: Spool, arrival: Arrival) -> Iterator[Manifest]:
        older = spool.ids_before(arrival.id)
        for start in range(0, len(older), AT_ONCE):
            ids = older[start : start + AT_ONCE]
            with self._database.reading() as conn:
                agency = agency_by_id(conn, arrival.agency_id)
                known = {one.id for one in inbox.find_arrivals(conn, ids) if one.state != ArrivalState.PARTIAL}
            found = (spool.find(id_) for id_ in ids if id_ not in known)
            yield from (one for one in found if one and one.agency == agency.slug and one.not_before <= now())

    def record_torn(self, entry: Entry) -> bool:
        """Make a torn upload visible; False if its agency is not known here. Raises `AppError` unavailable."""
        with self._database.writing() as conn:
            agency = look_up(conn, entry.agency)
            if agency is not None:
                inbox.record_partial(conn, _torn(agency.id, entry), entry.reason)
        return agency is not None


def _by_agency(manifests: Sequence[Manifest]) -> dict[str, list[Manifest]]:
    """The manifests by the slug of their agency, each file once."""
    agencies: dict[str, list[Manifest]] = {}
    for manifest in {manifest.id: manifest for manifest in manifests}.values():
        agencies.setdefault(manifest.agency, []).append(manifest)
    return agencies


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
