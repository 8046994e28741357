"""The walls: how a path of an agency becomes a file of this machine, and never one outside its home.

Nothing here joins strings to a path and hopes. A path is walked part by part from an open descriptor of the home, each
step with O_NOFOLLOW, and the last step is an *at() call relative to the directory reached. So a link that somebody
planted is never followed, and renaming a directory meanwhile leads nowhere else: a descriptor stays inside wherever
its directory moves, and directories only move within the home. Links, devices, sockets and pipes do not exist for the
agency: they are neither listed nor opened.
"""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from errno import EEXIST, EISDIR, ENOENT
from pathlib import Path

from server.sftp.emptying import empty_if_lost
from server.sftp.paths import AREAS, KNOWN_AREAS, UPLOAD, AgencyPath
from server.sftp.renaming import rename

# With O_PATH a directory is a place to go on from and nothing else; who watches it is not woken by that.
_DIRECTORY = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_LISTED = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_FILE = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class Jail:
    """One agency's home, for one session. All methods block, and raise OSError as the operating system does."""

    def __init__(self, home: Path) -> None:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._home = os.open(home, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            for area in AREAS:
                self._provide(area)
        except OSError:
            self.close()
            raise

    def close(self) -> None:
        """Let the home go."""
        fd, self._home = self._home, -1
        if fd >= 0:
            os.close(fd)

    @contextmanager
    def directory(self, path: AgencyPath) -> Iterator[int]:
        """A descriptor of the directory `path`, which is below `/`: only to go on from, and to look at."""
        fd = self._open_directory(path.parts)
        try:
            yield fd
        finally:
            os.close(fd)

    @contextmanager
    def listing(self, path: AgencyPath) -> Iterator[int]:
        """As `directory`, and its names can be read."""
        with self.directory(path) as place:
            fd = os.open(".", _LISTED, dir_fd=place)
        try:
            yield fd
        finally:
            os.close(fd)

    def _open_directory(self, parts: tuple[str, ...]) -> int:
        if not parts or parts[0] not in KNOWN_AREAS:
            raise OSError(ENOENT, "outside")
        fd = os.open(parts[0], _DIRECTORY, dir_fd=self._home)
        try:
            for part in parts[1:]:
                deeper = os.open(part, _DIRECTORY, dir_fd=fd)
                os.close(fd)
                fd = deeper
        except BaseException:
            os.close(fd)
            raise
        return fd

    @contextmanager
    def parent(self, path: AgencyPath) -> Iterator[tuple[int, str]]:
        """A descriptor of the directory that holds `path`, and the name in it."""
        if not path.is_inside:
            raise OSError(ENOENT, "outside")
        fd = self._open_directory(path.parts[:-1])
        try:
            yield fd, path.parts[-1]
        finally:
            os.close(fd)

    def stat(self, path: AgencyPath) -> os.stat_result:
        """What is at `path`: a file or a directory. ENOENT for anything else."""
        if not path.is_inside:
            with self.directory(path) as fd:
                return os.fstat(fd)
        fd = self._open_directory(path.parts[:-1])
        try:
            return stat_at(fd, path.parts[-1])
        finally:
            os.close(fd)

    def find(self, path: AgencyPath) -> os.stat_result | None:
        """As `stat`, but None if nothing can be found there."""
        try:
            return self.stat(path)
        except OSError:
            return None

    def open(self, path: AgencyPath, flags: int) -> int:
        """Open the plain file at `path`; `flags` is O_RDONLY or O_RDWR."""
        with self.parent(path) as (fd, name):
            return open_at(fd, name, flags)

    def names(self, path: AgencyPath) -> list[str]:
        """The names in the directory `path`, those that are no UTF-8 left out."""
        with self.listing(path) as fd:
            return sorted(name for name in os.listdir(fd) if _is_utf8(name))  # noqa: PTH208  a descriptor, no path

    def describe(self, path: AgencyPath, names: list[str]) -> list[tuple[str, os.stat_result]]:
        """Those of `names` in the directory `path` that are (still) files or directories, with their stat."""
        with self.directory(path) as fd:
            found = ((name, _stat_if_shown(fd, name)) for name in names)
            return [(name, status) for name, status in found if status]

    def files(self, path: AgencyPath) -> Iterator[tuple[str, os.stat_result]]:
        """The plain file at `path`, or those below that directory, as far as they are still there: path and stat."""
        found = self.find(path)
        if found and stat.S_ISREG(found.st_mode):
            yield str(path), found
        elif found:
            with suppress(OSError), self.listing(path) as top:
                for folder, _, names, fd in os.fwalk(".", dir_fd=top):
                    shown = ((name, _stat_if_shown(fd, name)) for name in names if _is_utf8(folder + name))
                    yield from ((f"{path}{folder[1:]}/{name}", status) for name, status in shown if status)

    def count_directories(self, path: AgencyPath) -> int:
        """How many directories there are below the directory `path`."""
        with self.listing(path) as top:
            return sum(len(folders) for _, folders, _, _ in os.fwalk(".", dir_fd=top))

    def mkdir(self, path: AgencyPath) -> None:
        """Make the directory `path`."""
        with self.parent(path) as (fd, name):
            os.mkdir(name, 0o700, dir_fd=fd)

    def rmdir(self, path: AgencyPath) -> None:
        """Delete the empty directory `path`."""
        with self.parent(path) as (fd, name):
            stat_at(fd, name)
            os.rmdir(name, dir_fd=fd)

    def unlink(self, path: AgencyPath) -> None:
        """Delete the plain file `path`."""
        with self.parent(path) as (fd, name):
            if stat.S_ISDIR(stat_at(fd, name).st_mode):
                raise OSError(EISDIR, "a directory")
            with losing(fd, name, really=path.area == UPLOAD):
                os.unlink(name, dir_fd=fd)

    def rename(self, old: AgencyPath, new: AgencyPath, replace: bool) -> None:
        """Give `old` the name `new`; EEXIST if that is taken and not to be replaced.

        What is not there for the agency (a link of the operator's, say) is never replaced.
        """
        with self.parent(old) as (old_fd, old_name), self.parent(new) as (new_fd, new_name):
            stat_at(old_fd, old_name)
            stat_or_none(new_fd, new_name)
            with losing(new_fd, new_name, really=replace and new.area == UPLOAD):
                rename(old_fd, old_name, new_fd, new_name, replace)

    def set_times(self, path: AgencyPath, times: tuple[float, float]) -> None:
        """Set access and modification time (seconds since 1970) of `path`."""
        with self.parent(path) as (fd, name):
            stat_at(fd, name)
            os.utime(name, times, dir_fd=fd, follow_symlinks=False)

    def statvfs(self, path: AgencyPath) -> os.statvfs_result:
        """The file system that `path` is on."""
        self.stat(path)
        return os.fstatvfs(self._home)

    def _provide(self, area: str) -> None:
        try:
            os.stat(area, dir_fd=self._home, follow_symlinks=False)
        except FileNotFoundError:
            with suppress(FileExistsError):  # another session of the agency was quicker
                os.mkdir(area, 0o700, dir_fd=self._home)


def stat_at(fd: int, name: str) -> os.stat_result:
    """The file or directory `name` in the directory `fd`; ENOENT if it is neither."""
    status = os.stat(name, dir_fd=fd, follow_symlinks=False)
    if not stat.S_ISREG(status.st_mode) and not stat.S_ISDIR(status.st_mode):
        raise OSError(ENOENT, "neither file nor directory")
    return status


def stat_or_none(fd: int, name: str) -> os.stat_result | None:
    """As `stat_at`, None if nothing is there; EEXIST for a link or device, which is neither shown nor replaced."""
    try:
        status = os.stat(name, dir_fd=fd, follow_symlinks=False)
    except FileNotFoundError:
        return None
    if not stat.S_ISREG(status.st_mode) and not stat.S_ISDIR(status.st_mode):
        raise OSError(EEXIST, "taken by no plain file")
    return status


def open_at(fd: int, name: str, flags: int) -> int:
    """Open the plain file `name` in the directory `fd`.

    It is looked at first, since merely opening a device can do something; and again afterwards, since it may have
    changed in between. O_NONBLOCK keeps a pipe that appears just then from blocking us.
    """
    if stat.S_ISDIR(stat_at(fd, name).st_mode):
        raise OSError(EISDIR, "a directory")
    opened = os.open(name, flags | _FILE, dir_fd=fd)
    if not stat.S_ISREG(os.fstat(opened).st_mode):
        os.close(opened)
        raise OSError(ENOENT, "no plain file")
    return opened


@contextmanager
def losing(fd: int, name: str, really: bool) -> Iterator[None]:
    """In the block `name` in the directory `fd` is taken away from the plain file that has it, if any (and `really`).

    If an upload goes on without a name then, what it holds on the disk is freed.
    """
    file = -1
    if really:
        with suppress(OSError):  # nothing there, say, or a directory
            file = open_at(fd, name, os.O_RDWR)
    try:
        yield
        if file >= 0:
            empty_if_lost(file)
    finally:
        if file >= 0:
            os.close(file)


def _stat_if_shown(fd: int, name: str) -> os.stat_result | None:
    try:
        return stat_at(fd, name)
    except OSError:
        return None


def _is_utf8(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
