"""Agencies: what can be one, and who is one."""

from datetime import UTC, datetime

import pytest
from sqlalchemy import insert

from server.agencies import (
    Agency,
    add_agency,
    agencies,
    find_agency,
    list_agencies,
    set_enabled,
    set_name,
    set_networks,
    set_quota,
    set_timezone,
)
from server.errors import AppError, Code
from server.state import State

AT = datetime(2026, 3, 16, 6, tzinfo=UTC)


def agency(slug: str = "gwinnett", name: str = "Gwinnett County", timezone: str = "America/New_York") -> Agency:
    return Agency(f"id-{slug}", slug, name, timezone, staging=False, enabled=True, created_at=AT)


def test_an_agency_that_was_added_is_found(state: State) -> None:
    with state.database.writing() as conn:
        add_agency(conn, agency())
    with state.database.reading() as conn:
        assert find_agency(conn, "gwinnett") == agency()
        assert list_agencies(conn) == [agency()]


@pytest.mark.parametrize(
    "slug", ["", "a", "ab", "Gwinnett", "1county", "a/b", "../x", "a b", "x" * 33, "root", "trailing-", "é-county"]
)
def test_what_is_no_slug_is_refused(state: State, slug: str) -> None:
    with state.database.writing() as conn, pytest.raises(AppError) as refused:
        add_agency(conn, agency(slug=slug))
    assert refused.value.code == Code.INVALID


@pytest.mark.parametrize("timezone", ["", "EST5", "Mars/Olympus", "../../etc/passwd"])
def test_what_is_no_zone_is_refused(state: State, timezone: str) -> None:
    with state.database.writing() as conn, pytest.raises(AppError, match="no time zone"):
        add_agency(conn, agency(timezone=timezone))


def test_a_zone_that_is_no_place_is_refused_and_one_that_is_there_goes_on(state: State) -> None:
    with state.database.writing() as conn, pytest.raises(AppError, match="'EST' is no place"):
        add_agency(conn, agency(timezone="EST"))
    with state.database.writing() as conn:
        conn.execute(insert(agencies).values(**vars(agency(timezone="EST"))))
        assert find_agency(conn, "gwinnett").timezone == "EST"
        assert set_name(conn, "gwinnett", "Gwinnett").timezone == "EST"


def test_name_and_zone_are_changed(state: State) -> None:
    with state.database.writing() as conn:
        add_agency(conn, agency())
        add_agency(conn, agency("fulton"))
        assert set_name(conn, "gwinnett", " Gwinnett Courts ").name == "Gwinnett Courts"
        assert set_timezone(conn, "gwinnett", "America/Chicago").timezone == "America/Chicago"
        assert find_agency(conn, "fulton") == agency("fulton")


def test_a_name_or_zone_that_cannot_be_changes_nothing(state: State) -> None:
    with state.database.writing() as conn:
        add_agency(conn, agency())
        for name in ("", " ", "x" * 201):
            with pytest.raises(AppError, match="name"):
                set_name(conn, "gwinnett", name)
        with pytest.raises(AppError, match="no place"):
            set_timezone(conn, "gwinnett", "EST")
        for change in (set_name, set_timezone):
            with pytest.raises(AppError, match="no agency 'nobody'"):
                change(conn, "nobody", "America/Chicago")
        assert find_agency(conn, "gwinnett") == agency()


def test_a_name_that_no_column_holds_is_refused(state: State) -> None:
    with state.database.writing() as conn, pytest.raises(AppError, match="more than 200 characters"):
        add_agency(conn, agency(name="é" * 201))
    with state.database.writing() as conn:
        add_agency(conn, agency(name="é" * 200))


def test_a_slug_is_taken_once(state: State) -> None:
    with state.database.writing() as conn:
        add_agency(conn, agency())
    with pytest.raises(AppError, match="already") as refused, state.database.writing() as conn:
        add_agency(conn, agency())
    assert refused.value.code == Code.CONFLICT


def test_disabling_is_remembered_and_undone(state: State) -> None:
    with state.database.writing() as conn:
        add_agency(conn, agency())
        assert not set_enabled(conn, "gwinnett", False).enabled
        assert set_enabled(conn, "gwinnett", True).enabled
        with pytest.raises(AppError, match="no agency 'nobody'"):
            set_enabled(conn, "nobody", True)


def test_networks_are_kept_in_their_proper_form_and_taken_back(state: State) -> None:
    with state.database.writing() as conn:
        add_agency(conn, agency())
        add_agency(conn, agency("fulton"))
        assert set_networks(conn, "gwinnett", ["10.1.0.0/16", "2001:DB8::/32"]).networks == "10.1.0.0/16 2001:db8::/32"
        assert find_agency(conn, "fulton").networks is None
        assert set_networks(conn, "gwinnett", []).networks is None


def test_a_network_with_host_bits_is_refused_with_the_one_that_was_meant(state: State) -> None:
    with state.database.writing() as conn:
        add_agency(conn, agency())
        with pytest.raises(AppError, match=r"The network is 10\.1\.0\.0/16\.") as refused:
            set_networks(conn, "gwinnett", ["10.1.2.3/16"])
    assert refused.value.code == Code.INVALID


def test_networks_of_nobody_are_not_found(state: State) -> None:
    with state.database.writing() as conn, pytest.raises(AppError) as refused:
        set_networks(conn, "nobody", ["10.0.0.0/8"])
    assert refused.value.code == Code.NOT_FOUND


def test_a_quota_is_kept_and_taken_back(state: State) -> None:
    with state.database.writing() as conn:
        add_agency(conn, agency())
        add_agency(conn, agency("fulton"))
        found = set_quota(conn, "gwinnett", 10 * 1024**4, 20_000)
        assert (found.quota_bytes, found.quota_files) == (10 * 1024**4, 20_000)
        assert find_agency(conn, "fulton").quota_bytes is None
        found = set_quota(conn, "gwinnett", None, 5)
        assert (found.quota_bytes, found.quota_files) == (None, 5)


@pytest.mark.parametrize(("size", "files"), [(0, None), (-1, None), (2**63, None), (None, 0), (None, -1), (5, 2**31)])
def test_a_quota_that_cannot_be_is_refused(state: State, size: int | None, files: int | None) -> None:
    with state.database.writing() as conn:
        add_agency(conn, agency())
        with pytest.raises(AppError, match="A quota is 1 to") as refused:
            set_quota(conn, "gwinnett", size, files)
        assert find_agency(conn, "gwinnett").quota_bytes is None
    assert refused.value.code == Code.INVALID
