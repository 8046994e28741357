"""Rows of the file before are found again, and records of which a row is new, gone, or elsewhere among the others."""

from collections import defaultdict, deque
from unittest.mock import patch

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ingest import skip
from ingest.skip import FEW, Known, find_dirty, nothing, recall

ROWS = st.lists(st.integers(0, 5) | st.integers(0, (1 << 64) - 1), max_size=40)


@given(ROWS, ROWS, st.sampled_from([FEW, -1]))
def test_of_equal_rows_each_is_recalled_in_its_turn(before: list[int], now: list[int], few: int) -> None:
    left = defaultdict[int, deque[int]](deque)
    for place, row in enumerate(before):
        left[row].append(place)
    left.pop(0, None)  # forgotten
    wanted = [left[row].popleft() if left[row] else -1 for row in now]
    known = Known((), np.array(before, dtype=np.uint64), ())
    with patch.object(skip, "FEW", few):
        assert recall(known, np.array(now, dtype=np.uint64)).tolist() == wanted


NAMES = ("client", "case", "event", "client")
KEYS = st.tuples(*[st.integers(0, 4)] * len(NAMES))


def known_of(rows: list[tuple[int, ...]]) -> Known:
    columns = tuple(np.array([keys[i] for keys in rows], dtype=np.int64) for i in range(len(NAMES)))
    return Known(NAMES, np.arange(1, len(rows) + 1, dtype=np.uint64), columns)


def sequences(rows: list[tuple[int, ...]]) -> dict[tuple[str, int], list[int]]:
    """By record, its rows in their order."""
    told = defaultdict[tuple[str, int], list[int]](list)
    for number, keys in enumerate(rows):
        for record in {(name, key) for name, key in zip(NAMES, keys, strict=True) if key}:
            told[record].append(number)
    return told


@given(st.lists(KEYS, max_size=12), st.data())
def test_a_record_is_dirty_unless_its_rows_are_the_same_sequence(
    rows: list[tuple[int, ...]], data: st.DataObject
) -> None:
    places = data.draw(st.permutations(range(len(rows))))[: data.draw(st.integers(0, len(rows)))]
    dirty = find_dirty(known_of(rows), np.array(places, dtype=np.int64), nothing(NAMES))
    before, now = sequences(rows), sequences([rows[place] for place in places])
    for (name, key), numbers in before.items():
        same = [places[number] for number in now[name, key]] == numbers
        assert (key in dirty[name].tolist()) is not same
