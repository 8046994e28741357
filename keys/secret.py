"""A secret that does not show itself, and the file of the master key that seals the others."""

import errno
import hmac
import os
import secrets
import stat
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

from keys.errors import KeysError

MASTER_BYTES = 32
MASTER_FILE = "master.key"
LARGEST = 64 * 1024


class Secret:
    """Bytes that no repr, format, log line or pickle ever shows; `reveal()` is the one way to them."""

    __slots__ = ("_value",)

    def __init__(self, value: bytes) -> None:
        self._value = bytes(value)

    def reveal(self) -> bytes:
        """The bytes themselves; the caller must not keep, log or format them."""
        return self._value

    def __repr__(self) -> str:
        return "Secret(hidden)"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(self._value, other._value)

    __hash__ = None  # type: ignore[assignment]  # a hash would be a fingerprint of the secret

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Secret is neither copied nor pickled")


def load_or_create_master(directory: Path, name: str = MASTER_FILE) -> Secret:
    """The master key of an installation: 32 random bytes in `directory`/`name`, made on first use.

    `directory` is the data directory's `keys`; it is made if missing, and must be closed to others.

    The file appears whole or not at all, and only once: processes that start together get the same key.

    Raises KeysError: `denied` when others than the owner may read the file or it cannot be opened, `invalid` when it
    is not a key, `unavailable` when the disk fails.
    """
    path = directory / name
    create_once(path, lambda: secrets.token_bytes(MASTER_BYTES))
    return read_master(path)


def read_master(path: Path) -> Secret:
    """The master key in that file, see `load_or_create_master`. Raises KeysError."""
    value = read_closed(path)
    if len(value) != MASTER_BYTES:
        raise KeysError(
            "invalid",
            f"{path} is not a master key: it must be a file of exactly {MASTER_BYTES} bytes.",
            "Restore it from a backup: what is sealed with it can be opened with nothing else.",
        )
    return Secret(value)


def create_once(path: Path, make: Callable[[], bytes]) -> None:
    """Write what `make` gives to `path`, closed to others, unless something is there; whole or not at all.

    Of processes that do so together one succeeds, and all find what it wrote. Raises KeysError.
    """
    try:
        _check_directory(path.parent)
        if not os.path.lexists(path):
            _create(path, make())
    except OSError as error:
        raise _refusal(path, error) from error


def read_closed(path: Path) -> bytes:
    """What is in a small file that must be closed to others and no link. Raises KeysError denied, unavailable."""
    try:
        _check_directory(path.parent)
        return _read(path)
    except OSError as error:
        raise _refusal(path, error) from error


def replace_durably(draft: Path, path: Path) -> None:
    """Let `draft` take the place of `path`, in one step that outlives a power cut. Raises KeysError unavailable."""
    try:
        draft.rename(path)
        _sync_directory(path.parent)
    except OSError as error:
        raise _refusal(path, error) from error


def _check_directory(directory: Path) -> None:
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    status = directory.lstat()
    if not stat.S_ISDIR(status.st_mode):
        raise KeysError("denied", f"{directory} is a link, not a directory.", "Put a real directory in its place.")
    _refuse_shared(directory, status, "700")


def _create(path: Path, value: bytes) -> None:
    """Write `value` beside `path` and link it there; a link fails, where a rename would replace, if one is there."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        _write(draft, value)
        with suppress(FileExistsError):  # another process was first: its key is the key
            os.link(draft, path)
    finally:
        draft.unlink(missing_ok=True)
    _sync_directory(path.parent)


def _write(path: Path, value: bytes) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with os.fdopen(handle, "wb") as file:
        os.fchmod(handle, 0o600)  # whatever the umask says
        file.write(value)
        file.flush()
        os.fsync(handle)


def _sync_directory(directory: Path) -> None:
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _read(path: Path) -> bytes:
    # O_NONBLOCK: a pipe put in the key's place must not hang the start.
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(handle, "rb") as file:
        status = os.fstat(handle)
        if not stat.S_ISREG(status.st_mode):
            raise KeysError(
                "invalid",
                f"{path} is not a master key: it must be a plain file.",
                "Restore it from a backup: what is sealed with it can be opened with nothing else.",
            )
        _refuse_shared(path, status, "600")
        return file.read(LARGEST)


def _refuse_shared(path: Path, status: os.stat_result, mode: str) -> None:
    if status.st_uid not in (os.geteuid(), 0) and os.geteuid() != 0:
        raise KeysError("denied", f"{path} belongs to another user.", "Start dropslot as the user who owns it.")
    if status.st_mode & 0o077:
        raise KeysError("denied", f"{path} is open to other users.", f"Close it with: chmod {mode} {path}")


def _refusal(path: Path, error: OSError) -> KeysError:
    reason = (error.strerror or "unknown error").lower()
    if error.errno == errno.ELOOP:
        return KeysError("denied", f"{path} is a link; the master key must be a real file.", "Move the file there.")
    if isinstance(error, PermissionError):
        hint = "Start dropslot as the user who owns the data directory."
        return KeysError("denied", f"The master key {path} cannot be read or written ({reason}).", hint)
    hint = "Check that the disk is there, has free space and can be written."
    return KeysError("unavailable", f"The master key {path} cannot be read or written ({reason}).", hint)
