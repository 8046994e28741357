"""Delete File After Upload on our own endpoint takes the very file that was processed, and nothing else."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
import structlog

from ingest import inbox
from server.agencies import set_quota
from server.inbound.deletion import delete_processed
from server.inbound.sweep import sweep
from server.intake.register import Registrar
from server.intake.usage import Meter, Usage
from server.services.provision import create_agency
from server.state import State
from server.sync.profiles import create_profile, edit_profile
from server.worker import work_once
from tests.acceptance.court import ecr, ecr_row

LOG = structlog.wrap_logger(structlog.ReturnLogger())
FILE = ecr(ecr_row(1))


@pytest.fixture
def court(state: State) -> Path:
    """The uploads of an agency whose files are deleted at once when they were processed."""
    object.__setattr__(state.settings, "delete_delay", 0.0)
    with state.database.writing() as conn:
        create_agency(conn, state.settings.agencies, "court", "court", "America/New_York", False)
        create_profile(conn, "court", "nightly", "odyssey-ecr", delete_after=True)
        set_quota(conn, "court", 10_000_000, None)
    return state.settings.home("court") / "upload"


def ingest(state: State, file: Path, content: bytes = FILE) -> Path:
    file.write_bytes(content)
    sweep(state, Registrar(state.database, state.queue, LOG), LOG)
    while work_once(state, LOG, "worker"):
        pass
    return file


@pytest.mark.both_databases
def test_a_processed_file_is_deleted_and_counted(state: State, court: Path) -> None:
    file = ingest(state, court / "ecr.txt")
    meter = Meter(state.settings.run, "court", court)
    assert meter.usage() == Usage(len(FILE), 1)
    assert delete_processed(state, LOG) == 1
    assert not file.exists()
    assert meter.usage() == Usage(0, 0)
    assert delete_processed(state, LOG) == 0


def test_it_stays_for_its_time_and_with_the_switch_off(state: State, court: Path) -> None:
    file = ingest(state, court / "ecr.txt")
    object.__setattr__(state.settings, "delete_delay", 300.0)
    assert delete_processed(state, LOG) == 0
    object.__setattr__(state.settings, "delete_delay", 0.0)
    with state.database.writing() as conn:
        edit_profile(conn, "court", "nightly", {"delete_after": False})
    assert delete_processed(state, LOG) == 0
    assert file.exists()


def _overwrite(file: Path) -> None:
    file.write_bytes(FILE + FILE)


def _replace(file: Path) -> None:
    (file.parent / "new").write_bytes(FILE)
    (file.parent / "new").rename(file)


def _touch(file: Path) -> None:
    os.utime(file, (1, 1))


def _link(file: Path) -> None:
    file.rename(file.parent / "elsewhere")
    file.symlink_to("elsewhere")


@pytest.mark.parametrize("change", [_overwrite, _replace, _touch, _link])
def test_a_file_that_is_another_one_by_now_stays(state: State, court: Path, change: Callable[[Path], None]) -> None:
    file = ingest(state, court / "ecr.txt")
    change(file)
    assert delete_processed(state, LOG) == 0
    assert os.path.lexists(file)


def test_a_failed_file_stays(state: State, court: Path) -> None:
    file = ingest(state, court / "ecr.txt", b"\x00\x01")
    assert delete_processed(state, LOG) == 0
    assert file.exists()


def test_a_name_through_a_link_is_not_followed(state: State, court: Path, tmp_path: Path) -> None:
    with state.database.writing() as conn:
        create_profile(conn, "court", "deep", "odyssey-ecr", directory="/upload/deep", delete_after=True)
    (court / "deep").mkdir()
    file = ingest(state, court / "deep" / "ecr.txt")
    (court / "deep").rename(tmp_path / "away")
    (court / "deep").symlink_to(tmp_path / "away")
    assert delete_processed(state, LOG) == 0
    assert (tmp_path / "away" / file.name).exists()
    with state.database.reading() as conn:
        assert [arrival.state for arrival in inbox.list_arrivals(conn)] == ["processed"]
