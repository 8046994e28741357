"""Whoever sends without a pause is heard for a moment, and then the others are."""

import asyncio
import socket
import threading
from types import SimpleNamespace
from typing import Any, cast

import pytest
import uvloop

from server.sftp import entrance
from server.sftp.entrance import Entrance, Porter

MIB = 1024 * 1024
STEP = 0.001


class Clock:
    """Time that passes only when something is read."""

    def __init__(self) -> None:
        self.now = 1.0

    def monotonic(self) -> float:
        return self.now


class Slow:
    """A connection for which everything that is read takes a millisecond."""

    def __init__(self, clock: Clock, seen: list[str]) -> None:
        self._clock, self._seen = clock, seen
        self.taken = 0
        self.ended = asyncio.Event()

    def data_received(self, data: bytes) -> None:
        self._clock.now += STEP
        self._seen.append("read")
        self.taken += len(data)

    def eof_received(self) -> None:
        self.ended.set()

    def connection_made(self, transport: asyncio.Transport) -> None:
        pass

    def connection_lost(self, exc: Exception | None) -> None:
        pass

    def pause_writing(self) -> None:
        pass

    def resume_writing(self) -> None:
        pass


def test_after_a_few_reads_the_others_come(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, seen = Clock(), list[str]()
    monkeypatch.setattr(entrance, "time", clock)
    guard = SimpleNamespace(is_proxy=lambda _: False, refusal=lambda _: None)

    async def run() -> int:
        loop, wire = asyncio.get_running_loop(), Slow(clock, seen)
        porter = Porter(cast(Any, guard), 1.0, cast(Any, None))
        buffer = memoryview(bytearray(MIB))
        server = await loop.create_server(lambda: Entrance(lambda: wire, buffer, porter), "127.0.0.1", 0)
        client = socket.create_connection(server.sockets[0].getsockname())
        sender = threading.Thread(target=lambda: (client.sendall(bytes(4 * MIB)), client.shutdown(socket.SHUT_WR)))
        sender.start()

        def others() -> None:
            seen.append("others")
            loop.call_soon(others)

        others()
        await asyncio.wait_for(wire.ended.wait(), 30)
        sender.join()
        client.close()
        server.close()
        return wire.taken

    assert uvloop.run(run()) == 4 * MIB
    together = "".join("r" if word == "read" else " " for word in seen).split()
    assert max(map(len, together)) <= entrance.TURN / STEP + 1
