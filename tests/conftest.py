"""Which tests run on which database: those that ask for `database_at` run on SQLite and on PostgreSQL.

Where the database is not what is tested (the door, the acceptance tests), SQLite alone will do, but for tests that are
marked `both_databases`. Tests that are marked `sqlite_only` look at what the embedded database alone has: its file.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests import postgres

ROOT = Path(__file__).parent
SQLITE_WILL_DO = (ROOT / "server" / "sftp", ROOT / "server" / "sync", ROOT / "acceptance")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "database_at" not in metafunc.fixturenames:
        return
    definition = metafunc.definition
    will_do = any(folder in definition.path.parents for folder in SQLITE_WILL_DO)
    alone = definition.get_closest_marker("sqlite_only") or (
        will_do and not definition.get_closest_marker("both_databases")
    )
    metafunc.parametrize("database_at", ["sqlite"] if alone else ["sqlite", "postgresql"], indirect=True)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[postgres.Server]:
    """The server of this test process."""
    with postgres.running() as server:
        postgres.fill_template(server)
        yield server


@pytest.fixture
def database_at(request: pytest.FixtureRequest) -> Iterator[Callable[[Path], str]]:
    """Gives the address of a fresh database for a folder; the same for the same folder."""
    if request.param == "sqlite":
        yield lambda folder: f"sqlite:///{folder / 'dropslot.db'}"
        return
    server: postgres.Server = request.getfixturevalue("postgres_server")
    made: dict[Path, str] = {}

    def make(folder: Path) -> str:
        if folder not in made:
            made[folder] = server.create()
        return server.url(made[folder])

    yield make
    for database in made.values():
        server.drop(database)
