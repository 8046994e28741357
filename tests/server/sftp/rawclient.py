"""A client that says exactly what a test tells it: packets of SFTP version 3, pipelined at will.

It speaks for programs that cannot run here (WinSCP) and for programs that nobody should run.
"""

import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import paramiko

INIT, VERSION, OPEN, CLOSE, READ, WRITE, LSTAT, FSTAT, SETSTAT, FSETSTAT, OPENDIR, READDIR = 1, 2, *range(3, 13)
REMOVE, MKDIR, RMDIR, REALPATH, STAT, RENAME, READLINK, SYMLINK = range(13, 21)
STATUS, HANDLE, DATA, NAME, ATTRS = range(101, 106)
EXTENDED = 200

OK, EOF, NO_SUCH_FILE, PERMISSION_DENIED, FAILURE, BAD_MESSAGE, OP_UNSUPPORTED = 0, 1, 2, 3, 4, 5, 8

F_READ, F_WRITE, F_APPEND, F_CREAT, F_TRUNC, F_EXCL = 1, 2, 4, 8, 16, 32
NEW = F_WRITE | F_CREAT | F_TRUNC
MOST = 256 * 1024  # of one WRITE


def text(value: str | bytes) -> bytes:
    raw = value.encode() if isinstance(value, str) else value
    return struct.pack(">I", len(raw)) + raw


def attributes(size: int | None = None, mtime: int | None = None) -> bytes:
    flags = (1 if size is not None else 0) | (8 if mtime is not None else 0)
    packed = struct.pack(">I", flags)
    if size is not None:
        packed += struct.pack(">Q", size)
    if mtime is not None:
        packed += struct.pack(">II", mtime, mtime)
    return packed


class Refused(Exception):  # noqa: N818  it is an answer
    """A status that is not OK."""

    def __init__(self, code: int, sentence: str) -> None:
        super().__init__(f"{code}: {sentence}")
        self.code = code
        self.sentence = sentence


class RawClient:
    """One SFTP channel of a paramiko connection."""

    def __init__(self, client: paramiko.SSHClient) -> None:
        self.client = client
        transport = client.get_transport()
        assert transport
        self.channel = transport.open_session()
        self.channel.settimeout(20)
        self.channel.invoke_subsystem("sftp")
        self._next = 0
        self._early: dict[int, tuple[int, bytes]] = {}
        self._send(INIT, struct.pack(">I", 3))
        kind, body = self.receive()
        assert kind == VERSION
        self.version = struct.unpack(">I", body[:4])[0]
        self.extensions = self._pairs(body[4:])

    # Pipelined: send now, ask for the answer later

    def send(self, kind: int, body: bytes) -> int:
        """Send a request; its id."""
        self._next += 1
        self._send(kind, struct.pack(">I", self._next) + body)
        return self._next

    def answer(self, request: int) -> tuple[int, bytes]:
        """The kind and body of the answer to a request."""
        while request not in self._early:
            kind, body = self.receive()
            self._early[struct.unpack(">I", body[:4])[0]] = kind, body[4:]
        return self._early.pop(request)

    def status(self, request: int) -> tuple[int, str]:
        """The code and sentence of a status answer."""
        kind, body = self.answer(request)
        assert kind == STATUS, kind
        code, length = struct.unpack(">II", body[:8])
        return code, body[8 : 8 + length].decode()

    def ok(self, request: int) -> None:
        code, sentence = self.status(request)
        if code != OK:
            raise Refused(code, sentence)

    # One at a time

    def open(self, path: str | bytes, flags: int = NEW, size: int | None = None) -> bytes:
        return self._handle(self.send(OPEN, text(path) + struct.pack(">I", flags) + attributes(size)))

    def opendir(self, path: str) -> bytes:
        return self._handle(self.send(OPENDIR, text(path)))

    def names(self, path: str) -> list[str]:
        handle, names = self.opendir(path), []
        while True:
            kind, body = self.answer(self.send(READDIR, text(handle)))
            if kind == STATUS:
                break
            names += self._names(body)
        self.close(handle)
        return names

    def write(self, handle: bytes, offset: int, data: bytes, rubbish: bytes = b"") -> None:
        self.ok(self.send_write(handle, offset, data, rubbish))

    def send_write(self, handle: bytes, offset: int, data: bytes, rubbish: bytes = b"") -> int:
        return self.send(WRITE, text(handle) + struct.pack(">Q", offset) + text(data) + rubbish)

    def read(self, handle: bytes, offset: int, size: int) -> bytes:
        kind, body = self.answer(self.send(READ, text(handle) + struct.pack(">QI", offset, size)))
        assert kind == DATA
        return body[4:]

    def close(self, handle: bytes) -> None:
        self.ok(self.send(CLOSE, text(handle)))

    def rename(self, old: str, new: str, posix: bool = False) -> None:
        if posix:
            self.ok(self.send(EXTENDED, text("posix-rename@openssh.com") + text(old) + text(new)))
        else:
            self.ok(self.send(RENAME, text(old) + text(new)))

    def remove(self, path: str | bytes) -> None:
        self.ok(self.send(REMOVE, text(path)))

    def mkdir(self, path: str) -> None:
        self.ok(self.send(MKDIR, text(path) + attributes()))

    def rmdir(self, path: str) -> None:
        self.ok(self.send(RMDIR, text(path)))

    def setstat(self, path: str, mtime: int | None = 1_700_000_000, size: int | None = None) -> None:
        self.ok(self.send(SETSTAT, text(path) + attributes(size, mtime)))

    def fsetstat(self, handle: bytes, size: int | None = None, mtime: int | None = None) -> None:
        self.ok(self.send(FSETSTAT, text(handle) + attributes(size, mtime)))

    def stat(self, path: str | bytes, kind: int = LSTAT) -> dict[str, int]:
        return self._attributes(self.answer(self.send(kind, text(path))))

    def fstat(self, handle: bytes) -> dict[str, int]:
        return self._attributes(self.answer(self.send(FSTAT, text(handle))))

    def realpath(self, path: str | bytes) -> str:
        _, body = self.answer(self.send(REALPATH, text(path)))
        (name,) = self._names(body)
        return name

    def put(self, path: str | bytes, data: bytes, flags: int = NEW, size: int | None = None) -> None:
        handle = self.open(path, flags, size)
        asked = [self.send_write(handle, at, data[at : at + MOST]) for at in range(0, len(data) or 1, MOST)]
        for request in asked:
            self.ok(request)
        self.close(handle)

    @contextmanager
    def deaf(self) -> Iterator[None]:
        """Take no answer meanwhile, then lose the connection; the thread that reads ends with it."""
        transport: Any = self.client.get_transport()
        over = threading.Event()

        def hear_nothing() -> None:
            over.wait()
            raise EOFError

        transport.packetizer.read_message = hear_nothing
        try:
            yield
        finally:
            over.set()
            self.hang_up()
            transport.join(10)

    def hang_up(self) -> None:
        """Lose the connection without closing anything."""
        transport = self.client.get_transport()
        assert transport
        transport.sock.close()
        self.client.close()

    def __enter__(self) -> "RawClient":
        return self

    def __exit__(self, *_: Any) -> None:
        self.client.close()

    def _handle(self, request: int) -> bytes:
        kind, body = self.answer(request)
        if kind == STATUS:
            code, length = struct.unpack(">II", body[:8])
            raise Refused(code, body[8 : 8 + length].decode())
        assert kind == HANDLE
        return body[4:]

    def _attributes(self, answer: tuple[int, bytes]) -> dict[str, int]:
        kind, body = answer
        if kind == STATUS:
            code, length = struct.unpack(">II", body[:8])
            raise Refused(code, body[8 : 8 + length].decode())
        flags, size, uid, gid, mode, atime, mtime = struct.unpack(">IQIIIII", body[:32])
        assert flags == 15
        return {"size": size, "uid": uid, "gid": gid, "mode": mode, "atime": atime, "mtime": mtime}

    def _names(self, body: bytes) -> list[str]:
        (count,), body, names = struct.unpack(">I", body[:4]), body[4:], []
        for _ in range(count):
            for field in range(2):
                (length,) = struct.unpack(">I", body[:4])
                if field == 0:
                    names.append(body[4 : 4 + length].decode())
                body = body[4 + length :]
            (flags,) = struct.unpack(">I", body[:4])
            body = body[4 + (8 if flags & 1 else 0) + (8 if flags & 2 else 0) + (4 if flags & 4 else 0) :]
            body = body[8 if flags & 8 else 0 :]
        return names

    def _pairs(self, body: bytes) -> dict[str, str]:
        fields = []
        while body:
            (length,) = struct.unpack(">I", body[:4])
            fields.append(body[4 : 4 + length].decode())
            body = body[4 + length :]
        return dict(zip(fields[::2], fields[1::2], strict=True))

    def _send(self, kind: int, body: bytes) -> None:
        self.channel.sendall(struct.pack(">IB", len(body) + 1, kind) + body)

    def receive(self) -> tuple[int, bytes]:
        """The next packet, whatever it answers: its kind and its body."""
        (length,) = struct.unpack(">I", self._exactly(4))
        packet = self._exactly(length)
        return packet[0], packet[1:]

    def _exactly(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            chunk = self.channel.recv(size - len(data))
            if not chunk:
                raise EOFError("the server ended the channel")
            data += chunk
        return data
