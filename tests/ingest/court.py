"""A court for tests: a real database, one agency, and files pushed through the engine."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

from sqlalchemy import text

from ingest import inbox, tables
from ingest.answer import RowError, Upload
from ingest.arrival import Arrival, Received
from ingest.engine import ingest
from ingest.limits import Limits
from ingest.record import new_id
from ingest.task import Work
from server.db import open_database

ZONE = "America/New_York"
BEGIN = datetime(2026, 3, 1, 6, tzinfo=UTC)
HEADER = (
    "Party ID|First Name|Last Name|Party Description|Preferred Language|Phone|Email|"
    "Event Date|Event Time|Event Status|Location Name|Judge Name|Case Number"
)
DUMPS = {
    "clients": "SELECT identity, reference, first_name, middle_name, last_name, suffix, dob, gender, language, type, "
    "group_name, created_upload, updated_upload FROM clients ORDER BY identity",
    "cases": "SELECT number, style, type, status, location, file_date, created_upload, updated_upload FROM cases "
    "ORDER BY number NULLS FIRST, identity",
    "contacts": "SELECT c.identity, t.kind, t.value, t.created_upload FROM contacts t "
    "JOIN clients c ON c.id = t.client_id ORDER BY 1 NULLS FIRST, 2 NULLS FIRST, 3",
    "case_parties": "SELECT k.number, c.identity, t.role, t.created_upload, t.updated_upload FROM case_parties t "
    "JOIN clients c ON c.id = t.client_id JOIN cases k ON k.id = t.case_id ORDER BY 1 NULLS FIRST, 2, k.identity",
    "events": "SELECT c.identity, k.number, t.slot, t.reference, t.starts_at, t.local_date, t.local_time, t.zone, "
    "t.type, t.status, t.location, t.judge, t.room, t.notes, t.created_upload, t.updated_upload FROM events t "
    "LEFT JOIN clients c ON c.id = t.client_id LEFT JOIN cases k ON k.id = t.case_id "
    "ORDER BY 1 NULLS FIRST, 2 NULLS FIRST, k.identity NULLS FIRST, 3",
}


class Court:
    """An agency whose clock moves on one day with each file."""

    def __init__(
        self,
        folder: Path,
        url: str = "",
        limits: Limits | None = None,
        skipping: bool = True,
        agency: str = "agency",
    ) -> None:
        self.folder, self.limits, self.skipping, self.agency = folder, limits or Limits(), skipping, agency
        self.folder.mkdir(parents=True, exist_ok=True)
        self.database = open_database(url or f"sqlite:///{folder / 'dropslot.db'}")
        self.at = BEGIN
        self.uploads: list[str] = []
        with self.database.writing() as conn:
            tables.metadata.create_all(conn)

    def close(self) -> None:
        self.database.close()

    def template(self, toml: str, directory: str, **options: Any) -> None:
        with self.database.writing() as conn:
            version = inbox.add_template(conn, self.agency, toml, self.at)
            inbox.add_profile(conn, self.agency, version.name, version.name, at=self.at, directory=directory, **options)

    def profile(self, template: str = "odyssey-ecr", **options: Any) -> None:
        with self.database.writing() as conn:
            inbox.add_profile(conn, self.agency, "daily", template, at=self.at, **options)

    def receive(self, content: bytes, path: str = "/upload/ecr.txt") -> tuple[Arrival, Path]:
        self.at += timedelta(days=1)
        source = self.folder / f"{self.at:%Y%m%d}.data"
        source.write_bytes(content)
        received = Received(new_id(self.at), self.agency, path, len(content), "sftp", None, self.at)
        with self.database.writing() as conn:
            return inbox.register(conn, received), source

    def work(self, arrival: Arrival, source: Path, **options: Any) -> Work:
        options = {"limits": self.limits, "skipping": self.skipping} | options
        return Work(new_id(self.at), arrival.id, source, ZONE, self.at, **options)

    def push(self, content: bytes | str, path: str = "/upload/ecr.txt", **options: Any) -> Upload:
        data = content.encode() if isinstance(content, str) else content
        upload = ingest(self.database.engine, self.work(*self.receive(data, path), **options))
        self.uploads.append(upload.id)
        return upload

    def original(self, upload: Upload) -> Path:
        """The bytes of a file that was pushed."""
        files = self.folder.glob("*.data")
        return next(file for file in files if sha256(file.read_bytes()).hexdigest() == upload.sha256)

    def replay(self, upload: Upload, version: int | None = None) -> Upload:
        """Run its original again, by that version of its template."""
        self.at += timedelta(days=1)
        with self.database.writing() as conn:
            came = inbox.find_arrival(conn, upload.arrival_id)
            assert came is not None
            profile = inbox.profile_by_id(conn, came.profile_id or "")
            assert profile is not None
            arrival = inbox.register_replay(conn, upload, came.path, profile, self.at, version)
        again = ingest(self.database.engine, self.work(arrival, self.original(upload)))
        self.uploads.append(again.id)
        return again

    def errors(self, upload: Upload) -> list[RowError]:
        with self.database.reading() as conn:
            return inbox.row_errors(conn, upload.id)

    def dump(self) -> dict[str, list[tuple[Any, ...]]]:
        """All records, without ids; uploads are told by their place in the order of files."""
        order = {upload: f"upload {i}" for i, upload in enumerate(self.uploads, 1)}
        with self.database.reading() as conn:
            if conn.dialect.name == "sqlite":  # which the engine does not ask to look at each row
                assert not conn.execute(text("PRAGMA foreign_key_check")).all()
            return {
                table: [tuple(order.get(cell, cell) for cell in row) for row in conn.execute(text(sql))]
                for table, sql in DUMPS.items()
            }


def ecr(*rows: str) -> bytes:
    """A pipe-delimited report."""
    return "\r\n".join((HEADER, *rows, "")).encode()


def row(
    reference: str = "1",
    case: str = "CR-1",
    date: str = "03/16/2026",
    time: str = "9:00 AM",
    status: str = "Scheduled",
    **others: str,
) -> str:
    """A row of a report; anything not named is plausible."""
    usual = {"first": "Avery", "last": "Alder", "role": "Defendant", "language": "English", "phone": "", "email": ""}
    usual |= {"location": "Courtroom 1A", "judge": "Alvarez, M."} | others
    who = (reference, usual["first"], usual["last"], usual["role"], usual["language"], usual["phone"], usual["email"])
    return "|".join((*who, date, time, status, usual["location"], usual["judge"], case))


def codes(errors: Sequence[RowError]) -> list[tuple[int, str, str, str]]:
    """Row errors in short."""
    return [(error.row, error.column, error.code, error.severity) for error in errors]
