"""The data directory: made, closed to others, held by one server."""

import stat
from pathlib import Path

import pytest

from server.errors import AppError, Code
from server.settings import Settings
from server.state import hold_data, open_state


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


def test_a_second_server_is_refused(settings: Settings) -> None:
    with hold_data(settings.data):
        with pytest.raises(AppError) as refused, hold_data(settings.data):
            pass
        assert refused.value.code == Code.CONFLICT
    with hold_data(settings.data):
        pass


def test_a_directory_that_cannot_be_made_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(AppError, match="--data"), open_state(Settings(data=tmp_path / "file" / "data")):
        pass
