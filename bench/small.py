"""A thousand files of 10 KiB: one session with `put *`, and eight sessions at once that share them.

dropslot runs twice, with `durability` flush and fsync. sshd never syncs, so flush is what compares; fsync is what
dropslot does unless it is told otherwise, and beside it stands sshd with the client's `put -f`.
"""

import os
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from bench import processes
from bench.clients import sftp, sftp_at_once
from bench.figures import Figure, Target, compare
from bench.peers import Server, dropslot, sshd

BYTES = 10 * 1024
SESSIONS = 8
ALONE, TOGETHER = Target(least=0.9), Target(least=1.2)
SYNCED = "sshd, put -f"
EVERY_SAMPLED = 25
SETTLED = 60


@dataclass(frozen=True)
class Heap:
    """Small files on this machine, in as many directories as there are sessions; every name is different."""

    folder: Path
    parts: tuple[Path, ...]
    files: tuple[Path, ...]


@dataclass(frozen=True)
class Sending:
    """All the files once: seconds of the clients, CPU seconds of the server until then, and of its door alone."""

    seconds: float
    cpu: float
    door: float


def measure(folder: Path, rounds: int, quick: bool) -> list[Figure]:
    """The figures of small files. Raises UnavailableError when one of the servers cannot run here."""
    heap = _pile_up(folder / "source", 160 if quick else 1000)
    with ExitStack() as stack:
        peer = stack.enter_context(sshd(folder / "sshd"))
        durabilities = {"dropslot, flush": "flush", "dropslot, fsync": "fsync"}
        ours = [
            stack.enter_context(dropslot(folder / value, settings={"DROPSLOT_DURABILITY": value}, name=name))
            for name, value in durabilities.items()
        ]
        return [*_figures(peer, ours, heap, rounds, 1, ALONE), *_figures(peer, ours, heap, rounds, SESSIONS, TOGETHER)]


def _figures(
    peer: Server, ours: Sequence[Server], heap: Heap, rounds: int, sessions: int, target: Target
) -> Iterator[Figure]:
    sent: defaultdict[str, list[Sending]] = defaultdict(list)
    for number in range(rounds):
        name = f"sessions-{sessions}-{number}"
        for server in (peer, *ours):
            sent[server.name].append(_send(server, heap, sessions, name))
        sent[SYNCED].append(_send(peer, heap, sessions, f"{name}-synced", "put -f"))
    flush, fsync = (sent[server.name] for server in ours)
    what = f"{len(heap.files)} files of 10 KiB, {sessions} session{'s' if sessions > 1 else ''}, durability"
    yield _figure(f"{what} flush", heap, flush, peer.name, sent[peer.name], target)
    yield _figure(f"{what} fsync", heap, fsync, peer.name, sent[peer.name])
    yield _figure(f"{what} fsync", heap, fsync, SYNCED, sent[SYNCED])


def _figure(
    what: str, heap: Heap, ours: list[Sending], peer: str, theirs: list[Sending], target: Target | None = None
) -> Figure:
    mine, other = ([len(heap.files) / sending.seconds for sending in side] for side in (ours, theirs))
    spent, others = (median(sending.cpu for sending in side) * 1000 / len(heap.files) for side in (ours, theirs))
    door = median(sending.door for sending in ours) * 1000 / len(heap.files)
    beside = f"CPU {spent:.2f} ms/file (the door alone {door:.2f}) against {others:.2f}"
    return compare("small", what, "files/s", mine, peer, other, target, beside)


def _send(server: Server, heap: Heap, sessions: int, name: str, put: str = "put") -> Sending:
    """Send all files into a new directory, which is checked. It stays: what is deleted makes the next new file dearer.

    ext4 without a journal looks, for each new inode, at all that were deleted in the last minutes: whoever's turn comes
    next would pay for it.
    """
    sftp(server, f"mkdir /upload/{name}\n")
    into = f"cd /upload/{name}\n{put}"
    patterns = [f"{part}/*" for part in heap.parts] if sessions > 1 else [f"{heap.folder}/*/*"]
    processes.settle(server.pid, len(processes.tree(server.pid)), quiet=1, limit=SETTLED)
    os.sync()
    before, at_door = processes.cpu_seconds(server.pid), processes.cpu_seconds(server.pid, server.door)
    seconds = sftp_at_once(server, [f"{into} {pattern}\n" for pattern in patterns])
    cpu, door = processes.cpu_seconds(server.pid) - before, processes.cpu_seconds(server.pid, server.door) - at_door
    _check(server, heap, server.upload / name)
    return Sending(seconds, cpu, door)


def _check(server: Server, heap: Heap, directory: Path) -> None:
    """Count the files, look at all sizes, and compare some byte for byte."""
    if {entry.name for entry in directory.iterdir()} != {file.name for file in heap.files}:
        raise RuntimeError(f"{server.name}: not the files that were sent are in {directory}")
    if any((directory / file.name).stat().st_size != BYTES for file in heap.files):
        raise RuntimeError(f"{server.name}: a file in {directory} has the wrong size")
    if any((directory / file.name).read_bytes() != file.read_bytes() for file in heap.files[::EVERY_SAMPLED]):
        raise RuntimeError(f"{server.name}: a file in {directory} has the wrong content")


def _pile_up(folder: Path, number: int) -> Heap:
    parts = tuple(folder / f"part-{index}" for index in range(SESSIONS))
    for part in parts:
        part.mkdir(parents=True)
    files = tuple(parts[index % SESSIONS] / f"small-{index:04}.bin" for index in range(number))
    for file in files:
        file.write_bytes(os.urandom(BYTES))
    return Heap(folder, parts, files)
