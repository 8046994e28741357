"""What runs: `serve` on one machine, from the first check to the last process that stops; and each role by itself.

    supervisor   holds the data directory, the listening sockets and the other processes
    worker       arrivals through the engine into the database, answers back       (--workers of them)
    scheduler    what nobody announced: reconciliation, sweeps, watching the homes;
                 and what goes by the clock: files from other servers, reports, exports                       (one)
    sftp         the door: sessions of the agencies, files into the spool          (--sftp-processes of them)

They start together, because each can wait for the others, and stop in the order in which a file travels: no new
sessions, running uploads end; then the scheduler looks no more and the worker finishes its file; the database closes.
"""

import asyncio
import errno
import gc
import json
import os
import select
import signal
import socket
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import uvloop

from keys.store import ensure_host_keys
from server.clock import new_id, now
from server.errors import AppError, Code
from server.inbound.rounds import Rounds
from server.intake.register import Registrar
from server.intake.usage import ask_for_recount
from server.loading import loading
from server.logs import Log, open_log
from server.outbound.exports.rounds import ExportRounds
from server.parts import Parts, leave
from server.services.banner import load_banner
from server.services.standby import Known
from server.settings import Settings, environment
from server.state import State, bring_up_to_date, hold_data, open_stores
from server.supervisor import Role, Supervisor, tell_ready
from server.sync.delivery import deliver_from
from server.sync.reach import reach_place
from server.sync.rounds import SyncRounds
from server.sync.syncer import Syncer

BACKLOG = 512
TURN = 0.0005  # seconds that a thread may keep others of its process from going on (Python: 0.005)
YOUNG = 10_000  # new objects until garbage is looked for: a megabyte or so
SLACK = 30.0  # seconds a process may take to stop beyond the grace of running uploads
GRACE = 10.0  # seconds; what is cut off then is gone on with later
AWAY = 2.0  # seconds between two looks for a database that is away
BEHIND = 5  # how much the worker steps back (nice(2)): what comes in comes before what is in


@dataclass(frozen=True)
class Child:
    """What the supervisor gives to a child: descriptors to say ready on and to be told by, its socket, its number."""

    ready_fd: int | None = None
    lifeline_fd: int | None = None
    socket_fd: int | None = None
    number: int = 0


def serve(settings: Settings) -> None:
    """Run everything until SIGTERM or SIGINT; returns when all has stopped. Raises `AppError` if it cannot start."""
    log = open_log(settings.log_level)
    load_banner(settings.banner)  # what the door would only find out when all others have begun
    with hold_data(settings.data):
        with open_stores(settings) as state:
            _begin(state, log)
        doors = listen(settings.sftp_host, settings.sftp_port, settings.sftp_processes)
        uvloop.run(_supervise(settings, log, doors))


async def _supervise(settings: Settings, log: Log, doors: Sequence[socket.socket]) -> None:
    asked = _stop_signals()
    supervisor = Supervisor(log, environment(settings), settings.drain + SLACK)
    try:
        await asyncio.gather(*(supervisor.start(role) for role in _roles(settings, doors)))
        port = doors[0].getsockname()[1]
        with _announced(settings.data, port):
            log.info("dropslot is ready", sftp_host=settings.sftp_host, sftp_port=port, data=str(settings.data))
            await asked.wait()
        log.info("dropslot is stopping", grace=settings.drain)
    finally:
        for door in doors:
            door.close()
        await supervisor.stop("sftp")
        await asyncio.gather(supervisor.stop("scheduler"), supervisor.stop("worker"))
        log.info("dropslot has stopped")


def _roles(settings: Settings, doors: Sequence[socket.socket]) -> Iterator[Role]:
    for number in range(settings.workers):
        yield Role("worker", ["serve", "--role", "worker", "--number", str(number)])
    yield Role("scheduler", ["serve", "--role", "scheduler"])
    recount = partial(ask_for_recount, settings.run)  # nobody has counted out what its uploads took
    for door in doors:
        yield Role("sftp", ["serve", "--role", "sftp", "--socket-fd", str(door.fileno())], door, recount)


def run_sftp(settings: Settings, child: Child) -> None:
    """The door: until SIGTERM or the end of the supervisor, then drain."""
    log = open_log(settings.log_level)
    sys.setswitchinterval(TURN)
    with open_stores(settings) as state:
        host_keys, known = _begin(state, log)
        uvloop.run(_open_door(state, log, child, host_keys, known))
    leave(log)


async def _open_door(state: State, log: Log, child: Child, host_keys: list[bytes], known: Known | None) -> None:
    from server.gatekeeper import Gatekeeper  # asyncssh and all ciphers: the other roles do without
    from server.sftp import Door

    settings = state.settings
    asked = _stop_signals(child.lifeline_fd)
    registrar = Registrar(state.database, state.queue, log)
    gate = Gatekeeper(state, log, known)
    door = Door(settings, gate, registrar, state.spool, state.journal, host_keys, log)
    if child.socket_fd is None:
        sock = listen(settings.sftp_host, settings.sftp_port, 1)[0]
    else:
        sock = socket.socket(fileno=child.socket_fd)
    await door.start(sock)
    _settle_memory()
    tell_ready(child.ready_fd)
    await asked.wait()
    await door.drain(settings.drain)
    await gate.finish()


def _settle_memory() -> None:
    """What is there now stays: it need not be looked at for garbage again and again, between two requests."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG)


def run_worker(settings: Settings, child: Child) -> None:
    """A worker: until SIGTERM or the end of the supervisor, then finish the file at hand."""
    with loading():
        from server.worker import work  # the engine costs seconds and 100 MB to import: the other roles do without

    log = open_log(settings.log_level)
    stopping = _stop_event(child.lifeline_fd)
    with open_stores(settings) as state:
        if _await_database(state, log, child, stopping):
            os.nice(BEHIND)
            work(state, log, _worker_name(child), stopping)


def _worker_name(child: Child) -> str:
    """The supervisor's workers keep their name over restarts; one that was started by hand is somebody new.

    Of a long host name the end is taken, which tells machines apart: the queue keeps 64 characters.
    """
    number = f"{child.number}" if child.lifeline_fd is not None else f"pid-{os.getpid()}"
    return f"{socket.gethostname()[-40:]}-worker-{number}"


def run_scheduler(settings: Settings, child: Child) -> None:
    """The scheduler: until SIGTERM, the end of the supervisor, or that of one of its threads.

    Ends the process with status 1 if a thread died, so that it is started again; and at once if one hangs.
    """
    log = open_log(settings.log_level)
    stopping = _stop_event(child.lifeline_fd)
    with open_stores(settings) as state:
        if not _await_database(state, log, child, stopping):
            return
        parts = Parts(log, stopping)
        rounds = Rounds(state, log)
        parts.start("sync", lambda: _sync(state, log, stopping))
        parts.start("exports", lambda: ExportRounds(state, log).walk(stopping))
        try:
            rounds.walk(stopping)
        finally:
            stopping.set()
            parts.join(GRACE)
    parts.leave()


def _sync(state: State, log: Log, stopping: threading.Event) -> None:
    """Files from other servers: until `stopping` is set."""
    syncer = Syncer(state, log, reach_place(state, log), deliver_from(state))
    SyncRounds(state, log, syncer).walk(stopping)


def _begin(state: State, log: Log) -> tuple[list[bytes], Known | None]:
    """Bring the database up to date; the host keys. While it is away: those, and who may come in, of the past day.

    Raises `AppError` unavailable if nothing is known.
    """
    try:
        bring_up_to_date(state)
        return load_host_keys(state), None
    except AppError as error:
        known = state.standby.recall() if error.code is Code.UNAVAILABLE else None
        if known is None:
            raise
        log.warning("started without the database", reason=error.message, known_at=known.trusted.at.isoformat())
        return list(known.host_keys), known


def _await_database(state: State, log: Log, child: Child, stopping: threading.Event) -> bool:
    """Bring the database up to date, and say that we are ready; False if `stopping` was set before.

    One of the supervisor's processes waits for a database that is away, as the door does not.
    """
    waiting = False
    while not stopping.is_set():
        try:
            bring_up_to_date(state)
        except AppError as error:
            if error.code is not Code.UNAVAILABLE or child.lifeline_fd is None:
                raise
            if not waiting:
                log.warning("waiting for the database", reason=error.message)
                tell_ready(child.ready_fd)
            waiting = True
            stopping.wait(AWAY)
        else:
            if not waiting:
                tell_ready(child.ready_fd)
            return True
    return False


def load_host_keys(state: State) -> list[bytes]:
    """The private host keys in OpenSSH's format, made on the first start."""
    with state.database.writing() as conn:
        return [key.private.reveal() for key in ensure_host_keys(conn, state.cipher(), now(), new_id)]


def listen(host: str, port: int, count: int) -> list[socket.socket]:
    """`count` listening sockets on one port (0: the system chooses). Raises `AppError` if the port cannot be had.

    They share the port by SO_REUSEPORT. That would also let a second dropslot join in unnoticed, so the port is first
    bound without it.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with _bound(family, host, port, shared=False) as probe:
            probe.listen(1)
            port = probe.getsockname()[1]
        sockets = [_bound(family, host, port, shared=count > 1) for _ in range(count)]
        for sock in sockets:
            sock.listen(BACKLOG)
    except OSError as error:
        raise AppError(
            Code.UNAVAILABLE,
            f"The SFTP door cannot listen on {host} port {port} ({(error.strerror or str(error)).lower()}).",
            _cure(error),
        ) from error
    return sockets


def _cure(error: OSError) -> str:
    if isinstance(error, socket.gaierror) or error.errno == errno.EADDRNOTAVAIL:
        return "Name an address of this machine with --sftp-host (ip address shows them)."
    if error.errno == errno.EACCES:
        return "Ports below 1024 are root's; choose another one with --sftp-port."
    return "Stop what listens there (ss -ltnp shows it), or choose another port with --sftp-port."


def _bound(family: int, host: str, port: int, shared: bool) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if shared:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    try:
        sock.bind((host, port))
    except BaseException:
        sock.close()
        raise
    return sock


@contextmanager
def _announced(data: Path, port: int) -> Iterator[None]:
    """`run/serve.json` says, while the server is ready, under which pid and port."""
    path = data / "run" / "serve.json"
    beside = path.with_suffix(".tmp")
    beside.write_text(json.dumps({"pid": os.getpid(), "sftp_port": port}))
    beside.rename(path)
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


def _stop_signals(lifeline_fd: int | None = None) -> asyncio.Event:
    """Set by SIGTERM, SIGINT, or the end of the supervisor."""
    asked, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, asked.set)
    if lifeline_fd is not None:

        def ended() -> None:
            loop.remove_reader(lifeline_fd)
            asked.set()

        loop.add_reader(lifeline_fd, ended)
    return asked


def _stop_event(lifeline_fd: int | None = None) -> threading.Event:
    """The same for a process without an event loop.

    A handler runs in the main thread, which may hold the lock of the event at that moment: it would wait for itself. So
    the interpreter writes each signal into a pipe, and a thread that waits for that, and for the lifeline, sets it.
    """
    asked = threading.Event()
    heard, told = os.pipe()
    os.set_blocking(told, False)
    signal.set_wakeup_fd(told, warn_on_full_buffer=False)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    # Not plain reads: a sibling's event loop may have made the shared lifeline non-blocking.
    ends = select.poll()
    for descriptor in (heard, lifeline_fd):
        if descriptor is not None:
            ends.register(descriptor, select.POLLIN)

    def watch() -> None:
        ends.poll()
        asked.set()

    threading.Thread(target=watch, name="lifeline", daemon=True).start()
    return asked
