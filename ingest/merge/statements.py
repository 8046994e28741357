"""The SQL of staging and merging, in words that every database takes; `ingest.databases` has the rest.

How a column goes over what is there is not here (`ingest.merge.manner`). LEFT JOINs keep SQLite from turning the
loops around.

Only names of our own tables and columns are put into the text; values are bound.
"""
# ruff: noqa: S608

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType

from ingest.databases import Backend, Fill, Merge
from ingest.merge.custom import Custom
from ingest.merge.manner import MOVED, TIMELESS, Manner, staged
from ingest.record import (
    CASES,
    CLEARED,
    CLIENTS,
    EVENTS,
    PARTIES,
    PAYMENTS,
    Entity,
)

NATURAL = {CLIENTS.table: "identity", CASES.table: "identity"}
_SLOT = ("coalesce(client_id, 0)", "coalesce(case_id, 0)", "slot")
_NONE = Custom("")
_FRESH_CLIENT = "s.client_id > :last_client"
_FRESH = f"{_FRESH_CLIENT} OR s.case_id > :last_case"
"""What belongs to a client or a case that came with this file; the parameters are the newest ids of before."""
_KNOWN = (
    "EXISTS (SELECT 1 FROM stage_clients WHERE id <= :last_client) "
    "OR EXISTS (SELECT 1 FROM stage_cases WHERE id <= :last_case)"
)
"""Whether the file names any that was there before."""
_ERROR_COLUMNS = ("position", "row_number", "column_name", "value", "code", "message", "severity", "raw")

TABLES = ("clients", "cases", "case_parties", "contacts", "events", "payments")
SPARED = MappingProxyType(
    {"clients": "clients", "cases": "cases", "contacts": "clients", "payments": "clients", "dues": "cases"}
)
"""Those of whom a snapshot takes nothing for gone, and those of whom it so takes no contact, and no payment; `dues` are
the cases of these payments."""
_BESIDE = ("errors", *(f"spared_{name}" for name in SPARED), "unread", "named", "gone")
STAGES = tuple(f"stage_{table}" for table in (*TABLES, *_BESIDE))
"""All temporary tables."""


_JOINED = MappingProxyType(
    {
        **dict.fromkeys(("stage_clients", "stage_cases"), " (key, dirty, identity, id)"),
        **dict.fromkeys(("stage_case_parties", "stage_contacts", "stage_events", "stage_payments"), " (key)"),
    }
)
"""Of the temporary tables that may be large: the columns by which they are joined or chosen from."""


def surveyed(stages: Iterable[str]) -> list[str]:
    """What is to be known of these temporary tables before they are merged."""
    return [f"{stage}{_JOINED.get(stage, '')}" for stage in stages if stage != "stage_errors"]


def create_stage(columns: Mapping[str, Sequence[str]], key: str, whole: bool) -> list[str]:
    """Temporary tables with the columns that the file fills, and with `whole` those that only a snapshot needs; they
    live as long as the connection. `key` is a type."""
    bodies = {
        "clients": ["dirty INTEGER", "identity TEXT", "id BIGINT"],
        "cases": ["dirty INTEGER", "identity TEXT", "id BIGINT"],
        "case_parties": ["client BIGINT", "kase BIGINT", "id BIGINT"],
        "contacts": ["dirty INTEGER", "client BIGINT", "id BIGINT", "kind TEXT", "value TEXT"],
        "events": ["client BIGINT", "kase BIGINT", "id BIGINT", "slot TEXT", *(f"{name} TEXT" for name in MOVED)],
        "payments": ["client BIGINT", "kase BIGINT", "id BIGINT", "slot TEXT"],
    }
    full = {
        table: [f"key {key}", *body, *(f"{c} TEXT" for c in columns.get(table, ()))] for table, body in bodies.items()
    }
    tables = [f"CREATE TEMPORARY TABLE stage_{table} ({', '.join(body)})" for table, body in full.items()]
    errors = ["position INTEGER PRIMARY KEY", "row_number INTEGER", *(f"{name} TEXT" for name in _ERROR_COLUMNS[2:])]
    spared = [f"stage_spared_{name} (key {key}, identity TEXT, id BIGINT)" for name in SPARED]
    ids = [f"stage_{name} (kind TEXT, id BIGINT, PRIMARY KEY (kind, id))" for name in ("named", "gone")]
    others = [f"stage_errors ({', '.join(errors)})", *((*spared, "stage_unread (raw TEXT)", *ids) if whole else ())]
    return [*tables, *(f"CREATE TEMPORARY TABLE {other}" for other in others)]


def stage_parent(entity: Entity, columns: Sequence[str]) -> Fill:
    """A client or a case: key, dirty, natural key, columns."""
    own = ("key", "dirty", NATURAL[entity.table])
    return Fill(f"stage_{entity.table}", (*own, *columns), kept=tuple(columns))


def stage_party(columns: Sequence[str]) -> Fill:
    """A party: key, keys of client and case, columns."""
    return Fill("stage_case_parties", ("key", "client", "kase", *columns), kept=tuple(columns))


def stage_contact(columns: Sequence[str]) -> Fill:
    """A contact: key, dirty, key of the client, kind, value, columns."""
    return Fill("stage_contacts", ("key", "dirty", "client", "kind", "value", *columns), kept=tuple(columns))


def stage_event(columns: Sequence[str]) -> Fill:
    """An event: key, keys of client and case, slot, instant, local date and time (`CLEARED`: none, whatever was told
    before), zone, columns."""
    own, same = ("key", "client", "kase", "slot", *MOVED), TIMELESS.format(new="excluded", old="stage_events")
    new = {name: f"excluded.{name}" for name in MOVED} | {"local_time": f"coalesce(excluded.local_time, '{CLEARED}')"}
    replaced = {name: f"CASE WHEN {same} THEN stage_events.{name} ELSE {new[name]} END" for name in MOVED}
    return Fill("stage_events", (*own, *columns), kept=tuple(columns), replaced=replaced)


def stage_payment(columns: Sequence[str]) -> Fill:
    """A payment: key, keys of client and case, slot, columns."""
    return Fill("stage_payments", ("key", "client", "kase", "slot", *columns), kept=tuple(columns))


def stage_errors() -> Fill:
    """A row error, as it will be kept."""
    return Fill("stage_errors", _ERROR_COLUMNS, key=None)


def stage_spared(name: str) -> Fill:
    """One of those that are `SPARED`: key, natural key."""
    return Fill(f"stage_spared_{name}", ("key", "identity"))


def stage_unread() -> Fill:
    """A refused row of which nobody can tell whom it names."""
    return Fill("stage_unread", ("raw",), key=None)


def merge_parents(backend: Backend, entity: Entity, columns: Sequence[str], custom: Custom, manner: Manner) -> Merge:
    """Clients or cases that are dirty; :agency, :template, :upload, names of custom fields."""
    natural = NATURAL[entity.table]
    source = (
        f"SELECT :agency, {natural}, {_list(columns)}{custom.packed(backend)}:template, :upload, :upload "
        f"FROM stage_{entity.table} s WHERE dirty = 1"
    )
    match = ("agency_id", natural)
    merge = _merge(entity.table, (natural,), columns, source, natural, match, manner, custom)
    return replace(merge, found=f"stage_{entity.table}")


def merge_parties(columns: Sequence[str], manner: Manner) -> Merge:
    """Parties, all of them dirty."""
    source = (
        f"SELECT :agency, k.id, c.id, {_list(columns)}:template, :upload, :upload FROM stage_case_parties s "
        "LEFT JOIN stage_clients c ON c.key = s.client LEFT JOIN stage_cases k ON k.key = s.kase WHERE true"
    )
    own = ("case_id", "client_id")
    return replace(_merge("case_parties", own, columns, source, "k.id", own, manner), fresh=_FRESH, known=_KNOWN)


def merge_contacts(columns: Sequence[str], manner: Manner) -> Merge:
    """Contacts; those that are not dirty are only there if they are new. Without columns nothing in them changes."""
    source = (
        f"SELECT :agency, c.id, s.kind, s.value, {_list(columns)}:template, :upload, :upload "
        "FROM stage_contacts s LEFT JOIN stage_clients c ON c.key = s.client "
        f"WHERE {'s.dirty = 1' if columns else 'true'}"
    )
    own = ("client_id", "kind", "value")
    return replace(_merge("contacts", own, columns, source, "c.id", own, manner), fresh=_FRESH_CLIENT, known=_KNOWN)


def merge_events(backend: Backend, columns: Sequence[str], custom: Custom, manner: Manner) -> Merge:
    """Events, all of them dirty. Date, time, instant and zone go together."""
    merge = _merge_slotted(EVENTS, [*MOVED, *columns], backend, custom, manner)
    return replace(merge, columns=(*manner.moving(), *merge.columns[len(MOVED) :]))


def merge_payments(backend: Backend, columns: Sequence[str], custom: Custom, manner: Manner) -> Merge:
    """Payments, all of them dirty."""
    return _merge_slotted(PAYMENTS, columns, backend, custom, manner)


def _merge_slotted(entity: Entity, columns: Sequence[str], backend: Backend, custom: Custom, manner: Manner) -> Merge:
    """What a client, a case or both have many of, each with a slot of its own."""
    source = (
        f"SELECT :agency, c.id, k.id, s.slot, {_list(columns)}"
        f"{custom.packed(backend)}:template, :upload, :upload FROM stage_{entity.table} s "
        "LEFT JOIN stage_clients c ON c.key = s.client LEFT JOIN stage_cases k ON k.key = s.kase WHERE true"
    )
    own = ("client_id", "case_id", "slot")
    merge = _merge(entity.table, own, columns, source, "c.id, k.id", _SLOT, manner, custom)
    return replace(merge, fresh=_FRESH, known=_KNOWN)


def _merge(
    table: str,
    own: tuple[str, ...],
    columns: Sequence[str],
    source: str,
    order: str,
    match: tuple[str, ...],
    manner: Manner,
    custom: Custom = _NONE,
) -> Merge:
    into = ("agency_id", *own, *columns, *custom.column, "template", "created_upload", "updated_upload")
    taken = tuple(manner.taking(table, column) for column in columns)
    laid = (manner.laying(table, custom.emptied),) if custom.columns else ()
    return Merge(table, into, source, order, match, taken, laid)


def _list(columns: Iterable[str]) -> str:
    """What is staged in these columns, and a comma after each."""
    return "".join(f"{staged(column)}, " for column in columns)


def find_children(tables: Iterable[str]) -> list[str]:
    """Give staged parties, contacts, events and payments the ids of their records."""
    client = "(SELECT id FROM stage_clients WHERE key = {s}.client)"
    case = "(SELECT id FROM stage_cases WHERE key = {s}.kase)"
    party = f"SELECT t.id FROM case_parties t WHERE t.case_id = {case} AND t.client_id = {client}"
    slotted = (
        f"SELECT t.id FROM {{table}} t WHERE coalesce(t.client_id, 0) = coalesce({client}, 0) "
        f"AND coalesce(t.case_id, 0) = coalesce({case}, 0) AND t.slot = {{s}}.slot"
    )
    contact = (
        f"SELECT t.id FROM contacts t WHERE t.client_id = {client} AND t.kind = {{s}}.kind AND t.value = {{s}}.value"
    )
    found = {PARTIES.table: party, "contacts": contact, EVENTS.table: slotted, PAYMENTS.table: slotted}
    return [
        f"UPDATE stage_{table} SET id = ({found[table].format(s=f'stage_{table}', table=table)})"
        for table in tables
        if table in found
    ]


def foreign_owners(table: str) -> str:
    """Whose records, not ours alone, this upload has changed; :template, :upload."""
    return (
        f"SELECT DISTINCT t.template FROM stage_{table} s JOIN {table} t ON t.id = s.id "
        f"WHERE t.updated_upload = :upload AND t.template <> :template"
    )


def share(table: str) -> str:
    """Mark the records that this file speaks of and that another template's file spoke of before; :template."""
    return f"UPDATE {table} SET template = '*' WHERE {_foreign(table)}"


def hold_shared(table: str) -> str:
    """Before records are shared: whose they were alone is one of their holders; :template, :upload. An undo takes from
    it whose they are."""
    return (
        f"INSERT INTO holders (kind, record_id, template, since_upload) "
        f"SELECT '{table}', id, template, :upload FROM {table} WHERE {_foreign(table)}"
    )


def _foreign(table: str) -> str:
    """The records that this file speaks of and that another template's files alone spoke of before; :template."""
    dirty = " WHERE dirty = 1" if table in (*NATURAL, "contacts") else ""
    return f"id IN (SELECT id FROM stage_{table}{dirty}) AND template NOT IN (:template, '*')"


def hold_named(table: str) -> str:
    """A snapshot is one of the holders of the shared records that it names; :template, :upload."""
    return (
        "INSERT INTO holders (kind, record_id, template, since_upload) "
        f"SELECT '{table}', t.id, :template, :upload FROM {table} t "
        f"WHERE t.id IN (SELECT id FROM stage_{table}) AND t.template = '*' AND NOT EXISTS (SELECT 1 FROM holders h "
        f"WHERE h.kind = '{table}' AND h.record_id = t.id AND h.template = :template AND h.gone_upload IS NULL)"
    )


def keep_errors() -> str:
    """Row errors, without what their messages say of :taken; :upload."""
    columns = ", ".join(_ERROR_COLUMNS)
    told = columns.replace("message", "replace(message, :taken, '')")
    return f"INSERT INTO row_errors (upload_id, {columns}) SELECT :upload, {told} FROM stage_errors ORDER BY position"
