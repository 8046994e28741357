"""Ids sort by time and are version 7 UUIDs."""

import uuid
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from server.clock import new_id

MOMENTS = st.datetimes(datetime(1971, 1, 1), datetime(9000, 1, 1)).map(lambda at: at.replace(tzinfo=UTC))


@given(MOMENTS)
def test_an_id_is_a_uuid_version_7(at: datetime) -> None:
    parsed = uuid.UUID(new_id(at))
    assert parsed.version == 7
    assert parsed.variant == uuid.RFC_4122


@given(MOMENTS)
def test_ids_sort_by_time(at: datetime) -> None:
    assert new_id(at) < new_id(at + timedelta(milliseconds=1))


def test_ids_are_unique() -> None:
    assert len({new_id() for _ in range(10_000)}) == 10_000
