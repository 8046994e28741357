"""Messages that were sent or are to be: there are none yet, so the header stands alone."""

from collections.abc import Sequence

from sqlalchemy import Connection

from server.outbound.reports.definition import Ask, Column, Report
from server.outbound.write import Cell


def _none(_conn: Connection, _ask: Ask) -> Sequence[Sequence[Cell]]:
    return ()


MESSAGES = Report(
    name="messages",
    sentence="Messages to people and from them. There are none yet: the header alone.",
    columns=(
        Column("created_at", "when it was made, in the agency's time"),
        Column("sent_at", "when it was sent or is to be, in the agency's time"),
        Column("direction", "outbound or inbound"),
        Column("channel", "text, email, voice or push"),
        Column("status", "scheduled, queued, sent, delivered, failed or simulated"),
        Column("client", "the court's own id of the person"),
        Column("last_name", "the person's last name"),
        Column("first_name", "the person's first name"),
        Column("contact", "the phone number or e-mail address"),
        Column("case", "the case's number"),
        Column("event_date", "the day of the hearing that it is about"),
        Column("event_time", "its time"),
        Column("subject", "subject"),
        Column("content", "text"),
        Column("error", "why it could not be delivered"),
        Column("created_at_utc", "the instant when it was made"),
        Column("id", "the message's id, which never changes"),
    ),
    rows=_none,
)
