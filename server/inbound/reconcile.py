"""Finds what a crash, or a database that was away, left undone, and has it done.

1. An upload whose process died is torn: it is made visible as partial.
2. A file in the spool without a row is registered; one that nobody takes, and whose sender was not told, gets a job.
3. An arrival that waits, and an upload whose answer was not delivered, get a job.
4. Half-made files of the spool and of the archive are swept out.

One file that is at fault, or that cannot be looked at, stays as it is and holds up no other.
"""

from dataclasses import dataclass
from itertools import islice

from ingest import inbox
from ingest.arrival import ArrivalState
from server.clock import now
from server.errors import AppError
from server.intake.entry import Entry
from server.intake.register import TASK, Registrar
from server.intake.spool import Manifest
from server.logs import Log, trace
from server.state import State

AT_ONCE = 256
REFUSED = (ArrivalState.UNMATCHED, ArrivalState.BLOCKED)


@dataclass(frozen=True)
class Reconciled:
    """How many things were found undone, by kind."""

    registered: int
    torn: int
    enqueued: int

    def __bool__(self) -> bool:
        return bool(self.registered or self.torn or self.enqueued)


class LeftAlone:
    """The torn uploads that nothing could be done about: the log is told of each once for each reason."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._told: set[tuple[str, str]] = set()

    def tell(self, entry: Entry, reason: str, **more: str) -> None:
        """This one stays as it is."""
        if (str(entry.id), reason) not in self._told:
            self._told.add((str(entry.id), reason))
            facts = {"arrival": entry.id, "agency": entry.agency, "path": entry.path, "reason": reason}
            self._log.error("torn upload left alone", **facts, **more)

    def tell_error(self, entry: Entry, error: Exception) -> None:
        """The same, because of that error."""
        told = error.strerror if isinstance(error, OSError) else None
        self.tell(entry, told or type(error).__name__, trace=trace(error))


def reconcile(state: State, registrar: Registrar, log: Log, left: LeftAlone | None = None) -> Reconciled:
    """Do all of the above once. Raises `AppError` unavailable when the database is away.

    Whoever does it again and again gives what was `left` alone before, which is not told anew.
    """
    found = Reconciled(
        torn=_record_torn(state, registrar, left or LeftAlone(log)),
        registered=_register_spooled(state, registrar, log),
        enqueued=_enqueue_waiting(state),
    )
    state.spool.sweep_rubbish()
    state.archive.sweep_rubbish()
    if found:
        log.info("reconciled", registered=found.registered, torn=found.torn, enqueued=found.enqueued)
    return found


def _register_spooled(state: State, registrar: Registrar, log: Log) -> int:
    count, pending = 0, state.spool.pending(now())
    while batch := list(islice(pending, AT_ONCE)):
        try:
            count += _register_batch(state, registrar, batch)
        except AppError:
            raise
        except Exception:  # one file is at fault, or some are: they must not keep all others from being registered
            count += sum(_register_alone(state, registrar, manifest, log) for manifest in batch)
    return count


def _register_batch(state: State, registrar: Registrar, batch: list[Manifest]) -> int:
    with state.database.reading() as conn:
        known = {arrival.id: arrival for arrival in inbox.find_arrivals(conn, [manifest.id for manifest in batch])}
    whole = {id_ for id_, arrival in known.items() if arrival.state != ArrivalState.PARTIAL}
    missing = [manifest for manifest in batch if manifest.id not in whole]
    chosen = [registrar.register(manifest) for manifest in missing if manifest.profile]
    plain = [manifest for manifest in missing if not manifest.profile]
    count = sum(arrival is not None for arrival in chosen) + len(registrar.register_all(plain) if plain else [])
    refused = sorted((id_, arrival.agency_id) for id_, arrival in known.items() if arrival.state in REFUSED)
    return count + (len(state.queue.enqueue_all(TASK, refused)) if refused else 0)


def _register_alone(state: State, registrar: Registrar, manifest: Manifest, log: Log) -> bool:
    try:
        return _register_one(state, registrar, manifest)
    except AppError:
        raise
    except Exception as error:
        log.error("spooled file not registered", arrival=manifest.id, trace=trace(error))
        return False


def _register_one(state: State, registrar: Registrar, manifest: Manifest) -> bool:
    with state.database.reading() as conn:
        arrival = inbox.find_arrival(conn, manifest.id)
    if arrival is None or arrival.state == ArrivalState.PARTIAL:
        return registrar.register(manifest) is not None
    if arrival.state in REFUSED:
        return state.queue.enqueue(TASK, arrival.id, lane=arrival.agency_id)
    return False


def _record_torn(state: State, registrar: Registrar, left: LeftAlone) -> int:
    count = 0
    homes = state.settings.agencies
    for entry in state.journal.torn(homes, lambda id_: _is_settled(state, id_), left.tell_error):
        try:
            count += _record_one(state, registrar, entry, left)
        except AppError:
            raise
        except Exception as error:
            left.tell_error(entry, error)
    return count


def _record_one(state: State, registrar: Registrar, entry: Entry, left: LeftAlone) -> bool:
    with state.database.reading() as conn:
        if inbox.find_arrival(conn, entry.id):
            return False
    if registrar.record_torn(entry):
        return True
    left.tell(entry, "its agency is not in this database")
    return False


def _is_settled(state: State, arrival_id: str) -> bool:
    with state.database.reading() as conn:
        arrival = inbox.find_arrival(conn, arrival_id)
    return arrival is not None and arrival.state != ArrivalState.PARTIAL


def _enqueue_waiting(state: State) -> int:
    with state.database.reading() as conn:
        waiting = inbox.list_arrivals(conn, state=ArrivalState.RECEIVED, limit=None)
        undone = {arrival.id: arrival.agency_id for arrival in waiting}
        undone |= {upload.arrival_id: upload.agency_id for upload in inbox.unanswered(conn)}
    return sum(state.queue.enqueue(TASK, arrival_id, lane=undone[arrival_id]) for arrival_id in sorted(undone))
