"""A connection from its first byte to its last: who it is, what it may open, and when it has been idle for too long.

A connection authenticates once and opens channels; each channel that asks for the `sftp` subsystem gets a `Handler`.
Whoever it is, is asked again at every channel, with the user name and the key (certificate, password) that was actually
verified: neither a name alone nor a decision of half an hour ago opens anything.
"""

import asyncio
import re
import time
from collections.abc import Collection

import asyncssh

from keys.errors import KeysError
from keys.secret import Secret
from server.clock import new_id, now
from server.defence import Fault
from server.intake.usage import UNLIMITED, Meter
from server.logs import Log
from server.mismatches import Mismatch
from server.networks import contains, plain
from server.services.credential import Credential, KeyProof
from server.settings import Policy
from server.sftp.algorithms import POLICIES, refuse_weak_signatures
from server.sftp.certificate import prove
from server.sftp.channel import Channel
from server.sftp.desk import Desk
from server.sftp.events import describe_algorithms
from server.sftp.gate import Account
from server.sftp.negotiation import Offer, find_fitting, find_missing
from server.sftp.paths import UPLOAD
from server.sftp.presence import Presence

LEAST_TRIES = 20
NOT_ADMITTED = "Your access has ended. Ask whoever gave it to you."
CANNOT_TELL = "The server cannot check your access just now. Try again in a minute."
STOPPING = "The server is restarting. Connect again in a minute."
WRONG_KEYS = "Too many keys were offered. Name the right one."
WRONG_PASSWORDS = "Too many wrong passwords."
TOO_MANY_STRANGERS = "Too many connections are waiting to log in. Try again in a minute."
EXPIRY_SLACK = 0.05
LONGEST_WAIT = 24 * 3600.0  # clocks are set
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
        self._presence = Presence(desk, "")
        self._names: set[str] = set()
        self._turned_away = False
        self._elsewhere = False
        self._is_greeted = False
        self._is_lost = False
        self._reason = ""
        self._key_type = ""
        self._expiry: asyncio.TimerHandle | None = None
        self._checking: asyncio.Task[None] | None = None
        self.certificate = b""
        self._quota = UNLIMITED
        self._username = ""
        self._takes_password = False
        self._wrong_password = False
        self._agency = ""
        self._refused = 0
        self._attempts = 0
        self._keys_offered = 0
        self._last_request = 0.0
        self._welcomed = 0.0
        self._answered_after = 0.0
        self._idle_timer: asyncio.TimerHandle | None = None

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        """The TCP connection stands."""
        self._conn = conn
        self._connections.add(self)
        peer = conn.get_extra_info("peername")
        self._presence = Presence(self.desk, plain(str(peer[0])) if peer else "")
        self.log = self.log.bind(source_ip=self._presence.address)
        if not self._presence.enter():
            self._turned_away = True
            self.log.warning("REFUSED", reason="too many connections that have not logged in")
            # asyncssh still wants to greet it
            asyncio.get_running_loop().call_soon(self._end, asyncssh.DISC_TOO_MANY_CONNECTIONS, TOO_MANY_STRANGERS)
            return
        self.touch()
        self._watch_idleness()

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is over; its channels' handlers end by themselves."""
        self._connections.discard(self)
        self._presence.leave()
        if self._idle_timer:
            self._idle_timer.cancel()
        self._is_lost = True
        self._reason = self._reason or (type(exc).__name__ if exc else "the client has left")
        if self._expiry:
            self._expiry.cancel()
        if self._agency:
            self.conclude()
        elif not self._turned_away and not self.desk.draining:
            self.desk.see_to(self._blame())

    def conclude(self) -> None:
        """Log its end, once its channels have closed their files."""
        if self._is_lost and not self.tasks:
            desk, seconds = self.desk, round(time.monotonic() - self._welcomed, 3)
            received, sent = desk.received.pop(self.id, 0), desk.sent.pop(self.id, 0)
            self.log.info("DISCONNECTED", reason=self._reason, seconds=seconds, bytes_in=received, bytes_out=sent)

    async def _blame(self) -> None:
        try:
            reason = await self._presence.blame(self._names)
        except Exception:  # the database is away, so nobody can log in: that is not held against them
            reason = "the server could not tell"
        if self._names:
            reason = "wrong password" if self._wrong_password and reason == Fault.BAD_KEY else reason
            reason = "the address is in none of the agency's networks" if self._elsewhere else reason
            self.log.info("AUTH_FAILURE", client=self.client, reason=reason, keys_offered=self._keys_offered)

    def disagree(self, offer: Offer, host_keys: Collection[str]) -> str:
        """Client and policy have no algorithm in common: note it for the operator, and say what the client is told."""
        policy = self.desk.settings.policy
        missing = find_missing(offer, POLICIES[policy], host_keys)
        fitting, offered = find_fitting(offer, host_keys), offer.as_words()
        mismatch = Mismatch(now().isoformat(), self._presence.address, self.client, policy, missing, offered, fitting)
        facts = {word.replace(" ", "_"): names for word, names in offered.items()}
        self.log.warning(
            "ERROR",
            operation="KEX",
            reason="algorithm mismatch",
            client=self.client,
            missing=missing,
            fitting=fitting,
            **facts,
        )
        self.desk.note_mismatch(mismatch)
        return mismatch.sentence

    # Who it is

    @property
    def policy(self) -> Policy:
        """Which algorithms are good enough."""
        return self.desk.settings.policy

    def begin_auth(self, username: str) -> bool:
        """Somebody says who they are, which proves nothing yet."""
        self._username = username
        self._takes_password = self.desk.gate.takes_password(username)
        self.log = self.log.bind(user=username if _PLAIN_NAME.fullmatch(username) else "(malformed)")
        self._note_attempt(username)
        if self.desk.banner and self._conn and not self._is_greeted:
            self._is_greeted = True
            self._conn.send_auth_banner(self.desk.banner)
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
        self._note_attempt(self._username)
        try:
            proof = await self.desk.gate.prove_password(username, Secret(password.encode()))
        except Exception:
            self.log.exception("ERROR", operation="password")
            proof = None
        if proof:
            return await self._try(username, proof, WRONG_PASSWORDS)  # that it was right is told to nobody outside
        self._wrong_password = True
        return self._refuse(WRONG_PASSWORDS)

    def change_password(self, username: str, old_password: str, new_password: str) -> bool:
        """Only operators change passwords."""
        self._note_attempt(self._username)
        return False

    def key_offered(self) -> None:
        """Something is offered as a key; what it is comes later, or never if it is none."""
        self._keys_offered += 1
        self._note_attempt(self._username)

    def login_begun_again(self) -> None:
        """Whoever it is begins once more, with another key or password, or with nothing."""
        self._bound_attempts()

    async def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        """A key is offered, first without and then with a signature (which asyncssh verifies)."""
        refuse_weak_signatures(key, self.policy)
        self._key_type = key.get_algorithm()
        return await self._try(username, KeyProof(key.get_fingerprint()))

    async def validate_ca_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        """A certificate of that authority is offered (asyncssh verifies its signature, and then the client's own)."""
        self._key_type = f"certificate by {key.get_algorithm()}"
        try:
            return await self._try(username, prove(self.certificate, username, self._presence.address))
        except KeysError as error:
            self.log.info("CERTIFICATE_REFUSED", reason=error.message)
            return self._refuse()

    async def _try(self, username: str, credential: Credential, last_words: str = WRONG_KEYS) -> bool:
        if isinstance(await self._ask(username, credential), Account):
            self._admitted = username, credential
            return True
        return self._refuse(last_words)

    def _refuse(self, reason: str = WRONG_KEYS) -> bool:
        self._refused += 1
        if self._refused >= self.desk.settings.auth_tries:
            self._end(asyncssh.DISC_NO_MORE_AUTH_METHODS_AVAILABLE, reason)
        return False

    def auth_completed(self) -> None:
        """The signature was good."""
        if self._conn is None or self._admitted is None or self._conn.get_extra_info("username") != self._admitted[0]:
            self._end(asyncssh.DISC_BY_APPLICATION, "Authentication went wrong. Try again.")
            return
        self._welcomed = time.monotonic()
        self._agency, credential = self._admitted
        self.log = self.log.bind(agency=self._agency)
        algorithms = describe_algorithms(self._conn)
        self.log.info("CONNECTED", client=self.client, key=str(credential), key_type=self._key_type, **algorithms)
        self.desk.gate.used(self._agency, credential, self._presence.address, self.client)
        if refusal := self._presence.log_in(self._agency):
            self.log.warning("REFUSED", reason=refusal)
            self._end(asyncssh.DISC_TOO_MANY_CONNECTIONS, refusal)

    async def check(self) -> None:
        """End the connection if it has logged in and may not stay. Raises what the gate raises."""
        if not self._agency or not self._admitted:
            return
        account = await self._admit(*self._admitted)
        if account is None:
            self.log.info("EXPELLED")
            self.end(NOT_ADMITTED)
        else:
            self._watch_expiry(account)

    async def account(self) -> Account | str:
        """The account of the key that was verified, asked anew; or the sentence why it may not come in any more."""
        return await self._ask(*self._admitted) if self._admitted and self._agency else NOT_ADMITTED

    async def _ask(self, username: str, credential: Credential) -> Account | str:
        if self.desk.draining:
            return STOPPING
        try:
            account = await self._admit(username, credential)
        except Exception:
            self.log.exception("ERROR", operation="admit")
            return CANNOT_TELL
        if account is None:
            return NOT_ADMITTED
        self._watch_expiry(account)
        return account

    def meter(self, account: Account) -> Meter | None:
        """Who counts for the quota that the account has now; None if it has none."""
        if not self._quota:
            return None
        return Meter(self.desk.settings.run, account.slug, account.home / UPLOAD, self._quota)

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

    async def _admit(self, username: str, credential: Credential) -> Account | None:
        """As the gate says, and only from where the agency may come."""
        account = await self.desk.gate.admit(username, credential)
        if account and account.networks and not contains(account.networks, self._presence.address):
            self._elsewhere = True
            return None
        if account:
            self._quota = account.quota
        return account

    def _note_attempt(self, username: str) -> None:
        self._names.add(username)
        self._bound_attempts()

    def _bound_attempts(self) -> None:
        """Bound also what is not refused: user names tried, and keys offered again and again without a signature."""
        self._attempts += 1
        if self._attempts > max(LEAST_TRIES, 3 * self.desk.settings.auth_tries):
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
        is, the time tells that it took from our "welcome" to its asking for a channel. So do channels beside the first,
        for what they send ahead adds up, and whoever wants more of them to be fast connects once for each.
        """
        self._answered_after = self._answered_after or time.monotonic() - self._welcomed
        window = self.desk.settings.window
        return window if self._answered_after >= FAR and not self.channels else min(window, NEAR_WINDOW)

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
            self._reason = self._reason or reason
            self._conn.disconnect(code, reason)

    def _watch_idleness(self) -> None:
        left = self.desk.settings.idle_timeout - self.idle
        if left <= 0:
            self.end("Nothing happened for too long, so the session was ended. Connect again.")
            return
        self._idle_timer = asyncio.get_running_loop().call_later(left, self._watch_idleness)
