"""Clients that ask and do not listen, open strange channels, leave at the worst moment: nothing hangs or grows."""

import asyncio
import os
import struct
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import paramiko
import pytest

from server.sftp import entrance
from server.sftp.files import Files
from server.sftp.hotpath import connection as hot_connection
from server.sftp.hotpath.connection import HotConnection
from server.sftp.hotpath.downloads import Downloads, Read
from server.sftp.hotpath.handler import MOST_READS
from server.sftp.session import Connection
from tests.server.sftp.conftest import RunningDoor, wait_until
from tests.server.sftp.rawclient import CLOSE, DATA, F_READ, INIT, READ, REALPATH, VERSION, RawClient, text

MIB = 1024 * 1024
MOST = 256 * 1024
NEVER_READ = 600

hot_only = pytest.mark.parametrize("hot_path", [True], ids=["hot"], indirect=True)


def ask(client: RawClient, handle: bytes, offset: int, size: int) -> int:
    return client.send(READ, text(handle) + struct.pack(">QI", offset, size))


def sessions(door: RunningDoor) -> list[Connection]:
    return list(door._door._connections)


def in_loop(door: RunningDoor, call: Callable[[], Any]) -> Any:
    async def run() -> Any:
        return call()

    assert door._loop
    return asyncio.run_coroutine_threadsafe(run(), door._loop).result(10)


def homes_open(door: RunningDoor) -> int:
    """How many descriptors of anything in the agency's home this process has."""
    links = []
    for number in os.listdir("/proc/self/fd"):
        try:
            links.append(os.readlink(f"/proc/self/fd/{number}"))
        except OSError:
            continue
    return sum(link.startswith(str(door.home())) for link in links)


def test_a_client_that_leaves_amid_many_reads_leaves_nothing_behind(door: RunningDoor) -> None:
    client = door.raw()
    client.put("/upload/a.bin", bytes(4 * MIB))
    reading, sending = client.open("/upload/a.bin", F_READ), client.open("/upload/torn.bin")
    client.write(sending, 0, b"half of it")
    for number in range(NEVER_READ):
        ask(client, reading, number * 4096, 32768)
        if number == NEVER_READ // 2:
            client.send(REALPATH, text("/"))  # which waits for the READs before it, and the READs behind it for that
    time.sleep(0.3)
    client.hang_up()
    assert door.tear().path == "/upload/torn.bin"
    wait_until(lambda: not homes_open(door), "everything of the session to be closed")


def test_a_key_exchange_that_never_ends_collects_no_answers(door: RunningDoor) -> None:
    client = door.raw()
    client.put("/upload/a.bin", bytes(MOST))
    handle = client.open("/upload/a.bin", F_READ)
    under: Any = client.client.get_transport()
    under._handler_table = {**under._handler_table, paramiko.common.MSG_KEXINIT: lambda message: None}
    widened = paramiko.Message()
    widened.add_byte(bytes([93]))
    widened.add_int(client.channel.remote_chanid)
    widened.add_int(2**31)
    under._send_message(widened)
    under._send_kex_init()
    for number in range(100):
        asked = paramiko.Message()
        asked.add_byte(bytes([94]))
        asked.add_int(client.channel.remote_chanid)
        body = bytes([READ]) + struct.pack(">I", 1000 + number) + text(handle) + struct.pack(">QI", 0, MOST)
        asked.add_string(text(body))
        under._send_message(asked)
    time.sleep(1)
    kept = in_loop(door, lambda: [sum(map(len, sum(p[1:], ()))) for p in sessions(door)[0]._conn._deferred_packets])  # type: ignore[union-attr]
    assert sum(kept) < 2 * MOST
    for _ in range(5000):
        asked = paramiko.Message()
        asked.add_byte(bytes([80]))
        asked.add_string("whoever@cares")
        asked.add_boolean(True)
        try:
            under._send_message(asked)
        except (OSError, EOFError):
            break
    wait_until(lambda: not sessions(door), "the session to be ended")
    client.client.close()


@pytest.mark.parametrize("most", [1, 12, 255])
def test_nobody_gets_answers_in_crumbs(door: RunningDoor, monkeypatch: pytest.MonkeyPatch, most: int) -> None:
    monkeypatch.setattr(paramiko.Transport, "_sanitize_packet_size", lambda self, size: most)
    client = door.paramiko()
    under = client.get_transport()
    assert under
    with pytest.raises(paramiko.ChannelException):
        under.open_session()
    client.close()


@pytest.mark.parametrize("most", [256, 257, 1000, 2**32 - 1])
@pytest.mark.parametrize("window", [1, 20_000, 300_000, 2**32 - 1])
def test_packets_and_windows_of_every_size(
    door: RunningDoor, monkeypatch: pytest.MonkeyPatch, most: int, window: int
) -> None:
    monkeypatch.setattr(paramiko.Transport, "_sanitize_packet_size", lambda self, size: most)
    monkeypatch.setattr(paramiko.Transport, "_sanitize_window_size", lambda self, size: window)
    data = os.urandom(500_000 if window > 1 else 300)
    with door.raw() as client:
        client.put("/upload/a.bin", data[:200_000])
        handle = client.open("/upload/a.bin", F_READ)
        size = len(data[:200_000])
        asked = [(at, ask(client, handle, at, 70_000)) for at in range(0, size, 50_000)]
        for at, request in asked:
            kind, body = client.answer(request)
            assert kind == DATA
            assert body[4:] == data[at : min(at + 70_000, 200_000)]
        client.close(handle)


def test_a_client_may_widen_its_window_only_when_it_is_used_up(
    door: RunningDoor, monkeypatch: pytest.MonkeyPatch
) -> None:
    def when_used_up(channel: Any, count: int) -> int:
        channel.in_window_sofar += count
        if channel.in_window_sofar < 300_000:
            return 0
        channel.in_window_sofar -= 300_000
        return 300_000

    monkeypatch.setattr(paramiko.Channel, "_check_add_window", when_used_up)
    monkeypatch.setattr(paramiko.Transport, "_sanitize_window_size", lambda self, size: 300_000)
    data = os.urandom(MIB)
    with door.raw() as client:
        client.put("/upload/a.bin", data[:200_000])
        handle = client.open("/upload/a.bin", F_READ)
        asked = [ask(client, handle, 0, 200_000) for _ in range(6)]
        for request in asked:
            assert client.answer(request)[1][4:] == data[:200_000]


@hot_only
def test_the_window_opens_again_after_a_jam(door: RunningDoor, monkeypatch: pytest.MonkeyPatch) -> None:
    """The connection jams each time just when a batch of writes is done, so the window stays as it is."""
    go_on = Downloads.go_on

    def jam(downloads: Downloads) -> None:
        go_on(downloads)
        wire = downloads._wire
        wire.choked = True
        wire._loop.call_soon(wire._unchoke)

    with door.raw() as client:
        handle = client.open("/upload/a.bin")
        monkeypatch.setattr(Downloads, "go_on", jam)
        asked = [client.send_write(handle, at, bytes(32768)) for at in range(0, 8 * MIB, 32768)]
        for request in asked:
            client.ok(request)


@hot_only
def test_what_was_sealed_leaves_whatever_happens(door: RunningDoor, monkeypatch: pytest.MonkeyPatch) -> None:
    into, asked = Files.read_into, iter(range(100))

    def fail(self: Files, *arguments: Any) -> bool:
        if next(asked) == 2:
            raise ZeroDivisionError
        return into(self, *arguments)

    data = os.urandom(100_000)
    with door.raw() as client:
        client.put("/upload/a.bin", data)
        handle = client.open("/upload/a.bin", F_READ)
        monkeypatch.setattr(Files, "read_into", fail)
        body = b"".join(
            struct.pack(">IBI", 25, READ, 50 + number) + text(handle) + struct.pack(">QI", number * 1000, 1000)
            for number in range(5)
        )
        client.channel.sendall(body)
        for number in range(2):
            assert client.answer(50 + number)[1][4:] == data[number * 1000 : number * 1000 + 1000]
        wait_until(lambda: not sessions(door), "the session to be ended")
        under = client.client.get_transport()
        assert under
        assert not isinstance(under.get_exception(), paramiko.SSHException), "it could not read the server's last words"


@pytest.mark.parametrize("leaving", ["end", "close", "hang up"])
def test_a_client_that_leaves_before_its_session_has_begun(
    door: RunningDoor, monkeypatch: pytest.MonkeyPatch, leaving: str
) -> None:
    account = Connection.account

    async def late(self: Connection) -> Any:
        found = await account(self)
        await asyncio.sleep(0.3)
        return found

    monkeypatch.setattr(Connection, "account", late)
    client = door.paramiko()
    under = client.get_transport()
    assert under
    channel = under.open_session()
    channel.settimeout(10)
    channel.invoke_subsystem("sftp")
    realpath = struct.pack(">IBI", 10, REALPATH, 7) + text("/")
    channel.sendall(struct.pack(">IBI", 5, INIT, 3) + realpath)
    if leaving == "end":
        channel.shutdown_write()
        said = b"".join(iter(lambda: channel.recv(65536), b""))
        assert said[4] == VERSION
        assert struct.pack(">I", 7) in said
    elif leaving == "close":
        channel.close()
    else:
        under.sock.close()
    wait_until(lambda: not any(session.tasks for session in sessions(door)), "the session to end")
    time.sleep(0.5)
    assert not homes_open(door)
    assert door.events.named("ERROR") == []
    client.close()


@hot_only
def test_one_session_does_not_stop_the_others(door: RunningDoor, monkeypatch: pytest.MonkeyPatch) -> None:
    """Time is up at once: after one answer it is the others' turn, and still everything is answered, in order."""
    monkeypatch.setattr(hot_connection, "TURN", -1.0)
    monkeypatch.setattr(entrance, "TURN", -1.0)
    done: list[int] = []
    fill, end = Downloads._read_in_place, HotConnection.end_batch

    def count(self: Downloads, *arguments: Any) -> bool:
        done[-1] += 1
        return fill(self, *arguments)

    def begin(self: HotConnection) -> None:
        done.append(0)
        end(self)

    monkeypatch.setattr(Downloads, "_read_in_place", count)
    monkeypatch.setattr(HotConnection, "end_batch", begin)
    data = os.urandom(300_000)
    with door.raw() as client:
        client.put("/upload/a.bin", data)
        handle = client.open("/upload/a.bin", F_READ)
        asked = [(at, ask(client, handle, at, 1000)) for at in range(0, 300_000, 1000)]
        names = [client.send(REALPATH, text("/upload")) for _ in range(300)]
        last = client.send(CLOSE, text(handle))
        for at, request in asked:
            assert client.answer(request)[1][4:] == data[at : at + 1000]
        for request in names:
            assert client.answer(request)
        client.ok(last)
    assert max(done) <= 1


class Jammed:
    """Nobody takes the answers to READs until it is over: how many each batch took up, and how many waited at most."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.over = False
        self.taken: list[int] = [0]
        self.waited = 0
        takes, add, begin = Downloads._takes, Downloads.add, HotConnection.begin_batch

        def count(downloads: Downloads, read: Read) -> None:
            add(downloads, read)
            self.taken[-1] += 1
            self.waited = max(self.waited, len(downloads))

        def begin_batch(wire: HotConnection) -> bool:
            outermost = begin(wire)
            if outermost:
                self.taken.append(0)
            return outermost

        monkeypatch.setattr(Downloads, "_takes", lambda downloads, read: self.over and takes(downloads, read))
        monkeypatch.setattr(Downloads, "add", count)
        monkeypatch.setattr(HotConnection, "begin_batch", begin_batch)


@hot_only
def test_whoever_sends_no_more_has_as_few_reads_at_once(door: RunningDoor, monkeypatch: pytest.MonkeyPatch) -> None:
    data = os.urandom(NEVER_READ)
    with door.raw() as client:
        client.put("/upload/a.bin", data)
        handle = client.open("/upload/a.bin", F_READ)
        jam = Jammed(monkeypatch)
        asked = [(at, ask(client, handle, at, 1)) for at in range(NEVER_READ)]
        client.channel.shutdown_write()
        (wire,) = in_loop(door, lambda: [session._conn for session in sessions(door)])
        wait_until(lambda: all(channel._recv_state != "open" for channel in wire._channels.values()), "the EOF")
        assert jam.waited == MOST_READS
        jam.over = True
        in_loop(door, wire._tell_channels)
        for at, request in asked:
            assert client.answer(request)[1][4:] == data[at : at + 1]


@hot_only
def test_reads_of_a_client_that_has_left_do_not_stop_the_others(
    door: RunningDoor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Time is up at once: what a client has left behind is gone through one request at a time."""
    client = door.raw()
    client.put("/upload/a.bin", b"a")
    reading, sending = client.open("/upload/a.bin", F_READ), client.open("/upload/b.bin")
    jam = Jammed(monkeypatch)
    for at in range(NEVER_READ):
        ask(client, reading, at, 1)
    client.send_write(sending, 0, b"behind them")
    client.send(CLOSE, text(sending))
    wait_until(lambda: jam.waited == MOST_READS, "as many READs as may wait")
    monkeypatch.setattr(hot_connection, "TURN", -1.0)
    jam.taken = [0]
    client.hang_up()
    assert door.content(door.arrival(2)) == b"behind them"
    assert max(jam.taken) == 1
    assert sum(jam.taken) > NEVER_READ // 2


def test_no_request_is_longer_than_was_announced(door: RunningDoor) -> None:
    with door.raw() as client:
        handle = client.open("/upload/a.bin")
        client.write(handle, 0, bytes(MOST))
        with suppress(OSError):  # it may end the channel before it has all
            client.send_write(handle, MOST, bytes(MOST + 1024))
        assert client.channel.recv(100) == b"", "it took more than it says"


@hot_only
@pytest.mark.parametrize("padding", [0, 3, 255])
@pytest.mark.parametrize("kind", [2, 94], ids=["ignored", "data"])
def test_padding_is_at_least_four_bytes_and_in_the_packet(door: RunningDoor, kind: int, padding: int) -> None:
    client = door.raw()
    under: Any = client.client.get_transport()
    there = min(padding, 16)

    def pad_badly(payload: bytes) -> bytes:
        return struct.pack(">IB", 1 + len(payload) + there, padding) + payload + bytes(there)

    packet = paramiko.Message()
    packet.add_byte(bytes([kind]))
    if kind == 94:
        packet.add_int(client.channel.remote_chanid)
    overhead = 1 + len(packet.asbytes()) + 4 + 13 + there
    path = text("/" * (16 + -overhead % 16))  # so that whole blocks are sent
    packet.add_string(struct.pack(">IBI", 5 + len(path), REALPATH, 7) + path)
    under.packetizer._build_packet = pad_badly
    under._send_message(packet)
    wait_until(lambda: bool(door.events.named("DISCONNECTED")), "the session to be ended")
    assert door.events.named("DISCONNECTED")[0]["reason"] == "ProtocolError"
    client.client.close()


def test_a_small_answer_to_whoever_is_slow(door: RunningDoor) -> None:
    """A client reads in small bites; all is there, and it may ask in between."""
    data = os.urandom(2 * MIB)
    with door.raw() as client:
        for at in range(0, len(data), MOST):
            client.put(f"/upload/{at}.bin", data[at : at + MOST])
        handles = [client.open(f"/upload/{at}.bin", F_READ) for at in range(0, len(data), MOST)]
        asked = [ask(client, handle, 0, MOST) for handle in handles * 3]
        time.sleep(0.3)
        got = b"".join(client.answer(request)[1][4:] for request in asked)
        assert got == data * 3
