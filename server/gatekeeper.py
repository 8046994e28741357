"""Who may come in through the door, answered from the database; and what the door needs of the keys besides."""

import asyncio
import os
import signal
from contextlib import suppress

from keys.errors import KeysError
from keys.secret import Secret
from keys.store import Use
from server.clock import now
from server.errors import AppError, Code
from server.intake.usage import Quota
from server.logs import Log
from server.networks import parse_networks
from server.services.annals import Times
from server.services.credential import CertificateProof, Credential, KeyProof, PasswordProof
from server.services.fetches import Fetch, Sent
from server.services.host_keys import HostKeys
from server.services.keyring import KeyRing
from server.services.logins import Login
from server.services.passwords import Passwords
from server.services.questions import Questions
from server.services.standby import Known, Standby
from server.services.trust import Trusted
from server.services.uses import Uses
from server.sftp import Account
from server.state import State

LAST_WORDS = 5.0  # seconds that a database may take to hear them


class Gatekeeper:
    """The door's question "who is this?" answered from the database.

    One that begins while it is away is given what was `known`.
    """

    def __init__(self, state: State, log: Log, known: Known | None = None) -> None:
        self._questions = Questions()
        self._keys = KeyRing(state.database, self._questions)
        self._passwords = Passwords(state.database, self._questions)
        self._uses = Uses(state.database, log)
        self._host_keys = HostKeys(state.database, state.cipher)
        self._settings = state.settings
        self._log = log
        self._standby = None if state.database.is_embedded else state.standby
        self._kept: Trusted | None = None
        if known:
            self._keys.restore(known.trusted)

    async def admit(self, username: str, credential: Credential) -> Account | None:
        """The account of that user name and proof, or None."""
        admission = await self._keys.admit(username, credential)
        if admission is None:
            return None
        agency = admission.agency
        networks, quota = parse_networks(agency.networks or ""), Quota(agency.quota_bytes, agency.quota_files)
        return Account(agency.id, agency.slug, self._settings.home(agency.slug), networks, admission.until, quota)

    async def knows(self, username: str) -> bool:
        """Whether there is an agency of that name."""
        return await self._keys.knows(username)

    def takes_password(self, username: str) -> bool:
        """Whether that agency has a password."""
        return self._keys.takes_password(username)

    async def prove_password(self, username: str, password: Secret) -> PasswordProof | None:
        """What the password proves, if it is the agency's."""
        return await self._passwords.prove(username, password)

    def used(self, username: str, credential: Credential, address: str, client: str) -> None:
        """Remember the login, and when a key, or a certificate of an authority, was last used."""
        self._uses.note_login(Login(username, address, client, str(credential)), now())
        match credential:
            case KeyProof():
                self._uses.note(credential.fingerprint, Use(now(), address, client))
            case CertificateProof():
                self._uses.note(credential.authority, Use(now(), address, client, credential.serial))
            case PasswordProof():
                pass

    def fetched(self, username: str, session: str, client: str, path: str, size: int) -> None:
        """Remember that a file was fetched."""
        self._uses.note_fetch(Fetch(username, path, session, client), Sent(Times(1, now()), size))

    async def host_keys(self) -> list[bytes]:
        """The private host keys as they are now."""
        return await self._questions.ask(self._host_keys.read)

    async def finish(self) -> None:
        """Write what is only remembered."""
        self._passwords.close()
        self._questions.close()
        with suppress(TimeoutError):  # it is a help for tidying up, not a record
            async with asyncio.timeout(LAST_WORDS):
                await self._uses.finish()

    async def stamp(self) -> object:
        """Changes when any admission may have changed."""
        try:
            stamp = await self._keys.stamp()
        except AppError as error:
            if error.code is Code.CONFLICT:
                self._leave(error)
            raise
        learnt = self._keys.learnt
        if self._standby and learnt and learnt is not self._kept:
            await self._keep(self._standby, learnt)
        return stamp

    def _leave(self, refusal: AppError) -> None:
        """The database that has come back is not ours: this process stops, and the next is told so as it begins."""
        self._log.error("database refused", code=refusal.code, reason=str(refusal))
        os.kill(os.getpid(), signal.SIGTERM)

    async def _keep(self, standby: Standby, learnt: Trusted) -> None:
        """Let a door that begins while the database is away know what we know."""
        host_keys = await self.host_keys()
        try:
            await asyncio.to_thread(standby.keep, Known(tuple(host_keys), learnt))
        except (OSError, KeysError) as error:
            self._log.warning("standby not kept", reason=getattr(error, "strerror", None) or str(error))
        self._kept = learnt
