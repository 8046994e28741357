"""A new master key takes the place of the old one; everything sealed is sealed anew, whatever dies when.

If the key is ours (the file of the data directory, or AWS KMS), this is what happens:

    1. the next key is made beside the present one      from now on the next one seals, and both open
    2. all is sealed anew, in one transaction           nothing needs the old one any more
    3. the next key takes the old one's name            the old one is gone

Who seals something asks for the keys inside a write transaction of the same lock: so either it is done before 2 and is
sealed anew there, or it knows the next key. Whoever dies between two steps leaves both keys there, and everything
opens; the next rotation goes on from there with the same next key. The server may run meanwhile.

If the operator gives the key (environment, secret manager), steps 1 and 3 are his: the new key where the old one was,
the old one as the previous one, and the server started again.
"""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from keys.store import reseal_host_keys
from server.errors import AppError, Code
from server.remotes.secrets import reseal_servers
from server.state import State


@dataclass(frozen=True)
class Rotation:
    """What was done: the id of the new master key, where it is, and how much was sealed anew.

    `left_over` is a file that was the master key before another place was set.
    """

    key_id: str
    place: str
    host_keys: int
    server_secrets: int
    left_over: Path | None = None


def rotate_master(state: State) -> Rotation:
    """Replace the master key. Raises `AppError` conflict if another rotation runs, invalid if there is no other key."""
    masters = state.masters
    with _alone(state.settings.run / "rotate.lock"):
        if masters.is_ours:
            masters.begin()
        with state.database.writing() as conn:
            cipher = state.cipher()
            host_keys, secrets = reseal_host_keys(conn, cipher), reseal_servers(conn, cipher)
        state.standby.forget()  # the doors that run keep it anew
        if masters.is_ours:
            masters.finish()
        elif not host_keys + secrets:
            raise _same_key(masters.place)
    return Rotation(cipher.key_id, masters.place, host_keys, secrets, masters.kept_file)


@contextmanager
def _alone(lock_file: Path) -> Iterator[None]:
    with lock_file.open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise AppError(Code.CONFLICT, "Another rotation is under way.", "Wait until it is done.") from error
        yield


def _same_key(place: str) -> AppError:
    return AppError(
        Code.INVALID,
        f"Everything is sealed with the master key of {place} already.",
        "To replace it: put a new key there (openssl rand -base64 32), the old one into "
        "DROPSLOT_MASTER_KEY_PREVIOUS_FILE, start the server again, then run this once more.",
    )
