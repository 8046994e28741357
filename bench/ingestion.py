"""Rows per second of the ingest engine: the first night, the second, when nearly all rows are as before, and a third
with the file of the second under another name.

Each measurement runs in a process of its own, on a new database, and they take turns within a round. The engine is
warm, as in a worker: it has ingested a small file into another database before. The naive script has its libraries
loaded. What `sqlite3 .import` does is the least that could be done: it puts the cells into one flat table, unchecked.
PostgreSQL is compared with dropslot's own figures on SQLite; its server's CPU is not in ours.
"""

import shutil
import subprocess
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from statistics import median
from types import MappingProxyType
from typing import TYPE_CHECKING

from bench.apart import Run, apart, timed
from bench.figures import Figure, Missing, Target, UnavailableError, compare
from bench.postgres import Postgres, postgres

if TYPE_CHECKING:
    from bench.naive import Instant

SEED = 20260316
WARM_ROWS = 1_000
ZONE = "America/Phoenix"
DROPSLOT, NAIVE, STRICT, IMPORT = "dropslot", "naive script", "same with strptime", "sqlite3 .import"
POSTGRES, SQLITE = "dropslot on PostgreSQL", "on SQLite"
DAYS = ("day 1", "day 2", "the same again")
TARGETS: Mapping[str, Sequence[Target]] = MappingProxyType(
    {
        NAIVE: (Target(least=15), Target(least=40), Target(least=80)),
        IMPORT: (Target(least=0.2), Target(least=0.6), Target(least=1)),
        SQLITE: (Target(least=0.7),) * 3,
    }
)

#: By side and day.
Runs = Mapping[tuple[str, int], list[Run]]


def measure(folder: Path, rounds: int, quick: bool) -> list[Figure | Missing]:
    """The figures of the engine. Raises UnavailableError when sqlite3's command is missing."""
    if shutil.which("sqlite3") is None:
        raise UnavailableError("no sqlite3 here (apt-get install sqlite3)")
    rows = 10_000 if quick else 100_000
    files = [folder / name for name in ("warm.txt", "day-1.txt", "day-2.txt", "again.txt")]
    apart(write_files, *files, rows)
    runs: defaultdict[tuple[str, int], list[Run]] = defaultdict(list)
    missing: list[Missing] = []
    with ExitStack() as stack:
        other = _other_database(stack, folder / "postgres", missing)
        for _ in range(rounds):
            with tempfile.TemporaryDirectory(dir=folder) as name:
                for side, day, run in _round(Path(name), other, *files):
                    runs[side, day].append(run)
    return [*_figures(runs, rows), *missing]


def _other_database(stack: ExitStack, folder: Path, missing: list[Missing]) -> Postgres | None:
    try:
        return stack.enter_context(postgres(folder))
    except UnavailableError as reason:
        missing.append(Missing(str(reason)))
        return None


def write_files(warm: Path, first: Path, second: Path, again: Path, rows: int) -> Run:
    """Write the files of the days, and a small one to warm up with."""
    from ingest.sample import write_ecr

    write_ecr(warm, WARM_ROWS, SEED + 1)
    write_ecr(first, rows, SEED)
    write_ecr(second, rows, SEED, day=2)
    shutil.copyfile(second, again)
    return Run(0, 0, {})


def run_engine(folder: Path, *files: Path, urls: tuple[str, str] = ("", "")) -> list[Run]:
    """Ingest the files one after the other into one database, after the first into another."""
    from bench.engine import court

    warm, *days = files
    with court(folder / "warm", urls[0]) as other:
        other.take(warm)
    with court(folder / "engine", urls[1]) as own:
        return [timed(partial(own.take, source)) for source in days]


def run_postgres(folder: Path, warm_url: str, url: str, *files: Path) -> list[Run]:
    """The same on a PostgreSQL with two empty databases."""
    return run_engine(folder / "postgres", *files, urls=(warm_url, url))


def run_naive(folder: Path, *files: Path) -> list[Run]:
    """Load the files one after the other with the naive script."""
    from bench.naive import by_pandas

    return _run_script(folder / "naive.db", files, by_pandas)


def run_strict(folder: Path, *files: Path) -> list[Run]:
    """The same with its dates read by `strptime`."""
    from bench.naive import by_strptime

    return _run_script(folder / "strict.db", files, by_strptime)


def run_import(folder: Path, *files: Path) -> list[Run]:
    """Import each file into a new flat table with sqlite3's own command."""
    _, *days = files
    return [timed(partial(_import, source, folder / f"{source.stem}.db")) for source in days]


def _run_script(database: Path, files: tuple[Path, ...], instant: "Instant") -> list[Run]:
    from bench.naive import load

    _, *days = files
    return [timed(partial(load, source, database, ZONE, instant)) for source in days]


def _import(source: Path, database: Path) -> dict[str, int]:
    delimiter = "|" if b"|" in source.open("rb").readline() else ","
    script = f".mode csv\n.separator '{delimiter}'\n.import '{source}' flat\nSELECT count(*) FROM flat;\n"
    done = subprocess.run(["sqlite3", str(database)], input=script, capture_output=True, text=True, check=True)
    return {"rows": int(done.stdout)}


SIDES = ((NAIVE, run_naive), (DROPSLOT, run_engine), (STRICT, run_strict), (IMPORT, run_import))


def _round(folder: Path, other: Postgres | None, *files: Path) -> Iterator[tuple[str, int, Run]]:
    for side, function in SIDES:
        for day, run in enumerate(apart(function, folder, *files)):
            yield side, day, run
    if other is not None:
        urls = other.create("warm"), other.create("own")
        for day, run in enumerate(apart(run_postgres, folder, *urls, *files)):
            yield POSTGRES, day, run


def _figures(runs: Runs, rows: int) -> Iterator[Figure]:
    for day, name in enumerate(DAYS):
        for peer in (NAIVE, STRICT, IMPORT):
            yield _figure(rows, f"{rows // 1000}k rows, {name}", runs[DROPSLOT, day], peer, runs[peer, day], day)
    for day, name in enumerate(DAYS):
        if (POSTGRES, day) in runs:
            what = f"{rows // 1000}k rows, {name}, on PostgreSQL"
            yield _figure(rows, what, runs[POSTGRES, day], SQLITE, runs[DROPSLOT, day], day)


def _figure(rows: int, what: str, ours: list[Run], peer: str, theirs: list[Run], day: int) -> Figure:
    target = TARGETS[peer][day] if peer in TARGETS else None
    mine, other = _rates(rows, ours), _rates(rows, theirs)
    return compare("ingest", what, "rows/s", mine, peer, other, target, _beside(ours, theirs))


def _rates(rows: int, runs: list[Run]) -> list[float]:
    return [rows / run.seconds for run in runs]


def _beside(ours: list[Run], theirs: list[Run]) -> str:
    counts = ours[-1].counts
    cpu = f"CPU {median(run.cpu for run in ours):.2f} s against {median(run.cpu for run in theirs):.2f}"
    skipped = f", {counts['skipped']} rows skipped" if counts["skipped"] else ""
    return f"{cpu}, peak {max(run.peak for run in ours):.0f} MiB, {counts['bad']} bad rows{skipped}"
