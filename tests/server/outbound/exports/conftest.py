"""An agency whose records are exported, by a clock that the test sets."""

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ingest import inbox
from ingest.answer import Upload
from ingest.arrival import Received
from ingest.engine import ingest
from ingest.record import new_id, records_of
from ingest.task import Work
from ingest.template import builtin_templates
from ingest.undo import Undone, undo
from server.agencies import Agency
from server.logs import open_log
from server.outbound.exports.plan import Shape, When, create_export
from server.outbound.exports.rounds import ExportRounds
from server.outbound.exports.store import Export, Run, export_by_id, list_exports, list_runs
from server.services.provision import create_agency
from server.state import State

ZONE = "America/New_York"
BEGIN = datetime(2026, 3, 2, 11, tzinfo=UTC)
ODYSSEY = builtin_templates()["odyssey-ecr"]


@dataclass
class Office:
    """One agency, and the scheduler of its exports."""

    state: State
    agency: Agency
    log: io.StringIO
    at: datetime = BEGIN
    rounds: ExportRounds = field(init=False)
    ahead: timedelta = timedelta()
    """By so much `at` is wrong."""
    _pushed: timedelta = timedelta()

    def __post_init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        """A scheduler that remembers nothing."""
        log = open_log("debug", self.log)
        self.rounds = ExportRounds(self.state, log, lambda: self.at, lambda: (self.at - self.ahead).timestamp())

    @property
    def home(self) -> Path:
        return self.state.settings.home(self.agency.slug)

    @property
    def folder(self) -> Path:
        return self.home / "exports"

    def export(self, dataset: str = "clients", at: str = "06:00", **options: Any) -> Export:
        when = When(at, options.pop("timezone", None), options.pop("weekdays", None), options.pop("every_days", None))
        name = options.pop("name", "")
        with self.state.database.writing() as conn:
            return create_export(conn, self.agency, dataset, name, when, Shape(**options), self.at)

    def again(self, export: Export) -> Export:
        with self.state.database.reading() as conn:
            return export_by_id(conn, export.id)

    def exports(self) -> list[Export]:
        with self.state.database.reading() as conn:
            return list_exports(conn, self.agency.id)

    def runs(self, export: Export) -> list[Run]:
        """The oldest first."""
        with self.state.database.reading() as conn:
            return list_runs(conn, export.id)[::-1]

    def go(self, **time: float) -> None:
        """Let time pass, and the scheduler go round."""
        self.at += timedelta(**time)
        self.rounds.round(self.at)

    def set_clock(self, **wrong: float) -> None:
        """Have the clock be ahead by that, and no time pass; by nothing: it is right again."""
        right, self.ahead = self.at - self.ahead, timedelta(**wrong)
        self.at = right + self.ahead

    def files(self) -> list[str]:
        """What the agency sees in /exports."""
        found = (file.relative_to(self.folder) for file in self.folder.rglob("*") if file.is_file())
        return sorted(map(str, found))

    def rows(self, name: str) -> list[dict[str, str]]:
        return read_csv((self.folder / name).read_bytes())

    def push(self, content: bytes, path: str = "/upload/ecr.txt") -> Upload:
        self._pushed += timedelta(seconds=1)
        at = self.at + self._pushed
        source = self.state.settings.data / f"{new_id(at)}.data"
        source.write_bytes(content)
        received = Received(new_id(at), self.agency.id, path, len(content), "sftp", None, at)
        with self.state.database.writing() as conn:
            arrival = inbox.register(conn, received)
        return ingest(self.state.database.engine, Work(new_id(at), arrival.id, source, ZONE, at))

    def undo(self, upload: Upload) -> Undone:
        with self.state.database.writing(records_of(self.agency.id)) as conn:
            return undo(conn, upload.id, self.at)


def read_csv(content: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(content.decode("utf-8-sig"), newline="")))


@pytest.fixture
def log() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def office(state: State, log: io.StringIO) -> Iterator[Office]:
    with state.database.writing() as conn:
        agency = create_agency(conn, state.settings.agencies, "gwinnett", "Gwinnett", ZONE, False)
        inbox.add_profile(conn, agency.id, "daily", "odyssey-ecr", at=BEGIN)
        whole = ODYSSEY.replace("odyssey-ecr", "whole") + '\n[processing]\nmethod = "replace_all"\nguard = 100\n'
        inbox.add_template(conn, agency.id, whole, BEGIN)
        inbox.add_profile(conn, agency.id, "whole", "whole", at=BEGIN, directory="/upload/whole")
    yield Office(state, agency, log)
    assert "Traceback" not in log.getvalue()
