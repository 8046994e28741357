"""What a crash left undone is done, file by file."""

from pathlib import Path

from ingest import inbox
from server.agencies import Agency, add_agency
from server.clock import new_id, now
from server.inbound.reconcile import reconcile
from server.intake.register import Registrar
from server.intake.spool import Manifest
from server.logs import open_log
from server.state import State


def spool(state: State, folder: Path, path: str) -> None:
    content = folder / "content"
    content.write_text("a")
    at = now()
    state.spool.accept_copy(Manifest(new_id(), "gwinnett", path, 1, "cli", None, None, at, at, at), content)


def test_a_file_that_cannot_be_registered_holds_up_no_other(state: State, tmp_path: Path) -> None:
    with state.database.writing() as conn:
        add_agency(conn, Agency("a-1", "gwinnett", "Gwinnett", "America/New_York", False, True, now()))
    spool(state, tmp_path, "/upload/caf\udce9.csv")  # no text, so no database takes it
    spool(state, tmp_path, "/upload/good.csv")
    log = open_log("critical")
    reconcile(state, Registrar(state.database, state.queue, log), log)
    with state.database.reading() as conn:
        assert [arrival.path for arrival in inbox.list_arrivals(conn)] == ["/upload/good.csv"]
    assert len(list(state.spool.all())) == 2, "and it is kept"
