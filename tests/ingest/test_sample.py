"""The sample is what it says: the same each time, 95 % the same the next night, about 1 % bad."""

from pathlib import Path

import pytest

from ingest.sample import FAULTS, write_ecr
from tests.ingest.court import Court


def test_the_same_seed_gives_the_same_bytes(tmp_path: Path) -> None:
    written = [write_ecr(tmp_path / name, 500, seed) for name, seed in (("a", 1), ("b", 1), ("c", 2))]
    a, b, c = ((tmp_path / name).read_bytes() for name in "abc")
    assert written[0] == written[1]
    assert a == b != c
    assert a.count(b"\n") == 501


def test_the_next_night_most_rows_are_the_same(tmp_path: Path) -> None:
    for day in (1, 2):
        write_ecr(tmp_path / str(day), 4000, 1, day)
    one, other = ((tmp_path / str(day)).read_text().splitlines() for day in (1, 2))
    assert 0.93 < len(set(one) & set(other)) / len(set(one)) < 0.97


@pytest.mark.parametrize("delimiter", ["|", ","])
def test_a_sample_is_taken_with_the_errors_it_was_given(court: Court, tmp_path: Path, delimiter: str) -> None:
    sample = write_ecr(tmp_path / "s", 3000, 3, bad=0.02, delimiter=delimiter)
    upload = court.push((tmp_path / "s").read_bytes())
    assert 30 < sample.bad < 90
    assert upload.error_rows + upload.warning_rows == sample.bad
    assert len({error.code for error in court.errors(upload)}) >= len(FAULTS) - 1
    assert upload.counts["contacts"].created > 1000
