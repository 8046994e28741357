"""How long an agency waits for a `stat` while another one uploads a large file, with one process at the door and more.

The neighbour asks every 10 ms, one question at a time. While it waits longer than that it would have asked again: each
such question counts too, with what it would have waited, so that a pause weighs as much as it lasts. Its client is a
process of its own, and the uploading client a third one. Which of several processes at the door a connection gets is
chance: in some rounds both agencies share one.
"""

import asyncio
import os
import time
from contextlib import ExitStack
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import median, quantiles

from bench import processes
from bench.apart import beside
from bench.clients import sftp
from bench.crowd import enter
from bench.figures import Figure, Target
from bench.peers import Server, dropslot, neighbour, sshd
from bench.turns import MIB, in_turn, write_random

EVERY = 0.01
GCM = ("-c", "aes128-gcm@openssh.com")
ALONE = {"DROPSLOT_SFTP_PROCESSES": "1"}
ONE, DEFAULT = "one process", "as many processes as cores"
TARGET = Target(most=20)
SETTLED = 60


@dataclass(frozen=True)
class Street:
    """A server seen by two agencies: by the one that uploads, and by its neighbour."""

    name: str
    uploader: Server
    neighbour: Server


@dataclass(frozen=True)
class Wait:
    """What the answers took, in milliseconds, and the seconds of the upload meanwhile."""

    middle: float
    p99: float
    longest: float
    answers: int
    upload: float


def measure(folder: Path, rounds: int, quick: bool) -> list[Figure]:
    """The figures of neighbours. Raises UnavailableError when one of the servers cannot run here."""
    source = write_random(folder / "source.bin", (64 if quick else 512) * MIB)
    with ExitStack() as stack:
        peer = stack.enter_context(sshd(folder / "sshd"))
        streets = [Street(peer.name, peer, peer)]  # it has no agencies; another session will do
        for number, (name, settings) in enumerate(((ONE, ALONE), (DEFAULT, {}))):
            home = folder / f"dropslot-{number}"
            ours = stack.enter_context(dropslot(home, settings=settings))
            streets.append(Street(name, ours, neighbour(ours, home)))
        waits = in_turn(rounds, streets, lambda street: _wait(street, source))
    return [_figure(name, waits[name], waits[peer.name], source) for name in (ONE, DEFAULT)]


def ask(pipe: Connection, server: Server) -> None:
    """Ask for the attributes of /upload every 10 ms until told to stop; then say how many seconds each answer took."""
    asyncio.run(_ask(pipe, server))


async def _ask(pipe: Connection, server: Server) -> None:
    session = await enter(server)
    await session.sftp.stat("/upload")
    pipe.send(None)
    told = asyncio.create_task(asyncio.to_thread(pipe.recv))
    seconds: list[float] = []
    while not told.done():
        begun = time.perf_counter()
        await session.sftp.stat("/upload")
        waited = time.perf_counter() - begun
        seconds += [waited - EVERY * missed for missed in range(int(waited / EVERY) + 1)]
        await asyncio.sleep(-waited % EVERY)
    pipe.send(seconds)
    session.connection.close()


def _wait(street: Street, source: Path) -> Wait:
    server = street.uploader
    processes.settle(server.pid, len(processes.tree(server.pid)), quiet=1, limit=SETTLED)
    os.sync()
    with beside(ask, street.neighbour) as client:
        client.hear()
        upload = sftp(server, f"put {source} /upload/large.bin\n", *GCM)
        client.say()
        waits = sorted(seconds * 1000 for seconds in client.hear())
    sent = server.upload / "large.bin"
    if sent.stat().st_size != source.stat().st_size:
        raise RuntimeError(f"{street.name}: {sent} has the wrong size")
    sent.unlink()
    return Wait(median(waits), quantiles(waits, n=100, method="inclusive")[98], waits[-1], len(waits), upload)


def _figure(name: str, ours: list[Wait], theirs: list[Wait], source: Path) -> Figure:
    mine, other = ([wait.p99 for wait in side] for side in (ours, theirs))
    size = source.stat().st_size // MIB
    beside_it = f"{_rest(ours)}; sshd {_rest(theirs)}"
    what = f"p99 of a neighbour's stat while {size} MiB come, {name}"
    samples = {"dropslot": mine, "sshd": other}
    return Figure(
        "neighbours", what, "ms", median(mine), "sshd", median(other), None, TARGET, beside=beside_it, samples=samples
    )


def _rest(waits: list[Wait]) -> str:
    middle, longest = median(wait.middle for wait in waits), max(wait.longest for wait in waits)
    return f"p50 {middle:.2f}, longest {longest:.0f} of {sum(wait.answers for wait in waits)}"
