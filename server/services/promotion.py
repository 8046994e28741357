"""Copying what was tried out in one agency to another: templates and profiles, and nothing else."""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from difflib import unified_diff

from sqlalchemy import Connection

from ingest import inbox
from ingest.arrival import Profile
from ingest.template import TemplateVersion
from server.agencies import Agency, find_agency
from server.clock import new_id, now
from server.errors import AppError, Code

_OWN = ("id", "agency_id")


@dataclass(frozen=True)
class TemplateChange:
    """A template of the one agency that the other lacks, or has in another text: the lines of the difference.

    `warnings` are sentences on what the other agency's next file would make a second time.
    """

    name: str
    version: int
    text: str
    diff: tuple[str, ...]
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class ProfileChange:
    """A profile of the one agency that the other lacks (`was` is None) or has otherwise."""

    profile: Profile
    was: Profile | None

    @property
    def differing(self) -> tuple[tuple[str, object, object], ...]:
        """What differs: name, what it was (None if there was no profile), what it will be."""
        # On another server, both agencies would take the same files: each has its own switch there.
        own = (*_OWN, "name", *(("auto_sync",) if self.profile.server_id else ()))
        names = [each.name for each in fields(Profile) if each.name not in own]
        pairs = [(name, getattr(self.was, name, None), getattr(self.profile, name)) for name in names]
        return tuple(pair for pair in pairs if pair[1] != pair[2])


@dataclass(frozen=True)
class Promotion:
    """What is to be copied. What only the other agency has is left alone."""

    templates: tuple[TemplateChange, ...]
    profiles: tuple[ProfileChange, ...]

    def __bool__(self) -> bool:
        return bool(self.templates or self.profiles)


def compare(conn: Connection, staging: str, production: str) -> Promotion:
    """What `production` lacks of the templates and profiles of `staging`, both named by their slugs.

    Raises `AppError` not_found for an agency that there is not, invalid if they are one, or the wrong way round.
    """
    source, target = _agencies(conn, staging, production)
    there = {each.name: each for each in inbox.list_templates(conn, target.id)}
    templates = [
        _difference(each, there.get(each.name), staging, production, inbox.warnings(conn, target.id, each.text))
        for each in inbox.list_templates(conn, source.id)
        if each.agency_id and (each.name not in there or there[each.name].text != each.text)
    ]
    old = {profile.name: profile for profile in inbox.list_profiles(conn, target.id)}
    profiles = [ProfileChange(each, old.get(each.name)) for each in inbox.list_profiles(conn, source.id)]
    changed = tuple(each for each in profiles if each.was is None or each.differing)
    return Promotion(tuple(templates), changed)


def promote(conn: Connection, staging: str, production: str, agreed: Promotion) -> None:
    """Copy what was `agreed` upon. Raises `AppError` conflict if something else would be copied by now."""
    if compare(conn, staging, production) != agreed:
        raise AppError(
            Code.CONFLICT, "Templates or profiles were changed meanwhile.", "Run the command again and look anew."
        )
    _, target = _agencies(conn, staging, production)
    for template in agreed.templates:
        inbox.add_template(conn, target.id, template.text, now())
    for change in agreed.profiles:
        inbox.keep_profile(conn, _copied(change, target))


def _copied(change: ProfileChange, target: Agency) -> Profile:
    """The profile as the other agency gets it; on another server its Auto-Sync is as it was there, or off."""
    copied = replace(change.profile, id=change.was.id if change.was else new_id(), agency_id=target.id)
    if copied.server_id is None:
        return copied
    return replace(copied, auto_sync=change.was is not None and change.was.auto_sync)


def _agencies(conn: Connection, staging: str, production: str) -> tuple[Agency, Agency]:
    source, target = find_agency(conn, staging), find_agency(conn, production)
    if source.id == target.id:
        raise AppError(Code.INVALID, "Both are the same agency.", "Name the one to copy from, then the one to copy to.")
    if target.staging and not source.staging:
        raise AppError(
            Code.INVALID,
            f"{production} is for trials, and {staging} is not.",
            f"The other way round: dropslot agency promote {production} {staging}",
        )
    return source, target


def _difference(
    new: TemplateVersion, old: TemplateVersion | None, staging: str, production: str, warnings: tuple[str, ...]
) -> TemplateChange:
    before: Sequence[str] = old.text.splitlines() if old else ()
    names = (f"{production}/{new.name}" if old else "/dev/null", f"{staging}/{new.name}")
    diff = unified_diff(before, new.text.splitlines(), *names, lineterm="")
    return TemplateChange(new.name, new.version, new.text, tuple(diff), warnings)
