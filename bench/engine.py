"""The ingest engine as a worker calls it: a new database, an agency with a profile, one file after another."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.ingestion import ZONE
from ingest import inbox, tables
from ingest.answer import Upload
from ingest.arrival import Received
from ingest.engine import ingest
from ingest.task import Work
from server.clock import new_id, now
from server.db import Database, open_database

AGENCY = "bench"


class Court:
    """One agency whose files go through the engine."""

    def __init__(self, database: Database) -> None:
        self._database = database
        with database.writing() as conn:
            inbox.add_profile(conn, AGENCY, "nightly", "odyssey-ecr", at=now())

    def take(self, source: Path) -> dict[str, int]:
        """Register the file and ingest it; what the upload counted. Raises RuntimeError if it was not processed."""
        received = Received(new_id(), AGENCY, f"/upload/{source.name}", source.stat().st_size, "cli", None, now())
        with self._database.writing() as conn:
            inbox.register(conn, received)
        return _counted(ingest(self._database.engine, Work(new_id(), received.id, source, ZONE, now())))


@contextmanager
def court(folder: Path, url: str = "") -> Iterator[Court]:
    """A court with an empty database: at `url`, or SQLite's in `folder`, which is made."""
    folder.mkdir(parents=True)
    database = open_database(url or f"sqlite:///{folder / 'dropslot.db'}")
    try:
        with database.writing() as conn:
            tables.metadata.create_all(conn)
        yield Court(database)
    finally:
        database.close()


def _counted(upload: Upload) -> dict[str, int]:
    if upload.status not in ("processed", "partially_processed"):
        raise RuntimeError(f"the engine says {upload.status}: {upload.error}")
    return {"rows": upload.rows, "skipped": upload.skipped, "bad": upload.error_rows}
