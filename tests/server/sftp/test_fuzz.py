"""Whatever a client says, in whatever pieces: the jail holds, every request is answered once, others do not notice.

And of what it sent only that is taken in which it closed and which is whole. The grammar is `grammar`, the client
`player`; `fuzz_packets` feeds the same handler by coverage (`make fuzz`).
"""

import os
import socket
import struct
import threading
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import paramiko
import psutil
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.server.sftp.conftest import RunningDoor, wait_until
from tests.server.sftp.grammar import Step, conversations
from tests.server.sftp.player import BrokenError, Player, Sending, snapshot
from tests.server.sftp.rawclient import F_READ, RawClient

SECRET = b"the-canary-sings"
SIZE = 7_654_321  # of its file, so that it is known wherever it is told
MIB = 1024 * 1024
MOST_GROWTH = 192 * MIB  # of this whole process, in which client, neighbour and Hypothesis live as well

pieces = st.lists(st.sampled_from((1, 2, 3, 5, 9, 64, 1000, 32768, 300_000)), min_size=1, max_size=6)
quietly = [
    HealthCheck.too_slow,
    HealthCheck.data_too_large,
    HealthCheck.large_base_example,
    HealthCheck.filter_too_much,
]
steady = settings(deadline=None, suppress_health_check=quietly, phases=(Phase.reuse, Phase.generate, Phase.shrink))
often = settings(steady, max_examples=150)
sometimes = settings(steady, max_examples=25)


class Neighbour:
    """Another agency at work all the time: it must never notice anything."""

    def __init__(self, door: RunningDoor) -> None:
        self._client = RawClient(door.paramiko("neighbour", "stranger"))
        self._stopping = threading.Event()
        self.rounds = 0
        self.error: BaseException | None = None
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def _work(self) -> None:
        try:
            while not self._stopping.wait(0.02):
                content = os.urandom(2000)
                self._client.put("/upload/mine.csv.part", content)
                handle = self._client.open("/upload/mine.csv.part", F_READ)
                assert self._client.read(handle, 0, 10_000) == content
                self._client.close(handle)
                self.rounds += 1
        except BaseException as error:
            self.error = error

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join(20)
        self._client.client.close()


class Arena:
    """The door that everything is thrown at, the neighbour, and what is known of each conversation's files."""

    def __init__(self, door: RunningDoor) -> None:
        self.door = door
        self.canary = door.home("prey") / "upload" / "secret.csv"
        self.canary.parent.mkdir(parents=True)
        self.canary.write_bytes(SECRET)
        os.truncate(self.canary, SIZE)
        door.uploaded("").mkdir(parents=True)
        door.uploaded("link").symlink_to(self.canary.parent)
        self.forbidden = (SECRET, struct.pack(">Q", SIZE), os.fsencode(door.folder))
        self.sent: dict[str, list[Sending]] = {}
        self.inexact: set[str] = set()
        self._number = 0
        self._client: paramiko.SSHClient | None = None
        self.neighbour = Neighbour(door)
        wait_until(lambda: self.neighbour.rounds > 0, "the neighbour to work")
        self._outside = self._look_outside()
        self._before = psutil.Process().memory_info().rss

    def _look_outside(self) -> dict[str, tuple[Any, ...]]:
        """Everything that no client of this agency may change."""
        free = (self.door.home("court"), self.door.home("neighbour"), self.door.settings.spool)
        with self.canary.open("rb") as file:
            sings = file.read(len(SECRET))
        return {**snapshot(str(self.door.folder), [str(place) for place in free]), "": (sings,)}

    def new_place(self) -> str:
        """A directory of its own for each conversation, so that no file is two conversations'."""
        self._number += 1
        place = f"/upload/{self._number}"
        (self.door.home() / place[1:] / "d").mkdir(parents=True)
        return place

    def channel(self) -> paramiko.Channel:
        """A channel on a connection that is used until it ends."""
        for _ in range(50):
            transport = self._client.get_transport() if self._client else None
            if transport is None or not transport.is_active():
                self._client = self.door.paramiko()
                _hurry(self._client)
                continue
            with suppress(paramiko.SSHException, EOFError):
                return transport.open_session()
        raise BrokenError("the door gives no channel")

    def play(self, steps: Sequence[Step], pieces: Sequence[int]) -> None:
        """A whole conversation."""
        place = self.new_place()
        player = Player(self.channel(), place.encode(), pieces, self.forbidden)
        try:
            player.play(steps)
            player.finish()
        finally:
            player.channel.close()
            self._remember(place, player, cut=False)
        self.check()

    def cut(self, steps: Sequence[Step], pieces: Sequence[int]) -> None:
        """A conversation whose client is gone all at once."""
        place = self.new_place()
        client = self.door.paramiko()
        transport = client.get_transport()
        assert transport
        player = Player(transport.open_session(), place.encode(), pieces, self.forbidden)
        try:
            player.play(steps)
        finally:
            transport.sock.close()
            client.close()
            self._remember(place, player, cut=True)
        self.check()

    def scream(self, noise: bytes, pieces: Sequence[int]) -> None:
        """Bytes that are no conversation."""
        player = Player(self.channel(), self.new_place().encode(), pieces, self.forbidden)
        try:
            player.scream(noise)
        finally:
            player.channel.close()
        self.check()

    def _remember(self, place: str, player: Player, cut: bool) -> None:
        ended = [one for one in player.sendings.values() if one.closed or (cut and one.closing is not None)]
        self.sent[place] = ended
        if not player.exact:
            self.inexact.add(place)

    def check(self) -> None:
        """Nothing outside has changed, the neighbour works on, and what arrived so far was whole."""
        assert self._look_outside() == self._outside
        assert self.neighbour.error is None, self.neighbour.error
        arrived = self.door.intake.arrived
        for manifest in [arrived.pop(0) for _ in range(len(arrived))]:
            place = "/".join(manifest.path.split("/")[:3])
            if place in self.sent and place not in self.inexact:
                content = self.door.content(manifest)
                whole = [bytes(sending.content) for sending in self.sent[place] if sending.whole]
                assert content in whole, f"{manifest.path} arrived: {content[:60]!r}; closed and whole were {whole}"
            assert manifest.size == len(self.door.content(manifest))

    def rest(self) -> None:
        """After all of it: the door is well."""
        rounds = self.neighbour.rounds
        wait_until(
            lambda: self.neighbour.rounds > rounds or self.neighbour.error is not None, "the neighbour to work on"
        )
        self.check()
        wait_until(lambda: not self.door.strangers, "who never logged in to be gone")
        assert psutil.Process().memory_info().rss - self._before < MOST_GROWTH
        bugs = [line for line in self.door.events.named("ERROR") if "exception" in line or "trace" in line]
        assert bugs == []


def _hurry(client: paramiko.SSHClient) -> None:
    """Let the system send small packets at once: there are thousands."""
    transport = client.get_transport()
    assert transport
    transport.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


@pytest.fixture(scope="module")
def arena(tmp_path_factory: pytest.TempPathFactory, keys: Path, hot_path: bool) -> Iterator[Arena]:
    """One door for all conversations of this module, on the packet path to be proven."""
    door = RunningDoor(tmp_path_factory.mktemp("fuzz"), keys, settle=0, hot_path=hot_path)
    for slug, key in (("court", "id"), ("neighbour", "stranger")):
        door.admit(slug, (keys / f"{key}.fingerprint").read_text())
    door.start()
    made = Arena(door)
    try:
        yield made
    finally:
        made.neighbour.stop()
        door.drain()


def test_any_conversation(arena: Arena) -> None:
    @often
    @given(conversations(), pieces)
    def talk(steps: list[Step], sizes: list[int]) -> None:
        arena.play(steps, sizes)

    talk()
    arena.rest()


def test_any_conversation_that_breaks_off(arena: Arena) -> None:
    @sometimes
    @given(conversations(), pieces)
    def break_off(steps: list[Step], sizes: list[int]) -> None:
        arena.cut(steps, sizes)

    break_off()
    arena.rest()


lengths = st.one_of(
    st.integers(0, 40), st.sampled_from((0, 1, 4, 5, 263_168, 4 * MIB, 4 * MIB + 1025, 2**31, 2**32 - 1))
)
framed = st.builds(lambda length, body: struct.pack(">I", length) + body, lengths, st.binary(max_size=60))
noise = st.lists(st.one_of(st.binary(max_size=200), framed), max_size=6).map(b"".join)


def test_any_bytes_in_a_channel(arena: Arena) -> None:
    @often
    @given(noise, pieces)
    def scream(said: bytes, sizes: list[int]) -> None:
        arena.scream(said, sizes)

    scream()
    arena.rest()


greetings = st.sampled_from(
    (b"", b"SSH-2.0-x\r\n", b"SSH-2.0-x\n", b"SSH-1.5-x\r\n", b"GET / HTTP/1.0\r\n\r\n", b"\r\n")
)
plain = st.builds(
    lambda length, padding, body: struct.pack(">IB", length, padding) + body,
    st.one_of(st.integers(0, 80), st.integers(0, 2**32 - 1)),
    st.integers(0, 255),
    st.one_of(st.binary(max_size=80), st.binary(max_size=80).map(lambda body: b"\x14" + body)),
)


def test_any_bytes_before_ssh(arena: Arena) -> None:
    @often
    @given(greetings, st.lists(st.one_of(plain, st.binary(max_size=300)), max_size=5))
    def knock(greeting: bytes, packets: list[bytes]) -> None:
        with socket.create_connection(("127.0.0.1", arena.door.port), timeout=10) as client, suppress(OSError):
            client.sendall(greeting + b"".join(packets))
            client.shutdown(socket.SHUT_WR)
            while client.recv(65536):
                pass
        arena.check()

    knock()
    arena.rest()


def test_any_ssh_packet_before_anybody_logged_in(arena: Arena) -> None:
    """The key exchange is done; what comes then is everything but a login."""
    logging_in = st.builds(lambda kind, body: bytes([kind]) + body, st.integers(0, 255), st.binary(max_size=120))
    connected = len(arena.door.events.named("CONNECTED"))

    @sometimes
    @given(st.lists(logging_in, min_size=1, max_size=4), st.booleans())
    def barge_in(packets: list[bytes], asking: bool) -> None:
        client: Any = paramiko.Transport(("127.0.0.1", arena.door.port))
        try:
            client.start_client(timeout=20)
            if asking:
                packets = [b"\x05\0\0\0\x0cssh-userauth", *packets]
            with suppress(OSError, EOFError, paramiko.SSHException):
                for packet in packets:
                    message = paramiko.Message()
                    message.add_bytes(packet)
                    client._send_message(message)
        finally:
            client.close()
        arena.check()

    barge_in()
    arena.rest()
    assert len(arena.door.events.named("CONNECTED")) == connected
