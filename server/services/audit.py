"""Keys that somebody should look after, each with a sentence what to do."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection

from keys.sshkey import PublicKey
from keys.store import Authority, StoredKey, list_authorities, list_keys
from server.agencies import Agency

SOON = timedelta(days=30)
GRACE = timedelta(days=7)  # a key that is never used may be on its way to the court for so long
RSA_BITS = 3072  # NIST SP 800-57 part 1, table 2: 2048 bits are 112 bits of strength, good until 2030


@dataclass(frozen=True)
class Finding:
    """One thing to do: whose it is, what it is about (a key's label and fingerprint, or nothing), and a sentence.

    `code` is one of expired, expiring, unused, never-used, weak, shared-label, no-key.
    """

    agency: str
    code: str
    key: str
    sentence: str


def audit(conn: Connection, agencies: list[Agency], at: datetime, idle: timedelta) -> list[Finding]:
    """What is to be done about the keys of those agencies that are enabled, and about the authorities they trust.

    A key is unused that was last used longer ago than `idle`, an authority if all its certificates are.
    """
    enabled = [agency for agency in agencies if agency.enabled]
    findings = [one for agency in enabled for one in _of_agency(conn, agency, at, idle)]
    return findings + list(_of_authorities(conn, enabled, at, idle))


def _of_agency(conn: Connection, agency: Agency, at: datetime, idle: timedelta) -> Iterator[Finding]:
    keys = [key for key in list_keys(conn, agency.id) if key.revoked_at is None]
    labels = Counter(key.label for key in keys)
    for key in keys:
        name = f"{key.label} {key.fingerprint}"
        for code, sentence in _of_key(agency.slug, key, at, idle):
            yield Finding(agency.slug, code, name, sentence)
        if labels[key.label] > 1:
            edit = f"dropslot key edit {agency.slug} {key.id} --label WORD"
            yield Finding(
                agency.slug, "shared-label", name, f"{labels[key.label]} keys have this label. Tell them apart: {edit}"
            )
    others = agency.password_hash or any(one.agency_id in (None, agency.id) for one in list_authorities(conn))
    if not others and not any(key.state(at) == "active" for key in keys):
        sentence = f"It cannot log in. Give it a key: dropslot key add {agency.slug} KEY.pub"
        yield Finding(agency.slug, "no-key", "", sentence)


def _of_key(slug: str, key: StoredKey, at: datetime, idle: timedelta) -> Iterator[tuple[str, str]]:
    revoke = f"dropslot key revoke {slug} {key.id}"
    edit = f"dropslot key edit {slug} {key.id}"
    ends = key.term.expires_at
    if key.state(at) == "expired":
        yield "expired", f"It expired on {ends:%Y-%m-%d}. Tidy up: {revoke}; or let it in again: {edit} --expires 90d"
        return
    if ends and ends <= at + SOON:
        yield "expiring", f"It expires on {ends:%Y-%m-%d}. Ask for a new key in good time, or: {edit} --expires 90d"
    if key.last_use is None and key.created_at + GRACE < at:
        yield "never-used", f"It has never been used since {key.created_at:%Y-%m-%d}. Ask its holder, or: {revoke}"
    if key.last_use and key.last_use.at + idle < at:
        yield "unused", f"It was last used on {key.last_use.at:%Y-%m-%d}. Ask its holder, or: {revoke}"
    if _is_weak(key.public):
        yield "weak", f"RSA with {key.bits} bits is weak by now. Ask for an Ed25519 key, then: {revoke}"


def _of_authorities(conn: Connection, agencies: list[Agency], at: datetime, idle: timedelta) -> Iterator[Finding]:
    slugs = {agency.id: agency.slug for agency in agencies}
    for authority in list_authorities(conn):
        if authority.agency_id is None or authority.agency_id in slugs:
            name = f"{authority.label} {authority.public.fingerprint}"
            for code, sentence in _of_authority(authority, at, idle):
                yield Finding(slugs.get(authority.agency_id or "", ""), code, name, sentence)


def _of_authority(authority: Authority, at: datetime, idle: timedelta) -> Iterator[tuple[str, str]]:
    remove = f"dropslot key authority remove {authority.id}"
    if authority.last_use is None and authority.created_at + GRACE < at:
        since = f"{authority.created_at:%Y-%m-%d}"
        yield "never-used", f"None of its certificates has been used since {since}. Ask its holder, or: {remove}"
    if authority.last_use and authority.last_use.at + idle < at:
        last = f"{authority.last_use.at:%Y-%m-%d}"
        yield "unused", f"One of its certificates was last used on {last}. Ask its holder, or: {remove}"
    if _is_weak(authority.public):
        bits = authority.public.bits
        yield "weak", f"The authority's RSA key with {bits} bits is weak by now. Trust a stronger one, then: {remove}"


def _is_weak(public: PublicKey) -> bool:
    return public.algorithm == "ssh-rsa" and public.bits < RSA_BITS
