"""Who logged in, and what was carried: log-ins, files that came or were fetched, reports and exports that went out."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import BigInteger, Integer, Select, Text, cast, func, literal, null, select, union_all

from ingest.tables import arrivals
from server.outbound.deliveries import DELIVERED, deliveries
from server.outbound.exports.store import export_runs, exports
from server.outbound.reports.definition import (
    Ask,
    Clause,
    Column,
    Days,
    Report,
    Source,
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


def _told(what: str, id_: Source, agency: Source, at: Source, **cells: Source) -> Select[Any]:
    """One kind of thing, with the columns that it has."""
    names = ("path", "size", "state", "times", "address", "program", "proof", "session")
    own: dict[str, Source] = dict.fromkeys(names, _NOTHING)
    own |= {"size": cast(null(), BigInteger), "times": cast(null(), Integer)}
    named = {"id": id_, "agency_id": agency, "at": at, "what": literal(what), **own, **cells}
    return select(*(cell.label(name) for name, cell in named.items()))


def _below(directory: Source, name: Source) -> Source:
    return func.rtrim(directory, "/") + literal("/") + name


_ACTIVITY = union_all(
    _told(
        "log-in",
        *(logins.c.id, logins.c.agency_id, logins.c.at),
        times=logins.c.times,
        address=logins.c.address,
        program=logins.c.client,
        proof=logins.c.proof,
    ),
    _told(
        "file came",
        *(arrivals.c.id, arrivals.c.agency_id, arrivals.c.received_at),
        path=arrivals.c.path,
        size=arrivals.c.size,
        state=arrivals.c.state,
        program=arrivals.c.source,
        session=arrivals.c.session,
    ).where(arrivals.c.replay_of.is_(None)),
    _told(
        "file fetched",
        *(fetches.c.id, fetches.c.agency_id, fetches.c.at),
        path=fetches.c.path,
        size=fetches.c.size,
        times=fetches.c.times,
        program=fetches.c.client,
        session=fetches.c.session,
    ),
    _told(
        "report delivered",
        *(deliveries.c.id, deliveries.c.agency_id, deliveries.c.at),
        path=_below(deliveries.c.directory, deliveries.c.name),
        size=deliveries.c.size,
        state=deliveries.c.report,
        # Not of this one: each delivery would be news, and bring the next.
    ).where(deliveries.c.state == DELIVERED, deliveries.c.report.not_like(f"{NAME}%")),
    _told(
        "export delivered",
        *(export_runs.c.id, exports.c.agency_id, export_runs.c.delivered_at),
        path=_below(export_runs.c.directory, export_runs.c.file),
        size=export_runs.c.size,
        state=exports.c.name,
    )
    .join_from(export_runs, exports, export_runs.c.export_id == exports.c.id)
    .where(export_runs.c.delivered_at.is_not(None)),
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
