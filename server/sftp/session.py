"""A connection from its first byte to its last: who it is, what it may open, and when it has been idle for too long.

A connection authenticates once and opens channels; each channel that asks for the `sftp` subsystem gets a `Handler`.
Whoever it is, is asked again at every channel, with the user name and the key (certificate, password) that was actually
verified: neither a name alone nor a decision of half an hour ago opens anything.
"""

import asyncio
import re
import time
from typing import Any, cast

import asyncssh
from asyncssh.constants import EXTENDED_DATA_STDERR
from asyncssh.stream import SSHReader, SSHServerStreamSession, SSHWriter

from keys.errors import KeysError
from keys.secret import Secret
from server.clock import new_id, now
from server.logs import Log
from server.services.credential import Credential, KeyProof
from server.sftp.algorithms import refuse_weak_signatures
from server.sftp.certificate import prove
from server.sftp.desk import Desk
from server.sftp.files import Files
from server.sftp.gate import Account
from server.sftp.handler import Handler
from server.sftp.jail import Jail
from server.sftp.reception import Sender

SFTP_ONLY = (
    "This server speaks SFTP only: no shell, no commands, and no old scp protocol.\n"
    "Use sftp, WinSCP or FileZilla in SFTP mode, or scp without -O (OpenSSH 9 or newer).\n"
)
NOT_ADMITTED = "Your access has ended. Ask whoever gave it to you.\n"
LEAST_TRIES = 20
EXPIRY_SLACK = 0.05
LONGEST_WAIT = 24 * 3600.0  # clocks are set
# As sshd's MaxStartups: who connects and never says who they are must not use up what the courts need. One address gets
# less than all, and enough for a court whose machines share it and connect at the same moment.
MOST_STRANGERS = 200
MOST_STRANGERS_OF_ONE_ADDRESS = 64
FAR = 0.02
NEAR_WINDOW = 2 * 1024 * 1024

_PLAIN_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")


class Connection(asyncssh.SSHServer):
    """One SSH connection. asyncssh calls its methods, in this order."""

    def __init__(self, desk: Desk, connections: set["Connection"]) -> None:
        self.id = new_id()
        self.desk = desk
        self.channels = 0
        self.tasks: set[asyncio.Task[None]] = set()
        self.log: Log = desk.log.bind(session=self.id)
        self._connections = connections
        self._conn: asyncssh.SSHServerConnection | None = None
        self._admitted: tuple[str, Credential] | None = None
        self._expiry: asyncio.TimerHandle | None = None
        self._checking: asyncio.Task[None] | None = None
        self._stranger_from: str | None = None
        self._address = ""
        self.certificate = b""
        self._takes_password = False
        self._agency = ""
        self._refused = 0
        self._offered = 0
        self._last_request = 0.0
        self._welcomed = 0.0
        self._answered_after = 0.0
        self._idle_timer: asyncio.TimerHandle | None = None

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        """The TCP connection stands."""
        self._conn = conn
        self._connections.add(self)
        peer = conn.get_extra_info("peername")
        address = peer[0] if peer else ""
        self._address = address
        self.log = self.log.bind(source_ip=address)
        if not self._count_stranger(address):
            self.log.warning("REFUSED", reason="too many connections that have not logged in")
            asyncio.get_running_loop().call_soon(conn.abort)  # asyncssh still wants to greet it
            return
        self.touch()
        self._watch_idleness()

    def _count_stranger(self, address: str) -> bool:
        """Count it until it has logged in or is gone; False if there are too many of them."""
        strangers = self.desk.strangers
        if strangers.total() >= MOST_STRANGERS or strangers[address] >= MOST_STRANGERS_OF_ONE_ADDRESS:
            return False
        strangers[address] += 1
        self._stranger_from = address
        return True

    def _no_stranger(self) -> None:
        address, self._stranger_from = self._stranger_from, None
        if address is not None:
            self.desk.strangers[address] -= 1
            if not self.desk.strangers[address]:
                del self.desk.strangers[address]

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is over; its channels' handlers end by themselves."""
        self._connections.discard(self)
        self._no_stranger()
        if self._idle_timer:
            self._idle_timer.cancel()
        if self._expiry:
            self._expiry.cancel()
        if self._agency:
            self.desk.connected[self._agency] -= 1
            self.log.info("DISCONNECTED", reason="" if exc is None else type(exc).__name__)
        elif self._offered:
            self.log.info("AUTH_FAILURE", client=self.client, keys_offered=self._offered)

    # Who it is

    def begin_auth(self, username: str) -> bool:
        """Somebody says who they are, which proves nothing yet."""
        self._takes_password = self.desk.gate.takes_password(username)
        self.log = self.log.bind(user=username if _PLAIN_NAME.fullmatch(username) else "(malformed)")
        self._count_offer()
        return True

    def public_key_auth_supported(self) -> bool:
        """Keys are always good."""
        return True

    def password_auth_supported(self) -> bool:
        """Whether this user name may use a password, which is only then told: some old clients skip their keys if so.

        So an outsider learns by asking that an agency of this name exists and has a password, and of no other agency
        whether it exists. To hide that, passwords would have to be offered to everybody, and courts with keys would
        fail. What is gained by it is a name; a password has 120 bits, and guesses are few and slow.
        """
        return self._takes_password

    async def validate_password(self, username: str, password: str) -> bool:
        """A password is given."""
        self._count_offer()
        try:
            proof = await self.desk.gate.prove_password(username, Secret(password.encode()))
        except Exception:
            self.log.exception("ERROR", operation="password")
            proof = None
        if proof:
            return await self._try(username, proof)
        self.log.info("AUTH_FAILURE", client=self.client, reason="wrong password")
        return self._refuse("Too many wrong passwords.")

    def change_password(self, username: str, old_password: str, new_password: str) -> bool:
        """Only operators change passwords."""
        self._count_offer()
        return False

    def key_offered(self) -> None:
        """Something is offered as a key; what it is comes later, or never if it is none."""
        self._count_offer()

    async def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        """A key is offered, first without and then with a signature (which asyncssh verifies)."""
        refuse_weak_signatures(key)
        return await self._try(username, KeyProof(key.get_fingerprint()))

    async def validate_ca_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        """A certificate of that authority is offered (asyncssh verifies its signature, and then the client's own)."""
        try:
            return await self._try(username, prove(self.certificate, username, self._address))
        except KeysError as error:
            self.log.info("CERTIFICATE_REFUSED", reason=error.message)
            return self._refuse()

    async def _try(self, username: str, credential: Credential) -> bool:
        if await self._ask(username, credential):
            self._admitted = username, credential
            return True
        return self._refuse()

    def _refuse(self, reason: str = "Too many keys were offered. Name the right one.") -> bool:
        self._refused += 1
        if self._refused >= self.desk.settings.auth_tries:
            self._end(asyncssh.DISC_NO_MORE_AUTH_METHODS_AVAILABLE, reason)
        return False

    def auth_completed(self) -> None:
        """The signature was good."""
        if self._conn is None or self._admitted is None or self._conn.get_extra_info("username") != self._admitted[0]:
            self._end(asyncssh.DISC_BY_APPLICATION, "Authentication went wrong. Try again.")
            return
        self._no_stranger()
        self._welcomed = time.monotonic()
        self._agency, credential = self._admitted
        self.desk.connected[self._agency] += 1
        self.log = self.log.bind(agency=self._agency)
        info = self._conn.get_extra_info
        self.log.info("CONNECTED", client=self.client, key=str(credential), cipher=info("recv_cipher"))
        self.desk.gate.used(self._agency, credential, self._address, self.client)
        if self.desk.connected[self._agency] > self.desk.settings.sessions_per_agency:
            most = self.desk.settings.sessions_per_agency
            self._end(asyncssh.DISC_TOO_MANY_CONNECTIONS, f"More than {most} connections at a time are not allowed.")

    async def check(self) -> None:
        """End the connection if it has logged in and may not stay. Raises what the gate raises."""
        if not self._agency or not self._admitted:
            return
        account = await self.desk.gate.admit(*self._admitted)
        if account is None:
            self.log.info("EXPELLED")
            self.end(NOT_ADMITTED.strip())
        else:
            self._watch_expiry(account)

    async def account(self) -> Account | None:
        """The account of the key that was verified, asked anew; None if it may not come in any more."""
        return await self._ask(*self._admitted) if self._admitted and self._agency else None

    async def _ask(self, username: str, credential: Credential) -> Account | None:
        if self.desk.draining:
            return None
        try:
            account = await self.desk.gate.admit(username, credential)
        except Exception:
            self.log.exception("ERROR", operation="admit")
            return None
        if account:
            self._watch_expiry(account)
        return account

    def _watch_expiry(self, account: Account) -> None:
        """Look again when what it came in with expires: of that nothing is written anywhere."""
        if self._expiry:
            self._expiry.cancel()
        self._expiry = None
        if account.until and self in self._connections:  # it may have ended while it was asked
            left = min((account.until - now()).total_seconds(), LONGEST_WAIT)
            self._expiry = asyncio.get_running_loop().call_later(max(left, 0) + EXPIRY_SLACK, self._check_soon)

    def _check_soon(self) -> None:
        self._checking = asyncio.get_running_loop().create_task(self._check_alone())

    async def _check_alone(self) -> None:
        try:
            await self.check()
        except Exception:  # the gate cannot tell just now; it is asked again with everybody else
            self.log.exception("ERROR", operation="admit")

    def _count_offer(self) -> None:
        """Bound also what is not refused: user names tried, and keys offered again and again without a signature."""
        self._offered += 1
        if self._offered > max(LEAST_TRIES, 3 * self.desk.settings.auth_tries):
            self._end(asyncssh.DISC_NO_MORE_AUTH_METHODS_AVAILABLE, "Too many attempts to log in.")

    # What it may open

    def session_requested(self) -> "tuple[asyncssh.SSHServerChannel[bytes], Channel]":
        """A channel is asked for."""
        if self.desk.draining:
            raise asyncssh.ChannelOpenError(asyncssh.OPEN_CONNECT_FAILED, "The server is about to restart.")
        if self.channels >= self.desk.settings.channels:
            raise asyncssh.ChannelOpenError(asyncssh.OPEN_RESOURCE_SHORTAGE, "Too many channels on one connection.")
        assert self._conn is not None  # noqa: S101  asyncssh has made the connection
        channel = self._conn.create_server_channel(encoding=None, window=self._choose_window())
        self.channels += 1
        return channel, Channel(self)

    def _choose_window(self) -> int:
        """How many bytes the client may send ahead.

        As much as the settings allow if the client is far away, or else its speed would be window / round trip. Near
        ones get a smaller window: OpenSSH's client slows itself down by buffering what a large one lets it. How far it
        is, the time tells that it took from our "welcome" to its asking for a channel.
        """
        self._answered_after = self._answered_after or time.monotonic() - self._welcomed
        window = self.desk.settings.window
        return window if self._answered_after >= FAR else min(window, NEAR_WINDOW)

    @property
    def client(self) -> str:
        """The client's banner, without what must not be in a log line."""
        version = self._conn.get_extra_info("client_version", "") if self._conn else ""
        return "".join(character for character in str(version)[:128] if character.isprintable())

    # When it ends

    def touch(self) -> None:
        """There was a request."""
        self._last_request = time.monotonic()

    @property
    def idle(self) -> float:
        """Seconds since the last request."""
        return time.monotonic() - self._last_request

    def end(self, reason: str) -> None:
        """Close the connection with a sentence."""
        self._end(asyncssh.DISC_BY_APPLICATION, reason)

    def _end(self, code: int, reason: str) -> None:
        if self._conn:
            self._conn.disconnect(code, reason)

    def _watch_idleness(self) -> None:
        left = self.desk.settings.idle_timeout - self.idle
        if left <= 0:
            self.end("Nothing happened for too long, so the session was ended. Connect again.")
            return
        self._idle_timer = asyncio.get_running_loop().call_later(left, self._watch_idleness)


class Channel(SSHServerStreamSession[bytes]):
    """One channel: SFTP, or a sentence that there is nothing else."""

    def __init__(self, connection: Connection) -> None:
        super().__init__(None)
        self._connection = connection

    def connection_lost(self, exc: Exception | None) -> None:
        """The channel is closed."""
        self._connection.channels -= 1
        super().connection_lost(exc)

    def subsystem_requested(self, subsystem: str) -> bool:
        """Only `sftp`."""
        return subsystem == "sftp"

    def exec_requested(self, command: str) -> bool:
        """Let it in, to be told that there are no commands (a bare refusal tells a person nothing)."""
        return True

    def shell_requested(self) -> bool:
        """As with a command."""
        return True

    def session_started(self) -> None:
        """The channel is ready."""
        channel = cast(Any, self._chan)
        channel.set_encoding(None)
        self._encoding = None
        work = self._serve() if channel.get_subsystem() == "sftp" else self._say(SFTP_ONLY)
        # Not asyncssh's own task group: `drain` waits for these, since they must have torn their uploads.
        task = asyncio.get_running_loop().create_task(work)
        self._connection.tasks.add(task)
        task.add_done_callback(self._ended)

    async def _serve(self) -> None:
        connection, desk = self._connection, self._connection.desk
        account = await connection.account()
        if account is None:
            await self._say(NOT_ADMITTED)
            return
        jail = await desk.run(Jail, account.home)
        reader, writer = self._streams()
        log = connection.log.bind(agency=account.slug)
        sender = Sender(account.slug, connection.id, connection.client)
        files = Files(cast(Any, self._chan), desk, jail, sender, log)
        try:
            await Handler(files, reader, writer, connection.touch).run()
        finally:
            jail.close()  # also when the client left before its first request

    async def _say(self, sentence: str) -> None:
        """Say it where a person sees it, and end the channel as a failed command."""
        channel = cast(Any, self._chan)
        if not channel.is_closing():
            SSHWriter[bytes](self, channel, EXTENDED_DATA_STDERR).write(sentence.encode())
            channel.exit(1)

    def _streams(self) -> tuple[SSHReader[bytes], SSHWriter[bytes]]:
        channel = cast(Any, self._chan)
        return SSHReader[bytes](self, channel), SSHWriter[bytes](self, channel)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._connection.tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if error and not isinstance(error, EOFError | asyncssh.Error | OSError):
            self._connection.log.error("ERROR", operation="session", exc_info=error)
        if not task.cancelled() and error:
            self._connection.end("Internal error; the operator finds it in the server's log.")
