"""Files come from another server by themselves: a real sshd, the program as an operator runs it."""

import signal
import subprocess
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from keys.secret import Secret
from server.clock import new_id, now
from server.remotes.secrets import seal_secret
from server.remotes.server import Kind, SecretField, Server
from server.remotes.store import add_server
from server.settings import Settings
from server.state import open_state
from tests import peers
from tests.acceptance.court import Dropslot, ecr, ecr_row, wait_for

FILE = ecr(ecr_row(1), ecr_row(2))


@pytest.fixture(scope="module")
def sshd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[peers.Sshd]:
    with peers.sshd(tmp_path_factory.mktemp("sshd") / "peer") as peer:
        yield peer


@pytest.fixture
def dropslot(tmp_path: Path) -> Iterator[Dropslot]:
    made = Dropslot(tmp_path / "data")
    made.environment |= {"DROPSLOT_SYNC_SETTLE": "0.1", "DROPSLOT_SFTP_PROCESSES": "1"}
    yield made
    if made.process is not None:
        made.process.kill()
        made.process.wait(30)


def connect(dropslot: Dropslot, peer: peers.Sshd, port: int = 0) -> Path:
    """The agency `court` with a profile on a directory of the peer of its own."""
    root = peer.root / new_id()
    (root / "out").mkdir(parents=True)
    dropslot.run("agency", "add", "court", "--name", "Court", "--timezone", "America/New_York")
    made = Server(
        new_id(),
        "county",
        Kind.SFTP,
        now(),
        directory=str(root),
        host=peer.host,
        port=port or peer.port,
        username=peer.user,
        timeout=5.0,
        host_key=peer.host_key,
    )
    with open_state(Settings(data=dropslot.data)) as state:
        sealed = seal_secret(state.cipher(), made.id, SecretField.PRIVATE_KEY, Secret(peer.key.read_bytes()))
        with state.database.writing() as conn:
            add_server(conn, Server(**{**vars(made), "sealed": {SecretField.PRIVATE_KEY: sealed}}))
    terms = ("--server", "county", "--directory", "/out", "--auto-sync")
    dropslot.run("profile", "add", "court", "nightly", "--template", "odyssey-ecr", *terms)
    return root / "out"


def put(folder: Path, name: str, content: bytes) -> Path:
    file = folder / name
    file.write_bytes(content)
    subprocess.run(["touch", "-d", "1 hour ago", str(file)], check=True)
    return file


def test_sync_now_brings_and_processes_and_says_so(dropslot: Dropslot, sshd: peers.Sshd) -> None:
    folder = connect(dropslot, sshd)
    put(folder, "ecr.txt", FILE)
    done = dropslot.run("sync", "now")
    assert "court/nightly on county: saw 1, took 1" in done.stdout
    assert "ecr.txt: processed, 2 rows, 0 with errors" in done.stdout
    again = dropslot.json("sync", "now", "court", "nightly")
    assert (again["runs"][0]["saw"], again["runs"][0]["took"], again["files"]) == (1, 0, [])
    [run] = dropslot.json("sync", "log", "court")
    assert [note["path"] for note in run["files"]] == ["/out/ecr.txt"]
    shown = dropslot.json("profile", "show", "court", "nightly")
    assert (shown["state"], shown["error"], shown["server"]) == ("ok", None, "county")
    [listed] = dropslot.json("sync", "list")
    assert (listed["state"], listed["cycle"]) == ("ok", "hourly")


def test_a_running_server_brings_processes_and_deletes_by_itself(dropslot: Dropslot, sshd: peers.Sshd) -> None:
    folder = connect(dropslot, sshd)
    dropslot.run("profile", "edit", "court", "nightly", "--delete-after", "--every", "15")
    file = put(folder, "ecr.txt", FILE)
    dropslot.start()
    wait_for(lambda: not file.exists(), "the file to be deleted there")
    [arrival] = dropslot.json("arrival", "list")
    assert (arrival["state"], arrival["source"]) == ("processed", "sync")
    wait_for(lambda: len(dropslot.json("sync", "log")) == 2, "both runs")
    put(folder, "late.txt", ecr(ecr_row(3)))
    assert "late.txt: processed" in dropslot.run("sync", "now").stdout


def test_a_pull_that_is_killed_goes_on_where_it_was(dropslot: Dropslot, sshd: peers.Sshd) -> None:
    with peers.wire(sshd.port) as wire:
        folder = connect(dropslot, sshd, wire.port)
        content = ecr(*(ecr_row(number) for number in range(20_000)))
        put(folder, "ecr.txt", content)
        wire.delay = 0.02
        dropslot.start()
        staging = dropslot.data / "sync"

        def half() -> Any:
            return next((file for file in staging.iterdir() if file.stat().st_size > 100_000), None)

        begun = wait_for(half, "a part of the file")
        for process in reversed([dropslot.process, *children(dropslot)]):
            process.send_signal(signal.SIGKILL)
        assert dropslot.process is not None
        dropslot.process.wait(30)
        wait_for(lambda: not wire.connected, "the connection to end with the process that had it")
        wire.reset()
        size = begun.stat().st_size
        assert size < len(content)
        expire_leases(dropslot)
        began = time.monotonic()
        done = dropslot.json("sync", "now")
        assert time.monotonic() - began < 60
        assert [file["status"] for file in done["files"]] == ["processed"]
        assert wire.carried < len(content) - size + 200_000
        arrivals = dropslot.json("arrival", "list")
        assert [(one["id"], one["state"], one["size"]) for one in arrivals] == [(begun.name, "processed", len(content))]


def children(dropslot: Dropslot) -> list[Any]:
    import psutil

    assert dropslot.process is not None
    return psutil.Process(dropslot.process.pid).children(recursive=True)


def expire_leases(dropslot: Dropslot) -> None:
    """As a minute does."""
    from sqlalchemy import update

    from server.sync.tables import sync_places

    with open_state(Settings(data=dropslot.data)) as state, state.database.writing() as conn:
        conn.execute(update(sync_places).values(held_until=now()))


def test_files_come_from_a_bucket_and_are_deleted_there(dropslot: Dropslot, tmp_path: Path) -> None:
    import obstore
    from obstore.store import S3Store

    with peers.seaweedfs(tmp_path / "weed") as weed:
        access, secret = weed.keys["operator"]
        store = S3Store(
            weed.bucket,
            endpoint=weed.endpoint,
            region=weed.region,
            access_key_id=access,
            secret_access_key=secret,
            client_options={"allow_http": True},
        )
        obstore.put(store, "court/out/ecr.txt", FILE)
        obstore.put(store, "court/out/older/ecr.txt", FILE)
        (tmp_path / "access").write_text(access)
        (tmp_path / "secret").write_text(secret)
        dropslot.run("agency", "add", "court", "--name", "Court", "--timezone", "America/New_York")
        place = ("--host", weed.host, "--port", str(weed.port), "--bucket", weed.bucket, "--region", weed.region)
        keys = ("--access-key-file", tmp_path / "access", "--secret-key-file", tmp_path / "secret")
        how = ("--directory", "/court", "--style", "path", "--plain-http")
        dropslot.run("server", "add", "bucket", "--type", "s3", *place, *keys, *how)
        terms = ("--server", "bucket", "--directory", "/out", "--auto-sync", "--delete-after")
        dropslot.run("profile", "add", "court", "nightly", "--template", "odyssey-ecr", *terms)
        # An object is there whole or not at all: it need not have lain there for a while.
        said = dropslot.run("sync", "now").stdout
        assert "saw 1, took 1" in said
        assert "1 profile: 1 file taken, 0 waiting, 0 failed, 1 deleted there." in said
        assert [one["path"] for page in obstore.list(store) for one in page] == ["court/out/older/ecr.txt"]


def test_files_come_from_another_dropslot(dropslot: Dropslot, tmp_path: Path) -> None:
    far = Dropslot(tmp_path / "far" / "data")
    far.data.parent.mkdir()
    far.run("agency", "add", "county", "--name", "County", "--timezone", "America/New_York")
    peers.make_key(tmp_path / "key")
    far.run("key", "add", "county", str(tmp_path / "key.pub"))
    folder = far.data / "agencies" / "county" / "download" / "out"
    folder.mkdir()
    file = put(folder, "ecr.txt", FILE)
    far.start()
    try:
        dropslot.run("agency", "add", "court", "--name", "Court", "--timezone", "America/New_York")
        place = ("--host", "127.0.0.1", "--port", str(far.port), "--username", "county")
        dropslot.run("server", "add", "far", "--type", "sftp", *place, "--private-key", str(tmp_path / "key"))
        terms = ("--server", "far", "--directory", "/download/out", "--auto-sync", "--delete-after")
        dropslot.run("profile", "add", "court", "nightly", "--template", "odyssey-ecr", *terms)
        refused = dropslot.run("sync", "now", check=False)
        assert refused.returncode == 1
        assert "Nobody has confirmed the host key of the server far." in refused.stdout
        [listed] = dropslot.json("sync", "list")
        assert listed["state"] == "host key unseen"
        dropslot.run("server", "test", "far", check=False)
        shown = dropslot.json("server", "show", "far")
        for mended in (("edit", "far", "--timeout", "9"), ("trust", "far", shown["shown_fingerprint"])):
            dropslot.run("sync", "now", check=False)
            [listed] = dropslot.json("sync", "list")
            assert datetime.fromisoformat(listed["next_run"]) > now()
            dropslot.run("server", *mended)
            [listed] = dropslot.json("sync", "list")
            assert datetime.fromisoformat(listed["next_run"]) <= now()
        dropslot.run("server", "test", "far", "--write", "--directory", "/upload")
        assert {one["state"] for one in far.json("arrival", "list")} <= {"partial", "removed"}  # no profile takes it
        said = dropslot.run("sync", "now").stdout
        assert "saw 1, took 1" in said
        assert "1 profile: 1 file taken, 0 waiting, 0 failed, 1 deleted there." in said
        assert not file.exists()
    finally:
        assert far.process is not None
        far.process.kill()
        far.process.wait(30)


def test_a_shell_without_the_master_key_says_so_and_parks_nothing(dropslot: Dropslot, sshd: peers.Sshd) -> None:
    put(connect(dropslot, sshd), "ecr.txt", FILE)
    stored = dropslot.data / "keys" / "master.key"
    away = stored.rename(dropslot.data / "elsewhere")
    for _ in range(4):
        done = dropslot.run("sync", "now", check=False)
        assert done.returncode == 1
        assert "ERROR     The master key is missing" in done.stdout
    tried = dropslot.run("server", "test", "county", check=False)
    assert tried.returncode == 1
    assert tried.stderr.startswith("The master key is missing")
    assert dropslot.json("sync", "list")[0]["state"] == "ok"
    away.rename(stored)
    assert "saw 1, took 1" in dropslot.run("sync", "now").stdout


def test_a_host_key_that_a_command_saw_first_is_an_alarm_in_the_log_of_the_server_too(
    dropslot: Dropslot, tmp_path: Path
) -> None:
    with peers.sshd(tmp_path / "changing") as peer:
        connect(dropslot, peer)
        dropslot.start()
        wait_for(lambda: dropslot.json("sync", "log", "--all"), "the first cycle")
    peer.change_host_key()
    with peer.started():
        done = dropslot.run("sync", "now", check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("dropslot: HOST KEY CHANGED: the server county shows SHA256:")
    told = wait_for(lambda: [line for line in dropslot.log().splitlines() if "host key changed" in line], "the alarm")
    shown = dropslot.json("server", "show", "county")
    assert [shown["trusted_fingerprint"] in line and shown["shown_fingerprint"] in line for line in told] == [True]
