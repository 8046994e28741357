"""Instants: aware in, UTC out, text between that sorts as time does."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Dialect
from sqlalchemy.dialects.sqlite import dialect as sqlite

from keys.tables import Instant, metadata

DIALECT: Dialect = sqlite()
MOMENTS = st.datetimes(datetime(1000, 1, 2), datetime(9998, 1, 1), timezones=st.just(UTC))


def stored(moment: datetime) -> str:
    text = Instant().process_bind_param(moment, DIALECT)
    assert text is not None
    return text


@given(MOMENTS)
def test_an_instant_comes_back(moment: datetime) -> None:
    assert Instant().process_result_value(stored(moment), DIALECT) == moment


@given(MOMENTS, MOMENTS)
def test_the_text_sorts_as_time_does(one: datetime, other: datetime) -> None:
    assert (stored(one) < stored(other)) == (one < other)


def test_the_form_is_iso_8601_in_utc_with_microseconds() -> None:
    zone = timezone(timedelta(hours=-7))
    assert stored(datetime(2026, 3, 1, 17, 30, tzinfo=zone)) == "2026-03-02T00:30:00.000000Z"


def test_an_instant_without_zone_is_our_bug() -> None:
    with pytest.raises(ValueError, match="time zone"):
        stored(datetime(2026, 3, 1))


def test_nothing_stays_nothing() -> None:
    assert Instant().process_bind_param(None, DIALECT) is None
    assert Instant().process_result_value(None, DIALECT) is None


def test_every_constraint_has_a_name_for_migrations() -> None:
    for table in metadata.sorted_tables:
        assert all(constraint.name for constraint in table.constraints)
