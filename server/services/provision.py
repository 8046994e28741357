"""Setting up an agency: its home, its keys and its templates."""

from dataclasses import dataclass, replace
from pathlib import Path

from sqlalchemy import Connection

from ingest.arrival import Profile
from ingest.inbox import add_template
from ingest.index import forget
from ingest.template import TemplateVersion
from keys.secret import Secret
from keys.sshkey import generate, parse_public
from keys.store import StoredKey, Term, add_key, edit_key, find_key
from server.agencies import Agency, add_agency, find_agency, set_timezone
from server.clock import new_id, now
from server.errors import AppError, Code
from server.services.moment import read_beginning, read_end

HOME_FOLDERS = ("upload", "download")
NEVER = "never"


@dataclass(frozen=True)
class TermWish:
    """From when and until when a key is to be good, as people write it (see `moment`).

    None leaves a bound as it is, `never` takes it away.
    """

    not_before: str | None = None
    expires: str | None = None


@dataclass(frozen=True)
class PairWish:
    """What pair is to be made (`keys.sshkey.KINDS`), in what form (openssh, ppk), locked with which passphrase."""

    kind: str = "ed25519"
    form: str = "openssh"
    passphrase: Secret | None = None


def create_agency(conn: Connection, agencies: Path, slug: str, name: str, timezone: str, staging: bool) -> Agency:
    """Store an agency and make its home. Raises `AppError` as `add_agency` does, unavailable if the home fails."""
    agency = Agency(new_id(), slug, name.strip(), timezone, staging, enabled=True, created_at=now())
    add_agency(conn, agency)
    make_home(agencies / slug)
    return agency


def move_agency(conn: Connection, agency: Agency, timezone: str) -> Agency:
    """Read the agency's court times in another zone from now on; the transaction holds the lock of its records.

    Hearings that are there keep the zone and the instant that they have until a file names them again; so that it may
    be any file, also one that came before, none is taken for one whose rows are known. Raises `AppError` invalid.
    """
    moved = set_timezone(conn, agency.slug, timezone)
    forget(conn, agency.id)
    return moved


def make_home(home: Path) -> None:
    """Create what an agency sees as `/`; what is there stays. Raises `AppError` unavailable."""
    for folder in HOME_FOLDERS:
        _make(home / folder, f"The agency's home {home}")


def make_directory(home: Path, profile: Profile) -> None:
    """Create the directory that a profile reads, so that the court finds it; what is there stays.

    Raises `AppError` unavailable.
    """
    if profile.server_id is None and profile.directory.startswith("/upload/"):
        _make(home / profile.directory.lstrip("/"), f"The directory {profile.directory}")


def _make(folder: Path, what: str) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise AppError(
            Code.UNAVAILABLE, f"{what} cannot be made ({error.strerror}).", "Check owner and space."
        ) from error


def enrol_key(conn: Connection, slug: str, text: bytes, label: str, wish: TermWish = TermWish()) -> StoredKey:
    """Let the holder of that public key log in as the agency. Raises `AppError` not_found, invalid, `KeysError`."""
    agency = find_agency(conn, slug)
    return add_key(conn, new_id(), agency.id, parse_public(text), label, now(), read_term(agency, wish))


def make_key(
    conn: Connection, slug: str, label: str, wish: TermWish = TermWish(), pair: PairWish = PairWish()
) -> tuple[Secret, StoredKey]:
    """Make a key pair for the agency, enrol its public half, and hand out the private one, which is not kept."""
    agency = find_agency(conn, slug)
    private, public = generate(pair.kind, f"{slug}@dropslot", pair.passphrase, pair.form)
    return private, add_key(conn, new_id(), agency.id, public, label, now(), read_term(agency, wish))


def change_key(conn: Connection, slug: str, which: str, label: str, wish: TermWish) -> StoredKey:
    """Give a key of the agency another label (empty: keep it) or term. Raises `AppError` not_found, `KeysError`."""
    agency = find_agency(conn, slug)
    key = find_key(conn, agency.id, which)
    return edit_key(conn, key, label, read_term(agency, wish, key.term), now())


def read_term(agency: Agency, wish: TermWish, term: Term = Term()) -> Term:
    """The term that is wished for, instead of `term`; days and times are the agency's. Raises `AppError` invalid."""
    if wish.not_before is not None:
        begins = None if wish.not_before == NEVER else read_beginning(wish.not_before, agency.timezone, now())
        term = replace(term, not_before=begins)
    if wish.expires is not None:
        ends = None if wish.expires == NEVER else read_end(wish.expires, agency.timezone, now())
        term = replace(term, expires_at=ends)
    return term


def create_template(conn: Connection, slug: str, text: str) -> TemplateVersion:
    """Store an Upload Template, or its next version. Raises `AppError` not_found, `IngestError`."""
    return add_template(conn, find_agency(conn, slug).id, text, now())
