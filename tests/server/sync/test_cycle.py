"""A cycle takes what is new and whole, once, for the profile that it belongs to; and says what it left, and why."""

from datetime import timedelta
from typing import Any

import pytest

from server.clock import now
from server.errors import AppError, Code
from server.sync.places import note_failure, resume, standing_of, standings
from server.sync.plan import due_tasks, list_places
from server.sync.profiles import edit_profile
from server.sync.runs import Run, list_runs
from tests.acceptance.court import ecr, ecr_row
from tests.server.sync.conftest import Town

FILE = ecr(ecr_row(1), ecr_row(2))
AWAY = AppError(Code.UNAVAILABLE, "The server is away.")


def counts(run: Run) -> dict[str, int]:
    names = ("saw", "took", "waiting", "skipped", "failed", "removed")
    return {name: getattr(run, name) for name in names if getattr(run, name)}


def told(run: Run) -> list[tuple[str, str]]:
    return [(note.path, note.what) for note in run.files]


@pytest.mark.both_databases
def test_a_new_file_is_taken_and_processed(town: Town) -> None:
    town.folders["county"].put("/out/ecr.txt", FILE)
    town.profile("court", "nightly", directory="/out")
    [run] = town.sync()
    assert counts(run) == {"saw": 1, "took": 1}
    assert run.size == len(FILE)
    town.process()
    [arrival] = town.arrivals()
    assert (arrival.state, arrival.source, arrival.path) == ("processed", "sync", "county:/out/ecr.txt")
    assert run.arrivals == [arrival.id]
    assert not list(town.state.settings.sync.iterdir())
    assert (town.folders["county"].root / "out/ecr.txt").exists()


def test_what_was_taken_is_not_taken_again(town: Town) -> None:
    town.folders["county"].put("/ecr.txt", FILE)
    town.profile("court", "nightly")
    town.sync()
    [run] = town.sync()
    assert counts(run) == {"saw": 1}
    assert len(town.arrivals()) == 1
    assert not run.eventful


def test_a_changed_file_of_the_same_name_is_taken_and_the_same_content_is_a_duplicate(town: Town) -> None:
    county = town.folders["county"]
    county.put("/ecr.txt", FILE)
    town.profile("court", "nightly")
    for content, modified in ((FILE, 1.0), (ecr(ecr_row(3)), 2.0)):
        town.sync()
        town.process()
        county.put("/ecr.txt", content, modified)
    town.sync()
    town.process()
    assert [arrival.state for arrival in town.arrivals()] == ["processed", "duplicate", "processed"]


def test_files_go_to_the_most_specific_profile_of_any_agency(town: Town) -> None:
    town.agency("other")
    county = town.folders["county"]
    for name in ("ecr.txt", "civil_ecr.txt", "civil_old.txt", "notes.doc"):
        county.put(f"/{name}", FILE)
    town.profile("court", "ecr", keyword="ecr")
    town.profile("other", "civil", keyword="civil_ecr")
    town.profile("court", "texts", keyword="glob:*.txt", blockword="old")
    town.sync()
    assert {(arrival.name, arrival.state) for arrival in town.arrivals()} == {
        ("ecr.txt", "received"),
        ("civil_ecr.txt", "received"),
    }
    with town.state.database.reading() as conn:
        runs = {run.profile_id: run for run in list_runs(conn)}
    assert len(runs) == 3
    assert [path for name, path in county.calls if name == "list"] == ["/", "/"]  # the first look, and the second one


def test_a_file_that_was_just_written_waits_for_the_next_look(town: Town) -> None:
    object.__setattr__(town.state.settings, "quiet_time", 60.0)
    town.folders["county"].put("/ecr.txt", FILE, now().timestamp() - 5)
    town.profile("court", "nightly")
    [run] = town.sync()
    assert counts(run) == {"saw": 1, "waiting": 1}
    assert run.again_at
    assert run.again_at <= now() + timedelta(seconds=62)
    assert "seconds ago" in run.files[0].why
    object.__setattr__(town.state.settings, "quiet_time", 0.0)
    [run] = town.sync()
    assert counts(run) == {"saw": 1, "took": 1}


def test_a_file_that_grows_between_two_looks_waits(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    county = town.folders["county"]
    object.__setattr__(town.state.settings, "quiet_time", 60.0)
    county.put("/ecr.txt", FILE[:-10])

    listed = county.list

    async def grow(directory: str) -> Any:
        found = await listed(directory)
        county.put("/ecr.txt", FILE)
        return found

    monkeypatch.setattr(county, "list", grow)
    town.profile("court", "nightly")
    [run] = town.sync()
    assert counts(run) == {"saw": 1, "waiting": 1}
    assert f"It grows: {len(FILE) - 10} bytes, then {len(FILE)}." in run.files[0].why
    monkeypatch.setattr(county, "list", listed)
    assert counts(town.sync()[0]) == {"saw": 1, "waiting": 1}  # a minute without a change is asked for
    object.__setattr__(town.state.settings, "quiet_time", 0.0)
    [run] = town.sync()
    assert counts(run) == {"saw": 1, "took": 1}


def test_a_file_that_never_rests_is_looked_at_less_and_less_often(town: Town) -> None:
    object.__setattr__(town.state.settings, "quiet_time", 60.0)
    town.profile("court", "nightly")
    pauses = []
    for size in range(1, 10):
        town.folders["county"].put("/log.txt", b"x" * size, now().timestamp())
        [run] = town.sync()
        assert run.again_at
        pauses.append((run.again_at - run.finished_at).total_seconds() / 60)
    assert pauses == pytest.approx([1, 2, 4, 8, 16, 32, 60, 60, 60], rel=0.1)


def test_a_file_that_changes_while_it_is_brought_is_not_taken(town: Town) -> None:
    county = town.folders["county"]
    county.put("/ecr.txt", FILE)
    county.during = lambda: county.put("/ecr.txt", FILE + FILE, 5.0)
    town.profile("court", "nightly")
    [run] = town.sync()
    assert counts(run) == {"saw": 1, "waiting": 1}
    assert town.arrivals() == []
    [run] = town.sync()
    assert counts(run) == {"saw": 1, "took": 1}
    assert town.arrivals()[0].size == len(FILE + FILE)


def test_names_of_unfinished_or_odd_files_are_left(town: Town) -> None:
    names = ["ecr.txt.filepart", ".ecr.txt", "ecr.tmp", "~$ecr.xlsx", "a\x1bb.txt"]
    for name in names:
        town.folders["county"].put(f"/{name}", FILE)
    town.profile("court", "nightly")
    [run] = town.sync()
    assert counts(run) == {"saw": len(names), "skipped": len(names)}
    assert town.arrivals() == []


def test_what_no_profile_takes_is_told(town: Town) -> None:
    county = town.folders["county"]
    for name in ("ecr_test.txt", "other.txt"):
        county.put(f"/{name}", FILE)
    town.profile("court", "ecr", keyword="ecr", blockword="test")
    [run] = town.sync()
    assert counts(run) == {"saw": 2, "skipped": 2}
    assert [note.why for note in run.files] == [
        "Its name holds 'test', which the profile ecr blocks.",
        "No profile's keyword is in its name; / has: 'ecr'.",
    ]


def test_files_come_in_the_order_of_the_profile(town: Town) -> None:
    orders = {"oldest": "bac", "newest": "cab", "name": "abc", "name-descending": "cba"}
    for order in orders:
        for name, modified in (("a", 2.0), ("b", 1.0), ("c", 3.0)):
            town.folders["county"].put(f"/{order}/{name}", FILE, modified)
        town.profile("court", order, directory=f"/{order}", order=order)
    town.sync()
    for order, names in orders.items():
        assert "".join(one.name for one in town.arrivals() if one.path.startswith(f"county:/{order}/")) == names


# Deleting


@pytest.mark.both_databases
def test_a_file_is_deleted_there_once_it_was_processed(town: Town) -> None:
    file = town.folders["county"].put("/ecr.txt", FILE)
    town.profile("court", "nightly", delete_after=True)
    assert counts(town.cycle()[0]) == {"saw": 1, "took": 1}
    assert file.exists()
    assert town.cycle() == []
    town.process()
    [run] = town.cycle()
    assert (counts(run), run.started_by) == ({"removed": 1}, "tidy")
    assert not file.exists()
    assert town.cycle() == []


def test_a_file_that_failed_or_was_replaced_is_not_deleted(town: Town) -> None:
    county = town.folders["county"]
    bad = county.put("/bad.txt", b"\x00\x01")
    good = county.put("/good.txt", FILE)
    town.profile("court", "nightly", delete_after=True)
    town.sync()
    town.process()
    county.put("/good.txt", FILE + FILE, 5.0)
    town.cycle()
    assert {arrival.name: arrival.state for arrival in town.arrivals()} == {
        "bad.txt": "failed",
        "good.txt": "processed",
    }
    assert bad.exists()
    assert good.exists()


def test_an_unchanged_export_under_the_same_name_is_deleted_though_it_is_a_duplicate(town: Town) -> None:
    county = town.folders["county"]
    town.profile("court", "nightly", delete_after=True)
    for modified in (1.0, 2.0):
        file = county.put("/ecr.txt", FILE, modified)
        town.sync()
        town.process()
        town.cycle()
        assert not file.exists()
    assert [arrival.state for arrival in town.arrivals()] == ["processed", "duplicate"]


def test_a_refused_deletion_is_told_and_the_file_is_not_taken_again(town: Town) -> None:
    county = town.folders["county"]
    county.put("/ecr.txt", FILE)
    county.faults["remove"] = AppError(Code.DENIED, "The server does not let us delete.")
    town.profile("court", "nightly", delete_after=True)
    town.cycle()
    town.process()
    [run] = town.cycle()
    assert counts(run) == {"failed": 1}
    assert run.error == "The server does not let us delete."
    assert town.cycle() == []
    [run] = town.sync()
    assert counts(run) == {"saw": 1, "failed": 1}
    county.faults.clear()
    [run] = town.sync()
    assert counts(run) == {"saw": 1, "removed": 1}


def test_who_dies_between_deleting_and_noting_it_does_no_harm(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    import server.sync.cycle as cycle

    def die(*_: object, **__: object) -> None:
        raise RuntimeError("killed")

    file = town.folders["county"].put("/ecr.txt", FILE)
    town.profile("court", "nightly", delete_after=True)
    town.sync()
    town.process()
    monkeypatch.setattr(cycle, "mark", die)
    town.sync()
    assert not file.exists()
    monkeypatch.undo()
    [run] = town.sync()
    assert (counts(run), run.error) == ({}, None)
    assert town.cycle() == []


def test_nothing_is_deleted_with_the_switch_off(town: Town) -> None:
    file = town.folders["county"].put("/ecr.txt", FILE)
    town.profile("court", "nightly")
    town.sync()
    town.process()
    town.sync()
    assert file.exists()


# What goes wrong


def test_a_missing_directory_fails_its_profile_alone(town: Town) -> None:
    town.folders["county"].put("/ecr.txt", FILE)
    town.profile("court", "nightly")
    town.profile("court", "gone", directory="/gone")
    runs = {run.error: run for run in town.sync()}
    assert set(runs) == {None, "There is no directory /gone."}
    assert runs[None].took == 1
    with town.state.database.reading() as conn:
        assert {standing.state for standing in standings(conn).values()} == {"ok"}


def test_one_file_that_cannot_be_read_does_not_keep_the_others(town: Town) -> None:
    county = town.folders["county"]
    for name in ("a", "b", "c"):
        county.put(f"/{name}", FILE)
    county.faults["fetch /b"] = AppError(Code.DENIED, "The server does not let us read /b.")
    town.profile("court", "nightly")
    [run] = town.sync()
    assert counts(run) == {"saw": 3, "took": 2, "failed": 1}
    assert run.error == "The server does not let us read /b."


def test_a_file_above_the_limit_is_told_and_not_brought(town: Town) -> None:
    object.__setattr__(town.state.settings, "file_limit", 10)
    town.folders["county"].put("/ecr.txt", FILE)
    town.profile("court", "nightly")
    [run] = town.sync()
    assert counts(run) == {"saw": 1, "failed": 1}
    assert "larger than 10 bytes" in str(run.error)


def test_a_cut_download_goes_on_where_it_stopped(town: Town) -> None:
    county = town.folders["county"]
    content = FILE * 2000
    county.put("/ecr.txt", content)

    def cut() -> None:
        raise AppError(Code.UNAVAILABLE, "The connection was lost.")

    county.during = cut
    town.profile("court", "nightly")
    [run] = town.sync()
    assert run.error == "The connection was lost."
    [half] = town.state.settings.sync.iterdir()
    assert 0 < half.stat().st_size < len(content)
    [run] = town.sync()
    assert counts(run) == {"saw": 1, "took": 1}
    [arrival] = town.arrivals()
    assert arrival.id == half.name
    assert town.state.spool.data_path(arrival.id).read_bytes() == content


@pytest.mark.parametrize(
    ("error", "tries"), [(AWAY, 24), (AppError(Code.DENIED, "The server refuses the key."), 3)], ids=["away", "denied"]
)
def test_a_failing_server_is_tried_less_often_and_then_parked(town: Town, error: AppError, tries: int) -> None:
    def refuse(_place: object) -> None:
        raise error

    town.connect = refuse
    town.profile("court", "nightly")
    [run] = town.cycle()
    assert (run.code, run.error) == (error.code, error.message)
    assert town.cycle() == []
    at, failures = now(), 1
    with town.state.database.writing() as conn:
        [place] = list_places(conn)
        while not (standing := standing_of(conn, place.id)).parked_at:
            assert standing.retry_at
            pause = standing.retry_at - at
            assert timedelta(seconds=50) < pause <= timedelta(hours=1, seconds=1)
            assert due_tasks(conn, standing.retry_at - timedelta(seconds=1)) == []
            assert len(due_tasks(conn, standing.retry_at)) == 1
            at = standing.retry_at
            note_failure(conn, place.id, error, at)
            failures += 1
        assert abs(failures - tries) <= 6 if tries == 24 else failures == tries
        assert due_tasks(conn, at + timedelta(days=9)) == []
        resume(conn, place.id, now())
        assert len(due_tasks(conn, at)) == 1
    town.connect = lambda place: None
    town.cycle()
    with town.state.database.reading() as conn:
        assert standing_of(conn, place.id).state == "ok"


def test_a_parked_server_raises_an_alarm(town: Town) -> None:
    def refuse(_place: object) -> None:
        raise AppError(Code.DENIED, "The server refuses the key.")

    town.connect = refuse
    town.profile("court", "nightly")
    for _ in range(3):
        town.sync(by="schedule")
    assert [(said["level"], said["event"]) for said in town.said if said["event"] != "synced"] == [
        ("warning", "sync failed"),
        ("warning", "sync failed"),
        ("error", "sync parked"),
    ]


# Dying


def test_whoever_dies_before_the_row_says_taken_has_lost_nothing_and_doubles_nothing(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    import server.sync.pull as pull

    class Killed(BaseException):
        pass

    town.folders["county"].put("/ecr.txt", FILE)
    town.profile("court", "nightly")

    def die(*_: object, **__: object) -> None:
        raise Killed

    for name in ("finish_file", "mark"):
        monkeypatch.setattr(pull, name, die)
        with pytest.raises(BaseException):  # noqa: B017, PT011
            town.sync()
        monkeypatch.undo()
    town.process()
    [run] = town.sync()
    assert counts(run) == {"saw": 1, "took": 1}
    assert run.files[0].why
    town.process()
    assert [arrival.state for arrival in town.arrivals()] == ["processed"]
    assert list(town.state.spool.all()) == []
    assert not list(town.state.settings.sync.iterdir())


def test_the_reconciler_registers_with_the_profile_what_was_accepted_and_not_registered(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    from server.inbound.reconcile import reconcile
    from server.intake.register import Registrar

    town.folders["county"].put("/ecr.txt", FILE)
    profile = town.profile("court", "nightly")

    def away(*_: object, **__: object) -> None:
        raise AppError(Code.UNAVAILABLE, "The database is away.")

    monkeypatch.setattr(Registrar, "register", away)
    town.sync()
    monkeypatch.undo()
    assert town.arrivals() == []
    reconcile(town.state, Registrar(town.state.database, town.state.queue, town.log), town.log)
    [arrival] = town.arrivals()
    assert (arrival.profile_id, arrival.state) == (profile.id, "received")
    town.sync()
    assert len(town.arrivals()) == 1


# Together


@pytest.mark.both_databases
def test_two_never_work_at_one_place(town: Town) -> None:
    import asyncio

    from server.sync.plan import narrow

    for number in range(20):
        town.folders["county"].put(f"/{number}.txt", FILE)
    town.profile("court", "nightly")
    with town.state.database.reading() as conn:
        [task] = narrow(list_places(conn), None, None)

    async def both() -> list[Any]:
        return await asyncio.gather(*(town.syncer().work(task, "person") for _ in range(3)))

    done = asyncio.run(both())
    assert sorted(runs is None for runs in done) == [False, True, True]
    assert len(town.arrivals()) == 20


def test_reports_are_delivered_on_the_cycle_and_their_failure_is_told(town: Town) -> None:
    town.profile("court", "nightly", report="upcoming-events", report_directory="/reports")

    async def deliver(remote: Any, _agency: Any, profile: Any) -> str | None:
        if not await remote.has_directory(profile.report_directory):
            raise AppError(Code.NOT_FOUND, f"There is no directory {profile.report_directory}.", "Make it there.")
        return "court-report.csv"

    [run] = town.sync(deliver=deliver)
    assert (run.report, run.error) == (None, "There is no directory /reports.")
    (town.folders["county"].root / "reports").mkdir()
    [run] = town.sync(deliver=deliver)
    assert (run.report, run.error) == ("court-report.csv", None)


def test_a_profile_with_its_auto_sync_off_takes_nothing_and_keeps_its_files(town: Town) -> None:
    town.folders["county"].put("/civil.txt", FILE)
    town.profile("court", "civil", keyword="civil")
    town.profile("court", "rest")
    with town.state.database.writing() as conn:
        edit_profile(conn, "court", "civil", {"auto_sync": False})
    [run] = town.sync()
    assert counts(run) == {"saw": 1, "skipped": 1}
    assert run.files[0].why == "The profile civil would read it, but its Auto-Sync is off."
    with town.state.database.writing() as conn:
        edit_profile(conn, "court", "civil", {"auto_sync": True})
    assert sum(run.took for run in town.sync()) == 1
