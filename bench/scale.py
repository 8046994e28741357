"""How the engine's rate and memory hold out as files grow: a first night of 100k, of 1M and of 5M rows.

Each file is ingested by a process of its own into a new SQLite database, one after the other within a round. The
largest one is measured once: it takes minutes, and some gigabytes of disk.
"""

import shutil
import tempfile
from functools import partial
from pathlib import Path

from bench.apart import Run, apart, timed
from bench.figures import Figure, Target, alone, compare
from bench.ingestion import SEED

SMALL, LARGE, HUGE = 100_000, 1_000_000, 5_000_000
MEMORY = Target(most=700)
SLOWER, MUCH_SLOWER, GROWTH = Target(least=0.7), Target(least=0.33), Target(most=1.1)


def measure(folder: Path, rounds: int, quick: bool) -> list[Figure]:
    """The figures of rate and memory."""
    sizes = [size // 100 for size in (SMALL, LARGE, HUGE)] if quick else [SMALL, LARGE, HUGE]
    files = [folder / f"{size}.txt" for size in sizes]
    for file, size in zip(files, sizes, strict=True):
        apart(write_file, file, size)
    pairs = [(_ingest(folder, files[0]), _ingest(folder, files[1])) for _ in range(rounds)]
    largest = _ingest(folder, files[2])
    small, large = ([pair[side] for pair in pairs] for side in (0, 1))
    return [
        _rate(large, small, SLOWER, sizes[1], sizes[0]),
        _memory(large, sizes[1], None if quick else MEMORY),  # a small file says nothing about the target
        _rate([largest], [large[-1]], MUCH_SLOWER, sizes[2], sizes[1]),
        _growth(largest, large, sizes[2], sizes[1]),
    ]


def write_file(file: Path, rows: int) -> Run:
    """Write a file of so many rows, in another process than the one that is measured."""
    from ingest.sample import write_ecr

    write_ecr(file, rows, SEED)
    return Run(0, 0, {})


def run_engine(folder: Path, file: Path) -> Run:
    """Ingest the file into a new database."""
    from bench.engine import court

    with court(folder / "engine") as own:
        return timed(partial(own.take, file))


def _ingest(folder: Path, file: Path) -> Run:
    place = Path(tempfile.mkdtemp(dir=folder))
    try:
        return apart(run_engine, place, file)
    finally:
        shutil.rmtree(place)


def _rate(ours: list[Run], theirs: list[Run], target: Target, rows: int, fewer: int) -> Figure:
    rates = [[run.counts["rows"] / run.seconds for run in runs] for runs in (ours, theirs)]
    spent = f"CPU {ours[-1].cpu:.1f} s against {theirs[-1].cpu:.1f}"
    return compare("scale", f"{_thousands(rows)} rows", "rows/s", rates[0], _thousands(fewer), rates[1], target, spent)


def _memory(runs: list[Run], rows: int, target: Target | None) -> Figure:
    return alone("scale", f"peak memory, {_thousands(rows)} rows", "MiB", [run.peak for run in runs], target)


def _growth(ours: Run, theirs: list[Run], rows: int, fewer: int) -> Figure:
    what = f"peak memory, {_thousands(rows)} rows"
    return compare("scale", what, "MiB", [ours.peak], _thousands(fewer), [max(run.peak for run in theirs)], GROWTH)


def _thousands(rows: int) -> str:
    return f"{rows // 1000:,}k"
