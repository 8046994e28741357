"""Which bytes of a file were written, and what follows from it: pure, so any sequence of writes is tried."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.sftp.coverage import MOST_EXTENTS, Coverage
from server.sftp.upload import Verdict, judge

WRITES = st.lists(st.tuples(st.integers(0, 60), st.integers(0, 20)), max_size=30)


@given(WRITES, st.integers(0, 90))
def test_extents_are_what_a_set_of_bytes_says(writes: list[tuple[int, int]], cut: int) -> None:
    coverage, written = Coverage(), set()
    for start, length in writes:
        coverage.add(start, start + length)
        written |= set(range(start, start + length))
    assert {byte for start, end in coverage.extents for byte in range(start, end)} == written
    assert all(a[1] < b[0] for a, b in zip(coverage.extents, coverage.extents[1:], strict=False))
    assert coverage.has_all(cut) == (set(range(cut)) <= written)
    coverage.cut(cut)
    assert {byte for start, end in coverage.extents for byte in range(start, end)} == {b for b in written if b < cut}
    assert Coverage(coverage.extents).extents == coverage.extents


def test_gaps_are_bounded() -> None:
    coverage = Coverage()
    for start in range(0, 2 * MOST_EXTENTS, 2):
        coverage.add(start, start + 1)
    with pytest.raises(OverflowError):
        coverage.add(3 * MOST_EXTENTS, 3 * MOST_EXTENTS + 1)


@pytest.mark.parametrize(
    ("name", "size", "declared", "whole", "failure", "verdict"),
    [
        ("a.csv", 5, None, True, "", Verdict.COMPLETE),
        ("a.csv", 5, 5, True, "", Verdict.COMPLETE),
        ("a.csv", 0, None, True, "", Verdict.COMPLETE),
        ("a.csv", 0, 0, True, "", Verdict.COMPLETE),
        ("a.csv", 5, 0, True, "", Verdict.COMPLETE),
        ("a.csv", 0, 5, True, "", Verdict.PARTIAL),
        ("a.csv", 5, 6, True, "", Verdict.PARTIAL),
        ("a.csv", 6, 5, True, "", Verdict.PARTIAL),
        ("a.csv", 5, None, False, "", Verdict.PARTIAL),
        ("a.csv", 5, 5, True, "disk", Verdict.PARTIAL),
        ("a.csv.filepart", 5, 5, True, "", Verdict.HELD),
        ("a.csv.filepart", 4, 5, True, "", Verdict.PARTIAL),
        (".a.csv", 5, None, True, "", Verdict.HELD),
    ],
)
def test_the_judgement(name: str, size: int, declared: int | None, whole: bool, failure: str, verdict: Verdict) -> None:
    assert judge(name, size, declared, whole, failure).verdict is verdict
