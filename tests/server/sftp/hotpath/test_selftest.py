"""The hot path is used only if asyncssh is what it leans on."""

import asyncio
from collections.abc import Callable

import pytest
from asyncssh.channel import SSHChannel
from asyncssh.connection import SSHConnection
from asyncssh.encryption import GCMEncryption

from server.sftp.hotpath.connection import HotConnection
from server.sftp.hotpath.selftest import find_misfit
from tests.server.sftp.conftest import RunningDoor

Opener = Callable[..., RunningDoor]


@pytest.fixture
def hot_path() -> bool:
    """Only the one that this is about."""
    return True


def look() -> str:
    return asyncio.run(find_misfit())


def test_it_fits_the_version_that_is_pinned() -> None:
    assert look() == ""


def test_other_parameters_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    def _recv_packet(self: SSHConnection, more: int) -> bool:
        return False

    monkeypatch.setattr(SSHConnection, "_recv_packet", _recv_packet)
    assert "takes other parameters" in look()


def test_other_names_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    def _recv_pkthdr(self: SSHConnection) -> bool:
        return False

    monkeypatch.setattr(SSHConnection, "_recv_pkthdr", _recv_pkthdr)
    assert "does not use" in look()


def test_another_nonce_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    def encrypt_packet(self: GCMEncryption, seq: int, header: bytes, packet: bytes) -> tuple[bytes, bytes]:
        return header + packet, bytes(16)

    monkeypatch.setattr(GCMEncryption, "encrypt_packet", encrypt_packet)
    assert "does not agree" in look()


def test_what_only_a_conversation_shows_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(HotConnection, "_count_packet", lambda self: None)
    assert look()


def test_a_misfit_is_logged_and_asyncsshs_own_path_taken(open_door: Opener, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SSHChannel, "_flush_send_buf", lambda self, more=0: None, raising=True)
    reason = look()
    monkeypatch.undo()

    async def misfit() -> str:
        return reason

    monkeypatch.setattr("server.sftp.door.find_misfit", misfit)
    monkeypatch.setattr(HotConnection, "__init__", None)
    door = open_door()
    assert [line["reason"] for line in door.events.named("SLOW_PATH")] == [reason]
    door.sftp("ls /")
