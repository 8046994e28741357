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


@pytest.mark.parametrize(
    ("name", "value"),
    [("SFTP_PORT", "70000"), ("WORKERS", "0"), ("DURABILITY", "maybe"), ("WINDOW", str(2**33)), ("REGION", "ZZ")],
)
def test_what_cannot_be_is_refused(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(f"DROPSLOT_{name}", value)
    with pytest.raises(ValidationError):
        Settings()


def test_a_country_may_be_written_small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DROPSLOT_REGION", "us")
    assert Settings().region == "US"


@pytest.mark.parametrize("name", ["NEVER_BAN", "PROXY_NETWORKS"])
def test_a_network_with_host_bits_is_told_with_the_right_one(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(f"DROPSLOT_{name}", "10.1.2.3/16")
    with pytest.raises(ValidationError, match=r"The network is 10\.1\.0\.0/16"):
        Settings()


def test_the_data_directory_is_shown_without_steps_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "real" / "deep").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "real" / "deep")
    monkeypatch.chdir(tmp_path)
    named = {"data": "data", "./": "", "real/../data": "data", "link/data": "link/data", "link/../data": "real/data"}
    assert {name: Settings(data=Path(name)).data for name in named} == {
        name: tmp_path / place for name, place in named.items()
    }


def test_a_child_process_gets_the_same_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    settings = Settings(data=tmp_path, sftp_port=0, drain=1.5, durability="flush", never_ban="", banner="One\nTwo")
    for name, value in environment(settings).items():
        monkeypatch.setenv(name, value)
    assert Settings() == settings


def told() -> dict[str, str]:
    """The settings of the README's table with their defaults; a row may have several of both."""
    rows = re.findall(r"^\| (`DROPSLOT_[^|]*) \| ([^|]*) \| [^|]* \|$", README.read_text(), re.MULTILINE)
    defaults = {}
    for cell, values in rows:
        names = re.findall(r"`(?:DROPSLOT)?_([A-Z_]+)`", cell)
        several = values.split(", ") if len(names) > 1 else [values]
        defaults |= dict(zip(names, (one.strip("`") for one in several), strict=True))
    return defaults


def test_every_setting_is_in_the_readme_with_its_default(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(f"DROPSLOT_{name.upper()}", raising=False)
    defaults = {name.upper(): as_told(value) for name, value in Settings().model_dump().items()}
    here = {"DATA": str(Path(told()["DATA"]).absolute())}
    assert {**told(), **here} == {**defaults, "SFTP_PROCESSES": "one per core"}


def as_told(value: object) -> str:
    """A default as the table has it."""
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, float) else str(value) or "(none)"
