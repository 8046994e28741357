"""Upload and download of one large file through the real OpenSSH client, dropslot beside OpenSSH's sshd.

Both servers run at the same time and take turns (A B A B), so that what else the machine does hits both. Before each
transfer the disk is quiet (sync) and the other server idle. The seconds are those of the whole `sftp` command, login
included. sshd never syncs what it receives; dropslot does before it answers CLOSE, so for uploads sshd is also timed
with the client's `put -f`, which asks for the same.
"""

import hashlib
import os
from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from bench import processes
from bench.figures import Figure, Target, compare
from bench.peers import Server, dropslot, sftp, sshd

MIB = 1024 * 1024
GCM = ("-c", "aes128-gcm@openssh.com")
SMALL = ("-B", "32768")
UPLOAD_TARGET = Target(least=0.9)
SYNCED = "sshd, put -f"


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


def measure(folder: Path, rounds: int, quick: bool) -> list[Figure]:
    """The figures of the door. Raises UnavailableError when one of the servers cannot run here."""
    size = (64 if quick else 512) * MIB
    source = folder / "source.bin"
    _write_random(source, size)
    with ExitStack() as stack:
        peer = stack.enter_context(sshd(folder / "sshd"))
        ours = stack.enter_context(dropslot(folder / "dropslot"))
        return list(_figures(ours, peer, source, rounds, WAYS[:2] if quick else WAYS))


def _figures(ours: Server, peer: Server, source: Path, rounds: int, ways: tuple[Way, ...]) -> Iterator[Figure]:
    rig = _Rig(ours, peer, source)
    for way in ways:
        up: defaultdict[str, list[Transfer]] = defaultdict(list)
        down: defaultdict[str, list[Transfer]] = defaultdict(list)
        for number in range(rounds):
            for server in (peer, ours):
                up[server.name].append(rig.upload(server, way, number))
                down[server.name].append(rig.download(server, way))
            up[SYNCED].append(rig.upload(peer, way, number, "put -f"))
        yield _figure(f"upload, {way.name}", rig.size, up[ours.name], peer.name, up[peer.name], UPLOAD_TARGET)
        yield _figure(f"upload, {way.name}", rig.size, up[ours.name], SYNCED, up[SYNCED])
        yield _figure(f"download, {way.name}", rig.size, down[ours.name], peer.name, down[peer.name])
    yield rig.memory()


class _Rig:
    """Two running servers and the file that goes to and fro; knows how many processes each has when idle."""

    def __init__(self, ours: Server, peer: Server, source: Path) -> None:
        self._ours, self._peer, self._source = ours, peer, source
        self.size = source.stat().st_size
        self._sha256 = _sha256(source)
        self._checked: set[tuple[str, str]] = set()
        self._members: dict[str, int] = {}
        self._peak = {ours.name: 0.0, peer.name: 0.0}
        for server in (ours, peer):
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
        ours, theirs = self._peak[self._ours.name], self._peak[self._peer.name]
        samples = {self._ours.name: [ours], self._peer.name: [theirs]}
        beside = "sum of VmHWM over all processes; dropslot's with worker and scheduler"
        return Figure("door", "peak memory", "MiB", ours, self._peer.name, theirs, beside=beside, samples=samples)

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


def _figure(
    what: str, size: int, ours: list[Transfer], peer: str, theirs: list[Transfer], target: Target | None = None
) -> Figure:
    per_gib = 1024 * MIB / size
    door = median(transfer.cpu for transfer in ours) * per_gib
    in_all = median(transfer.cpu_in_all for transfer in ours) * per_gib
    other = median(transfer.cpu_in_all for transfer in theirs) * per_gib  # a session of sshd is counted when it is over
    beside = f"CPU {door:.2f} s/GiB (with the work after it {in_all:.2f}) against {other:.2f}"
    return compare("door", what, "MiB/s", _rates(size, ours), peer, _rates(size, theirs), target, beside)


def _rates(size: int, transfers: list[Transfer]) -> list[float]:
    return [size / MIB / transfer.seconds for transfer in transfers]


def _write_random(path: Path, size: int) -> None:
    with path.open("wb") as file:
        for _ in range(size // MIB):
            file.write(os.urandom(MIB))


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
