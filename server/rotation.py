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

A master key that is lost for good can be replaced too: what it alone opens is given up first, and committed; then a new
one is made, if none is there, and new host keys. Whoever dies in between leaves an installation that has none yet.
"""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection

from keys.cipher import Cipher
from keys.errors import KeysError
from keys.store import (
    KnownHostKey,
    ensure_host_keys,
    find_unopened,
    forget_host_keys,
    reseal_host_keys,
)
from server.clock import new_id, now
from server.errors import AppError, Code
from server.remotes import secrets
from server.remotes.secrets import reseal_servers
from server.remotes.server import SecretField, Server
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


@dataclass(frozen=True)
class Loss:
    """What no master key at hand opens: host keys, retired ones too, and secrets of servers."""

    host_keys: tuple[KnownHostKey, ...]
    secrets: tuple[tuple[Server, SecretField], ...]

    def __bool__(self) -> bool:
        return bool(self.host_keys or self.secrets)


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


def find_loss(state: State) -> Loss:
    """What cannot be opened just now. Raises KeysError for a master key that is there and cannot be used."""
    with state.database.reading() as conn:
        return _find_loss(conn, _at_hand(state))


def replace_lost(state: State) -> Loss:
    """Give up what no master key at hand opens, and make what the server needs anew: all that was given up.

    Raises `AppError` conflict if a rotation runs, KeysError for a master key that is there and cannot be used.
    """
    with _alone(state.settings.run / "rotate.lock"):
        with state.database.writing() as conn:
            lost = _find_loss(conn, _at_hand(state))
            forget_host_keys(conn, lost.host_keys)
            secrets.forget_secrets(conn, lost.secrets)
        state.standby.forget()
        with state.database.writing() as conn:
            ensure_host_keys(conn, state.cipher(), now(), new_id)
    return lost


def _find_loss(conn: Connection, cipher: Cipher | None) -> Loss:
    return Loss(tuple(find_unopened(conn, cipher)), tuple(secrets.find_unopened(conn, cipher)))


def _at_hand(state: State) -> Cipher | None:
    """None if there is no master key any more; one whose place cannot be reached is not lost."""
    try:
        return state.cipher()
    except KeysError as error:
        if error.code == "not_found":
            return None
        raise


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
