"""A running dropslot with one court in it."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.acceptance.court import Court, Dropslot

Provision = Callable[..., Court]


def make_court(dropslot: Dropslot, folder: Path, slug: str = "gwinnett", template: str = "odyssey-ecr") -> Court:
    """An agency with a key and a profile for all of /upload."""
    folder.mkdir(exist_ok=True)
    court = Court(dropslot, slug, folder)
    dropslot.run("agency", "add", slug, "--name", f"{slug} court", "--timezone", "America/New_York")
    dropslot.run("key", "generate", slug, "--out", court.key)
    dropslot.run("profile", "add", slug, "nightly", "--template", template)
    return court


@pytest.fixture
def dropslot(tmp_path: Path) -> Iterator[Dropslot]:
    """A fresh installation; its server, if a test starts one, is gone afterwards."""
    installation = Dropslot(tmp_path / "data")
    yield installation
    if installation.process is not None:
        installation.kill()


@pytest.fixture
def court(dropslot: Dropslot, tmp_path: Path) -> Court:
    """A court on a running server."""
    court = make_court(dropslot, tmp_path / "court")
    dropslot.start()
    return court
