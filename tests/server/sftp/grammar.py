"""What a hostile or broken SFTP client may say: requests that are right, nearly right and wrong, for Hypothesis.

A request is drawn as a `Step`: what a client that knows the protocol would send, and how it is spoiled. Handles are not
known while steps are drawn, so a step names one by its number, and the player puts in what the server gave.
"""

import struct
from dataclasses import dataclass

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from tests.server.sftp import rawclient as sftp
from tests.server.sftp.rawclient import attributes, text

NAMES = (b"a.csv", b"b.csv", b"c.csv", b"d/a.csv", b"a.csv.filepart", b".hidden", b"d")
EVIL = (
    b"",
    b"/",
    b"/upload",
    b"/download/x.csv",
    b"/upload/a\0b.csv",
    b"/upload/\xff\xfe",
    b"/upload/" + b"a/" * 2500,
    b"/upload/" + b"n" * 5000,
    b"/upload/../.././../upload/./a.csv",
    b"/upload/new\nline.csv",
)
ESCAPES = (
    b"//etc/passwd",
    b"/proc/self/environ",
    b"../../prey/upload/secret.csv",
    b"/upload/../../prey/upload/secret.csv",
    b"/upload/link/secret.csv",
    b"/upload/link/new.csv",
    b"/upload/link",
)
OFFSETS = (0, 0, 0, 1, 5, 100, 2**31, 2**32, 2**62, 2**63 - 1, 2**63, 2**64 - 1)
SIZES = (0, 1, 5, 32768, 2**31, 2**32 - 1)
EXTENSIONS = (
    b"posix-rename@openssh.com",
    b"statvfs@openssh.com",
    b"lsetstat@openssh.com",
    b"limits@openssh.com",
    b"expand-path@openssh.com",
    b"home-directory",
    b"users-groups-by-id@openssh.com",
    b"check-file-name",
    b"hardlink@openssh.com",
    b"copy-data",
    b"newline",
    b"\xff\0",
)


@dataclass(frozen=True)
class Step:
    """One request. `handle` is the number of a handle that was opened before, or -1 for bytes that are none.

    `spoil` says how its packet is damaged before it is sent; `argument` is what the damage needs.
    """

    kind: int
    path: bytes = b""
    other: bytes = b""
    flags: int = 0
    handle: int = 0
    offset: int = 0
    size: int = 0
    data: bytes = b""
    declared: int | None = None
    spoil: str = ""
    argument: int = 0


def encode(step: Step, handle: bytes, place: bytes) -> bytes:
    """The body of a request, without its id. `place` is the directory that plain names are put in."""
    path, other = (_full(name, place) for name in (step.path, step.other))
    match step.kind:
        case sftp.OPEN:
            return text(path) + struct.pack(">I", step.flags) + attributes(step.declared)
        case sftp.WRITE:
            return text(handle) + struct.pack(">Q", step.offset) + text(step.data)
        case sftp.READ:
            return text(handle) + struct.pack(">QI", step.offset, step.size)
        case sftp.CLOSE | sftp.FSTAT | sftp.READDIR:
            return text(handle)
        case sftp.FSETSTAT:
            return text(handle) + attributes(step.declared, mtime=step.size)
        case sftp.SETSTAT:
            return text(path) + attributes(step.declared, mtime=step.size)
        case sftp.MKDIR:
            return text(path) + attributes()
        case sftp.RENAME | sftp.SYMLINK:
            return text(path) + text(other)
        case sftp.EXTENDED:
            return text(EXTENSIONS[step.argument % len(EXTENSIONS)]) + text(path) + text(other)
        case _:
            return text(path)


def _full(name: bytes, place: bytes) -> bytes:
    return place + b"/" + name if name in NAMES else name


def spoil(packet: bytes, how: str, argument: int) -> bytes:
    """Damage a packet (its length, type, id and body). Its framing stays right but for "length"."""
    body = packet[4:]
    match how:
        case "cut":
            body = body[: max(5, len(body) - 1 - argument % 16)]
        case "rubbish":
            body += b"\xa5" * (1 + argument % 40)
        case "type":
            body = bytes([argument % 256]) + body[1:]
        case "inner length":
            body = body[:5] + struct.pack(">I", 2**32 - 1 - argument % 2 * 2**31) + body[9:]
        case "byte":
            at = 5 + argument % max(1, len(body) - 5)
            body = body[:at] + bytes([argument >> 8 & 255]) + body[at + 1 :]
        case "length":
            return struct.pack(">I", argument % 2**32) + body
    return struct.pack(">I", len(body)) + body


names = st.sampled_from(NAMES)
paths = st.one_of(names, names, st.sampled_from(ESCAPES), st.sampled_from(EVIL), st.binary(max_size=40))
flags = st.one_of(
    st.just(sftp.NEW), st.just(sftp.NEW), st.just(sftp.F_READ), st.integers(0, 63), st.integers(0, 2**32 - 1)
)
handles = st.one_of(st.integers(0, 3), st.integers(0, 3), st.just(-1))
offsets = st.one_of(st.integers(0, 20), st.sampled_from(OFFSETS), st.integers(0, 2**64 - 1))
numbers = st.one_of(st.sampled_from(SIZES), st.integers(0, 2**32 - 1))
declared = st.one_of(st.none(), st.none(), st.sampled_from((0, 5, 10, 2**63, 2**64 - 1)))
content = st.one_of(st.just(b"12345"), st.binary(max_size=64), st.integers(0, 70_000).map(lambda size: b"z" * size))
damage = st.sampled_from(("", "", "", "", "", "", "cut", "rubbish", "type", "inner length", "byte"))
KINDS = (
    *(sftp.OPEN, sftp.OPEN, sftp.WRITE, sftp.WRITE, sftp.CLOSE, sftp.READ, sftp.LSTAT, sftp.FSTAT, sftp.SETSTAT),
    *(sftp.FSETSTAT, sftp.OPENDIR, sftp.READDIR, sftp.REMOVE, sftp.MKDIR, sftp.RMDIR, sftp.REALPATH, sftp.STAT),
    *(sftp.RENAME, sftp.READLINK, sftp.SYMLINK, sftp.EXTENDED),
)


def steps(damaged: bool = True) -> SearchStrategy[Step]:
    """Any request; `damaged` ones among them or not."""
    return st.builds(
        Step,
        kind=st.sampled_from(KINDS),
        path=paths,
        other=paths,
        flags=flags,
        handle=handles,
        offset=offsets,
        size=numbers,
        data=content,
        declared=declared,
        spoil=damage if damaged else st.just(""),
        argument=st.integers(0, 2**16),
    )


@st.composite
def sendings(draw: st.DrawFn) -> list[Step]:
    """A file as it should be sent, in one or more pieces, perhaps with something strange in between."""
    name, pieces = draw(names), draw(st.lists(st.binary(max_size=300), max_size=4))
    size = draw(st.sampled_from((None, sum(map(len, pieces)), 7)))
    sent = [Step(sftp.OPEN, path=name, flags=sftp.NEW, declared=size)]
    at = 0
    for piece in pieces:
        sent.append(Step(sftp.WRITE, handle=0, offset=at, data=piece))
        at += len(piece)
    if draw(st.booleans()):
        sent.insert(draw(st.integers(1, len(sent))), draw(steps()))
    if draw(st.integers(0, 3)):
        sent.append(Step(sftp.CLOSE, handle=0))
    return sent


def conversations() -> SearchStrategy[list[Step]]:
    """A whole session."""
    parts = st.one_of(sendings(), steps().map(lambda step: [step]))
    return st.lists(parts, max_size=8).map(lambda many: [step for part in many for step in part])
