"""All reports, by name."""

from collections.abc import Mapping
from types import MappingProxyType

from server.errors import AppError, Code
from server.outbound.reports.activity import ACTIVITY
from server.outbound.reports.changed import CHANGED
from server.outbound.reports.definition import Report
from server.outbound.reports.files import ROW_ERRORS, UPLOAD_RESULTS
from server.outbound.reports.hearings import UPCOMING
from server.outbound.reports.messages import MESSAGES
from server.outbound.reports.reach import UNREACHABLE
from server.outbound.reports.records import CASE_REPORT, CLIENT_REPORT, CONTACT_REPORT, EVENT_REPORT, PAYMENT_REPORT

CATALOGUE: Mapping[str, Report] = MappingProxyType(
    {
        report.name: report
        for report in (
            UPLOAD_RESULTS,
            ROW_ERRORS,
            UPCOMING,
            CHANGED,
            UNREACHABLE,
            CONTACT_REPORT,
            CASE_REPORT,
            CLIENT_REPORT,
            EVENT_REPORT,
            PAYMENT_REPORT,
            MESSAGES,
            ACTIVITY,
        )
    }
)


def find_report(name: str) -> Report:
    """The report of that name. Raises `AppError` not_found."""
    if name not in CATALOGUE:
        raise AppError(Code.NOT_FOUND, f"There is no report '{name}'.", f"Choose one of {', '.join(CATALOGUE)}.")
    return CATALOGUE[name]
