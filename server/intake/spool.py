"""The spool: files that are whole and not yet ingested. Until the database has them, it is the truth.

    spool/<id>.data    the content; a hard link of the file as it was sent, never changed in place by anyone
    spool/<id>.json    its `Manifest`, in the last line; renamed into place last: that is the moment of acceptance

Accepting is durable by default: data, manifest and directory are on the disk before it returns. Several acceptances at
once share one `fsync` of the directory.
"""

import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path, PurePosixPath
from typing import Any, Literal

from server.errors import AppError, Code
from server.intake.durable import DirectorySync, is_there, read_json, write_json
from server.intake.nameless import link_open
from server.intake.rubbish import AGE, drop_stale, is_older
from server.intake.spares import Spares
from server.intake.taken import Footprint

Source = Literal["sftp", "sweep", "cli", "sync"]

SETTLED_AGE = 120.0  # no settle time is longer than a minute, so what is older need not be read


@dataclass(frozen=True)
class Manifest:
    """What is known of an accepted file when it is accepted. Instants are UTC, sizes bytes.

    `agency` is its slug, `path` what the agency calls it. Nobody may work on the file before `not_before`: until then
    its sender may still take it back. `dev`, `ino` and `mtime_ns` are those of the file in the agency's home.
    `profile` is the id of the one that was chosen for it; None: the profiles of our own endpoint are matched.
    """

    id: str
    agency: str
    path: str
    size: int
    source: Source
    session: str | None
    client: str | None
    opened_at: datetime
    closed_at: datetime
    not_before: datetime
    declared_size: int | None = None
    dev: int | None = None
    ino: int | None = None
    mtime_ns: int | None = None
    profile: str | None = None

    @property
    def name(self) -> str:
        """The file's name without its folder."""
        return PurePosixPath(self.path).name

    @property
    def footprint(self) -> Footprint | None:
        """How the file in the agency's home is known again; None if it never lay there."""
        if self.dev is None or self.ino is None or self.mtime_ns is None:
            return None
        return Footprint(self.dev, self.ino, self.size, self.mtime_ns)

    def to_json(self) -> dict[str, Any]:
        """A JSON object; instants in ISO 8601."""
        instants = {key: getattr(self, key).isoformat() for key in ("opened_at", "closed_at", "not_before")}
        return {**vars(self), **instants}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> "Manifest":
        """The reverse of `to_json`; raises KeyError, TypeError or ValueError on anything else."""
        instants = {key: datetime.fromisoformat(data[key]) for key in ("opened_at", "closed_at", "not_before")}
        return cls(**{**data, **instants})


class Spool:
    """The directory of accepted files; any number of threads and processes may use it at once."""

    def __init__(self, root: Path, durable: bool = True) -> None:
        self.root = root
        root.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.durable = durable
        self._folder = str(root)
        self._sync = DirectorySync(root) if durable else None
        self._spares = None if durable else Spares(root)

    def accept_link(self, manifest: Manifest, fd: int, note: str | None = None) -> None:
        """Accept the open file `fd` by a second link to it: no copying, and no race can link another file.

        `note` is a file whose last line is the manifest, durably, and that is to become it (see `Journal.offer`); who
        has one has flushed `fd` as well.
        Raises OSError if the disk refuses; then nothing is accepted. Accepting the same file under the same id again
        renews its manifest.
        """
        if note is None:
            self.flush(fd)
        self._link(fd, manifest.id)
        self._commit(manifest, note)

    def flush(self, fd: int) -> None:
        """Put the content of the open file `fd` on the disk, if accepting is durable."""
        if self.durable:
            os.fsync(fd)

    def accept_copy(self, manifest: Manifest, path: Path) -> None:
        """Accept a copy of the file at `path` (a file that did not come through the door).

        Raises OSError if it cannot be read or written, `AppError` invalid if it is no plain file.
        """
        data = self.data_path(manifest.id)
        beside = data.with_suffix(".copy")
        try:
            size = _copy(path, beside, self.durable)
            beside.rename(data)
        except (OSError, AppError):
            beside.unlink(missing_ok=True)
            raise
        self._commit(replace(manifest, size=size), None)

    def retract(self, id_: str) -> None:
        """The file is not accepted any more (its sender removed it); nothing happens if it is not there."""
        Path(self._manifest(id_)).unlink(missing_ok=True)
        self.data_path(id_).unlink(missing_ok=True)
        Path(self._manifest(id_)).unlink(missing_ok=True)  # whoever renewed it just before has made it anew

    def remove(self, id_: str) -> None:
        """The file has been dealt with and is kept elsewhere."""
        if self._spares:
            with suppress(FileNotFoundError):
                self._spares.keep(self._manifest(id_), id_)
        self.retract(id_)

    def renew(self, manifest: Manifest) -> None:
        """Replace the manifest of a file that is accepted already; nothing happens if it is not (any more).

        Raises OSError.
        """
        if is_there(self._manifest(manifest.id)):
            write_json(self._manifest(manifest.id), manifest.to_json(), self._sync)
            if not self.data_path(manifest.id).exists():  # it was removed meanwhile, and its manifest before it
                Path(self._manifest(manifest.id)).unlink(missing_ok=True)

    def find(self, id_: str) -> Manifest | None:
        """The manifest of that id, or None."""
        return _read(self._manifest(id_))

    def ids_before(self, id_: str) -> list[str]:
        """The ids of the accepted files that came before the one of that id, in their order."""
        with os.scandir(self._folder) as files:
            ids = [file.name.removesuffix(".json") for file in files if file.name < id_ and file.name.endswith(".json")]
        return sorted(ids)

    def stamp(self, id_: str) -> tuple[int, int] | None:
        """What changes when the manifest of that id is renewed; None if there is none (any more)."""
        try:
            status = os.lstat(self._manifest(id_))
        except FileNotFoundError:
            return None
        return status.st_ino, status.st_mtime_ns

    def find_settling(self, status: os.stat_result, at: datetime) -> Manifest | None:
        """The manifest of the file that `status` describes if its sender may still take it back at `at`, or None."""
        mine = status.st_dev, status.st_ino
        return next((manifest for manifest in self.settling(at) if (manifest.dev, manifest.ino) == mine), None)

    def settling(self, at: datetime) -> Iterator[Manifest]:
        """The accepted files that their senders may still take back at `at`, in no order."""
        recent = (_read(str(file)) for file in self.root.glob("*.json") if not _is_older(file, SETTLED_AGE))
        return (manifest for manifest in recent if manifest and manifest.not_before > at)

    def all(self) -> Iterator[Manifest]:
        """All accepted files, oldest first; those whose manifest cannot be read are left out (see `broken`)."""
        for file in sorted(self.root.glob("*.json")):
            if manifest := _read(str(file)):
                yield manifest

    def pending(self, at: datetime) -> Iterator[Manifest]:
        """The accepted files that may be worked on at `at`, oldest first.

        Also those that must wait for longer than any does: they came by a clock that has been set back.
        """
        late = at + timedelta(seconds=SETTLED_AGE)
        return (manifest for manifest in self.all() if manifest.not_before <= at or manifest.not_before > late)

    def broken(self) -> list[Path]:
        """Manifests that cannot be read, or whose data is gone: an operator must see them."""
        return [file for file in sorted(self.root.glob("*.json")) if _is_broken(file)]

    def data_path(self, id_: str) -> Path:
        """Where the content of that id lies."""
        return self.root / f"{id_}.data"

    def sweep_rubbish(self, age: float = AGE) -> int:
        """Delete what a crash left half made and that is older than `age` seconds; how many files that were."""
        halves = [*self.root.glob("*.data"), *self.root.glob("*.copy"), *self.root.glob("*.tmp")]
        return drop_stale((file for file in halves if _is_without(file.with_suffix(".json"))), age)

    def _manifest(self, id_: str) -> str:
        return f"{self._folder}/{id_}.json"

    def _link(self, fd: int, id_: str) -> None:
        place = f"{self._folder}/{id_}.data"
        try:
            link_open(fd, place)
        except FileExistsError:
            if os.path.samestat(os.fstat(fd), Path(place).stat()):
                return
            if is_there(self._manifest(id_)):
                raise
            Path(place).unlink()  # of an acceptance that a crash cut off; its sender has begun anew
            link_open(fd, place)

    def _commit(self, manifest: Manifest, note: str | None) -> None:
        file = self._manifest(manifest.id)
        try:
            if note is None:
                write_json(file, manifest.to_json(), self._sync)
            else:
                os.rename(note, file)  # noqa: PTH104  for each file that a court sends
                if self._sync:
                    self._sync.flush()
        except OSError:
            if not is_there(file):
                self.data_path(manifest.id).unlink(missing_ok=True)
            raise


def _copy(path: Path, target: Path, durable: bool) -> int:
    with open(path, "rb", opener=_open_plain) as source, target.open("wb") as copy:
        shutil.copyfileobj(source, copy, 1024 * 1024)
        copy.flush()
        if durable:
            os.fsync(copy.fileno())
        return copy.tell()


def _open_plain(path: str, flags: int) -> int:
    fd = os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise AppError(Code.INVALID, f"{Path(path).name} is not a plain file.", "Name the file itself.")
    return fd


def _read(file: str) -> Manifest | None:
    try:
        return Manifest.from_json(read_json(file)[-1])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _is_broken(file: Path) -> bool:
    return (_read(str(file)) is None and file.exists()) or not file.with_suffix(".data").exists()


def _is_older(file: Path, age: float) -> bool:
    with suppress(FileNotFoundError):
        return is_older(file, age)
    return False


def _is_without(manifest: Path) -> bool:
    """Whether there is no such manifest; not if that cannot be told."""
    with suppress(OSError):
        return not is_there(manifest)
    return False
