"""The columns that reports have had since they are delivered: names and places stay, new ones come at the end."""

import pytest

from server.outbound.reports.catalogue import CATALOGUE

PUBLISHED = {
    "upload-results": (
        "received_at file path size status result rows unchanged_rows error_rows warning_rows "
        "excluded_rows clients_new clients_changed clients_withdrawn contacts_new cases_new "
        "cases_changed cases_withdrawn events_new events_changed events_withdrawn events_moved "
        "payments_new payments_changed payments_withdrawn error hint notes profile template "
        "template_version method finished_at undone_at sha256 source received_at_utc upload arrival"
    ),
    "row-errors": ("received_at file row column value severity message code template received_at_utc upload number"),
    "upcoming-events": (
        "date time zone client last_name first_name business_name case language phone email type status "
        "location location_notes room judge description notes reference starts_at_utc id"
    ),
    "changed-events": (
        "change date time zone old_date old_time changes client last_name first_name business_name case "
        "type status location room judge reference changed_at file upload changed_at_utc id"
    ),
    "unreachable-clients": (
        "client last_name first_name middle_name suffix business_name dob language type group address "
        "city state zip why next_date next_time next_location id"
    ),
    "contacts": ("client last_name first_name business_name kind value type opt_in status reachable id withdrawn"),
    "cases": (
        "number reference style type status location agency judge attorney file_date arrest_date "
        "offense_date plea_date judgment_date judgment_status arrest_tracking charge_number codes "
        "conditions description offense_type offense_description victim_name offender_name "
        "warrant_status security_group notes parties custom id withdrawn"
    ),
    "clients": (
        "reference title first_name middle_name last_name suffix nickname business_name dob gender race "
        "language type group status officer address city state zip custom id withdrawn"
    ),
    "events": (
        "date time zone client last_name first_name business_name case reference type status location "
        "judge room notes location_notes description flow calendar session result starts_at_utc custom "
        "id withdrawn"
    ),
    "payments": (
        "reference amount due_date type status description citation flow portal location_notes client "
        "last_name first_name business_name case custom id withdrawn"
    ),
    "messages": (
        "created_at sent_at direction channel status client last_name first_name contact case "
        "event_date event_time subject content error created_at_utc id"
    ),
    "activity": ("at what path size state times address program proof session at_utc"),
}


def test_all_reports_are_here() -> None:
    assert list(CATALOGUE) == list(PUBLISHED)


@pytest.mark.parametrize("name", list(PUBLISHED))
def test_columns_stay_and_new_ones_come_at_the_end(name: str) -> None:
    """Whoever adds a column adds it here too, at the end; nothing else may be done to these lists."""
    assert CATALOGUE[name].header == PUBLISHED[name].split()


@pytest.mark.parametrize("name", list(PUBLISHED))
def test_names_are_good_for_programs_and_told_apart(name: str) -> None:
    header = CATALOGUE[name].header
    assert len(set(header)) == len(header)
    assert all(column.isascii() and column.islower() and column.isidentifier() for column in header)
    assert all(column.meaning for column in CATALOGUE[name].columns)
