"""The cast of the reports' tests: agencies in a real database, whose files went through the engine."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from ingest import inbox
from ingest.answer import Upload
from ingest.arrival import Received
from ingest.engine import ingest
from ingest.record import records_of
from ingest.task import Work
from ingest.template import builtin_templates
from ingest.undo import undo
from server.agencies import Agency
from server.clock import new_id, now
from server.outbound.reports.catalogue import find_report
from server.outbound.reports.definition import report_rows
from server.outbound.reports.wanted import want
from server.outbound.write import Cell
from server.services.provision import create_agency
from server.state import State
from tests.ingest.court import ecr, row

GWINNETT, MARICOPA, EMPTY = "gwinnett", "maricopa", "nobody"
EAST, WEST = "east", "west"
ZONES = {
    GWINNETT: "America/New_York",
    MARICOPA: "America/Phoenix",
    EMPTY: "Pacific/Honolulu",
    EAST: "America/New_York",
    WEST: "America/Phoenix",
}
AT = datetime(2026, 3, 2, 14, tzinfo=UTC)
"""Monday morning at the courts."""
PAYMENTS = """
name = "fees"
[columns]
client.reference = "id"
client.last_name = "last"
case.number = "case"
payment.reference = "ref"
payment.amount = "amount"
payment.due_date = "due"
payment.status = "state"
"""
SNAPSHOT = builtin_templates()["odyssey-ecr"].replace("odyssey-ecr", "nightly") + (
    '\n[processing]\nmethod = "replace_template"\nguard = 100\n'
)
ODD_NAME = "=HYPERLINK(שלום)\U0001f469\u200d⚖️"


class House:
    """An installation with agencies, and the rows of their reports."""

    def __init__(self, state: State, *slugs: str) -> None:
        self.state = state
        self.agencies: dict[str, Agency] = {}
        with state.database.writing() as conn:
            for slug in slugs or ZONES:
                agency = create_agency(conn, state.settings.agencies, slug, slug.title(), ZONES[slug], staging=False)
                self.agencies[slug] = agency
                for toml in (SNAPSHOT, PAYMENTS):
                    inbox.add_template(conn, agency.id, toml, AT)
                inbox.add_profile(conn, agency.id, "daily", "nightly", at=AT)
                inbox.add_profile(conn, agency.id, "fees", "fees", at=AT, directory="/fees")
        self.last = 0
        self.clock = AT

    def push(self, slug: str, content: bytes, path: str = "/upload/ecr.txt", at: datetime | None = None) -> Upload:
        """Let the agency send a file, and have it processed; each a minute after the one before."""
        self.clock += timedelta(minutes=1)
        at = at or self.clock
        agency, state = self.agencies[slug], self.state
        received = Received(new_id(at), agency.id, path, len(content), "sftp", "session-1", at)
        source = state.settings.data / f"{received.id}.source"
        source.write_bytes(content)
        with state.database.writing() as conn:
            arrival = inbox.register(conn, received)
        work = Work(new_id(at), arrival.id, source, agency.timezone, at)
        return ingest(state.database.engine, work)

    def undo(self, slug: str, upload: Upload) -> None:
        """Take an upload back."""
        with self.state.database.writing(records_of(self.agencies[slug].id)) as conn:
            undo(conn, upload.id, now())

    def number(self, slug: str) -> int:
        """The number of the agency's last write."""
        with self.state.database.reading() as conn:
            return inbox.last_number(conn, self.agencies[slug].id)

    def rows(
        self,
        slug: str,
        name: str,
        *filters: str,
        days: int | None = None,
        sort: str = "",
        at: datetime = AT,
        after: int | None = None,
    ) -> list[dict[str, Cell]]:
        """The rows of a report, each by the names of its columns."""
        wanted = want(name, days, filters, sort)
        with self.state.database.streaming() as conn:
            found = report_rows(conn, wanted.report, wanted.ask(self.agencies[slug], at, after))
            return [dict(zip(wanted.report.header, cells, strict=True)) for cells in found]

    def fill(self) -> None:
        """Two agencies with every kind of record, of which no text is the same."""
        self.push(GWINNETT, ecr(*GWINNETT_ROWS), at=AT)
        self.push(GWINNETT, FEES, "/fees/fees.csv", at=AT + timedelta(hours=1))
        self.push(MARICOPA, ecr(*MARICOPA_ROWS), at=AT)
        self.push(
            MARICOPA, FEES.replace(b"g", b"m").replace(b"G-", b"M-"), "/fees/fees.csv", at=AT + timedelta(hours=1)
        )


def picked(rows: Sequence[dict[str, Cell]], *names: str) -> list[tuple[Cell, ...]]:
    """These columns of the rows."""
    return [tuple(found[name] for name in names) for found in rows]


def header(name: str) -> list[str]:
    """The columns of a report."""
    return find_report(name).header


GWINNETT_ROWS = (
    row("g1", "G-1", "03/08/2026", "1:30 AM", phone="404-555-0101", email="g1@example.com", last="Alder"),
    row("g2", "G-2", "03/16/2026", "9:00 AM", last="Birch", first='"Pi|pe ""Q"""'),
    row("g3", "G-3", "03/17/2026", "", last="Cedar", phone="123", location="Courtroom 2B"),
    row("g4", "G-4", "04/20/2026", "2:00 PM", last="Dogwood", email="g4@example.com", judge="Zamora"),
    row("g5", "G-5", "02/01/2026", "2:00 PM", last=ODD_NAME, phone="+1 404 555 0105"),
    row("g6", "G-6", "99/99/2026", last="Elm"),
)
MARICOPA_ROWS = (
    row("m1", "M-1", "03/08/2026", "1:30 AM", phone="602-555-0101", last="Agave", judge="Ocotillo"),
    row("m2", "M-2", "03/16/2026", "9:00 AM", last="Yucca", location="Saguaro"),
    row("m3", "M-3", "99/99/2026", last="Cholla"),
)
FEES = b"id,last,case,ref,amount,due,state\ng1,Alder,G-1,g-pay,25.50,04/01/2026,gpending\n"
