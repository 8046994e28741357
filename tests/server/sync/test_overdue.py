"""A file that was expected and has not come is told, until it comes."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from sqlalchemy import update

from ingest.tables import arrivals, profiles
from server.clock import new_id, now
from server.sync.checkup import examine_sync
from server.sync.overdue import find_overdue
from tests.acceptance.court import ecr, ecr_row
from tests.server.sync.conftest import Town


@pytest.mark.parametrize(
    ("came", "looked", "late"),
    [
        (None, "05:59", True),  # of the day before
        ("2026-03-07T05:30-05:00", "05:59", False),
        ("2026-03-07T05:30-05:00", "06:01", True),
        ("2026-03-07T07:30-05:00", "06:01", True),  # late for the 7th, and nothing for the 8th
        ("2026-03-07T23:30-05:00", "06:01", False),
        ("2026-03-08T06:30-04:00", "06:31", False),
    ],
)
def test_a_file_counts_for_the_nearest_time(town: Town, came: str | None, looked: str, late: bool) -> None:
    profile = town.profile("court", "nightly", expected="daily at 06:00")
    if came:
        town.folders["county"].put("/ecr.txt", ecr(ecr_row(1)))
        town.sync()
        instant = datetime.fromisoformat(came)
        with town.state.database.writing() as conn:
            conn.execute(update(arrivals).values(received_at=instant, id=new_id(instant)))
    with town.state.database.writing() as conn:
        [agency] = [one for one in town.all_agencies(conn) if one.slug == "court"]
        at = datetime.fromisoformat(f"2026-03-08T{looked}-04:00")  # the clocks have been set that night
        assert find_overdue(conn, profile, agency, at) is None  # it was not there yet
        old = replace(profile, id=new_id(datetime.fromisoformat("2026-03-01T00:00Z")))
        conn.execute(update(arrivals).values(profile_id=old.id))
        assert (find_overdue(conn, old, agency, at) is not None) is late


def test_doctor_tells_what_is_overdue_failing_and_well(town: Town) -> None:
    late = town.profile("court", "late", expected="every 1 minutes")
    with town.state.database.writing() as conn:
        conn.execute(update(profiles).where(profiles.c.id == late.id).values(id=new_id(now() - timedelta(days=1))))
    town.profile("court", "gone", directory="/gone")
    town.sync()
    found = {finding.subject: finding for finding in examine_sync(town.state)}
    assert not found["profile court/late"].good
    assert found["sync court/gone"].sentence.startswith("its last cycle (20")
    assert found["sync court/gone"].sentence.endswith(" UTC) had an error: There is no directory /gone.")
