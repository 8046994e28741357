"""Which profile takes a file: of those that fit, exactly one, the most specific."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from ingest.arrival import ArrivalState, Profile, plain_directory
from ingest.inbox.rules import Word, collide, fold, read_rule

_ANSWER = re.compile(r"(.+)\.[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\.errors\.csv", re.IGNORECASE | re.DOTALL)
"""The name of an error file (`ingest.answer.answer_name`), and in it that of the file that it answers."""


@dataclass(frozen=True)
class Choice:
    """The verdict on a file (received, blocked or unmatched), the profile it concerns, and a sentence that says why."""

    state: ArrivalState
    profile: Profile | None
    detail: str


def choose(name: str, directory: str, profiles: Iterable[Profile]) -> Choice:
    """Choose among profiles of one server.

    They must be of exactly the file's directory, their keyword must fit and their blockword must not. The keyword of
    the greatest measure wins (`ingest.inbox.rules`), a profile without one comes last. Profiles that were made before
    ties were refused go by their names. A profile whose Auto-Sync is off keeps its files from those that are less
    specific, but not from its equal. What the most specific one blocks may be another profile's of its agency, but no
    other agency's: its keyword says whose file it is.

    Corrected rows that come back in an error file go the way of the file that they are from, whose name is in theirs.
    """
    profiles, answered = list(profiles), _ANSWER.fullmatch(name)
    original = _choose(answered[1], directory, profiles) if answered else None
    return original if original and original.profile else _choose(name, directory, profiles)


def _choose(name: str, directory: str, profiles: Sequence[Profile]) -> Choice:
    folded, folder = fold(name), plain_directory(directory)
    here = [profile for profile in profiles if profile.directory == folder]
    fitting = sorted(
        (profile for profile in here if _fits(profile.keyword, folded)),
        key=lambda profile: (*_rank(profile.keyword, folded), not profile.auto_sync, profile.name),
    )
    for profile in fitting:
        if profile.agency_id == fitting[0].agency_id and not (profile.blockword and _fits(profile.blockword, folded)):
            return _chosen(profile)
    if fitting:
        blocking = fitting[0]
        detail = f"Its name holds {blocking.blockword!r}, which the profile {blocking.name} blocks."
        return Choice(ArrivalState.BLOCKED, blocking, detail)
    if here:
        words = ", ".join(repr(profile.keyword) for profile in here)
        return Choice(ArrivalState.UNMATCHED, None, f"No profile's keyword is in its name; {folder} has: {words}.")
    return Choice(ArrivalState.UNMATCHED, None, f"No profile reads the directory {folder}.")


def find_tie(profile: Profile, others: Sequence[Profile]) -> Profile | None:
    """One of the `others` on the same server that would take a file which the profile would take with equal right.

    What has its Auto-Sync off takes nothing, and ties with nobody until it is switched on.
    """
    for other in others:
        alike = other.server_id == profile.server_id and is_same_place(profile, other.directory, profile.directory)
        own_home = profile.server_id is None and other.agency_id != profile.agency_id
        if other.id == profile.id or not alike or own_home or not (profile.auto_sync and other.auto_sync):
            continue
        if collide(profile.keyword, other.keyword) and not (_excludes(profile, other) or _excludes(other, profile)):
            return other
    return None


def is_same_place(profile: Profile, directory: str, other: str | None) -> bool:
    """Whether two directories of the profile's server may be one: on other servers capitals may not matter."""
    if profile.server_id is None or other is None:
        return directory == other
    return directory.casefold() == other.casefold()


def _chosen(best: Profile) -> Choice:
    if not best.auto_sync:
        return Choice(
            ArrivalState.UNMATCHED,
            None,
            f"The profile {best.name} would read it, but its Auto-Sync is off.",
        )
    return Choice(ArrivalState.RECEIVED, best, f"Profile {best.name} reads it with the template {best.template}.")


@lru_cache(maxsize=4096)
def _place(rule: str, folded: str) -> int | None:
    return read_rule(rule).find(folded)


def _fits(rule: str | None, folded: str) -> bool:
    return not rule or _place(rule, folded) is not None


def _rank(keyword: str | None, folded: str) -> tuple[int, int, int]:
    """Sorts the most specific keyword first."""
    if not keyword:
        return 1, 0, 0
    letters, kind = read_rule(keyword).measure
    return -letters, -kind, _place(keyword, folded) or 0


def _excludes(profile: Profile, other: Profile) -> bool:
    """Whether the profile's blockword keeps it from all that the other one takes."""
    if not profile.blockword or not other.keyword:
        return False
    block, keyword = read_rule(profile.blockword), read_rule(other.keyword)
    return isinstance(block, Word) and isinstance(keyword, Word) and block.text in keyword.text
