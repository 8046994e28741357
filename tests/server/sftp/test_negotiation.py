"""When client and door have no algorithm in common: both sides are told what, and what would help."""

import socket
import struct
import subprocess
from collections.abc import Callable, Collection
from typing import Any

import paramiko
import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.mismatches import Mismatch, Mismatches
from server.sftp.algorithms import POLICIES
from server.sftp.negotiation import LONGEST_NAME, MOST_NAMES, Offer, find_fitting, find_missing, read_offer
from tests.server.sftp.conftest import RunningDoor, need, wait_until

Opener = Callable[..., RunningDoor]

HOST_KEYS = {"ssh-ed25519", "rsa-sha2-512"}


def kexinit(*lists: Collection[str]) -> bytes:
    """A client's KEXINIT: key exchanges, host keys, ciphers in and out, MACs in and out."""
    rest = (("none",), ("none",), (), ())
    names = [",".join(given).encode() for given in (*lists, *rest)]
    return b"\x14" + bytes(16) + b"".join(struct.pack(">I", len(name)) + name for name in names) + bytes(5)


def offer(**changes: Any) -> Offer:
    """What a client offers that comes in everywhere, but for `changes`."""
    modern: dict[str, Any] = {
        "key_exchanges": ("ecdh-sha2-nistp256",),
        "host_keys": ("ssh-ed25519",),
        "inward": (("aes128-gcm@openssh.com",), ()),
        "outward": (("aes128-gcm@openssh.com",), ()),
    }
    return Offer(**{**modern, **changes})


CTR = (("aes128-ctr",), ("hmac-sha2-256",))
CHACHA = (("chacha20-poly1305@openssh.com",), ("hmac-sha2-256-etm@openssh.com",))
CBC = (("aes128-cbc", "3des-cbc"), ("hmac-sha1",))


@pytest.mark.parametrize(
    ("changes", "missing", "fitting"),
    [
        ({}, (), ("2025-03", "fips-2025-03", "fips-2024-05", "compat")),
        ({"key_exchanges": ("curve25519-sha256",)}, (), ("2025-03", "compat")),
        ({"key_exchanges": ("diffie-hellman-group14-sha256",)}, ("key exchange",), ("compat",)),
        ({"key_exchanges": ("diffie-hellman-group14-sha1",)}, ("key exchange",), ()),
        ({"key_exchanges": ("mlkem768x25519-sha256",)}, (), ("2025-03", "fips-2025-03", "compat")),
        ({"host_keys": ("ssh-rsa",)}, ("host key",), ()),
        ({"host_keys": ("ecdsa-sha2-nistp256",)}, ("host key",), ()),
        ({"inward": CTR}, ("MAC",), ("compat",)),
        ({"outward": CTR, "inward": CTR}, ("MAC",), ("compat",)),
        ({"outward": CHACHA}, ("cipher",), ("compat",)),
        ({"inward": CBC, "outward": CBC}, ("cipher", "MAC"), ()),
        ({"key_exchanges": (), "host_keys": ()}, ("key exchange", "host key"), ()),
    ],
)
def test_what_is_missing_and_what_would_fit(
    changes: dict[str, Any], missing: tuple[str, ...], fitting: tuple[str, ...]
) -> None:
    assert find_missing(offer(**changes), POLICIES["2025-03"], HOST_KEYS) == missing
    assert find_fitting(offer(**changes), HOST_KEYS) == fitting


def test_an_offer_is_read_as_it_was_sent() -> None:
    lists = (("a", "b"), ("c",), ("d",), ("e", "d"), (), ("f",))
    read = read_offer(kexinit(*lists))
    assert read == Offer(("a", "b"), ("c",), inward=(("d",), ()), outward=(("e", "d"), ("f",)))
    assert read.as_words() == {"key exchange": ["a", "b"], "host key": ["c"], "cipher": ["d", "e"], "MAC": ["f"]}


@given(st.binary(max_size=2000))
def test_no_offer_is_too_strange_to_be_told(payload: bytes) -> None:
    names = [name for kind in read_offer(payload).as_words().values() for name in kind]
    assert all(name.isprintable() and len(name) <= LONGEST_NAME for name in names)
    assert len(names) <= 6 * MOST_NAMES


def the_mismatch(door: RunningDoor) -> Mismatch:
    wait_until(lambda: bool(Mismatches(door.settings.data).last()), "the mismatch to be kept")
    [kept] = Mismatches(door.settings.data).last()
    return kept


@pytest.mark.parametrize(
    ("options", "missing", "fitting"),
    [
        (("Ciphers=aes128-cbc",), ("cipher",), ()),
        (("Ciphers=chacha20-poly1305@openssh.com",), ("cipher",), ("compat",)),
        (("Ciphers=aes128-ctr", "MACs=hmac-sha2-256"), ("MAC",), ("compat",)),
        (("Ciphers=aes128-cbc", "MACs=hmac-sha1"), ("cipher", "MAC"), ()),
        (("KexAlgorithms=diffie-hellman-group14-sha256",), ("key exchange",), ("compat",)),
        (("HostKeyAlgorithms=ssh-rsa",), ("host key",), ()),
    ],
)
def test_openssh_that_has_nothing_in_common(
    door: RunningDoor, options: tuple[str, ...], missing: tuple[str, ...], fitting: tuple[str, ...]
) -> None:
    need("ssh")
    flags = [part for option in options for part in ("-o", option)]
    command = door.command("ssh", *flags, "-s", "court@127.0.0.1", "sftp")
    assert subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=30).returncode != 0
    kept = the_mismatch(door)
    assert (kept.missing, kept.fitting, kept.times, kept.source_ip) == (missing, fitting, 1, "127.0.0.1")
    assert kept.client.startswith("SSH-2.0-OpenSSH")
    [line] = [line for line in door.events.named("ERROR") if line.get("reason") == "algorithm mismatch"]
    assert (line["missing"], line["fitting"], line["client"]) == (missing, fitting, kept.client)
    wanted = options[0].partition("=")[2]
    assert wanted in {name for kind in missing for name in line[kind.replace(" ", "_")]} | {*line["cipher"]}


def test_paramiko_is_told_what_would_help(door: RunningDoor) -> None:
    client = paramiko.Transport(("127.0.0.1", door.port))
    client.get_security_options().ciphers = ["aes256-ctr"]
    client.get_security_options().digests = ["hmac-sha2-512"]
    with pytest.raises(paramiko.SSHException):
        client.start_client(timeout=10)
    client.close()
    kept = the_mismatch(door)
    assert (kept.missing, kept.fitting) == (("MAC",), ("compat",))
    assert kept.offered["MAC"] == ["hmac-sha2-512"]
    assert kept.sentence == "No common MAC: ask the operator for policy compat."


def test_the_client_gets_the_sentence_before_the_end(door: RunningDoor) -> None:
    """A client that waits for our word gets SSH_MSG_DISCONNECT, reason 3 (RFC 4253 section 11.1), with the sentence."""
    lists = (
        ("ecdh-sha2-nistp256",),
        ("ssh-ed25519",),
        ("aes128-cbc",),
        ("aes128-cbc",),
        ("hmac-sha1",),
        ("hmac-sha1",),
    )
    payload = kexinit(*lists)
    padding = 8 - (5 + len(payload)) % 8 + 8
    with socket.create_connection(("127.0.0.1", door.port), timeout=10) as client:
        packet = struct.pack(">IB", 1 + len(payload) + padding, padding) + payload + bytes(padding)
        client.sendall(b"SSH-2.0-Old_Client_\x07\r\n" + packet)
        said = b""
        while received := client.recv(65536):
            said += received
    sentence = b"No common cipher and no common MAC: this client offers only what no policy allows; update it."
    assert b"\x01" + struct.pack(">II", 3, len(sentence)) + sentence in said
    assert the_mismatch(door).client == "SSH-2.0-Old_Client_"


def test_who_gets_along_leaves_no_trace(door: RunningDoor) -> None:
    with door.raw() as client:
        client.names("/")
    assert not Mismatches(door.settings.data).last()
    assert not door.events.named("ERROR")


def test_a_client_that_is_refused_comes_in_under_the_policy_it_was_told(open_door: Opener) -> None:
    need("sftp")
    options = ["-o", "Ciphers=aes128-ctr", "-o", "MACs=hmac-sha2-256", "-b", "-", "court@127.0.0.1"]
    for policy, status in (("2025-03", 255), ("compat", 0)):
        door = open_door(policy=policy)
        done = subprocess.run(
            door.command("sftp", *options), input="ls /\n", capture_output=True, text=True, timeout=30
        )
        assert done.returncode == status, done.stderr
