"""A new master key: everything is sealed anew, whoever dies when, while others go on adding secrets."""

import base64
import fcntl
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from pydantic import SecretStr
from sqlalchemy import select, update

from keys.cipher import Cipher
from keys.errors import KeysError
from keys.secret import Secret
from keys.store import ensure_host_keys, list_host_keys, open_host_keys
from keys.tables import host_keys
from server.clock import new_id, now
from server.errors import AppError
from server.remotes import store
from server.remotes.secrets import open_secret, seal_secret
from server.remotes.server import Kind, SecretField, Server
from server.rotation import find_loss, replace_lost, rotate_master
from server.services.host_keys import HostKeys
from server.settings import Settings
from server.state import State, open_state

ROOT = Path(__file__).parents[2]


def add_secret(state: State, text: str) -> None:
    with state.database.writing() as conn:
        made = Server(new_id(), text, Kind.SFTP, now(), host="h", username="u")
        sealed = seal_secret(state.cipher(), made.id, SecretField.PASSWORD, Secret(text.encode()))
        store.add_server(conn, replace(made, sealed={SecretField.PASSWORD: sealed}))


def fill(state: State, count: int = 3) -> None:
    with state.database.writing() as conn:
        ensure_host_keys(conn, state.cipher(), now(), new_id)
    for number in range(count):
        add_secret(state, f"secret-{number}")


def all_open(state: State) -> set[str]:
    """The key ids that everything is sealed with; each secret was opened and is what it was."""
    ids = set()
    with state.database.reading() as conn:
        assert len(open_host_keys(conn, state.cipher(), now())) == 3
        ids |= {bytes(row.sealed)[1:9].hex() for row in conn.execute(select(host_keys))}
        for server in store.list_servers(conn)[1:]:
            opened = open_secret(state.cipher(), server, SecretField.PASSWORD)
            assert opened is not None
            assert opened.reveal().decode() == server.name
            ids |= {value[1:9].hex() for value in server.sealed.values()}
    return ids


def test_everything_is_sealed_anew(state: State) -> None:
    fill(state)
    old = state.cipher().key_id
    assert all_open(state) == {old}
    done = rotate_master(state)
    assert (done.host_keys, done.server_secrets) == (3, 3)
    assert all_open(state) == {done.key_id} == {state.cipher().key_id} != {old}
    assert os.listdir(state.settings.data / "keys") == ["master.key"]


KILLED = """
import os, signal, sys
from pathlib import Path
from pydantic import SecretStr
import server.rotation as rotation
from keys.masters import MasterKeys
from server.services.host_keys import HostKeys
from server.settings import Settings
from server.state import open_state
def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)
where = sys.argv[3]
if where == "before the transaction":
    MasterKeys.begin, begin = (lambda self: (begin(self), die())), MasterKeys.begin
if where == "within the transaction":
    rotation.reseal_servers, reseal = (lambda *given: (reseal(*given), die())), rotation.reseal_servers
if where == "after the transaction":
    MasterKeys.finish = die
with open_state(Settings(data=Path(sys.argv[1]), database=SecretStr(sys.argv[2]))) as state:
    rotation.rotate_master(state)
"""


@pytest.mark.parametrize("where", ["before the transaction", "within the transaction", "after the transaction"])
def test_whoever_is_killed_leaves_everything_to_open_and_to_finish(state: State, where: str) -> None:
    fill(state)
    old = state.cipher().key_id
    command = [
        sys.executable,
        "-c",
        KILLED,
        str(state.settings.data),
        state.settings.database.get_secret_value(),
        where,
    ]
    done = subprocess.run(command, capture_output=True, timeout=60, check=False, cwd=ROOT)
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()
    with open_state(state.settings) as later:
        assert later.masters.under_way
        between = later.cipher().key_id
        assert all_open(later) == ({between} if where.startswith("after") else {old})
        add_secret(later, "added meanwhile")
        finished = rotate_master(later)
        assert finished.key_id == between
        assert all_open(later) == {between}
    assert os.listdir(state.settings.data / "keys") == ["master.key"]


def test_who_adds_secrets_meanwhile_loses_none(state: State) -> None:
    fill(state, 1)
    failed: list[BaseException] = []

    def work(worker: int) -> None:
        try:
            for number in range(15):
                add_secret(state, f"worker-{worker}-{number}")
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=work, args=(worker,)) for worker in range(3)]
    for thread in threads:
        thread.start()
    for _ in range(4):
        rotate_master(state)
    for thread in threads:
        thread.join()
    assert failed == []
    rotate_master(state)
    assert all_open(state) == {state.cipher().key_id}
    with state.database.reading() as conn:
        assert len(store.list_servers(conn)) == 1 + 1 + 45


@pytest.fixture
def given(settings: Settings, tmp_path: Path) -> Callable[..., Settings]:
    def make(key: bytes, previous: bytes | None = None) -> Settings:
        (tmp_path / "mounted").write_bytes(key)
        (tmp_path / "mounted-before").write_bytes(previous or b"")
        more = {"master_key_previous_file": str(tmp_path / "mounted-before")} if previous else {}
        return settings.model_copy(update={"master_key_file": str(tmp_path / "mounted"), **more})

    return make


def test_a_key_that_is_given_is_rotated_by_giving_two(given: Callable[..., Settings]) -> None:
    one, two = bytes(range(32)), bytes(range(1, 33))
    with open_state(given(one)) as state:
        fill(state)
    with open_state(given(two, one)) as state:
        old = all_open(state)
        done = rotate_master(state)
        assert all_open(state) == {done.key_id} != old
        with pytest.raises(AppError, match="already") as refused:
            rotate_master(state)
        assert refused.value.code == "invalid"
    with open_state(given(two)) as state:
        all_open(state)
    with open_state(given(one)) as state, pytest.raises(KeysError, match="another master key"):
        all_open(state)


@pytest.mark.parametrize("place", ["text", "file"])
def test_another_place_takes_over_from_the_file_of_the_data_directory(
    settings: Settings, tmp_path: Path, place: str
) -> None:
    text = base64.b64encode(bytes(range(32))).decode()
    (tmp_path / "mounted").write_text(text)
    places = {"text": {"master_key": SecretStr(text)}, "file": {"master_key_file": str(tmp_path / "mounted")}}
    elsewhere = settings.model_copy(update=places[place])
    with open_state(settings) as state:
        fill(state)
    with open_state(elsewhere) as state:
        old = all_open(state)
        done = rotate_master(state)
        assert all_open(state) == {done.key_id} != old
        assert done.left_over == settings.data / "keys" / "master.key"
        done.left_over.unlink()
    with open_state(elsewhere) as state:
        assert all_open(state) == {done.key_id}


def test_a_lost_key_stops_the_rotation_and_changes_nothing(settings: Settings) -> None:
    with open_state(settings) as state:
        fill(state)
        (settings.data / "keys" / "master.key").unlink()
        with pytest.raises(KeysError, match="The master key is missing"):
            rotate_master(state)
    assert list((settings.data / "keys").iterdir()) == []


def test_a_forgotten_setting_makes_no_second_master_key(given: Callable[..., Settings], settings: Settings) -> None:
    with open_state(given(bytes(range(32)))) as state:
        add_secret(state, "county")
    with open_state(settings) as state, pytest.raises(KeysError, match="The master key is missing") as refused:
        add_secret(state, "state")
    assert "DROPSLOT_MASTER_KEY" in refused.value.hint
    assert list((settings.data / "keys").iterdir()) == []


def test_two_rotations_at_once_are_one_too_many(state: State) -> None:
    fill(state)
    with (state.settings.run / "rotate.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(AppError, match="under way"):
            rotate_master(state)


def test_whatever_is_sealed_is_sealed_anew_here() -> None:
    """A module that seals belongs into `server.rotation`; name it here once it is there."""
    pattern = re.compile(r"\.seal\(")
    found = {
        str(path.relative_to(ROOT))
        for folder in ("server", "ingest", "keys")
        for path in (ROOT / folder).rglob("*.py")
        if pattern.search(path.read_text())
    }
    # The cipher itself; the hot path's is no cipher at rest.
    own = {"keys/store/host_keys.py", "server/remotes/secrets.py", "server/services/standby.py"}
    assert found - {"keys/cipher.py"} <= own | {one for one in found if one.startswith("server/sftp/hotpath/")}


def test_the_door_reads_its_keys_while_the_master_key_is_replaced(state: State) -> None:
    fill(state, 0)
    looked: list[int] = []
    rotating = threading.Thread(target=rotate_master, args=(state,))

    def cipher() -> Cipher:
        if not looked:
            looked.append(1)
            rotating.start()
            rotating.join(30)  # between its look at the rows and its look at the key
        return state.cipher()

    keys = HostKeys(state.database, cipher)
    assert len(keys.read()) == 3


def test_what_a_lost_master_key_opened_is_given_up(state: State) -> None:
    fill(state)
    (state.settings.data / "keys" / "master.key").unlink()
    lost = find_loss(state)
    assert (len(lost.host_keys), len(lost.secrets)) == (3, 3)
    assert replace_lost(state) == lost
    assert not find_loss(state)
    with state.database.reading() as conn:
        assert {key.id for key in list_host_keys(conn)}.isdisjoint(key.id for key in lost.host_keys)
        assert len(open_host_keys(conn, state.cipher(), now())) == 3
        assert [(one.name, dict(one.sealed)) for one in store.list_servers(conn)[1:]] == [
            (f"secret-{number}", {}) for number in range(3)
        ]


def test_what_opens_is_kept(state: State) -> None:
    fill(state)
    stranger = Cipher(Secret(bytes(32)))
    with state.database.writing() as conn:
        server = store.find_server(conn, "secret-1")
        sealed = {SecretField.PASSWORD: seal_secret(stranger, server.id, SecretField.PASSWORD, Secret(b"x"))}
        store.update_server(conn, replace(server, sealed={**server.sealed, **sealed}))
    lost = replace_lost(state)
    assert (lost.host_keys, [(server.name, field) for server, field in lost.secrets]) == (
        (),
        [("secret-1", SecretField.PASSWORD)],
    )
    with state.database.reading() as conn:
        assert open_secret(state.cipher(), store.find_server(conn, "secret-2"), SecretField.PASSWORD) is not None
        assert len(open_host_keys(conn, state.cipher(), now())) == 3
    rotate_master(state)  # which opens everything


def test_retired_host_keys_do_not_stay_behind(state: State) -> None:
    fill(state)
    with state.database.writing() as conn:
        conn.execute(update(host_keys).values(retired_at=now()))
        ensure_host_keys(conn, state.cipher(), now(), new_id)
    (state.settings.data / "keys" / "master.key").write_bytes(bytes(range(32)))
    assert len(replace_lost(state).host_keys) == 6
    assert rotate_master(state).host_keys == 3


def test_a_master_key_that_cannot_be_read_is_not_lost(state: State) -> None:
    fill(state)
    (state.settings.data / "keys" / "master.key").chmod(0o644)
    for attempt in (find_loss, replace_lost):
        with pytest.raises(KeysError) as refused:
            attempt(state)
        assert refused.value.code == "denied"
    (state.settings.data / "keys" / "master.key").chmod(0o600)
    assert not find_loss(state)


def test_the_next_key_alone_still_opens_what_it_sealed(state: State) -> None:
    fill(state)
    keys = state.settings.data / "keys"
    (keys / "master.key").rename(keys / "master.key.next")
    assert not find_loss(state)
    rotate_master(state)
    assert len(all_open(state)) == 1
