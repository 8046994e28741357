"""A report as a file."""

from dataclasses import dataclass
from pathlib import Path

from ingest import inbox
from server.db import Database
from server.outbound.reports.definition import Ask, Report, report_rows
from server.outbound.write import Form, write_table


@dataclass(frozen=True)
class Ran:
    """What was written: rows without the header, bytes, a hash of what the table says (see `write.Written`), and the
    number of the agency's last write that it tells."""

    rows: int
    size: int
    content: str
    last: int


def run_report(database: Database, report: Report, ask: Ask, target: Path, form: Form) -> Ran:
    """Write the report to `target`, as of one moment of the database.

    Memory does not grow with its rows, but for `changed-events` in any other order than that in which it happened: its
    rows are sorted here, once all are there.

    Raises `AppError` unavailable if the database is away or the disk does not take it.
    """
    with database.streaming() as conn:
        last = inbox.last_number(conn, ask.agency.id)
        written = write_table(target, form, report.header, report_rows(conn, report, ask))
    return Ran(written.rows, target.stat().st_size, written.content, last)
