"""Servers are kept as they were given, their secrets sealed, and a strange host key is remembered."""

from dataclasses import replace

import pytest

from keys.cipher import Cipher
from keys.errors import KeysError
from keys.secret import Secret
from server.clock import new_id, now
from server.errors import AppError
from server.remotes import store
from server.remotes.secrets import open_secret, seal_secret
from server.remotes.server import MANAGED, HostKeyState, Kind, SecretField, Server
from server.state import State


def make(name: str = "county", **values: object) -> Server:
    given: dict[str, object] = {"kind": Kind.SFTP, "host": "sftp.example.gov", "port": 22, "username": "ecourt"}
    return Server(id=new_id(), name=name, created_at=now(), **{**given, **values})  # type: ignore[arg-type]


def test_a_server_comes_back_as_it_was_stored(state: State) -> None:
    made = make(agency_id="a", sealed={SecretField.PASSWORD: b"\x00\xff"}, timeout=2.5, directory="/out")
    with state.database.writing() as conn:
        store.add_server(conn, made)
    with state.database.reading() as conn:
        assert store.find_server(conn, "county") == made
        assert store.server_by_id(conn, made.id) == made


def test_an_agency_sees_its_own_servers_those_of_all_and_the_managed_one(state: State) -> None:
    with state.database.writing() as conn:
        for name, agency in (("mine", "a"), ("theirs", "b"), ("all", None)):
            store.add_server(conn, make(name, agency_id=agency))
        assert [one.name for one in store.list_servers(conn, "a")] == ["managed", "all", "mine"]
        assert [one.name for one in store.list_servers(conn)] == ["managed", "all", "mine", "theirs"]
        assert store.find_server(conn, "managed") == store.server_by_id(conn, "managed") == MANAGED


@pytest.mark.parametrize("name", ["county", "managed"])
def test_a_name_is_taken_once(state: State, name: str) -> None:
    with state.database.writing() as conn:
        store.add_server(conn, make("county"))
    with pytest.raises(AppError, match="already") as refused, state.database.writing() as conn:
        store.add_server(conn, make(name))
    assert refused.value.code == "conflict"


def test_a_removed_server_is_gone(state: State) -> None:
    with state.database.writing() as conn:
        made = store.add_server(conn, make())
        store.remove_server(conn, made)
        for call in (lambda: store.find_server(conn, "county"), lambda: store.update_server(conn, made)):
            with pytest.raises(AppError) as refused:
                call()
            assert refused.value.code == "not_found"


def test_only_a_trusted_host_key_makes_a_server_usable(state: State) -> None:
    with state.database.writing() as conn:
        one = store.add_server(conn, make())
        states = [one]
        states.append(store.note_shown_key(conn, one.id, "ssh-ed25519 AAAA", now()))
        states.append(store.trust_key(conn, one.id, "ssh-ed25519 AAAA"))
        states.append(store.note_shown_key(conn, one.id, "ssh-ed25519 AAAA", now()))
        states.append(store.note_shown_key(conn, one.id, "ssh-ed25519 BBBB", now()))
        states.append(store.trust_key(conn, one.id, "ssh-ed25519 BBBB"))
    named = [HostKeyState.UNSEEN, HostKeyState.UNCONFIRMED, *[HostKeyState.TRUSTED] * 2]
    assert [each.host_key_state for each in states] == [*named, HostKeyState.CHANGED, HostKeyState.TRUSTED]
    assert [each.usable for each in states] == [False, False, True, True, False, True]


def test_a_sealed_secret_opens_only_for_its_server_and_field(state: State) -> None:
    cipher = Cipher(Secret(bytes(32)))
    one = make()
    sealed = seal_secret(cipher, one.id, SecretField.PASSWORD, Secret(b"hunter2-hunter2"))
    kept = replace(one, sealed={SecretField.PASSWORD: sealed})
    opened = open_secret(cipher, kept, SecretField.PASSWORD)
    assert opened is not None
    assert opened.reveal() == b"hunter2-hunter2"
    assert open_secret(cipher, kept, SecretField.PRIVATE_KEY) is None
    for moved in (replace(kept, id=new_id()), replace(one, sealed={SecretField.PASSPHRASE: sealed})):
        field = next(iter(moved.sealed))
        with pytest.raises(KeysError, match="not where it belongs"):
            open_secret(cipher, moved, field)
    assert "hunter2" not in repr(kept)
    assert "sealed" not in repr(kept)
