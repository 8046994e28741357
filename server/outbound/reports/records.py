"""The records as they are: clients, contacts, cases, events and payments."""

from typing import Any

from sqlalchemy import Table, func, select, true

from ingest.record import CASES, CLIENTS, EVENTS, PAYMENTS, Entity
from ingest.tables import case_parties, cases, clients, contacts, events, payments
from server.outbound.reports.definition import (
    NUMBER,
    Column,
    Filter,
    Report,
    choice,
    clock,
    day,
    from_day,
    money,
    plain,
    present,
    same,
    to_day,
)
from server.outbound.reports.reach import reachable

_MEANINGS = {
    "clients": {
        "reference": "the court's own id of the person",
        "business_name": "the name of an organisation",
        "dob": "date of birth",
        "language": "preferred language",
        "type": "what the person is, such as Defendant",
        "group": "the group that the person belongs to",
        "officer": "the officer in charge of the person",
    },
    "cases": {"reference": "the court's own id of the case", "agency": "the agency that brought the case"},
    "events": {"reference": "the court's own id of the event", "room": "room, or the like"},
    "payments": {"reference": "the court's own id of the payment", "amount": "in dollars and cents"},
}
_DATES = frozenset({"dob", "file_date", "arrest_date", "offense_date", "plea_date", "judgment_date", "due_date"})


def _own(entity: Entity, table: Table, *left_out: str) -> tuple[Column, ...]:
    """The columns of all fields that a file can fill."""
    names = [field.partition(".")[2] for field in entity.fields]
    told = [name for name in names if name not in left_out]
    return tuple(Column(name, _meaning(entity, name), _source(table, name), _cell(name)) for name in told)


def _meaning(entity: Entity, name: str) -> str:
    return _MEANINGS[entity.table].get(name) or name.replace("_", " ")


def _source(table: Table, name: str) -> Any:
    return table.c["group_name" if name == "group" else name]


def _cell(name: str) -> Any:
    return day if name in _DATES else money if name == "amount" else plain


def _last(table: Table) -> tuple[Column, ...]:
    return (
        Column("custom", "custom fields, as a JSON object", table.c.custom),
        Column("id", NUMBER, table.c.id),
        Column("withdrawn", "yes: the court's last snapshot no longer names it", table.c.withdrawn_upload, present),
    )


def withdrawn(table: Table) -> Filter:
    """Withdrawn records are left out unless they are asked for."""
    mark = table.c.withdrawn_upload
    clauses = {"no": mark.is_(None), "yes": mark.is_not(None), "all": true()}
    return choice("no: those that count; yes: those that are withdrawn; all", clauses, "no")


def whose() -> tuple[Column, ...]:
    """The columns that say whose an event or a payment is."""
    return (
        Column("client", "the court's own id of the person", clients.c.reference),
        Column("last_name", "the person's last name", clients.c.last_name),
        Column("first_name", "the person's first name", clients.c.first_name),
        Column("business_name", "or the name of an organisation", clients.c.business_name),
        Column("case", "the case's number", cases.c.number),
    )


NAMES = (clients.c.last_name, clients.c.first_name, clients.c.id)

CLIENT_REPORT = Report(
    name="clients",
    sentence="Every person and organisation that the court's files name.",
    columns=(*_own(CLIENTS, clients), *_last(clients)),
    owner=clients.c.agency_id,
    source=lambda _ask: clients,
    filters={
        "type": same(clients.c.type, "what the person is, such as Defendant"),
        "group": same(clients.c.group_name, "the person's group"),
        "language": same(clients.c.language, "preferred language"),
        "status": same(clients.c.status, "the person's status"),
        "withdrawn": withdrawn(clients),
    },
    sorts={"name": NAMES, "reference": (clients.c.reference, clients.c.id), "id": (clients.c.id,)},
)

CONTACT_REPORT = Report(
    name="contacts",
    sentence="Every phone number and e-mail address, and whether a message may go there.",
    columns=(
        *whose()[:4],
        Column("kind", "phone or email", contacts.c.kind),
        Column("value", "the number (E.164) or the address", contacts.c.value),
        Column("type", "what the court says it is, such as Cell", contacts.c.type),
        Column("opt_in", "whether the person agreed to messages, as far as the court says", contacts.c.opt_in),
        Column("status", "the contact's status", contacts.c.status),
        Column("reachable", "no: a message must or could not go there", reachable(contacts)),
        Column("id", "the contact's number, the same as long as the contact exists", contacts.c.id),
        Column("withdrawn", "yes: the court's last snapshot no longer names it", contacts.c.withdrawn_upload, present),
    ),
    owner=clients.c.agency_id,
    source=lambda _ask: contacts.join(clients, contacts.c.client_id == clients.c.id),
    filters={
        "kind": same(contacts.c.kind, "phone or email"),
        "status": same(contacts.c.status, "the contact's status"),
        "reachable": choice(
            "yes: where a message may go; no: where it must or could not",
            {"yes": reachable(contacts), "no": ~reachable(contacts)},
        ),
        # Another template may have brought a number of somebody who is withdrawn.
        "withdrawn": choice(
            "no: those that count; yes: those that are withdrawn, or whose person is; all",
            {
                "no": contacts.c.withdrawn_upload.is_(None) & clients.c.withdrawn_upload.is_(None),
                "yes": contacts.c.withdrawn_upload.is_not(None) | clients.c.withdrawn_upload.is_not(None),
                "all": true(),
            },
            "no",
        ),
    },
    sorts={
        "name": (*NAMES, contacts.c.kind, contacts.c.id),
        "value": (contacts.c.value, contacts.c.id),
        "id": (contacts.c.id,),
    },
)

_PARTIES = (
    select(func.count())
    .where(case_parties.c.case_id == cases.c.id, case_parties.c.withdrawn_upload.is_(None))
    .scalar_subquery()
)

CASE_REPORT = Report(
    name="cases",
    sentence="Every case that the court's files name.",
    columns=(
        *_own(CASES, cases),
        Column("parties", "how many people are parties of it", _PARTIES),
        *_last(cases),
    ),
    owner=cases.c.agency_id,
    source=lambda _ask: cases,
    filters={
        "type": same(cases.c.type, "type of the case"),
        "status": same(cases.c.status, "status of the case"),
        "location": same(cases.c.location, "where it is heard"),
        "from": from_day(cases.c.file_date, "filed on this day or later"),
        "to": to_day(cases.c.file_date, "filed on this day or earlier"),
        "withdrawn": withdrawn(cases),
    },
    sorts={
        "number": (cases.c.number, cases.c.id),
        "filed": (cases.c.file_date, cases.c.id),
        "id": (cases.c.id,),
    },
)

WHEN = (
    Column("date", "the day, at the court", events.c.local_date, day),
    Column("time", "the time of day, at the court; empty if the court did not say", events.c.local_time, clock),
    Column("zone", "the zone that day and time are in", events.c.zone),
)

EVENT_REPORT = Report(
    name="events",
    sentence="Every hearing, past and to come.",
    columns=(
        *WHEN,
        *whose(),
        *_own(EVENTS, events),
        Column("starts_at_utc", "the instant; without a time: the beginning of the day", events.c.starts_at),
        *_last(events),
    ),
    owner=events.c.agency_id,
    source=lambda _ask: event_source(),
    filters={
        "from": from_day(events.c.local_date, "on this day or later"),
        "to": to_day(events.c.local_date, "on this day or earlier"),
        "type": same(events.c.type, "type of the event"),
        "status": same(events.c.status, "status of the event"),
        "location": same(events.c.location, "where it is"),
        "judge": same(events.c.judge, "the judge"),
        "withdrawn": withdrawn(events),
    },
    sorts={
        "date": (events.c.starts_at, events.c.id),
        "name": (*NAMES, events.c.starts_at, events.c.id),
        "case": (cases.c.number, events.c.starts_at, events.c.id),
        "location": (events.c.location, events.c.room, events.c.starts_at, events.c.id),
        "id": (events.c.id,),
    },
)


def event_source() -> Any:
    """Events with whose they are."""
    joined = events.join(clients, events.c.client_id == clients.c.id, isouter=True)
    return joined.join(cases, events.c.case_id == cases.c.id, isouter=True)


def _payment_source() -> Any:
    joined = payments.join(clients, payments.c.client_id == clients.c.id, isouter=True)
    return joined.join(cases, payments.c.case_id == cases.c.id, isouter=True)


PAYMENT_REPORT = Report(
    name="payments",
    sentence="Every payment that somebody owes or has made.",
    columns=(*_own(PAYMENTS, payments), *whose(), *_last(payments)),
    owner=payments.c.agency_id,
    source=lambda _ask: _payment_source(),
    filters={
        "from": from_day(payments.c.due_date, "due on this day or later"),
        "to": to_day(payments.c.due_date, "due on this day or earlier"),
        "type": same(payments.c.type, "type of the payment"),
        "status": same(payments.c.status, "status of the payment, such as overdue"),
        "withdrawn": withdrawn(payments),
    },
    sorts={
        "due": (payments.c.due_date, payments.c.id),
        "name": (*NAMES, payments.c.due_date, payments.c.id),
        "amount": (payments.c.amount, payments.c.id),
        "id": (payments.c.id,),
    },
)
