"""Rows of the file before are found again."""

from collections import defaultdict, deque

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ingest.skip import Known, recall

ROWS = st.lists(st.integers(0, 5) | st.integers(0, (1 << 64) - 1), max_size=40)


@given(ROWS, ROWS)
def test_of_equal_rows_each_is_recalled_in_its_turn(before: list[int], now: list[int]) -> None:
    left = defaultdict[int, deque[int]](deque)
    for place, row in enumerate(before):
        left[row].append(place)
    left.pop(0, None)  # forgotten
    wanted = [left[row].popleft() if left[row] else -1 for row in now]
    known = Known((), np.array(before, dtype=np.uint64), ())
    assert recall(known, np.array(now, dtype=np.uint64)).tolist() == wanted
