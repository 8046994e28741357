"""The sweep takes whole files that nobody announced, once."""

import errno
import fcntl
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from server.agencies import Agency, add_agency
from server.clock import now
from server.inbound import homes
from server.inbound import sweep as sweeping
from server.inbound.homes import Found, Seen, Unread
from server.inbound.reconcile import reconcile
from server.inbound.sweep import Swept, sweep
from server.intake.entry import new_entry
from server.intake.register import Registrar
from server.intake.taken import count_known
from server.logs import Log, open_log
from server.services.provision import make_home
from server.settings import Settings
from server.state import State, open_state


@pytest.fixture
def log() -> Log:
    return open_log("error")


@pytest.fixture
def upload(state: State) -> Path:
    with state.database.writing() as conn:
        add_agency(conn, Agency("a-1", "gwinnett", "Gwinnett", "America/New_York", False, True, now()))
    make_home(state.settings.home("gwinnett"))
    return state.settings.home("gwinnett") / "upload"


def run(state: State, log: Log) -> Swept:
    return sweep(state, Registrar(state.database, state.queue, log), log)


def paths(swept: Swept) -> list[str]:
    return [manifest.path for manifest in swept.taken]


def test_a_file_is_taken_once(state: State, upload: Path, log: Log) -> None:
    (upload / "a.txt").write_text("a")
    (upload / "sub").mkdir()
    (upload / "sub" / "b.txt").write_text("b")
    assert paths(run(state, log)) == ["/upload/a.txt", "/upload/sub/b.txt"]
    assert paths(run(state, log)) == []


def test_a_file_that_was_touched_or_renamed_is_the_same_file(state: State, upload: Path, log: Log) -> None:
    (upload / "a.txt").write_text("a")
    run(state, log)
    os.utime(upload / "a.txt", (1, 1))
    (upload / "a.txt").rename(upload / "b.txt")
    assert paths(run(state, log)) == []


def test_new_content_under_an_old_name_is_taken(state: State, upload: Path, log: Log) -> None:
    (upload / "a.txt").write_text("a")
    run(state, log)
    (upload / "new").write_text("another")
    (upload / "new").rename(upload / "a.txt")
    [taken] = run(state, log).taken
    assert taken.path == "/upload/a.txt"
    state.spool.remove(taken.id)  # as the worker does when it is done
    (upload / "a.txt").write_text("changed in place")
    assert paths(run(state, log)) == ["/upload/a.txt"]


@pytest.mark.parametrize("name", ["x.filepart", "x.part", "x.partial", "x.TMP", ".hidden", "~$book.xlsx"])
def test_temporary_names_are_left(state: State, upload: Path, log: Log, name: str) -> None:
    (upload / name).write_text("a")
    assert paths(run(state, log)) == []


def test_what_is_no_plain_file_is_left(state: State, upload: Path, log: Log, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("not theirs")
    (upload / "link.txt").symlink_to(secret)
    (upload / "dir").symlink_to(tmp_path)
    os.mkfifo(upload / "pipe.txt")
    assert paths(run(state, log)) == []


def test_a_file_that_changed_a_moment_ago_waits(settings: Settings, log: Log) -> None:
    patient = settings.model_copy(update={"quiet_time": 60.0})
    with open_state(patient) as state:
        with state.database.writing() as conn:
            add_agency(conn, Agency("a-1", "gwinnett", "Gwinnett", "America/New_York", False, True, now()))
        make_home(patient.home("gwinnett"))
        file = patient.home("gwinnett") / "upload" / "a.txt"
        file.write_text("a")
        os.utime(file, (1, 1))  # a client can set this; it cannot set the change time
        assert run(state, log) == Swept([], 1)


def test_a_time_in_the_future_keeps_no_file_from_being_taken(state: State, upload: Path, log: Log) -> None:
    (upload / "a.txt").write_text("from a machine whose clock is ahead")
    os.utime(upload / "a.txt", (2**32, 2**32))
    assert run(state, log).taken[0].path == "/upload/a.txt"
    assert run(state, log) == Swept([], 0)


def as_another_user(settings: Settings, *command: str) -> subprocess.CompletedProcess[str]:
    """Run the command as root without its power to read everything: another user's files are closed to it."""
    if os.geteuid() != 0 or shutil.which("setpriv") is None:
        pytest.skip("only root can give files to others, and setpriv takes its powers away")
    confined = ["setpriv", "--bounding-set=-all", "--inh-caps=-all", sys.executable, "-m", "server.cli"]
    environment = {**os.environ, "DROPSLOT_QUIET_TIME": "0", "DROPSLOT_DATABASE": settings.database.get_secret_value()}
    command = (*confined, "--data", str(settings.data), *command)
    return subprocess.run(command, env=environment, capture_output=True, text=True)


def test_what_the_server_may_not_read_is_named(state: State, upload: Path, log: Log) -> None:
    for name in ("a.txt", "theirs.txt"):
        (upload / name).write_text(name)
    (upload / "closed").mkdir()
    (upload / "closed" / "b.txt").write_text("b")
    for name in ("theirs.txt", "closed"):
        os.chown(upload / name, 12345, 12345)
        os.chmod(upload / name, 0o700)
    swept = as_another_user(state.settings, "sweep", "--json")
    assert [row["path"] for row in json.loads(swept.stdout)] == ["/upload/a.txt"], swept.stderr
    for name in ("theirs.txt", "closed"):
        assert f"/upload/{name} cannot be read (Permission denied)" in swept.stderr
        assert f"chown -R USER {upload / name}" in swept.stderr
    doctor = json.loads(as_another_user(state.settings, "doctor", "--json").stdout)
    unread = [one for one in doctor["findings"] if "cannot be read" in one["sentence"]]
    assert {one["sentence"].split()[0] for one in unread} == {"/upload/theirs.txt", "/upload/closed"}
    assert not any(one["good"] for one in unread)
    assert sorted(paths(run(state, log))) == ["/upload/closed/b.txt", "/upload/theirs.txt"]


def test_what_lies_in_a_closed_folder_is_not_forgotten(
    state: State, upload: Path, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    (upload / "sub").mkdir()
    (upload / "sub" / "a.txt").write_text("a")
    run(state, log)
    scandir = os.scandir

    def refuse(folder: str) -> object:
        if folder.endswith("/sub"):
            raise PermissionError(errno.EACCES, "Permission denied")
        return scandir(folder)

    with monkeypatch.context() as closed:
        closed.setattr(os, "scandir", refuse)
        for _ in range(3):
            assert run(state, log).unread == (Unread("gwinnett", "/upload/sub", "Permission denied"),)
    with state.database.reading() as conn:
        assert count_known(conn, "a-1") == 1
    assert run(state, log) == Swept([], 0)


def test_a_file_that_a_session_holds_is_left(state: State, upload: Path, log: Log) -> None:
    with (upload / "a.txt").open("w") as held:
        held.write("half")
        held.flush()
        fcntl.flock(held, fcntl.LOCK_EX)
        assert paths(run(state, log)) == []
    assert paths(run(state, log)) == ["/upload/a.txt"]


def test_a_torn_upload_is_left_and_made_visible(state: State, upload: Path, log: Log) -> None:
    (upload / "a.txt").write_text("half")
    entry = new_entry("gwinnett", "/upload/a.txt", "owner", "session", "client", os.stat(upload / "a.txt"))
    state.journal.begin(entry)
    assert paths(run(state, log)) == []
    registrar = Registrar(state.database, state.queue, log)
    assert reconcile(state, registrar, log).torn == 1
    assert not reconcile(state, registrar, log), "seen once"
    assert paths(run(state, log)) == []


def test_a_spooled_file_that_was_never_registered_is_registered_and_not_swept(
    state: State, upload: Path, log: Log
) -> None:
    from server.intake.spool import Manifest

    (upload / "a.txt").write_text("a")
    status = os.stat(upload / "a.txt")
    at = now()
    manifest = Manifest(
        *("id-1", "gwinnett", "/upload/a.txt", 1, "sftp", "s", "c", at, at, at, None),
        *(status.st_dev, status.st_ino, status.st_mtime_ns),
    )
    with (upload / "a.txt").open("rb") as file:
        state.spool.accept_link(manifest, file.fileno())
    assert paths(run(state, log)) == []
    registrar = Registrar(state.database, state.queue, log)
    assert reconcile(state, registrar, log).registered == 1
    assert not reconcile(state, registrar, log)
    assert paths(run(state, log)) == []


def test_however_deep_a_file_lies_it_is_found(state: State, upload: Path, log: Log) -> None:
    # Deeper than the door lets anybody make a path; but who renames a folder into another one nests them.
    deepest = os.open(upload, os.O_RDONLY)
    for _ in range(1200):
        os.mkdir("d", dir_fd=deepest)
        below = os.open("d", os.O_RDONLY, dir_fd=deepest)
        os.close(deepest)
        deepest = below
    os.close(os.open("deep.txt", os.O_WRONLY | os.O_CREAT, dir_fd=deepest))
    os.close(deepest)
    (upload / "flat.txt").write_text("a")
    try:
        assert sorted(path.rsplit("/", 1)[1] for path in paths(run(state, log))) == ["deep.txt", "flat.txt"]
    finally:  # Python's own way to delete a tree calls itself, too
        subprocess.run(["rm", "-rf", upload / "d"], check=True)


def test_many_files_are_taken_by_name_and_known_again(
    state: State, upload: Path, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(homes, "BATCH", 7)  # as small as that, a folder has several batches
    monkeypatch.setattr(sweeping, "BATCH", 7)
    names = [f"{number:03}.txt" for number in range(25)]
    for name in reversed(names):
        (upload / name).write_text(name)
    taken = paths(run(state, log))
    assert sorted(taken) == [f"/upload/{name}" for name in names]
    assert paths(run(state, log)) == []
    for name in names[:20]:
        (upload / name).unlink()
    for _ in range(2):
        assert paths(run(state, log)) == []
    with state.database.reading() as conn:
        assert count_known(conn, "a-1") == 5


def test_what_a_walk_has_not_met_is_missing() -> None:
    seen = Seen()
    statuses = [
        os.stat_result((0o100644, ino, dev, 1, 0, 0, 0, 0, 0, 0)) for dev, ino in ((1, 5), (1, 2**63 - 1), (2, 5))
    ]
    seen.add(Found("/home", "/upload/a", status) for status in statuses)
    assert seen.missing([(1, 5), (1, 2**63 - 1), (2, 5)]) == []
    assert seen.missing([(1, 6), (2, 5), (2, 2**63 - 1), (3, 5)]) == [(1, 6), (2, 2**63 - 1), (3, 5)]
