from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.ingest.court import Court

CourtAt = Callable[..., Court]


@pytest.fixture
def bare_court_at(database_at: Callable[[Path], str]) -> Iterator[CourtAt]:
    """Makes a court in a folder, on a database of its own, which nobody sends anything to yet."""
    courts: list[Court] = []

    def make(folder: Path, **options: Any) -> Court:
        courts.append(Court(folder, database_at(folder), **options))
        return courts[-1]

    yield make
    for court in courts:
        court.close()


@pytest.fixture
def court_at(bare_court_at: CourtAt) -> CourtAt:
    """The same for a court that sends the standard report."""

    def make(folder: Path, **options: Any) -> Court:
        court = bare_court_at(folder, **options)
        court.profile()
        return court

    return make


@pytest.fixture
def court(court_at: CourtAt, tmp_path: Path) -> Court:
    """A court that sends the standard report."""
    return court_at(tmp_path / "court")
