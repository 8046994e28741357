"""Fifty clients at once, each: connect, prove an Ed25519 key, open SFTP, ask where it is, leave.

Twice: as OpenSSH's client comes, which agrees with sshd on Streamlined NTRU Prime and with dropslot on what its policy
prefers; and with the same key exchange for both, or the mathematics of their defaults would be compared. How many there
are in a second is bounded by the fifty clients, which run on the same machine; the server's CPU time is not.
"""

from collections import defaultdict
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from types import MappingProxyType

from bench import processes
from bench.clients import sftp, sftp_at_once
from bench.figures import Figure, Target, compare
from bench.peers import Server, dropslot, sshd

AT_ONCE = 50
#: How the client is called, by what the table says of it.
WAYS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {"client's default key exchange": (), "curve25519 for both": ("-o", "KexAlgorithms=curve25519-sha256")}
)
TARGET = Target(least=3)


@dataclass(frozen=True)
class Rush:
    """Handshakes per second, and milliseconds of the server's CPU for each."""

    per_second: float
    cpu_ms: float


def measure(folder: Path, rounds: int, quick: bool) -> list[Figure]:
    """The figures of handshakes. Raises UnavailableError when one of the servers cannot run here."""
    waves = 1 if quick else 4
    rushes: defaultdict[tuple[str, str], list[Rush]] = defaultdict(list)
    with ExitStack() as stack:
        servers = [stack.enter_context(start(folder / start.__name__)) for start in (sshd, dropslot)]
        for server in servers:
            sftp(server, "pwd\n")
            processes.settle(server.pid, 1, limit=5)
        members = {server.name: len(processes.tree(server.pid)) for server in servers}
        for way, options in WAYS.items():
            for _ in range(rounds):
                for server in servers:
                    rushes[way, server.name].append(_rush(server, members[server.name], waves, options))
    return [_figure(way, rushes[way, "dropslot"], rushes[way, "sshd"]) for way in WAYS]


def _rush(server: Server, members: int, waves: int, options: tuple[str, ...]) -> Rush:
    processes.settle(server.pid, members)
    before = processes.cpu_seconds(server.pid)
    seconds = sum(sftp_at_once(server, ["pwd\n"] * AT_ONCE, *options) for _ in range(waves))
    processes.settle(server.pid, members)
    cpu = processes.cpu_seconds(server.pid) - before
    return Rush(AT_ONCE * waves / seconds, cpu * 1000 / (AT_ONCE * waves))


def _figure(way: str, ours: list[Rush], theirs: list[Rush]) -> Figure:
    mine, other = ([rush.per_second for rush in side] for side in (ours, theirs))
    spent, others = (median(rush.cpu_ms for rush in side) for side in (ours, theirs))
    what, beside = f"{AT_ONCE} handshakes at once, {way}", f"CPU {spent:.1f} ms each against {others:.1f}"
    return compare("handshakes", what, "/s", mine, "sshd", other, TARGET, beside)
