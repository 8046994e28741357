"""The master key: made once, whole, closed to others; and a secret shows itself to nobody."""

import copy
import json
import logging
import os
import pickle
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from keys.errors import KeysError
from keys.secret import MASTER_FILE, Secret, load_or_create_master

HIDDEN = b"correct horse battery staple"


def test_a_secret_hides_in_every_text() -> None:
    secret = Secret(HIDDEN)
    record = logging.LogRecord("x", logging.INFO, "x", 1, "opened %s", (secret,), None)
    for text in (
        repr(secret),
        str(secret),
        f"{secret}",
        f"{secret!r}",
        record.getMessage(),
        repr([secret]),
    ):
        assert "horse" not in text
        assert "hidden" in text
    assert secret.reveal() == HIDDEN


def test_a_secret_is_neither_copied_nor_serialised_nor_hashed() -> None:
    secret = Secret(HIDDEN)
    for attempt in (pickle.dumps, copy.copy, copy.deepcopy, json.dumps, hash):
        with pytest.raises(TypeError):
            attempt(secret)


def test_secrets_are_equal_by_value() -> None:
    assert Secret(HIDDEN) == Secret(HIDDEN)
    assert Secret(HIDDEN) != Secret(b"other")
    assert Secret(HIDDEN) != HIDDEN


def test_the_master_key_is_made_once_and_closed_to_others(tmp_path: Path) -> None:
    old = os.umask(0)
    try:
        first = load_or_create_master(tmp_path / "keys")
    finally:
        os.umask(old)
    path = tmp_path / "keys" / MASTER_FILE
    assert load_or_create_master(tmp_path / "keys") == first
    assert path.read_bytes() == first.reveal()
    assert len(first.reveal()) == 32
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert os.listdir(path.parent) == ["master.key"]


def test_two_directories_have_different_keys(tmp_path: Path) -> None:
    assert load_or_create_master(tmp_path / "a") != load_or_create_master(tmp_path / "b")


def test_processes_that_start_together_get_the_same_key(tmp_path: Path) -> None:
    program = (
        "import sys, pathlib, keys.secret as s\n"
        "sys.stdin.read()\n"
        "sys.stdout.write(s.load_or_create_master(pathlib.Path(sys.argv[1])).reveal().hex())\n"
    )
    command = [sys.executable, "-c", program, str(tmp_path / "new")]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    started = [subprocess.Popen(command, **pipes) for _ in range(6)]  # type: ignore[call-overload]
    for process in started:
        process.stdin.close()  # all of them are waiting for this
    found = {process.stdout.read() for process in started}
    assert [process.wait(30) for process in started] == [0] * 6
    assert len(found) == 1
    assert len(found.pop()) == 64


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644])
def test_a_key_that_others_can_read_is_refused_with_the_command_that_closes_it(tmp_path: Path, mode: int) -> None:
    load_or_create_master(tmp_path / "keys")
    path = tmp_path / "keys" / MASTER_FILE
    path.chmod(mode)
    with pytest.raises(KeysError) as caught:
        load_or_create_master(tmp_path / "keys")
    assert caught.value.code == "denied"
    assert f"chmod 600 {path}" in caught.value.hint


def test_a_directory_that_others_can_enter_is_refused_with_the_command_that_closes_it(tmp_path: Path) -> None:
    load_or_create_master(tmp_path / "keys")
    directory = tmp_path / "keys"
    directory.chmod(0o755)
    with pytest.raises(KeysError) as caught:
        load_or_create_master(tmp_path / "keys")
    assert f"chmod 700 {directory}" in caught.value.hint


@pytest.mark.parametrize("size", [0, 31, 33, 4096])
def test_a_key_of_the_wrong_size_is_refused_and_left_alone(tmp_path: Path, size: int) -> None:
    load_or_create_master(tmp_path / "keys")
    path = tmp_path / "keys" / MASTER_FILE
    path.write_bytes(b"\xa7" * size)
    with pytest.raises(KeysError) as caught:
        load_or_create_master(tmp_path / "keys")
    assert caught.value.code == "invalid"
    assert "backup" in caught.value.hint
    assert path.stat().st_size == size


def test_a_link_in_the_keys_place_is_refused(tmp_path: Path) -> None:
    key = load_or_create_master(tmp_path / "real")
    place(tmp_path).symlink_to(tmp_path / "real" / MASTER_FILE)
    with pytest.raises(KeysError, match="link") as caught:
        load_or_create_master(tmp_path / "keys")
    assert key.reveal().hex() not in str(caught.value)


def test_a_link_in_the_directorys_place_is_refused(tmp_path: Path) -> None:
    load_or_create_master(tmp_path / "real")
    (tmp_path / "keys").symlink_to(tmp_path / "real")
    with pytest.raises(KeysError, match="link"):
        load_or_create_master(tmp_path / "keys")


def test_a_dangling_link_is_refused_and_not_followed(tmp_path: Path) -> None:
    place(tmp_path).symlink_to(tmp_path / "nowhere")
    with pytest.raises(KeysError):
        load_or_create_master(tmp_path / "keys")
    assert not (tmp_path / "nowhere").exists()


def test_a_pipe_or_a_directory_is_refused_without_hanging(tmp_path: Path) -> None:
    os.mkfifo(place(tmp_path))
    place(tmp_path / "other").mkdir()
    for directory in (tmp_path, tmp_path / "other"):
        with pytest.raises(KeysError):
            load_or_create_master(directory / "keys")


def place(data: Path) -> Path:
    """Where the master key of `data` belongs, in a directory as it should be."""
    directory = data / "keys"
    directory.mkdir(mode=0o700, parents=True)
    return directory / MASTER_FILE


def test_a_directory_that_cannot_be_made_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(KeysError) as caught:
        load_or_create_master(tmp_path / "file")
    assert caught.value.code == "unavailable"
    assert caught.value.hint


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files to others")
def test_root_may_use_the_servers_key(tmp_path: Path) -> None:
    key = load_or_create_master(tmp_path / "keys")
    os.chown(tmp_path / "keys" / MASTER_FILE, 65534, 65534)
    assert load_or_create_master(tmp_path / "keys") == key
