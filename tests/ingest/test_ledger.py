"""Rows outside memory: what was added comes back, in its order, also from the disk."""

from collections.abc import Iterator

import numpy as np
import pytest

from ingest import ledger, skip
from ingest.ledger import Ledger
from ingest.skip import FEW, Known, count_distinct

NAMES = ("client", "contact", "contact")


@pytest.fixture(params=[ledger.MEMORY, 100], ids=["in memory", "on the disk"])
def rows(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Ledger]:
    monkeypatch.setattr(ledger, "MEMORY", request.param)
    made = Ledger(NAMES)
    yield made
    made.close()


def block(first: int, count: int) -> Known:
    numbers = np.arange(first, first + count, dtype=np.int64)
    return Known(NAMES, numbers.astype(np.uint64) + np.uint64(2**63), (numbers, -numbers, numbers * 10))


def test_blocks_and_columns_come_back(rows: Ledger) -> None:
    for first, count in ((0, 40), (40, 1), (41, 30)):
        rows.add(np.arange(first, first + count) * 2, block(first, count))
        assert len(rows) == first + count
        assert rows.places.tolist() == [2 * place for place in range(first + count)], "reading and adding take turns"
    whole = block(0, 71)
    assert [len(part) for part in rows.blocks()] == [40, 1, 30]
    assert rows.known().row.tolist() == whole.row.tolist()
    assert [keys.tolist() for keys in rows.known().keys] == [keys.tolist() for keys in whole.keys]
    others = [np.array([7, 8], dtype=np.int64)]
    assert rows.together("contact", others).tolist() == [7, 8, *whole.keys[1].tolist(), *whole.keys[2].tolist()]
    assert rows.together("event", others).tolist() == [7, 8]


def test_nothing_is_one_empty_block(rows: Ledger) -> None:
    assert [len(part) for part in rows.blocks()] == [0]
    assert (len(rows), len(rows.known()), rows.places.tolist()) == (0, 0, [])


@pytest.mark.parametrize("few", [FEW, -1])
@pytest.mark.parametrize(
    ("keys", "count"), [([], 0), ([0], 0), ([5], 1), ([0, 0, -3, 5, 5], 2), ([-3, -1], 2), ([9, 0], 1), ([0, -9], 1)]
)
def test_records_are_counted_once_and_none_is_none(
    keys: list[int], count: int, few: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(skip, "FEW", few)
    assert count_distinct(np.array(keys, dtype=np.int64)) == count
