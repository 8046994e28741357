"""Fifty clients at once, each: connect, prove an Ed25519 key, open SFTP, ask where it is, leave.

Both servers must use the same key exchange, or the mathematics of their defaults would be compared: OpenSSH prefers
one with Streamlined NTRU Prime. What is measured is bounded by the fifty clients, which run on the same machine; the
server's CPU time is not.
"""

from collections import defaultdict
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from bench import processes
from bench.clients import sftp, sftp_at_once
from bench.figures import Figure, Target, compare
from bench.peers import Server, dropslot, sshd

AT_ONCE = 50
KEX = "curve25519-sha256"
TARGET = Target(least=3)


@dataclass(frozen=True)
class Rush:
    """Handshakes per second, and milliseconds of the server's CPU for each."""

    per_second: float
    cpu_ms: float


def measure(folder: Path, rounds: int, quick: bool) -> list[Figure]:
    """The figures of handshakes. Raises UnavailableError when one of the servers cannot run here."""
    waves = 1 if quick else 4
    rushes: defaultdict[str, list[Rush]] = defaultdict(list)
    with ExitStack() as stack:
        servers = [stack.enter_context(start(folder / start.__name__)) for start in (sshd, dropslot)]
        for server in servers:
            sftp(server, "pwd\n")
        members = {server.name: len(processes.tree(server.pid)) for server in servers}
        for _ in range(rounds):
            for server in servers:
                rushes[server.name].append(_rush(server, members[server.name], waves))
    peer, ours = (rushes[server.name] for server in servers)
    what = f"{AT_ONCE} handshakes at once"
    spent, other = (median(rush.cpu_ms for rush in side) for side in (ours, peer))
    beside = f"CPU {spent:.1f} ms each against {other:.1f}; {KEX} for both"
    mine, theirs = ([rush.per_second for rush in side] for side in (ours, peer))
    return [compare("handshakes", what, "/s", mine, "sshd", theirs, TARGET, beside)]


def _rush(server: Server, members: int, waves: int) -> Rush:
    processes.settle(server.pid, members)
    before = processes.cpu_seconds(server.pid)
    options = ("-o", f"KexAlgorithms={KEX}")
    seconds = sum(sftp_at_once(server, ["pwd\n"] * AT_ONCE, *options) for _ in range(waves))
    processes.settle(server.pid, members)
    cpu = processes.cpu_seconds(server.pid) - before
    return Rush(AT_ONCE * waves / seconds, cpu * 1000 / (AT_ONCE * waves))
