"""Feeds one session's SFTP bytes to the handler, guided by coverage: `make fuzz`, for `FUZZ_SECONDS`.

There is no SSH around it, so it tries hundreds of sessions a second, each with asyncssh's own handler and, in pieces of
one size, with that of the hot path. What must hold: nothing is raised that is not the end of a session, no answer is
owed or given twice, nothing outside the home is read or changed, and nobody looks at a piece after its batch. A find is
kept as `crash-...`; `make fuzz FUZZ_FLAGS=that-file` shows it again.
"""

import asyncio
import os
import struct
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

import atheris
import structlog

with atheris.instrument_imports(include=["server.sftp", "asyncssh.sftp", "asyncssh.packet"]):
    from asyncssh.logging import logger

    from server.intake.entry import Entry
    from server.intake.journal import Journal
    from server.intake.spool import Manifest, Spool
    from server.settings import Settings
    from server.sftp.desk import Desk
    from server.sftp.files import Files
    from server.sftp.handler import Handler
    from server.sftp.hotpath.buffers import Buffers
    from server.sftp.hotpath.handler import HotHandler
    from server.sftp.jail import Jail
    from server.sftp.reception import Reception, Sender
    from server.sftp.threads import Threads

from tests.server.sftp import rawclient as sftp
from tests.server.sftp.grammar import EXTENSIONS, KINDS, Step, encode

SECRET = b"the-canary-sings"
INIT = struct.pack(">IBI", 5, 1, 3)


class Reader:
    """What was sent, and then the end."""

    logger = logger

    def __init__(self, data: bytes) -> None:
        self._data = data

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Nothing is known of the client."""
        return default

    async def readexactly(self, size: int) -> bytes:
        """The next bytes, or the end."""
        taken, self._data = self._data[:size], self._data[size:]
        if len(taken) < size:
            raise asyncio.IncompleteReadError(taken, size)
        return taken


class Channel:
    """A channel that stays open, and its own connection without a transport."""

    logger = logger

    def is_closing(self) -> bool:
        """Never: what is written shall be seen."""
        return False

    def get_connection(self) -> "Channel":
        """Itself."""
        return self

    def exit(self, status: int) -> None:
        """The session says that it is over."""


class Writer:
    """Keeps the answers."""

    def __init__(self) -> None:
        self.channel: Channel = Channel()
        self.said = bytearray()

    def write(self, data: bytes) -> None:
        """An answer."""
        self.said += data

    async def drain(self) -> None:
        """It is never full."""

    def close(self) -> None:
        """The end."""

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Nothing is known."""
        return default


class HotWire:
    """A connection that is never jammed, and gives what is read into one buffer that it uses again."""

    choked = resting = is_rekeying = False
    collected = 0

    def __init__(self) -> None:
        self.buffers = Buffers()
        self.finishing: list[HotHandler] = []
        self._within = False

    def begin_batch(self) -> bool:
        """As `HotConnection`."""
        outermost, self._within = not self._within, True
        return outermost

    def end_batch(self) -> None:
        """As `HotConnection`."""
        while self.finishing:
            self.finishing.pop().end_batch()
        self._within = False

    def may_seal(self) -> bool:
        """There is nothing to seal with."""
        return False

    def has_had_its_turn(self) -> bool:
        """Nobody else waits."""
        return False

    def flush(self) -> None:
        """Nothing was collected."""


class HotChannel(Channel):
    """Gives its data to whoever attaches itself."""

    unsent, room, packet_size = 0, 2**31, 0  # so that answers are written here

    def __init__(self, writer: "Writer") -> None:
        self.sink: HotHandler | None = None
        self._writer = writer

    def attach(self, sink: HotHandler) -> bytes:
        """Nothing came early."""
        self.sink = sink
        return b""

    def open_window(self) -> None:
        """It is always open."""

    def write(self, data: bytes) -> None:
        """An answer."""
        self._writer.write(data)


class Nobody:
    """Asks nobody and tells nobody."""

    def __getattr__(self, name: str) -> Any:
        return lambda *_: None

    def received(self, manifest: Manifest) -> None:
        """A file came."""

    def torn(self, entry: Entry) -> None:
        """A file came half."""


class Target:
    """One home, and the neighbour's beside it, for all sessions."""

    def __init__(self, data: Path) -> None:
        self._settings = Settings(data=data, settle=0, durability="flush", log_level="error")
        self._home = self._settings.home("court")
        self._canary = self._settings.home("prey") / "upload" / "secret.csv"
        self._canary.parent.mkdir(parents=True)
        self._canary.write_bytes(SECRET)
        (self._home / "upload").mkdir(parents=True)
        (self._home / "upload" / "link").symlink_to(self._canary.parent)
        self._loop = asyncio.new_event_loop()
        spool = Spool(self._settings.spool, durable=False)
        journal = Journal(self._settings.spool / "receiving", durable=False)
        log = structlog.wrap_logger(structlog.ReturnLogger())
        reception = Reception(journal, spool, 0, 0)
        nobody: Any = Nobody()
        threads = Threads(2)
        self._desk = Desk(self._settings, nobody, reception, nobody, threads, guard=nobody, slots=nobody, log=log)
        self._log = log

    def hear(self, data: bytes) -> None:
        """One session that says this: bytes as they are, or (after an odd one) packets that are put into frames."""
        said = frame(data[1:]) if data[:1] and data[0] & 1 else data[1:]
        self._loop.run_until_complete(self._serve(said))
        self._loop.run_until_complete(self._serve_hot(said, 1 + (data[:1] or b"\0")[0] // 2))

    async def _serve(self, data: bytes) -> None:
        writer = Writer()
        reader: Any = Reader(INIT + data)
        out: Any = writer
        handler = Handler(self._files(writer.channel), reader, out, lambda: None)
        with suppress(EOFError, asyncio.IncompleteReadError):
            await handler.run()
        self._judge(data, bytes(writer.said))

    async def _serve_hot(self, data: bytes, size: int) -> None:
        writer = Writer()
        writer.channel = channel = HotChannel(writer)
        reader: Any = Reader(INIT)
        out: Any = writer
        wire: Any = HotWire()
        handler = HotHandler(self._files(channel), reader, out, lambda: None, wire, lambda: b"")
        running = asyncio.ensure_future(handler.run())
        while channel.sink is None and not running.done():
            await asyncio.sleep(0)
        for at in range(0, len(data), size):
            piece = bytearray(data[at : at + size])
            wire.begin_batch()
            if channel.sink:
                channel.sink.feed(memoryview(piece))
            wire.end_batch()
            piece[:] = b"\xee" * len(piece)
            if at // size % 3 == 0:
                await asyncio.sleep(0)
        handler.no_more_input()
        await running
        self._judge(data, bytes(writer.said), in_order=False)

    def _files(self, channel: Channel) -> Files:
        told: Any = channel
        return Files(told, self._desk, Jail(self._home), Sender("court", "fuzz", "fuzz"), self._log)

    def _judge(self, data: bytes, said: bytes, in_order: bool = True) -> None:
        asked, answered = _ids(data), _ids(said)[1:]  # the first answer is the version
        if not in_order:  # what can be told at once need not wait for the disk; the ids say which answer it is
            asked, answered = sorted(asked), sorted(answered)
        assert len(answered) <= len(asked), "an answer that nobody asked for"
        assert answered == asked[: len(answered)], "answers out of order"
        assert len(answered) == len(asked), "an answer is owed"
        assert SECRET not in said
        assert b"Uncaught" not in said
        assert self._canary.read_bytes() == SECRET
        assert os.listdir(self._canary.parent) == ["secret.csv"]


def frame(chunks: bytes) -> bytes:
    """Packets with right lengths and ids of their own; a chunk is two bytes of length, one of type, and a body."""
    stream, number = b"", 0
    while len(chunks) > 2:
        size, number = int.from_bytes(chunks[:2], "big"), number + 1
        packet = chunks[2:3] + struct.pack(">I", number) + chunks[3 : 2 + size]
        stream += struct.pack(">I", len(packet)) + packet
        chunks = chunks[2 + max(size, 1) :]
    return stream


def write_seeds(folder: Path) -> None:
    """What a decent client says: one session of every request, and a file as it is sent, read and renamed."""
    first = bytes(4)
    sent = [
        Step(sftp.OPEN, path=b"a.csv", flags=sftp.NEW, declared=5),
        Step(sftp.WRITE, data=b"12345"),
        Step(sftp.READ, size=5),
        Step(sftp.FSETSTAT, declared=3),
        Step(sftp.CLOSE),
        Step(sftp.RENAME, path=b"a.csv", other=b"b.csv"),
    ]
    every = [[Step(kind, path=b"/upload/link/secret.csv", other=b"b.csv", argument=1)] for kind in KINDS]
    extended = [[Step(sftp.EXTENDED, path=b"b.csv", other=b"c.csv", argument=n)] for n in range(len(EXTENSIONS))]
    for number, steps in enumerate([sent, *every, *extended]):
        chunks = (bytes([step.kind]) + encode(step, first, b"/upload") for step in steps)
        framed = b"".join(struct.pack(">H", len(chunk)) + chunk for chunk in chunks)
        (folder / str(number)).write_bytes(b"\1" + framed)


def _ids(stream: bytes) -> "list[bytes]":
    """The ids of the whole packets of a stream, until the first that ends the session."""
    ids = []
    while len(stream) >= 4:
        length = int.from_bytes(stream[:4], "big")
        if not 5 <= length <= len(stream) - 4:
            break
        ids.append(stream[5:9])
        stream = stream[4 + length :]
    return ids


def _inputs() -> list[str]:
    """Files to try once, instead of fuzzing."""
    return [word for word in sys.argv[1:] if not word.startswith("-")]


def main() -> None:
    """Fuzz until libFuzzer's limits."""
    with tempfile.TemporaryDirectory() as folder:
        target, seeds = Target(Path(folder) / "data"), Path(folder) / "seeds"
        seeds.mkdir()
        write_seeds(seeds)
        atheris.Setup([*sys.argv, str(seeds)] if not _inputs() else sys.argv, target.hear)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
