"""`dropslot export`, as an operator types it."""

import io
from datetime import timedelta
from pathlib import Path

import pytest

from server.clock import now
from server.logs import open_log
from server.outbound.exports.plan import overdue
from server.outbound.exports.rounds import ExportRounds
from server.outbound.exports.store import Export, keep_export, list_exports
from server.settings import Settings
from server.state import State, open_state
from tests.acceptance.court import Dropslot


@pytest.fixture
def dropslot(tmp_path: Path) -> Dropslot:
    installation = Dropslot(tmp_path / "data")
    installation.run("agency", "add", "gwinnett", "--name", "Gwinnett", "--timezone", "America/New_York")
    return installation


def the_export(state: State) -> Export:
    with state.database.reading() as conn:
        return list_exports(conn)[0]


def test_the_life_of_an_export(dropslot: Dropslot) -> None:
    assert "No export yet" in dropslot.run("export", "list").stdout
    said = dropslot.run("export", "add", "gwinnett", "events", "--at", "06:30", "--weekdays", "Mon,fri").stdout
    assert said.startswith("Export events of gwinnett: weekly mon,fri at 06:30 America/New_York (next: ")
    assert said.endswith(" into /exports as csv.\n")
    (listed,) = dropslot.json("export", "list", "gwinnett")
    assert (listed["state"], listed["format"], listed["last"], listed["overdue"]) == ("active", "csv", None, None)
    edited = dropslot.run("export", "edit", "gwinnett", "events", "--daily", "--at", "7:00", "--format", "xlsx").stdout
    assert "daily at 07:00 America/New_York" in edited
    assert "as xlsx" in edited
    again = dropslot.run("export", "add", "gwinnett", "events", "--at", "06:30", check=False)
    assert (again.returncode, "already" in again.stderr) == (1, True)
    assert "no news" in dropslot.run("export", "run", "gwinnett", "events").stdout
    shown = dropslot.json("export", "show", "gwinnett", "events")
    assert [(run["rows"], run["note"]) for run in shown["runs"]] == [(0, "Run by hand.")]
    assert "is paused" in dropslot.run("export", "pause", "gwinnett", "events").stdout
    assert dropslot.json("export", "show", "gwinnett", "events")["next"] is None
    assert "runs again" in dropslot.run("export", "resume", "gwinnett", "events").stdout
    assert "is cancelled" in dropslot.run("export", "cancel", "gwinnett", "events").stdout
    assert "No export yet" in dropslot.run("export", "list").stdout
    assert "cancelled" in dropslot.run("export", "list", "--cancelled").stdout
    for command in ("run", "edit", "pause", "resume", "cancel"):
        refused = dropslot.run("export", command, "gwinnett", "events", check=False)
        assert (refused.returncode, "was cancelled" in refused.stderr) == (1, True)
    assert "no export 'x'" in dropslot.run("export", "show", "gwinnett", "x", check=False).stderr


def test_an_export_that_nobody_runs_is_told(dropslot: Dropslot) -> None:
    dropslot.run("export", "add", "gwinnett", "events", "--at", "06:30")
    with open_state(Settings(data=dropslot.data)) as state:
        export = the_export(state)
        assert overdue(export, now()) is None
        with state.database.writing() as conn:
            keep_export(conn, Export(**{**vars(export), "since": now() - timedelta(days=2)}))
        assert "is the server running?" in dropslot.run("export", "list").stdout
        assert "should have run by now" in dropslot.run("doctor", check=False).stdout
        (dropslot.data / "agencies" / "gwinnett" / "exports").write_text("in the way")
        ExportRounds(state, open_log("error", io.StringIO())).round(now())
        said = dropslot.run("doctor", check=False).stdout
        assert "MEND  export: events of gwinnett has failed since" in said
        assert "/exports is not a folder of the agency" in said
        assert "is not a folder" in dropslot.run("export", "show", "gwinnett", "events").stdout
