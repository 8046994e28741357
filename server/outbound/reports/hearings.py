"""The hearings of the next days, each with how to reach the person."""

from collections.abc import Sequence
from datetime import datetime, time, timedelta

from ingest.tables import cases, clients, events
from server.outbound.reports.definition import NUMBER, Ask, Clause, Column, Days, Report, choice, same
from server.outbound.reports.reach import first_contact
from server.outbound.reports.records import NAMES, WHEN, event_source, whose

_ABOUT_A_DAY = timedelta(days=1)
_PHONE, _EMAIL = first_contact("phone"), first_contact("email")


def _to_come(ask: Ask) -> Sequence[Clause]:
    """Today and so many days after it, at the court; the instants only let the database use its index."""
    today = datetime.combine(ask.today, time(), ask.zone)
    return (
        events.c.withdrawn_upload.is_(None),
        events.c.starts_at >= today - _ABOUT_A_DAY,
        events.c.starts_at <= today + timedelta(days=ask.days + 1) + _ABOUT_A_DAY,
        events.c.local_date >= ask.day(0),
        events.c.local_date <= ask.day(ask.days),
    )


UPCOMING = Report(
    name="upcoming-events",
    sentence="The hearings of today and the next days, with how to reach each person.",
    columns=(
        *WHEN,
        *whose(),
        Column("language", "the person's preferred language", clients.c.language),
        Column("phone", "the first phone number that is good", _PHONE),
        Column("email", "the first e-mail address that is good", _EMAIL),
        Column("type", "type of the event", events.c.type),
        Column("status", "status of the event", events.c.status),
        Column("location", "where it is", events.c.location),
        Column("location_notes", "how to get there", events.c.location_notes),
        Column("room", "room, or the like", events.c.room),
        Column("judge", "the judge", events.c.judge),
        Column("description", "what it is about", events.c.description),
        Column("notes", "notes", events.c.notes),
        Column("reference", "the court's own id of the event", events.c.reference),
        Column("starts_at_utc", "the instant; without a time: the beginning of the day", events.c.starts_at),
        Column("id", NUMBER, events.c.id),
    ),
    owner=events.c.agency_id,
    source=lambda _ask: event_source(),
    scope=_to_come,
    days=Days(14, "how many days after today"),
    filters={
        "type": same(events.c.type, "type of the event"),
        "status": same(events.c.status, "status of the event"),
        "location": same(events.c.location, "where it is"),
        "judge": same(events.c.judge, "the judge"),
        "reachable": choice(
            "yes: whose person has a good phone number or e-mail address; no: whose person has none",
            {"yes": _PHONE.is_not(None) | _EMAIL.is_not(None), "no": _PHONE.is_(None) & _EMAIL.is_(None)},
        ),
    },
    sorts={
        "date": (events.c.starts_at, events.c.id),
        "name": (*NAMES, events.c.starts_at, events.c.id),
        "case": (cases.c.number, events.c.starts_at, events.c.id),
        "location": (events.c.location, events.c.room, events.c.starts_at, events.c.id),
    },
)
