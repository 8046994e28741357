"""Days and lengths of time as people write them, in the agency's zone."""

from datetime import UTC, datetime

import pytest

from server.errors import AppError
from server.services.moment import read_beginning, read_end

ZONE = "America/New_York"
NOW = datetime(2026, 3, 2, 12, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "beginning", "end"),
    [
        ("2027-03-31", "2027-03-31T04:00:00+00:00", "2027-04-01T04:00:00+00:00"),
        ("2027-01-31", "2027-01-31T05:00:00+00:00", "2027-02-01T05:00:00+00:00"),
        ("2027-03-14", "2027-03-14T05:00:00+00:00", "2027-03-15T04:00:00+00:00"),  # clocks go forward on that day
        ("2027-03-31T18:00", "2027-03-31T22:00:00+00:00", "2027-03-31T22:00:00+00:00"),
        ("2027-03-31 18:00:30", "2027-03-31T22:00:30+00:00", "2027-03-31T22:00:30+00:00"),
        ("2027-03-31T18:00Z", "2027-03-31T18:00:00+00:00", "2027-03-31T18:00:00+00:00"),
        ("2027-03-31T18:00+02:00", "2027-03-31T16:00:00+00:00", "2027-03-31T16:00:00+00:00"),
        ("90d", "2026-05-31T12:30:00+00:00", "2026-05-31T12:30:00+00:00"),
        (" 12H ", "2026-03-03T00:30:00+00:00", "2026-03-03T00:30:00+00:00"),
        ("2w", "2026-03-16T12:30:00+00:00", "2026-03-16T12:30:00+00:00"),
    ],
)
def test_what_people_write_is_an_instant(text: str, beginning: str, end: str) -> None:
    assert read_beginning(text, ZONE, NOW).astimezone(UTC).isoformat() == beginning
    assert read_end(text, ZONE, NOW).astimezone(UTC).isoformat() == end


@pytest.mark.parametrize("text", ["", "soon", "2027-02-30", "31.03.2027", "90", "-3d", "9999-12-31", "1.5d"])
def test_what_is_no_instant_is_refused_with_examples(text: str) -> None:
    with pytest.raises(AppError, match="90d") as caught:
        read_end(text, ZONE, NOW)
    assert caught.value.code == "invalid"
