"""What a thread does meanwhile is done in its order, and nothing that it raises is lost."""

from collections.abc import Iterator

import pytest

from ingest.merge.carrier import Carrier


@pytest.fixture
def carrier() -> Iterator[Carrier]:
    made = Carrier()
    yield made
    made.close()


def fail() -> None:
    raise OSError("gone")


def test_things_are_done_one_after_the_other(carrier: Carrier) -> None:
    done: list[int] = []
    for number in range(50):
        carrier.carry(lambda number=number: done.append(number))  # type: ignore[misc]
    carrier.arrive()
    assert done == list(range(50))


def test_a_failure_is_told_once_to_whoever_comes_next(carrier: Carrier) -> None:
    carrier.carry(fail)
    with pytest.raises(OSError, match="gone"):
        carrier.carry(fail)
    carrier.arrive()
    carrier.carry(fail)
    with pytest.raises(OSError, match="gone"):
        carrier.arrive()


def test_who_gives_up_waits_until_nothing_is_done_any_more(carrier: Carrier) -> None:
    done: list[bool] = []
    carrier.carry(lambda: done.append(True))
    carrier.close()
    assert done == [True]
