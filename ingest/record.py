"""What a file can say about a court's records: the fields a template may map, and how ids and times are written."""

import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from types import MappingProxyType

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

KINDS = ("clients", "contacts", "cases", "events", "payments")
"""The kinds of record that people list; a party's role on a case is told with the case."""

CUSTOM = "custom"
"""The column with the fields that an agency has invented: a JSON object of texts, or NULL."""


@dataclass(frozen=True)
class Entity:
    """One table of records as a file fills it.

    `fields` maps a template's field to its column. A value is replaced only by another value: an empty cell leaves
    what is there, or is `CLEARED`; but in a snapshot it empties the field, and what stays is `UNSAID`. `prefix` is
    that of the fields' names; `custom` tells whether there may be fields beyond them.
    """

    table: str
    prefix: str
    fields: MappingProxyType[str, str]
    custom: bool = True


def _entity(table: str, prefix: str, *names: str, custom: bool = True) -> Entity:
    columns = {f"{prefix}.{name}": {"group": "group_name"}.get(name, name) for name in names}
    return Entity(table, prefix, MappingProxyType(columns), custom)


CLIENTS = _entity(
    "clients",
    "client",
    *("reference", "title", "first_name", "middle_name", "last_name", "suffix", "nickname", "business_name"),
    *("dob", "gender", "race", "language", "type", "group", "status", "officer"),
    *("address", "city", "state", "zip"),
)
CASES = _entity(
    "cases",
    "case",
    *("number", "reference", "style", "type", "status", "location", "agency", "judge", "attorney"),
    *("file_date", "arrest_date", "offense_date", "plea_date", "judgment_date", "judgment_status"),
    *("arrest_tracking", "charge_number", "codes", "conditions", "description", "offense_type"),
    *("offense_description", "victim_name", "offender_name", "warrant_status", "security_group", "notes"),
)
PARTIES = _entity("case_parties", "case", "role", custom=False)
EVENTS = _entity(
    "events",
    "event",
    *("reference", "type", "status", "location", "judge", "room", "notes"),
    *("location_notes", "description", "flow", "calendar", "session", "result"),
)
PAYMENTS = _entity(
    "payments",
    "payment",
    *("reference", "amount", "due_date", "type", "status", "description", "citation", "flow", "portal"),
    "location_notes",
)
CONTACT_COLUMNS = ("type", "opt_in", "status")
"""What can be said of one phone number or e-mail address."""

_SLOTS = ("", *(f"_{number}" for number in range(2, 10)))
CONTACTS = MappingProxyType({f"contact.{kind}{slot}": kind for kind in ("phone", "email") for slot in _SLOTS})
"""The fields that are contacts, each with its kind: `contact.phone`, `contact.phone_2` to `contact.phone_9`, ..."""

WHEN_FIELDS = ("event.date", "event.time", "event.datetime")

FIELDS = (
    *CLIENTS.fields,
    *CONTACTS,
    *(f"{contact}_{name}" for contact in CONTACTS for name in CONTACT_COLUMNS),
    *CASES.fields,
    *PARTIES.fields,
    *WHEN_FIELDS,
    *EVENTS.fields,
    *PAYMENTS.fields,
)
"""Every field name that a template may use, beside custom ones and `client.name`, which is several."""

CUSTOM_KINDS = MappingProxyType({entity.prefix: entity for entity in (CLIENTS, CASES, EVENTS, PAYMENTS)})
"""The records that can have custom fields, by the prefix of their fields."""

DATE_FIELDS = (
    *("client.dob", "case.file_date", "case.arrest_date", "case.offense_date", "case.plea_date"),
    *("case.judgment_date", "payment.due_date"),
)
"""Dates beside the event's own; one that cannot be read is a warning and leaves the field alone."""

EXCEL = "excel"
"""The format of dates that are numbers: days since 1899-12-30 and a fraction of a day as the time, as Excel counts from
1900-03-01 on (ECMA-376 part 1, 18.17.4.1)."""

EXCEL_1904 = "excel of 1904"
"""The same numbers in a workbook that counts from 1904-01-01 on, an option that Macs once set (18.2.28, date1904)."""

MONEY_FIELDS = ("payment.amount",)
"""Integer cents in the database."""


YES = frozenset({"Y", "YES", "T", "TRUE", "1", "ON", "OPTED IN", "OPT-IN", "OPTED-IN", "OPT IN"})
NO = frozenset({"N", "NO", "F", "FALSE", "0", "OFF", "OPTED OUT", "OPT-OUT", "OPTED-OUT", "OPT OUT"})
"""The words that databases have for yes and no, in capitals."""

CLEARED = "\x1e"
"""Staged in place of a text: the field is to be emptied. No tidied text holds it."""
CLEARED_NUMBER = -(1 << 62)
"""The same in place of an amount."""

UNSAID = "\x1d"
"""Staged in place of a text of a snapshot, where no text at all empties the field: nothing is said of it, so it stays.
No tidied text holds it."""
UNSAID_NUMBER = CLEARED_NUMBER + 1
"""The same in place of an amount."""

LOOSE = frozenset({"event.time", "event.type", "payment.due_date", "payment.description"})
"""Fields that tell records apart where they are filled, and that a record may lack: a hearing without a time is one."""


def custom_field(prefix: str, name: str) -> str:
    """How the custom field `name` of the records with this prefix is called where fields are called by their name."""
    return f"{prefix}.{CUSTOM}.{name}"


def split_custom(field: str) -> tuple[str, str] | None:
    """Prefix and name of a custom field, or None for another field."""
    prefix, marker, name = field.partition(f".{CUSTOM}.")
    return (prefix, name) if marker else None


def records_of(agency_id: str) -> str:
    """The lock (`ingest.databases.writing`) of an agency's records: whoever changes any must hold it."""
    return f"records of {agency_id}"


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
    return datetime.fromisoformat(text)
