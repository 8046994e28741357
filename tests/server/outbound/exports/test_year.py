"""A scheduler that looks now and then, through the days on which clocks are set."""

from datetime import UTC, datetime, timedelta

import pytest

from tests.server.outbound.exports.conftest import Office

pytestmark = pytest.mark.sqlite_only


@pytest.mark.parametrize(
    ("zone", "begin", "expected"),
    [
        ("America/New_York", datetime(2026, 3, 7, tzinfo=UTC), ["07 07:30", "08 07:00", "09 06:30"]),
        ("America/New_York", datetime(2026, 10, 31, tzinfo=UTC), ["31 06:30", "01 07:30", "02 07:30"]),
        ("America/Phoenix", datetime(2026, 3, 7, tzinfo=UTC), ["07 09:30", "08 09:30", "09 09:30"]),
        ("Pacific/Honolulu", datetime(2026, 3, 7, tzinfo=UTC), ["07 12:30", "08 12:30", "09 12:30"]),
    ],
)
def test_half_past_two_on_the_days_around(office: Office, zone: str, begin: datetime, expected: list[str]) -> None:
    office.at = begin
    export = office.export(at="02:30", timezone=zone)
    while office.at < begin + timedelta(days=3):
        office.go(minutes=30)
    assert [f"{run.started_at:%d %H:%M}" for run in office.runs(export)] == expected
    assert [run.note for run in office.runs(export)] == [""] * 3
    assert len(office.files()) == 3


def test_half_past_one_happens_twice_and_runs_once(office: Office) -> None:
    office.at = datetime(2026, 11, 1, 4, tzinfo=UTC)
    export = office.export(at="01:30")
    for _ in range(8):
        office.go(minutes=30)
        office.restart()
    assert [run.started_at for run in office.runs(export)] == [datetime(2026, 11, 1, 5, 30, tzinfo=UTC)]
