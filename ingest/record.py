"""What a file can say about a court's records: the fields a template may map, and how ids and times are written."""

import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from types import MappingProxyType

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

KINDS = ("clients", "contacts", "cases", "events")
"""The kinds of record that people list; a party's role on a case is told with the case."""


@dataclass(frozen=True)
class Entity:
    """One table of records as a file fills it.

    `fields` maps a template's field to its column. A value is replaced only by another value: an empty cell leaves
    what is there.
    """

    table: str
    fields: MappingProxyType[str, str]


def _entity(table: str, prefix: str, *names: str) -> Entity:
    columns = {f"{prefix}.{name}": {"group": "group_name"}.get(name, name) for name in names}
    return Entity(table, MappingProxyType(columns))


CLIENTS = _entity(
    "clients",
    "client",
    *("reference", "first_name", "middle_name", "last_name", "suffix"),
    *("dob", "gender", "language", "type", "group"),
)
CASES = _entity("cases", "case", "style", "type", "status", "location", "file_date")
PARTIES = _entity("case_parties", "case", "role")
EVENTS = _entity("events", "event", "reference", "type", "status", "location", "judge", "room", "notes")

FIELDS = (
    *CLIENTS.fields,
    "contact.phone",
    "contact.email",
    "case.number",
    *CASES.fields,
    *PARTIES.fields,
    "event.date",
    "event.time",
    "event.datetime",
    *EVENTS.fields,
)
"""Every field name that a template may use."""

DATE_FIELDS = ("client.dob", "case.file_date")
"""Dates beside the event's own; one that cannot be read is a warning and leaves the field alone."""


def new_id(at: datetime) -> str:
    """A UUID version 7 (RFC 9562 section 5.7) for a row made at `at`: 36 characters of text that sort by time."""
    milliseconds = (at - _EPOCH) // timedelta(milliseconds=1)  # exact, as floats are not
    value = (milliseconds & ((1 << 48) - 1)) << 80 | 0x7 << 76 | secrets.randbits(12) << 64
    value |= 0b10 << 62 | secrets.randbits(62)
    text = f"{value:032x}"
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))


def write_instant(at: datetime) -> str:
    """`at` as it is kept in a column: UTC, ISO 8601, microseconds, 'Z'; such texts sort by time."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def read_instant(text: str) -> datetime:
    """The instant that `write_instant` wrote, aware, in UTC."""
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=UTC)
