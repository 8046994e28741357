"""The door: listens, lets sessions in, and closes in good order."""

import asyncio
import logging
import resource
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import asyncssh

from server.errors import AppError, Code
from server.intake.journal import Journal
from server.intake.spool import Spool
from server.logs import Log
from server.settings import Policy, Settings
from server.sftp.algorithms import load_host_keys, offer
from server.sftp.announcer import Announcer
from server.sftp.desk import Desk
from server.sftp.entrance import Entrance, Porter
from server.sftp.gate import Gate, Intake
from server.sftp.guard import Guard
from server.sftp.hotpath.buffers import Buffers
from server.sftp.hotpath.connection import HotConnection
from server.sftp.hotpath.selftest import find_misfit
from server.sftp.line import Line
from server.sftp.reception import Reception
from server.sftp.selftest import self_test
from server.sftp.session import Connection
from server.sftp.slots import Slots

# Not an imitation of another product's: WinSCP and others switch workarounds on by the name they read here.
BANNER = "dropslot"
THREADS = 16
BACKLOG = 512
KEEPALIVES_MISSED = 3
REKEY_BYTES = 4 * 1024 * 1024 * 1024
STOPPING = "The server is restarting. Connect again in a minute."
LULL = 1.0
ADMISSIONS_EVERY = 1.5
ADMISSIONS_ANYWAY = 60.0  # a key also expires, of which nothing is written anywhere
LAST_WORDS = 5.0


class Door:
    """The SFTP door of one process.

    `host_keys` are private keys as `Gate.host_keys` gives them. Raises `AppError` if asyncssh is not the version this
    was made for, or a host key cannot be read.
    """

    def __init__(
        self,
        settings: Settings,
        gate: Gate,
        intake: Intake,
        spool: Spool,
        journal: Journal,
        host_keys: list[bytes],
        log: Log,
    ) -> None:
        self_test()
        self._settings = settings
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="sftp")
        self._announcer = Announcer(intake, spool, log)
        self._reception = Reception(journal, spool, settings.settle, settings.quiet_time)
        self._guard, self._slots = Guard(settings, log), Slots(settings.run / "slots")
        self._desk = Desk(settings, gate, self._reception, self._announcer, self._pool, self._guard, self._slots, log)
        self._connections: set[Connection] = set()
        self._watch: asyncio.Task[None] | None = None
        self._server: asyncio.Server | None = None
        self._quiet = _Repetitions()
        self._host_keys = host_keys
        self._host_pairs = _read_host_keys(host_keys, settings.policy)

    @property
    def port(self) -> int:
        """The port it listens on; 0 if it does not."""
        return int(self._server.sockets[0].getsockname()[1]) if self._server and self._server.sockets else 0

    @property
    def strangers(self) -> int:
        """How many connections of this process there are that have not logged in (yet)."""
        return self._desk.strangers

    async def start(self, sock: socket.socket) -> None:
        """Listen on `sock`, which is bound."""
        logging.getLogger("asyncio").addFilter(self._quiet)
        _allow_many_files()
        loop = asyncio.get_running_loop()
        self._live = await self._options()
        hot = await self._may_be_hot()
        buffers = Buffers()
        porter = Porter(self._guard, self._settings.login_grace, self._desk.log)
        await self._guard.start()
        self._desk.restock()

        def connect() -> Line:
            return HotConnection(loop, self._live, buffers) if hot else Line(loop, self._live)

        self._server = await loop.create_server(
            lambda: Entrance(connect, buffers.reading, porter), sock=sock, backlog=BACKLOG
        )
        self._watch = loop.create_task(self._watch_admissions())

    async def _may_be_hot(self) -> bool:
        if not self._settings.hot_path:
            return False
        if reason := await find_misfit():
            self._desk.log.warning("SLOW_PATH", reason=reason)
        return not reason

    async def _options(self) -> asyncssh.SSHServerConnectionOptions:
        settings = self._settings
        options: asyncssh.SSHServerConnectionOptions = await asyncssh.SSHServerConnectionOptions.construct(
            None,
            config=None,
            server_factory=lambda: Connection(self._desk, self._connections),
            server_host_keys=self._host_pairs,
            send_server_host_keys=True,
            server_version=BANNER,
            encoding=None,
            window=settings.window,
            login_timeout=settings.login_grace,
            keepalive_interval=settings.keepalive,
            keepalive_count_max=KEEPALIVES_MISSED,
            rekey_bytes=REKEY_BYTES,
            allow_pty=False,
            line_editor=False,
            agent_forwarding=False,
            x11_forwarding=False,
            password_auth=True,
            kbdint_auth=False,
            host_based_auth=False,
            gss_host=None,
            **offer(settings.policy),
        )
        return options

    async def _watch_admissions(self) -> None:
        """End sessions soon after their key was revoked or their agency switched off.

        When the gate cannot tell (its database is away), everybody stays; that is logged once, until it can again.
        """
        known, failing, checked = object(), False, 0.0
        while True:
            try:
                stamp = await self._desk.gate.stamp()
                if stamp != known or time.monotonic() - checked > ADMISSIONS_ANYWAY:
                    checked = time.monotonic()
                    for connection in list(self._connections):
                        await connection.check()
                await self._follow_host_keys()
                known, failing = stamp, False
            except Exception:
                if not failing:
                    self._desk.log.exception("ERROR", operation="stamp")
                failing = True
            await asyncio.sleep(ADMISSIONS_EVERY)

    async def _follow_host_keys(self) -> None:
        """Prove the server by the keys it has now; connections that stand keep those they began with."""
        keys = await self._desk.gate.host_keys()
        if keys != self._host_keys:
            self._host_keys, self._host_pairs = keys, _read_host_keys(keys, self._settings.policy)
            self._live = await self._options()
            self._desk.log.info("HOST_KEYS", count=len(keys))

    async def drain(self, grace: float) -> None:
        """Stop: let nobody in, let running transfers end for `grace` seconds, then close what is left.

        An upload that is still running then is torn, and the journal knows it before this returns.
        """
        self._desk.draining = True
        if self._watch:
            self._watch.cancel()
        if self._server:
            self._server.close()
        await self._wait_for_transfers(grace)
        tasks = {task for connection in self._connections for task in connection.tasks}
        for connection in list(self._connections):
            connection.end(STOPPING)
        if tasks:
            await asyncio.wait(tasks, timeout=LAST_WORDS)
        with suppress(TimeoutError):  # who is not told of a file finds it in the spool
            async with asyncio.timeout(LAST_WORDS):
                await self._announcer.finish()
        await self._guard.stop()
        self._slots.close()
        self._pool.shutdown()
        self._reception.finish()
        logging.getLogger("asyncio").removeFilter(self._quiet)

    async def _wait_for_transfers(self, grace: float) -> None:
        """Wait until no upload runs and no session has asked for anything for a moment.

        The moment matters: after the last CLOSE a client still renames its file and sets its time.
        """
        loop = asyncio.get_running_loop()
        until = loop.time() + grace
        while loop.time() < until:
            busy = any(connection.tasks and connection.idle < LULL for connection in self._connections)
            if not self._reception.running and not busy:
                return
            await asyncio.sleep(0.05)


def _read_host_keys(keys: list[bytes], policy: Policy) -> list[asyncssh.SSHKeyPair]:
    try:
        return load_host_keys(keys, policy)
    except (asyncssh.KeyImportError, ValueError) as error:
        raise AppError(Code.INTERNAL, "A host key cannot be read.", "Restore it from a backup.") from error


def _allow_many_files() -> None:
    """Raise the soft limit of open files, which is 1024 in many places, as far as this process may."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(OSError, ValueError):  # some systems report a hard limit that they do not grant
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


class _Repetitions(logging.Filter):
    """Drops what asyncio says for every reply that is written to a connection whose client is gone."""

    def filter(self, record: logging.LogRecord) -> bool:
        return record.getMessage() != "socket.send() raised exception."
