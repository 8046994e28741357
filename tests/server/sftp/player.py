"""Plays what `grammar` draws at a running door, and knows what the door may have taken in of it."""

import os
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import paramiko

from tests.server.sftp import rawclient as sftp
from tests.server.sftp.grammar import Step, encode, spoil

NOWHERE = b"\xde\xad\xbe\xef"
PATIENCE = 15.0
MOST_PIECES = 60
FAR = 10_000_000


@dataclass
class Sending:
    """A file as its client meant it: what it wrote through one handle, and whether it closed it."""

    declared: int | None
    content: bytearray = field(default_factory=bytearray)
    written: set[int] = field(default_factory=set)
    failed: bool = False
    closing: int | None = None
    closed: bool = False

    def write(self, offset: int, data: bytes) -> None:
        """Note what was sent; far offsets are not followed, since they leave a hole or are refused."""
        end = offset + len(data)
        if not data:
            return
        if end > FAR:
            self.failed = True
            return
        self.content.extend(bytes(max(0, end - len(self.content))))
        self.content[offset:end] = data
        self.written.update(range(offset, end))

    @property
    def whole(self) -> bool:
        """Whether it may be taken for a complete file, once it is closed."""
        size = len(self.content)
        return not self.failed and len(self.written) == size and (not self.declared or self.declared == size)


class BrokenError(AssertionError):
    """The door did what it must not."""


class Player:
    """One SFTP channel that says what it is told, in pieces of the sizes it is told, and watches every answer."""

    def __init__(
        self, channel: paramiko.Channel, place: bytes, pieces: Sequence[int], forbidden: Sequence[bytes]
    ) -> None:
        self.channel = channel
        self.sendings: dict[bytes, Sending] = {}
        self.exact = True
        self._place = place
        self._pieces = pieces
        self._forbidden = forbidden
        self._handles: list[bytes] = []
        self._asked: dict[int, tuple[Step, bytes]] = {}
        self._unanswered: set[int] = set()
        self._opening: set[int] = set()
        self._outgoing = bytearray()
        self._incoming = bytearray()
        self._next = 0
        channel.settimeout(PATIENCE)
        channel.invoke_subsystem("sftp")
        self._outgoing += struct.pack(">IBI", 5, sftp.INIT, 3)
        self._flush()
        self._take_packet()

    def play(self, steps: Sequence[Step]) -> None:
        """Say all of it. Answers are waited for only where a handle is needed."""
        for step in steps:
            self._say(step)
        self._flush()

    def finish(self) -> None:
        """End as a client should. Every request must have been answered once, and the channel must end."""
        probe = self._say(Step(sftp.REALPATH, path=b"/"))
        self._flush()
        self.channel.shutdown_write()
        for _ in self._answers():
            pass
        if self._unanswered:
            died = "; the session died" if probe in self._unanswered else ""
            raise BrokenError(f"unanswered: {[self._asked[request][0] for request in self._unanswered]}{died}")

    def scream(self, noise: bytes) -> None:
        """Say bytes that are no packets. The channel must end after it, with or without answers."""
        self._outgoing += noise
        self._flush()
        self.channel.shutdown_write()
        while received := self.channel.recv(65536):
            self._check(received)

    def _say(self, step: Step) -> int:
        handle = self._handle(step)
        self._next += 1
        body = bytes([step.kind]) + struct.pack(">I", self._next) + encode(step, handle, self._place)
        packet = struct.pack(">I", len(body)) + body
        self._outgoing += spoil(packet, step.spoil, step.argument) if step.spoil else packet
        self._asked[self._next] = step, handle
        self._unanswered.add(self._next)
        if step.spoil in ("type", "byte") or (step.spoil and step.kind == sftp.CLOSE):
            self.exact = False  # it may have become another request, or count for one or not
        elif not step.spoil or step.spoil == "rubbish":
            self._mean(self._next, step, handle)
        return self._next

    def _mean(self, request: int, step: Step, handle: bytes) -> None:
        if step.kind in (sftp.OPEN, sftp.OPENDIR):
            self._opening.add(request)
        writes = step.flags & (sftp.F_WRITE | sftp.F_APPEND)
        fresh = step.flags & sftp.F_TRUNC and step.flags & sftp.F_CREAT and not step.flags & sftp.F_APPEND
        resized = step.kind in (sftp.SETSTAT, sftp.FSETSTAT, sftp.EXTENDED) and step.declared is not None
        if (step.kind == sftp.OPEN and writes and not fresh) or resized:
            self.exact = False  # what is in the file then is more than what this handle wrote
        sending = self.sendings.get(handle)
        if sending and sending.closing is None:
            if step.kind == sftp.WRITE:
                sending.write(step.offset, step.data)
            elif step.kind == sftp.CLOSE:
                sending.closing = request

    def _handle(self, step: Step) -> bytes:
        needed = (sftp.WRITE, sftp.READ, sftp.CLOSE, sftp.FSTAT, sftp.FSETSTAT, sftp.READDIR)
        if step.kind in needed and self._opening:
            self._flush()
            for request in self._answers():
                if not self._opening:
                    break
                del request
        known = self._handles[-1 - step.handle :] if 0 <= step.handle < len(self._handles) else []
        return known[0] if known else NOWHERE

    def _answers(self) -> Iterator[int]:
        """Take answers, each the id of its request, until the channel ends."""
        while packet := self._take_packet():
            yield self._answered(packet)

    def _answered(self, packet: bytes) -> int:
        self._check(packet)
        kind, request = packet[0], int.from_bytes(packet[1:5], "big")
        if request not in self._unanswered:
            raise BrokenError(f"an answer nobody asked for, or a second one: {packet[:40]!r}")
        self._unanswered.discard(request)
        step, handle = self._asked[request]
        code = int.from_bytes(packet[5:9], "big") if kind == sftp.STATUS else 0
        if request in self._opening:
            self._opening.discard(request)
            if kind == sftp.HANDLE:
                self._handles.append(packet[9:])
                if step.kind == sftp.OPEN and step.flags & (sftp.F_WRITE | sftp.F_APPEND):
                    declared = step.declared if step.flags & sftp.F_TRUNC else None
                    self.sendings[packet[9:]] = Sending(declared)
        elif sending := self.sendings.get(handle):
            if step.kind == sftp.WRITE and code and (sending.closing is None or request < sending.closing):
                sending.failed = True
            if request == sending.closing:
                sending.closed = code == 0
        return request

    def _check(self, received: bytes) -> None:
        for word in (*self._forbidden, b"Uncaught exception", b"Traceback", b"Errno"):
            if word in received:
                raise BrokenError(f"the answer says {word!r}: {received[:300]!r}")

    def _flush(self) -> None:
        """Send in the pieces that were drawn."""
        outgoing, self._outgoing = bytes(self._outgoing), bytearray()
        at = turn = 0
        try:
            while at < len(outgoing):
                size = self._pieces[turn % len(self._pieces)] if turn < MOST_PIECES else len(outgoing)
                self.channel.sendall(outgoing[at : at + size])
                at, turn = at + size, turn + 1
        except OSError:
            pass  # the server has ended the channel; what that means, the answers tell

    def _take_packet(self) -> bytes:
        """One packet without its length; empty at the end."""
        while len(self._incoming) < 4 or len(self._incoming) < 4 + int.from_bytes(self._incoming[:4], "big"):
            received = self.channel.recv(65536)
            if not received:
                return b""
            self._incoming += received
        end = 4 + int.from_bytes(self._incoming[:4], "big")
        packet = bytes(self._incoming[4:end])
        del self._incoming[:end]
        return packet


def snapshot(folder: str, without: Sequence[str]) -> dict[str, tuple[Any, ...]]:
    """Every name below a folder with its kind, size, links and times, but for some subtrees."""
    seen = {}
    for directory, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if os.path.join(directory, name) not in without]
        for name in (*folders, *files):
            status = os.lstat(os.path.join(directory, name))
            seen[os.path.join(directory, name)] = (
                status.st_mode,
                status.st_size,
                status.st_nlink,
                status.st_mtime_ns if not os.path.isdir(os.path.join(directory, name)) else 0,
                status.st_uid,
            )
    return seen
