"""The hot path and asyncssh's own do the same: the same conversation, the same answers, the same files and verdicts."""

import struct
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import paramiko
import pytest
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st

from tests.server.sftp.conftest import RunningDoor, wait_until
from tests.server.sftp.grammar import Step, conversations
from tests.server.sftp.player import Player
from tests.server.sftp.rawclient import ATTRS, CLOSE, EXTENDED, F_READ, NAME, NEW, OPEN, READ, WRITE

EXTENDED_REPLY = 201
LOOKED_AT = 300_000

pieces = st.lists(st.sampled_from((1, 2, 3, 5, 9, 64, 1000, 32768, 300_000)), min_size=1, max_size=6)
widths = st.sampled_from((1, 700, 32768, 262_144))


class Witness(Player):
    """Keeps every answer; of what names a time only the kind and length."""

    def __init__(self, *arguments: Any) -> None:
        self.answers: dict[int, bytes] = {}
        super().__init__(*arguments)

    def _answered(self, packet: bytes) -> int:
        kind, request = packet[0], int.from_bytes(packet[1:5], "big")
        timeless = kind in (ATTRS, NAME, EXTENDED_REPLY)
        self.answers[request] = struct.pack(">BI", kind, len(packet)) if timeless else packet
        return super()._answered(packet)


class Side:
    """One door on one path."""

    def __init__(self, folder: Path, keys: Path, hot_path: bool) -> None:
        self.door = RunningDoor(folder, keys, settle=60, hot_path=hot_path)
        self.door.admit("court", (keys / "id.fingerprint").read_text())
        self.door.start()
        self._client = self.door.paramiko()
        self._number = 0

    def play(self, steps: Sequence[Step], sizes: Sequence[int]) -> tuple[Any, ...]:
        """All that can be seen of a conversation: answers, whether all were given, files, and what was judged."""
        self._number += 1
        place = f"/upload/{self._number}"
        (self.door.home() / place[1:] / "d").mkdir(parents=True)
        began = len(self.door.events.lines)
        witness = Witness(self._channel(), place.encode(), sizes, ())
        try:
            witness.play(steps)
            witness.finish()
        finally:
            witness.channel.close()
        wait_until(lambda: not any(one.tasks for one in self.door._door._connections), "the session to end")
        return witness.answers, self._files(place), self._verdicts(began)

    def _channel(self) -> paramiko.Channel:
        under = self._client.get_transport()
        assert under
        return under.open_session()

    def _files(self, place: str) -> dict[str, tuple[int, bytes]]:
        top = self.door.home() / place[1:]
        found = {}
        for path in top.rglob("*"):
            if path.is_file():
                with path.open("rb") as file:
                    found[str(path.relative_to(top))] = path.stat().st_size, file.read(LOOKED_AT)
        return found

    def _verdicts(self, began: int) -> list[Any]:
        known = ("event", "path", "verdict", "reason", "bytes_in", "bytes_out", "new_path", "withdrawn")
        events = self.door.events.lines[began:]
        return sorted(str([line.get(key) for key in known]) for line in events)

    def stop(self) -> None:
        self._client.close()
        self.door.drain()


@pytest.fixture(scope="module")
def sides(tmp_path_factory: pytest.TempPathFactory, keys: Path) -> Iterator[tuple[Side, Side]]:
    """The hot one and asyncssh's own."""
    both = [Side(tmp_path_factory.mktemp("side"), keys, hot) for hot in (True, False)]
    yield both[0], both[1]
    for side in both:
        side.stop()


often = settings(
    deadline=None,
    max_examples=60,
    suppress_health_check=list(HealthCheck),
    phases=(Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink),
)


def test_any_conversation(sides: tuple[Side, Side]) -> None:
    @often
    @given(conversations(), pieces)
    @example([Step(READ, size=5, spoil="byte", argument=540)], [1])  # the length of its handle becomes another
    def talk(steps: list[Step], sizes: list[int]) -> None:
        # what a disk has free, and how long ago something was, differ
        steps = [step for step in steps if step.kind != EXTENDED]
        hot, stock = (side.play(steps, sizes) for side in sides)
        assert hot == stock

    talk()


@st.composite
def _transfers(draw: st.DrawFn) -> list[Step]:
    """Files written and read back in any order, several at a time, in any widths, some of it over what is there."""
    steps = [Step(OPEN, path=name, flags=NEW | F_READ) for name in (b"a.csv", b"b.csv")]
    for _ in range(draw(st.integers(1, 12))):
        handle, offset, width = draw(st.integers(0, 1)), draw(st.integers(0, 40)) * 700, draw(widths)
        if draw(st.booleans()):
            byte = draw(st.integers(0, 255))
            steps += [
                Step(WRITE, handle=handle, offset=offset + at * width, data=bytes([byte + at & 255]) * width)
                for at in range(draw(st.integers(1, 4)))
            ]
        else:
            steps += [
                Step(READ, handle=handle, offset=offset + at * width, size=width)
                for at in range(draw(st.integers(1, 4)))
            ]
    return [*steps, Step(CLOSE, handle=0), Step(READ, handle=0, size=5)]


def test_any_transfer(sides: tuple[Side, Side]) -> None:
    @settings(often, max_examples=30)
    @given(_transfers(), pieces)
    def transfer(steps: list[Step], sizes: list[int]) -> None:
        hot, stock = (side.play(steps, sizes) for side in sides)
        assert hot == stock

    transfer()
