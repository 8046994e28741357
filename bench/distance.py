"""Upload over 80 ms: dropslot with its own receive window, with one of 2 MiB, and sshd, whose window is 2 MiB.

Who may send 2 MiB ahead gets at most 25 MiB/s over that distance, whatever the line can carry. The distance is a
process that holds back every byte for 40 ms each way (`bench.delay`). A login takes a dozen round trips whatever the
window is: the seconds of a session that sends nothing are taken off; those of the whole command stand beside.
"""

import os
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median

from bench.apart import beside
from bench.clients import sftp
from bench.delay import relay
from bench.figures import Figure, Target, compare
from bench.peers import Server, dropslot, sshd
from bench.turns import MIB, in_turn, write_random

ONE_WAY = 0.04
SMALL = {"DROPSLOT_WINDOW": str(2 * MIB)}
NARROW = "with a window of 2 MiB"
GCM = ("-c", "aes128-gcm@openssh.com")
TARGET = Target(least=3)


@dataclass(frozen=True)
class Trip:
    """Seconds of the upload, login included, and of a session that sends nothing."""

    seconds: float
    empty: float


def measure(folder: Path, rounds: int, quick: bool) -> list[Figure]:
    """The figures of distance. Raises UnavailableError when one of the servers cannot run here."""
    size = (16 if quick else 64) * MIB
    source = write_random(folder / "source.bin", size)
    with ExitStack() as stack:
        peer = stack.enter_context(sshd(folder / "sshd"))
        narrow = stack.enter_context(dropslot(folder / "narrow", settings=SMALL, name=NARROW))
        ours = stack.enter_context(dropslot(folder / "dropslot"))
        servers = [_far(server, stack) for server in (peer, narrow, ours)]
        trips = in_turn(rounds, servers, lambda server: _travel(server, source))
    mine, target = trips[ours.name], None if quick else TARGET  # a small file says nothing about the target
    return [_figure(size, mine, NARROW, trips[NARROW], target), _figure(size, mine, peer.name, trips[peer.name])]


def _far(server: Server, stack: ExitStack) -> Server:
    """The same server, seen from far away."""
    port: int = stack.enter_context(beside(relay, server.port, ONE_WAY)).hear()
    return replace(server, port=port)


def _travel(server: Server, source: Path) -> Trip:
    empty = sftp(server, "pwd\n", *GCM)
    os.sync()
    seconds = sftp(server, f"put {source} /upload/sent.bin\n", *GCM)
    sent = server.upload / "sent.bin"
    if sent.read_bytes() != source.read_bytes():
        raise RuntimeError(f"{server.name}: {sent} is not what was sent")
    sent.unlink()
    return Trip(seconds, empty)


def _figure(size: int, ours: list[Trip], peer: str, theirs: list[Trip], target: Target | None = None) -> Figure:
    mine, other = ([size / MIB / max(trip.seconds - trip.empty, 0.001) for trip in side] for side in (ours, theirs))
    whole, theirs_whole = (median(trip.seconds for trip in side) for side in (ours, theirs))
    text = f"the whole command {whole:.1f} s against {theirs_whole:.1f}"
    return compare("distance", f"upload of {size // MIB} MiB over 80 ms", "MiB/s", mine, peer, other, target, text)
