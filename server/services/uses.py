"""Remembers who logged in, what was fetched, and when each key and each authority of certificates was last used;
nobody waits for it.

Logins come in storms, as at midnight; the database hears of them every few seconds, once for each of them. What is not
yet written when a process is killed is lost, which is all right: it is a help for tidying up, not a record.
"""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

from keys.store import Use, note_uses
from server.db import Database
from server.errors import AppError
from server.logs import Log
from server.services.annals import Times
from server.services.fetches import Fetch, Sent, keep_fetches
from server.services.logins import Login, keep_logins

WRITE_EVERY = 3.0
MOST = 5_000
"""Different log-ins, and as many files, that wait to be written; while the database is away for long, further ones are
in the log alone."""

_Latest = dict[tuple[str, bool], Use]  # a key may be enrolled and an authority as well
_Logins = dict[Login, Times]
_Fetches = dict[Fetch, Sent]


class Uses:
    """Belongs to one event loop; `note` never blocks, and one thread writes."""

    def __init__(self, database: Database, log: Log) -> None:
        self._database = database
        self._log = log
        self._latest: _Latest = {}
        self._logins: _Logins = {}
        self._fetches: _Fetches = {}
        self._pause: asyncio.TimerHandle | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="uses")
        self._failing = False

    def note(self, fingerprint: str, use: Use) -> None:
        """The key of that fingerprint (`SHA256:...`) was used, or a certificate of the authority that has it."""
        self._latest[fingerprint, use.serial is None] = use
        self._wake()

    def note_login(self, login: Login, at: datetime, times: int = 1) -> None:
        """Somebody has logged in."""
        if login in self._logins or len(self._logins) < MOST:
            self._logins[login] = Times(times, at).plus(self._logins.get(login))
        self._wake()

    def note_fetch(self, fetch: Fetch, sent: Sent) -> None:
        """Somebody has fetched a file."""
        if fetch in self._fetches or len(self._fetches) < MOST:
            self._fetches[fetch] = sent.plus(self._fetches.get(fetch))
        self._wake()

    async def finish(self) -> None:
        """Write what is left, and end the thread."""
        if self._pause:
            self._pause.cancel()
        await asyncio.get_running_loop().run_in_executor(self._thread, self._write, *self._take())
        self._thread.shutdown()

    def _wake(self) -> None:
        if self._pause is None:
            self._pause = asyncio.get_running_loop().call_later(WRITE_EVERY, self._begin)

    def _take(self) -> tuple[_Latest, _Logins, _Fetches]:
        uses, self._latest = self._latest, {}
        logins, self._logins = self._logins, {}
        fetches, self._fetches = self._fetches, {}
        return uses, logins, fetches

    def _begin(self) -> None:
        self._pause = None
        taken = self._take()
        written = asyncio.get_running_loop().run_in_executor(self._thread, self._write, *taken)
        written.add_done_callback(lambda done: None if done.result() else self._keep(*taken))

    def _keep(self, uses: _Latest, logins: _Logins, fetches: _Fetches) -> None:
        """The database was away for these: try again later, unless the key has been used since."""
        for key, use in uses.items():
            self.note(key[0], self._latest.get(key, use))
        for login, times in logins.items():
            self.note_login(login, times.last, times.count)
        for fetch, sent in fetches.items():
            self.note_fetch(fetch, sent)

    def _write(self, uses: _Latest, logins: _Logins, fetches: _Fetches) -> bool:
        try:
            if uses or logins or fetches:
                with self._database.writing() as conn:
                    if uses:
                        note_uses(conn, ((fingerprint, use) for (fingerprint, _), use in uses.items()))
                    keep_logins(conn, logins)
                    keep_fetches(conn, fetches)
            self._failing = False
        except AppError as error:
            if not self._failing:
                self._log.warning("uses of keys put off", code=error.code, reason=error.message)
            self._failing = True
        return not self._failing
