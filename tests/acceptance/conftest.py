"""A running dropslot for all tests that only need a court of their own, and one apart for those that break it."""

import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests import postgres
from tests.acceptance.court import Court, Dropslot


def make_court(dropslot: Dropslot, folder: Path, slug: str) -> Court:
    """An agency with a key and a profile for all of /upload."""
    folder.mkdir(exist_ok=True)
    court = Court(dropslot, slug, folder)
    dropslot.run("agency", "add", slug, "--name", f"{slug} court", "--timezone", "America/New_York")
    dropslot.run("key", "generate", slug, "--out", court.key)
    dropslot.run("profile", "add", slug, "nightly", "--template", "odyssey-ecr")
    return court


def _installation(data: Path, database: str = "") -> Iterator[Dropslot]:
    installation = Dropslot(data)
    if not database.startswith("sqlite"):
        installation.environment["DROPSLOT_DATABASE"] = database
    try:
        yield installation
    finally:
        if installation.process is not None:
            installation.kill()


@pytest.fixture(scope="session")
def numbers() -> Iterator[int]:
    return itertools.count(1)


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dropslot]:
    """The server that all tests share who leave it as it is."""
    with contextmanager(_installation)(tmp_path_factory.mktemp("shared") / "data") as installation:
        installation.start()
        yield installation
        assert "Traceback" not in installation.log()


@pytest.fixture
def court(shared: Dropslot, tmp_path: Path, numbers: Iterator[int]) -> Court:
    """A court of its own on the shared server."""
    return make_court(shared, tmp_path / "court", f"court-{next(numbers)}")


@pytest.fixture
def dropslot(tmp_path: Path, database_at: Callable[[Path], str]) -> Iterator[Dropslot]:
    """A fresh installation, not started."""
    for installation in _installation(tmp_path / "data", database_at(tmp_path)):
        # The shared one has a process per core; so many starts are quicker with one.
        installation.environment["DROPSLOT_SFTP_PROCESSES"] = "1"
        yield installation


@pytest.fixture
def lone_court(dropslot: Dropslot, tmp_path: Path) -> Court:
    """A court on a server of its own, for tests that stop or kill it."""
    court = make_court(dropslot, tmp_path / "court", "gwinnett")
    dropslot.start()
    return court


@pytest.fixture
def database_server() -> Iterator[postgres.Server]:
    """A database server that may be stopped."""
    with postgres.running() as running:
        yield running


@pytest.fixture
def installation(database_server: postgres.Server, tmp_path: Path) -> Iterator[Dropslot]:
    """An installation on it, not started, whose user needs a password."""
    database_server.run("CREATE ROLE guarded LOGIN PASSWORD 'a/secret'")
    database_server.run("CREATE DATABASE courts OWNER guarded")
    made = Dropslot(tmp_path / "data")
    made.environment["DROPSLOT_DATABASE"] = f"postgresql://guarded:a%2Fsecret@127.0.0.1:{database_server.port}/courts"
    yield made
    if made.process is not None:
        made.kill()
