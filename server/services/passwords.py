"""Proves passwords, so that guessing costs the guesser and not us: two at a time, and the same time for everybody."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

from keys.password import hash_password, is_password, make_password, version_of
from keys.secret import Secret
from server.agencies import look_up
from server.db import Database
from server.services.credential import PasswordProof
from server.services.questions import Questions

AT_ONCE = 2


class Passwords:
    """Belongs to one process. As many wait for their turn as there may be connections that have not logged in."""

    def __init__(self, database: Database, questions: Questions | None = None) -> None:
        self._database = database
        self._questions = questions or Questions()
        self._threads = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="passwords")
        self._decoy = hash_password(make_password())

    async def prove(self, username: str, password: Secret) -> PasswordProof | None:
        """The proof, if it is the password of that agency; raises `AppError` unavailable while the database is away."""
        stored = await self._questions.ask(self._look_up, username)
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._prove, stored, password)

    def close(self) -> None:
        """End the threads."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _look_up(self, username: str) -> str | None:
        with self._database.reading() as conn:
            agency = look_up(conn, username)
        return agency.password_hash if agency and agency.enabled else None

    def _prove(self, stored: str | None, password: Secret) -> PasswordProof | None:
        good = is_password(password, stored or self._decoy)  # an unknown name takes the same time
        return PasswordProof(version_of(stored)) if stored and good else None
