"""A file that nobody took is matched anew by another name: that very file, however its name is learnt."""

import os
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

import pytest

from ingest import inbox
from server.clock import new_id, now
from server.errors import AppError, Code
from server.inbound.sweep import sweep
from server.intake.register import Registrar
from server.intake.spool import Manifest
from server.intake.taken import Footprint
from server.logs import Log, open_log
from server.services.provision import create_agency
from server.state import State
from server.sync.profiles import create_profile

LOG: Log = open_log("critical")


@pytest.fixture
def upload(state: State) -> Path:
    """The uploads of an agency one of whose profiles wants a keyword."""
    with state.database.writing() as conn:
        create_agency(conn, state.settings.agencies, "gwinnett", "Gwinnett", "America/New_York", False)
        create_profile(conn, "gwinnett", "nightly", "odyssey-ecr", keyword="glob:ecr*.csv")
    return state.settings.home("gwinnett") / "upload"


@pytest.fixture
def registrar(state: State) -> Registrar:
    return Registrar(state.database, state.queue, LOG)


def send(state: State, registrar: Registrar, file: Path, content: str = "a") -> str:
    """As the door receives it; the id of its arrival, which nobody takes."""
    file.write_text(content)
    status, at = file.stat(), now()
    manifest = Manifest(new_id(at), "gwinnett", path_of(file), status.st_size, "sftp", None, None, at, at, at)
    manifest = replace(manifest, dev=status.st_dev, ino=status.st_ino, mtime_ns=status.st_mtime_ns)
    with file.open("rb") as opened:
        state.spool.accept_link(manifest, opened.fileno())
    registrar.received([manifest])
    state.spool.remove(manifest.id)  # as the worker does, who keeps it elsewhere
    assert known(state)[manifest.id] == (path_of(file), "unmatched")
    return manifest.id


def path_of(file: Path) -> str:
    return str(file).partition("/agencies/gwinnett")[2]


def known(state: State) -> dict[str, tuple[str, str]]:
    with state.database.reading() as conn:
        return {arrival.id: (arrival.path, arrival.state.value) for arrival in inbox.list_arrivals(conn)}


def tell(registrar: Registrar, *files: Path) -> None:
    registrar.renamed("gwinnett", {path_of(file): Footprint.of(file.stat()) for file in files})


@pytest.mark.both_databases
def test_a_rename_is_of_the_file_that_is_there_and_of_none_that_was(
    state: State, upload: Path, registrar: Registrar
) -> None:
    trial = send(state, registrar, upload / "hearings.csv", "a trial")
    (upload / "hearings.csv").rename(upload.parent / "kept")  # deleted, and its inode is not used again
    real = send(state, registrar, upload / "hearings.csv")
    (upload / "hearings.csv").rename(upload / "ecr.csv")
    tell(registrar, upload / "ecr.csv")
    assert known(state) == {
        trial: ("/upload/hearings.csv", "unmatched"),
        real: ("/upload/ecr.csv", "received"),
    }


def test_another_file_on_the_inode_of_one_that_was_deleted_is_not_that_one(
    state: State, upload: Path, registrar: Registrar
) -> None:
    id_ = send(state, registrar, upload / "hearings.csv")
    (upload / "hearings.csv").write_text("longer")
    (upload / "hearings.csv").rename(upload / "ecr.csv")
    tell(registrar, upload / "ecr.csv")
    assert known(state) == {id_: ("/upload/hearings.csv", "unmatched")}


def test_a_name_that_was_not_told_is_found_by_the_sweep(state: State, upload: Path, registrar: Registrar) -> None:
    id_ = send(state, registrar, upload / "ecr.csv.uploading")
    (upload / "ecr.csv.uploading").rename(upload / "ecr.csv")
    with patch.object(type(state.database), "writing", side_effect=AppError(Code.UNAVAILABLE, "away")):
        tell(registrar, upload / "ecr.csv")
    assert known(state) == {id_: ("/upload/ecr.csv.uploading", "unmatched")}
    assert sweep(state, registrar, LOG).taken == [], "it is no new arrival"
    assert known(state) == {id_: ("/upload/ecr.csv", "received")}
    assert state.queue.claim("worker", 60, id_), "it has its job"


def test_one_that_was_renamed_twice_is_told_by_its_last_name(state: State, upload: Path, registrar: Registrar) -> None:
    id_ = send(state, registrar, upload / "a.csv")
    (upload / "a.csv").rename(upload / "ecr.csv")
    tell(registrar, upload / "ecr.csv")  # the first rename was not
    assert known(state) == {id_: ("/upload/ecr.csv", "received")}


def test_a_second_name_of_a_file_is_no_other_name(state: State, upload: Path, registrar: Registrar) -> None:
    id_ = send(state, registrar, upload / "hearings.csv")
    os.link(upload / "hearings.csv", upload / "ecr.csv")
    for _ in range(2):
        assert sweep(state, registrar, LOG).taken == []
        assert known(state) == {id_: ("/upload/hearings.csv", "unmatched")}


def test_what_was_taken_keeps_the_name_by_which_it_came(state: State, upload: Path, registrar: Registrar) -> None:
    (upload / "ecr.csv").write_text("a")
    [taken] = sweep(state, registrar, LOG).taken
    (upload / "ecr.csv").rename(upload / "done.csv")
    tell(registrar, upload / "done.csv")
    assert sweep(state, registrar, LOG).taken == []
    assert known(state) == {taken.id: ("/upload/ecr.csv", "received")}
