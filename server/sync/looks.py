"""Which of the files that lie there are brought now, which wait, and which are nobody's. Pure.

A file that somebody still writes must not be brought. It is whole if it was seen as it is a quiet time ago; or if it
was last written longer ago than that, by its own time, and does not change between two looks of this cycle (its
server's clock may go wrong). An object of a bucket has a version, and is there whole or not at all.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from ingest import inbox
from ingest.arrival import ArrivalState, Profile
from server.intake.names import is_temporary
from server.remotes.port import RemoteFile
from server.sync.files import Known
from server.sync.tables import LONGEST_PATH

TAKEN_ELSEWHERE = "Another agency has taken it already."


@dataclass(frozen=True)
class Found:
    """A file that a profile takes, and what is known of it (None: nothing yet)."""

    profile: Profile
    file: RemoteFile
    known: Known | None

    @property
    def is_taken(self) -> bool:
        """Whether this very version was taken already."""
        return bool(self.known and self.known.taken_at and self.known.is_of(self.file))

    @property
    def is_begun(self) -> bool:
        """Whether bringing this very version was begun: it was whole then."""
        return bool(self.known and self.known.arrival_id and self.known.is_of(self.file))


@dataclass(frozen=True)
class Left:
    """A file that no profile takes, or not under this name; `profile` is the one it concerns, None: all that look."""

    file: RemoteFile
    profile: Profile | None
    why: str


@dataclass
class View:
    """A directory as it was seen: all its files, those that profiles take, those that are left."""

    files: list[RemoteFile] = field(default_factory=list)
    found: list[Found] = field(default_factory=list)
    left: list[Left] = field(default_factory=list)


def view(
    directory: str, files: Iterable[RemoteFile], profiles: Iterable[Profile], known: Mapping[tuple[str, str], Known]
) -> View:
    """Give each file to the one profile that takes it."""
    seen, all_profiles = View(list(files)), list(profiles)
    taken: dict[str, list[Known]] = {}
    for one in known.values():
        if one.taken_at:
            taken.setdefault(one.path, []).append(one)
    for file in seen.files:
        odd = _oddity(file)
        if odd:
            seen.left.append(Left(file, None, odd))
            continue
        choice = inbox.choose(file.name, directory, all_profiles)
        if choice.state is ArrivalState.RECEIVED and choice.profile:
            here = known.get((choice.profile.agency_id, file.path))
            if any(one.agency_id != choice.profile.agency_id and one.is_of(file) for one in taken.get(file.path, ())):
                seen.left.append(Left(file, choice.profile, TAKEN_ELSEWHERE))
                continue
            seen.found.append(Found(choice.profile, file, here))
        else:
            seen.left.append(Left(file, choice.profile, choice.detail))
    return seen


def restless(found: Found, at: datetime, quiet: timedelta) -> str:
    """Why the file may not be whole yet, in a sentence; empty if it may be brought after a second look."""
    if is_whole(found, at, quiet):
        return ""
    if found.known and not found.known.is_of(found.file) and found.known.seen_at > at - quiet:
        return f"It has changed since it was seen last: {found.known.size} bytes then, {found.file.size} now."
    if at - quiet < found.file.modified <= at + quiet:
        return f"It was written {max((at - found.file.modified).total_seconds(), 0):.0f} seconds ago."
    return ""


def is_whole(found: Found, at: datetime, quiet: timedelta) -> bool:
    """Whether no second look is needed."""
    if found.file.version or found.is_begun:
        return True
    return bool(found.known and found.known.is_of(found.file) and found.known.seen_at <= at - quiet)


def in_order(found: Iterable[Found], order: str) -> list[Found]:
    """The files in a profile's order."""
    by_name = sorted(found, key=lambda one: one.file.name, reverse=order == "name-descending")
    if order.startswith("name"):
        return by_name
    return sorted(by_name, key=lambda one: one.file.modified, reverse=order == "newest")


def _oddity(file: RemoteFile) -> str:
    if file.oddity:
        return file.oddity
    if is_temporary(file.name):
        return "Its name says that it is not whole yet."
    if len(file.path) > LONGEST_PATH:
        return f"Its path is longer than {LONGEST_PATH} characters."
    if not file.path.isprintable():
        return "Its name has characters that cannot be shown."
    return ""
