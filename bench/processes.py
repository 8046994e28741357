"""What a tree of processes costs: CPU seconds and peak memory, as the kernel counts them in /proc (proc(5))."""

import os
import threading
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType

TICKS = os.sysconf("SC_CLK_TCK")
LOOK_EVERY = 0.25


def cpu_seconds(pid: int, words: str = "") -> float:
    """CPU (user and system) that `pid` and its descendants have used so far, in seconds.

    With `words`, of those that have them on their command line. A process that has ended is counted once it has been
    waited for: see `settle` and `bench.keeper`.
    """
    return sum(_cpu(member) for member in _named(tree(pid), words))


def peak_mib(pid: int) -> float:
    """Sum of the peak memory (VmHWM) of the living descendants of `pid`; shared pages count in each."""
    return sum(_peak(member) for member in tree(pid)[1:])


def peaks_mib(pid: int, words: str) -> list[float]:
    """Peak memory (VmHWM) of each living descendant of `pid` whose command line has `words` in it."""
    return [_peak(member) for member in _named(tree(pid)[1:], words)]


def pss_mib(pid: int, kind: str = "Pss") -> float:
    """Memory of the living descendants of `pid` now: a page that several share is counted once in all.

    `kind` is a line of smaps_rollup (proc(5)). With `Pss_Anon` programs and libraries are left out, whose share falls
    and rises with what else on the machine has the same files in use.
    """
    lines = [line for member in tree(pid)[1:] for line in _read(Path(f"/proc/{member}/smaps_rollup")).splitlines()]
    return sum(int(line.split()[1]) / 1024 for line in lines if line.startswith(f"{kind}:"))


def settle(pid: int, members: int, quiet: float = 0.3, limit: float = 60) -> None:
    """Wait until the tree of `pid` has at most `members` and uses next to no CPU for `quiet` seconds."""
    end = time.monotonic() + limit
    while time.monotonic() < end:
        before = cpu_seconds(pid)
        time.sleep(quiet)
        if len(tree(pid)) <= members and cpu_seconds(pid) - before <= 3 / TICKS:
            return


def tree(pid: int) -> list[int]:
    """`pid` and all its living descendants."""
    children: list[int] = []
    tasks = Path(f"/proc/{pid}/task")
    with suppress(FileNotFoundError, ProcessLookupError):  # it ends while it is looked at
        for task in os.listdir(tasks):
            children += [int(word) for word in _read(tasks / task / "children").split()]
    return [pid, *(member for child in children for member in tree(child))]


class Watch:
    """Looks, while the block runs, how much memory the tree of `pid` takes; `peak` is MiB, see `peak_mib`."""

    def __init__(self, pid: int) -> None:
        self.peak = 0.0
        self._pid = pid
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> "Watch":
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._done.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._done.wait(LOOK_EVERY):
            self.peak = max(self.peak, peak_mib(self._pid))


def _named(members: list[int], words: str) -> list[int]:
    return [member for member in members if words in _read(Path(f"/proc/{member}/cmdline")).replace("\0", " ")]


def _cpu(pid: int) -> float:
    fields = _read(Path(f"/proc/{pid}/stat")).rpartition(")")[2].split()
    return sum(int(value) for value in fields[11:15]) / TICKS  # utime, stime, cutime, cstime


def _peak(pid: int) -> float:
    lines = _read(Path(f"/proc/{pid}/status")).splitlines()
    return sum(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM:"))


def _read(path: Path) -> str:
    """The file's text; nothing when its process has just ended."""
    try:
        return path.read_text()
    except (FileNotFoundError, ProcessLookupError):
        return ""
