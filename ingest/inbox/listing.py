"""Records as people list them: stable columns, names instead of ids. `custom` is a JSON object of texts, or None;
amounts are integer cents; `id` is the number of a record among those of its kind. New columns come at the end."""

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

from sqlalchemy import Connection, Select, func, select

from ingest.errors import IngestError
from ingest.tables import case_parties, cases, clients, contacts, events, payments

COLUMNS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "clients": (
            *("reference", "first_name", "middle_name", "last_name", "suffix"),
            *("dob", "gender", "language", "type", "group"),
            *("title", "nickname", "business_name", "race", "status", "officer"),
            *("address", "city", "state", "zip", "custom", "id"),
        ),
        "contacts": ("client", "last_name", "first_name", "kind", "value", "type", "opt_in", "status", "id"),
        "cases": (
            *("number", "style", "type", "status", "location", "file_date", "parties"),
            *("reference", "agency", "judge", "attorney", "arrest_date", "offense_date", "plea_date", "judgment_date"),
            *("judgment_status", "arrest_tracking", "charge_number", "codes", "conditions", "description"),
            *("offense_type", "offense_description", "victim_name", "offender_name", "warrant_status"),
            *("security_group", "notes", "custom", "id"),
        ),
        "events": (
            *("date", "time", "zone", "starts_at", "client", "last_name", "first_name", "case"),
            *("type", "status", "location", "judge", "room", "notes", "reference"),
            *("location_notes", "description", "flow", "calendar", "session", "result", "custom", "id"),
        ),
        "payments": (
            *("reference", "amount", "due_date", "client", "last_name", "first_name", "case"),
            *("type", "status", "description", "citation", "flow", "portal", "location_notes", "custom", "id"),
        ),
    }
)


PARTIES = "parties"
PARTY_COLUMNS = ("case", "client", "last_name", "first_name", "role", "id")
"""Whom a case is about, and as what: told only where all is told."""

WITHDRAWN = "withdrawn"


def records(conn: Connection, kind: str, agency_id: str, *, withdrawn: bool = False) -> Iterator[dict[str, Any]]:
    """The agency's records of one kind, one dict per record with the keys of `COLUMNS[kind]`, in a natural order.

    Those that a snapshot has withdrawn are left out; or, with `withdrawn`, are there as well, and one more key holds
    the id of the upload that withdrew them, or None.

    Rows are fetched as they are consumed, so the connection must stay open. Raises IngestError `invalid` at once for
    an unknown kind.
    """
    if kind not in COLUMNS:
        raise IngestError("invalid", f"There are no records named {kind}.", f"Choose one of {', '.join(COLUMNS)}.")
    query = select_records(kind, agency_id)
    gone = _TABLES[kind].c.withdrawn_upload
    if withdrawn:
        query = query.add_columns(gone.label(WITHDRAWN))
    else:
        query = query.where(gone.is_(None))
        if kind == "contacts":  # another template may have brought a number of somebody who is withdrawn
            query = query.where(clients.c.withdrawn_upload.is_(None))
    rows = conn.execution_options(yield_per=1000).execute(query)
    return (dict(row._mapping) for row in rows)


def select_records(kind: str, agency_id: str) -> Select[Any]:
    """All records of one kind (or `PARTIES`) that the agency has, withdrawn or not, with their columns, in order."""
    return _QUERIES[kind]().where(_OWNERS[kind].c.agency_id == agency_id)


_TABLES = {"clients": clients, "contacts": contacts, "cases": cases, "events": events, "payments": payments}
_OWNERS = {**_TABLES, "contacts": clients, PARTIES: case_parties}


def _clients() -> Select[Any]:
    c = clients.c
    plain = [c.group_name.label("group") if name == "group" else c[name] for name in COLUMNS["clients"]]
    return select(*plain).order_by(c.last_name, c.first_name, c.id)


def _contacts() -> Select[Any]:
    c = clients.c
    columns = (
        c.reference.label("client"),
        c.last_name,
        c.first_name,
        *(contacts.c[n] for n in COLUMNS["contacts"][3:]),
    )
    joined = select(*columns).join_from(contacts, clients, contacts.c.client_id == c.id)
    return joined.order_by(c.last_name, c.first_name, c.id, contacts.c.kind, contacts.c.value)


def _cases() -> Select[Any]:
    of_case = case_parties.c.case_id == cases.c.id
    parties = select(func.count()).where(of_case, case_parties.c.withdrawn_upload.is_(None)).scalar_subquery()
    columns = [parties.label("parties") if name == "parties" else cases.c[name] for name in COLUMNS["cases"]]
    return select(*columns).order_by(cases.c.number, cases.c.id)


def _events() -> Select[Any]:
    e, c = events.c, clients.c
    when = (e.local_date.label("date"), e.local_time.label("time"), e.zone, e.starts_at)
    who = (c.reference.label("client"), c.last_name, c.first_name, cases.c.number.label("case"))
    what = (e[name] for name in COLUMNS["events"][8:])
    joined = select(*when, *who, *what).join_from(events, clients, e.client_id == c.id, isouter=True)
    return joined.join(cases, e.case_id == cases.c.id, isouter=True).order_by(e.starts_at, e.id)


def _payments() -> Select[Any]:
    p, c = payments.c, clients.c
    who = (c.reference.label("client"), c.last_name, c.first_name, cases.c.number.label("case"))
    joined = select(p.reference, p.amount, p.due_date, *who, *(p[name] for name in COLUMNS["payments"][7:]))
    joined = joined.join_from(payments, clients, p.client_id == c.id, isouter=True)
    return joined.join(cases, p.case_id == cases.c.id, isouter=True).order_by(p.due_date, p.id)


def _parties() -> Select[Any]:
    p, c = case_parties.c, clients.c
    who = (cases.c.number.label("case"), c.reference.label("client"), c.last_name, c.first_name, p.role, p.id)
    joined = select(*who).join_from(case_parties, clients, p.client_id == c.id).join(cases, p.case_id == cases.c.id)
    return joined.order_by(cases.c.number, p.id)


_QUERIES = {
    "clients": _clients,
    "contacts": _contacts,
    "cases": _cases,
    "events": _events,
    "payments": _payments,
    PARTIES: _parties,
}
