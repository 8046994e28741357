"""Peak memory of a process that ingests a very large file, as a worker does."""

from pathlib import Path

from bench.apart import Run, apart, timed
from bench.figures import Figure, Target, alone
from bench.ingestion import SEED

TARGET = Target(most=700)


def measure(folder: Path, rounds: int, quick: bool) -> list[Figure]:
    """The figure of memory, from one run: it hardly varies."""
    rows = 100_000 if quick else 1_000_000
    file = folder / "large.txt"
    apart(write_file, file, rows)
    run = apart(run_engine, folder, file)
    speed = f"{run.counts['rows'] / run.seconds:.0f} rows/s, CPU {run.cpu:.1f} s"
    beside = f"{speed}, file of {file.stat().st_size >> 20} MiB"
    # A small file says nothing about the target.
    return [alone("memory", f"worker, {rows // 1000}k rows", "MiB", [run.peak], None if quick else TARGET, beside)]


def write_file(file: Path, rows: int) -> Run:
    """Write the large file, in another process than the one that is measured."""
    from ingest.sample import write_ecr

    write_ecr(file, rows, SEED)
    return Run(0, 0, {})


def run_engine(folder: Path, file: Path) -> Run:
    """Ingest the file into a new database."""
    from bench.engine import court

    with court(folder / "engine") as own:
        return timed(lambda: own.take(file))
