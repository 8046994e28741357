"""What a sweep takes of a file whose content came before: it goes by what became of that."""

import io
import os
from pathlib import Path

import pytest

from ingest import inbox
from server.clock import now
from server.corrections import undo_upload
from server.inbound.sweep import sweep
from server.intake.register import Registrar
from server.logs import open_log
from server.services.provision import create_agency
from server.state import State
from server.sync.profiles import create_profile
from server.worker import work_once
from tests.acceptance.court import ecr, ecr_row

FILE = ecr(ecr_row(1))


@pytest.fixture
def said() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def file(state: State) -> Path:
    with state.database.writing() as conn:
        create_agency(conn, state.settings.agencies, "court", "court", "America/New_York", False)
        create_profile(conn, "court", "nightly", "odyssey-ecr")
    return state.settings.home("court") / "upload" / "ecr.csv"


def swept(state: State, said: io.StringIO) -> int:
    """How many files a sweep takes; all that it takes is processed."""
    log = open_log("warning", said)
    taken = sweep(state, Registrar(state.database, state.queue, log), log).taken
    while work_once(state, log, "worker"):
        pass
    return len(taken)


def write_now(file: Path, content: bytes = FILE) -> None:
    """Write it, and not in the same tick of the kernel's clock as what was done before."""
    before = now().timestamp()
    file.write_bytes(content)
    while file.stat().st_mtime <= before:
        file.write_bytes(content)


def undo(state: State) -> None:
    with state.database.reading() as conn:
        [upload] = [one for one in inbox.list_uploads(conn) if one.status == "processed"]
    undo_upload(state, upload.id)


def states(state: State) -> list[str]:
    with state.database.reading() as conn:
        return [arrival.state.value for arrival in inbox.list_arrivals(conn)]


@pytest.mark.both_databases
def test_what_was_undone_is_taken_when_it_is_copied_over_itself(state: State, file: Path, said: io.StringIO) -> None:
    write_now(file)
    assert swept(state, said) == 1
    undo(state)
    assert swept(state, said) == 0
    write_now(file)
    assert swept(state, said) == 1
    assert states(state) == ["processed", "undone"]
    write_now(file)
    assert swept(state, said) == 0, "it counts again"


def test_what_was_undone_does_not_come_back_when_it_is_only_touched(
    state: State, file: Path, said: io.StringIO
) -> None:
    write_now(file)
    assert swept(state, said) == 1
    undo(state)
    os.utime(file, (1, 1))  # as a client sets it after it has sent
    assert swept(state, said) == 0
    assert "touch it if it is to be taken" in said.getvalue()
    write_now(file)
    assert swept(state, said) == 1


def test_what_failed_is_taken_when_it_is_copied_over_itself(state: State, file: Path, said: io.StringIO) -> None:
    write_now(file, b"nothing,of,ours\n1,2,3\n")
    assert swept(state, said) == 1
    assert states(state) == ["failed"]
    write_now(file, b"nothing,of,ours\n1,2,3\n")
    assert swept(state, said) == 1


def test_what_another_upload_has_brought_counts(state: State, file: Path, said: io.StringIO) -> None:
    write_now(file)
    assert swept(state, said) == 1
    file.rename(file.parent / "kept")
    write_now(file)
    assert swept(state, said) == 1
    assert states(state) == ["duplicate", "processed"]
    write_now(file)
    assert swept(state, said) == 0
    undo(state)
    write_now(file)
    assert swept(state, said) == 1, "of what the duplicate repeats nothing is left"
