"""Remembers when each key, and each authority of certificates, was last used, without any login waiting for it.

Logins come in storms, as at midnight; the database hears of them every few seconds, once for each of them. What is not
yet written when a process is killed is lost, which is all right: it is a help for tidying up, not a record.
"""

import asyncio
from concurrent.futures import ThreadPoolExecutor

from keys.store import Use, note_uses
from server.db import Database
from server.errors import AppError
from server.logs import Log

WRITE_EVERY = 3.0


class Uses:
    """Belongs to one event loop; `note` never blocks, and one thread writes."""

    def __init__(self, database: Database, log: Log) -> None:
        self._database = database
        self._log = log
        self._latest: dict[tuple[str, bool], Use] = {}  # a key may be enrolled and an authority as well
        self._pause: asyncio.TimerHandle | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="uses")
        self._failing = False

    def note(self, fingerprint: str, use: Use) -> None:
        """The key of that fingerprint (`SHA256:...`) was used, or a certificate of the authority that has it."""
        self._latest[fingerprint, use.serial is None] = use
        if self._pause is None:
            self._pause = asyncio.get_running_loop().call_later(WRITE_EVERY, self._begin)

    async def finish(self) -> None:
        """Write what is left, and end the thread."""
        if self._pause:
            self._pause.cancel()
        uses, self._latest = self._latest, {}
        await asyncio.get_running_loop().run_in_executor(self._thread, self._write, uses)
        self._thread.shutdown()

    def _begin(self) -> None:
        self._pause = None
        uses, self._latest = self._latest, {}
        written = asyncio.get_running_loop().run_in_executor(self._thread, self._write, uses)
        written.add_done_callback(lambda done: self._keep({} if done.result() else uses))

    def _keep(self, uses: dict[tuple[str, bool], Use]) -> None:
        """The database was away for these: try again later, unless the key has been used since."""
        for key, use in uses.items():
            self.note(key[0], self._latest.get(key, use))

    def _write(self, uses: dict[tuple[str, bool], Use]) -> bool:
        try:
            if uses:
                with self._database.writing() as conn:
                    note_uses(conn, ((fingerprint, use) for (fingerprint, _), use in uses.items()))
            self._failing = False
        except AppError:
            if not self._failing:
                self._log.exception("ERROR", operation="note uses of keys")
            self._failing = True
        return not self._failing
