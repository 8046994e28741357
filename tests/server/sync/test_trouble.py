"""What goes wrong with one file, or here, does not stop a place; what is deleted there is what may be."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, event, func, select, update

from ingest import inbox
from keys.errors import KeysError
from server.clock import now
from server.db import Database
from server.errors import AppError, Code
from server.remotes.port import RemoteFile
from server.sync import cycle
from server.sync.files import is_tried_now, to_remove
from server.sync.places import standings
from server.sync.plan import list_places, narrow
from server.sync.profiles import edit_profile
from server.sync.tables import sync_files
from tests.acceptance.court import ecr, ecr_row
from tests.server.sync.conftest import Town

FILE = ecr(ecr_row(1))
FAILURE = AppError(Code.UNAVAILABLE, "The server could not do what it was asked for.")


def states(town: Town) -> set[str]:
    with town.state.database.reading() as conn:
        return {one.state for one in standings(conn).values()}


def test_a_bad_file_keeps_neither_its_neighbours_nor_another_agency(town: Town) -> None:
    town.agency("other")
    county = town.folders["county"]
    for path in ("/a/1.txt", "/a/2.txt", "/b/x.txt"):
        county.put(path, FILE)
    county.faults["fetch /a/1.txt"] = FAILURE
    town.profile("court", "p", directory="/a")
    town.profile("other", "q", directory="/b")
    runs = town.sync()
    assert sorted((run.took, run.failed) for run in runs) == [(1, 0), (1, 1)]
    assert states(town) == {"ok"}


def test_after_three_files_without_an_answer_the_other_profiles_go_on(town: Town) -> None:
    county = town.folders["county"]
    for number in range(5):
        county.put(f"/a/{number}.txt", FILE)
        county.faults[f"fetch /a/{number}.txt"] = FAILURE
    county.put("/b/x.txt", FILE)
    town.profile("court", "p", directory="/a")
    town.profile("court", "q", directory="/b")
    runs = town.sync()
    assert sorted((run.took, run.failed) for run in runs) == [(0, 3), (1, 0)]
    assert states(town) == {"ok"}
    county.put("/a/good.txt", FILE)
    runs = town.sync()
    assert sorted((run.took, run.failed) for run in runs) == [(0, 0), (1, 5)]


def test_a_lost_connection_ends_the_cycle(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    county = town.folders["county"]
    for number in range(3):
        county.put(f"/{number}.txt", FILE)
    county.faults["fetch"] = FAILURE

    async def lost(_directory: str) -> bool:
        raise AppError(Code.UNAVAILABLE, "The connection was lost.")

    monkeypatch.setattr(county, "has_directory", lost)
    town.profile("court", "p")
    [run] = town.sync()
    assert run.failed == 1
    assert states(town) == {"failing"}


def test_a_directory_that_cannot_be_listed_fails_its_profile_alone(town: Town) -> None:
    county = town.folders["county"]
    county.put("/b/x.txt", FILE)
    county.faults["list /a"] = FAILURE
    town.profile("court", "p", directory="/a")
    town.profile("court", "q", directory="/b")
    runs = town.sync()
    assert sorted((run.took, run.error) for run in runs) == [(0, FAILURE.message), (1, None)]


def test_a_refused_deletion_parks_nothing_and_is_tried_more_and_more_seldom(town: Town) -> None:
    county = town.folders["county"]
    county.put("/a.txt", FILE)
    town.profile("court", "p", delete_after=True)
    town.sync()
    town.process()
    county.faults["remove"] = FAILURE
    for _ in range(4):
        [run] = town.sync()
        assert run.failed == 1
    assert states(town) == {"ok"}
    with town.state.database.reading() as conn:
        [known] = to_remove(conn)
    assert known.taken_at
    assert known.tried_at
    taken = known.tried_at - timedelta(hours=2)
    with town.state.database.writing() as conn:
        conn.execute(update(sync_files).values(taken_at=taken))
        [known] = to_remove(conn)
    tried = known.tried_at or now()
    hours = [is_tried_now(known, tried + timedelta(hours=hour)) for hour in range(4)]
    assert hours == [False, False, True, True]


def test_a_locked_database_is_not_held_against_the_server(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    def locked(*_: object) -> None:
        raise AppError(Code.UNAVAILABLE, "The database is too busy just now.")

    town.folders["county"].put("/a.txt", FILE)
    town.profile("court", "p")
    monkeypatch.setattr(cycle, "begin_file", locked)
    [run] = town.sync()
    assert run.error == "The database is too busy just now."
    assert run.again_at
    assert states(town) == {"ok"}
    assert [said["event"] for said in town.said if said["level"] == "error"] == ["sync put off"]
    monkeypatch.undo()
    assert town.sync()[0].took == 1


def test_a_master_key_that_is_away_parks_no_server(town: Town) -> None:
    def away(_place: object) -> None:
        raise KeysError("unavailable", "The master key cannot be read.")

    town.connect = away
    town.folders["county"].put("/a.txt", FILE)
    town.profile("court", "p")
    for _ in range(4):
        [run] = town.sync(by="schedule")
    assert run.error == "The master key cannot be read."
    assert states(town) == {"ok"}
    town.connect = lambda place: None
    assert town.sync()[0].took == 1


def test_a_full_disk_here_is_not_held_against_the_server(town: Town) -> None:
    county = town.folders["county"]
    county.put("/a.txt", FILE)
    county.faults["fetch"] = AppError(Code.INTERNAL, "It cannot be kept here (no space left on device).")
    town.profile("court", "p")
    for _ in range(3):
        [run] = town.sync(by="schedule")
    assert "no space left" in str(run.error)
    assert states(town) == {"ok"}


def test_a_folder_here_that_is_away_is_told_and_not_held_against_the_server(town: Town) -> None:
    town.folders["county"].put("/a.txt", FILE)
    town.profile("court", "p")
    sync = town.state.settings.sync
    sync.rename(sync.with_name("elsewhere"))
    [run] = town.sync()
    assert run.error == "It cannot be kept here (no such file or directory)."
    assert [entry for entry in town.said if "trace" in entry] == []
    assert states(town) == {"ok"}
    sync.with_name("elsewhere").rename(sync)
    assert town.sync()[0].took == 1


def test_a_file_that_cannot_be_used_is_named_and_the_others_are_taken(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    county = town.folders["county"]
    county.put("/a.txt", FILE)
    real, odd = county.list, RemoteFile("/x//b.txt", 0, datetime.fromtimestamp(0, UTC), oddity="Its key has '//'.")

    async def listed(directory: str) -> list[RemoteFile]:
        return [*await real(directory), odd]

    monkeypatch.setattr(county, "list", listed)
    town.profile("court", "p", delete_after=True)
    for took in (1, 0):
        [run] = town.sync()
        assert (run.took, run.skipped, run.failed) == (took, 1, 0)
        assert ("/x//b.txt", "Its key has '//'.") in [(note.path, note.why) for note in run.files]


def test_without_times_nothing_is_deleted(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    county = town.folders["county"]
    zero = datetime.fromtimestamp(0, UTC)
    monkeypatch.setattr(county, "_seen", lambda file: RemoteFile(f"/{file.name}", file.stat().st_size, zero))
    for name in ("a.txt", "b.txt"):
        county.put(f"/{name}", FILE)
    town.profile("court", "p", delete_after=True)
    [run] = town.sync()
    town.process()
    town.sync()
    assert [note.why for note in run.files if note.what == "skipped"] == [
        "Its server tells no times: another file of the same name and size is not seen to be new, and none is deleted."
    ]
    assert [name for name, _ in county.calls if name == "remove"] == []


def test_nothing_is_deleted_in_a_directory_that_the_profile_does_not_read_any_more(town: Town) -> None:
    county = town.folders["county"]
    file = county.put("/old/ecr.txt", FILE)
    county.put("/new/ecr.txt", ecr(ecr_row(2)))
    town.profile("court", "p", directory="/old")
    town.sync()
    with town.state.database.writing() as conn:
        edit_profile(conn, "court", "p", {"directory": "/new", "delete_after": True})
    town.process()
    town.sync()
    town.process()
    town.sync()
    assert file.exists()
    assert not (county.root / "new/ecr.txt").exists()


@pytest.mark.parametrize("meanwhile", ["removed", "off", "moved"])
@pytest.mark.parametrize("when", ["planned", "fetching"])
def test_a_profile_that_was_changed_meanwhile_takes_nothing(town: Town, meanwhile: str, when: str) -> None:
    import asyncio

    county = town.folders["county"]
    county.put("/ecr.txt", FILE)
    town.profile("court", "p")

    def change() -> None:
        with town.state.database.writing() as conn:
            if meanwhile == "removed":
                inbox.remove_profile(conn, town.court, "p")
            else:
                terms: dict[str, Any] = {"auto_sync": False} if meanwhile == "off" else {"directory": "/new"}
                edit_profile(conn, "court", "p", terms)

    with town.state.database.reading() as conn:
        [task] = narrow(list_places(conn), None, None)
    if when == "planned":
        change()
    else:
        county.during = change
    asyncio.run(town.syncer().work(task, "schedule"))
    assert town.arrivals() == []
    assert [said for said in town.said if said["level"] == "error"] == []


@pytest.mark.both_databases
def test_many_new_names_do_not_keep_others_from_writing_and_are_forgotten(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    object.__setattr__(town.state.settings, "quiet_time", 60.0)
    rounds = iter(range(9))

    async def listed(_directory: str) -> list[RemoteFile]:
        at, turn = now().replace(microsecond=0), next(rounds)
        return [RemoteFile(f"/{turn}-{number}.txt", 10, at) for number in range(3000)]

    monkeypatch.setattr(town.folders["county"], "list", listed)
    database, written = town.state.database, [0]
    real = type(database).writing

    def count(_conn: Any, _cursor: Any, _statement: str, rows: Any, _context: Any, many: bool) -> None:
        written[-1] += len(rows) if many else 1

    @contextmanager
    def counted(self: Database, *args: Any) -> Iterator[Connection]:
        with real(self, *args) as conn:
            written.append(0)
            event.listen(conn, "before_cursor_execute", count)
            yield conn

    town.profile("court", "p")
    monkeypatch.setattr(type(database), "writing", counted)
    for _ in range(2):
        [run] = town.sync()
        assert run.waiting == 3000
        assert "More than 2000 new files" in str(run.error)
        with database.reading() as conn:
            names = conn.execute(select(func.count()).select_from(sync_files)).scalar()
        assert names == 2000
    assert sum(written) >= 2 * 2000
    assert max(written) <= 2 * cycle.PIECE + 1, "a piece of what goes, and of what comes"
