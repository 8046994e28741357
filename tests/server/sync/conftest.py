"""A court whose files lie on another server: here a folder, with faults that can be set."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import structlog
from sqlalchemy import Connection

from ingest import inbox
from ingest.arrival import Arrival, Profile
from server.agencies import Agency, list_agencies
from server.clock import new_id, now
from server.errors import AppError, Code
from server.logs import Log
from server.remotes.port import Progress, Remote, RemoteFile
from server.remotes.server import Kind, Server
from server.remotes.store import add_server
from server.services.provision import create_agency
from server.state import State
from server.sync.plan import Place, due_tasks, list_places, narrow
from server.sync.profiles import create_profile
from server.sync.runs import Run
from server.sync.syncer import Syncer
from server.worker import work_once

PIECE = 64 * 1024
OLD = 1_700_000_000.0


@dataclass
class Folder:
    """A `Remote` on a folder. `faults` are raised instead of a call's answer; `during` happens within a fetch, after
    its first piece; `calls` are the names and paths of all calls."""

    root: Path
    faults: dict[str, AppError] = field(default_factory=dict)
    during: Callable[[], object] | None = None
    calls: list[tuple[str, str]] = field(default_factory=list)

    def put(self, path: str, content: bytes, modified: float = OLD) -> Path:
        file = self.root / path.lstrip("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
        os.utime(file, (modified, modified))
        return file

    def _call(self, name: str, path: str) -> None:
        self.calls.append((name, path))
        for key in (f"{name} {path}", name):
            if key in self.faults:
                raise self.faults[key]

    async def list(self, directory: str) -> list[RemoteFile]:
        self._call("list", directory)
        folder = self.root / directory.lstrip("/")
        if not folder.is_dir():
            raise AppError(Code.NOT_FOUND, f"There is no directory {directory}.")
        return [self._seen(file) for file in sorted(folder.iterdir()) if file.is_file()]

    async def look(self, path: str) -> RemoteFile:
        self._call("look", path)
        return self._seen(self.root / path.lstrip("/"))

    async def fetch(self, file: RemoteFile, target: Path, progress: Progress) -> None:
        self._call("fetch", file.path)
        content = (self.root / file.path.lstrip("/")).read_bytes()
        with target.open("ab") as out:
            while out.tell() < len(content):
                out.write(content[out.tell() : out.tell() + PIECE])
                out.flush()
                progress(out.tell())
                if self.during:
                    act, self.during = self.during, None
                    act()
                await asyncio.sleep(0)
        if await self.look(file.path) != file:
            raise AppError(Code.CONFLICT, "The file has changed meanwhile.")

    async def place(self, source: Path, directory: str, name: str) -> None:
        self._call("place", f"{directory}/{name}")
        (self.root / directory.lstrip("/") / name).write_bytes(source.read_bytes())

    async def remove(self, file: RemoteFile) -> None:
        self._call("remove", file.path)
        place = self.root / file.path.lstrip("/")
        if not place.exists():
            raise AppError(Code.NOT_FOUND, f"There is no file {file.path}.")
        if self._seen(place) != file:
            raise AppError(Code.CONFLICT, "The file is another one by now.")
        place.unlink()

    async def has_directory(self, directory: str) -> bool:
        return (self.root / directory.lstrip("/")).is_dir()

    def _seen(self, file: Path) -> RemoteFile:
        status = file.stat()
        path = "/" + str(file.relative_to(self.root))
        return RemoteFile(path, status.st_size, datetime.fromtimestamp(int(status.st_mtime), UTC))


@dataclass
class Town:
    """An installation with agencies and servers, and a `Folder` behind each server."""

    state: State
    tmp: Path
    folders: dict[str, Folder] = field(default_factory=dict)
    said: list[dict[str, Any]] = field(default_factory=list)
    connect: Callable[[Place], object] = lambda place: None

    agencies: dict[str, str] = field(default_factory=dict)

    @property
    def court(self) -> str:
        return self.agencies["court"]

    def agency(self, slug: str) -> str:
        with self.state.database.writing() as conn:
            made = create_agency(conn, self.state.settings.agencies, slug, slug, "America/New_York", False)
        self.agencies[slug] = made.id
        return made.id

    def server(self, name: str, **values: Any) -> Folder:
        with self.state.database.writing() as conn:
            add_server(conn, Server(new_id(), name, Kind.S3, now(), host="x", bucket="b", **values))
        self.folders[name] = Folder(self.tmp / "servers" / name)
        self.folders[name].root.mkdir(parents=True)
        return self.folders[name]

    def profile(
        self, slug: str, name: str, server: str = "county", template: str = "odyssey-ecr", **terms: Any
    ) -> Profile:
        with self.state.database.writing() as conn:
            given = {"auto_sync": True, **terms}
            return create_profile(conn, slug, name, template, server=server, **given)

    @property
    def log(self) -> Log:
        def keep(_logger: object, level: str, event: Any) -> str:
            self.said.append({"level": level, **event})
            return ""

        return structlog.wrap_logger(structlog.ReturnLogger(), processors=[keep])

    def syncer(self, deliver: Any = None) -> Syncer:
        @asynccontextmanager
        async def reach(place: Place) -> AsyncIterator[Remote]:
            self.connect(place)
            yield self.folders[place.server.name]

        return Syncer(self.state, self.log, reach, deliver)

    def sync(
        self, slug: str | None = None, name: str | None = None, deliver: Any = None, by: str = "person"
    ) -> list[Run]:
        """Look now, as a person has it done (or, `by` schedule, the scheduler), whenever it is due."""
        with self.state.database.reading() as conn:
            tasks = narrow(list_places(conn), self.agencies[slug] if slug else None, name)

        async def run() -> list[Run]:
            syncer = self.syncer(deliver)
            done = await asyncio.gather(*(syncer.work(task, by) for task in tasks))
            return [one for runs in done for one in runs or []]

        return asyncio.run(run())

    def cycle(self) -> list[Run]:
        """Do what is due now, as the scheduler does."""
        with self.state.database.reading() as conn:
            tasks = due_tasks(conn, now())

        async def run() -> list[Run]:
            syncer = self.syncer()
            done = await asyncio.gather(*(syncer.work(task, "schedule") for task in tasks))
            return [one for runs in done for one in runs or []]

        return asyncio.run(run())

    def all_agencies(self, conn: Connection) -> list[Agency]:
        return list_agencies(conn)

    def process(self) -> None:
        """Have all jobs done."""
        while work_once(self.state, self.log, "worker"):
            pass

    def arrivals_count(self) -> int:
        with self.state.database.reading() as conn:
            return len(inbox.waiting(conn))

    def arrivals(self) -> list[Arrival]:
        """The oldest first."""
        with self.state.database.reading() as conn:
            return list(reversed(inbox.list_arrivals(conn)))


@pytest.fixture
def town(state: State, tmp_path: Path) -> Town:
    """One agency, one server that all may use."""
    object.__setattr__(state.settings, "sync_settle", 0.0)
    town = Town(state, tmp_path)
    town.agency("court")
    town.server("county")
    return town
