"""Records as people list them: stable columns, names instead of ids.

clients   reference first_name middle_name last_name suffix dob gender language type group
contacts  client last_name first_name kind value
cases     number style type status location file_date parties
events    date time zone starts_at client last_name first_name case type status location judge room notes reference
"""

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

from sqlalchemy import Connection, Select, func, select

from ingest.errors import IngestError
from ingest.tables import case_parties, cases, clients, contacts, events

COLUMNS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "clients": (
            *("reference", "first_name", "middle_name", "last_name", "suffix"),
            *("dob", "gender", "language", "type", "group"),
        ),
        "contacts": ("client", "last_name", "first_name", "kind", "value"),
        "cases": ("number", "style", "type", "status", "location", "file_date", "parties"),
        "events": (
            *("date", "time", "zone", "starts_at", "client", "last_name", "first_name", "case"),
            *("type", "status", "location", "judge", "room", "notes", "reference"),
        ),
    }
)


def records(conn: Connection, kind: str, agency_id: str) -> Iterator[dict[str, Any]]:
    """The agency's records of one kind, one dict per record with the keys of `COLUMNS[kind]`, in a natural order.

    Rows are fetched as they are consumed, so the connection must stay open. Raises IngestError `invalid` at once for
    an unknown kind.
    """
    queries = {"clients": _clients, "contacts": _contacts, "cases": _cases, "events": _events}
    if kind not in queries:
        raise IngestError("invalid", f"There are no records named {kind}.", f"Choose one of {', '.join(queries)}.")
    rows = conn.execution_options(yield_per=1000).execute(queries[kind]().where(_owner(kind) == agency_id))
    return (dict(row._mapping) for row in rows)


def _owner(kind: str) -> Any:
    return {"clients": clients, "contacts": clients, "cases": cases, "events": events}[kind].c.agency_id


def _clients() -> Select[Any]:
    c = clients.c
    plain = [c[name] for name in COLUMNS["clients"][:-1]]
    return select(*plain, c.group_name.label("group")).order_by(c.last_name, c.first_name, c.id)


def _contacts() -> Select[Any]:
    c = clients.c
    columns = (c.reference.label("client"), c.last_name, c.first_name, contacts.c.kind, contacts.c.value)
    joined = select(*columns).join_from(contacts, clients, contacts.c.client_id == c.id)
    return joined.order_by(c.last_name, c.first_name, c.id, contacts.c.kind, contacts.c.value)


def _cases() -> Select[Any]:
    parties = select(func.count()).where(case_parties.c.case_id == cases.c.id).scalar_subquery()
    columns = [cases.c[name] for name in COLUMNS["cases"][:-1]]
    return select(*columns, parties.label("parties")).order_by(cases.c.number)


def _events() -> Select[Any]:
    e, c = events.c, clients.c
    when = (e.local_date.label("date"), e.local_time.label("time"), e.zone, e.starts_at)
    who = (c.reference.label("client"), c.last_name, c.first_name, cases.c.number.label("case"))
    what = (e.type, e.status, e.location, e.judge, e.room, e.notes, e.reference)
    joined = select(*when, *who, *what).join_from(events, clients, e.client_id == c.id, isouter=True)
    return joined.join(cases, e.case_id == cases.c.id, isouter=True).order_by(e.starts_at, e.id)
