"""Token buckets that processes share: a burst passes, a flood does not."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from server.sftp.rates import BUCKETS, ROWS, SIZE, Rates

Opener = Callable[..., Rates]


@pytest.fixture
def open_rates(tmp_path: Path) -> Iterator[Opener]:
    opened: list[Rates] = []

    def open_it(per_minute: float = 60, burst: int = 10) -> Rates:
        opened.append(Rates(tmp_path / "run" / "rates", per_minute, burst))
        return opened[-1]

    yield open_it
    for rates in opened:
        rates.close()


def test_a_burst_passes_and_then_a_steady_trickle(open_rates: Opener) -> None:
    rates = open_rates(per_minute=60, burst=10)
    assert [rates.take("a", 1000.0) for _ in range(12)] == [True] * 10 + [False] * 2
    assert [rates.take("a", 1001.0) for _ in range(2)] == [True, False]
    assert [rates.take("a", 1000.0 + second) for second in range(2, 30)] == [True] * 28
    assert [rates.take("a", 2000.0) for _ in range(12)] == [True] * 10 + [False] * 2


def test_who_is_refused_does_not_wait_longer_for_it(open_rates: Opener) -> None:
    rates = open_rates(per_minute=60, burst=1)
    assert rates.take("a", 1000.0)
    assert not any(rates.take("a", 1000.0 + tenth / 10) for tenth in range(1, 10))
    assert rates.take("a", 1001.0)


def test_processes_share_the_buckets(open_rates: Opener) -> None:
    one, two = open_rates(), open_rates()
    taken = [rates.take("a", 1000.0) for _ in range(6) for rates in (one, two)]
    assert taken == [True] * 10 + [False] * 2
    assert two.take("b", 1000.0)


def test_a_flood_from_many_addresses_takes_nothing_from_one_and_no_room(open_rates: Opener, tmp_path: Path) -> None:
    rates = open_rates(per_minute=60, burst=2)
    for number in range(BUCKETS // 8):
        for _ in range(3):
            rates.take(f"attacker {number}", 1000.0)
    refused = sum(not rates.take(f"court {number}", 1000.0) for number in range(1000))
    assert refused < 5, "only who shares all four buckets with attackers"
    assert (tmp_path / "run" / "rates").stat().st_size == SIZE
    assert ROWS == 4


def test_a_clock_that_began_anew_empties_no_bucket(open_rates: Opener) -> None:
    before = open_rates(burst=1)
    assert before.take("a", 1_000_000.0)
    after = open_rates(burst=1)
    assert after.take("a", 5.0)
    assert not after.take("a", 5.0)


def test_a_file_of_another_size_is_replaced(open_rates: Opener, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "rates").write_bytes(b"half")
    assert open_rates().take("a", 1.0)
    assert [file.name for file in (tmp_path / "run").iterdir()] == ["rates"]


def test_without_room_for_the_file_each_process_counts_for_itself(tmp_path: Path) -> None:
    (tmp_path / "rates").mkdir()
    rates = Rates(tmp_path / "rates", 60, 2)
    assert [rates.take("a", 1000.0) for _ in range(3)] == [True, True, False]
    rates.close()
