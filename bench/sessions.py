"""What many sessions at once cost: idle ones, two hundred that send a file each, and both together over a thousand.

The sessions of each crowd belong to one client process (`bench.crowd`). Each round starts both servers anew, since
memory that was once used is seldom given back: a second crowd would find it and seem to need none.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from bench import processes
from bench.apart import beside
from bench.clients import sftp
from bench.crowd import MIB, Crowd, Opened, Uploaded, file_name, hold
from bench.figures import Figure, Target, alone, compare
from bench.peers import Server, dropslot, sshd

NONE = Target(most=0)
IDLE = Target(most=0.05)
PEAK = Target(most=150)
WARMED_BY = 4
SSHD_PROCESSES = 3  # for each session: as root, as the user, and internal-sftp
ANONYMOUS = "Pss_Anon"


@dataclass(frozen=True)
class Stay:
    """What a crowd did to a server. Memory in MiB."""

    #: What the server's processes take more than before, while all sessions are open and nothing happens (Pss_Anon).
    grown: float
    open_seconds: float
    upload_seconds: float
    failures: list[str]
    #: After the upload: of all processes now (PSS), and the peak of each (VmHWM; for dropslot those of the door).
    memory: float
    peaks: list[float]


#: By crowd and server's name, one for each round.
Stays = Mapping[tuple[Crowd, str], list[Stay]]


def measure(folder: Path, rounds: int, quick: bool) -> list[Figure]:
    """The figures of sessions. Raises UnavailableError when one of the servers cannot run here."""
    idle, uploading, thousand = (20, 20, 60) if quick else (200, 200, 1000)
    crowds = (Crowd(idle, 0), Crowd(0, uploading), Crowd(thousand, uploading))
    stays: defaultdict[tuple[Crowd, str], list[Stay]] = defaultdict(list)
    for number in range(rounds):
        with ExitStack() as stack:
            servers = [stack.enter_context(start(folder / f"{start.__name__}-{number}")) for start in (sshd, dropslot)]
            members = {server.name: _warm(server) for server in servers}
            for crowd in crowds:
                for server in servers:
                    stays[crowd, server.name].append(_stay(server, crowd, members[server.name]))
    quiet, storm, both = crowds
    return [_idle(quiet, stays), *_storm(storm, stays, PEAK), *_storm(both, stays)]


def _warm(server: Server) -> int:
    """Let some sessions come and go; how many processes there are then."""
    for _ in range(WARMED_BY):
        sftp(server, "pwd\n")
    processes.settle(server.pid, 1, limit=5)
    return len(processes.tree(server.pid))


def _stay(server: Server, crowd: Crowd, members: int) -> Stay:
    """Let the crowd in, look, let it upload, look, and let it go."""
    before = processes.pss_mib(server.pid, ANONYMOUS)
    with beside(hold, server, crowd) as clients:
        opened: Opened = clients.hear()
        processes.settle(server.pid, members + SSHD_PROCESSES * (crowd.idle + crowd.uploading), limit=20)
        grown = processes.pss_mib(server.pid, ANONYMOUS) - before
        clients.say()
        uploaded: Uploaded = clients.hear()
        memory, peaks = processes.pss_mib(server.pid), processes.peaks_mib(server.pid, server.door)
        clients.say()
        clients.hear()
    processes.settle(server.pid, members)
    failures = [*opened.failures, *uploaded.failures, *_wrong(server, crowd)]
    return Stay(grown, opened.seconds, uploaded.seconds, failures, memory, peaks)


def _wrong(server: Server, crowd: Crowd) -> Iterator[str]:
    """Which files are not what was sent, by their size; they are removed."""
    for number in range(crowd.uploading):
        path = server.upload / file_name(number)
        if not path.exists() or path.stat().st_size != MIB:
            yield f"{path.name} did not come whole"
        path.unlink(missing_ok=True)


def _idle(crowd: Crowd, stays: Stays) -> Figure:
    mine, theirs = ([stay.grown * 1024 / crowd.idle for stay in stays[crowd, name]] for name in ("dropslot", "sshd"))
    failures = [reason for name in ("dropslot", "sshd") for stay in stays[crowd, name] for reason in stay.failures]
    text = f"{ANONYMOUS} of all processes, less what it was before; {len(failures)} failed"
    return compare("sessions", f"memory of an idle session, of {crowd.idle}", "KiB", mine, "sshd", theirs, IDLE, text)


def _storm(crowd: Crowd, stays: Stays, peak: Target | None = None) -> Iterator[Figure]:
    what = f"{crowd.uploading} sessions send 1 MiB each"
    what += f" beside {crowd.idle} idle" if crowd.idle else ""
    ours, theirs = stays[crowd, "dropslot"], stays[crowd, "sshd"]
    reasons = [reason for stay in ours for reason in stay.failures]
    refused = sum(len(stay.failures) for stay in theirs)
    first = f"; the first: {reasons[0]}" if reasons else ""
    yield alone("sessions", f"{what}: failures", "", [len(reasons)], NONE, f"sshd {refused}{first}")
    logins = [median(stay.open_seconds for stay in side) for side in (ours, theirs)]
    beside_it = f"{crowd.idle + crowd.uploading} logins before that: {logins[0]:.1f} s against {logins[1]:.1f}"
    mine, other = ([crowd.uploading / stay.upload_seconds for stay in side] for side in (ours, theirs))
    yield compare("sessions", what, "MiB/s", mine, "sshd", other, beside=beside_it)
    memory, taken = (median(stay.memory for stay in side) for side in (ours, theirs))
    peaks = [max(stay.peaks) for stay in ours]
    text = f"{len(ours[0].peaks)} such processes; all processes then {memory:.0f} MiB against sshd's {taken:.0f} (PSS)"
    yield alone("sessions", f"{what}: peak of a door process", "MiB", peaks, peak, text)
