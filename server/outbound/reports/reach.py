"""Whom a message can reach: which contacts count as good, and who has none."""

from typing import Any

from sqlalchemy import ColumnElement, and_, bindparam, exists, func, literal_column, or_, select, true

from ingest.tables import clients, contacts, events
from server.outbound.reports.definition import NUMBER, Ask, Column, Report, choice, clock, day, plain, same

REFUSED = (
    *("invalid", "bad", "wrong number", "disconnected", "undeliverable", "bounced", "inactive"),
    *("opted-out", "opted out", "opt-out", "opt out", "optout", "stop", "unsubscribed", "do not contact"),
)
"""A contact whose status is one of these words is not written to, whatever else is said of it."""


def reachable(table: Any) -> ColumnElement[bool]:
    """Whether a message may go to that contact: neither its status nor its opt-in says no, and it still counts."""
    said_no = or_(func.lower(table.c.status).in_(REFUSED), func.lower(table.c.opt_in) == "no")
    return and_(func.coalesce(~said_no, true()), table.c.withdrawn_upload.is_(None))


def first_contact(kind: str) -> ColumnElement[Any]:
    """The first good phone number or e-mail address of a client, which another query is about."""
    found = select(contacts.c.value).where(contacts.c.client_id == clients.c.id, contacts.c.kind == kind)
    return found.where(reachable(contacts)).order_by(contacts.c.id).limit(1).scalar_subquery()


_THEIRS = contacts.alias("theirs")
_KNOWN = (
    select(func.count())
    .where(_THEIRS.c.client_id == clients.c.id, _THEIRS.c.withdrawn_upload.is_(None))
    .scalar_subquery()
)
_NEXT = events.alias("next_event")
_TO_COME = events.alias("to_come")
_NEXT_ID = (
    select(_TO_COME.c.id)
    .where(
        # There is no index on the client alone, but `uq_events_identity` begins so, to the letter; and SQLite takes it
        # only if the other side is an expression too.
        func.coalesce(_TO_COME.c.client_id, literal_column("0")) == func.coalesce(clients.c.id, literal_column("0")),
        _TO_COME.c.withdrawn_upload.is_(None),
        _TO_COME.c.local_date >= bindparam("today"),
    )
    .order_by(_TO_COME.c.starts_at, _TO_COME.c.id)
    .limit(literal_column("1"))
    .correlate(clients)
    .scalar_subquery()
)


def _why(known: int, _ask: Ask) -> str:
    if not known:
        return "no phone number and no e-mail address"
    return "the only contact is invalid or opted out" if known == 1 else "all contacts are invalid or opted out"


def _without_contact(_ask: Ask) -> Any:
    good = exists().where(contacts.c.client_id == clients.c.id, reachable(contacts))
    return (clients.c.withdrawn_upload.is_(None), ~good)


_NAMES = (clients.c.last_name, clients.c.first_name, clients.c.id)

UNREACHABLE: Report = Report(
    name="unreachable-clients",
    sentence="People whom no message can reach: no phone number and no e-mail address that is good.",
    columns=(
        Column("client", "the court's own id of the person", clients.c.reference),
        *(
            Column(name, name.replace("_", " "), clients.c[name])
            for name in ("last_name", "first_name", "middle_name", "suffix", "business_name")
        ),
        Column("dob", "date of birth", clients.c.dob, day),
        Column("language", "preferred language", clients.c.language),
        Column("type", "what the person is, such as Defendant", clients.c.type),
        Column("group", "the group that the person belongs to", clients.c.group_name),
        *(Column(name, name, clients.c[name]) for name in ("address", "city", "state", "zip")),
        Column("why", "why nothing can reach them", _KNOWN, _why),
        Column("next_date", "the day of their next hearing, if there is one", _NEXT.c.local_date, day),
        Column("next_time", "its time", _NEXT.c.local_time, clock),
        Column("next_location", "its place", _NEXT.c.location, plain),
        Column("id", NUMBER, clients.c.id),
    ),
    owner=clients.c.agency_id,
    source=lambda _ask: clients.join(_NEXT, _NEXT.c.id == _NEXT_ID, isouter=True),
    scope=_without_contact,
    filters={
        "type": same(clients.c.type, "what the person is, such as Defendant"),
        "group": same(clients.c.group_name, "the person's group"),
        "upcoming": choice(
            "yes: only those with a hearing to come; no: only those without",
            {"yes": _NEXT.c.id.is_not(None), "no": _NEXT.c.id.is_(None)},
        ),
    },
    sorts={"name": _NAMES, "next": (_NEXT.c.starts_at, *_NAMES), "id": (clients.c.id,)},
)
