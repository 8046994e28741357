"""Looks over an installation as an operator would, and says in sentences what it finds."""

import shlex
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from importlib.metadata import version

from sqlalchemy import Connection

from ingest import inbox
from ingest.answer import Upload
from ingest.arrival import Arrival
from ingest.errors import IngestError
from ingest.limits import Limits
from keys.errors import KeysError
from keys.sshkey import winscp_fingerprint
from keys.store import Authority, ensure_host_keys, list_authorities, list_keys
from server.agencies import Agency, list_agencies
from server.clock import new_id, now
from server.errors import AppError
from server.inbound.homes import Unread, find_unread
from server.mismatches import Mismatches
from server.outbound.exports.plan import overdue
from server.outbound.exports.store import list_exports
from server.remotes.reach import fingerprint, refuse_untrusted
from server.remotes.secrets import refuse_without
from server.remotes.server import Kind
from server.remotes.store import list_servers
from server.rotation import find_loss
from server.settings import Settings
from server.sizes import say_size
from server.state import State, door_port, is_served

LEAST_FREE = 1024**3
SHOWN = 10
GONE = "an agency that is gone"
TOLD = timedelta(days=14)
"""How long a file that was not taken is told; a court whose files do not fit sends another one by then."""
STRUGGLING = 5
"""Times that a job was begun; what passes by itself mostly has passed by then."""


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at: whether it is well, and what to do if not; a line for each thing."""

    subject: str
    good: bool
    sentence: str
    hint: str = ""


def counted(number: int, thing: str) -> str:
    """`1 key`, `2 keys`."""
    return f"{number:,} {thing if number == 1 else thing + 's'}"


def examine(state: State) -> list[Finding]:
    """All findings, in the order in which a file meets their subjects."""
    return [
        _program(),
        _server(state.settings),
        Finding("database", True, state.database.describe()),
        _disk(state.settings),
        _master_key(state),
        *_host_keys(state),
        *_agencies(state),
        *_servers(state),
        *_secrets(state),
        *_unread(state),
        *_spool(state),
        *_waiting(state),
        *_unmatched(state),
        *_stopped(state),
        *_failed(state),
        *_jobs(state),
        *_exports(state),
        *_mismatches(state),
    ]


def examine_shut(settings: Settings, refusal: AppError) -> list[Finding]:
    """What can be told while the database cannot be used, as `refusal` says."""
    database = Finding("database", False, refusal.message, refusal.hint)
    return [_program(), _server(settings), database, _disk(settings)]


def _program() -> Finding:
    return Finding("program", True, f"Python {sys.version.split()[0]}, asyncssh {version('asyncssh')}")


def _server(settings: Settings) -> Finding:
    """Who restores a backup, or moves house, asks while it is stopped: that is no fault, and told all the same."""
    try:
        served = is_served(settings.data)
    except OSError as error:
        return Finding("server", True, f"whether it runs cannot be told ({(error.strerror or 'unknown').lower()})")
    if served:
        return Finding("server", True, f"running, port {door_port(settings)}")
    return Finding("server", True, "not running, so nothing is received meanwhile (dropslot serve starts it)")


def _disk(settings: Settings) -> Finding:
    free = shutil.disk_usage(settings.data).free
    sentence = f"{settings.data} has {say_size(free)} free"
    return Finding("disk", free >= LEAST_FREE, sentence, "Free some space: a full disk refuses uploads.")


def _master_key(state: State) -> Finding:
    masters = state.masters
    try:
        sentence = f"{masters.cipher().key_id} in {masters.place}"
    except KeysError as error:
        return Finding("master key", False, error.message, error.hint)
    if masters.under_way:
        hint = "Both keys open what they sealed. Bring it to its end: dropslot key rotate-master"
        return Finding("master key", False, f"{sentence}; its replacement did not come to its end", hint)
    return Finding("master key", True, sentence)


def _host_keys(state: State) -> Iterator[Finding]:
    try:
        with state.database.writing() as conn:
            keys = ensure_host_keys(conn, state.cipher(), now(), new_id)
    except KeysError as error:
        yield Finding("host key", False, error.message, error.hint)
        return
    for key in keys:
        yield Finding("host key", True, winscp_fingerprint(key.public))  # as -hostkey wants it


def _agencies(state: State) -> Iterator[Finding]:
    with state.database.reading() as conn:
        agencies, authorities = list_agencies(conn), list_authorities(conn)
        if not agencies:
            yield Finding(
                "agencies", False, "there is none", "Add one: dropslot agency add SLUG --name N --timezone TZ"
            )
        for agency in agencies:
            usable = [key for key in list_keys(conn, agency.id) if key.state(now()) == "active"]
            profiles = inbox.list_profiles(conn, agency.id)
            hints = []
            pulled = any(profile.server_id and profile.auto_sync for profile in profiles)
            if not usable and not pulled and not _has_another_way(agency, authorities):
                hints.append(f"It cannot log in; give it a key: dropslot key add {agency.slug} KEY.pub")
            if not profiles:
                hints.append(f"Nothing takes its files: dropslot profile add {agency.slug} NAME --template odyssey-ecr")
            sentence = f"{counted(len(usable), 'key')}, {counted(len(profiles), 'profile')}"
            sentence += "" if agency.enabled else ", disabled"
            yield Finding(f"agency {agency.slug}", not hints or not agency.enabled, sentence, "\n".join(hints))


def _has_another_way(agency: Agency, authorities: list[Authority]) -> bool:
    """Whether it may log in without a key of its own: with a password, or a certificate."""
    return bool(agency.password_hash) or any(one.agency_id in (None, agency.id) for one in authorities)


def _servers(state: State) -> Iterator[Finding]:
    """Servers with which nothing is exchanged until a person has looked at their host key, or given a secret."""
    with state.database.reading() as conn:
        servers = list_servers(conn)
    for server in servers:
        try:
            refuse_untrusted(server)
            refuse_without(server)
        except AppError as error:
            yield Finding(f"server {server.name}", False, error.message, error.hint)
            continue
        if server.kind is Kind.SFTP:
            yield Finding(f"server {server.name}", True, f"its host key {fingerprint(server.host_key)} is trusted")


def _secrets(state: State) -> Iterator[Finding]:
    """Secrets of servers that were sealed with another master key, or altered."""
    try:
        lost = find_loss(state).secrets
    except KeysError:
        return  # told of the master key
    for server, field in lost:
        what = f"its {field.value.replace('_', ' ')} does not open with the master key at hand"
        hint = f"Put the right master key back, or give it again: dropslot server edit {server.name} ..."
        yield Finding(f"server {server.name}", False, what, hint)


def _unread(state: State) -> Iterator[Finding]:
    """Files that lie in an agency's /upload, mostly copied there by somebody else, and that nothing can be made of."""
    with state.database.reading() as conn:
        slugs = [agency.slug for agency in list_agencies(conn)]
    unread = [one for slug in slugs for one in find_unread(state.settings.home(slug), slug)]
    for one in unread[:SHOWN]:
        yield Finding(
            f"agency {one.agency}", False, f"{one.path} cannot be read ({one.reason})", how_to_read(state, one)
        )
    if len(unread) > SHOWN:
        yield Finding("files", False, f"{counted(len(unread) - SHOWN, 'more file')} or directories cannot be read")


def how_to_read(state: State, unread: Unread) -> str:
    """What to do about a file that cannot be read."""
    place = state.settings.home(unread.agency) / unread.path.removeprefix("/")
    return f"Give it to the user that dropslot runs as: chown -R USER {shlex.quote(str(place))}"


def _spool(state: State) -> Iterator[Finding]:
    waiting = len(list(state.spool.all()))
    broken = [file.name for file in state.spool.broken()]
    sentence = f"{counted(waiting, 'file')} waiting"
    if broken:
        sentence += f", {len(broken)} that cannot be read: {', '.join(broken)}"
    hint = f"Look at them in {state.settings.spool}; nothing else can name them."
    yield Finding("spool", not broken, sentence, hint)
    yield from _notes(state)


def _notes(state: State) -> Iterator[Finding]:
    """Notes of unfinished uploads that cannot be read: none of their files is taken, since it may be half a file."""
    broken = [file.name for file in state.journal.broken()]
    if not broken:
        return
    more = f" and {len(broken) - SHOWN:,} more" if len(broken) > SHOWN else ""
    what = f"{counted(len(broken), 'note')} in {state.journal.root} cannot be read: {', '.join(broken[:SHOWN])}{more}"
    hint = (
        "Each is of an upload that was not whole yet, and until it is mended that file is not taken.\n"
        "If the note is another user's, give it to the one that dropslot runs as. If it is damaged, have the court\n"
        "send the file again; or delete the note, once you know that the file is whole. A note is named by its file:\n"
        "printf 'SLUG\\0/upload/FILE' | sha256sum"
    )
    yield Finding("spool", False, what, hint)


def _waiting(state: State) -> Iterator[Finding]:
    """Files that take effect only once a person has said so."""
    with state.database.reading() as conn:
        slugs = {agency.id: agency.slug for agency in list_agencies(conn)}
        uploads = inbox.awaiting_uploads(conn)
    for upload in uploads:
        why = upload.error.message if upload.error else ""
        hint = (
            f"Look at it: dropslot upload show {upload.id}\n"
            f"If it is right: dropslot upload confirm {upload.id}\n"
            f"If not: dropslot upload reject {upload.id} --reason SENTENCE"
        )
        sentence = f"{upload.file} of {slugs.get(upload.agency_id, GONE)} waits for a person: {why}"
        yield Finding(f"upload {upload.id}", False, sentence, hint)


def _unmatched(state: State) -> Iterator[Finding]:
    """Files that no profile reads; of those of one directory and for one reason, the newest."""
    with state.database.reading() as conn:
        slugs = {agency.id: agency.slug for agency in list_agencies(conn)}
        arrivals = inbox.unmatched_arrivals(conn, now() - TOLD)
    groups: dict[tuple[str, str, str], list[Arrival]] = {}
    for arrival in arrivals:
        directory = arrival.path.rpartition("/")[0]
        groups.setdefault((arrival.agency_id, directory, arrival.detail), []).append(arrival)
    for (agency_id, directory, why), found in groups.items():
        agency, newest = slugs.get(agency_id, GONE), found[-1]
        hint = (
            f"Add the profile that is missing: dropslot profile add {agency} NAME --template TEMPLATE "
            f"--directory {shlex.quote(directory)}\n"
            f"Or change one that is there: dropslot profile list {agency}\n"
            f"Then have it read: dropslot arrival retry {newest.id}"
        )
        more = f" (and {counted(len(found) - 1, 'more file')} there)" if len(found) > 1 else ""
        yield Finding(f"arrival {newest.id}", False, f"{newest.path} of {agency}{more} was not taken: {why}", hint)


def _stopped(state: State) -> Iterator[Finding]:
    """Files that were not taken since their columns have changed: the next ones will not be either."""
    with state.database.reading() as conn:
        slugs = {agency.id: agency.slug for agency in list_agencies(conn)}
        uploads = [(each, _way_on(conn, each)) for each in inbox.stopped_uploads(conn, now() - TOLD)]
    for upload, refusal in uploads:
        agency = slugs.get(upload.agency_id, GONE)
        way = (
            f"Files that come so cannot be accepted: {refusal}"
            if refusal
            else f"If files will come so from now on: dropslot template accept {agency} {upload.template}\n"
            "Or change the template (template show, template add)."
        )
        hint = f"See what has changed: dropslot upload show {upload.id}\n{way}\nOr have the court send it as before."
        sentence = f"{upload.file} of {agency} was not taken: its columns are not those of {upload.template}"
        yield Finding(f"upload {upload.id}", False, sentence, hint)


def _way_on(conn: Connection, upload: Upload) -> str:
    """Why the columns of a stopped file could not be accepted, and what to do instead; or ""."""
    from ingest import drift  # what reads files takes seconds to import: mostly no file is stopped

    try:
        version = inbox.find_template(conn, upload.agency_id, upload.template)
        known = inbox.find_shape(conn, upload.agency_id, upload.template)
        drift.accept(known, upload, version, Limits(), "UTC")  # its day is for a file that was taken
    except IngestError as error:
        return f"{error.message} {error.hint}".strip()
    return ""


def _failed(state: State) -> Iterator[Finding]:
    """Files of which nothing was taken, and after which none of the same template was."""
    with state.database.reading() as conn:
        slugs = {agency.id: agency.slug for agency in list_agencies(conn)}
        uploads = inbox.failed_uploads(conn, now() - TOLD)
    for upload in uploads:
        agency = slugs.get(upload.agency_id, GONE)
        hint = (
            f"The court was told so. Look at it: dropslot upload show {upload.id}\n"
            "Have the court send it again; or, once the cause is mended here: dropslot upload replay " + upload.id
        )
        why = upload.error.message if upload.error else ""
        yield Finding(f"upload {upload.id}", False, f"{upload.file} of {agency} was not taken: {why}", hint)


def _jobs(state: State) -> Iterator[Finding]:
    dead, struggling = state.queue.dead(), state.queue.struggling(STRUGGLING)
    if not dead and not struggling:
        yield Finding("jobs", True, "none is parked")
    for job, reason in struggling:
        sentence = f"arrival {job.subject} is not done after {job.attempts} tries ({reason})"
        yield Finding("job", False, sentence, "Mend the cause; it is tried again by itself, every two minutes.")
    for job, reason in dead:
        hint = f"Mend the cause, then: dropslot arrival retry {job.subject}"
        yield Finding("job", False, f"arrival {job.subject} is parked after {job.attempts} tries ({reason})", hint)


def _exports(state: State) -> Iterator[Finding]:
    with state.database.reading() as conn:
        slugs = {agency.id: agency.slug for agency in list_agencies(conn)}
        enabled = {agency.id for agency in list_agencies(conn) if agency.enabled}
        exports = list_exports(conn)
    failing = [export for export in exports if export.error]
    idle = [export for export in exports if not export.error and overdue(export, now())]
    waiting = [export for export in idle if export.agency_id in enabled]  # the others get none
    if exports and not failing and not waiting:
        yield Finding("exports", True, f"{len(exports)}, none has failed")
    for export in waiting:
        sentence = f"{export.name} of {slugs[export.agency_id]} should have run by now"
        yield Finding("export", False, sentence, "The server runs exports; start it: dropslot serve")
    for export in failing:
        slug = slugs[export.agency_id]
        sentence = f"{export.name} of {slug} has failed since {export.error_at:%Y-%m-%d %H:%M} UTC: {export.error}"
        yield Finding("export", False, sentence, export.error_hint or f"See: dropslot export show {slug} {export.name}")


def _mismatches(state: State) -> Iterator[Finding]:
    """No fault of this installation, and a scanner's visit is none of the operator's business: it is told, no more."""
    subject = "clients that could not agree on algorithms"
    last = Mismatches(state.settings.data).last()
    if not last:
        yield Finding(subject, True, f"none under policy {state.settings.policy}")
    for mismatch in last[:SHOWN]:
        missing = " and no common ".join(mismatch.missing)
        when = f"{counted(mismatch.times, 'time')}, last {mismatch.at[:19].replace('T', ' ')} UTC"
        if mismatch.fitting:
            help_ = (
                f"it would come in under policy {mismatch.fitting[0]} (dropslot serve --policy {mismatch.fitting[0]})"
            )
        else:
            offered = ", ".join(mismatch.offered.get(mismatch.missing[0], [])) or "nothing"
            help_ = f"no policy allows what it offers ({offered}); it must be updated"
        who = f"{mismatch.client or 'a client'} from {mismatch.source_ip}"
        yield Finding(subject, True, f"{who} had no common {missing} under {mismatch.policy}, {when}; {help_}")
