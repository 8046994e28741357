"""Upload and download of one large file through the real OpenSSH client, dropslot beside OpenSSH's sshd.

All servers run at the same time and take turns (A B A B), so that what else the machine does hits all. Before each
transfer the disk is quiet (sync) and the other servers idle. The seconds are those of the whole `sftp` command, login
included. sshd never syncs what it receives; dropslot does before it answers CLOSE, so for uploads sshd is also timed
with the client's `put -f`, which asks for the same. Two servers in Go take part in the first way of calling the client.

CPU is that of all the server's processes until the command ends; what dropslot's worker does with the file after that
(its sha256) stands beside.
"""

import hashlib
import os
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from bench import processes
from bench.clients import sftp
from bench.figures import Figure, Missing, Target, UnavailableError, compare
from bench.others import GO_NAME, gopeer, rclone
from bench.peers import Server, dropslot, sshd
from bench.turns import MIB, write_random

GCM = ("-c", "aes128-gcm@openssh.com")
SMALL = ("-B", "32768")
UPLOAD, UPLOAD_CPU = Target(least=1.5), Target(most=0.6)
DOWNLOAD, DOWNLOAD_CPU = Target(least=1.3), Target(most=0.7)
GO_TARGET = Target(least=1.3)
OURS, SYNCED = "dropslot", "sshd, put -f"


@dataclass(frozen=True)
class Way:
    """How the client is called."""

    name: str
    options: tuple[str, ...]


WAYS = (
    Way("aes128-gcm", GCM),
    Way("aes128-gcm, 32 KiB requests", (*GCM, *SMALL)),
    Way("client's default cipher", ()),
    Way("client's default cipher, 32 KiB requests", SMALL),
)


@dataclass(frozen=True)
class Transfer:
    """One file one way: seconds of the client, CPU seconds of the server until then, and with what it did after."""

    seconds: float
    cpu: float
    cpu_in_all: float


#: By the server's name, or `SYNCED`.
Transfers = Mapping[str, list[Transfer]]


def measure(folder: Path, rounds: int, quick: bool) -> list[Figure | Missing]:
    """The figures of the door. Raises UnavailableError when sshd or dropslot cannot run here."""
    size = (64 if quick else 512) * MIB
    source = write_random(folder / "source.bin", size)
    with ExitStack() as stack:
        peer = stack.enter_context(sshd(folder / "sshd"))
        ours = stack.enter_context(dropslot(folder / "dropslot"))
        others, missing = _others(folder, stack)
        rig = _Rig(ours, peer, others, source)
        figures = [figure for way in (WAYS[:2] if quick else WAYS) for figure in _figures(rig, way, rounds)]
        return [*figures, rig.memory(), *missing]


def _others(folder: Path, stack: ExitStack) -> tuple[list[Server], list[Missing]]:
    starts: list[Callable[[Path], AbstractContextManager[Server]]] = [rclone, gopeer]
    servers: list[Server] = []
    missing: list[Missing] = []
    for number, start in enumerate(starts):
        try:
            servers.append(stack.enter_context(start(folder / f"other-{number}")))
        except UnavailableError as reason:
            missing.append(Missing(str(reason)))
    return servers, missing


def _figures(rig: "_Rig", way: Way, rounds: int) -> Iterator[Figure]:
    others = rig.others if way is WAYS[0] else []
    up: defaultdict[str, list[Transfer]] = defaultdict(list)
    down: defaultdict[str, list[Transfer]] = defaultdict(list)
    for number in range(rounds):
        for server in (rig.peer, rig.ours, *others):
            up[server.name].append(rig.upload(server, way, number))
            down[server.name].append(rig.download(server, way))
        up[SYNCED].append(rig.upload(rig.peer, way, number, "put -f"))
    yield from _pair(f"upload, {way.name}", rig, up, UPLOAD, UPLOAD_CPU)
    yield _speed(f"upload, {way.name}", rig.size, up, SYNCED)
    yield from _pair(f"download, {way.name}", rig, down, DOWNLOAD, DOWNLOAD_CPU)
    for server in others:
        target = GO_TARGET if server.name == GO_NAME else None
        yield _speed(f"upload, {way.name}", rig.size, up, server.name, target)
        yield _speed(f"download, {way.name}", rig.size, down, server.name, target)


class _Rig:
    """The running servers and the file that goes to and fro; knows how many processes each has when idle."""

    def __init__(self, ours: Server, peer: Server, others: Sequence[Server], source: Path) -> None:
        self.ours, self.peer, self.others = ours, peer, others
        self._source = source
        self.size = source.stat().st_size
        self._sha256 = _sha256(source)
        self._checked: set[tuple[str, str]] = set()
        self._members: dict[str, int] = {}
        self._peak: defaultdict[str, float] = defaultdict(float)
        for server in (ours, peer, *others):
            sftp(server, f"put {source} /upload/kept.bin\n")  # what is downloaded later
            processes.settle(server.pid, 1, limit=5)
            self._members[server.name] = len(processes.tree(server.pid))

    def upload(self, server: Server, way: Way, number: int, put: str = "put") -> Transfer:
        """Send the file under a new name; removed afterwards."""
        name = f"round-{number}.bin"
        transfer = self._timed(server, f"{put} {self._source} /upload/{name}\n", way)
        self._check(server, "up", server.upload / name)
        server.upload.joinpath(name).unlink()
        return transfer

    def download(self, server: Server, way: Way) -> Transfer:
        """Fetch the file; removed afterwards."""
        target = self._source.with_name("fetched.bin")
        transfer = self._timed(server, f"get /upload/kept.bin {target}\n", way)
        self._check(server, "down", target)
        target.unlink()
        return transfer

    def memory(self) -> Figure:
        """Peak memory of the two trees of processes."""
        ours, theirs = self._peak[self.ours.name], self._peak[self.peer.name]
        samples = {self.ours.name: [ours], self.peer.name: [theirs]}
        beside = "sum of VmHWM over all processes; dropslot's with worker and scheduler"
        return Figure("door", "peak memory", "MiB", ours, self.peer.name, theirs, beside=beside, samples=samples)

    def _timed(self, server: Server, batch: str, way: Way) -> Transfer:
        os.sync()
        before = processes.cpu_seconds(server.pid)
        with processes.Watch(server.pid) as watch:
            seconds = sftp(server, batch, *way.options)
            at_once = processes.cpu_seconds(server.pid)
        processes.settle(
            server.pid, self._members[server.name], quiet=1
        )  # dropslot begins its work after half a second
        in_all = processes.cpu_seconds(server.pid)
        self._peak[server.name] = max(self._peak[server.name], watch.peak)
        return Transfer(seconds, at_once - before, in_all - before)

    def _check(self, server: Server, direction: str, path: Path) -> None:
        """Compare content once per server and direction, the size always."""
        if path.stat().st_size != self.size:
            raise RuntimeError(f"{server.name}: {path} has the wrong size")
        if (server.name, direction) not in self._checked and _sha256(path) != self._sha256:
            raise RuntimeError(f"{server.name}: {path} has the wrong content")
        self._checked.add((server.name, direction))


def _pair(what: str, rig: _Rig, transfers: Transfers, speed: Target, cpu: Target) -> Iterator[Figure]:
    """Speed and CPU against sshd."""
    yield _speed(what, rig.size, transfers, rig.peer.name, speed)
    per_gib = 1024 * MIB / rig.size
    ours, theirs = transfers[rig.ours.name], transfers[rig.peer.name]
    in_all = median(transfer.cpu_in_all for transfer in ours) * per_gib
    mine = [transfer.cpu * per_gib for transfer in ours]
    other = [transfer.cpu_in_all * per_gib for transfer in theirs]  # a session of sshd is counted when it is over
    beside = f"with the work after it {in_all:.2f}"
    yield compare("door", f"CPU of {what}", "s/GiB", mine, rig.peer.name, other, cpu, beside)


def _speed(what: str, size: int, transfers: Transfers, peer: str, target: Target | None = None) -> Figure:
    per_gib = 1024 * MIB / size
    ours, theirs = transfers[OURS], transfers[peer]
    spent = median(transfer.cpu for transfer in ours) * per_gib
    other = median(transfer.cpu_in_all for transfer in theirs) * per_gib
    beside = f"CPU {spent:.2f} s/GiB against {other:.2f}"
    return compare("door", what, "MiB/s", _rates(size, ours), peer, _rates(size, theirs), target, beside)


def _rates(size: int, transfers: list[Transfer]) -> list[float]:
    return [size / MIB / transfer.seconds for transfer in transfers]


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
