"""Zones: which can be an agency's, and which is proposed instead."""

import re

import pytest

from server.errors import AppError, Code
from server.zones import check_zone


@pytest.mark.parametrize(
    "name", ["America/New_York", "America/Phoenix", "US/Eastern", "Navajo", "Pacific/Honolulu", "UTC", "Etc/UTC"]
)
def test_a_place_is_a_zone(name: str) -> None:
    check_zone(name)


@pytest.mark.parametrize(
    ("name", "likely"),
    [
        ("EST", "America/New_York, or America/Panama where there is no summer time"),
        ("EST5EDT", "America/New_York"),
        ("CST6CDT", "America/Chicago"),
        ("MST", "America/Denver, or America/Phoenix where there is no summer time"),
        ("MST7MDT", "America/Denver"),
        ("PST8PDT", "America/Los_Angeles"),
        ("HST", "Pacific/Honolulu"),
        ("Etc/GMT+5", "America/New_York"),
        ("Etc/GMT+10", "Pacific/Honolulu"),
        ("Etc/GMT-14", "a name such as America/New_York"),
        ("GMT", "or UTC"),
        ("Zulu", "Use UTC."),
        ("Factory", "a name such as"),
    ],
)
def test_hours_that_are_no_place_are_refused_with_likely_places(name: str, likely: str) -> None:
    with pytest.raises(AppError, match=f"'{re.escape(name)}' is no place") as refused:
        check_zone(name)
    assert refused.value.code == Code.INVALID
    assert likely in refused.value.hint


@pytest.mark.parametrize(
    ("name", "likely"),
    [
        ("GMT+5", "America/New_York"),
        ("UTC-06:00", "America/Chicago"),
        ("EDT", "America/New_York"),
        ("pst", "America/Los_Angeles"),
        ("est", "America/New_York"),
        ("america/new_york", "Use America/New_York."),
        ("GMT+99", "a name such as"),
        ("", "a name such as"),
    ],
)
def test_what_is_no_zone_is_refused_with_what_is_likely_meant(name: str, likely: str) -> None:
    with pytest.raises(AppError, match="no time zone") as refused:
        check_zone(name)
    assert likely in refused.value.hint
