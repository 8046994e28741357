"""The data directory: made, closed to others, held by one server."""

import errno
import shutil
import stat
from pathlib import Path
from unittest.mock import patch

import pytest
from sqlalchemy import text

from server.app import listen, load_host_keys
from server.db import is_behind
from server.errors import AppError, Code
from server.settings import Settings
from server.state import door_port, hold_data, open_state, open_stores, prepare_folders


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_everything_in_it_is_private(settings: Settings) -> None:
    with open_state(settings) as state:
        state.cipher()
    for path in (settings.data, *settings.data.iterdir()):
        if path.is_dir():
            assert mode(path) == 0o700, path
    assert mode(settings.data / "keys" / "master.key") == 0o600


def test_modes_are_mended_at_every_start(settings: Settings) -> None:
    with open_state(settings):
        pass
    settings.data.chmod(0o755)
    with open_state(settings):
        assert mode(settings.data) == 0o700


@pytest.mark.sqlite_only
@pytest.mark.parametrize("missing", [("run",), ("run", "agencies", "spool"), ("run", "dropslot.db")])
def test_a_restored_backup_without_what_is_not_missed_is_ours(settings: Settings, missing: tuple[str, ...]) -> None:
    with open_state(settings) as state:
        before = load_host_keys(state)
    for name in missing:
        path = settings.data / name
        path.unlink() if path.is_file() else shutil.rmtree(path)
    with open_state(settings) as state:
        assert load_host_keys(state) == before or "dropslot.db" in missing


def test_a_folder_of_somebody_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "keys").mkdir()
    with pytest.raises(AppError, match="holds other things"):
        prepare_folders(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["keys"]


def test_a_second_server_is_refused(settings: Settings) -> None:
    with hold_data(settings.data):
        with pytest.raises(AppError) as refused, hold_data(settings.data):
            pass
        assert refused.value.code == Code.CONFLICT
    with hold_data(settings.data):
        pass


def test_the_port_is_that_of_the_door_that_is_open(settings: Settings) -> None:
    prepare_folders(settings.data)
    assert door_port(settings) == settings.sftp_port
    announced = settings.run / "serve.json"
    announced.write_text('{"pid": 1, "sftp_port": 2299}')
    assert door_port(settings) == settings.sftp_port, "it was killed"
    with hold_data(settings.data):
        assert door_port(settings) == 2299
        announced.unlink()
        assert door_port(settings) == settings.sftp_port


def test_no_command_changes_the_tables_of_a_server_that_runs(settings: Settings) -> None:
    with open_state(settings) as state, state.database.writing() as conn:
        conn.execute(text("UPDATE alembic_version SET version_num = '0015'"))
    with (
        hold_data(settings.data),
        pytest.raises(AppError, match="an older dropslot is running") as refused,
        open_state(settings),
    ):
        pass
    assert refused.value.code == Code.CONFLICT
    with open_stores(settings) as state:
        assert is_behind(state.database)


def test_a_directory_that_cannot_be_made_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(AppError, match="--data"), open_state(Settings(data=tmp_path / "file" / "data")):
        pass


def test_a_disk_that_takes_nothing_is_not_a_matter_of_owners(tmp_path: Path) -> None:
    error = OSError(errno.EROFS, "Read-only file system")
    with patch.object(Path, "touch", side_effect=error), pytest.raises(AppError, match="read-only") as refused:
        prepare_folders(tmp_path / "data")
    assert "mounted" in refused.value.hint


@pytest.mark.sqlite_only
def test_a_database_that_is_gone_is_not_begun_anew(settings: Settings) -> None:
    with open_state(settings):
        settings.home("gwinnett").mkdir()
    (settings.data / "dropslot.db").unlink()
    for _ in range(2):  # the first try leaves an empty file
        with (
            pytest.raises(AppError, match=r"files of 1 agency: it is lost.*Restore it") as refused,
            open_state(settings),
        ):
            pass
        assert refused.value.code == Code.CONFLICT
    settings.home("gwinnett").rmdir()
    with open_state(settings):
        pass


@pytest.mark.sqlite_only
def test_a_damaged_database_is_told(settings: Settings) -> None:
    with open_state(settings):
        pass
    (settings.data / "dropslot.db").write_bytes(b"no database " * 1000)
    with pytest.raises(AppError, match="The database is damaged") as refused, open_state(settings):
        pass
    assert "backup" in refused.value.hint


def test_an_address_of_another_machine_cannot_be_listened_on() -> None:
    with pytest.raises(AppError, match="cannot listen") as refused:
        listen("192.0.2.1", 0, 1)
    assert "an address of this machine" in refused.value.hint
