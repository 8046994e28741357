from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.ingest.court import Court


@pytest.fixture
def court(tmp_path: Path) -> Iterator[Court]:
    """A court that sends the standard report."""
    court = Court(tmp_path / "court")
    court.profile()
    yield court
    court.close()
