"""Settings: from the environment, handed on to child processes, and all of them in the README."""

import re
from pathlib import Path

import pytest
from pydantic import ValidationError

from server.settings import Settings, environment

README = Path(__file__).parent.parent.parent / "README.md"


def test_the_environment_sets_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DROPSLOT_SFTP_PORT", "2299")
    assert Settings().sftp_port == 2299


@pytest.mark.parametrize(("name", "value"), [("SFTP_PORT", "70000"), ("WORKERS", "0"), ("DURABILITY", "maybe")])
def test_what_cannot_be_is_refused(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(f"DROPSLOT_{name}", value)
    with pytest.raises(ValidationError):
        Settings()


def test_a_child_process_gets_the_same_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    settings = Settings(data=tmp_path, sftp_port=0, drain=1.5, durability="flush")
    for name, value in environment(settings).items():
        monkeypatch.setenv(name, value)
    assert Settings() == settings


def test_every_setting_is_in_the_readme() -> None:
    told = set(re.findall(r"`(?:DROPSLOT)?_([A-Z_]+)`", README.read_text().replace("`DROPSLOT_", "`_")))
    assert {name.upper() for name in Settings.model_fields} <= told
