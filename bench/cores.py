"""Eight sessions that upload at the same time: dropslot with two processes at its door, with one, and sshd.

The clients run on the same cores as the servers, so that a second process cannot double anything here.
"""

import os
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from bench import processes
from bench.clients import sftp_at_once
from bench.figures import Figure, Target, compare
from bench.peers import Server, dropslot, sshd
from bench.turns import MIB, in_turn, write_random

SESSIONS = 8
GCM = ("-c", "aes128-gcm@openssh.com")
TWO, ONE = "dropslot", "one process"
TARGET = Target(least=1.15)
SETTLED = 60


@dataclass(frozen=True)
class Sending:
    """All sessions once: seconds until the last has ended, CPU seconds of the server until then."""

    seconds: float
    cpu: float


def measure(folder: Path, rounds: int, quick: bool) -> list[Figure]:
    """The figures of several processes. Raises UnavailableError when one of the servers cannot run here."""
    size = (8 if quick else 64) * MIB
    source = write_random(folder / "source.bin", size)
    with ExitStack() as stack:
        servers = [stack.enter_context(sshd(folder / "sshd"))]
        for name, number in ((ONE, 1), (TWO, 2)):
            settings = {"DROPSLOT_SFTP_PROCESSES": str(number)}
            servers.append(stack.enter_context(dropslot(folder / f"with-{number}", settings=settings, name=name)))
        sent = in_turn(rounds, servers, lambda server: _send(server, source))
    return [_figure(size, sent[TWO], ONE, sent[ONE], TARGET), _figure(size, sent[TWO], "sshd", sent["sshd"])]


def _send(server: Server, source: Path) -> Sending:
    names = [f"session-{number}.bin" for number in range(SESSIONS)]
    processes.settle(server.pid, len(processes.tree(server.pid)), quiet=1, limit=SETTLED)
    os.sync()
    before = processes.cpu_seconds(server.pid)
    seconds = sftp_at_once(server, [f"put {source} /upload/{name}\n" for name in names], *GCM)
    cpu = processes.cpu_seconds(server.pid) - before
    content = source.read_bytes()
    for name in names:
        if server.upload.joinpath(name).read_bytes() != content:
            raise RuntimeError(f"{server.name}: {name} is not what was sent")
        server.upload.joinpath(name).unlink()
    return Sending(seconds, cpu)


def _figure(size: int, two: list[Sending], peer: str, other: list[Sending], target: Target | None = None) -> Figure:
    total = SESSIONS * size / MIB
    mine, theirs = ([total / sending.seconds for sending in side] for side in (two, other))
    spent, others = (median(sending.cpu for sending in side) * 1024 / total for side in (two, other))
    what = f"{SESSIONS} uploads of {size // MIB} MiB at once, two processes"
    beside = f"CPU {spent:.2f} s/GiB against {others:.2f}"
    return compare("cores", what, "MiB/s", mine, peer, theirs, target, beside)
