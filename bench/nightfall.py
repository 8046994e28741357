"""A hundred agencies send at the same hour: from the first file's turn to the last one's answer.

The files lie registered before anybody works, so that nothing but the workers is measured: each a process of its own
that takes job after job as the real one does, receipts and archive included. One of them and two, on both databases.
"""

import time
from collections.abc import Sequence
from contextlib import ExitStack
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from pydantic import SecretStr

from bench.apart import Run, apart, beside
from bench.figures import Figure, Missing, Target, UnavailableError, alone, compare
from bench.ingestion import SEED, ZONE
from bench.postgres import postgres

AGENCIES, ROWS = 100, 5_000
TARGET = Target(least=1.7)


def measure(folder: Path, rounds: int, quick: bool) -> list[Figure | Missing]:
    """The figures of a busy hour, on SQLite and on PostgreSQL."""
    agencies = 4 if quick else AGENCIES
    what = f"{agencies} files of {ROWS // 1000}k rows for as many agencies"
    total = agencies * ROWS
    apart(write_files, folder, agencies)
    with ExitStack() as stack:
        found: list[Figure | Missing] = [*_figures(f"{what}, SQLite", total, _rounds(folder, rounds, agencies), None)]
        try:
            server = stack.enter_context(postgres(folder / "postgres"))
        except UnavailableError as reason:
            return [*found, Missing(str(reason))]
        runs = [
            [_seconds(folder, agencies, workers, server.create("night")) for workers in (1, 2)] for _ in range(rounds)
        ]
        return [*found, *_figures(f"{what}, PostgreSQL", total, runs, TARGET)]


def write_files(folder: Path, agencies: int) -> Run:
    """Write each agency's file, each with other content."""
    from ingest.sample import write_ecr

    for number in range(agencies):
        write_ecr(folder / f"agency-{number}.txt", ROWS, SEED + number)
    return Run(0, 0, {})


def prepare(folder: Path, data: Path, url: str, agencies: int) -> Run:
    """Set up a dropslot with these agencies, and register a file for each."""
    from ingest import inbox
    from server import agencies as registry
    from server.clock import new_id, now
    from server.intake.register import Registrar
    from server.intake.spool import Manifest
    from server.logs import open_log
    from server.services.provision import make_home
    from server.settings import Settings
    from server.state import open_state

    with open_state(Settings(data=data, database=SecretStr(url))) as state:
        registrar = Registrar(state.database, state.queue, open_log("error"))
        for number in range(agencies):
            slug, at = f"agency-{number}", now()
            with state.database.writing() as conn:
                agency = registry.Agency(new_id(at), slug, f"Agency {number}", ZONE, False, True, at)
                registry.add_agency(conn, agency)
                inbox.add_profile(conn, agency.id, "nightly", "odyssey-ecr", at=at)
            make_home(state.settings.home(slug))  # that is where the receipts go
            source = folder / f"{slug}.txt"
            size = source.stat().st_size
            manifest = Manifest(new_id(at), slug, "/upload/ecr.txt", size, "cli", None, None, at, at, at)
            state.spool.accept_copy(manifest, source)
            registrar.register(manifest)
    return Run(0, 0, {})


def work(pipe: Connection, data: Path, url: str, number: int) -> None:
    """Take jobs until there is none; say how many seconds that took."""
    from server.logs import open_log
    from server.settings import Settings
    from server.state import open_state
    from server.worker import work_once

    _warm_up()
    log = open_log("error")
    with open_state(Settings(data=data, database=SecretStr(url))) as state:
        pipe.send(None)
        pipe.recv()
        begun = time.perf_counter()
        while work_once(state, log, f"bench-{number}"):
            pass
        pipe.send(time.perf_counter() - begun)


def _warm_up() -> None:
    """Import what the engine needs for its first file and then has: a worker lives for weeks."""
    import pandas  # noqa: F401
    from pyarrow import csv  # noqa: F401


def _rounds(folder: Path, rounds: int, agencies: int) -> list[list[float]]:
    return [[_seconds(folder, agencies, workers, "") for workers in (1, 2)] for _ in range(rounds)]


def _seconds(folder: Path, agencies: int, workers: int, url: str) -> float:
    with TemporaryDirectory(dir=folder) as name, ExitStack() as stack:
        data = Path(name) / "data"
        apart(prepare, folder, data, url, agencies)
        others = [stack.enter_context(beside(work, data, url, number)) for number in range(workers)]
        for other in others:
            other.hear()
        for other in others:
            other.say()
        return max(float(other.hear()) for other in others)


def _figures(what: str, rows: int, runs: Sequence[Sequence[float]], target: Target | None) -> list[Figure]:
    one, two = ([rows / run[side] for run in runs] for side in (0, 1))
    lasted = f"{median(run[0] for run in runs):.1f} s"
    return [
        alone("nightfall", f"{what}, one worker", "rows/s", one, beside=lasted),
        compare("nightfall", f"{what}, two workers", "rows/s", two, "one worker", one, target),
    ]
