"""Who logged in, and what was carried: log-ins, files that came or were fetched, reports and exports that went out."""

from collections.abc import Sequence

from sqlalchemy import Integer, Text, cast, func, literal, null, select, union_all

from ingest.tables import arrivals
from server.outbound.deliveries import DELIVERED, deliveries
from server.outbound.exports.store import export_runs, exports
from server.outbound.reports.definition import (
    Ask,
    Clause,
    Column,
    Days,
    Report,
    from_instant,
    local,
    plain,
    same,
    to_instant,
)
from server.outbound.reports.files import beginning
from server.services.fetches import fetches
from server.services.logins import logins

NAME = "activity"
_NOTHING = cast(null(), Text)

_ACTIVITY = union_all(
    select(
        logins.c.id,
        logins.c.agency_id,
        logins.c.at,
        literal("log-in").label("what"),
        _NOTHING.label("path"),
        cast(null(), deliveries.c.size.type).label("size"),
        _NOTHING.label("state"),
        logins.c.times.label("times"),
        logins.c.address.label("address"),
        logins.c.client.label("program"),
        logins.c.proof.label("proof"),
        _NOTHING.label("session"),
    ),
    select(
        arrivals.c.id,
        arrivals.c.agency_id,
        arrivals.c.received_at,
        literal("file came"),
        arrivals.c.path,
        arrivals.c.size,
        arrivals.c.state,
        cast(null(), Integer),
        _NOTHING,
        arrivals.c.source,
        _NOTHING,
        arrivals.c.session,
    ).where(arrivals.c.replay_of.is_(None)),
    select(
        deliveries.c.id,
        deliveries.c.agency_id,
        deliveries.c.at,
        literal("report delivered"),
        func.rtrim(deliveries.c.directory, "/") + literal("/") + deliveries.c.name,
        deliveries.c.size,
        deliveries.c.report,
        cast(null(), Integer),
        _NOTHING,
        _NOTHING,
        _NOTHING,
        _NOTHING,
        # Not of this one: each delivery would be news, and bring the next.
    ).where(deliveries.c.state == DELIVERED, deliveries.c.report.not_like(f"{NAME}%")),
    select(
        export_runs.c.id,
        exports.c.agency_id,
        export_runs.c.delivered_at,
        literal("export delivered"),
        func.rtrim(export_runs.c.directory, "/") + literal("/") + export_runs.c.file,
        export_runs.c.size,
        exports.c.name,
        cast(null(), Integer),
        _NOTHING,
        _NOTHING,
        _NOTHING,
        _NOTHING,
    )
    .join_from(export_runs, exports, export_runs.c.export_id == exports.c.id)
    .where(export_runs.c.delivered_at.is_not(None)),
    select(
        fetches.c.id,
        fetches.c.agency_id,
        fetches.c.at,
        literal("file fetched"),
        fetches.c.path,
        fetches.c.size,
        _NOTHING,
        fetches.c.times,
        _NOTHING,
        fetches.c.client,
        _NOTHING,
        fetches.c.session,
    ),
).subquery("activity")


def _recent(ask: Ask) -> Sequence[Clause]:
    return (_ACTIVITY.c.at >= beginning(ask),)


ACTIVITY = Report(
    name=NAME,
    sentence="Log-ins of the agency, files that came or were fetched, and reports and exports that went out.",
    columns=(
        Column("at", "when, in the agency's time", _ACTIVITY.c.at, local),
        Column("what", "log-in, file came, file fetched, report delivered or export delivered", _ACTIVITY.c.what),
        Column("path", "the file", _ACTIVITY.c.path),
        Column("size", "bytes; of a file that was fetched, those that were sent", _ACTIVITY.c.size),
        Column("state", "what became of a file that came; which report or export was delivered", _ACTIVITY.c.state),
        Column(
            "times",
            "log-ins of one kind, or fetches of a file, within seconds: how many",
            _ACTIVITY.c.times,
        ),
        Column("address", "where the log-in came from", _ACTIVITY.c.address),
        Column("program", "the program that logged in or fetched, by its name; how a file came", _ACTIVITY.c.program),
        Column("proof", "fingerprint of the key, the certificate, or password", _ACTIVITY.c.proof),
        Column("session", "the session that sent or fetched the file, as in the server's log", _ACTIVITY.c.session),
        Column("at_utc", "the instant", _ACTIVITY.c.at, plain),
    ),
    owner=_ACTIVITY.c.agency_id,
    source=lambda _ask: _ACTIVITY,
    scope=_recent,
    days=Days(30, "how many days to look back, today included (log-ins and fetches are kept for 90)"),
    filters={
        "what": same(_ACTIVITY.c.what, "one of the words of that column"),
        "address": same(_ACTIVITY.c.address, "where the log-in came from"),
        "from": from_instant(_ACTIVITY.c.at, "on this day or later, within the days above"),
        "to": to_instant(_ACTIVITY.c.at, "on this day or earlier"),
    },
    sorts={"at": (_ACTIVITY.c.at, _ACTIVITY.c.id)},
)
